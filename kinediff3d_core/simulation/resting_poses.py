"""How objects of a category lie or stand: other stable poses than upright."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import roma
import torch
from torch import Tensor


@dataclass(frozen=True)
class RestingPose:
    """A turn of the base frame against the ground, whose z axis points up.

    Attributes:
        share: of the views, of those with another pose than upright.
        axis: of the rotation, in the base frame.
        angle: rad.
    """

    share: float
    axis: tuple[float, float, float]
    angle: float


_ON_THE_SIDES = tuple(RestingPose(share, axis, angle) for share, axis, angle in (
    (0.25, (1.0, 0.0, 0.0), pi / 2), (0.25, (1.0, 0.0, 0.0), -pi / 2)))
_ON_FRONT_OR_REAR = tuple(RestingPose(share, axis, angle) for share, axis, angle in (
    (0.2, (0.0, 1.0, 0.0), pi / 2), (0.2, (0.0, 1.0, 0.0), -pi / 2)))
_UPSIDE_DOWN = RestingPose(0.1, (1.0, 0.0, 0.0), pi)

RESTING_POSES: dict[str, tuple[RestingPose, ...]] = {
    'box': (*_ON_THE_SIDES, *_ON_FRONT_OR_REAR, _UPSIDE_DOWN),
    'stapler': (*_ON_THE_SIDES, _UPSIDE_DOWN),
    'cutter': _ON_THE_SIDES,
}
"""By category, as people leave such objects; the shares are chosen. Others are always upright:
furniture, appliances and laptops stand, and scissors and eyeglasses look alike from above and
below, so that their frames follow the upper side."""


def draw_resting_poses(category: str, n: int, probability: float, generator: torch.Generator,
                       ) -> Tensor:
    """Rotations (n, 3, 3) from the base frame into one whose z axis points up.

    Args:
        probability: that the pose is not upright, where the category has others.
        generator: its device is that of the result.
    """
    R = torch.eye(3, device=generator.device).repeat(n, 1, 1)
    poses = RESTING_POSES.get(category, ())
    if not poses or probability <= 0:
        return R
    turned = torch.rand(n, generator=generator, device=R.device) < probability
    share = torch.tensor([p.share for p in poses], device=R.device)
    pick = torch.multinomial(share, n, replacement=True, generator=generator)
    vectors = torch.tensor([[p.angle * x for x in p.axis] for p in poses], device=R.device)
    return torch.where(turned[:, None, None], roma.rotvec_to_rotmat(vectors[pick]), R)
