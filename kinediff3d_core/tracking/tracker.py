"""Tracking of one object from frame to frame: its shape is held, pose and joints are refined.

    tracker = Tracker(pipeline, estimate, seconds)
    estimate = tracker.track(cloud, seconds)

A full estimate starts it. Each further frame is predicted by a motion model and refined by a few
Levenberg-Marquardt iterations against that frame's own points, so that errors do not add up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.inference import refinement
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.observation.cloud import MIN_POINTS, DepthView, ObjectCloud, filter_cloud
from kinediff3d_core.tracking.config import DEFAULT, TrackingConfig
from kinediff3d_core.tracking.crop import SurfaceEvidence
from kinediff3d_core.tracking.estimate_update import EstimateUpdate, TrackedState
from kinediff3d_core.tracking.fit import SOLVER, Fit, FrameFit
from kinediff3d_core.tracking.frame_view import (
    CroppedFrame,
    FrameView,
    MaskedFrame,
    ObservedCloud,
)
from kinediff3d_core.tracking.joint_limits import JointLimits
from kinediff3d_core.tracking.motion import MotionModel
from kinediff3d_core.tracking.reinitialization import TrackingLost, TrackQuality, ViewMonitor


@dataclass(frozen=True)
class _FittedFrame:
    """The fit of one hypothesis to a frame.

    Attributes:
        observed: what it was fitted to. evidence: what the frame shows of its surface.
    """

    fit: Fit
    observed: ObservedCloud
    evidence: SurfaceEvidence


class Tracker:
    """Tracks one object. Not thread-safe: one call at a time.

    Args:
        estimate: a full estimate by ``pipeline``; its shape is held.
        seconds: when its view was taken.
        T_fixed_camera: (4, 4) pose of a moving camera at that time, in a fixed frame.
        seed: of the choice of points.

    Attributes:
        estimate: the newest one.
        seconds: when its frame was taken.
        score: of its fit (:func:`residuals.fit_score`); lower is better.
        cloud: on the object in that frame.
        reinitialization_interval: least time between two full estimates, s.
    """

    @torch.no_grad()
    def __init__(self, pipeline: Pipeline, estimate: ArticulatedEstimate, seconds: float,
                 T_fixed_camera: np.ndarray | None = None, seed: int = 0,
                 config: TrackingConfig = DEFAULT) -> None:
        joints, self._scale = pipeline.category.joints, pipeline.category.scale
        self._config, self._device = config, pipeline.device
        self._update = EstimateUpdate(pipeline, estimate)
        field, state = pipeline.decode_estimate(estimate)
        self._fit = FrameFit(pipeline, field, self._update.joints, seed, config)
        # Everything but the fits concerns a single object, which is faster on the CPU.
        self._state = state.to('cpu')
        self._motion = MotionModel(len(joints), self._fit.surface[0, 0].mean(0).cpu(),
                                   config.motion)
        of_object = joints, pipeline.units.cpu(), self._update.joints
        self._limits = JointLimits(*of_object, self._state, config.joint_limits)
        self._view = ViewMonitor(*of_object, config.reinitialization)
        self._quality = TrackQuality(joints, self._scale, estimate.residual / self._scale,
                                     config.quality)
        self.reinitialization_interval = config.reinitialization.min_interval
        self._frames, self._T_fixed_camera = 0, T_fixed_camera
        self.estimate, self.seconds, self.score = estimate, seconds, math.inf
        self.cloud = ObjectCloud(estimate.points)
        self.mark_view()

    @property
    def uncertain(self) -> bool:
        """Whether the newest score is poor or has grown; see :class:`TrackQuality`."""
        return self._quality.uncertain

    def track(self, cloud: np.ndarray | ObjectCloud | DepthView, seconds: float,
              T_fixed_camera: np.ndarray | None = None) -> ArticulatedEstimate:
        """The estimate of the next frame.

        Args:
            cloud: (N, 3) points on the object, camera frame, m, or an :class:`ObjectCloud`; those
                that are no measurement of it are left out (:func:`filter_cloud`), as in
                :meth:`Pipeline.infer`. A :class:`DepthView` is cropped around the predicted
                surface (:class:`SurfaceCrop`): no mask is needed.
            seconds: when the frame was taken, on the clock of the other frames.
            T_fixed_camera: (4, 4) pose of the camera in a fixed frame; None if it stands still.

        Returns:
            the last estimate with new poses of the parts, and with the joints' new positions,
            standard deviations and velocities; meshes stay.

        Raises:
            TrackingLost: a full estimate is needed, and a new tracker from it.
        """
        # Tensors of inference mode are no inputs of CUDA graphs; without graphs it saves time.
        with torch.inference_mode() if self._device.type == 'cpu' else torch.no_grad():
            return self._track(cloud, seconds, T_fixed_camera)

    def _track(self, given: np.ndarray | ObjectCloud | DepthView, seconds: float,
               T_fixed_camera: np.ndarray | None) -> ArticulatedEstimate:
        gap = seconds - self.seconds
        if gap <= 0:
            raise TrackingLost(f'{gap:.2f} s between two frames')
        frame = self._frame(given, gap)
        before = self._in_camera_frame(T_fixed_camera)
        searched = not self._quality.started or gap > self._config.joint_search.max_gap
        start = self._search(before, frame) if searched else self._predict(before, gap)
        fitted = self._fit_frame(start, frame, searched)
        fit, observed = fitted.fit, fitted.observed
        score, residual = float(fit.score), float(fit.residual)
        covariance = refinement.residual_covariance(fit.information[0], fit.residual[0])
        state = self._limits.apply(fit.state, covariance)
        self._quality.judge(self._motion.step(start if searched else before, state)[0], score,
                            fitted.evidence)
        self._motion.update(before, state, gap)
        self._state, self.seconds, self.score = state, seconds, score
        self._T_fixed_camera, self.cloud = T_fixed_camera, observed.cloud
        tracked = TrackedState(state, self._motion.velocity, covariance,
                               observed.observation.centroid.cpu(), residual)
        self.estimate = self._update.with_state(self.estimate, tracked, observed.cloud.points)
        return self.estimate

    def _frame(self, given: np.ndarray | ObjectCloud | DepthView, gap: float) -> FrameView:
        """The next frame, from a cloud of the object or an image without a mask."""
        if isinstance(given, DepthView):
            return CroppedFrame(self._fit, given, gap)
        cloud = filter_cloud(given)
        if len(cloud) < MIN_POINTS:
            raise TrackingLost(f'{len(cloud)} of {len(given)} points on the object are valid, '
                               f'at least {MIN_POINTS} are needed')
        return MaskedFrame(self._fit, cloud, gap)

    def _in_camera_frame(self, T_fixed_camera: np.ndarray | None) -> State:
        """The last state in the frame of the present camera; the velocity is rotated, too."""
        if T_fixed_camera is None or self._T_fixed_camera is None:
            return self._state
        T_new_old = torch.from_numpy(np.linalg.inv(T_fixed_camera) @ self._T_fixed_camera).to(
            self._state.q)
        T_new_old[:3, 3] /= self._scale
        return self._motion.change_camera(self._state, T_new_old)

    def _predict(self, before: State, gap: float) -> State:
        return refinement.limit_joints(self._fit.grid, self._motion.predict(before, gap))

    def _search(self, before: State, frame: FrameView) -> State:
        return self._fit.search_joints(before, frame.around(self._fit.sweep_joints(before))
                                       .observation)

    def _fit_frame(self, start: State, frame: FrameView, searched: bool,
                   ) -> _FittedFrame:
        """The best of the fits that start from hypotheses (1 or 2)."""
        c, search = self._config.fit, self._config.joint_search
        prior = self._motion.prior(start, frame.gap)
        iterations = c.search_iterations if searched else c.iterations
        fits, observed = frame.fit(start, iterations, prior)
        best = self._motion.select(fits.score)
        fit = fits[best:best + 1]
        # The information on the base's pose must not depend on the motion model.
        moving = prior[:1]
        fit = replace(fit, information=fit.information + len(observed.observation.points)
                      * SOLVER.point_variance
                      * (moving.precision - prior.precision[best:best + 1]))
        self._frames += 1
        growth = self._quality.growth(float(fit.score))
        evidence = frame.evidence(fit.state, observed)
        if not searched and (growth > search.always_growth
                             or growth > search.min_growth and self._frames % search.every == 0
                             or self._quality.part_missing(evidence)):
            found = self._search_again(start[:1], frame, moving, fit.state)
            if found is not None:
                self._motion.base_moves = True
                return found
        return _FittedFrame(fit, observed, evidence)

    def _search_again(self, start: State, frame: FrameView, prior: refinement.Prior,
                      fitted: State) -> _FittedFrame | None:
        """The fit after a search over the joints, if it explains the frame better than a fitted
        state (1); None also if it meets too few points."""
        try:
            wide = frame.around(self._fit.sweep_joints(start)).observation
            fit, observed = frame.fit(self._fit.search_joints(start, wide),
                                      self._config.fit.search_iterations, prior)
        except TrackingLost:
            return None
        # Both on the same points: a crop around a wrong position may be explained better.
        if self._fit.score(fit.state, wide) >= self._fit.score(fitted, wide):
            return None
        return _FittedFrame(fit, observed, frame.evidence(fit.state, observed))

    def description_changed(self) -> bool:
        """Whether a joint's origin has moved since this was last true: the URDF changes."""
        return self._limits.description_changed(self._state, self._scale)

    @torch.no_grad()
    def merge_limits(self, other: Tracker) -> ArticulatedEstimate:
        """Average both trackers' limits of sliding joints (:meth:`JointLimits.merge`).

        Args:
            other: has tracked the same frame.

        Returns:
            the estimate with the joints' new positions and origins; the poses stay.
        """
        self._state = self._limits.merge(self._state, other._limits, other._state)
        self.estimate = self._update.with_joints(self.estimate, self._state)
        return self.estimate

    @property
    def view_changed(self) -> bool:
        """Whether the object is seen from another view than the marked one."""
        return self._view.changed(*self._viewpoint())

    def mark_view(self) -> None:
        """Store this view: it has a full estimate, or will have one."""
        self._view.mark(*self._viewpoint())

    def _viewpoint(self) -> tuple[Tensor, Tensor]:
        """Direction (3,) to the camera in the base's frame, and joint positions (J,)."""
        R = self._state.T_camera_base[0, :3, :3]
        direction = F.normalize(-self._motion.centre(self._state), dim=0) @ R
        return direction, self._state.q[0]
