"""What is answered about real frames whose masks are not given.

    python -m kinediff3d_core.evaluation.unmasked_frames --frames DIR --built-in NAME --json F

The folder has one folder a frame, or a sequence each (docs/datasets.md). Each frame is asked for
its object's category, as ``infer`` does it: segmentation proposes things, and one of them is
chosen (:mod:`kinediff3d_core.inference.candidates`). ``--with-masks`` also estimates the frames
with their masks. An answer is right if its joints are (:mod:`kinediff3d_core.evaluation.refusal`)
and what was chosen overlaps the mask.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from kinediff3d_core.data.datasets.dataset import DatasetView
from kinediff3d_core.data.datasets.frames import Frames
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.refusal import is_right
from kinediff3d_core.evaluation.segmentation import FOUND, overlaps
from kinediff3d_core.inference.candidates import Choice, choose_candidate
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.refusal import MIN_CONFIDENCE
from kinediff3d_core.inference.view import cloud_of
from kinediff3d_core.io.files import write_text
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import DepthView
from kinediff3d_core.observation.instances import Instances
from kinediff3d_core.observation.segmentation import instance_candidates, segment_instances

CONFIDENT = 0.5
"""A wrong answer of a higher confidence misleads. Chosen: more likely right than wrong."""


@dataclass(frozen=True)
class FrameAnswer:
    """What is answered about one frame.

    Attributes:
        frame: its name. masked: whether its mask was given.
        first_iou, chosen_iou, best_iou: IoU with the mask of segmentation's first candidate, of
            the chosen one, also if it is refused, and of the best one; NaN where there is none.
        tried: candidates that got an estimate, of so many ``candidates``.
        joints: errors, deg or mm; None without an estimate, or where other joints were found.
        confidence: 0 without an estimate. right: whether joints and candidate are.
    """

    frame: str
    category: str
    masked: bool
    first_iou: float
    chosen_iou: float
    best_iou: float
    candidates: int
    tried: int
    joints: tuple[float, ...] | None
    confidence: float
    right: bool

    @property
    def misleads(self) -> bool:
        """Whether it is wrong, and likelier right than wrong by its own account."""
        return not self.right and self.confidence > CONFIDENT


def unmasked_answer(pipeline: Pipeline, view: DatasetView) -> FrameAnswer:
    """The answer about a frame whose mask, if it has one, only judges it."""
    choice: Choice | None = None
    found = Instances(np.zeros(view.depth.shape, dtype=np.int64), np.zeros(0))
    try:
        found = segment_instances(view.depth, view.intrinsics)
        choice = choose_candidate(
            partial(pipeline.infer, mesh=False),
            instance_candidates(DepthView(view.depth, view.intrinsics), found))
    except NoEstimate:
        pass
    iou = _candidate_ious(view, found)
    chosen = float(iou[choice.index]) if choice is not None else 0.0
    estimate = None if choice is None else choice.estimate
    right = _is_right(estimate, view.truth) and not chosen <= FOUND
    return FrameAnswer(
        view.name, pipeline.category.name, False, float(iou[0]) if len(iou) else 0.0, chosen,
        float(iou.max(initial=0.0)), len(found), 0 if choice is None else choice.tried,
        joint_errors(estimate, view.truth), estimate.confidence if estimate else 0.0, right)


def masked_answer(pipeline: Pipeline, view: DatasetView) -> FrameAnswer:
    """The answer about a frame with its mask."""
    estimate = None
    try:
        estimate = pipeline.infer(cloud_of(None, view.depth, view.intrinsics, view.mask),
                                  mesh=False)
    except NoEstimate:
        pass
    return FrameAnswer(view.name, pipeline.category.name, True, math.nan, math.nan, math.nan, 0,
                       0, joint_errors(estimate, view.truth),
                       estimate.confidence if estimate else 0.0,
                       _is_right(estimate, view.truth))


def _candidate_ious(view: DatasetView, found: Instances) -> np.ndarray:
    """IoU (n,) of each candidate with the frame's mask; NaN if the frame has none."""
    if view.mask is None:
        return np.full(len(found), math.nan)
    iou = overlaps(((view.mask > 0) & (view.depth > 0)).astype(np.int64), found.ids)
    return iou[0] if len(iou) else np.zeros(iou.shape[1])


def _is_right(estimate: ArticulatedEstimate | None, truth: Truth) -> bool:
    return estimate is not None and is_right(estimate, truth)


def joint_errors(estimate: ArticulatedEstimate | None, truth: Truth) -> tuple[float, ...] | None:
    """Errors (J,) of the joints, deg or mm; None without an estimate, or if it has others."""
    if estimate is None or tuple(j.name for j in estimate.joints) != truth.joint_names:
        return None
    unit = {'revolute': 180 / math.pi, 'prismatic': 1000.0}
    return tuple(abs(j.position - q) * unit[j.joint_type] for j, q in
                 zip(estimate.joints, truth.positions, strict=True))


def answers(frames: Frames, categories: Sequence[str], with_masks: bool) -> Iterator[FrameAnswer]:
    """The answers about all frames of the categories."""
    for category in categories:
        names = frames.views(category)
        if not names:
            continue
        pipeline = Pipeline.load(category)
        for name in tqdm(names, desc=category, unit='frame', disable=None):
            view = frames.read_view(name)
            yield unmasked_answer(pipeline, view)
            if with_masks and view.mask is not None:
                yield masked_answer(pipeline, view)


def report(found: Sequence[FrameAnswer], built_in: Sequence[str] = ()) -> str:
    """The table of all answers, and what they come to.

    Args:
        built_in: frames whose object does not stand free; they do not count in the mean IoU.
    """
    table = markdown_table(
        ['frame', 'mask', 'IoU: first', 'chosen', 'best', 'tried', 'joint errors [° or mm]',
         'confidence', 'answer'], [_row(a) for a in found])
    free = [a for a in found if not (a.masked or a.frame in built_in or math.isnan(a.best_iou))]
    first, chosen, best = (np.mean([getattr(a, f'{k}_iou') for a in free] or [math.nan])
                           for k in ('first', 'chosen', 'best'))
    known = [a for a in found if not a.masked]
    return '\n'.join([
        table, '', f'{len(free)} frames whose object stands free: mean IoU first {first:.2f}, '
        f'chosen {chosen:.2f}, best {best:.2f}',
        f'without masks: {sum(a.right and _accepted(a) for a in known)} of {len(known)} right, '
        f'{sum(not _accepted(a) for a in known)} refused',
        f'wrong with a confidence above {CONFIDENT:g}: {sum(a.misleads for a in found)} of '
        f'{len(found)} answers'])


def _accepted(answer: FrameAnswer) -> bool:
    return answer.confidence >= MIN_CONFIDENCE


def _row(a: FrameAnswer) -> list[str]:
    numbers = ['' if math.isnan(x) else f'{x:.2f}' for x in (a.first_iou, a.chosen_iou,
                                                             a.best_iou)]
    joints = 'others' if a.joints is None else ', '.join(f'{e:.1f}' for e in a.joints)
    judged = ('right' if a.right else 'wrong') if _accepted(a) else 'refused'
    return [a.frame, 'given' if a.masked else '', *numbers,
            '' if a.masked else f'{a.tried} of {a.candidates}', joints if a.confidence else '',
            f'{a.confidence:.2f}', judged]


def measure(options: argparse.Namespace) -> None:
    """Measure the frames and print the table."""
    frames = Frames(options.frames)
    names = options.categories or [c for c in frames.categories if c in trained_categories()]
    found = list(answers(frames, names, options.with_masks))
    if not found:
        raise ValueError(f'{options.frames} has no frame of {", ".join(names) or "ours"}')
    print(report(found, options.built_in))
    if options.json is not None:
        records: list[dict[str, Any]] = [
            {k: None if v != v else v for k, v in asdict(a).items()} for a in found]
        write_text(options.json, json.dumps(records, indent=1) + '\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('unmasked_frames', 'Answers about real frames whose masks are not given.')
    parser.add_argument('--frames', type=Path, required=True, metavar='DIR',
                        help='folders with depth.png, camera_info.yaml, mask.png and truth.json')
    parser.add_argument('--categories', nargs='+', choices=trained_categories(), metavar='C',
                        help='categories whose frames are measured (default: all)')
    parser.add_argument('--built-in', nargs='+', default=[], metavar='FRAME',
                        help='frames whose object does not stand free: not in the mean IoU')
    parser.add_argument('--with-masks', action='store_true',
                        help='estimate the frames with their masks, too')
    parser.add_argument('--json', type=Path, metavar='F', help='results')
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
