"""Point clouds on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.io.reading import MAX_BYTES, Array, checked_file, load_npy

MAX_POINTS = 20_000_000
CLOUD_KINDS = '.ply, .pcd, .npy or .npz'


def read_cloud(path: Path | str) -> Array:
    """Points (N, 3) float32 in metres from ``.ply``, ``.pcd``, ``.npy`` or ``.npz`` ("points").

    Points with a coordinate that is not finite are left out.

    Raises:
        ValueError: missing, of another kind, damaged or empty.
    """
    file = checked_file(path, 'cloud')
    kind = file.suffix.lower()
    readers: dict[str, Callable[[Path], Array]] = {
        '.ply': _load_ply, '.pcd': _load_pcd, '.npy': lambda f: load_npy(f, 'cloud'),
        '.npz': _load_npz}
    if kind not in readers:
        raise ValueError(f'{file}: unknown kind of cloud {kind!r}; expected {CLOUD_KINDS}')
    points = readers[kind](file)
    if points.ndim == 3:
        points = points.reshape(-1, points.shape[-1])
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in 'fiu':
        raise ValueError(f'{file}: a cloud is (N, 3) numbers, this is {points.dtype} of shape '
                         f'{points.shape}')
    points = np.asarray(points[:, :3], dtype=np.float32)
    finite = np.isfinite(points).all(-1)
    if not finite.any():
        raise ValueError(f'{file}: the cloud has no finite point')
    return np.asarray(points[finite])


def _load_npz(file: Path) -> Array:
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive:
            unpacked = sum(i.file_size for i in archive.infolist())
        if unpacked > MAX_BYTES:
            raise ValueError(f'{unpacked / 2**20:.0f} MiB unpacked are too much')
        with np.load(file, allow_pickle=False) as content:
            if 'points' not in content.files:
                raise ValueError(f'no array "points" among {content.files}')
            return np.asarray(content['points'])
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f'{file}: not readable as a cloud ({error})') from error


def _load_ply(file: Path) -> Array:
    import trimesh

    try:
        with file.open('rb') as stream:
            content: Any = trimesh.load(stream, file_type='ply', process=False)
        points = np.asarray(content.vertices)
    except Exception as error:  # trimesh raises whatever its parser stumbled over
        raise ValueError(f'{file}: not readable as a .ply cloud ({type(error).__name__})'
                         ) from error
    if len(points) > MAX_POINTS:
        raise ValueError(f'{file}: {len(points)} points are more than {MAX_POINTS}')
    return points


PCD_TYPES = {('F', 4): '<f4', ('F', 8): '<f8', ('U', 1): '<u1', ('U', 2): '<u2', ('U', 4): '<u4',
             ('U', 8): '<u8', ('I', 1): '<i1', ('I', 2): '<i2', ('I', 4): '<i4', ('I', 8): '<i8'}


def _load_pcd(file: Path) -> Array:
    """Points (N, 3) of a PCD file, version 0.7, ascii or binary.

    Raises:
        ValueError: compressed, damaged, or without x, y, z.
    """
    content = file.read_bytes()
    header: dict[str, list[str]] = {}
    at = 0
    while 'DATA' not in header:
        end = content.find(b'\n', at)
        if end < 0 or end > 65536:
            raise ValueError(f'{file}: not a .pcd file (its header has no DATA line)')
        line = content[at:end].decode('ascii', errors='replace').strip()
        at = end + 1
        if line and not line.startswith('#'):
            word, *rest = line.split()
            header[word.upper()] = rest
    try:
        names = header['FIELDS']
        sizes = [int(x) for x in header['SIZE']]
        kinds = [x.upper() for x in header['TYPE']]
        counts = [int(x) for x in header.get('COUNT', ['1'] * len(names))]
        count = int(header['POINTS'][0]) if 'POINTS' in header else \
            int(header['WIDTH'][0]) * int(header['HEIGHT'][0])
        encoding = header['DATA'][0]
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f'{file}: damaged .pcd header ({error})') from error
    if not len(names) == len(sizes) == len(kinds) == len(counts):
        raise ValueError(f'{file}: damaged .pcd header ({len(names)} fields, {len(sizes)} sizes, '
                         f'{len(kinds)} types, {len(counts)} counts)')
    if not {'x', 'y', 'z'} <= set(names):
        raise ValueError(f'{file}: no x, y, z among its fields ({", ".join(names)})')
    if not 0 < count <= MAX_POINTS or not all(0 < c <= 4096 for c in counts):
        raise ValueError(f'{file}: {count} points; expected 1 to {MAX_POINTS}')
    if any((k, s) not in PCD_TYPES for k, s in zip(kinds, sizes, strict=True)):
        raise ValueError(f'{file}: unknown field types {kinds} of sizes {sizes}')
    first = np.cumsum([0] + counts)
    if encoding == 'binary':
        record = np.dtype([(f'f{i}', PCD_TYPES[k, s], (c,)) for i, (k, s, c) in
                           enumerate(zip(kinds, sizes, counts, strict=True))])
        if len(content) - at < count * record.itemsize:
            raise ValueError(f'{file}: cut off; {count} points need {count * record.itemsize} '
                             f'bytes, there are {len(content) - at}')
        rows = np.frombuffer(content, record, count, at)
        columns = [rows[f'f{names.index(n)}'][:, 0].astype(np.float64) for n in 'xyz']
    elif encoding == 'ascii':
        lines = content[at:].decode('ascii', errors='replace').splitlines()
        if len(lines) < count:
            raise ValueError(f'{file}: cut off; {count} points announced, {len(lines)} lines '
                             'there')
        try:
            table = [line.split() for line in lines[:count]]
            columns = [np.array([float(row[first[names.index(n)]]) for row in table])
                       for n in 'xyz']
        except (ValueError, IndexError) as error:
            raise ValueError(f'{file}: damaged .pcd data ({error})') from error
    else:
        raise ValueError(f'{file}: DATA {encoding} is not read; expected ascii or binary')
    return np.stack(columns, axis=-1)
