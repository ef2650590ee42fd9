"""Sheet of realistic views: depth images as ``evaluate --source realistic`` has them.

    python -m kinediff3d_core.evaluation.view_sheet --out docs/images/realistic_views.png

Bright is near, black has no depth, and the outline is that of the mask. With ``--frames DIR``,
folders with ``depth.png`` (16 bit, mm) and ``mask.png`` are drawn in the same colours, to compare.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.samples import (
    Sample,
    Samples,
    UnusableView,
    procedural_samples,
)
from kinediff3d_core.evaluation.sheet import CELL, write_sheet
from kinediff3d_core.io.depth import read_depth
from kinediff3d_core.io.mask import read_mask
from kinediff3d_core.simulation.families import FAMILIES
from kinediff3d_core.simulation.real_world import TEST_WORLD

Array = np.ndarray[Any, Any]

MARGIN = 0.25
"""Margin of a picture around the mask, as a share of its box. Chosen."""
OUTLINE = (255, 60, 60)


def view_picture(depth: Array, mask: Array) -> Array:
    """Picture (h, w, 3) uint8 of a depth image (H, W), m, around a mask (H, W) bool."""
    from PIL import Image

    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    scale = max(height / CELL[1], width / CELL[0]) * (1 + 2 * MARGIN)
    half_h, half_w = int(CELL[1] * scale / 2), int(CELL[0] * scale / 2)
    y, x = int(rows.mean()), int(columns.mean())
    pad = max(half_h, half_w)
    cut = np.s_[y + pad - half_h:y + pad + half_h, x + pad - half_w:x + pad + half_w]
    z, m = np.pad(depth, pad)[cut], np.pad(mask, pad)[cut]
    seen = z[m & (z > 0)]
    low, high = np.percentile(seen, [1, 99]) if seen.size else (0.0, 1.0)
    span = max(high - low, 1e-3)
    grey = np.clip(230 - 170 * (z - low) / span, 40, 255) * (z > 0)
    inner = m & np.roll(m, 1, 0) & np.roll(m, -1, 0) & np.roll(m, 1, 1) & np.roll(m, -1, 1)
    colours = np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)
    colours[m & ~inner] = OUTLINE
    return np.asarray(Image.fromarray(colours).resize(CELL, Image.Resampling.NEAREST))


def view_sheet(out: Path, categories: Sequence[str], count: int, seed: int,
               frames: Path | None = None) -> Path:
    """Write ``count`` views of each category, and the frames of a folder, as one PNG."""
    groups = []
    for name in categories:
        samples = procedural_samples(name, seed, shapes=False, world=TEST_WORLD)
        groups.append((name, [(v.name, view_picture(v.depth, v.mask))
                              for v in _usable(samples, count)]))
    if frames is not None:
        groups.append((frames.name, [
            (folder.name, view_picture(read_depth(folder / 'depth.png'),
                                       read_mask(folder / 'mask.png')))
            for folder in sorted(frames.iterdir()) if (folder / 'mask.png').is_file()
            and (folder / 'depth.png').is_file()]))
    return write_sheet(groups, out)


def _usable(samples: Samples, count: int) -> Iterator[Sample]:
    """The first ``count`` views that show enough of the object."""
    found, index = 0, 0
    while found < count:
        try:
            view = samples(index)
        except UnusableView:
            continue
        finally:
            index += 1
        found += 1
        yield view


def _write(options: argparse.Namespace) -> None:
    print(view_sheet(options.out, options.categories, options.count, options.seed,
                     options.frames))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the sheet; returns the exit status."""
    parser = Parser('view_sheet', 'Draw realistic views.')
    parser.add_argument('--out', type=Path, default=Path('realistic_views.png'))
    parser.add_argument('--categories', nargs='+', choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument('--count', type=int, default=6, help='views a category (default 6)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--frames', type=Path, metavar='DIR', help='real frames, to compare')
    return run(parser, _write, arguments)


if __name__ == '__main__':
    sys.exit(main())
