"""Models for tests of a scene: estimates and trackers that answer at once.

The depth image determines the estimate: the lid's angle in radians is the mean depth in metres.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from estimates import laptop_estimate

from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import DepthView, ObjectCloud
from kinediff3d_core.tracking.reinitialization import TrackingLost

LIMIT = 30.0
"""Seconds that a test waits for anything."""
JUMP = 0.5
"""Largest motion between two frames that :class:`InstantTracker` tracks, rad."""
BESIDE = 0.03
"""What is looked at beside the last cloud of a frame without a mask, tangent of the angle."""
TOO_FAR = 3.0
"""Depth beyond which there is no estimate, m."""


def as_stapler(laptop: ArticulatedEstimate) -> ArticulatedEstimate:
    """The same object with a stapler's names."""
    base, lid = laptop.parts
    return replace(laptop, category='stapler', parts=(base, replace(lid, name='arm')),
                   joints=(replace(laptop.joints[0], name='arm_joint', child='arm'),),
                   categories={'laptop': 0.2, 'stapler': 0.8})


class InstantTracker:
    """Tracks up to half a radian per frame; :class:`InstantModels` has its settings."""

    score = 0.0

    def __init__(self, models: InstantModels, estimate: ArticulatedEstimate,
                 seconds: float) -> None:
        self.models, self.estimate, self.seconds = models, estimate, seconds
        self.uncertain, self.cloud = False, ObjectCloud(estimate.points)
        self.reinitialization_interval = models.reinitialization_interval
        self.mark_view()

    def track(self, cloud, seconds, T_fixed_camera=None):
        self.models.before_tracking()
        if isinstance(cloud, DepthView):
            cloud = self._below(backproject(cloud.depth, cloud.intrinsics))
        self.cloud = cloud
        position, before = float(cloud.points[:, 2].mean()), self.estimate.joints[0].position
        if abs(position - before) > JUMP:
            raise TrackingLost('jumped')
        self.seconds = seconds
        new = laptop_estimate(position)
        if self.estimate.category == 'stapler':
            new = as_stapler(new)
        parts = tuple(replace(part, mesh=previous.mesh) for part, previous in zip(
            new.parts, self.estimate.parts, strict=True))
        self.estimate = replace(new, joints=(replace(new.joints[0], velocity=0.25),), parts=parts,
                                categories=self.estimate.categories)
        return self.estimate

    def _below(self, points):
        """The points in the image's columns of the last cloud, and a little beside them."""
        u, before = points[:, 0] / points[:, 2], self.cloud.points
        before = before[:, 0] / before[:, 2]
        near = (u > before.min() - BESIDE) & (u < before.max() + BESIDE)
        if not near.any():
            raise TrackingLost('gone')
        return ObjectCloud(points[near])

    def merge_limits(self, other):
        return self.estimate

    def description_changed(self) -> bool:
        changed, self.models.limits_changed = self.models.limits_changed, False
        return changed

    @property
    def view_changed(self) -> bool:
        return abs(self.estimate.joints[0].position - self.marked) > 0.6

    def mark_view(self) -> None:
        self.marked = self.estimate.joints[0].position


class InstantModels:
    """In place of ``kinediff3d_ros.scene.models.Models``.

    Attributes:
        may_estimate: full estimates wait for it.
        before_inference, before_tracking: called first; may wait or raise.
        begun: full estimates that have begun.
        calls: (category, mesh) of each full estimate that did not have to wait any more; mesh is
            whether it got meshes.
        trackers: those that were made.
        limits_changed: the next tracked frame changes the description.
        fallbacks: errors after which the device was changed.
    """

    def __init__(self, categories=('laptop',)) -> None:
        self.categories, self.device = tuple(categories), 'cpu'
        self.reset()

    def reset(self) -> None:
        self.may_estimate = threading.Event()
        self.may_estimate.set()
        self.before_inference: Callable[[], object] = lambda: None
        self.before_tracking: Callable[[], object] = lambda: None
        self.begun = 0
        self.calls: list[tuple[str, bool]] = []
        self.trackers: list[InstantTracker] = []
        self.limits_changed = False
        self.reinitialization_interval = 3.0
        self.fallbacks: list[Exception] = []

    def infer(self, category, cloud, seed):
        self.begun += 1
        assert self.may_estimate.wait(LIMIT)
        self.calls.append((category, False))
        self.before_inference()
        position = float(cloud.points[:, 2].mean())
        if position > TOO_FAR:
            raise NoEstimate('too far')
        estimate = replace(laptop_estimate(position), points=cloud.points)
        estimate = replace(estimate, parts=tuple(replace(p, mesh=None) for p in estimate.parts))
        if category != 'auto':
            return estimate
        estimate = replace(estimate, categories={'laptop': 0.9, 'stapler': 0.1})
        return estimate if position < 2.0 else as_stapler(estimate)

    def with_meshes(self, category, estimate):
        self.calls[-1] = category, True
        return replace(estimate, parts=tuple(
            replace(part, mesh=meshed.mesh)
            for part, meshed in zip(estimate.parts, laptop_estimate().parts, strict=True)))

    def tracker(self, category, estimate, seconds, T_fixed_camera):
        self.trackers.append(InstantTracker(self, estimate, seconds))
        return self.trackers[-1]

    def fall_back(self, error) -> None:
        self.fallbacks.append(error)
