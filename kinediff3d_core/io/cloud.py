"""Point clouds: which points count, and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.io.files import Array, checked_file, read_npy, read_npz

MAX_POINTS = 20_000_000
"""Most points of a file. Chosen: bounds memory."""
CLOUD_KINDS = '.ply, .pcd, .npy or .npz'
MAX_HEADER = 65536
"""Longest header of a PCD file, bytes. Chosen."""
MAX_COUNT = 4096
"""Most numbers of one field of a PCD point. Chosen: the longest descriptors of PCL have 1980."""

PCD_TYPES = {('F', 4): '<f4', ('F', 8): '<f8', ('U', 1): '<u1', ('U', 2): '<u2', ('U', 4): '<u4',
             ('U', 8): '<u8', ('I', 1): '<i1', ('I', 2): '<i2', ('I', 4): '<i4', ('I', 8): '<i8'}
"""NumPy's type of each TYPE and SIZE in the header of a PCD file."""


def read_cloud(path: Path | str) -> Array:
    """Points (N, 3) float32 in metres from ``.ply``, ``.pcd``, ``.npy`` or ``.npz`` ("points").

    Points with a coordinate that is not finite are left out.

    Raises:
        ValueError: missing, of another kind, damaged or empty.
    """
    file = checked_file(path, 'cloud')
    kind = file.suffix.lower()
    readers: dict[str, Callable[[Path], Array]] = {
        '.ply': _read_ply, '.pcd': _read_pcd, '.npy': lambda f: read_npy(f, 'cloud'),
        '.npz': lambda f: read_npz(f, 'cloud', ['points'])[0]}
    if kind not in readers:
        raise ValueError(f'{file}: unknown kind of cloud {kind!r}; expected {CLOUD_KINDS}')
    points = readers[kind](file)
    if points.ndim == 3:
        points = points.reshape(-1, points.shape[-1])
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in 'fiu':
        raise ValueError(f'{file}: a cloud is (N, 3) numbers, this is {points.dtype} of shape '
                         f'{points.shape}')
    finite = finite_points(points[:, :3])
    if not len(finite):
        raise ValueError(f'{file}: the cloud has no finite point')
    return finite


def finite_points(points: Array) -> Array:
    """The points (M, 3) float32 of (N, 3) that have no coordinate that is not finite."""
    cloud = np.asarray(points, dtype=np.float32)
    x, y, z = np.isfinite(cloud).T
    return np.asarray(cloud[x & y & z])


def _read_ply(file: Path) -> Array:
    import trimesh

    try:
        with file.open('rb') as stream:
            content: Any = trimesh.load(stream, file_type='ply', process=False)
        points = np.asarray(content.vertices)
    except Exception as error:  # trimesh passes on whatever its parsers raise
        raise ValueError(f'{file}: not readable as a .ply cloud ({type(error).__name__})'
                         ) from error
    if len(points) > MAX_POINTS:
        raise ValueError(f'{file}: {len(points)} points are more than {MAX_POINTS}')
    return points


@dataclass(frozen=True)
class _PcdHeader:
    """The header of a PCD file.

    Attributes:
        names, types, counts: of each field of a point: name, NumPy type, how many numbers.
        points: how many there are.
        encoding: ``ascii``, ``binary`` or another that is not read.
        size: bytes of the header.
    """

    names: list[str]
    types: list[str]
    counts: list[int]
    points: int
    encoding: str
    size: int


def _read_pcd(file: Path) -> Array:
    """Points (N, 3) of a PCD file, version 0.7, ascii or binary.

    Raises:
        ValueError: compressed, damaged, or without x, y, z.
    """
    content = file.read_bytes()
    try:
        header = _pcd_header(content)
        if header.encoding == 'binary':
            return _pcd_binary(content, header)
        if header.encoding == 'ascii':
            return _pcd_ascii(content, header)
        raise ValueError(f'DATA {header.encoding} is not read; expected ascii or binary')
    except ValueError as error:
        raise ValueError(f'{file}: {error}') from error


def _pcd_lines(content: bytes) -> tuple[dict[str, list[str]], int]:
    """The words of each line of the header by its first word, and the header's size."""
    lines: dict[str, list[str]] = {}
    at = 0
    while 'DATA' not in lines:
        end = content.find(b'\n', at)
        if end < 0 or end > MAX_HEADER:
            raise ValueError('not a .pcd file (its header has no DATA line)')
        line = content[at:end].decode('ascii', errors='replace').strip()
        at = end + 1
        if line and not line.startswith('#'):
            word, *rest = line.split()
            lines[word.upper()] = rest
    return lines, at


def _pcd_header(content: bytes) -> _PcdHeader:
    lines, size = _pcd_lines(content)
    try:
        names = lines['FIELDS']
        sizes = [int(x) for x in lines['SIZE']]
        kinds = [x.upper() for x in lines['TYPE']]
        counts = [int(x) for x in lines.get('COUNT', ['1'] * len(names))]
        points = int(lines['POINTS'][0]) if 'POINTS' in lines else \
            int(lines['WIDTH'][0]) * int(lines['HEIGHT'][0])
        encoding = lines['DATA'][0]
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f'damaged .pcd header ({error})') from error
    if not len(names) == len(sizes) == len(kinds) == len(counts):
        raise ValueError(f'damaged .pcd header ({len(names)} fields, {len(sizes)} sizes, '
                         f'{len(kinds)} types, {len(counts)} counts)')
    if not {'x', 'y', 'z'} <= set(names):
        raise ValueError(f'no x, y, z among its fields ({", ".join(names)})')
    if not 0 < points <= MAX_POINTS or not all(0 < c <= MAX_COUNT for c in counts):
        raise ValueError(f'{points} points; expected 1 to {MAX_POINTS}')
    if any((k, s) not in PCD_TYPES for k, s in zip(kinds, sizes, strict=True)):
        raise ValueError(f'unknown field types {kinds} of sizes {sizes}')
    types = [PCD_TYPES[k, s] for k, s in zip(kinds, sizes, strict=True)]
    return _PcdHeader(names, types, counts, points, encoding, size)


def _pcd_binary(content: bytes, header: _PcdHeader) -> Array:
    record = np.dtype([(f'f{i}', kind, (count,)) for i, (kind, count) in
                       enumerate(zip(header.types, header.counts, strict=True))])
    needed, available = header.points * record.itemsize, len(content) - header.size
    if available < needed:
        raise ValueError(f'cut off; {header.points} points need {needed} bytes, there are '
                         f'{available}')
    rows = np.frombuffer(content, record, header.points, header.size)
    return np.stack([rows[f'f{header.names.index(name)}'][:, 0].astype(np.float64)
                     for name in 'xyz'], axis=-1)


def _pcd_ascii(content: bytes, header: _PcdHeader) -> Array:
    lines = content[header.size:].decode('ascii', errors='replace').splitlines()
    if len(lines) < header.points:
        raise ValueError(f'cut off; {header.points} points announced, {len(lines)} lines there')
    first = np.cumsum([0] + header.counts)
    columns = [int(first[header.names.index(name)]) for name in 'xyz']
    try:
        rows = [line.split() for line in lines[:header.points]]
        return np.array([[float(row[i]) for i in columns] for row in rows])
    except (ValueError, IndexError) as error:
        raise ValueError(f'damaged .pcd data ({error})') from error
