"""Point clouds in PLY files: ascii, and binary of both byte orders."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kinediff3d_core.io.files import Array, shortened
from kinediff3d_core.io.point_table import MAX_HEADER, PointTable

TYPES = {'char': 'i1', 'int8': 'i1', 'uchar': 'u1', 'uint8': 'u1', 'short': 'i2', 'int16': 'i2',
         'ushort': 'u2', 'uint16': 'u2', 'int': 'i4', 'int32': 'i4', 'uint': 'u4', 'uint32': 'u4',
         'float': 'f4', 'float32': 'f4', 'double': 'f8', 'float64': 'f8'}
"""NumPy's types by the names of PLY, in both spellings."""
ORDERS = {'ascii': '', 'binary_little_endian': '<', 'binary_big_endian': '>'}
END = b'end_header'


@dataclass
class _Element:
    """Rows of one kind."""

    name: str
    rows: int
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    lists: bool = False


def ply_points(content: bytes) -> Array:
    """Points (N, 3) float32 of the vertices in the content of a PLY file.

    Raises:
        ValueError: damaged, or without vertices with x, y, z.
    """
    lines, start = _lines(content)
    encoding, elements = _elements(lines)
    for element in elements:
        if element.name == 'vertex':
            if element.lists:
                raise ValueError('vertices with lists are not read')
            table = PointTable(tuple(element.names), tuple(element.types),
                               (1,) * len(element.names), element.rows, start)
            return table.text(content) if encoding == 'ascii' else table.binary(content)
        if element.lists and encoding != 'ascii':
            raise ValueError(f'lists of {element.name!r} before the vertices are not read')
        start = _after(content, start, element, encoding == 'ascii')
    raise ValueError('no vertices among its elements')


def _lines(content: bytes) -> tuple[list[list[str]], int]:
    """The words of each line of the header, and the header's size."""
    if not content.startswith(b'ply'):
        raise ValueError('not a .ply file (it does not begin with "ply")')
    last = content.find(END, 0, MAX_HEADER)
    if last < 0:
        raise ValueError('not a .ply file (its header has no end)')
    text = content[:last].decode('ascii', errors='replace')
    start = last + len(END)
    start += 2 if content[start:start + 2] == b'\r\n' else 1
    return [line.split() for line in text.splitlines() if line.strip()], start


def _elements(lines: list[list[str]]) -> tuple[str, list[_Element]]:
    """The encoding and the elements of a header."""
    encoding, elements = '', list[_Element]()
    for word, *rest in lines:
        try:
            if word == 'format':
                encoding = rest[0]
            elif word == 'element':
                elements.append(_Element(rest[0], int(rest[1])))
            elif word == 'property':
                elements[-1].lists |= rest[0] == 'list'
                elements[-1].names.append(rest[-1])
                elements[-1].types.append('' if rest[0] == 'list' else
                                          ORDERS[encoding] + TYPES[rest[0]])
        except (IndexError, KeyError, ValueError) as error:
            line = shortened(' '.join((word, *rest)), 60)
            raise ValueError(f'damaged .ply header at {line!r}') from error
    if encoding not in ORDERS:
        raise ValueError(f'damaged .ply header (format {shortened(encoding, 30)!r})')
    return encoding, elements


def _after(content: bytes, start: int, element: _Element, text: bool) -> int:
    """Where the element ends that starts there."""
    if not text:
        size = sum(np.dtype(kind).itemsize for kind in element.types)
        return start + size * max(element.rows, 0)
    for _ in range(element.rows):
        start = content.find(b'\n', start) + 1
        if not start:
            raise ValueError('cut off before its vertices')
    return start
