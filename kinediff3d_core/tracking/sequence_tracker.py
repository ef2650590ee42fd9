"""An object in a sequence of clouds: full estimates where they are needed, tracking between them.

    sequence = SequenceTracker(Pipeline.load('drawer'))
    for cloud, seconds in sequence:
        print(sequence.update(cloud, seconds).estimate.joints[0].position)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.tracking.reinitialization import select_tracker
from kinediff3d_core.tracking.tracker import Tracker, TrackingLost


@dataclass(frozen=True)
class TrackedFrame:
    """What became of one cloud.

    Attributes:
        kind: ``full``, ``tracked`` or ``none``.
        reason: why there is no estimate, or why the track was left; ``second look`` where a full
            estimate was made beside the tracked one.
    """

    kind: str
    estimate: ArticulatedEstimate | None
    reason: str = ''


class SequenceTracker:
    """Follows one object as the perception node does, but with all the time it needs.

    An object in doubt, or seen from another side or in another state than at its last full
    estimate, gets another one, which takes over if it explains the next cloud better.

    Args:
        tracking: False makes every estimate a full one.
        mesh: full estimates have meshes; tracked ones carry them along.
    """

    def __init__(self, pipeline: Pipeline, tracking: bool = True, mesh: bool = True,
                 seed: int = 0) -> None:
        self._pipeline, self._tracking, self._mesh, self._seed = pipeline, tracking, mesh, seed
        self._tracker: Tracker | None = None
        self._candidate: Tracker | None = None
        self._looked = 0.0

    def update(self, cloud: np.ndarray | ObjectCloud, seconds: float) -> TrackedFrame:
        """The estimate of the next cloud, as :meth:`Tracker.track` takes it."""
        estimate, reason = self._track(cloud, seconds)
        if estimate is not None:
            return TrackedFrame('tracked', estimate, reason)
        try:
            estimate = self._look(cloud, seconds)
            self._tracker = self._tracker_of(estimate, seconds)
            return TrackedFrame('full', estimate, reason)
        except (NoEstimate, ValueError) as error:
            return TrackedFrame('none', None, str(error))

    def _look(self, cloud: np.ndarray | ObjectCloud, seconds: float) -> ArticulatedEstimate:
        self._looked = seconds
        return self._pipeline.infer(cloud, mesh=self._mesh, seed=self._seed)

    def _tracker_of(self, estimate: ArticulatedEstimate, seconds: float) -> Tracker | None:
        return Tracker(self._pipeline, estimate, seconds) if self._tracking else None

    def _track(self, cloud: np.ndarray | ObjectCloud, seconds: float,
               ) -> tuple[ArticulatedEstimate | None, str]:
        """The estimate by tracking, or None and why there is none; prepares a second look."""
        tracker, candidate = self._tracker, self._candidate
        self._tracker = self._candidate = None
        if tracker is None:
            return None, ''
        try:
            tracker, estimate = select_tracker(tracker, candidate, cloud, seconds)
        except TrackingLost as lost:
            return None, f'track left: {lost}'
        self._tracker = tracker
        unsure = tracker.uncertain or tracker.view_changed
        if not unsure or seconds - self._looked <= tracker.reinitialization_interval:
            return estimate, ''
        tracker.mark_view()
        try:
            self._candidate = self._tracker_of(self._look(cloud, seconds), seconds)
        except (NoEstimate, ValueError) as error:
            return estimate, f'second look: {error}'
        return estimate, 'second look'
