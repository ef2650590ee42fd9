"""When a tracked object is uncertain or lost, when another full estimate is due, and whether that
one replaces the track.

The rules of :class:`~kinediff3d_core.tracking.sequence_tracker.SequenceTracker` and the ROS nodes:

- A lost object (:class:`TrackingLost`) is initialized again by a full estimate. The tracker that
  has lost it goes on trying: a single bad image makes an object lost, and the full estimate of
  that image is then worse than the track. So the two compete as below.
- An object that is uncertain, or whose view differs from that of its last full estimate, gets
  another full estimate while it is tracked (:func:`reinitialization_due`).
- In the next frame a tracker of the new estimate competes with the old one
  (:func:`select_tracker`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.observation.cloud import DepthView, ObjectCloud
from kinediff3d_core.tracking.config import DEFAULT, QualityConfig, ReinitializationConfig
from kinediff3d_core.tracking.crop import NO_EVIDENCE, SurfaceEvidence


class TrackingLost(RuntimeError):
    """The object is lost: a full estimate is needed. The message says why."""


class TrackQuality:
    """Judges by motion and score whether a track is certain, uncertain or lost.

    Args:
        joints: of the category.
        scale: metres per canonical unit.
        residual: of the full estimate, canonical units.

    Attributes:
        uncertain: the newest score has grown, but the object is not lost.
    """

    def __init__(self, joints: Sequence[Joint], scale: float, residual: float,
                 config: QualityConfig = DEFAULT.quality) -> None:
        self._joints, self._scale, self._config = joints, scale, config
        self._residual = residual
        self._best_score: float | None = None
        self._usual = SurfaceEvidence(config.usual_seen_through)
        self.uncertain = False

    @property
    def started(self) -> bool:
        """Whether a frame has been judged."""
        return self._best_score is not None

    def growth(self, score: float) -> float:
        """How far a score has grown: 0 at the best score so far, 1 at the configured growth."""
        best, c = self._best_score, self._config
        if best is None:
            best = min(score, c.first_score_ratio * self._residual)
        return (score - best) / ((c.growth_ratio - 1) * best + c.growth_offset)

    def part_missing(self, evidence: SurfaceEvidence) -> bool:
        """Whether clearly more of the surface is missing than in the frames before, or less of
        the object is seen: a part may have moved so far that no point near its prediction shows
        where it is."""
        usual, c = self._usual, self._config
        return (evidence.missing - usual.missing > c.missing_growth
                or evidence.area < (1 - c.area_loss) * usual.area)

    def judge(self, motion: Tensor, score: float,
              evidence: SurfaceEvidence = NO_EVIDENCE) -> None:
        """Judge a frame.

        Args:
            motion: (6 + J,) since the frame before, as :func:`refinement.motion`.
            score: of the fit, canonical units.
            evidence: what the image shows where the fitted surface is.

        Raises:
            TrackingLost: the motion is too large, the score too poor, or the object is not there.
        """
        self._check_motion(motion)
        growth, c = self.growth(score), self._config
        if evidence.seen_through - self._usual.seen_through > c.seen_through_growth:
            raise TrackingLost(f'behind {evidence.seen_through:.0%} of its surface something else '
                               'is seen')
        if growth > c.lost_growth:
            raise TrackingLost('the cloud is no longer explained: residual of '
                               f'{1e3 * self._scale * score:.1f} mm')
        self.uncertain = growth > c.uncertain_growth
        self._usual = self._filtered(evidence)
        # The best score shows how well the shape can explain a view.
        self._best_score = score if self._best_score is None else min(self._best_score, score)

    def _filtered(self, evidence: SurfaceEvidence) -> SurfaceEvidence:
        """What is usual after a frame: in the first one, its own part that is missing and area."""
        usual, weight = self._usual, self._config.evidence_smoothing
        if not self.started:
            usual = replace(evidence, seen_through=usual.seen_through)
        return SurfaceEvidence(*(before + weight * (new - before) for before, new in zip(
            astuple(usual), astuple(evidence), strict=True)))

    def _check_motion(self, motion: Tensor) -> None:
        c = self._config
        rotation, translation = float(motion[3:6].norm()), float(motion[:3].norm())
        if rotation > c.max_rotation or translation > c.max_translation:
            raise TrackingLost(f'moved by {math.degrees(rotation):.0f} degrees and '
                               f'{translation * self._scale:.2f} m between two frames')
        for joint, step in zip(self._joints, motion[6:].abs().tolist(), strict=True):
            if step > (c.max_revolute if joint.joint_type == 'revolute' else c.max_prismatic):
                raise TrackingLost(f'{joint.name} jumped between two frames')


class ViewMonitor:
    """Detects views that differ so much from the last one that a full estimate may be better.

    Args:
        joints: of the category.
        units: (J,) rad or m of a position of 1.
        present: indices of the joints that the object has.
    """

    def __init__(self, joints: Sequence[Joint], units: Tensor, present: Sequence[int],
                 config: ReinitializationConfig = DEFAULT.reinitialization) -> None:
        self._units, self._max_angle = units, config.view_angle
        self._ranges = torch.tensor([j.upper - j.lower for j in joints]).to(units)
        share = {'revolute': config.view_revolute, 'prismatic': config.view_prismatic}
        self._max_motion = torch.tensor([share[j.joint_type] if i in present else math.inf
                                         for i, j in enumerate(joints)])

    def mark(self, direction: Tensor, q: Tensor) -> None:
        """Store the view of a full estimate.

        Args:
            direction: (3,) unit vector from the base to the camera, in the base's frame.
            q: (J,) joint positions, rad or canonical units.
        """
        self._direction, self._shares = direction, self._shares_of_range(q)

    def changed(self, direction: Tensor, q: Tensor) -> bool:
        """Whether a view, given as for :meth:`mark`, differs from the marked one."""
        angle = math.acos(min(1.0, max(-1.0, float(direction @ self._direction))))
        moved = (self._shares_of_range(q) - self._shares).abs() > self._max_motion
        return angle > self._max_angle or bool(moved.any())

    def _shares_of_range(self, q: Tensor) -> Tensor:
        return q * self._units / self._ranges


T = TypeVar('T', bound='Track')


class Track(Protocol):
    """Interface of :class:`~kinediff3d_core.tracking.tracker.Tracker` that the policy uses."""

    reinitialization_interval: float

    @property
    def uncertain(self) -> bool:
        """Whether the newest score has grown."""

    @property
    def view_changed(self) -> bool:
        """Whether the view differs from that of the last full estimate."""

    @property
    def score(self) -> float:
        """Of the newest frame; lower is better."""

    def track(self, cloud: np.ndarray | ObjectCloud | DepthView, seconds: float,
              T_fixed_camera: np.ndarray | None = None) -> ArticulatedEstimate:
        """The estimate of the next frame, or TrackingLost."""

    def merge_limits(self: T, other: T) -> ArticulatedEstimate:
        """The estimate with joint limits from both."""


def reinitialization_due(tracker: Track, elapsed: float, period: float = 0.0) -> bool:
    """Whether a tracked object should get another full estimate.

    Args:
        elapsed: time since the last full estimate, s.
        period: time after which it is due in any case, s; 0 for never.
    """
    return (elapsed > tracker.reinitialization_interval
            and (tracker.uncertain or tracker.view_changed)
            or period > 0 and elapsed > period)


def select_tracker(tracker: T, candidate: T | None,
                   cloud: np.ndarray | ObjectCloud | DepthView, seconds: float,
                   T_fixed_camera: np.ndarray | None = None,
                   config: ReinitializationConfig = DEFAULT.reinitialization,
                   ) -> tuple[T, ArticulatedEstimate]:
    """Track a frame; a tracker of a newer full estimate replaces the old one if it explains more.

    If the old one stays, the interval between full estimates doubles. Both trackers contribute to
    the limits of sliding joints.

    Args:
        candidate: tracker of the newer full estimate; None if there is none.
        cloud, seconds, T_fixed_camera: as for :meth:`Tracker.track`.

    Returns:
        the tracker to use from now on, and its estimate of the frame.

    Raises:
        TrackingLost: by both.
    """
    if candidate is None:
        return tracker, tracker.track(cloud, seconds, T_fixed_camera)
    interval = tracker.reinitialization_interval
    tracker.reinitialization_interval = min(2 * interval, config.max_interval)
    try:
        estimate = candidate.track(cloud, seconds, T_fixed_camera)
    except TrackingLost:
        return tracker, tracker.track(cloud, seconds, T_fixed_camera)
    try:
        tracker.track(cloud, seconds, T_fixed_camera)
    except TrackingLost:
        return candidate, estimate
    if candidate.score > config.better_score_ratio * tracker.score:
        return tracker, tracker.merge_limits(candidate)
    candidate.reinitialization_interval = interval
    return candidate, candidate.merge_limits(tracker)
