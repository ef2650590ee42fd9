"""An object in a sequence of clouds: full estimates where they are due, tracking between them.

    sequence = SequenceTracker(Pipeline.load('drawer'))
    for cloud, seconds in recording:
        print(sequence.update(cloud, seconds).estimate.joints[0].position)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kinediff3d_core.inference.candidates import choose_candidate
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.refusal import require_confidence
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import DepthView, ObjectCloud, filter_cloud
from kinediff3d_core.observation.segmentation import Candidate, image_candidates
from kinediff3d_core.tracking.config import DEFAULT, TrackingConfig
from kinediff3d_core.tracking.reinitialization import (
    TrackingLost,
    reinitialization_due,
    select_tracker,
)
from kinediff3d_core.tracking.tracker import Tracker

TRACKING_LOST = 'tracking lost'
"""Start of the reason of a frame in which the track was lost."""
REINITIALIZATION = 're-initialization'
"""Reason of a frame that got a full estimate beside the tracked one."""


@dataclass(frozen=True)
class TrackedFrame:
    """The result of one cloud.

    Attributes:
        kind: ``full``, ``tracked`` or ``none``.
        estimate: None with kind ``none``.
        reason: why there is no estimate, or why the full one was made; empty for a frame that
            was only tracked and for the first one.
    """

    kind: str
    estimate: ArticulatedEstimate | None
    reason: str = ''


class SequenceTracker:
    """Tracks one object as the perception node does, but processes every cloud, whatever it takes.

    :mod:`~kinediff3d_core.tracking.reinitialization` decides when full estimates are made beside
    tracking, and whether they replace it.

    Args:
        tracking: False makes every estimate a full one.
        mesh: full estimates have meshes, which tracked ones keep.
        seed: of the full estimates.
        min_confidence: full estimates of a lower confidence neither start nor replace a track; 0
            takes every one, as :meth:`Pipeline.infer` does.
        candidates: finds the things in an image without a mask (a :class:`DepthView`), best first;
            raises NoEstimate where nothing stands out.
    """

    def __init__(self, pipeline: Pipeline, tracking: bool = True, mesh: bool = True,
                 seed: int = 0, config: TrackingConfig = DEFAULT,
                 min_confidence: float = 0.0,
                 candidates: Callable[[Any], list[Candidate]] = image_candidates) -> None:
        self._pipeline, self._tracking, self._mesh, self._seed = pipeline, tracking, mesh, seed
        self._config, self._min_confidence = config, min_confidence
        self._candidates, self._segmented = candidates, False
        # The one that has lost the object competes with that of the full estimate that followed.
        self._lost: Tracker | None = None
        self._tracker: Tracker | None = None
        self._candidate: Tracker | None = None
        self._last_full = 0.0

    def update(self, view: np.ndarray | ObjectCloud | DepthView, seconds: float) -> TrackedFrame:
        """The estimate of the next frame; arguments as for :meth:`Tracker.track`.

        A :class:`DepthView` needs no mask: a tracked object is found around its prediction, and
        one that is not tracked is the likeliest thing that segmentation finds
        (:func:`choose_candidate`). Of an object that segmentation has found, there is an estimate
        only while something stands out: tracking could take a wall behind it for the object.

        The image in which a track is lost gives no estimate: a single bad image would give a
        wrong one. The next image shows whether the track or its full estimate is right.

        An unexpected error while the object is tracked ends its track, and a full estimate
        follows: the error of one frame does not stay in the next ones.
        """
        try:
            if not isinstance(view, DepthView):
                view = filter_cloud(view)
                things = [Candidate(view)]
            else:
                things = self._candidates(view) if self._segmented else []
            was_lost = self._lost is not None
            estimate, reason = self._track(view, seconds)
            if estimate is not None:
                return TrackedFrame('tracked', estimate, reason)
            estimate = self._infer(things or self._candidates(view), seconds)
            self._segmented = isinstance(view, DepthView)
            self._tracker = self._tracker_of(estimate, seconds)
            if self._lost is not None and not was_lost:
                return TrackedFrame('none', None, reason)
            return TrackedFrame('full', estimate, reason)
        except (NoEstimate, ValueError) as error:
            return TrackedFrame('none', None, str(error))

    def _infer(self, candidates: list[Candidate], seconds: float) -> ArticulatedEstimate:
        self._last_full = seconds
        infer = partial(self._pipeline.infer, mesh=self._mesh, seed=self._seed)
        choice = choose_candidate(infer, candidates, self._min_confidence)
        return require_confidence(choice.estimate, self._min_confidence)

    def _tracker_of(self, estimate: ArticulatedEstimate, seconds: float) -> Tracker | None:
        if not self._tracking:
            return None
        return Tracker(self._pipeline, estimate, seconds, config=self._config)

    def _track(self, view: ObjectCloud | DepthView, seconds: float,
               ) -> tuple[ArticulatedEstimate | None, str]:
        """The estimate by tracking, or None; and the reason of the frame."""
        tracker, candidate = self._tracker, self._candidate
        if self._lost is not None:
            tracker, candidate = self._lost, self._tracker
        self._lost = self._tracker = self._candidate = None
        if tracker is None:
            return None, ''
        try:
            tracker, estimate = select_tracker(tracker, candidate, view, seconds,
                                               config=self._config.reinitialization)
        except TrackingLost as lost:
            self._lost = candidate or tracker
            return None, f'{TRACKING_LOST}: {lost}'
        except Exception as error:
            return None, f'{TRACKING_LOST}: {type(error).__name__}: {error}'
        self._tracker = tracker
        if not reinitialization_due(tracker, seconds - self._last_full):
            return estimate, ''
        tracker.mark_view()
        try:
            cloud = view if isinstance(view, ObjectCloud) else tracker.cloud
            self._candidate = self._tracker_of(self._infer([Candidate(cloud)], seconds), seconds)
        except Exception as error:  # the track goes on, whatever has failed beside it
            return estimate, f'{REINITIALIZATION}: {error}'
        return estimate, REINITIALIZATION
