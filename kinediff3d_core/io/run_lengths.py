"""COCO's run-length encoding of masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kinediff3d_core.io.files import Array
from kinediff3d_core.io.images import MAX_PIXELS

FIRST = 48
"""Character of zero in the compressed form."""
MORE, SIGN, BITS = 0x20, 0x10, 5
"""Of a character: the flag that another follows, the sign in the last one, and bits of value."""
MAX_WORDS = 13
"""Most characters of one number: 64 bits."""


def run_length_mask(size: Any, counts: Any) -> Array:
    """Mask (H, W) bool of runs of background and object in turn, column by column.

    Args:
        size: height and width.
        counts: lengths of the runs, or COCO's compressed text of them.

    Raises:
        ValueError: runs that do not fill the image.
    """
    height, width = (int(x) for x in size)
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f'a mask of {width} x {height} pixels')
    runs = list(_decoded(counts.encode() if isinstance(counts, str) else counts)) \
        if isinstance(counts, str | bytes) else [int(n) for n in counts]
    if any(n < 0 for n in runs) or sum(runs) != height * width:
        raise ValueError(f'runs of {sum(runs)} pixels do not fill {width} x {height}')
    filled = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.asarray(filled.reshape(width, height).T)


def _decoded(text: bytes) -> Iterator[int]:
    """Lengths of the runs of COCO's compressed text.

    Each number is in groups of five bits, the lowest first, with a sign. From the fourth on,
    numbers are differences to the number before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        group = character - FIRST
        if not 0 <= group < 2 * MORE or shift >= MAX_WORDS * BITS:
            raise ValueError('damaged text of run lengths')
        value |= (group & (MORE - 1)) << shift
        shift += BITS
        if group & MORE:
            continue
        if group & SIGN:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        yield runs[-1]
        value = shift = 0
    if shift:
        raise ValueError('run lengths are cut off')
