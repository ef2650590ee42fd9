"""Full estimates of the newest view of each object, on a separate thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from kinediff3d_core.inference.auto import AUTO
from kinediff3d_core.inference.cancellation import Cancelled, cancellable
from kinediff3d_core.inference.candidates import choose_candidate
from kinediff3d_core.inference.refusal import require_confidence
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

    obj: SceneObject
    view: ObjectView
    beside_tracking: bool


class FullEstimator:
    """Makes full estimates and starts trackers from them.

    Args:
        track: tracks an object through a view; called for an object that an earlier job has
            already estimated.
    """

    def __init__(self, models: Models, host: SceneHost, objects: SceneObjects,
                 track: Callable[[SceneObject, ObjectView], None]) -> None:
        self._models, self._host, self._objects, self._track = models, host, objects, track
        self._cancel = threading.Event()
        self._worker: NewestItemWorker[Job] = NewestItemWorker(
            self._work, objects.on_error, 'estimating')

    @property
    def busy(self) -> bool:
        """Whether a full estimate is being made."""
        return self._worker.busy

    @property
    def pending(self) -> set[int]:
        """Mask ids of the objects whose full estimate is being made or waits."""
        return self._worker.keys

    def submit(self, obj: SceneObject, view: ObjectView, beside_tracking: bool) -> None:
        """Queue a view; it replaces the object's view that still waits, if any."""
        replaced = self._worker.submit(Job(obj, view, beside_tracking), obj.number)
        if replaced is not None:
            self._count_dropped(replaced)

    def close(self) -> None:
        """Accept no more views, and interrupt the estimate in work before its next step."""
        self._cancel.set()
        for job in self._worker.close():
            self._count_dropped(job)

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` s after :meth:`close`; return whether the thread has ended."""
        return self._worker.join(timeout)

    def _count_dropped(self, job: Job) -> None:
        # The frame of a job beside tracking has been answered by tracking.
        if not job.beside_tracking:
            self._objects.count_dropped_frame()

    def _work(self, job: Job) -> None:
        try:
            if not self._objects.is_current(job.obj, job.view):
                self._count_dropped(job)
            elif not self._found_meanwhile(job):
                self._estimate(job.obj, job.view)
        except Cancelled:
            self._count_dropped(job)
        finally:
            self._objects.end_frame(job.view.header, late=True)
            trim_heap()

    def _found_meanwhile(self, job: Job) -> bool:
        """Return whether an earlier full estimate serves this job; track through its view then."""
        obj, view = job.obj, job.view
        with obj.tracking_lock:
            if obj.tracker is None or job.beside_tracking or obj.is_requested:
                return False
            if view.seconds > obj.published:
                self._track(obj, view)
            else:
                self._objects.count_dropped_frame()
            return True

    def _estimate(self, obj: SceneObject, view: ObjectView) -> None:
        """Make a full estimate of a view, answer its requests, and publish it."""
        requests, mesh = obj.take_requests(), self._meshes_wanted(obj)
        try:
            estimate, view = self._infer(obj, view, mesh)
            tracker = self._start_tracker(obj, estimate, view)
        except NoEstimate as reason:
            if obj.tracker is None:
                self._objects.refuse(obj, reason, requests)
            else:
                obj.answer(requests, False, str(reason))
            return
        except Cancelled:
            raise
        except Exception as error:
            obj.answer(requests, False, first_line(error))
            self._objects.on_object_error(obj, error)
            return
        obj.answer(requests, True, describe(estimate))
        self._use(obj, view, estimate, tracker, mesh)

    def _use(self, obj: SceneObject, view: ObjectView, estimate: ArticulatedEstimate,
             tracker: Tracker | None, mesh: bool) -> None:
        """Publish an estimate; if a newer frame is published, keep its tracker as a candidate."""
        with obj.tracking_lock, self._objects.lock:
            if not self._objects.is_current(obj, view):
                return
            if obj.tracker is not None and view.seconds <= obj.published:
                obj.candidate = tracker
                return
            obj.tracker = tracker
            obj.shape_changed |= mesh
            self._objects.publish(obj, replace(
                estimate, seconds={**view.stage_seconds, **estimate.seconds}), view)

    def _meshes_wanted(self, obj: SceneObject) -> bool:
        parameters = self._host.parameters
        return parameters.publish_meshes and (
            parameters.tracking or obj.requested_category == AUTO
            or time.monotonic() >= obj.meshes_due)

    def _infer(self, obj: SceneObject, view: ObjectView, mesh: bool,
               ) -> tuple[ArticulatedEstimate, ObjectView]:
        """Return the estimate with the meshes that will be published, and the view of the object.

        Raises:
            NoEstimate: the view does not support one, or its confidence is too low.
            Cancelled: the scene or the object has ended meanwhile.
        """
        parameters = self._host.parameters
        # The category of an object that is tracked does not change.
        category = obj.requested_category if obj.tracker is None else obj.category
        begin = time.perf_counter()
        candidates = view.candidates()
        seconds = view.stage_seconds['segment'] + time.perf_counter() - begin
        with cancellable(self._cancel):
            choice = choose_candidate(
                lambda cloud: self._models.infer(category, cloud, parameters.seed), candidates,
                parameters.min_confidence)
            estimate = require_confidence(choice.estimate, parameters.min_confidence)
            if mesh:
                estimate = self._models.with_meshes(category, estimate)
        with obj.tracking_lock, self._objects.lock:
            if not self._objects.is_current(obj, view):
                raise Cancelled(f'{obj.name} has ended')
            obj.health.count('full_estimates')
            if obj.requested_category == AUTO and estimate.category != obj.category:
                if obj.tracker is not None:
                    raise Cancelled(f'{obj.name} has been found again meanwhile')
                obj.lost = None
                obj.publisher.set_category(estimate.category)
        obj.last_full_estimate = time.monotonic()
        estimate = self._with_meshes(obj, estimate, mesh)
        obj.publisher.prepare(estimate)
        return estimate, replace(view, cloud=candidates[choice.index].cloud,
                                 stage_seconds={**view.stage_seconds, 'segment': seconds})

    def _start_tracker(self, obj: SceneObject, estimate: ArticulatedEstimate, view: ObjectView,
                       ) -> Tracker | None:
        if not self._host.parameters.tracking:
            return None
        return self._models.tracker(obj.category, estimate, view.seconds, view.T_fixed_camera)

    def _with_meshes(self, obj: SceneObject, estimate: ArticulatedEstimate,
                     fresh: bool) -> ArticulatedEstimate:
        """Keep fresh meshes; give an estimate without meshes the last ones, in its part frames."""
        if fresh:
            obj.meshes = {part.name: part.mesh for part in estimate.parts}
            obj.meshes_due = time.monotonic() + self._host.parameters.mesh_period
            return estimate
        if not self._host.parameters.publish_meshes:
            return estimate
        return replace(estimate, parts=tuple(replace(part, mesh=obj.meshes.get(part.name))
                                             for part in estimate.parts))


def describe(estimate: ArticulatedEstimate) -> str:
    """Return one line with the joints, the residual and the confidence of an estimate."""
    units = {'revolute': 'rad', 'prismatic': 'm'}
    joints = [f'{j.name} {j.position:.4f} {units[j.joint_type]} (standard deviation {j.std:.4f})'
              for j in estimate.joints]
    return (f'{", ".join(joints)}; residual {1e3 * estimate.residual:.1f} mm, '
            f'confidence {estimate.confidence:.2f}')
