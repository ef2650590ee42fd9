"""Bounds on what rosbags unpacks: a chunk of some kilobytes may stand for gigabytes."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from kinediff3d_ros.tools.bag_recovery import MAX_CHUNK, unpack

TABLES = (('rosbags.rosbag2.storage_mcap', 'DECOMPRESSORS'),
          ('rosbags.rosbag1.reader', 'decompressors'))
"""Where rosbags (0.11) keeps the functions that unpack chunks, by the names of compressions. It
has no option for a bound."""
BOUNDED = ('zstd', 'lz4', 'bz2')
"""Compressions that are bounded; '' and 'none' are not compressed."""


def bound_chunks() -> None:
    """Let rosbags unpack chunks of at most :data:`MAX_CHUNK` bytes, with an error beyond."""
    for module, name in TABLES:
        table: dict[str, Any] = getattr(import_module(module), name, {})
        table.update({kind: partial(_unpacked, kind) for kind in BOUNDED if kind in table})


def _unpacked(compression: str, packed: bytes, *_: int) -> bytes:
    """A chunk as rosbags asks for it."""
    content = unpack(packed, compression, MAX_CHUNK + 1)
    if len(content) > MAX_CHUNK:
        raise ValueError(f'a chunk has more than {MAX_CHUNK >> 20} MiB when it is unpacked')
    return content
