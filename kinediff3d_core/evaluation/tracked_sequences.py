"""Trackers on simulated sequences of test objects, at 30 Hz."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.objects.category import Category
from kinediff3d_core.observation.cloud import object_cloud
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame, SimulatedScene
from kinediff3d_core.simulation.views import TEST_CAMERA
from kinediff3d_core.tracking.config import DEFAULT, TrackingConfig
from kinediff3d_core.tracking.sequence_tracker import TRACKING_LOST, SequenceTracker

RATE = 30
"""Frames a second."""

Frames = Iterable[tuple[SimulatedFrame, Mapping[str, int]]]
"""Frames of a camera at 30 Hz, with the indices into their positions by the joint's name."""


@dataclass(frozen=True)
class TrackedSequence:
    """One object tracked through a sequence.

    Attributes:
        errors: joint errors of all frames and joints, deg or m.
        seconds: wall time of each tracked frame beside which no full estimate was made.
        lost: number of times the object was lost.
    """

    errors: list[float]
    seconds: list[float]
    lost: int


def track_object(pipeline: Pipeline, instance: int, seed: int = 0, frames: int = 300,
                 config: TrackingConfig = DEFAULT) -> TrackedSequence:
    """Track one test object through the frames of :func:`moving_object`."""
    sequence = SequenceTracker(pipeline, mesh=False, seed=seed, config=config)
    return track_frames(sequence, moving_object(pipeline.category, instance, seed, frames))


def moving_object(category: Category, instance: int, seed: int, frames: int) -> Frames:
    """A test object whose joints move once over their whole range and back.

    Args:
        instance: number of the object; the joints of even ones start fully open.
    """
    scene = SimulatedScene.sample(category.name, seed, instance, TEST_CAMERA)
    camera = SimulatedCamera(scene)
    joints = {category.joints[k].name: k for k in scene.joints}
    start = 0.5 if instance % 2 == 0 else 0.0
    for i in range(frames):
        yield camera.frame(start + i / frames), joints


def track_frames(sequence: SequenceTracker, frames: Frames, begin: float = 0.0) -> TrackedSequence:
    """Errors and times of a tracker over frames.

    Args:
        begin: stamp of the first frame, s.
    """
    errors: list[float] = []
    seconds: list[float] = []
    lost = 0
    for i, (frame, joints) in enumerate(frames):
        started = time.perf_counter()
        found = sequence.update(object_cloud(frame.depth, TEST_CAMERA, frame.mask),
                                begin + i / RATE)
        if found.kind == 'tracked' and not found.reason:
            seconds.append(time.perf_counter() - started)
        lost += found.reason.startswith(TRACKING_LOST)
        errors += [abs(j.position - frame.positions[joints[j.name]])
                   * (180 / math.pi if j.joint_type == 'revolute' else 1.0)
                   for j in (found.estimate.joints if found.estimate else ())
                   if j.name in joints]
    return TrackedSequence(errors, seconds, lost)
