"""Camera poses and joint states of views: the test protocol, and a wider one for training."""

from __future__ import annotations

from dataclasses import dataclass
from math import radians
from typing import Protocol

import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import make_transform, transform_points
from kinediff3d_core.objects.category import Category

TEST_CAMERA = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
"""Camera of the test protocol."""


@dataclass(frozen=True)
class ViewRange:
    """From where an object is seen, and in which states of its joints."""

    elevation: tuple[float, float]
    """Of the camera above the base's plane, rad."""
    roll: float
    """Largest rotation about the optical axis, rad."""
    distance: tuple[float, float]
    """From the middle of the object, in diameters of its bounding box."""
    aim: float = 0.06
    """Largest distance of the optical axis from the middle in each axis, in diameters. Chosen."""
    equal_joints: float = 0.0
    """Share of views in which all joints are equally far open."""
    stretch: float = 1.0
    """Factor by which positions are drawn beyond the joints' ranges, and then clamped to them."""


TEST_VIEWS = ViewRange((radians(10), radians(70)), radians(10), (1.2, 2.5))
"""The protocol of docs/evaluation.md."""

TRAIN_VIEWS = ViewRange((radians(5), radians(85)), radians(30), (1.15, 2.6), equal_joints=0.25,
                        stretch=1.2)
"""Wider than the test protocol, so that test views are not at the border of what was trained.

About a tenth of the joints is at either limit, where people leave them. Chosen."""


class Articulated(Protocol):
    """Interface of n objects of a category for :func:`sample_views`."""

    @property
    def category(self) -> Category: ...

    @property
    def bounds(self) -> Tensor:
        """(n, K, 2, 3) axis-aligned box of each part in its frame, m."""

    @property
    def lower(self) -> Tensor:
        """(n, K-1) rad or m."""

    @property
    def upper(self) -> Tensor:
        """(n, K-1) rad or m."""

    def part_poses(self, q: Tensor, T_camera_base: Tensor) -> Tensor:
        """T_camera_part (n, K, 4, 4) at joint positions q (n, K-1)."""


def joint_range(category: Category, train: bool = False) -> tuple[Tensor, Tensor]:
    """Lower and upper joint positions (K-1,) of views of a category, rad or m.

    They are within the category's limits. The range of training is wider than that of tests.
    """
    low, high = category.train_range if train else category.test_range
    return (torch.tensor([max(low, j.lower) for j in category.joints]),
            torch.tensor([min(high, j.upper) for j in category.joints]))


def state_range(objects: Articulated, train: bool = False) -> tuple[Tensor, Tensor]:
    """:func:`joint_range` within the limits of each object: lower and upper (n, K-1)."""
    c = objects.category
    low, high = c.train_range if train else c.test_range
    lower = objects.lower.clamp_min(low)
    return lower, torch.maximum(objects.upper.clamp_max(high), lower)


def box_corners(bounds: Tensor) -> Tensor:
    """Corners (..., 8, 3) of boxes (..., 2, 3)."""
    pick = [[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    return torch.stack([bounds[..., [p[a] for p in pick], a] for a in range(3)], dim=-1)


def posed_corners(objects: Articulated, q: Tensor, T_camera_base: Tensor) -> Tensor:
    """Corners (n, 8 K, 3) of all parts' boxes in the camera frame, m."""
    poses = objects.part_poses(q, T_camera_base)
    return transform_points(poses, box_corners(objects.bounds)).flatten(1, 2)


def sample_views(objects: Articulated, generator: torch.Generator, train: bool = False,
                 ) -> tuple[Tensor, Tensor]:
    """Joint states and camera poses, one for each object.

    Azimuth and joint ranges are the category's; the rest is in ``TEST_VIEWS`` and ``TRAIN_VIEWS``.

    Args:
        generator: on the objects' device.

    Returns:
        q (n, K-1) rad or m; T_camera_base (n, 4, 4) m.
    """
    views = TRAIN_VIEWS if train else TEST_VIEWS
    n, device = len(objects.bounds), objects.bounds.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator, device=device)

    low, high = state_range(objects, train)
    share = torch.rand(low.shape, generator=generator, device=device)
    if train:
        share = torch.where(uniform(0, 1, 1) < views.equal_joints, share[:, :1], share)
        share = (views.stretch * (share - 0.5) + 0.5).clamp(0, 1)
    q = low + (high - low) * share
    elevation = uniform(*views.elevation)
    azimuth = uniform(-objects.category.azimuth, objects.category.azimuth)
    roll = uniform(-1.0, 1.0) * views.roll
    corners = posed_corners(objects, q, torch.eye(4, device=device).expand(n, 4, 4))
    low_corner, high_corner = corners.amin(1), corners.amax(1)
    middle, diameter = (low_corner + high_corner) / 2, (high_corner - low_corner).norm(dim=-1)
    distance = diameter * uniform(*views.distance)
    aim = uniform(-views.aim, views.aim, 3) * diameter[:, None]
    back = torch.stack([elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(),
                        elevation.sin()], dim=-1)
    R = _look_along(-back, roll)
    position = middle + aim + back * distance[:, None]
    return q, make_transform(R, -(R @ position[..., None])[..., 0])


def _look_along(z: Tensor, roll: Tensor) -> Tensor:
    """Rotations (n, 3, 3) from the base frame into that of a camera that looks along z (n, 3).

    Before ``roll`` (n,), rad, about the optical axis, the camera's y axis points down.
    """
    up = torch.tensor([0.0, 0.0, 1.0], device=z.device).expand_as(z)
    x = torch.nn.functional.normalize(torch.linalg.cross(z, up), dim=-1)
    y = torch.linalg.cross(z, x)
    c, s = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack([c * x + s * y, c * y - s * x, z], dim=1)
