"""Signed distances of one shape on a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.networks.kavae import FAR, KAVAE, Field
from kinediff3d_core.objects.category import Category
from kinediff3d_core.tracking.config import DEFAULT, SdfGridConfig


@dataclass(frozen=True)
class SdfGrid:
    """A :class:`~kinediff3d_core.inference.shape.Shape` that interpolates stored distances.

    A query needs a hundredth of the network's operations. The distance to a part's box is
    computed; the grid stores what the network adds to it. The grid is fine inside the box (a
    thin lid has as many nodes across as along) and coarse in a margin around it.

    Attributes:
        category: its sliding joints reach beyond their lower limits.
        parts: K.
        exists: (K,) which parts the object has.
        correction: (K, 1, X, Y, Z) what the network adds to the distance to the box.
        corrections: (K, 4, X, Y, Z) the same with its gradient.
        config: layout of the grid.
    """

    category: Category
    parts: int
    exists: Tensor
    correction: Tensor
    corrections: Tensor
    config: SdfGridConfig

    @classmethod
    def from_field(cls, net: KAVAE, field: Field,
                   config: SdfGridConfig = DEFAULT.sdf_grid) -> SdfGrid:
        """The grid of a field of one object."""
        step = 2 / (config.nodes - 1)
        end = 1 + config.outer_nodes * step
        axis = torch.linspace(-end, end, config.nodes + 2 * config.outer_nodes,
                              device=field.centre.device)
        inside = axis.clamp(-1, 1) * config.fine_extent
        beyond = (axis - axis.clamp(-1, 1)) / (config.outer_nodes * step) * config.margin
        grids = []
        for k in range(net.parts):
            along = [inside * field.half[0, k, i] + beyond for i in range(3)]
            offset = torch.stack(torch.meshgrid(*along, indexing='ij'), dim=-1).flatten(0, 2)
            distance = net.query(field, (offset + field.centre[0, k])[None, None], part=k)[0, 0]
            added = (distance - _box_distance(offset, field.half[0, k])).view(*[len(axis)] * 3)
            grids.append(torch.stack([added, *torch.gradient(added, spacing=along)]))
        corrections = torch.stack(grids)
        return cls(_with_slack(net.category, config.joint_slack), net.parts, field.exists[0] > 0,
                   corrections[:, :1].contiguous(), corrections, config)

    def query(self, field: Field, points: Tensor) -> Tensor:
        """Signed distances (H, K, N) of points (H, K, N, 3) in part frames."""
        offset, half, at, _ = self._locate(field, points)
        distance = _box_distance(offset, half) + _interpolate(self.correction, at)[:, 0]
        return self._by_hypothesis(distance, points)

    def nearest(self, field: Field, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`KAVAE.nearest`; gradients are interpolated, too."""
        offset, half, at, within = self._locate(field, points)
        correction = _interpolate(self.corrections, at)
        outside = (offset.abs() - half).clamp_min(0)
        box_distance = outside.norm(dim=-1)
        distance, part = self._by_hypothesis(box_distance + correction[:, 0], points).min(dim=1)
        normal = outside / box_distance.clamp_min(1e-9)[..., None]
        gradient = offset.sign() * normal + within * correction[:, 1:].transpose(1, 2)
        H, K, N = points.shape[:3]
        of_nearest = gradient.view(K, H, N, 3).transpose(0, 1).gather(
            1, part[:, None, :, None].expand(-1, -1, -1, 3))[:, 0]
        return distance, of_nearest, part

    def _locate(self, field: Field, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Points (H, K, N, 3) relative to the parts' boxes and grids.

        Returns:
            offsets from the boxes' centres (K, H N, 3); the boxes' half sizes (K, 1, 3); grid
            coordinates, -1 to 1 along each axis (K, H N, 3); which of them are not clamped.
        """
        H, K, N = points.shape[:3]
        half, c = field.half[0, :, None], self.config
        offset = points.transpose(0, 1).reshape(K, H * N, 3) - field.centre[0, :, None]
        fine = c.fine_extent * half
        inside = torch.maximum(torch.minimum(offset, fine), -fine)
        beyond = offset - inside
        end = 1 + 2 * c.outer_nodes / (c.nodes - 1)
        at = (inside / fine + beyond.clamp(-c.margin, c.margin) * ((end - 1) / c.margin)) / end
        return offset, half, at, beyond.abs() < c.margin

    def _by_hypothesis(self, distance: Tensor, points: Tensor) -> Tensor:
        """Distances (K, H N) as (H, K, N); parts that are missing are far away."""
        distance = torch.where(self.exists[:, None], distance, FAR)
        H, K, N = points.shape[:3]
        return distance.view(K, H, N).transpose(0, 1)


def _interpolate(grid: Tensor, at: Tensor) -> Tensor:
    """Values (K, C, N) of grids (K, C, X, Y, Z) at coordinates (K, N, 3), -1 to 1."""
    return F.grid_sample(grid, at.flip(-1)[:, None, None], mode='bilinear',
                         padding_mode='border', align_corners=True)[:, :, 0, 0]


def _with_slack(category: Category, slack: float) -> Category:
    """The category with sliding joints that reach beyond their lower limits, canonical units."""
    return replace(category, joints=tuple(
        replace(j, lower=j.lower - slack * category.scale) if j.joint_type == 'prismatic' else j
        for j in category.joints))


def _box_distance(offset: Tensor, half: Tensor) -> Tensor:
    """Distances (..., N) outside a box of offsets (..., N, 3) from its centre; 0 inside."""
    distance: Tensor = (offset.abs() - half).clamp_min(0).norm(dim=-1)
    return distance
