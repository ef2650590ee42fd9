"""Where the camera stands: the test protocol of docs/evaluation.md, and a wider one to train."""

from __future__ import annotations

from math import radians

import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import make_transform, transform_points
from kinediff3d_core.objects.category import Category
from kinediff3d_core.simulation.solids import Instances

TEST_CAMERA = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
TOGETHER, AT_ENDS = 0.25, 1.2
"""Share of training views in which all joints are equally far open; and how far training draws
positions beyond their range, which are then at its ends (a tenth or so at each)."""


def joint_range(category: Category, train: bool = False) -> tuple[Tensor, Tensor]:
    """Lower and upper (K-1,) joint positions of test views, within the joints' limits; training
    looks a little further."""
    low, high = category.train_range if train else category.test_range
    return (torch.tensor([max(low, j.lower) for j in category.joints]),
            torch.tensor([min(high, j.upper) for j in category.joints]))


def state_range(instances: Instances, train: bool = False) -> tuple[Tensor, Tensor]:
    """:func:`joint_range` within the limits of each instance: lower and upper (B, K-1)."""
    c = instances.category
    low, high = c.train_range if train else c.test_range
    lower = instances.lower.clamp_min(low)
    return lower, torch.maximum(instances.upper.clamp_max(high), lower)


def box_corners(bounds: Tensor) -> Tensor:
    """Corners (..., 8, 3) of boxes (..., 2, 3)."""
    pick = [[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    return torch.stack([bounds[..., [p[a] for p in pick], a] for a in range(3)], dim=-1)


def posed_corners(instances: Instances, q: Tensor, T_camera_base: Tensor) -> Tensor:
    """Corners (B, 8 K, 3) of all parts' boxes in the camera frame, m."""
    poses = instances.part_poses(q, T_camera_base)
    return transform_points(poses, box_corners(instances.bounds)).flatten(1, 2)


def sample_views(instances: Instances, generator: torch.Generator, train: bool = False,
                 ) -> tuple[Tensor, Tensor]:
    """Joint states and camera poses, one a row.

    Test views: elevation 10-70 degrees above the base's plane, any azimuth (within 80 degrees of
    the front where the category says so), 1.2-2.5 times the object's bounding diameter away,
    upright within 10 degrees, the joint uniform over its range.
    Training goes 5 degrees lower, 15 higher, and rolls up to 30 degrees; joints are at the ends of
    their ranges, where people leave them, or all equally far open more often than by chance.

    Returns:
        q (B, K-1) rad or m; T_camera_base (B, 4, 4) m.
    """
    n, device = len(instances.centre), instances.centre.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator, device=device)

    low, high = state_range(instances, train)
    share = torch.rand(low.shape, generator=generator, device=device)
    if train:
        share = torch.where(uniform(0, 1, 1) < TOGETHER, share[:, :1], share)
        share = (AT_ENDS * (share - 0.5) + 0.5).clamp(0, 1)
    q = low + (high - low) * share
    elevation = uniform(*((radians(5), radians(85)) if train else (radians(10), radians(70))))
    azimuth = uniform(-instances.category.azimuth, instances.category.azimuth)
    roll = uniform(-1.0, 1.0) * radians(30 if train else 10)
    eye = torch.eye(4, device=device).expand(n, 4, 4)
    corners = posed_corners(instances, q, eye)
    low_corner, high_corner = corners.amin(1), corners.amax(1)
    middle, diameter = (low_corner + high_corner) / 2, (high_corner - low_corner).norm(dim=-1)
    distance = diameter * uniform(1.15 if train else 1.2, 2.6 if train else 2.5)

    # Camera axes in the base frame: z looks at the object, y points down.
    back = torch.stack([elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(),
                        elevation.sin()], dim=-1)
    z = -back
    up = torch.tensor([0.0, 0.0, 1.0], device=device).expand_as(z)
    x = torch.nn.functional.normalize(torch.linalg.cross(z, up), dim=-1)
    y = torch.linalg.cross(z, x)
    c, s = roll.cos()[:, None], roll.sin()[:, None]
    R = torch.stack([c * x + s * y, c * y - s * x, z], dim=1)
    aim = uniform(-0.06, 0.06, 3) * diameter[:, None]
    eye_position = middle + aim + back * distance[:, None]
    return q, make_transform(R, -(R @ eye_position[..., None])[..., 0])
