"""The published estimate of refined hypotheses: modes, parts, joints, covariance, confidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import shift_covariance
from kinediff3d_core.inference.hypotheses import (
    RefinedHypotheses,
    mode_leaders,
    mode_weights,
    samples_within,
    second_moment,
)
from kinediff3d_core.inference.model import CategoryModel
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.inference.refinement import residual_covariance
from kinediff3d_core.inference.residuals import part_poses
from kinediff3d_core.inference.uncertainty import (
    accuracy_probability,
    fit_confidence,
)
from kinediff3d_core.inference.view import PreparedView
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mode,
    PartEstimate,
)

PRESENT = 0.5
"""Probability above which a part belongs to the estimate: it is likelier to exist than not."""


def build_estimate(model: CategoryModel, preset: Preset, refined: RefinedHypotheses,
                   view: PreparedView, samples: State | None = None) -> ArticulatedEstimate:
    """The estimate of the best hypothesis, in metres, without meshes and stage times.

    Args:
        samples: of the score model, on the CPU, for the covariance; None leaves them out.
    """
    category, best = model.category, refined.best
    exists = torch.sigmoid(refined.field.exists[best]).tolist()
    joints = [i for i, j in enumerate(category.joints) if exists[j.child] > PRESENT]
    modes = _modes(model, preset, refined, joints)
    covariance, joint_std = _covariance(model, preset, refined, view, samples)
    residual = float(refined.residual[best])
    estimate = ArticulatedEstimate(
        category.name, _parts(model, refined.state[best:best + 1], exists),
        _joints(model, refined.state, best, exists, joint_std), covariance,
        residual * category.scale, 0.0, modes, refined.z[best].double().cpu().numpy(),
        view.points.double().cpu().numpy() * category.scale, {})
    support = float(refined.log_support[best].exp())
    confidence = (modes[0].weight * fit_confidence(residual, preset.confidence)
                  * accuracy_probability(estimate, preset.confidence) * support)
    return replace(estimate, confidence=confidence, support=support)


def _modes(model: CategoryModel, preset: Preset, refined: RefinedHypotheses, joints: list[int],
           ) -> tuple[Mode, ...]:
    """Modes with their weights, best first; only the best hypothesis of a mode counts."""
    scale, units = model.category.scale, model.units.cpu()
    state, score = refined.state.to('cpu'), refined.score.cpu()
    leaders = mode_leaders(state, score, preset.hypothesis)
    weights = mode_weights(score[leaders], preset.hypothesis)
    return tuple(Mode(weight, to_metres(state.T_camera_base[i], scale),
                      (state.q[i] * units)[joints].double().cpu().numpy(),
                      float(refined.residual[i]) * scale)
                 for weight, i in zip(weights, leaders, strict=True))


def _parts(model: CategoryModel, state: State, exists: list[float]) -> tuple[PartEstimate, ...]:
    """The parts that exist, posed by a state (1)."""
    poses, category = part_poses(model.shape, state)[0].cpu(), model.category
    return tuple(PartEstimate(name, to_metres(poses[k], category.scale), None)
                 for k, name in enumerate(category.parts) if exists[k] > PRESENT)


def _joints(model: CategoryModel, states: State, best: int, exists: list[float],
            std: np.ndarray) -> tuple[JointEstimate, ...]:
    """The joints whose child parts exist.

    Args:
        std: (J,) standard deviations of the positions, canonical units.
    """
    category, units, state = model.category, model.units.cpu(), states.to('cpu')
    axes = torch.nn.functional.normalize(state.axis[best].double(), dim=-1).numpy()
    origins = state.origin[best].double().numpy() * category.scale
    return tuple(JointEstimate(
        j.name, j.joint_type, category.parts[j.parent], category.parts[j.child], origins[i],
        axes[i], float(state.q[best, i] * units[i]), j.lower, j.upper,
        float(std[i]) * float(units[i]), exists[j.child])
        for i, j in enumerate(category.joints) if exists[j.child] > PRESENT)


def _covariance(model: CategoryModel, preset: Preset, refined: RefinedHypotheses,
                view: PreparedView, samples: State | None) -> tuple[np.ndarray, np.ndarray]:
    """Covariance (6, 6) of the base pose, m and rad, and standard deviations of q (J), canonical.

    The sum of the second moment of the refined hypotheses in the best one's mode, the covariance
    that the residuals leave, and a share of the second moment of the score model's samples.
    """
    best, hypothesis, config = refined.best, preset.hypothesis, preset.uncertainty
    state, centre = refined.state.to('cpu'), view.observation.centroid.cpu()
    own = state[best:best + 1]
    total = (second_moment(own, state, samples_within(own, state, 1.0, hypothesis), centre)[0]
             + residual_covariance(refined.information.cpu()[best], refined.residual.cpu()[best],
                                   config))
    if samples is not None:
        near = samples_within(own, samples, hypothesis.nearby_modes, hypothesis)
        total = total + config.drawn_share * second_moment(own, samples, near, centre)[0]
    return pose_covariance(model, total, state.T_camera_base[best], centre)


def pose_covariance(model: CategoryModel, motions: Tensor, T_camera_base: Tensor, centre: Tensor,
                    ) -> tuple[np.ndarray, np.ndarray]:
    """Covariance (6, 6) of the base pose, m and rad, and standard deviations of q (J), canonical.

    Args:
        motions: (6 + J, 6 + J) covariance of motions about ``centre``, canonical units.
        T_camera_base: (4, 4), canonical units.
    """
    arm = T_camera_base[:3, 3] - centre
    total = shift_covariance(*(x.double().cpu().numpy() for x in (motions, arm)))
    factor = model.covariance_scale.double().cpu().numpy()
    factor[:3] *= model.category.scale
    covariance = total[:6, :6] * factor[:6, None] * factor[:6]
    joint_std: np.ndarray = np.sqrt(total.diagonal()[6:].clip(0)) * factor[6:]
    return (covariance + covariance.T) / 2, joint_std


def to_metres(T: Tensor, scale: float) -> np.ndarray:
    """A pose (4, 4) in canonical units as one in metres, float64."""
    out: np.ndarray = T.double().cpu().numpy().copy()
    out[:3, 3] *= scale
    return out
