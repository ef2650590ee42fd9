"""A scene without ROS: plain frames in, recorded publications out."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from instant_models import LIMIT, InstantModels

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.scene.config import SceneConfig
from kinediff3d_ros.scene.frames import DepthArrays, Frame, FrameHeader
from kinediff3d_ros.scene.health import Health
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.scene.scene import Scene
from kinediff3d_ros.scene.scene_object import SceneObject

CAMERA = Intrinsics(60.0, 60.0, 31.5, 23.5, 64, 48)
SECOND = 1_000_000_000


class Publication(NamedTuple):
    """One call of ``ObjectPublisher.publish``."""

    estimate: ArticulatedEstimate
    header: FrameHeader
    points: np.ndarray
    T_fixed_camera: np.ndarray | None
    shape_changed: bool

    @property
    def position(self) -> float:
        return self.estimate.joints[0].position

    @property
    def velocity(self) -> float | None:
        return self.estimate.joints[0].velocity

    @property
    def has_meshes(self) -> bool:
        return any(part.mesh is not None for part in self.estimate.parts)


class RecordingPublisher:
    """An ``ObjectPublisher`` that records its calls."""

    def __init__(self, name: str, category: str, changed: threading.Condition) -> None:
        self.name, self.category, self._changed = name, category, changed
        self.published: list[Publication] = []
        self.prepared: list[ArticulatedEstimate] = []
        self.shown, self.warning = False, ''

    def set_category(self, category: str) -> None:
        self.name = self.category = category

    def prepare(self, estimate) -> None:
        self.prepared.append(estimate)

    def publish(self, *arguments) -> None:
        with self._changed:
            self.published.append(Publication(*arguments))
            self.shown = True
            self._changed.notify_all()

    def clear(self) -> None:
        self.shown = False


class PlainHost:
    """A ``SceneHost`` that records its calls.

    Attributes:
        pose: of the camera; an exception is raised.
        removed: objects that were removed.
        ended: stamps of the frames whose objects were published, and whether late.
    """

    def __init__(self, **parameters: object) -> None:
        self.health, self.objects = Health('waiting', 'no input yet'), {}
        self.lock, self.removed = threading.RLock(), list[SceneObject]()
        self.ended: list[tuple[int, bool]] = []
        self.parameters = PerceptionParameters(**parameters)
        self.changed = threading.Condition()
        self.log_lines: list[tuple[str, str]] = []
        self.reports = 0
        self.pose: np.ndarray | Exception | None = None

    def make_object(self, number: int, category: str = '') -> SceneObject | None:
        if len(self.objects) >= self.parameters.max_objects:
            return None
        name = f'laptop_{number}' if number else 'laptop'
        health = Health('waiting', 'not seen yet') if number else self.health
        publisher = RecordingPublisher(name, category or self.parameters.category, self.changed)
        self.objects[number] = SceneObject(number, publisher, health)
        return self.objects[number]

    def remove_object(self, number: int) -> None:
        self.removed.append(self.objects.pop(number))

    def camera_pose(self, header: FrameHeader) -> np.ndarray | None:
        if isinstance(self.pose, Exception):
            raise self.pose
        return self.pose

    def end_frame(self, header: FrameHeader, late: bool) -> None:
        with self.changed:
            self.ended.append((header.nanoseconds, late))
            self.changed.notify_all()

    def age(self, header: FrameHeader) -> float:
        return 0.25

    def log(self, state: str, message: str) -> None:
        with self.changed:
            self.log_lines.append((state, message))
            self.changed.notify_all()

    def report(self) -> None:
        with self.changed:
            self.reports += 1
            self.changed.notify_all()

    def wait_for(self, condition):
        """The first true value of a condition, checked whenever something happens."""
        with self.changed:
            self.changed.wait_for(condition, LIMIT)
            value = condition()
        assert value
        return value


def frame_of(angles: dict[int, float], nanoseconds: int) -> Frame:
    """Up to three objects side by side, by mask id, with these angles."""
    depth, mask = np.zeros((48, 64), np.float32), np.zeros((48, 64), np.uint16)
    for i, (number, angle) in enumerate(angles.items()):
        at = np.s_[8:40, 4 + 20 * i:20 + 20 * i]
        depth[at], mask[at] = angle, number
    return Frame(FrameHeader(nanoseconds, 'camera'), lambda: DepthArrays(depth, CAMERA, mask))


ALL_FRAMES = SceneConfig(initial_frame_period=0.0)
"""No frame is skipped while a full estimate is made."""


class SceneBench:
    """A scene with instant models; closing it checks that its threads end."""

    def __init__(self, config: SceneConfig = ALL_FRAMES, **parameters: object) -> None:
        self.models, self.host = InstantModels(), PlainHost(**parameters)
        self.scene = Scene(self.models, self.host, config=config)
        self.time = 100 * SECOND

    def __enter__(self) -> SceneBench:
        return self

    def __exit__(self, *_: object) -> None:
        self.models.may_estimate.set()
        self.scene.close()
        assert self.scene.join(LIMIT)

    def set(self, **parameters: object) -> None:
        self.host.parameters = replace(self.host.parameters, **parameters)

    def frame(self, angles: dict[int, float], nanoseconds: int | None = None) -> Frame:
        """Objects side by side, by mask id, with these angles; 0.1 s after the last one."""
        if nanoseconds is None:
            self.time += SECOND // 10
            nanoseconds = self.time
        return frame_of(angles, nanoseconds)

    def show(self, angles: dict[int, float], nanoseconds: int | None = None) -> int:
        """Submit a frame; its stamp."""
        frame = self.frame(angles, nanoseconds)
        self.scene.submit(frame)
        return frame.header.nanoseconds

    def show_depth(self, angle: float) -> int:
        """Submit a frame without a mask of the only object; its stamp."""
        masked = self.frame({1: angle})
        self.scene.submit(replace(masked, convert=lambda: replace(
            masked.convert(), instances=None)))
        return masked.header.nanoseconds

    def show_late(self, angle: float, nanoseconds: int) -> None:
        """Submit an earlier frame of the only object again, with its mask."""
        self.scene.submit(replace(self.frame({1: angle}, nanoseconds), initializes=True))

    def publication(self, stamp: int, number: int = 0) -> Publication:
        """What is published of an object with a stamp, after everything about it is counted."""
        publication = self.host.wait_for(lambda: number in self.host.objects and next(
            (p for p in self.host.objects[number].publisher.published
             if p.header.nanoseconds == stamp), None))
        with self.scene._objects.lock:
            return publication

    def see(self, angle: float) -> Publication:
        """Show the only object and wait for what is published of it."""
        return self.publication(self.show({1: angle}))

    def wait_for(self, condition):
        """As the host's; also for what no publication or log line announces."""
        end = threading.Event()
        for _ in range(int(LIMIT / 0.01)):
            if value := condition():
                return value
            end.wait(0.01)
        raise AssertionError('nothing within the limit')

    def logged(self, state: str) -> str:
        """The first log line of a state."""
        return self.host.wait_for(lambda: next(
            (message for s, message in self.host.log_lines if s == state), None))

    @property
    def counts(self) -> dict[str, int]:
        return self.host.health.counts
