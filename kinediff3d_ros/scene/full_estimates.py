"""Full estimates of objects, on a thread of their own, of the newest view of each object."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kinediff3d_core.inference.auto import AUTO
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.tracking.tracker import Tracker
from kinediff3d_ros.scene.memory import trim_heap
from kinediff3d_ros.scene.models import Models
from kinediff3d_ros.scene.object_view import ObjectView
from kinediff3d_ros.scene.scene_host import SceneHost
from kinediff3d_ros.scene.scene_object import SceneObject
from kinediff3d_ros.scene.scene_objects import SceneObjects, first_line
from kinediff3d_ros.scene.worker import NewestItemWorker


@dataclass(frozen=True)
class Job:
    """One full estimate to make.

    Attributes:
        beside_tracking: the object is tracked meanwhile, so its frame is published already.
    """

    one: SceneObject
    view: ObjectView
    beside_tracking: bool


class FullEstimator:
    """Makes full estimates and starts trackers from them.

    Args:
        track: tracks an object through a view, for views of objects that are tracked by the time
            of their turn.
    """

    def __init__(self, models: Models, host: SceneHost, objects: SceneObjects,
                 track: Callable[[SceneObject, ObjectView], None]) -> None:
        self._models, self._host, self._objects, self._track = models, host, objects, track
        self._worker: NewestItemWorker[Job] = NewestItemWorker(
            self._work, objects.on_error, 'estimating')

    @property
    def busy(self) -> bool:
        """Whether a full estimate is being made."""
        return self._worker.busy

    def submit(self, one: SceneObject, view: ObjectView, beside_tracking: bool) -> None:
        """Queue a view; it replaces the object's view that still waits, if any."""
        replaced = self._worker.submit(Job(one, view, beside_tracking), one.number)
        # The frame of a job beside tracking has been answered by tracking.
        if replaced is not None and not replaced.beside_tracking:
            self._objects.count_dropped_frame()

    def close(self) -> None:
        """Accept no more views; the estimate in work, if any, is the last."""
        self._worker.close()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` s after :meth:`close`; return whether the thread has ended."""
        return self._worker.join(timeout)

    def _work(self, job: Job) -> None:
        try:
            if not self._found_meanwhile(job):
                self._estimate(job.one, job.view)
        finally:
            trim_heap()

    def _found_meanwhile(self, job: Job) -> bool:
        """Return whether an earlier full estimate serves this job; track through its view then."""
        one, view = job.one, job.view
        with one.tracking_lock:
            if one.tracker is None or job.beside_tracking or one.request is not None:
                return False
            if view.seconds > one.published:
                self._track(one, view)
            else:
                self._objects.count_dropped_frame()
            return True

    def _estimate(self, one: SceneObject, view: ObjectView) -> None:
        """Make a full estimate of a view, answer who asked for it, and publish it."""
        request, one.request = one.request, None
        mesh = self._meshes_wanted(one)
        try:
            estimate = self._infer(one, view, mesh)
            tracker = self._start_tracker(one, estimate, view)
        except NoEstimate as reason:
            if one.tracker is None:
                self._objects.refuse(one, reason, request)
            elif request is not None:
                request.add_result(one.number, False, f'{one.name}: {reason}')
            return
        except Exception as error:
            if request is not None:
                request.add_result(one.number, False, f'{one.name}: {first_line(error)}')
            raise
        if request is not None:
            request.add_result(one.number, True, describe(one.name, estimate))
        with self._objects.lock:
            if view.epoch != self._objects.epoch:
                return
            if one.tracker is not None and view.seconds <= one.published:
                one.candidate = tracker
                return
            one.tracker = tracker
            one.shape_changed |= mesh
            self._objects.publish(one, replace(
                estimate, seconds={**view.stage_seconds, **estimate.seconds}), view)

    def _meshes_wanted(self, one: SceneObject) -> bool:
        parameters = self._host.parameters
        return parameters.publish_meshes and (
            parameters.tracking or one.requested_category == AUTO
            or time.monotonic() >= one.meshes_due)

    def _infer(self, one: SceneObject, view: ObjectView, mesh: bool) -> ArticulatedEstimate:
        """Return the estimate with the meshes that will be published.

        Raises:
            NoEstimate: the view does not support one, or its confidence is too low.
        """
        parameters = self._host.parameters
        # The category of an object that is tracked does not change.
        category = one.requested_category if one.tracker is None else one.category
        estimate = self._models.infer(category, view.cloud, mesh, parameters.seed)
        if estimate.confidence < parameters.min_confidence:
            raise NoEstimate(f'confidence {estimate.confidence:.2f} is below min_confidence '
                             f'{parameters.min_confidence:.2f}')
        one.health.count('full_estimates')
        if one.requested_category == AUTO and estimate.category != one.category:
            with self._objects.lock:
                one.publisher.set_category(estimate.category)
        one.last_full_estimate = time.monotonic()
        estimate = self._with_meshes(one, estimate, mesh)
        one.publisher.prepare(estimate)
        return estimate

    def _start_tracker(self, one: SceneObject, estimate: ArticulatedEstimate, view: ObjectView,
                       ) -> Tracker | None:
        if not self._host.parameters.tracking:
            return None
        return self._models.tracker(one.category, estimate, view.seconds, view.T_fixed_camera)

    def _with_meshes(self, one: SceneObject, estimate: ArticulatedEstimate,
                     fresh: bool) -> ArticulatedEstimate:
        """Keep fresh meshes; give an estimate without meshes the last ones, in its part frames."""
        if fresh:
            one.meshes = {part.name: part.mesh for part in estimate.parts}
            one.meshes_due = time.monotonic() + self._host.parameters.mesh_period
            return estimate
        if not self._host.parameters.publish_meshes:
            return estimate
        return replace(estimate, parts=tuple(replace(part, mesh=one.meshes.get(part.name))
                                             for part in estimate.parts))


def describe(name: str, estimate: ArticulatedEstimate) -> str:
    """Return one line with joints, residual and confidence of an object's estimate."""
    units = {'revolute': 'rad', 'prismatic': 'm'}
    joints = [f'{j.name} {j.position:.4f} {units[j.joint_type]} (standard deviation {j.std:.4f})'
              for j in estimate.joints]
    return (f'{name}: {", ".join(joints)}; residual {1e3 * estimate.residual:.1f} mm, '
            f'confidence {estimate.confidence:.2f}')
