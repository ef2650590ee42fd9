"""Points in the tables that PLY and PCD files hold: fields of given types, binary or text."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from itertools import islice

import numpy as np

from kinediff3d_core.io.files import Array, listed, shortened

MAX_POINTS = 20_000_000
"""Most points of a file. Chosen: bounds memory."""
MAX_HEADER = 65536
"""Longest header, bytes. Chosen."""
MAX_COUNT = 4096
"""Most numbers of one field of a point. Chosen: the longest descriptors of PCL have 1980."""
AXES = ('x', 'y', 'z')
NOT_FINITE = re.compile(rb'nan\([a-z]+\)|1\.#(?:QNAN|SNAN|IND|INF)\w*')
"""Numbers that are not finite, as programs for Windows print them."""


def with_line_feeds(content: bytes) -> bytes:
    """The content of a text file whose lines may all end with carriage returns alone."""
    return content if b'\n' in content else content.replace(b'\r', b'\n')


@dataclass(frozen=True)
class PointTable:
    """How points stand in a file.

    Attributes:
        names, types, counts: of each field of a point: name, NumPy type, how many numbers.
        points: how many there are.
        start: where the first point is, bytes from the file's begin.

    Raises:
        ValueError: no x, y, z, or a number of points or fields that is out of bounds.
    """

    names: tuple[str, ...]
    types: tuple[str, ...]
    counts: tuple[int, ...]
    points: int
    start: int

    def __post_init__(self) -> None:
        if not set(AXES) <= set(self.names):
            raise ValueError(f'no x, y, z among its fields ({listed(self.names)})')
        if not 0 < self.points <= MAX_POINTS:
            raise ValueError(f'{shortened(self.points, 30)} points; expected 1 to {MAX_POINTS}')
        if not all(0 < c <= MAX_COUNT for c in self.counts):
            raise ValueError(f'a field of {shortened(max(self.counts), 30)} numbers; '
                             f'expected 1 to {MAX_COUNT}')

    @property
    def record(self) -> np.dtype[np.void]:
        """The type of a point; fields are called f0, f1, and so on."""
        return np.dtype([(f'f{i}', kind, (count,)) for i, (kind, count) in
                         enumerate(zip(self.types, self.counts, strict=True))])

    def place(self, axis: str) -> int:
        """Index of the field of an axis."""
        return self.names.index(axis)

    def binary(self, content: bytes) -> Array:
        """Points (N, 3) float32 of a binary file."""
        record = self.record
        needed, available = self.points * record.itemsize, len(content) - self.start
        if available < needed:
            raise ValueError(f'cut off; {self.points} points need {needed} bytes, there are '
                             f'{available}')
        rows = np.frombuffer(content, record, self.points, self.start)
        return self._stacked([rows[f'f{self.place(axis)}'][:, 0] for axis in AXES])

    def columns(self, content: bytes) -> Array:
        """Points (N, 3) float32 of a binary table that is stored field by field."""
        record, found = self.record, []
        needed = self.points * record.itemsize
        if len(content) < needed:
            raise ValueError(f'cut off; {self.points} points need {needed} bytes, there are '
                             f'{len(content)}')
        for axis in AXES:
            field = record[self.place(axis)]
            offset = record.fields[f'f{self.place(axis)}'][1]  # type: ignore[index]
            block = np.frombuffer(content, field.base, self.points * field.shape[0],
                                  self.points * offset)
            found.append(block.reshape(self.points, field.shape[0])[:, 0])
        return self._stacked(found)

    def text(self, content: bytes) -> Array:
        """Points (N, 3) float32 of a text file, one a line."""
        lines = io.BytesIO(content)
        lines.seek(self.start)
        first = np.cumsum((0, *self.counts))
        columns = [int(first[self.place(axis)]) for axis in AXES]
        full = (line for line in lines if line.strip())
        if NOT_FINITE.search(content, self.start):
            full = (NOT_FINITE.sub(b'nan', line) for line in full)
        try:
            points = np.loadtxt(islice(full, self.points), dtype=np.float32, usecols=columns,
                                ndmin=2, comments=None, encoding='latin-1')
        except (ValueError, OverflowError) as error:
            raise ValueError(f'damaged data ({shortened(error, 80)})') from error
        if len(points) < self.points:
            raise ValueError(f'cut off; {self.points} points announced, {len(points)} lines there')
        return np.asarray(points)

    def _stacked(self, axes: list[Array]) -> Array:
        with np.errstate(over='ignore', invalid='ignore'):
            return np.stack([a.astype(np.float32) for a in axes], axis=-1)
