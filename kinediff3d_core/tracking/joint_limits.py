"""Lower limits of sliding joints, learned while an object is tracked.

A sliding joint is closed at position 0. If a drawer closes further in than assumed, its joint's
origin moves inwards and its position grows by the same amount. The part does not move.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.networks.score import State
from kinediff3d_core.tracking.config import DEFAULT, JointLimitConfig


def shift_origins(state: State, step: Tensor) -> State:
    """Move the origins of sliding joints back along their axes by a step (1, J), canonical units.

    Their positions grow by the same amount, so that the parts do not move.
    """
    return replace(state, q=state.q + step,
                   origin=state.origin - step[..., None] * state.axis)


class JointLimits:
    """Lower limits of one object's sliding joints, canonical units.

    Args:
        joints: of the category, with their lower limits.
        units: (J,) rad or m of a position of 1.
        present: indices of the joints that the object has.
        state: of the full estimate.
    """

    def __init__(self, joints: Sequence[Joint], units: Tensor, present: Sequence[int],
                 state: State, config: JointLimitConfig = DEFAULT.joint_limits) -> None:
        self._config = config
        self._lower = torch.tensor([j.lower for j in joints]).to(units) / units
        self._sliding = torch.tensor([i in present and j.joint_type == 'prismatic'
                                      for i, j in enumerate(joints)])
        # Least distance to its lower limit at which each joint has been observed.
        self._closest = torch.full_like(state.q, math.inf)
        self._described_origin = state.origin

    def apply(self, state: State, covariance: Tensor) -> State:
        """Keep sliding joints above their lower limits, and learn the limits.

        A joint that is observed beyond its limit shows that the limit is further in: the origin
        moves by a share of that.

        Args:
            covariance: (6 + J, 6 + J) of the pose and the joints, without covariance scale.
        """
        beyond = (self._lower - state.q).clamp_min(0) * self._sliding
        certain = covariance.diagonal()[6:].sqrt() < self._config.max_std
        step = self._config.learning_rate * beyond * certain
        state = shift_origins(state, step)
        q = torch.where(self._sliding, state.q.clamp_min(self._lower), state.q)
        self._closest = torch.where(certain, torch.minimum(self._closest, q - self._lower),
                                    self._closest)
        return replace(state, q=q)

    def merge(self, state: State, other: JointLimits, other_state: State) -> State:
        """Move the limits halfway to those of another full estimate, tracked to the same frame.

        A single view is biased towards usual positions: a closed drawer is estimated a little
        open, and an open one less open than it is. Limits of another set of joints stay out: the
        second of three drawers is not the second of four.

        Returns:
            the state with the new origins; the parts do not move.
        """
        c = self._config
        if not torch.equal(self._sliding, other._sliding):
            return state
        difference = torch.where(self._sliding, other_state.q - state.q, 0.0)
        step = c.merge_share * difference
        # Neither has observed the joint closer to its limit: the limit is no further out.
        closest = torch.where(
            self._sliding, torch.minimum(self._closest, other._closest - difference),
            self._closest)
        if c.merge_bounded:
            step = torch.maximum(step, torch.where(self._sliding, -closest, 0.0))
        self._closest = closest + step
        return shift_origins(state, step)

    def description_changed(self, state: State, scale: float) -> bool:
        """Whether an origin has moved since this was last true.

        Args:
            scale: metres per canonical unit.
        """
        moved = (state.origin - self._described_origin).norm(dim=-1).max() * scale
        changed = bool(moved > self._config.described_change)
        if changed:
            self._described_origin = state.origin
        return changed
