"""What can be read of a recording that was cut short or damaged, from its beginning.

A recorder that is killed leaves an MCAP without its end (no index, no footer), or an sqlite3 file
that is shorter than its header says. Both are read record by record, in the order of the file.
"""

from __future__ import annotations

import io
import sqlite3
import struct
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote

MAGIC = b'\x89MCAP0\r\n'
SCHEMA, CHANNEL, MESSAGE, CHUNK, DATA_END, FOOTER = 3, 4, 5, 6, 15, 2
"""Opcodes of MCAP's records."""
RECORD, TEXT, MESSAGE_HEAD, CHUNK_HEAD = map(struct.Struct, ('<BQ', '<I', '<HIQQ', '<QQQI'))
"""Opcode and length of a record; length of a text; beginnings of a message and of a chunk."""
MAX_CHUNK = 2**27
"""Largest chunk when it is unpacked, bytes. Chosen: bounds memory; recorders write megabytes."""
UNPACK_BYTES = 2**20
"""Bytes that are unpacked at once. Chosen."""

RawMessage = tuple[str, int, bytes]
"""Topic, time of recording in ns, message as it is stored."""


class Part(Protocol):
    """One file of a recording.

    Attributes:
        topics: message type by topic. encodings: of the messages, by topic.
    """

    topics: dict[str, str]
    encodings: dict[str, str]

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        """The messages on the topics, in the order of the recording."""


class DamagedMcap:
    """An MCAP, read without its index; see :class:`Part`.

    The last chunk is unpacked as far as it goes.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.topics: dict[str, str] = {}
        self.encodings: dict[str, str] = {}
        self._channels: dict[int, str] = {}
        schemas: dict[int, str] = {}
        for code, content in self._records():
            if code == SCHEMA:
                (number,) = struct.unpack_from('<H', content)
                schemas[number] = _text(content, 2)[0]
            elif code == CHANNEL:
                number, schema = struct.unpack_from('<HH', content)
                topic, end = _text(content, 4)
                self._channels[number] = topic
                self.topics[topic] = schemas.get(schema, '')
                self.encodings[topic] = _text(content, end)[0]

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        for code, content in self._records():
            if code == MESSAGE and len(content) >= MESSAGE_HEAD.size:
                channel, _, recorded, _ = MESSAGE_HEAD.unpack_from(content)
                if self._channels.get(channel) in topics:
                    yield self._channels[channel], recorded, content[MESSAGE_HEAD.size:]

    def _records(self) -> Iterator[tuple[int, bytes]]:
        with self._file.open('rb') as stream:
            if stream.read(len(MAGIC)) == MAGIC:
                yield from _records(stream, self._file.stat().st_size)


def _records(stream: BinaryIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Opcode and content of the complete records up to ``size``; those of chunks unpacked."""
    while len(head := stream.read(RECORD.size)) == RECORD.size:
        code, length = RECORD.unpack(head)
        left = size - stream.tell()
        if code in (DATA_END, FOOTER) or (length > left and code != CHUNK):
            return
        content = stream.read(min(length, left))
        if code != CHUNK:
            yield code, content
        elif len(content) > CHUNK_HEAD.size:
            unpacked = _unpack_chunk(content)
            yield from _records(io.BytesIO(unpacked), len(unpacked))


def _unpack_chunk(content: bytes) -> bytes:
    """The records of a chunk, as far as they can be unpacked."""
    _, _, size, _ = CHUNK_HEAD.unpack_from(content)
    compression, end = _text(content, CHUNK_HEAD.size)
    packed = content[end + 8:]
    return unpack(packed, compression, min(size, MAX_CHUNK)) if compression else packed


def unpack(packed: bytes, compression: str, most: int) -> bytes:
    """At most ``most`` bytes of zstd, lz4 or bz2 data, as far as they can be unpacked."""
    unpacked = bytearray()
    for part in unpacked_parts(io.BytesIO(packed), compression):
        unpacked += part
        if len(unpacked) >= most:
            break
    del unpacked[most:]
    return bytes(unpacked)


def unpacked_parts(stream: BinaryIO, compression: str) -> Iterator[bytes]:
    """The content of a zstd, lz4 or bz2 stream in parts, as far as it can be unpacked."""
    import bz2

    import lz4.frame
    import zstandard

    opened: Any
    try:
        if compression == 'zstd':
            opened = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
        else:
            opened = lz4.frame.open(stream) if compression == 'lz4' else bz2.BZ2File(stream)
        while part := opened.read(UNPACK_BYTES):
            yield part
    except (zstandard.ZstdError, RuntimeError, EOFError, OSError, ValueError):
        return


def _text(content: bytes, at: int) -> tuple[str, int]:
    """A text of an MCAP record, and where it ends."""
    (length,) = TEXT.unpack_from(content, at)
    start = at + TEXT.size
    return content[start:start + length].decode(errors='replace'), start + length


class DamagedSqlite:
    """An sqlite3 recording, read row by row up to the first missing page; see :class:`Part`.

    Args:
        stack: closes the file.

    Raises:
        sqlite3.Error: the table of the topics cannot be read.
    """

    def __init__(self, file: Path, stack: ExitStack) -> None:
        self._data = sqlite3.connect(f'file:{quote(str(file))}?immutable=1', uri=True)
        stack.callback(self._data.close)
        # With this, sqlite3 opens a file that is shorter than its header says.
        self._data.execute('PRAGMA writable_schema=ON')
        rows = self._data.execute('SELECT id, name, type, serialization_format FROM topics')
        self._names: dict[int, str] = {}
        self.topics: dict[str, str] = {}
        self.encodings: dict[str, str] = {}
        for number, topic, kind, encoding in rows:
            self._names[number], self.topics[str(topic)] = str(topic), str(kind)
            self.encodings[str(topic)] = str(encoding)

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        try:
            for number, recorded, data in self._data.execute(
                    'SELECT topic_id, timestamp, data FROM messages ORDER BY id'):
                if self._names.get(number) in topics:
                    yield self._names[number], recorded, data
        except sqlite3.DatabaseError:
            return
