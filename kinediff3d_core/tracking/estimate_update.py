"""Conversion of the tracked state to an estimate in metres."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from kinediff3d_core.inference import residuals
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.uncertainty import accuracy_probability, fit_confidence
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mode


@dataclass(frozen=True)
class TrackedState:
    """The tracked state after a frame, canonical units, on the CPU.

    Attributes:
        state: (1) pose and joints.
        velocity: (1, 6 + J) a second, as the steps of :func:`refinement.move`.
        covariance: (6 + J, 6 + J) of motions about ``centre``, without covariance scale.
        centre: (3,) of the observed points.
        residual: mean distance of the observed points.
    """

    state: State
    velocity: Tensor
    covariance: Tensor
    centre: Tensor
    residual: float


class EstimateUpdate:
    """Writes tracked states into the estimate; shape, names and meshes stay.

    Args:
        estimate: the full estimate that tracking starts from.

    Attributes:
        joints: indices of the estimate's joints in the category.
    """

    def __init__(self, pipeline: Pipeline, estimate: ArticulatedEstimate) -> None:
        category, self._pipeline = pipeline.category, pipeline
        self._scale, self._units = category.scale, pipeline.units.double().cpu()
        names = [j.name for j in category.joints]
        self.joints = [names.index(j.name) for j in estimate.joints]
        self._parts = [category.parts.index(p.name) for p in estimate.parts]
        # The confidence that this is the right mode stays while the object is tracked.
        self._mode_confidence = estimate.confidence / (
            fit_confidence(estimate.residual / self._scale) * accuracy_probability(estimate))

    def with_joints(self, estimate: ArticulatedEstimate, state: State) -> ArticulatedEstimate:
        """The estimate with the joint positions and origins of a state; the poses stay."""
        return replace(estimate, joints=self._placed_joints(estimate, state))

    def with_state(self, estimate: ArticulatedEstimate, tracked: TrackedState,
                   points: np.ndarray) -> ArticulatedEstimate:
        """The estimate of a frame.

        Args:
            estimate: of the frame before.
            points: (N, 3) the frame's cloud, m.
        """
        state, scale = tracked.state, self._scale
        poses = residuals.part_poses(self._pipeline.shape, state)[0].double().cpu().numpy()
        poses[:, :3, 3] *= scale
        covariance, std = self._pipeline.pose_covariance(
            tracked.covariance, state.T_camera_base[0], tracked.centre)
        units = self._units.numpy()
        velocity = tracked.velocity[0, 6:].double().cpu().numpy() * units
        parts = tuple(replace(part, T_camera_part=poses[k])
                      for part, k in zip(estimate.parts, self._parts, strict=True))
        joints = tuple(
            replace(joint, velocity=float(velocity[i]), std=float(std[i] * units[i]))
            for joint, i in zip(self._placed_joints(estimate, state), self.joints, strict=True))
        residual = tracked.residual * scale
        mode = Mode(1.0, poses[0], np.array([j.position for j in joints]), residual)
        updated = replace(estimate, parts=parts, joints=joints, covariance=covariance,
                          residual=residual, modes=(mode,), points=points, seconds={})
        confidence = (self._mode_confidence * fit_confidence(tracked.residual)
                      * accuracy_probability(updated))
        return replace(updated, confidence=min(1.0, confidence))

    def _placed_joints(self, estimate: ArticulatedEstimate, state: State,
                       ) -> tuple[JointEstimate, ...]:
        """The estimate's joints at the positions and origins of a state, m and rad."""
        origin = state.origin[0].double().cpu().numpy() * self._scale
        q = state.q[0].double().cpu() * self._units
        return tuple(replace(joint, position=float(q[i]), origin=origin[i])
                     for joint, i in zip(estimate.joints, self.joints, strict=True))
