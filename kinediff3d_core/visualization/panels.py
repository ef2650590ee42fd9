"""Pictures side by side in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def write_panels(panels: Sequence[tuple[str, Array]], out: Path, title: str = '') -> Path:
    """Write pictures (H, W, 3) side by side under their titles as one PNG.

    Raises:
        OSError: it cannot be written; the message names it, and nothing is left behind.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    dpi = 100
    height, width = panels[0][1].shape[:2]
    gap, head = 12, 64 if title else 34
    total = (len(panels) * (width + gap) + gap, height + head + gap)
    figure = Figure(figsize=(total[0] / dpi, total[1] / dpi), dpi=dpi, facecolor='white')
    canvas = FigureCanvasAgg(figure)
    if title:
        figure.text(gap / total[0], 1 - 18 / total[1], title, fontsize=12.5, weight='bold',
                    va='center', color='0.15')
    for i, (name, picture) in enumerate(panels):
        left = gap + i * (width + gap)
        axes = figure.add_axes((left / total[0], gap / total[1], width / total[0],
                                height / total[1]))
        axes.imshow(picture, interpolation='none', aspect='auto')
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color('0.8')
        figure.text(left / total[0], 1 - (head - 14) / total[1], name, fontsize=10.5,
                    va='center', color='0.3')
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        canvas.print_png(str(out))  # type: ignore[no-untyped-call]
    except OSError as error:
        out.unlink(missing_ok=True)
        raise OSError(f'{out} cannot be written: {error.strerror or error}') from error
    return out
