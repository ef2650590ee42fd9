"""Point clouds in PCL's PCD format, version 0.7: ascii, binary and binary_compressed."""

from __future__ import annotations

import struct

from kinediff3d_core.io.files import Array, shortened
from kinediff3d_core.io.lzf import decompress
from kinediff3d_core.io.point_table import MAX_HEADER, PointTable, with_line_feeds

PCD_TYPES = {('F', 4): '<f4', ('F', 8): '<f8', ('U', 1): '<u1', ('U', 2): '<u2', ('U', 4): '<u4',
             ('U', 8): '<u8', ('I', 1): '<i1', ('I', 2): '<i2', ('I', 4): '<i4', ('I', 8): '<i8'}
"""NumPy's type of each TYPE and SIZE in the header."""
ENCODINGS = ('ascii', 'binary', 'binary_compressed')
SIZES = struct.Struct('<II')
"""Before compressed data: bytes as they are stored, and unpacked."""


def pcd_points(content: bytes) -> Array:
    """Points (N, 3) float32 of the content of a PCD file.

    Raises:
        ValueError: damaged, or without x, y, z.
    """
    content = with_line_feeds(content)
    table, encoding = _header(content)
    if encoding == 'ascii':
        return table.text(content)
    if encoding == 'binary':
        return table.binary(content)
    if len(content) < table.start + SIZES.size:
        raise ValueError('cut off before its compressed data')
    stored, unpacked = SIZES.unpack_from(content, table.start)
    start = table.start + SIZES.size
    if len(content) < start + stored:
        raise ValueError(f'cut off; {stored} bytes of compressed data announced, there are '
                         f'{len(content) - start}')
    return table.columns(decompress(content[start:start + stored], unpacked))


def _header(content: bytes) -> tuple[PointTable, str]:
    """The table, and how its data are encoded."""
    lines, size = _lines(content)
    try:
        names = lines.get('FIELDS', lines.get('COLUMNS', []))
        sizes = [int(x) for x in lines.get('SIZE', ['4'] * len(names))]
        kinds = [x.upper() for x in lines.get('TYPE', ['F'] * len(names))]
        counts = [int(x) for x in lines.get('COUNT', ['1'] * len(names))]
        points = int(lines['POINTS'][0]) if 'POINTS' in lines else \
            int(lines['WIDTH'][0]) * int(lines['HEIGHT'][0])
        encoding = lines['DATA'][0].lower()
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f'damaged .pcd header ({shortened(error, 60)})') from error
    if not names or not len(names) == len(sizes) == len(kinds) == len(counts):
        raise ValueError(f'damaged .pcd header ({len(names)} fields, {len(sizes)} sizes, '
                         f'{len(kinds)} types, {len(counts)} counts)')
    if encoding not in ENCODINGS:
        raise ValueError(f'DATA {shortened(encoding, 30)} is not read; expected one of '
                         f'{", ".join(ENCODINGS)}')
    wrong = [f'{k}{s}' for k, s in zip(kinds, sizes, strict=True) if (k, s) not in PCD_TYPES]
    if wrong:
        raise ValueError(f'unknown field type {shortened(wrong[0], 30)}')
    types = tuple(PCD_TYPES[k, s] for k, s in zip(kinds, sizes, strict=True))
    return PointTable(tuple(names), types, tuple(counts), points, size), encoding


def _lines(content: bytes) -> tuple[dict[str, list[str]], int]:
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
