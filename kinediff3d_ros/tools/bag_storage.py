"""Opening recordings: rosbag2 (MCAP, sqlite3) and ROS 1 bags, whole or not, without ROS."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from kinediff3d_core.io.files import listed, shortened
from kinediff3d_ros.tools.bag_recovery import (
    DamagedMcap,
    DamagedSqlite,
    Part,
    RawMessage,
    unpack,
    unpacked_parts,
)
from kinediff3d_ros.tools.bag_types import register_vision_types

COMPRESSIONS = {'.zstd': 'zstd', '.zst': 'zstd', '.lz4': 'lz4'}
"""Compression of a file by the end of its name."""
MESSAGE_MAGIC = {b'\x28\xb5\x2f\xfd': 'zstd', b'\x04\x22\x4d\x18': 'lz4'}
"""Compression of a message by its first bytes. Messages that are not compressed begin with 0."""
REMEDIES = {
    '.mcap': '"mcap recover {file} -o whole.mcap" repairs it',
    '.db3': '"sqlite3 {file} .recover | sqlite3 whole.db3" repairs it',
    '.bag': '"rosbag reindex {file}" (ROS 1) repairs it, "rosbags-convert" makes it a ROS 2 bag'}
"""What to run for a file that was cut short or damaged, by the end of its name."""
MAX_MESSAGE = 2**28
"""Bytes of a message that are unpacked. Chosen: bounds memory; an image has a few megabytes."""
MAX_RATIO, MIN_UNPACKED = 1000, 2**26
"""Largest ratio of the unpacked to the compressed bytes of a file, and unpacked bytes that every
file may have. Chosen: bounds the disk; images of one value are a few hundred times smaller when
compressed."""
METADATA = 'metadata.yaml'
MAX_METADATA = 2**20
"""Characters of a metadata.yaml that are read. Chosen: bounds memory."""
_FILES = re.compile(r'\brelative_file_paths:[ \t]*(?:\[([^]]*)\]|((?:\r?\n[ \t]*-[ \t][^\n]*)+))')
"""The list of files in a metadata.yaml. A parser of YAML takes a minute for a damaged one."""
NAMED = 60
"""Longest reason of a library in a warning, characters. Chosen."""


class Bag:
    """An open recording.

    Args:
        path: as it was given. parts: its files in order. warnings: what is missing of it.

    Attributes:
        topics: message type by topic.
        encodings: of the messages, by topic: ``cdr``, ``ros1`` or another.
        warnings: what is missing of it, and how to repair it. Complete after :meth:`messages`.
    """

    def __init__(self, path: Path, parts: list[tuple[str, Part]], warnings: list[str]) -> None:
        self.path, self._parts, self.warnings = path, parts, warnings
        self.topics = {t: kind for _, part in reversed(parts) for t, kind in part.topics.items()}
        self.encodings = {t: e for _, part in reversed(parts) for t, e in part.encodings.items()}

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, Any]]:
        """Topic, time of recording in ns, and message; those that cannot be decoded are left out.

        A file that is damaged ends early, with a warning.
        """
        decode = _decoders()
        broken: Counter[str] = Counter()
        reasons: dict[str, str] = {}
        for topic, recorded, raw in self._raw(topics):
            try:
                when = int(recorded)
                message = decode[self.encodings[topic]](raw, self.topics[topic])
            except Exception as error:  # the decoder raises many types
                broken[topic] += 1
                reasons.setdefault(topic, shortened(error, NAMED))
                continue
            yield topic, when, message
        for topic, number in broken.items():
            self.warnings.append(f'{number} messages on {shortened(topic, NAMED)} cannot be '
                                 f'decoded ({reasons[topic]})')

    def _raw(self, topics: Collection[str]) -> Iterator[RawMessage]:
        for name, part in self._parts:
            messages = part.read([t for t in topics if t in part.topics])
            while True:
                try:
                    message = next(messages, None)
                except Exception as error:  # the parsers of the storages raise many types
                    self.warnings.append(_damage(name, error))
                    break
                if message is None:
                    break
                yield message


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """A recording that is open for reading.

    Args:
        path: folder, or one ``.mcap``, ``.db3`` or ``.bag`` file; files may end with ``.zstd``.

    Raises:
        ValueError: missing, or nothing in it can be read.
    """
    _require_rosbags()
    if not path.exists():
        raise ValueError(f'recording {path} does not exist')
    with ExitStack() as stack:
        warnings: list[str] = []
        parts: list[tuple[str, Part]] = []
        errors: list[str] = []
        for file in _files(path, warnings):
            try:
                parts.append((file.name, _open_part(file, stack, warnings)))
            except (ValueError, OSError) as error:
                errors.append(shortened(error, 250))
        if not parts:
            raise ValueError(errors[0])
        yield Bag(path, parts, warnings + errors)


def _require_rosbags() -> None:
    try:
        import lz4  # noqa: F401
        import rosbags  # noqa: F401
        import zstandard  # noqa: F401
    except ImportError as error:
        raise ValueError(f'recordings are read with rosbags, and {error.name} is not installed; '
                         'install it with "pip install rosbags zstandard"') from error


def _files(path: Path, warnings: list[str]) -> list[Path]:
    """The files of a recording, in order; by their names where there is no metadata.

    Raises:
        ValueError: there is none.
    """
    if not path.is_dir():
        return [path]
    found = sorted((p for p in path.iterdir() if _kind(p) in REMEDIES and p.is_file()),
                   key=lambda p: (len(p.name), p.name))  # bag_2 before bag_10
    if not found:
        raise ValueError(f'{path} is a folder without a recording (.mcap, .db3 or .bag file); it '
                         f'has {listed(sorted(p.name for p in path.iterdir())) or "no file"}')
    names = _listed_files(path / METADATA)
    if not names:
        warnings.append(f'{path} has no readable {METADATA}; "ros2 bag reindex {path}" writes it')
        return found
    missing = [n for n in names if not (path / n).is_file()]
    if missing:
        warnings.append(f'{path} lacks {listed(missing)}, which its {METADATA} names')
    return [path / n for n in names if n not in missing] or found


def _listed_files(metadata: Path) -> list[str]:
    """Names of the files that a metadata.yaml lists; empty if it cannot be read."""
    try:
        with metadata.open(encoding='utf-8') as stream:
            found = _FILES.search(stream.read(MAX_METADATA))
    except (OSError, ValueError):
        return []
    names = re.split(r'\n[ \t]*-[ \t]|,', found[1] or found[2]) if found else []
    return [Path(name).name for name in (n.strip().strip('"\'') for n in names) if name]


def _kind(file: Path) -> str:
    """The end of a file's name, without that of its compression."""
    suffixes = [s.lower() for s in file.suffixes if s.lower() != '.active']
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ''


def _open_part(file: Path, stack: ExitStack, warnings: list[str]) -> Part:
    """One file of a recording; where it is damaged, what is left of it.

    Raises:
        ValueError: nothing of it can be read.
    """
    kind = _kind(file)
    if kind not in REMEDIES:
        raise ValueError(f'{file} is no recording: expected a folder, or a file that ends with '
                         f'{", ".join(REMEDIES)}')
    if not file.is_file() or not file.stat().st_size:
        raise ValueError(f'{file} is not a readable recording: it is empty, or no file')
    log = file.with_name(f'{file.name}-wal')
    if log.exists() and log.stat().st_size:
        warnings.append(f'{shortened(log, 80)} has messages that are not read; "sqlite3 '
                        f'{shortened(file.name, 60)} \'PRAGMA wal_checkpoint\'" moves them into '
                        'the recording')
    unpacked = _unpacked(file, stack)
    try:
        return _IndexedPart(unpacked, kind, stack)
    except Exception as error:  # the parsers of the storages raise many types
        damage = _damage(str(file), error)
        try:
            part = _damaged_part(unpacked, kind, stack)
        except Exception as again:  # also of these parsers
            raise ValueError(_unreadable(file, error)) from again
        if part is None or not part.topics:
            raise ValueError(_unreadable(file, error)) from error
    warnings.append(damage)
    return part


def _damaged_part(file: Path, kind: str, stack: ExitStack) -> Part | None:
    if kind == '.mcap':
        return DamagedMcap(file)
    return DamagedSqlite(file, stack) if kind == '.db3' else None


def _damage(file: str, error: Exception) -> str:
    """What is said about a file that is read as far as it goes."""
    return (f'{shortened(file, 80)} is cut short or damaged ({shortened(error, NAMED)}): it is '
            f'read as far as it goes; {_remedy(Path(file))}')


def _unreadable(file: Path, error: Exception) -> str:
    """What is said about a file of which nothing can be read."""
    return (f'{shortened(file, 80)} is not a readable recording ({shortened(error, NAMED)}); '
            f'{_remedy(file)}')


def _remedy(file: Path) -> str:
    """What to run for a file that is damaged; a compressed one has to be unpacked first."""
    name = file.stem if file.suffix.lower() in COMPRESSIONS else file.name
    return REMEDIES[_kind(file)].format(file=shortened(name, 40))


def _unpacked(file: Path, stack: ExitStack) -> Path:
    """The file, or where it is compressed, a temporary one as far as it can be unpacked.

    Raises:
        ValueError: it is too large when it is unpacked.
    """
    compression = COMPRESSIONS.get(file.suffix.lower())
    if compression is None:
        return file
    target = Path(stack.enter_context(TemporaryDirectory())) / f'recording{_kind(file)}'
    most = max(MAX_RATIO * file.stat().st_size, MIN_UNPACKED)
    with file.open('rb') as packed, target.open('wb') as plain:
        for part in unpacked_parts(packed, compression):
            if plain.tell() > most:
                raise ValueError(f'{file} has more than {most / 2**20:.0f} MiB when it is '
                                 f'unpacked; unpack it with "{compression} -d"')
            plain.write(part)
    return target


class _IndexedPart:
    """A file that rosbags reads; see :class:`Part`.

    Args:
        kind: of the file, as in :data:`REMEDIES`: its name may end in capitals.
    """

    def __init__(self, file: Path, kind: str, stack: ExitStack) -> None:
        from rosbags import rosbag1, rosbag2

        from kinediff3d_ros.tools.bag_limits import bound_chunks

        bound_chunks()
        ros1 = kind == '.bag'
        self._reader: Any = rosbag1.Reader(file) if ros1 else \
            rosbag2.Reader.STORAGE_PLUGINS[kind](file)
        self._reader.open()
        stack.callback(self._reader.close)
        self.topics = {c.topic: str(c.msgtype) for c in self._reader.connections}
        self.encodings = {c.topic: 'ros1' if ros1 else str(c.ext.serialization_format)
                          for c in self._reader.connections}

    def read(self, topics: Collection[str]) -> Iterator[RawMessage]:
        connections = [c for c in self._reader.connections if c.topic in topics]
        if connections:
            for connection, recorded, raw in self._reader.messages(connections=connections):
                yield connection.topic, recorded, raw


def _decoders() -> dict[str, Any]:
    """Functions of a raw message and its type, by encoding."""
    from rosbags.typesys import Stores, get_typestore

    ros1, ros2 = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.ROS2_JAZZY)
    register_vision_types(ros2)

    def decode_ros1(raw: bytes, kind: str) -> Any:
        message = ros1.deserialize_ros1(raw, kind)
        # CameraInfo has D, K, R, P in ROS 1, and d, k, r, p in ROS 2.
        return SimpleNamespace(**{f.name.lower(): getattr(message, f.name)
                                  for f in dataclasses.fields(message)})  # type: ignore[arg-type]

    def decode_cdr(raw: bytes, kind: str) -> Any:
        # Not Typestore.deserialize_cdr: it refuses the bytes that rclpy's serialize_message leaves
        # after some messages.
        definition = ros2.get_msgdef(kind)
        plain = memoryview(_message(raw))
        decode = definition.deserialize_cdr_le if plain[1] else definition.deserialize_cdr_be
        return decode(plain[4:], 0, definition.cls, ros2)[0]

    return {'ros1': decode_ros1, 'cdr': decode_cdr}


def _message(raw: bytes) -> bytes:
    """A message that is not compressed."""
    compression = MESSAGE_MAGIC.get(bytes(raw[:4]))
    return raw if compression is None else unpack(raw, compression, MAX_MESSAGE)
