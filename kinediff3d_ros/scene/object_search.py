"""Objects found by segmentation: which segments get a full estimate, and under which number.

A number belongs to a thing, also to one that is none of ours, and is never given again. What is
tracked goes on by tracking's own crop, so segmentation runs only now and then: for things that are
new, and for objects that are not tracked any more.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from kinediff3d_core.geometry.camera import pixel_points
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import DepthView, ObjectCloud, object_cloud
from kinediff3d_core.observation.segmentation import segment_instances
from kinediff3d_core.tracking.association import explained, moved, sampled
from kinediff3d_ros.scene.config import SearchConfig

NONE_OF_OURS = ('things stand out, none of them is ours; what is built in does not stand out and '
                'needs a mask')
"""Said with their number."""


@dataclass(frozen=True)
class KnownObjects:
    """The objects of a scene at the time of a search, by number.

    Attributes:
        tracked: points (N, 3) on each tracked object, camera frame, m.
        pending: a full estimate is being made or waits.
        lost: they were estimated, are neither tracked nor pending, and have not ended yet.
    """

    tracked: Mapping[int, np.ndarray]
    pending: Collection[int]
    lost: Collection[int]


@dataclass
class _Thing:
    """What a number stands for.

    Attributes:
        points: (N, 3) where it was seen last, m, under the fixed frame if there is one.
        found: when it was seen first, monotonic, s.
        seen: when it was seen last.
        settled: two searches one after the other have seen it at the same place.
        ours: it is or was tracked.
        due: time from which on it may get a full estimate, monotonic, s.
        retry: time from one full estimate to the next, s.
    """

    points: np.ndarray
    found: float
    seen: float
    settled: bool
    ours: bool = False
    due: float = -float('inf')
    retry: float = 0.0


class ObjectSearch:
    """Finds objects by segmentation. For one thread.

    Args:
        first: the first number that may be given.
    """

    def __init__(self, config: SearchConfig, first: int = 1) -> None:
        self._config, self._next = config, first
        self._things: dict[int, _Thing] = {}
        self._last = -float('inf')
        self._confirm = False
        self.result = ''

    @property
    def used(self) -> bool:
        """Whether there has been a search."""
        return self._last > -float('inf')

    def note(self, known: KnownObjects, T_fixed_camera: np.ndarray | None) -> None:
        """Store where the tracked objects of a frame are; forget those that have ended."""
        now = time.monotonic()
        for number, points in known.tracked.items():
            self._next = max(self._next, number + 1)
            self._things[number] = _Thing(_moved(T_fixed_camera, points), now, now, True, True)
        for number in self._things.keys() & known.lost:
            self._things[number].ours = True
        present = {*known.tracked, *known.pending, *known.lost}
        self._things = {
            n: thing for n, thing in self._things.items() if n in present or not (
                thing.ours or now - thing.seen > self._config.remembered)}

    def is_due(self, known: KnownObjects, period: float) -> bool:
        """Whether a frame is segmented: ``period`` s after the last one, or soon after it if an
        object was lost or a new thing is to be seen again."""
        soon = self._confirm or known.lost
        wait = min(period, self._config.soon) if soon else period
        return time.monotonic() - self._last >= wait

    def search(self, view: DepthView, T_fixed_camera: np.ndarray | None, known: KnownObjects,
               requested: bool) -> dict[int, ObjectCloud]:
        """The clouds of the things that get a full estimate now, by number, best first.

        Call :meth:`note` with the same objects before.

        Args:
            requested: all that is not tracked gets one.
        """
        now, first, confirming = time.monotonic(), not self._things, self._confirm
        before, self._last, self._confirm = self._last, now, False
        ids = self._segmented(view)
        points = [_moved(T_fixed_camera, p) for p in _segment_points(ids, view)]
        found: dict[int, ObjectCloud] = {}
        for k, number in enumerate(self._numbers(points, known), start=1):
            thing = self._things.get(number)
            if thing is None:
                thing = self._things[number] = _Thing(points[k - 1], now, now, first or requested)
                self._confirm |= not (thing.settled or confirming)
            elif number not in known.tracked:
                thing.points = points[k - 1]
                thing.settled |= thing.seen >= before
            thing.seen = now
            if number not in found and self._is_to_try(number, thing, known, requested, now):
                found[number] = object_cloud(view.depth, view.intrinsics, ids == k)
        self.result = self.result or f'{len(points)} {NONE_OF_OURS}'
        return found

    def postpone(self, number: int) -> None:
        """Note that a thing gets a full estimate: the next one, if this is refused, comes later
        each time."""
        thing = self._things[number]
        thing.retry = 2 * thing.retry or self._config.retry
        thing.due = time.monotonic() + thing.retry

    def _segmented(self, view: DepthView) -> np.ndarray:
        """Ids (H, W) of the segments."""
        self.result = ''
        try:
            return segment_instances(view.depth, view.intrinsics).ids
        except NoEstimate as reason:
            self.result = str(reason)
            return np.zeros(view.depth.shape, dtype=np.int64)

    def _numbers(self, segments: list[np.ndarray], known: KnownObjects) -> list[int]:
        """The number of each segment, which may be a new one."""
        numbers = explained(segments, {n: t.points for n, t in self._things.items()})
        # An object may also be moved during its full estimate, which is of an earlier image.
        unseen = {*known.lost, *known.pending}.difference(known.tracked, numbers)
        lost = {n: self._things[n].points for n in unseen if n in self._things}
        earliest = min((self._things[n].seen for n in lost), default=float('inf'))
        earliest -= self._config.loss_delay
        places = moved({k: segments[k] for k, n in enumerate(numbers)
                        if n is None or self._is_later(n, earliest, known)}, lost)
        given = []
        for k, number in enumerate(numbers):
            if k in places:
                if number is not None:
                    self._things.pop(number, None)
                number = places[k]
            elif number is None:
                number, self._next = self._next, self._next + 1
            given.append(number)
        return given

    def _is_later(self, number: int, earliest: float, known: KnownObjects) -> bool:
        """Whether a number stands for a thing without an estimate that was not found before a
        time: a search between an object's move and the loss of its track took it for new."""
        thing = self._things.get(number)
        return (thing is not None and not thing.ours and thing.found >= earliest
                and number not in known.pending)

    def _is_to_try(self, number: int, thing: _Thing, known: KnownObjects, requested: bool,
                   now: float) -> bool:
        if number in known.tracked or requested:
            return number not in known.tracked
        return number not in known.pending and (
            number in known.lost or thing.settled and now >= thing.due)


def _segment_points(ids: np.ndarray, view: DepthView) -> list[np.ndarray]:
    """Points (N, 3) of each of the segments 1, 2, … of an image of ids (H, W), m."""
    flat = np.flatnonzero((ids > 0).ravel())
    order = np.argsort(ids.ravel()[flat], kind='stable')
    counts = np.bincount(ids.ravel()[flat])[1:]
    camera, depth = view.intrinsics, view.depth.ravel()
    points = []
    for pixels in np.split(flat[order], np.cumsum(counts)[:-1]) if len(flat) else []:
        at = sampled(pixels, SearchConfig.points)
        v, u = np.divmod(at, camera.width)
        points.append(pixel_points(v, u, depth[at], camera))
    return points


def _moved(T: np.ndarray | None, points: np.ndarray) -> np.ndarray:
    """Some of the points (N, 3), moved by T (4, 4), if there is one."""
    some = sampled(points, SearchConfig.points)
    return some if T is None else np.asarray(transform_points(T, some))
