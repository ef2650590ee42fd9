"""When a new full estimate is due, and who goes on."""

from __future__ import annotations

import numpy as np

from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.tracking.config import SECOND_LOOK
from kinediff3d_core.tracking.tracker import Tracker, TrackingLost

BETTER = 0.95
"""A full estimate takes over from tracking if its score in the next frame is below this share."""


def select_tracker(tracker: Tracker, candidate: Tracker | None, cloud: np.ndarray | ObjectCloud,
              seconds: float, T_fixed_camera: np.ndarray | None = None,
              ) -> tuple[Tracker, ArticulatedEstimate]:
    """Who goes on: a tracker, or one from a newer full estimate if that explains a frame better.

    A tracker that goes on is more patient from then on; a new one is as patient as the old. Both
    have a say in where sliding joints end.

    Args:
        candidate: None if there is none. The others: as for :meth:`Tracker.track`.

    Returns:
        the one that goes on, and its estimate of the frame.

    Raises:
        TrackingLost: by both.
    """
    if candidate is None:
        return tracker, tracker.track(cloud, seconds, T_fixed_camera)
    before = tracker.reinitialization_interval
    tracker.reinitialization_interval = min(2 * before, SECOND_LOOK[1])
    try:
        new = candidate.track(cloud, seconds, T_fixed_camera)
    except TrackingLost:
        return tracker, tracker.track(cloud, seconds, T_fixed_camera)
    try:
        tracker.track(cloud, seconds, T_fixed_camera)
    except TrackingLost:
        return candidate, new
    if candidate.score > BETTER * tracker.score:
        return tracker, tracker.merge_limits(candidate)
    candidate.reinitialization_interval = before
    return candidate, candidate.merge_limits(tracker)
