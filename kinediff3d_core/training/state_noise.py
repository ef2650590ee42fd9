"""Noise of the states with which training clouds are canonicalised."""

from __future__ import annotations

from dataclasses import dataclass

import roma
import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import make_transform
from kinediff3d_core.networks.score import State


@dataclass(frozen=True)
class StateNoise:
    """Standard deviations of the noise at level 1. All are chosen.

    Attributes:
        levels: largest level. Levels are uniform from 0 to this; a third of the states has none.
        rotation: of the base's rotation vector, rad.
        translation: of the base's translation, canonical units.
        position: of joint positions, rad or canonical units.
        pivot: of the pivots, canonical units.
    """

    levels: float = 2.0
    rotation: float = 0.04
    translation: float = 0.02
    position: float = 0.04
    pivot: float = 0.012


def add_noise(state: State, config: StateNoise, generator: torch.Generator) -> State:
    """States (B) with noise: a third of them exact, the others up to the largest level."""
    c, (batch, joints) = config, state.q.shape

    def noise(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator, device=generator.device)

    level = torch.rand(batch, generator=generator, device=generator.device)
    level = (level * (c.levels + 1) - 1).clamp_min(0)
    turn = make_transform(roma.rotvec_to_rotmat(c.rotation * level[:, None] * noise(3)),
                          c.translation * level[:, None] * noise(3))
    return State(state.T_camera_base @ turn, state.q + c.position * level[:, None] * noise(joints),
                 state.origin + c.pivot * level[:, None, None] * noise(joints, 3), state.axis)
