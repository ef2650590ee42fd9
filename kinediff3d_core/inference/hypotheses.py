"""Hypotheses of shape, pose and joints: clustering into modes, selection, and the sample prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import roma
import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import make_transform, rotation_angle
from kinediff3d_core.inference.presets import MIN_PRIOR_STD, HypothesisConfig
from kinediff3d_core.inference.refinement import Prior, motion
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State


@dataclass(frozen=True)
class Hypotheses:
    """H hypotheses of one object.

    Attributes:
        z: (H, D_z) shape codes.
        field: (H) what they decode to.
        state: (H) poses and joints.
    """

    z: Tensor
    field: Field
    state: State

    def __getitem__(self, index: Tensor) -> Hypotheses:
        return Hypotheses(self.z[index], self.field[index], self.state[index])

    @classmethod
    def concatenate(cls, several: Sequence[Hypotheses]) -> Hypotheses:
        """All hypotheses, in order."""
        field = Field(*(torch.cat([getattr(h.field, f.name) for h in several])
                        for f in fields(Field)))
        return Hypotheses(torch.cat([h.z for h in several]), field,
                          State.concatenate([h.state for h in several]))


@dataclass(frozen=True)
class RefinedHypotheses(Hypotheses):
    """H hypotheses after refinement.

    Attributes:
        score: (H,) by which they are ranked; lower is better.
        residual: (H,) mean distance of the observed points to the surface, canonical.
        information: (H, 6 + J, 6 + J) of poses and joints.
        log_support: (H,) of :func:`~kinediff3d_core.inference.verification.log_support`.
    """

    score: Tensor
    residual: Tensor
    information: Tensor
    log_support: Tensor

    @property
    def best(self) -> int:
        """Index of the hypothesis with the lowest score."""
        return int(self.score.argmin())


def differs(state: State, other: State, degrees: float, joint: float) -> Tensor:
    """Whether each hypothesis (H) differs from ``other`` by more than a rotation of the base (deg)
    or a joint position (canonical)."""
    angle = rotation_angle(state.T_camera_base[:, :3, :3], other.T_camera_base[:3, :3])
    return (torch.rad2deg(angle) > degrees) | ((state.q - other.q).abs().amax(1) > joint)


def samples_within(state: State, samples: State, modes: float, config: HypothesisConfig,
                   ) -> Tensor:
    """Which samples (S) lie within ``modes`` mode sizes of each hypothesis: (H, S)."""
    degrees, joint = modes * config.mode_rotation, modes * config.mode_joint
    return torch.stack([~differs(samples, state[i], degrees, joint)
                        for i in range(len(state.q))])


def sample_share(state: State, samples: State, config: HypothesisConfig) -> Tensor:
    """Share (H) of the score model's samples that lie around each hypothesis, never zero.

    Two modes that explain a view equally well are as likely as the score model samples them.
    """
    near = samples_within(state, samples, config.nearby_modes, config)
    return (near.sum(1) + 0.5) / (near.shape[1] + 1)


def second_moment(state: State, samples: State, near: Tensor, centre: Tensor) -> Tensor:
    """Second moment (H, 6 + J, 6 + J) of the motions from each hypothesis to its samples.

    Args:
        near: (H, S) which samples are a hypothesis's own.
    """
    steps = motion(state[:, None], samples[None], centre) * near[..., None]
    return steps.transpose(1, 2) @ steps / near.sum(1).clamp_min(1)[:, None, None]


def sample_prior(state: State, samples: State, centre: Tensor, config: HypothesisConfig) -> Prior:
    """Gaussian of the score model's samples in each hypothesis's mode.

    Its precision is weighted by the share of the samples that lie there, so that a hypothesis
    without any has no prior.
    """
    near = samples_within(state, samples, 1.0, config)
    mean = _mean_state(state, samples, near)
    covariance = second_moment(mean, samples, near, centre)
    translation, rotation, joint = (max(std, MIN_PRIOR_STD) for std in config.prior_floor)
    floor = torch.tensor([translation] * 3 + [rotation] * 3 + [joint] * state.q.shape[1])
    covariance = covariance + torch.diag(floor.square()).to(covariance)
    weight = near.float().mean(1)[:, None, None]
    return Prior(mean, weight * torch.linalg.inv(covariance))


def _mean_state(state: State, samples: State, near: Tensor) -> State:
    """Mean (H) of each hypothesis's samples; the hypothesis itself where it has none."""
    none = near.sum(1) == 0
    share = near / near.sum(1, keepdim=True).clamp_min(1)

    def mean(values: Tensor, default: Tensor) -> Tensor:
        found = (share @ values.flatten(1)).view(default.shape)
        return torch.where(none.view(-1, *[1] * (default.dim() - 1)), default, found)

    T = mean(samples.T_camera_base, state.T_camera_base)
    T = make_transform(roma.special_procrustes(T[:, :3, :3]), T[:, :3, 3])
    return replace(state, T_camera_base=T, q=mean(samples.q, state.q))


def cluster_modes(state: State, config: HypothesisConfig) -> list[list[int]]:
    """Indices of the states by mode. Each mode is what is near its first state (leader
    clustering)."""
    modes: list[list[int]] = []
    left = list(range(len(state.q)))
    while left:
        apart = differs(state, state[left[0]], config.mode_rotation, config.mode_joint).tolist()
        modes.append([i for i in left if not apart[i]])
        left = [i for i in left if apart[i]]
    return modes


def mode_leaders(state: State, score: Tensor, config: HypothesisConfig) -> list[int]:
    """Indices of the best hypothesis of each mode, best first."""
    order = torch.argsort(score)
    return [int(order[mode[0]]) for mode in cluster_modes(state[order], config)]


def mode_weights(score: Tensor, config: HypothesisConfig) -> list[float]:
    """Probabilities of modes with these scores (M); they sum to one."""
    weights: list[float] = torch.softmax(-score / config.weight_temperature, dim=0).tolist()
    return weights


def cover_modes(samples: State, count: int, config: HypothesisConfig) -> Tensor:
    """Indices of ``count`` samples: the first of each of the larger modes, and others in order."""
    modes = sorted(cluster_modes(samples, config), key=len, reverse=True)
    first = [m[0] for m in modes[:count // 2]]
    others = [i for i in range(len(samples.q)) if i not in first]
    return torch.tensor([*first, *others][:count], device=samples.q.device)


def select_distinct(state: State, score: Tensor, keep: int, degrees: float,
                    config: HypothesisConfig) -> Tensor:
    """Indices of the ``keep`` best hypotheses, none near a better one.

    Near means within ``degrees`` and within ``joint_per_degree`` times that. The best hypothesis
    of each plausible mode is always among them, so that no mode is lost before it is refined.
    """
    device = score.device
    state, score = state.to('cpu'), score.cpu()
    order = torch.argsort(score)
    ranked, best = state[order], float(score.min())
    leaders = [m[0] for m in cluster_modes(ranked, config)][:config.max_modes]
    chosen = [i for i in leaders if float(score[order[i]]) < best + config.max_score_gap]
    for i in range(len(order)):
        if len(chosen) >= keep:
            break
        if bool(differs(ranked[torch.tensor(chosen)], ranked[i], degrees,
                        config.joint_per_degree * degrees).all()):
            chosen.append(i)
    return order[torch.tensor(sorted(chosen))].to(device)
