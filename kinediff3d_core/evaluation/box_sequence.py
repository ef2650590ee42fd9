"""Whether the joints of objects that stand still come out alike in all views of a sequence, with
bounding boxes instead of masks.

    python -m kinediff3d_core.evaluation.box_sequence --sequence DIR

The folder has ``depth/<frame>.png``, ``camera_info.yaml`` and ``boxes.json``, a list of
``{"frame", "bbox_xyxy", "category", "object"}`` as a detector gives them. The joints were not
measured, but each is one number over all views: an estimate is judged by its deviation from the
median of its object.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.io.camera_info import read_camera_info
from kinediff3d_core.io.depth import read_depth
from kinediff3d_core.io.files import write_text
from kinediff3d_core.io.mask_pixels import box_mask
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import object_cloud
from kinediff3d_core.observation.mask_outliers import without_other_surfaces

NEAR, FAR = 10.0, 20.0
"""Deviations from the median up to which a view agrees, and from which it is wrong, degrees (mm of
a sliding joint). Chosen: what a gripper at a lid of 20 cm forgives, 35 mm, and twice that."""
CONFIDENT = 0.5
"""A wrong view of a higher confidence misleads. Chosen: more likely right than wrong."""


@dataclass(frozen=True)
class BoxedView:
    """One object in one view.

    Attributes:
        frame: name of the depth image. object: number in the detector's list.
        box: (4,) left, top, right, bottom, pixels; the last two are beyond the box.
    """

    frame: str
    object: int
    category: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class ViewResult:
    """What was estimated of an object in a view.

    Attributes:
        joints: positions, deg or mm; None where there is no estimate, and ``reason`` says why.
        share: share of the box's depth that is taken as the object's.
    """

    frame: str
    object: int
    category: str
    joints: tuple[float, ...] | None
    confidence: float
    share: float
    reason: str = ''


def read_boxes(path: Path) -> list[BoxedView]:
    """The boxes of a sequence in the file's order.

    Raises:
        ValueError: not such a list; one line that names the file.
    """
    try:
        views = [BoxedView(str(b['frame']), int(b['object']), str(b['category']),
                           _corners(b['bbox_xyxy'])) for b in json.loads(path.read_text())]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is not a list of {{"frame", "bbox_xyxy", "category", "object"}}:'
                         f' {type(error).__name__} {error}') from error
    if not views:
        raise ValueError(f'{path} has no box')
    return views


def _corners(values: Sequence[float]) -> tuple[int, int, int, int]:
    left, top, right, bottom = (int(v) for v in values)
    if left >= right or top >= bottom:
        raise ValueError(f'an empty box {list(values)}')
    return left, top, right, bottom


def estimate_view(pipeline: Pipeline, view: BoxedView, depth: np.ndarray, intrinsics: Intrinsics,
                  ) -> ViewResult:
    """What the pipeline estimates of a box's object, as the node and ``infer`` do it."""
    box = box_mask(view.box, (intrinsics.height, intrinsics.width))
    mask = without_other_surfaces(depth, intrinsics, box)
    share = float((mask & (depth > 0)).sum() / max(1, (box & (depth > 0)).sum()))
    known = view.frame, view.object, view.category
    try:
        estimate = pipeline.infer(object_cloud(depth, intrinsics, mask), mesh=False)
    except NoEstimate as reason:
        return ViewResult(*known, None, 0.0, share, str(reason))
    return ViewResult(*known, tuple(
        j.position * (180 / math.pi if j.joint_type == 'revolute' else 1000)
        for j in estimate.joints), float(estimate.confidence), share)


def sequence_results(folder: Path) -> Iterator[ViewResult]:
    """The results of all boxes of a sequence.

    Raises:
        ValueError: an unreadable sequence, or a category without weights.
    """
    pipelines: dict[str, Pipeline] = {}
    views = read_boxes(folder / 'boxes.json')
    for view in tqdm(views, unit='box', disable=None):
        depth = read_depth(folder / 'depth' / f'{view.frame}.png')
        intrinsics = read_camera_info(folder / 'camera_info.yaml', (depth.shape[1],
                                                                    depth.shape[0]))
        if view.category not in pipelines:
            pipelines[view.category] = Pipeline.load(view.category)
        yield estimate_view(pipelines[view.category], view, depth, intrinsics)


def deviations(results: Sequence[ViewResult]) -> np.ndarray:
    """Largest deviation (n,) of a joint from the median over the views of its object.

    It is infinite for a view without an estimate, and for one with other joints than most.
    """
    off = np.full(len(results), np.inf)
    for number in {r.object for r in results}:
        found = [(i, r.joints) for i, r in enumerate(results)
                 if r.object == number and r.joints is not None]
        counts = np.bincount([len(joints) for _, joints in found] or [0])
        usual = [(i, joints) for i, joints in found if len(joints) == counts.argmax()]
        if usual:
            values = np.array([joints for _, joints in usual])
            off[[i for i, _ in usual]] = np.abs(values - np.median(values, 0)).max(1, initial=0)
    return off


def report(results: Sequence[ViewResult]) -> str:
    """The table of all views, and one line with the shares for each object."""
    off = deviations(results)
    order = sorted(range(len(results)), key=lambda i: (results[i].object, results[i].frame))
    rows = [_row(results[i], off[i]) for i in order]
    lines = [markdown_table(['object', 'frame', 'joints [° or mm]', 'from the median',
                             'confidence', 'share of the box'], rows), '']
    for number in sorted({r.object for r in results}):
        mine = [i for i, r in enumerate(results) if r.object == number]
        misleading = [i for i in mine if off[i] > FAR and results[i].confidence > CONFIDENT]
        lines.append(
            f'object {number}: {np.mean(off[mine] <= NEAR):.0%} of {len(mine)} views within '
            f'{NEAR:g} of the median; {len(misleading)} off by more than {FAR:g} with a '
            f'confidence above {CONFIDENT:g}')
    return '\n'.join(lines)


def _row(result: ViewResult, off: float) -> list[str]:
    head = [f'{result.object} ({result.category})', result.frame]
    if result.joints is None:
        return [*head, result.reason, '', '', f'{result.share:.2f}']
    return [*head, ', '.join(f'{q:.1f}' for q in result.joints), f'{off:.1f}',
            f'{result.confidence:.2f}', f'{result.share:.2f}']


def measure(options: argparse.Namespace) -> None:
    """Measure the sequence and print the table."""
    results = list(sequence_results(options.sequence))
    print(report(results))
    if options.json is not None:
        records: list[dict[str, Any]] = [asdict(r) for r in results]
        write_text(options.json, json.dumps(records, indent=1) + '\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('box_sequence', 'Joints of still objects over the views of a sequence.')
    parser.add_argument('--sequence', type=Path, required=True, metavar='DIR',
                        help='folder with depth/, camera_info.yaml and boxes.json')
    parser.add_argument('--json', type=Path, metavar='F', help='results')
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
