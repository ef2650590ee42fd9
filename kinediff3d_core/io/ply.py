"""Point clouds in PLY files: ascii, and binary of both byte orders."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np

from kinediff3d_core.io.files import Array, shortened
from kinediff3d_core.io.point_table import MAX_HEADER, PointTable, with_line_feeds

TYPES = {'char': 'i1', 'int8': 'i1', 'uchar': 'u1', 'uint8': 'u1', 'short': 'i2', 'int16': 'i2',
         'ushort': 'u2', 'uint16': 'u2', 'int': 'i4', 'int32': 'i4', 'uint': 'u4', 'uint32': 'u4',
         'float': 'f4', 'float32': 'f4', 'double': 'f8', 'float64': 'f8'}
"""NumPy's types by the names of PLY, in both spellings."""
ORDERS = {'ascii': '', 'binary_little_endian': '<', 'binary_big_endian': '>'}
END = b'end_header'
MAX_LISTS = 5_000_000
"""Most rows with lists before the vertices of a binary file. Chosen: bounds time."""


@dataclass
class _Element:
    """Rows of one kind.

    Attributes:
        types: NumPy type of each property; of a list, that of its length.
        items: NumPy type of a list's items; '' for a property that is no list.
    """

    name: str
    rows: int
    names: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)


def ply_points(content: bytes) -> Array:
    """Points (N, 3) float32 of the vertices in the content of a PLY file.

    Raises:
        ValueError: damaged, or without vertices with x, y, z.
    """
    lines, start = _lines(content)
    encoding, elements = _elements(lines)
    if encoding == 'ascii':
        content = with_line_feeds(content)
    for element in elements:
        if element.name == 'vertex':
            if any(element.items):
                raise ValueError('vertices with lists are not read')
            table = PointTable(tuple(element.names), tuple(element.types),
                               (1,) * len(element.names), element.rows, start)
            return table.text(content) if encoding == 'ascii' else table.binary(content)
        start = _after_lines(content, start, element.rows) if encoding == 'ascii' else \
            _after_rows(content, start, element)
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
                kinds = rest[1:3] if rest[0] == 'list' else rest[:1]
                first, *item = (ORDERS[encoding] + TYPES[kind] for kind in kinds)
                if item and 'f' in first:
                    raise ValueError('a length that is no integer')
                elements[-1].names.append(rest[-1])
                elements[-1].types.append(first)
                elements[-1].items.extend(item or [''])
        except (IndexError, KeyError, ValueError) as error:
            line = shortened(' '.join((word, *rest)), 60)
            raise ValueError(f'damaged .ply header at {line!r}') from error
    if encoding not in ORDERS:
        raise ValueError(f'damaged .ply header (format {shortened(encoding, 30)!r})')
    return encoding, elements


def _after_lines(content: bytes, start: int, rows: int) -> int:
    """Where an element of a text file ends that starts there."""
    for _ in range(rows):
        start = content.find(b'\n', start) + 1
        if not start:
            raise ValueError('cut off before its vertices')
    return start


def _after_rows(content: bytes, start: int, element: _Element) -> int:
    """Where an element of a binary file ends that starts there.

    Lists are walked row by row: each length decides where the next one stands.
    """
    rows = max(element.rows, 0)
    sizes = [np.dtype(kind).itemsize for kind in element.types]
    if not any(element.items):
        return start + sum(sizes) * rows
    if rows > MAX_LISTS:
        raise ValueError(f'more than {MAX_LISTS} rows of {shortened(element.name, 30)!r} before '
                         'the vertices')
    lengths = [struct.Struct(kind[0] + np.dtype(kind).char) for kind in element.types]
    items = [np.dtype(kind).itemsize if kind else 0 for kind in element.items]
    for _ in range(rows):
        for size, length, item in zip(sizes, lengths, items, strict=True):
            if start + size > len(content):
                raise ValueError('cut off before its vertices')
            start += size + (item and item * max(int(length.unpack_from(content, start)[0]), 0))
    return start
