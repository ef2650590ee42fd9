"""Tracking with a mask in each frame beside tracking with the first mask alone.

    python -m kinediff3d_core.evaluation.unmasked_tracking --categories laptop drawer
    python -m kinediff3d_core.evaluation.unmasked_tracking --frames DIR --sequence sequence_laptop

The first command uses simulated objects on a table, whose joints move over their range and back in
ten seconds while an arm passes before them, the same frames for all variants. The second one uses
a recorded sequence that has a mask of its first frame (the data set ``frames``, docs/datasets.md).
The tables go into docs/method.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from kinediff3d_core.data.datasets.frames import Frames
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.observation.cloud import DepthView, object_cloud
from kinediff3d_core.simulation.arm import arm_depth, before_object
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame, SimulatedScene
from kinediff3d_core.simulation.views import TEST_CAMERA
from kinediff3d_core.tracking.config import DEFAULT
from kinediff3d_core.tracking.sequence_tracker import (
    TRACKING_LOST,
    SequenceTracker,
    TrackedFrame,
)

SECONDS, RATE = 10.0, 10
"""Length of a sequence, s, and frames a second. Chosen: slower than cameras, so that surfaces move
farther between two frames."""

SEQUENCE_PERIOD = 0.2
"""Time between the frames of a recorded sequence, s. Chosen: the recordings do not state it."""

STATES = 16
"""Joint states that are rendered. Chosen."""

VARIANTS = {
    'a mask in each frame': (True, DEFAULT),
    'the first mask alone': (False, DEFAULT),
    'the first mask alone, without planes': (
        False, replace(DEFAULT, crop=replace(DEFAULT.crop, planes=0))),
}
"""Whether every frame has its mask, and the configuration of tracking."""


@dataclass
class SequenceErrors:
    """Errors of one object in one variant: joints, deg or mm; the base's place, mm."""

    joints: list[float] = field(default_factory=list)
    base: list[float] = field(default_factory=list)
    lost: int = 0

    def add_joints(self, found: TrackedFrame, positions: np.ndarray,
                   names: dict[str, int]) -> None:
        """Add the errors of the joints in one frame; ``positions`` (J,), ``names`` their index."""
        self.lost += found.reason.startswith(TRACKING_LOST) or found.estimate is None
        if found.estimate is not None:
            self.joints += [abs(j.position - positions[names[j.name]])
                            * (180 / math.pi if j.joint_type == 'revolute' else 1000.0)
                            for j in found.estimate.joints if j.name in names]

    def add(self, found: TrackedFrame, frame: SimulatedFrame, names: dict[str, int]) -> None:
        """Add the errors of one frame."""
        self.add_joints(found, frame.positions, names)
        if found.estimate is None:
            return
        self.base.append(1000 * float(np.linalg.norm(
            found.estimate.parts[0].T_camera_part[:3, 3] - frame.T_camera_base[:3, 3])))


def frames_with_arm(scene: SimulatedScene, start: float) -> Iterator[tuple[SimulatedFrame, float]]:
    """Frames and their stamps, s; the first one shows no arm."""
    camera, count = SimulatedCamera(scene, table=True), int(SECONDS * RATE)
    middle = scene.T_camera_base[0, :3, 3].double().numpy()
    for i in range(count):
        frame = camera.frame(start + i / count)
        yield before_object(frame, arm_depth(i / RATE, middle, scene.intrinsics)), i / RATE


def measure_object(pipeline: Pipeline, instance: int, seed: int) -> dict[str, SequenceErrors]:
    """Errors of one test object by variant; the joints of even ones start fully open."""
    category = pipeline.category
    scene = SimulatedScene.sample(category.name, seed, instance, TEST_CAMERA, STATES)
    names = {category.joints[k].name: k for k in scene.joints}
    trackers = {name: SequenceTracker(pipeline, mesh=False, config=config)
                for name, (_, config) in VARIANTS.items()}
    errors = {name: SequenceErrors() for name in VARIANTS}
    for frame, seconds in frames_with_arm(scene, 0.5 if instance % 2 == 0 else 0.0):
        for name, tracker in trackers.items():
            masked = VARIANTS[name][0] or seconds == 0
            view = object_cloud(frame.depth, TEST_CAMERA, frame.mask) if masked \
                else DepthView(frame.depth, TEST_CAMERA)
            errors[name].add(tracker.update(view, seconds), frame, names)
    return errors


def table(results: dict[str, list[dict[str, SequenceErrors]]]) -> str:
    """Means over the objects of a category, and the paired change of the mean joint error."""
    head = ['category', 'masks', 'joint error [° or mm], mean', '95th percentile',
            'change of the mean', 'base [mm], mean', 'lost']
    rows = []
    for category, objects in results.items():
        before = np.array([np.mean(next(iter(o.values())).joints) for o in objects])
        for name in VARIANTS:
            mine = [o[name] for o in objects]
            means = np.array([np.mean(e.joints) for e in mine])
            change = means - before
            error = change.std() / len(change) ** 0.5
            rows.append([category, name, f'{means.mean():.2f}',
                         f'{np.mean([np.percentile(e.joints, 95) for e in mine]):.2f}',
                         f'{change.mean():+.2f} ± {error:.2f}',
                         f'{np.mean([np.mean(e.base) for e in mine]):.1f}',
                         str(sum(e.lost for e in mine))])
    return markdown_table(head, rows)


def measure_sequence(frames: Frames, sequence: str) -> str:
    """Joint errors of a recorded sequence with the mask of its first frame, and without a mask.

    Raises:
        ValueError: no such sequence, or its first frame has no mask.
    """
    names = [n for c in frames.categories for n in frames.views(c) if n.startswith(f'{sequence}/')]
    views = [frames.read_view(name) for name in names]
    if not views or views[0].mask is None:
        raise ValueError(f'{frames.root / sequence} is no sequence with a mask of its first frame')
    pipeline = Pipeline.load(frames.category_of(names[0]))
    indices = {j.name: i for i, j in enumerate(pipeline.category.joints)}
    rows = []
    for title, masked in (('the first mask alone', True), ('no mask', False)):
        tracker, errors = SequenceTracker(pipeline, mesh=False), SequenceErrors()
        for i, view in enumerate(views):
            shown = object_cloud(view.depth, view.intrinsics, view.mask.astype(bool)) \
                if masked and i == 0 and view.mask is not None \
                else DepthView(view.depth, view.intrinsics)
            errors.add_joints(tracker.update(shown, i * SEQUENCE_PERIOD), view.truth.positions,
                              indices)
        rows.append([title, f'{np.mean(errors.joints):.1f}', f'{np.max(errors.joints):.1f}',
                     str(errors.lost)])
    return markdown_table(['masks', 'joint error [° or mm], mean', 'largest', 'lost'], rows)


def measure(options: argparse.Namespace) -> None:
    """Measure the sequence, or all categories, and print the table."""
    if options.frames is not None:
        print(measure_sequence(Frames(options.frames), options.sequence))
        return
    results: dict[str, list[dict[str, SequenceErrors]]] = {}
    for category in options.categories:
        pipeline = Pipeline.load(category)
        results[category] = [
            measure_object(pipeline, i, options.seed)
            for i in tqdm(range(options.objects), desc=category, disable=None)]
    print(table(results))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('unmasked_tracking', 'Tracking with and without masks.')
    parser.add_argument('--categories', nargs='+', choices=trained_categories(),
                        default=['laptop', 'drawer'])
    parser.add_argument('--objects', type=int, default=4, help='of each category (default 4)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--frames', type=Path, metavar='DIR', help='recorded frames instead')
    parser.add_argument('--sequence', default='sequence_laptop',
                        help='folder in --frames (default sequence_laptop)')
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
