"""Motion models of a tracked object: constant velocity, with a base that moves or stands still."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from kinediff3d_core.inference import refinement
from kinediff3d_core.networks.score import State
from kinediff3d_core.tracking.config import DEFAULT, MotionConfig


class MotionModel:
    """Predicts the state of the next frame, and the covariance of the prediction.

    While the base stands still two hypotheses are predicted: a moving base, then a still one.
    Predictions of joints have larger covariances than those of their base, because joints move
    faster: a drawer that opens is similar to a cabinet that comes nearer.

    Args:
        joints: J.
        centre: (3,) the base's middle in the base's frame: rotations are about it.

    Attributes:
        velocity: (1, 6 + J) as the steps of :func:`refinement.move`, a second.
        base_moves: whether the base moves; if not, both hypotheses are predicted.
    """

    def __init__(self, joints: int, centre: Tensor,
                 config: MotionConfig = DEFAULT.motion) -> None:
        self._centre, self._config, c = centre, config, config
        self.velocity = torch.zeros(1, 6 + joints)
        self.base_moves = False
        self._std = torch.tensor([
            [translation] * 3 + [rotation] * 3 + [c.joint_std] * joints
            for translation, rotation in ((c.translation_std, c.rotation_std),
                                          (c.still_translation_std, c.still_rotation_std))])

    def centre(self, state: State) -> Tensor:
        """(3,) the base's middle in the camera frame."""
        T = state.T_camera_base[0]
        return T[:3, :3] @ self._centre + T[:3, 3]

    def step(self, before: State, after: State) -> Tensor:
        """(1, 6 + J) the motion between two states, about the first one's centre."""
        return refinement.motion(before, after, self.centre(before))

    def predict(self, state: State, gap: float) -> State:
        """Hypotheses (1 or 2) of the state after a gap (s)."""
        centre = self.centre(state)
        step = self.velocity * min(gap, self._config.max_prediction)
        if not self.base_moves:
            state, step = state[torch.zeros(2, dtype=torch.long)], step.repeat(2, 1)
            step[1, :6] = 0
        return refinement.move(state, step, centre)

    def prior(self, predicted: State, gap: float) -> refinement.Prior:
        """The Gaussian of the state after a gap (s), for each predicted hypothesis."""
        c = self._config
        time = min(max(gap, c.min_gap), c.max_prediction)
        precision = torch.diag_embed((time * self._std[:len(predicted.q)]) ** -2)
        return refinement.Prior(predicted, precision)

    def select(self, scores: Tensor) -> int:
        """Index of the selected hypothesis, by the scores (H) of the fits.

        A still base is the simpler model: motion has to explain the frame clearly better.
        """
        still = len(scores) > 1 and bool(scores[0] > self._config.moving_score_ratio * scores[1])
        self.base_moves = not still
        return int(still)

    def update(self, before: State, after: State, gap: float) -> None:
        """Filter the velocity of a gap (s); a slow base may stand still again."""
        c = self._config
        share = 1 - math.exp(-gap / c.smoothing_time)
        velocity = self.step(before, after) / gap
        self.velocity = self.velocity + share * (velocity - self.velocity)
        speed, turn_rate = self.velocity[0, :3].norm(), self.velocity[0, 3:6].norm()
        self.base_moves &= bool(speed > c.still_speed) or bool(turn_rate > c.still_turn_rate)

    def change_camera(self, state: State, T_new_old: Tensor) -> State:
        """The state in another camera frame, canonical units; the velocity is rotated, too."""
        turned = self.velocity[:, :6].view(2, 3) @ T_new_old[:3, :3].T
        self.velocity = torch.cat([turned.view(1, 6), self.velocity[:, 6:]], dim=1)
        return replace(state, T_camera_base=T_new_old @ state.T_camera_base)
