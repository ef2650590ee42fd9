"""Camera poses and joint states of views: the test protocol, and a wider one for training."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, radians
from typing import Protocol

import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import make_transform, transform_points
from kinediff3d_core.objects.category import Category
from kinediff3d_core.simulation.resting_poses import draw_resting_poses

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
    closed: float = 0.0
    """Share of views in which all joints are at their lower limits."""
    resting: float = 0.0
    """Probability of another resting pose than upright, where the category has others."""
    facing: float = 0.0
    """Probability that the camera looks straight at one side, so that little else is seen: at the
    front where the azimuth is limited, otherwise at any side or at the top."""
    facing_error: float = radians(8)
    """Standard deviation of azimuth and elevation in such views, rad. Chosen."""


TEST_VIEWS = ViewRange((radians(10), radians(70)), radians(10), (1.2, 2.5))
"""The protocol of docs/evaluation.md."""

TRAIN_VIEWS = ViewRange((radians(5), radians(85)), radians(30), (1.15, 2.6), equal_joints=0.25,
                        stretch=1.2, closed=0.08, resting=0.25, facing=0.15)
"""Wider than the test protocol, so that test views are not at the border of what was trained.

About a tenth of the joints is at either limit, where people leave them. Chosen."""

FACING_ELEVATION = radians(8)
"""Mean elevation of a camera that looks at a side. Chosen."""
TOP_SHARE = 0.25
"""Share of the views of a single side that look at the top, where they may. Chosen."""
HIGHEST = radians(89)
"""Largest elevation: straight from above a camera has no upright image, rad."""


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


@dataclass(frozen=True)
class PosedObjects:
    """Joint states and camera poses of n objects.

    Attributes:
        q: (n, K-1) rad or m.
        T_camera_base: (n, 4, 4) m.
        R_ground_base: (n, 3, 3) into a frame whose z axis points up.
    """

    q: Tensor
    T_camera_base: Tensor
    R_ground_base: Tensor


def sample_views(objects: Articulated, generator: torch.Generator, train: bool = False,
                 ) -> tuple[Tensor, Tensor]:
    """Joint states and camera poses, one for each object, of the test protocol or of training.

    Args:
        generator: on the objects' device.

    Returns:
        q (n, K-1) rad or m; T_camera_base (n, 4, 4) m.
    """
    posed = pose_objects(objects, generator, TRAIN_VIEWS if train else TEST_VIEWS, train)
    return posed.q, posed.T_camera_base


def pose_objects(objects: Articulated, generator: torch.Generator, views: ViewRange = TRAIN_VIEWS,
                 train: bool = True) -> PosedObjects:
    """Joint states, resting poses and camera poses, one for each object.

    Azimuth and joint ranges are the category's; the rest is in the range of views.

    Args:
        generator: on the objects' device.
        train: joint positions of training instead of those of tests.
    """
    n, device, category = len(objects.bounds), objects.bounds.device, objects.category

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator, device=device)

    q = _draw_positions(objects, views, train, generator)
    elevation = uniform(*views.elevation)
    azimuth = uniform(-category.azimuth, category.azimuth)
    roll = uniform(-1.0, 1.0) * views.roll
    R_ground_base = draw_resting_poses(category.name, n, views.resting, generator)
    if views.facing:
        faces = uniform(0, 1) < views.facing
        at = _look_at_a_side(category.azimuth, views.facing_error, n, generator)
        azimuth, elevation = (torch.where(faces, new, old)
                              for new, old in zip(at, (azimuth, elevation), strict=True))
    T_ground = make_transform(R_ground_base, torch.zeros(n, 3, device=device))
    corners = posed_corners(objects, q, T_ground)
    low_corner, high_corner = corners.amin(1), corners.amax(1)
    middle, diameter = (low_corner + high_corner) / 2, (high_corner - low_corner).norm(dim=-1)
    distance = diameter * uniform(*views.distance)
    aim = uniform(-views.aim, views.aim, 3) * diameter[:, None]
    back = torch.stack([elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(),
                        elevation.sin()], dim=-1)
    R = _look_along(-back, roll)
    position = middle + aim + back * distance[:, None]
    T_camera_ground = make_transform(R, -(R @ position[..., None])[..., 0])
    return PosedObjects(q, T_camera_ground @ T_ground, R_ground_base)


def _draw_positions(objects: Articulated, views: ViewRange, train: bool,
                    generator: torch.Generator) -> Tensor:
    """Joint positions (n, K-1), rad or m."""
    low, high = state_range(objects, train)
    n, device = len(low), low.device
    share = torch.rand(low.shape, generator=generator, device=device)
    if views.equal_joints or views.closed:
        kind = torch.rand(n, 1, generator=generator, device=device)
        share = torch.where(kind < views.equal_joints, share[:, :1], share)
        share = torch.where(kind > 1 - views.closed, 0.0, share)
        share = (views.stretch * (share - 0.5) + 0.5).clamp(0, 1)
    return low + (high - low) * share


def _look_at_a_side(widest: float, error: float, n: int, generator: torch.Generator,
                    ) -> tuple[Tensor, Tensor]:
    """Azimuth and elevation (n,), rad, of cameras that look at one side.

    Args:
        widest: greatest azimuth of the category.
        error: standard deviation of both, rad.
    """
    device = generator.device
    off = error * torch.randn(2, n, generator=generator, device=device)
    quarter = torch.randint(4, (n,), generator=generator, device=device) * (pi / 2)
    all_around = widest > pi / 2
    azimuth = (quarter if all_around else 0 * quarter) + off[0]
    top = (torch.rand(n, generator=generator, device=device) < TOP_SHARE) & all_around
    elevation = torch.where(top, HIGHEST - off[1].abs(), FACING_ELEVATION + off[1])
    return azimuth, elevation.clamp_max(HIGHEST)


def _look_along(z: Tensor, roll: Tensor) -> Tensor:
    """Rotations (n, 3, 3) from the base frame into that of a camera that looks along z (n, 3).

    Before ``roll`` (n,), rad, about the optical axis, the camera's y axis points down.
    """
    up = torch.tensor([0.0, 0.0, 1.0], device=z.device).expand_as(z)
    x = torch.nn.functional.normalize(torch.linalg.cross(z, up), dim=-1)
    y = torch.linalg.cross(z, x)
    c, s = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack([c * x + s * y, c * y - s * x, z], dim=1)
