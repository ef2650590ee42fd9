"""The objects in front of the camera: tracked in each frame, or estimated in full.

Two threads. The tracking thread takes the newest frame and tracks the known objects through it.
Objects that are new, lost or uncertain go to the estimating thread, which takes the newest view of
each. docs/architecture.md ("Threads and locks") has the locks and their order.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch

from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import DepthView, ObjectCloud, filter_cloud
from kinediff3d_core.tracking.reinitialization import (
    TrackingLost,
    reinitialization_due,
    select_tracker,
)
from kinediff3d_core.tracking.tracker import Tracker
from kinediff3d_ros.scene.config import DEFAULT, SceneConfig
from kinediff3d_ros.scene.estimate_requests import EstimateRequest, EstimateRequests
from kinediff3d_ros.scene.frames import Frame
from kinediff3d_ros.scene.full_estimates import FullEstimator
from kinediff3d_ros.scene.models import Models
from kinediff3d_ros.scene.object_clouds import BoxedView, find_object_clouds
from kinediff3d_ros.scene.object_search import ObjectSearch
from kinediff3d_ros.scene.object_view import ObjectView
from kinediff3d_ros.scene.scene_host import SceneHost
from kinediff3d_ros.scene.scene_object import SceneObject
from kinediff3d_ros.scene.scene_objects import MASK_NEEDED, SceneObjects, first_line
from kinediff3d_ros.scene.worker import NewestItemWorker


@dataclass(frozen=True)
class _FrameView:
    """What the objects of one frame share; fields as those of :class:`ObjectView`."""

    frame: Frame
    T_fixed_camera: np.ndarray | None
    begin: float
    epoch: int
    stage_seconds: dict[str, float]

    def of(self, cloud: ObjectCloud | DepthView) -> ObjectView:
        """The view of one object."""
        return ObjectView(self.frame.header, cloud, self.T_fixed_camera, self.begin, self.epoch,
                          self.stage_seconds)


class Scene:
    """Tracks all objects of a perception node through its frames.

    Args:
        models: pipelines of the categories.
        host: the node.
        listed: mask ids with a category of their own.
    """

    def __init__(self, models: Models, host: SceneHost, listed: Collection[int] = (),
                 config: SceneConfig = DEFAULT) -> None:
        self._models, self._host, self._listed, self._config = models, host, listed, config
        self._objects = SceneObjects(host)
        self._requests = EstimateRequests(config.estimate_timeout)
        self._newest_stamp = self._last_processed = -float('inf')
        self._search = ObjectSearch(config.search)
        self._estimator = FullEstimator(models, host, self._objects, self._track_or_estimate)
        self._tracking: NewestItemWorker[Frame] = NewestItemWorker(
            self._process, self._objects.on_error, 'tracking')

    def submit(self, frame: Frame) -> None:
        """Queue a frame; it replaces the frame of its kind that still waits, if any."""
        if self._tracking.submit(frame, frame.initializes) is not None:
            self._objects.count_dropped_frame()

    def limit_rate(self, hertz: float) -> None:
        """Set the most frames processed per second; 0 sets no limit."""
        self._tracking.min_period = 1.0 / hertz if hertz > 0 else 0.0

    def request_estimates(self) -> EstimateRequest:
        """Request full estimates of all objects in the next frame; wait for the answer."""
        return self._requests.add()

    def refresh(self) -> None:
        """Apply the present parameters, and send what is due without a frame."""
        self.limit_rate(self._host.parameters.max_rate)
        self._objects.refresh()

    def withdraw_all(self, state: str, message: str) -> None:
        """Withdraw what is shown of all objects; the state and the message give the reason."""
        self._objects.withdraw_all(state, message)

    def remove_absent(self) -> None:
        """Withdraw and remove objects whose id has been absent from the mask for ``lost_after``.

        Their publishers are destroyed: it is called regularly on the host's own thread.
        """
        self._objects.withdraw_absent()
        self._objects.remove_lost()

    def close(self) -> None:
        """Withdraw what is shown, and interrupt a full estimate before its next step.

        Nothing is published after it. Call :meth:`join` before another scene starts with the same
        models.
        """
        with self._objects.lock:
            for _ in self._tracking.close():
                self._objects.count_dropped_frame()
            self._estimator.close()
            self._requests.close('the node has been deactivated')
            self._objects.close()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` s after :meth:`close`; return whether both threads have ended."""
        end = time.monotonic() + timeout
        return all([thread.join(max(0.0, end - time.monotonic()))
                    for thread in (self._tracking, self._estimator)])

    # --- the tracking thread --------------------------------------------------------------------

    def _process(self, frame: Frame) -> None:
        """Find the objects of a frame and track or estimate each."""
        begin = time.perf_counter()
        if not frame.initializes and self._is_skipped(begin):
            self._objects.count_dropped_frame()
            return
        self._last_processed = begin
        # A frame that initializes shows the objects that are not tracked alone.
        request = None if frame.initializes else self._requests.take()
        try:
            self._process_objects(frame, begin, request)
        except Exception as error:
            if request is not None:
                request.finish(first_line(error))
            raise

    def _process_objects(self, frame: Frame, begin: float, request: EstimateRequest | None,
                         ) -> None:
        try:
            found = find_object_clouds(frame, self._host.parameters, self._listed,
                                       self._objects.tracked_numbers,
                                       self._objects.lost_numbers)
            T_fixed_camera = self._host.camera_pose(frame.header)
        except (ValueError, NoEstimate) as reason:
            self._refuse_frame(reason, request)
            return
        if not frame.initializes:
            if frame.header.seconds < self._newest_stamp:
                self._objects.restart()
            self._newest_stamp = frame.header.seconds
        if found.unsegmented is None and self._search.used:
            # The numbers are those of a mask from now on.
            self._objects.restart()
            self._search = ObjectSearch(self._config.search)
        frame_view = _FrameView(frame, T_fixed_camera, begin, self._objects.epoch, found.seconds)
        expected = {number for number, cloud in found.clouds.items()
                    if self._process_object(number, cloud, frame_view, request,
                                            found.categories.get(number, ''))}
        missing = ''
        if self._host.parameters.mask_mode == 'initialize':
            self._objects.keep(self._estimator.pending)
            self._objects.wait_for_masks(self._estimator.pending)
            missing = f'no object is tracked; {MASK_NEEDED}'
        elif found.unsegmented is not None:
            expected |= self._find_objects(found.unsegmented, frame_view, request)
            missing = f'no object: {self._search.result}'
        self._objects.end_frame(frame.header)
        if request is not None:
            if missing and not expected:
                request.finish(missing)
            request.expect(expected)
        self._objects.withdraw_absent()

    def _process_object(self, number: int, cloud: ObjectCloud | DepthView | NoEstimate,
                        frame_view: _FrameView, request: EstimateRequest | None,
                        category: str = '') -> bool:
        """Track or estimate one object; return whether a request waits for it.

        Args:
            category: of a new object, by a detector.
        """
        obj = self._objects.find(number, category)
        if obj is None or (frame_view.frame.initializes and obj.tracker is not None):
            return False
        if isinstance(cloud, NoEstimate):
            self._objects.refuse(obj, cloud, [request] if request else [])
            return False
        obj.last_seen = time.monotonic()
        if request is not None:
            obj.add_request(request)
        self._track_or_estimate(obj, frame_view.of(cloud))
        return request is not None

    def _find_objects(self, image: DepthView, frame_view: _FrameView,
                      request: EstimateRequest | None) -> set[int]:
        """Look for further objects, if that is due; return those that a request waits for."""
        pending, now = self._estimator.pending, self._host.parameters
        self._objects.keep(pending)
        known = self._objects.known(pending)
        self._search.note(known, frame_view.T_fixed_camera)
        if request is None and not self._search.is_due(known, now.segment_period):
            return set()
        expected = set()
        for number, cloud in self._search.search(image, frame_view.T_fixed_camera, known,
                                                 request is not None).items():
            filtered = filter_cloud(cloud)
            obj = self._objects.find(number) if len(filtered) >= now.min_points else None
            if obj is None:
                continue
            obj.found = True
            self._search.postpone(number)
            if self._process_object(number, filtered, frame_view, request):
                expected.add(number)
        self._objects.report_none(self._estimator.pending, self._search.result)
        return expected

    def _is_skipped(self, begin: float) -> bool:
        """Whether a frame is skipped, so that the first full estimates are not slowed down."""
        return (self._host.parameters.tracking and self._estimator.busy
                and not self._objects.tracked and not self._requests.waiting
                and begin - self._last_processed < self._config.initial_frame_period)

    def _refuse_frame(self, reason: Exception, request: EstimateRequest | None) -> None:
        """Report a frame that cannot be used at all."""
        bad = isinstance(reason, ValueError)
        self._host.health.count('bad_inputs' if bad else 'no_estimates')
        self._objects.withdraw_all('bad_input' if bad else 'no_estimate', str(reason))
        if request is not None:
            request.add_result(0, False, str(reason))
            request.expect(set())

    def _track_or_estimate(self, obj: SceneObject, view: ObjectView) -> None:
        """Track the object through this frame, or queue a full estimate."""
        with obj.tracking_lock:
            start = time.perf_counter()
            tracker, candidate = obj.competitors(view.seconds)
            if tracker is None or not self._may_track(tracker):
                self._estimate_anew(obj, view, 'is not tracked')
                return
            if view.seconds <= tracker.seconds:
                self._objects.count_dropped_frame()
                return
            try:
                selected, estimate = self._select_tracker(obj, tracker, candidate, view)
                due = self._estimate_due(obj, selected)
            except TrackingLost as lost:
                self._lose(obj, view, candidate or tracker, lost)
                return
            except Exception as error:
                self._estimate_anew(obj, view, self._on_tracking_error(obj, error))
                return
        tracked = view if isinstance(view.cloud, ObjectCloud) else replace(
            view, cloud=selected.cloud)
        obj.health.count('tracked')
        self._objects.publish(obj, replace(estimate, seconds={
            **view.stage_seconds, 'track': time.perf_counter() - start}), tracked)
        if due:
            self._estimator.submit(obj, view if isinstance(view.cloud, BoxedView) else tracked,
                                   beside_tracking=True)

    def _lose(self, obj: SceneObject, view: ObjectView, tracker: Tracker, lost: TrackingLost,
              ) -> None:
        """Let a tracker try the next frames, too, while a full estimate is made of this view."""
        tried_again = obj.tracker is None
        if not tried_again:
            obj.health.count('tracking_lost')
            self._objects.log('tracking_lost', f'{obj.name}: {lost}; a full estimate follows')
        # What needs a mask, or segmentation, has been said once, unless it is asked for.
        if not tried_again or obj.is_requested or view.initializes:
            self._estimate_anew(obj, view, str(lost))
        gap = view.seconds - tracker.seconds
        obj.lost = tracker if gap < self._config.try_again else None

    def _on_tracking_error(self, obj: SceneObject, error: Exception) -> str:
        """Count why tracking has ended, and return it: a full estimate follows, whatever it is."""
        if isinstance(error, torch.OutOfMemoryError):
            self._models.fall_back(error)
            return 'the GPU is out of memory'
        self._host.health.count('errors')
        reason = f'tracking failed: {first_line(error)}'
        self._objects.log('error', f'{obj.name}: {reason}; a full estimate follows')
        return reason

    def _estimate_due(self, obj: SceneObject, tracker: Tracker) -> bool:
        """Whether a tracked object gets a full estimate of this view, too."""
        elapsed = time.monotonic() - obj.last_full_estimate
        if not obj.is_requested and not reinitialization_due(
                tracker, elapsed, self._host.parameters.estimate_period):
            return False
        obj.last_full_estimate = time.monotonic()
        tracker.mark_view()
        return True

    def _may_track(self, tracker: Tracker) -> bool:
        """Whether tracking is wanted, and the tracker has meshes if those are wanted."""
        now = self._host.parameters
        return now.tracking and (
            not now.publish_meshes or any(p.mesh is not None for p in tracker.estimate.parts))

    def _estimate_anew(self, obj: SceneObject, view: ObjectView, reason: str) -> None:
        """End tracking and request a full estimate of this view, or else wait for a mask."""
        obj.drop_trackers()
        if view.initializes:
            self._estimator.submit(obj, view, beside_tracking=False)
        else:
            self._objects.require_initialization(obj, reason)

    def _select_tracker(self, obj: SceneObject, tracker: Tracker, candidate: Tracker | None,
                        view: ObjectView) -> tuple[Tracker, ArticulatedEstimate]:
        """Track the object; a newer full estimate replaces the track if its fit is better."""
        selected, estimate = select_tracker(tracker, candidate, view.cloud, view.seconds,
                                            view.T_fixed_camera)
        with self._objects.lock:
            if self._objects.is_current(obj, view):
                obj.shape_changed |= selected.description_changed() or selected is not obj.tracker
                obj.tracker, obj.lost = selected, None
                if candidate is obj.candidate:
                    obj.candidate = None
        return selected, estimate
