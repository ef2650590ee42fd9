"""The objects before the camera: who gets a full estimate, who is tracked, who is gone.

Two threads. The tracking thread takes the newest frame and follows the objects it knows through
it; those that are new, lost or uncertain go to the estimating thread, one newest view an object.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from std_msgs.msg import Header

from kinediff3d_core.inference.auto import AUTO
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.tracking.reinitialization import (
    TrackingLost,
    reinitialization_due,
    select_tracker,
)
from kinediff3d_core.tracking.tracker import Tracker
from kinediff3d_ros.nodes.parameters import PerceptionParameters
from kinediff3d_ros.scene.frames import CloudFrame, DepthFrame, observe
from kinediff3d_ros.scene.health import Health
from kinediff3d_ros.scene.memory import trim_heap
from kinediff3d_ros.scene.models import Models
from kinediff3d_ros.scene.scene_object import Demand, SceneObject, View
from kinediff3d_ros.scene.worker import NewestItemWorker

STRIDE = 2
"""Tracking without a mask looks for the object in every so many pixels."""

ESTIMATE_LIMIT = 30.0
"""Seconds within which a demand for full estimates is answered."""

GLANCE = 0.2
"""Seconds between the frames that are looked at while the first full estimates are made: looking
at more of them only takes time from the estimate."""


class Scene:
    """All objects of a perception node.

    Args:
        models: pipelines of the categories.
        settings: the present parameters.
        make: a new object of a mask id; None if there may be no more.
        listed: mask ids with a category of their own.
        camera_pose: T_fixed_camera (4, 4) at a header's stamp, or None without ``fixed_frame``;
            NoEstimate if it is not known.
        health: of the node.
        say: (state, message) to log. report: publish diagnostics. age: s since a header's stamp.
    """

    def __init__(self, models: Models, settings: Callable[[], PerceptionParameters],
                 make: Callable[[int], SceneObject | None], listed: set[int],
                 camera_pose: Callable[[Header], np.ndarray | None], health: Health,
                 say: Callable[[str, str], None], report: Callable[[], None],
                 age: Callable[[Header], float]) -> None:
        self._models, self._settings, self._make, self._listed = models, settings, make, listed
        self._camera_pose, self._health = camera_pose, health
        self._say, self._report, self._age = say, report, age
        self.objects: dict[int, SceneObject] = {}
        self.lock = threading.RLock()
        self._demand: Demand | None = None
        self._demands: list[Demand] = []
        self._epoch, self._newest = 0, -float('inf')
        self._tracking: NewestItemWorker[DepthFrame | CloudFrame] = NewestItemWorker(
            self._follow, self._on_error, 'tracking')
        self._looked = -float('inf')
        self._estimating: NewestItemWorker[tuple[SceneObject, View, bool]] = NewestItemWorker(
            self._estimate, self._on_error, 'estimating')

    def offer(self, frame: DepthFrame | CloudFrame) -> None:
        if self._tracking.offer(frame) is not None:
            self._drop()

    def _drop(self) -> None:
        """Count a frame that was overtaken by newer ones before its turn."""
        self._health.count('frames_dropped')

    def limit_rate(self, hertz: float) -> None:
        """Frames a second that are looked at; 0 for all."""
        self._tracking.min_period = 1.0 / hertz if hertz > 0 else 0.0

    def demand(self) -> Demand:
        """Ask for a full estimate of everything in the next frame."""
        demand = self._demand
        if demand is None:
            # The tracking thread takes it from here at any time.
            demand = self._demand = Demand(ESTIMATE_LIMIT)
            self._demands.append(demand)
        return demand

    def expire_demands(self) -> None:
        """Answer those whose time is up."""
        self._demands = [d for d in self._demands if not d.expire()]
        if self._demand not in self._demands:
            self._demand = None

    def lose_all(self, state: str, message: str) -> None:
        """Say that there is no estimate and take away what is shown."""
        with self.lock:
            if not self._tracking.stopping:
                for one in self.objects.values():
                    self._lose(one, state, message)
                self._health.enter(state, message)
                self._say(state, message)
                self._report()

    def close(self) -> None:
        """Take back what is shown; both threads may finish what they are at."""
        with self.lock:
            self._tracking.close()
            self._estimating.close()
            for demand in self._demands:
                demand.give_up('the node has been deactivated')
            for one in self.objects.values():
                one.forget()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` s after ``close``; whether both threads have ended."""
        end = time.monotonic() + timeout
        return all([w.join(max(0.0, end - time.monotonic()))
                    for w in (self._tracking, self._estimating)])

    # --- the tracking thread --------------------------------------------------------------------

    def _follow(self, frame: DepthFrame | CloudFrame) -> None:
        begin = time.perf_counter()
        tracked = any(o.tracker for o in self.objects.values())
        if self._settings().tracking and self._estimating.busy and not tracked and (
                self._demand is None and begin - self._looked < GLANCE):
            self._drop()
            return
        self._looked = begin
        demand, self._demand = self._demand, None
        stride = STRIDE if tracked else 1
        try:
            sight = observe(frame, self._settings(), self._listed, stride)
            T_fixed_camera = self._camera_pose(frame.header)
        except (ValueError, NoEstimate) as reason:
            bad = isinstance(reason, ValueError)
            self._health.count('bad_inputs' if bad else 'no_estimates')
            self.lose_all('bad_input' if bad else 'no_estimate', str(reason))
            if demand is not None:
                demand.answer(0, False, str(reason))
                demand.expect(set())
            return
        stamp = sight.header.stamp
        seconds = stamp.sec + 1e-9 * stamp.nanosec
        if seconds < self._newest:
            self._start_anew()
        self._newest = seconds
        asked = set()
        for number, cloud in sight.clouds.items():
            one = self.objects.get(number) or self._make(number)
            if one is None:
                continue
            self.objects[number] = one
            if isinstance(cloud, NoEstimate):
                self._refuse(one, cloud, demand)
                continue
            one.seen = time.monotonic()
            if demand is not None:
                one.demand = demand
                asked.add(number)
            self._see(one, View(sight.header, seconds, cloud, T_fixed_camera, begin, self._epoch,
                                sight.seconds))
        if demand is not None:
            demand.expect(asked)
        self.lose_absent()

    def _start_anew(self) -> None:
        """Time has jumped back: nothing from before is compared with what comes now."""
        with self.lock:
            self._epoch += 1
            for one in self.objects.values():
                one.tracker = one.candidate = None
                one.published = -float('inf')

    def lose_absent(self) -> None:
        """Objects whose id has been out of the mask for ``lost_after`` are gone."""
        with self.lock:
            for one in self.objects.values():
                gone = time.monotonic() - one.seen
                if one.number and gone > self._settings().lost_after and (
                        one.health.state != 'lost'):
                    one.tracker = one.candidate = None
                    self._lose(one, 'lost',
                               f'{one.name} has not been in the mask for {gone:.1f} s')

    def _see(self, one: SceneObject, view: View) -> None:
        """Track the object through this frame, or leave it to the other thread."""
        with one.tracking:
            tracker, start = one.tracker, time.perf_counter()
            if tracker is None or not self._may_track(tracker):
                self._estimate_anew(one, view)
                return
            if view.seconds <= tracker.seconds:
                self._drop()
                return
            try:
                estimate = self._select_tracker(one, tracker, view)
            except TrackingLost as reason:
                one.health.count('tracking_lost')
                self._say('tracking_lost', f'{one.name}: {reason}; estimating anew')
                self._estimate_anew(one, view)
                return
            except torch.OutOfMemoryError as error:
                self._models.fall_back(error)
                self._estimate_anew(one, view)
                return
            one.new_shape |= one.tracker is tracker and tracker.description_changed()
        one.health.count('tracked')
        self._publish(one, replace(estimate, seconds={
            **view.spent, 'track': time.perf_counter() - start}), view)
        elapsed = time.monotonic() - one.looked
        if one.demand is not None or reinitialization_due(
                tracker, elapsed, self._settings().estimate_period):
            one.looked = time.monotonic()
            tracker.mark_view()
            self._look_at(one, view, again=True)

    def _may_track(self, tracker: Tracker) -> bool:
        """Whether tracking is wanted and has the meshes that are wanted."""
        now = self._settings()
        return now.tracking and (
            not now.publish_meshes or any(p.mesh is not None for p in tracker.estimate.parts))

    def _estimate_anew(self, one: SceneObject, view: View) -> None:
        one.tracker = one.candidate = None
        self._look_at(one, view, again=False)

    def _look_at(self, one: SceneObject, view: View, again: bool) -> None:
        """Ask for a full estimate; a view that only waited for its second one is no frame lost."""
        waited = self._estimating.offer((one, view, again), one.number)
        if waited is not None and not waited[2]:
            self._drop()

    def _select_tracker(self, one: SceneObject, tracker: Tracker, view: View,
                        ) -> ArticulatedEstimate:
        """Track; where a newer full estimate waits to take over, it has to explain more."""
        candidate = None
        if one.candidate is not None and view.seconds > one.candidate.seconds:
            candidate, one.candidate = one.candidate, None
        selected, estimate = select_tracker(tracker, candidate, view.cloud, view.seconds,
                                            view.T_fixed_camera)
        if selected is candidate:
            one.tracker, one.new_shape = candidate, True
        return estimate

    # --- the estimating thread ------------------------------------------------------------------

    def _estimate(self, job: tuple[SceneObject, View, bool]) -> None:
        """A full estimate, after which its memory is given back."""
        try:
            self._estimate_one(*job)
        finally:
            trim_heap()

    def _estimate_one(self, one: SceneObject, view: View, again: bool) -> None:
        """Full estimate of a view; ``again`` for an object that is tracked meanwhile."""
        with one.tracking:
            if one.tracker is not None and not again and one.demand is None:
                # Another full estimate has found it while this view was waiting.
                if view.seconds > one.published:
                    self._see(one, view)
                else:
                    self._drop()
                return
        now, demand = self._settings(), one.demand
        one.demand = None
        mesh = now.publish_meshes and (now.tracking or one.sought == AUTO
                                       or time.monotonic() >= one.shape_due)
        try:
            # What is tracked stays what it is.
            category = one.sought if one.tracker is None else one.category
            estimate = self._models.infer(category, view.cloud, mesh, now.seed)
            if estimate.confidence < now.min_confidence:
                raise NoEstimate(f'confidence {estimate.confidence:.2f} is below min_confidence '
                                 f'{now.min_confidence:.2f}')
            one.health.count('full_estimates')
            if one.sought == AUTO and estimate.category != one.category:
                with self.lock:
                    one.outputs.become(estimate.category)
            one.looked = time.monotonic()
            estimate = self._with_meshes(one, estimate, mesh)
            one.outputs.prepare(estimate)
            tracker = self._models.tracker(one.category, estimate, view.seconds,
                                           view.T_fixed_camera) if now.tracking else None
        except NoEstimate as reason:
            if one.tracker is None:
                self._refuse(one, reason, demand)
            elif demand is not None:
                demand.answer(one.number, False, f'{one.name}: {reason}')
            return
        except Exception as error:
            if demand is not None:
                demand.answer(one.number, False, f'{one.name}: {_in_short(error)}')
            raise
        if demand is not None:
            demand.answer(one.number, True, _in_words(one.name, estimate))
        with self.lock:
            if view.epoch != self._epoch:
                return
            if one.tracker is not None and view.seconds <= one.published:
                one.candidate = tracker
                return
            one.tracker = tracker
            one.new_shape |= mesh
            self._publish(one, replace(estimate, seconds={**view.spent, **estimate.seconds}), view)

    def _with_meshes(self, one: SceneObject, estimate: ArticulatedEstimate,
                     fresh: bool) -> ArticulatedEstimate:
        """Keep fresh meshes; give an estimate without its own the last ones, moved along."""
        if fresh:
            one.meshes = {part.name: part.mesh for part in estimate.parts}
            one.shape_due = time.monotonic() + self._settings().mesh_period
            return estimate
        if not self._settings().publish_meshes:
            return estimate
        return replace(estimate, parts=tuple(replace(part, mesh=one.meshes.get(part.name))
                                             for part in estimate.parts))

    # --- both -----------------------------------------------------------------------------------

    def _publish(self, one: SceneObject, estimate: ArticulatedEstimate, view: View) -> None:
        with self.lock:
            if self._tracking.stopping or view.seconds <= one.published:
                return
            one.published = view.seconds
            seconds = time.perf_counter() - view.begin
            begin = time.perf_counter()
            bare = not self._settings().publish_meshes
            if bare:
                estimate = replace(estimate, parts=tuple(
                    replace(part, mesh=None) for part in estimate.parts))
            one.new_shape |= bare != one.bare
            one.bare = bare
            one.outputs.publish(estimate, view.header, view.cloud.points, view.T_fixed_camera,
                                one.new_shape)
            one.new_shape = False
            one.health.count('estimates')
            stamp = view.header.stamp
            one.health.enter('estimate', f'{one.name} seen')
            one.health.measured(
                estimate, len(view.cloud), f'{stamp.sec}.{stamp.nanosec:09d}',
                self._age(view.header), {**estimate.seconds, 'frame': seconds,
                                         'publish': time.perf_counter() - begin})
            if one.health is not self._health:
                self._health.enter('estimate', 'objects seen')
            self._report()

    def _refuse(self, one: SceneObject, reason: NoEstimate, demand: Demand | None) -> None:
        one.health.count('no_estimates')
        if demand is not None:
            demand.answer(one.number, False, f'{one.name}: {reason}')
        self._lose(one, 'no_estimate', f'no estimate: {reason}')

    def _lose(self, one: SceneObject, state: str, message: str) -> None:
        with self.lock:
            if self._tracking.stopping:
                return
            one.forget()
            one.health.enter(state, message)
            self._say(state, message)
            self._report()

    def _on_error(self, error: Exception) -> None:
        self._health.count('errors')
        self.lose_all('error', f'frame failed: {_in_short(error)}')


def _in_short(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'.split('\n')[0]


def _in_words(name: str, estimate: ArticulatedEstimate) -> str:
    units = {'revolute': 'rad', 'prismatic': 'm'}
    joints = [f'{j.name} {j.position:.4f} {units[j.joint_type]} (deviation {j.std:.4f})'
              for j in estimate.joints]
    return (f'{name}: {", ".join(joints)}; residual {1e3 * estimate.residual:.1f} mm, '
            f'confidence {estimate.confidence:.2f}')
