"""Contact sheets: groups of small pictures under lines of text, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

CELL, COLUMNS = (196, 146), 6
"""Width and height of a picture, px, and pictures in a row."""


def write_sheet(groups: Sequence[tuple[str, Sequence[tuple[str, Array]]]], out: Path) -> Path:
    """Write groups of pictures of one size as a PNG; returns its path.

    Args:
        groups: a line of text above its pictures, each with its own text below it.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    gap, head, foot, dpi = 4, 26, 16, 100
    cell_height, cell_width = next(image.shape[:2] for _, cells in groups for _, image in cells)
    rows = [-(-len(cells) // COLUMNS) for _, cells in groups]
    width = COLUMNS * (cell_width + gap) + gap
    height = sum(head + n * (cell_height + foot) for n in rows) + gap
    page = np.full((height, width, 3), 255, dtype=np.uint8)
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi)
    canvas = FigureCanvasAgg(figure)
    top = 0
    for (title, cells), n in zip(groups, rows, strict=True):
        figure.text(2 * gap / width, 1 - (top + head / 2) / height, title, fontsize=10.5,
                    va='center', weight='bold', color='0.15')
        for i, (name, image) in enumerate(cells):
            left = gap + i % COLUMNS * (cell_width + gap)
            y = top + head + i // COLUMNS * (cell_height + foot)
            page[y:y + cell_height, left:left + cell_width] = image
            figure.text((left + cell_width / 2) / width,
                        1 - (y + cell_height + foot / 2) / height, name, fontsize=7.5,
                        va='center', ha='center', color='0.3')
        top += head + n * (cell_height + foot)
    figure.figimage(page, zorder=-1)
    canvas.draw()  # type: ignore[no-untyped-call]
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    out.parent.mkdir(parents=True, exist_ok=True)
    # With a palette the file is a third of the size.
    Image.fromarray(drawn).convert('RGB').quantize(64).save(out, optimize=True)
    return out
