"""Tracking without masks of joints that move far between two frames.

    python -m kinediff3d_core.evaluation.joint_jumps --categories laptop box stapler

Simulated objects in front of nothing: where a part was, the camera measures nothing afterwards.
Joints stay in a state for some frames and then are in another one in the next frame. The first
frame has a mask. The table goes into docs/method.md.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.observation.cloud import DepthView, object_cloud
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame, SimulatedScene
from kinediff3d_core.simulation.views import TEST_CAMERA
from kinediff3d_core.tracking.config import DEFAULT, TrackingConfig
from kinediff3d_core.tracking.sequence_tracker import SequenceTracker, TrackedFrame

PERIOD = 0.3
"""Time between two frames, s. Chosen: tracking on a busy CPU."""
STATES = 24
"""Joint states that are rendered. Chosen."""
JUMPS, FRAMES = 3, 7
"""Jumps of each object, and frames in each state. Chosen: two seconds."""
JUMP = math.radians(35.0), math.radians(90.0)
"""Least and largest jump of the joint with the widest range, rad. Chosen."""
WRONG = math.radians(15.0)
"""Error from which on a frame without the right joint is counted, rad. Chosen."""


def _without(**quality: float) -> TrackingConfig:
    return replace(DEFAULT, quality=replace(DEFAULT.quality, **quality))


VARIANTS = {
    'as shipped': DEFAULT,
    'no search for a smaller area (`area_loss` 1)': _without(area_loss=1.0),
    'no search for missing surface (`missing_growth` 1)': _without(missing_growth=1.0),
    'neither search': _without(area_loss=1.0, missing_growth=1.0),
}


def states(scene: SimulatedScene, rng: np.random.Generator) -> list[int]:
    """The joint state of each frame."""
    span = float((scene.positions[-1] - scene.positions[0]).abs().max())
    step = span / (len(scene.positions) - 1)
    now, shown = int(rng.integers(STATES)), []
    for _ in range(JUMPS + 1):
        shown += [now] * FRAMES
        reached = [s for s in range(STATES) if JUMP[0] < step * abs(s - now) < JUMP[1]]
        now = int(rng.choice(reached or [now]))
    return shown


def wrong(found: TrackedFrame, frame: SimulatedFrame, names: dict[str, int]) -> bool:
    """Whether a joint is wrong, or there is no estimate; ``names`` are indices of positions."""
    return found.estimate is None or any(
        abs(j.position - frame.positions[names[j.name]]) > WRONG
        for j in found.estimate.joints if j.name in names)


def measure_object(pipeline: Pipeline, instance: int, seed: int) -> dict[str, np.ndarray]:
    """Whether the frames (JUMPS, FRAMES) after the jumps of an object are wrong, by variant."""
    scene = SimulatedScene.sample(pipeline.category.name, seed, instance, TEST_CAMERA, STATES)
    names = {pipeline.category.joints[k].name: k for k in scene.joints}
    camera = SimulatedCamera(scene)
    frames = [camera.state(s) for s in states(scene, np.random.default_rng(instance))]
    results = {}
    for name, config in VARIANTS.items():
        tracker, errors = SequenceTracker(pipeline, mesh=False, config=config), []
        for i, frame in enumerate(frames):
            view = DepthView(frame.depth, TEST_CAMERA) if i else \
                object_cloud(frame.depth, TEST_CAMERA, frame.mask)
            errors.append(wrong(tracker.update(view, i * PERIOD), frame, names))
        results[name] = np.array(errors).reshape(JUMPS + 1, FRAMES)[1:]
    return results


def table(objects: Sequence[dict[str, np.ndarray]]) -> str:
    """Shares of wrong frames by the number of frames since the jump."""
    after = (1, 2, FRAMES)
    head = ['variant', *(f'wrong in frame {n} after the jump [%]' for n in after)]
    rows = []
    for name in VARIANTS:
        shares = np.concatenate([o[name] for o in objects]).mean(0)
        rows.append([name, *(f'{100 * shares[n - 1]:.0f}' for n in after)])
    return markdown_table(head, rows)


def measure(options: argparse.Namespace) -> None:
    """Measure all categories and print the table."""
    objects = []
    for category in options.categories:
        pipeline = Pipeline.load(category)
        objects += [measure_object(pipeline, i, options.seed)
                    for i in tqdm(range(options.objects), desc=category, disable=None)]
    print(f'{JUMPS * len(objects)} jumps')
    print(table(objects))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('joint_jumps', 'Tracking without masks of joints that move far at once.')
    parser.add_argument('--categories', nargs='+', choices=trained_categories(),
                        default=['laptop', 'box', 'stapler'])
    parser.add_argument('--objects', type=int, default=8, help='of each category (default 8)')
    parser.add_argument('--seed', type=int, default=0)
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
