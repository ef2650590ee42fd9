"""Publishes the estimates of all objects of a scene and withdraws them when they are lost."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_ros.scene.estimate_requests import EstimateRequest
from kinediff3d_ros.scene.object_view import ObjectView
from kinediff3d_ros.scene.scene_host import SceneHost
from kinediff3d_ros.scene.scene_object import SceneObject


class SceneObjects:
    """The objects of a scene, for its two threads and the node's.

    Attributes:
        lock: held while anything is published or withdrawn.
        epoch: changes when earlier views must not be used any more.
    """

    def __init__(self, host: SceneHost) -> None:
        self._host = host
        self.lock = threading.RLock()
        self.epoch = 0
        self._closed = False

    def find(self, number: int) -> SceneObject | None:
        """Return the object of a mask id, made if it is new; None if there may be no more."""
        with self.lock:
            return self._host.objects.get(number) or self._host.make_object(number)

    @property
    def tracked(self) -> bool:
        """Whether any object is tracked."""
        return any(o.tracker for o in list(self._host.objects.values()))

    def publish(self, one: SceneObject, estimate: ArticulatedEstimate, view: ObjectView) -> None:
        """Publish an estimate, unless one of a newer frame is published already."""
        with self.lock:
            if self._closed or view.seconds <= one.published:
                return
            one.published = view.seconds
            seconds = time.perf_counter() - view.begin
            begin = time.perf_counter()
            bare = not self._host.parameters.publish_meshes
            if bare:
                estimate = replace(estimate, parts=tuple(
                    replace(part, mesh=None) for part in estimate.parts))
            one.shape_changed |= bare != one.published_bare
            one.published_bare = bare
            one.publisher.publish(estimate, view.header, view.cloud.points, view.T_fixed_camera,
                                  one.shape_changed)
            one.shape_changed = False
            one.health.count('estimates')
            one.health.enter('estimate', f'{one.name} is estimated')
            one.health.measured(
                estimate, len(view.cloud), view.header.stamp_text('.'),
                self._host.age(view.header), {**estimate.seconds, 'frame': seconds,
                                              'publish': time.perf_counter() - begin})
            if one.health is not self._host.health:
                self._host.health.enter('estimate', 'objects are estimated')
            self._host.report()

    def refuse(self, one: SceneObject, reason: NoEstimate, request: EstimateRequest | None,
               ) -> None:
        """Report that a frame gives no estimate of an object, and withdraw the last one."""
        one.health.count('no_estimates')
        if request is not None:
            request.add_result(one.number, False, f'{one.name}: {reason}')
        self.withdraw(one, 'no_estimate', f'no estimate: {reason}')

    def withdraw(self, one: SceneObject, state: str, message: str) -> None:
        """Withdraw what is shown of an object; the state and the message give the reason."""
        with self.lock:
            if self._closed:
                return
            one.clear()
            one.health.enter(state, message)
            self._host.log(state, message)
            self._host.report()

    def withdraw_all(self, state: str, message: str) -> None:
        """Withdraw what is shown of all objects; the state and the message give the reason."""
        with self.lock:
            if not self._closed:
                for one in self._host.objects.values():
                    self.withdraw(one, state, message)
                self._host.health.enter(state, message)
                self._host.log(state, message)
                self._host.report()

    def withdraw_absent(self) -> None:
        """Withdraw objects whose id has been absent from the mask for ``lost_after``."""
        with self.lock:
            for one in self._host.objects.values():
                absent = time.monotonic() - one.last_seen
                if one.number and absent > self._host.parameters.lost_after and (
                        one.health.state != 'lost'):
                    one.drop_trackers()
                    self.withdraw(one, 'lost',
                                  f'{one.name} has not been in the mask for {absent:.1f} s')

    def reset_clock(self) -> None:
        """Forget the past after a jump back in time: later stamps are compared with none of it."""
        with self.lock:
            self.epoch += 1
            for one in self._host.objects.values():
                one.drop_trackers()
                one.published = -float('inf')

    def count_dropped_frame(self) -> None:
        """Count a frame that newer ones replaced before its turn."""
        self._host.health.count('frames_dropped')

    def on_error(self, error: Exception) -> None:
        """Report an exception in one of the scene's threads, which goes on with the next frame."""
        self._host.health.count('errors')
        self.withdraw_all('error', f'frame failed: {first_line(error)}')

    def close(self) -> None:
        """Withdraw all objects; nothing is published or logged after it."""
        with self.lock:
            self._closed = True
            self.epoch += 1  # So that a full estimate in work starts no tracker.
            for one in self._host.objects.values():
                one.drop_trackers()
                one.clear()


def first_line(error: Exception) -> str:
    """Return type and first line of an error."""
    return f'{type(error).__name__}: {error}'.split('\n')[0]
