"""Hypotheses of pose and joints: clustering into modes, ranking, and the prior of the score model.
"""

from __future__ import annotations

from dataclasses import replace

import roma
import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import make_transform, rotation_angle
from kinediff3d_core.inference import refinement
from kinediff3d_core.networks.score import State

MODE = (15.0, 0.25)
"""Hypotheses further apart, in degrees of the base or in a joint (canonical), are two modes."""
SCORE_TEMPERATURE = 0.005
"""Difference of fit scores (canonical) that makes a mode e times less likely."""
MODES = 4
"""Modes that are refined side by side, at most."""
PLAUSIBLE = 0.012
"""Modes whose fit scores (canonical) are worse than the best by more than this are dropped."""
PRIOR_FLOOR = 0.02, 0.04, 0.02
"""Least deviations that the score model is believed to have: translation (canonical), rotation
(rad), joint (rad or canonical)."""


def differs(state: State, other: State, degrees: float, joint: float) -> Tensor:
    """Whether each hypothesis (H) is another mode than ``other``."""
    angle = rotation_angle(state.T_camera_base[:, :3, :3], other.T_camera_base[:3, :3])
    return (torch.rad2deg(angle) > degrees) | ((state.q - other.q).abs().amax(1) > joint)


def sample_share(state: State, drawn: State) -> Tensor:
    """Share (H) of the score model's samples that lie around each hypothesis; never quite none.

    Two modes that explain a view equally well are as likely as the score model draws them.
    """
    near = samples_near(state, drawn, 2.0)
    return (near.sum(1) + 0.5) / (near.shape[1] + 1)


def samples_near(state: State, drawn: State, modes: float) -> Tensor:
    """Which samples lie around each hypothesis, within so many :data:`MODE`: (H, D)."""
    degrees, joint = MODE
    return torch.stack([~differs(drawn, state[i], modes * degrees, modes * joint)
                        for i in range(len(state.q))])


def scatter(state: State, drawn: State, near: Tensor, centre: Tensor) -> Tensor:
    """Second moment (H, 6 + J, 6 + J) of the motions from each hypothesis to its samples.

    Args:
        near: (H, D) which those are.
    """
    steps = refinement.motion(state[:, None], drawn[None], centre) * near[..., None]
    return steps.transpose(1, 2) @ steps / near.sum(1).clamp_min(1)[:, None, None]


def sample_prior(state: State, drawn: State, centre: Tensor) -> refinement.Prior:
    """Mean and spread of the score model's samples in each hypothesis's mode.

    The fewer of them lie there, the less they say. A hypothesis that has left them all behind is
    held by nothing.
    """
    near = samples_near(state, drawn, 1.0)
    alone = near.sum(1) == 0
    share = near / near.sum(1, keepdim=True).clamp_min(1)

    def mean(of: Tensor, own: Tensor) -> Tensor:
        flat = (share @ of.flatten(1)).view(own.shape)
        return torch.where(alone.view(-1, *[1] * (own.dim() - 1)), own, flat)

    T = mean(drawn.T_camera_base, state.T_camera_base)
    T = make_transform(roma.special_procrustes(T[:, :3, :3]), T[:, :3, 3])
    middle = replace(state, T_camera_base=T, q=mean(drawn.q, state.q))
    moment = scatter(middle, drawn, near, centre)
    # Two dozen samples tell correlations badly.
    covariance = 0.7 * moment + 0.3 * torch.diag_embed(moment.diagonal(dim1=1, dim2=2))
    translation, rotation, joint = PRIOR_FLOOR
    floor = torch.tensor([translation] * 3 + [rotation] * 3 + [joint] * state.q.shape[1])
    covariance = covariance + torch.diag(floor.square()).to(covariance)
    weight = near.float().mean(1)[:, None, None]
    return refinement.Prior(middle, weight * torch.linalg.inv(covariance))


def cluster_modes(state: State) -> list[list[int]]:
    """Indices of the states by mode, the modes by their first state."""
    modes: list[list[int]] = []
    left = list(range(len(state.q)))
    while left:
        apart = differs(state, state[left[0]], *MODE).tolist()
        modes.append([i for i in left if not apart[i]])
        left = [i for i in left if apart[i]]
    return modes


def cover_modes(drawn: State, count: int) -> Tensor:
    """Indices of ``count`` samples: the first of each of the larger modes, and others in order."""
    modes = sorted(cluster_modes(drawn), key=len, reverse=True)
    first = [m[0] for m in modes[:count // 2]]
    others = [i for i in range(len(drawn.q)) if i not in first]
    return torch.tensor([*first, *others][:count], device=drawn.q.device)


def select_distinct(state: State, score: Tensor, keep: int, degrees: float) -> Tensor:
    """Indices of the best hypotheses, none within ``degrees`` (pose and joint) of a better.

    A prismatic joint counts a hundredth of a canonical unit as a degree. The best of each mode
    that may be right is among them, so that none is lost before it was refined.
    """
    device = score.device
    state, score = state.to('cpu'), score.cpu()
    order = torch.argsort(score)
    ranked, best = state[order], float(score.min())
    leaders = [m[0] for m in cluster_modes(ranked)][:MODES]
    chosen = [i for i in leaders if float(score[order[i]]) < best + PLAUSIBLE]
    for i in range(len(order)):
        if len(chosen) >= keep:
            break
        if bool(differs(ranked[torch.tensor(chosen)], ranked[i], degrees,
                         0.0125 * degrees).all()):
            chosen.append(i)
    return order[torch.tensor(sorted(chosen))].to(device)
