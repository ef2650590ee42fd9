"""Exact depth of boxes and balls: what stands beside, under and behind the procedural objects."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import invert_transform
from kinediff3d_core.simulation.render import PARALLEL


@dataclass(frozen=True)
class Primitive:
    """A box, or balls that belong together.

    Attributes:
        T: (4, 4) pose of the box, m; of balls, the frame of their centres.
        half: (3,) half sizes of the box, m; None for balls.
        centres: (N, 3) of the balls in the frame of ``T``, m. radii: (N,) m.
    """

    T: Tensor
    half: Tensor | None = None
    centres: Tensor | None = None
    radii: Tensor | None = None


def primitive_depth(primitive: Primitive, rays: Tensor) -> Tensor:
    """Depth (H, W) along z of a primitive in the camera frame, m; infinite where rays miss it.

    Args:
        primitive: its ``T`` is T_camera_primitive. The camera is outside of it.
        rays: (H, W, 3) with z = 1, from the camera's centre.
    """
    if primitive.half is not None:
        return _box_depth(primitive.T, primitive.half, rays)
    assert primitive.centres is not None and primitive.radii is not None
    centres = primitive.centres @ primitive.T[:3, :3].T + primitive.T[:3, 3]
    depth = torch.full(rays.shape[:2], torch.inf)
    for centre, radius in zip(centres, primitive.radii, strict=True):
        depth = torch.minimum(depth, _ball_depth(centre, radius, rays))
    return depth


def _box_depth(T: Tensor, half: Tensor, rays: Tensor) -> Tensor:
    inverse = invert_transform(T)
    direction = rays @ inverse[:3, :3].T
    direction = torch.where(direction.abs() < PARALLEL, PARALLEL, direction)
    first, second = ((side * half - inverse[:3, 3]) / direction for side in (-1, 1))
    enter = torch.minimum(first, second).amax(-1)
    leave = torch.maximum(first, second).amin(-1)
    return torch.where((enter < leave) & (enter > 0), enter, torch.inf)


def _ball_depth(centre: Tensor, radius: Tensor, rays: Tensor) -> Tensor:
    a = rays.square().sum(-1)
    b = rays @ centre
    root = b.square() - a * (centre.square().sum() - radius * radius)
    depth = (b - root.clamp_min(0).sqrt()) / a
    return torch.where((root > 0) & (depth > 0), depth, torch.inf)
