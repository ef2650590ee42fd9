"""Where sliding joints end."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from kinediff3d_core.networks.score import State

LEARNT, FIRM = 0.5, 0.1
"""Share of it by which the end is then moved, where the joint is as sure as this (deviation,
canonical units)."""


def shift_origins(state: State, step: Tensor) -> State:
    """Origins of sliding joints moved back along their axes by a step (1, J), canonical, and the
    positions on by as much: the parts stay where they are."""
    return replace(state, q=state.q + step,
                   origin=state.origin - step[..., None] * state.axis)
