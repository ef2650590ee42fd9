"""Publishes the estimates of all objects of a scene and withdraws them when they are lost."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_ros.scene.estimate_requests import EstimateRequest
from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.scene.object_search import KnownObjects
from kinediff3d_ros.scene.object_view import ObjectView
from kinediff3d_ros.scene.scene_host import SceneHost
from kinediff3d_ros.scene.scene_object import SceneObject

MASK_NEEDED = 'waits for a mask to initialize'
"""What ``mask_mode: initialize`` needs while an object is not tracked."""

SEARCHED = 'segmentation looks for it'
"""What follows where there is no mask and an object is not tracked any more."""


class SceneObjects:
    """The objects of a scene, for its two threads and the node's.

    Objects of an earlier scene of the same host continue without what they were tracked by.

    Attributes:
        lock: of the host; held while anything is published or withdrawn.
        epoch: changes when earlier views must not be used any more.
    """

    def __init__(self, host: SceneHost) -> None:
        self._host = host
        self.lock = host.lock
        self.epoch = 0
        self._closed = False
        with self.lock:
            for obj in host.objects.values():
                obj.restart()

    def find(self, number: int, category: str = '') -> SceneObject | None:
        """Return the object of a mask id, made if it is new; None if there may be no more.

        Args:
            category: of a new object, by a detector.
        """
        with self.lock:
            if self._closed:
                return None
            return self._host.objects.get(number) or self._host.make_object(number, category)

    @property
    def tracked(self) -> bool:
        """Whether any object is tracked."""
        with self.lock:
            return any(o.tracker for o in self._host.objects.values())

    @property
    def tracked_numbers(self) -> list[int]:
        """Mask ids of the objects that are tracked."""
        with self.lock:
            return [n for n, o in self._host.objects.items() if o.tracker]

    @property
    def lost_numbers(self) -> list[int]:
        """Mask ids of the objects whose tracker has lost them and tries to find them again."""
        with self.lock:
            return [n for n, o in self._host.objects.items() if o.lost and not o.tracker]

    def is_current(self, obj: SceneObject, view: ObjectView) -> bool:
        """Whether an estimate of a view may be used: neither the scene nor the object has ended,
        and the clock has not been reset since."""
        with self.lock:
            return (not self._closed and view.epoch == self.epoch
                    and self._host.objects.get(obj.number) is obj)

    def publish(self, obj: SceneObject, estimate: ArticulatedEstimate, view: ObjectView) -> None:
        """Publish an estimate, unless one of a newer frame is published already.

        An object that cannot be published is withdrawn.
        """
        with self.lock:
            if not self.is_current(obj, view) or view.seconds <= obj.published:
                return
            obj.published, obj.estimated = view.seconds, time.monotonic()
            seconds = time.perf_counter() - view.begin
            begin = time.perf_counter()
            if not self._host.parameters.publish_meshes:
                estimate = replace(estimate, parts=tuple(
                    replace(part, mesh=None) for part in estimate.parts))
            parts = {part.name: part.mesh is not None for part in estimate.parts}
            obj.shape_changed |= parts != obj.published_parts
            obj.published_parts = parts
            try:
                obj.publisher.publish(estimate, view.header, view.cloud.points,
                                      view.T_fixed_camera, obj.shape_changed)
            except Exception as error:  # The other objects are not affected.
                self._host.health.count('errors')
                self.withdraw(obj, 'error',
                              f'{obj.name} cannot be published: {first_line(error)}')
                return
            obj.shape_changed = False
            obj.health.count('estimates')
            obj.health.enter('estimate', f'{obj.name} is estimated', obj.publisher.warning)
            obj.health.measured(
                estimate, len(view.cloud), view.header.stamp_text('.'),
                self._host.age(view.header), {**estimate.seconds, 'frame': seconds,
                                              'publish': time.perf_counter() - begin})
            if obj.health is not self._host.health:
                self._host.health.enter('estimate', 'objects are estimated')
            self._host.report()

    def end_frame(self, header: FrameHeader, late: bool = False) -> None:
        """Publish what is about all objects of a frame together, after each was published.

        Args:
            late: by the thread of full estimates, whose frames may be older.
        """
        with self.lock:
            if not self._closed:
                self._host.end_frame(header, late)

    def refuse(self, obj: SceneObject, reason: NoEstimate, requests: list[EstimateRequest],
               ) -> None:
        """Report that a frame gives no estimate of an object, and withdraw the last one.

        An object that segmentation has found is removed, unless it was estimated within
        ``lost_after``: it is none of ours.
        """
        obj.health.count('no_estimates')
        obj.answer(requests, False, str(reason))
        self.withdraw(obj, 'no_estimate', f'no estimate: {reason}')
        with self.lock:
            if obj.found and not self._closed and (
                    time.monotonic() - obj.estimated > self._host.parameters.lost_after):
                self._host.health.count('no_estimates')
                obj.last_seen = -float('inf')
                obj.health.enter('lost', f'{obj.name} is none of ours: {reason}')

    def withdraw(self, obj: SceneObject, state: str, message: str) -> None:
        """Withdraw what is shown of an object; the state and the message give the reason."""
        with self.lock:
            if self._closed:
                return
            obj.clear()
            obj.health.enter(state, message)
            self._host.log(state, message)
            self._host.report()

    def log(self, state: str, message: str) -> None:
        """Log a message about a state, unless the scene has ended."""
        with self.lock:
            if not self._closed:
                self._host.log(state, message)

    def withdraw_all(self, state: str, message: str) -> None:
        """Withdraw what is shown of all objects; the state and the message give the reason."""
        with self.lock:
            if not self._closed:
                for obj in self._host.objects.values():
                    self.withdraw(obj, state, message)
                self._host.health.enter(state, message)
                self._host.log(state, message)
                self._host.report()

    def require_initialization(self, obj: SceneObject, reason: str) -> None:
        """Withdraw what is shown of an object that needs a mask or a segment to be found again."""
        needed = SEARCHED if obj.found else MASK_NEEDED
        obj.answer(obj.take_requests(), False, f'{reason}; {needed}')
        self.withdraw(obj, 'waiting', f'{obj.name}: {reason}; {needed}')

    def keep(self, estimating: Collection[int]) -> None:
        """Note that objects are not absent: they get a full estimate."""
        with self.lock:
            for number in estimating:
                if number in self._host.objects:
                    self._host.objects[number].last_seen = time.monotonic()

    def wait_for_masks(self, estimating: Collection[int]) -> None:
        """After a frame without a mask: say so if no object has been initialized yet.

        Args:
            estimating: mask ids of the objects that get a full estimate.
        """
        with self.lock:
            health = self._host.health
            if not estimating and not self.tracked and health.state in ('waiting', 'stale') and (
                    MASK_NEEDED not in health.message):
                self.withdraw_all('waiting', f'no object is tracked; {MASK_NEEDED}')

    def report_none(self, estimating: Collection[int], reason: str) -> None:
        """After a search: say why there is no object, if none is tracked or estimated."""
        with self.lock:
            if not self._closed and not estimating and not self.tracked:
                self._host.health.enter('no_estimate', f'no object: {reason}')
                self._host.log('no_estimate', f'no object: {reason}')
                self._host.report()

    def known(self, estimating: Collection[int]) -> KnownObjects:
        """What segmentation need not look for.

        Args:
            estimating: ids of the objects that get a full estimate.
        """
        with self.lock:
            tracked, lost = {}, set()
            for number, obj in self._host.objects.items():
                tracker = obj.tracker
                if tracker is not None:
                    tracked[number] = tracker.cloud.points
                elif obj.estimated > -float('inf') and obj.health.state != 'lost' and (
                        number not in estimating):
                    lost.add(number)
            return KnownObjects(tracked, set(estimating), lost)

    def withdraw_absent(self) -> None:
        """Withdraw objects whose id has been absent from the mask for ``lost_after``."""
        with self.lock:
            for obj in self._host.objects.values():
                absent = time.monotonic() - obj.last_seen
                if obj.number and absent > self._host.parameters.lost_after and (
                        obj.health.state != 'lost'):
                    obj.drop_trackers()
                    where = 'found in the image' if obj.found else 'in the mask'
                    self.withdraw(obj, 'lost',
                                  f'{obj.name} has not been {where} for {absent:.1f} s')

    def remove_lost(self) -> None:
        """Remove the objects that are lost, with their publishers; on the host's own thread.

        An id that comes back is a new object.
        """
        with self.lock:
            limit = time.monotonic() - self._host.parameters.lost_after
            for obj in [o for o in self._host.objects.values()
                        if o.health.state == 'lost' and o.last_seen < limit]:
                self._host.remove_object(obj.number)
                obj.answer(obj.take_requests(), False, 'is not in the image any more' if obj.found
                           else 'is not in the mask any more')

    def refresh(self) -> None:
        """Send what is due without a frame."""
        with self.lock:
            if not self._closed:
                for obj in self._host.objects.values():
                    obj.publisher.refresh()

    def restart(self) -> None:
        """End all tracking and discard all stored times: the clock was reset and they are after
        the new stamps, or ids come from elsewhere now."""
        with self.lock:
            self.epoch += 1
            for obj in self._host.objects.values():
                obj.restart()

    def count_dropped_frame(self) -> None:
        """Count a frame that was not processed: replaced by a newer one, or waiting at the end."""
        self._host.health.count('frames_dropped')

    def on_error(self, error: Exception) -> None:
        """Report an exception in a thread of the scene; the thread continues."""
        self._host.health.count('errors')
        self.withdraw_all('error', f'frame failed: {first_line(error)}')

    def on_object_error(self, obj: SceneObject, error: Exception) -> None:
        """Report an exception in the work on one object; the others are not affected.

        What a tracker publishes of the object stays.
        """
        self._host.health.count('errors')
        message = f'{obj.name}: frame failed: {first_line(error)}'
        if obj.tracker is None:
            self.withdraw(obj, 'error', message)
        else:
            self.log('error', message)

    def close(self) -> None:
        """Withdraw all objects; nothing is published or logged after it."""
        with self.lock:
            self._closed = True
            self.epoch += 1  # A full estimate that is still running then starts no tracker.
            for obj in self._host.objects.values():
                obj.drop_trackers()
                obj.clear()


def first_line(error: Exception) -> str:
    """Return type and first line of an error."""
    return f'{type(error).__name__}: {error}'.split('\n')[0]
