"""Joint errors of real frames whose masks are grown or bounding boxes.

    python -m kinediff3d_core.evaluation.mask_changes --frames DIR --category laptop

Each frame is estimated with its mask as drawn, grown by ten pixels, and as its bounding box, once
as the masks are and once without the other surfaces in them
(:mod:`kinediff3d_core.observation.mask_outliers`). The table goes into docs/method.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.ndimage
from tqdm import tqdm

from kinediff3d_core.data.datasets.frames import Frames
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import object_cloud
from kinediff3d_core.observation.mask_outliers import without_other_surfaces

GROWN = 10
"""Pixels by which masks are grown. Chosen: what a segmenter is off by on coarse images."""

Mask = np.ndarray


def grown(mask: Mask) -> Mask:
    """A mask (H, W) bool grown by :data:`GROWN` pixels along rows and columns."""
    return np.asarray(scipy.ndimage.maximum_filter(mask, 2 * GROWN + 1))


def bounding_box(mask: Mask) -> Mask:
    """The pixels (H, W) of a mask's bounding box, as a detector gives it."""
    box = np.zeros_like(mask)
    if mask.any():
        rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
        box[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1] = True
    return box


CHANGES: dict[str, Callable[[Mask], Mask]] = {
    'as drawn': lambda mask: mask, f'grown by {GROWN} pixels': grown,
    'bounding box': bounding_box}


def frame_errors(pipeline: Pipeline, frames: Frames, name: str) -> dict[tuple[str, bool], float]:
    """Mean joint error of a frame, deg or mm, by change and whether other surfaces are removed.

    NaN where there is no estimate.
    """
    view = frames.read_view(name)
    assert view.mask is not None
    errors = {}
    for change, make in CHANGES.items():
        for cleaned in (False, True):
            mask = make(view.mask.astype(bool))
            if cleaned:
                mask = without_other_surfaces(view.depth, view.intrinsics, mask)
            try:
                estimate = pipeline.infer(object_cloud(view.depth, view.intrinsics, mask),
                                          mesh=False)
            except NoEstimate:
                errors[change, cleaned] = math.nan
                continue
            errors[change, cleaned] = float(np.mean([
                abs(j.position - true) * (180 / math.pi if j.joint_type == 'revolute' else 1000)
                for j, true in zip(estimate.joints, view.truth.positions, strict=False)]))
    return errors


def table(frames: Sequence[dict[tuple[str, bool], float]]) -> str:
    """Mean and largest error over the frames, without and with the step."""
    def row(change: str) -> list[str]:
        cells = [change]
        for cleaned in (False, True):
            errors = [f[change, cleaned] for f in frames]
            cells += [f'{np.nanmean(errors):.1f}', f'{np.nanmax(errors):.1f}']
        return cells

    return markdown_table(['mask', 'mean error as it is [° or mm]', 'largest',
                           'mean error without other surfaces', 'largest'],
                          [row(change) for change in CHANGES])


def measure(options: argparse.Namespace) -> None:
    """Measure all frames of the category and print the tables."""
    frames, pipeline = Frames(options.frames), Pipeline.load(options.category)
    names = [n for n in frames.views(options.category)
             if n not in options.without and frames.read_view(n).mask is not None]
    if not names:
        raise ValueError(f'{options.frames} has no {options.category} with a mask')
    errors = [frame_errors(pipeline, frames, name)
              for name in tqdm(names, desc=options.category, disable=None)]
    print(table(errors))
    print(f'\n{len(names)} frames: {", ".join(names)}')


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('mask_changes', 'Joint errors with masks that are grown or bounding boxes.')
    parser.add_argument('--frames', type=Path, required=True, metavar='DIR',
                        help='folders with depth.png, camera_info.yaml, mask.png and truth.json')
    parser.add_argument('--category', choices=trained_categories(), default='laptop')
    parser.add_argument('--without', nargs='+', default=[], metavar='FRAME',
                        help='names of frames to leave out')
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
