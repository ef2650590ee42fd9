"""Signed distances of one shape on a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.networks.kavae import FAR, KAVAE, Field
from kinediff3d_core.objects.category import Category

SLACK = 0.03
"""How far a sliding part may be seen beyond the end of its joint in one frame, canonical units."""
NODES, MARGIN = 25, 0.1
"""The table's nodes along each axis of a part's box, and how far it reaches beyond it."""


@dataclass(frozen=True)
class SdfGrid:
    """Distances to one shape's parts, tabulated: a hundredth of the network's work a query.

    Stands in for :class:`KAVAE` where only distances and their gradients are asked for. What the
    network adds to the distance to each part's box lies on a grid that is fine inside the box (a
    thin lid has as many nodes across as along) and reaches ``MARGIN`` beyond it.

    Attributes:
        category: its sliding joints reach beyond their ends. parts: how many.
        there: (K,) which of them the object has.
        slopes: (K, 4, X, Y, Z) added distance and its gradient. added: (K, 1, X, Y, Z) alone.
    """

    category: Category
    parts: int
    there: Tensor
    slopes: Tensor
    added: Tensor

    @classmethod
    def from_field(cls, net: KAVAE, field: Field) -> SdfGrid:
        """The table of a field of one object."""
        step = 2 / (NODES - 1)
        axis = torch.linspace(-1 - 2 * step, 1 + 2 * step, NODES + 4, device=field.centre.device)
        inside = axis.clamp(-1, 1) * 1.2
        beyond = (axis - axis.clamp(-1, 1)) / (2 * step) * MARGIN
        tables = []
        for k in range(net.parts):
            along = [inside * field.half[0, k, i] + beyond for i in range(3)]
            offset = torch.stack(torch.meshgrid(*along, indexing='ij'), dim=-1).flatten(0, 2)
            distance = net.query(field, (offset + field.centre[0, k])[None, None], part=k)[0, 0]
            added = (distance - _box_distance(offset, field.half[0, k])).view(*[len(axis)] * 3)
            tables.append(torch.stack([added, *torch.gradient(added, spacing=along)]))
        slopes = torch.stack(tables)
        return cls(_with_slack(net.category), net.parts, field.exists[0] > 0, slopes,
                   slopes[:, :1].contiguous())

    def query(self, field: Field, points: Tensor) -> Tensor:
        """Signed distances (H, K, N) of points (H, K, N, 3) in part frames."""
        offset, half, at, _ = self._place(field, points)
        distance = _box_distance(offset, half) + _interpolated(self.added, at)[:, 0]
        return self._by_hypothesis(distance, points)

    def nearest(self, field: Field, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`KAVAE.nearest`; gradients are tabulated, too."""
        offset, half, at, within = self._place(field, points)
        added = _interpolated(self.slopes, at)
        outside = (offset.abs() - half).clamp_min(0)
        away = outside.norm(dim=-1)
        distance, part = self._by_hypothesis(away + added[:, 0], points).min(dim=1)
        normal = outside / away.clamp_min(1e-9)[..., None]
        gradient = offset.sign() * normal + within * added[:, 1:].transpose(1, 2)
        H, K, N = points.shape[:3]
        own = gradient.view(K, H, N, 3).transpose(0, 1).gather(
            1, part[:, None, :, None].expand(-1, -1, -1, 3))[:, 0]
        return distance, own, part

    def _place(self, field: Field, points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Points (H, K, N, 3) by part (K, H N, 3): offsets from the boxes' centres, the boxes'
        half sizes (K, 1, 3), places in the tables, and whether those reach that far."""
        H, K, N = points.shape[:3]
        half = field.half[0, :, None]
        offset = points.transpose(0, 1).reshape(K, H * N, 3) - field.centre[0, :, None]
        reach = 1.2 * half
        inside = torch.maximum(torch.minimum(offset, reach), -reach)
        beyond = offset - inside
        end = 1 + 4 / (NODES - 1)
        at = (inside / reach + beyond.clamp(-MARGIN, MARGIN) * ((end - 1) / MARGIN)) / end
        return offset, half, at, beyond.abs() < MARGIN

    def _by_hypothesis(self, distance: Tensor, points: Tensor) -> Tensor:
        distance = torch.where(self.there[:, None], distance, FAR)
        H, K, N = points.shape[:3]
        return distance.view(K, H, N).transpose(0, 1)


def _interpolated(table: Tensor, at: Tensor) -> Tensor:
    """Values (K, C, N) of tables (K, C, X, Y, Z) at places (K, N, 3), -1 to 1 along each axis."""
    return F.grid_sample(table, at.flip(-1)[:, None, None], mode='bilinear',
                         padding_mode='border', align_corners=True)[:, :, 0, 0]


def _with_slack(category: Category) -> Category:
    """The category with sliding joints that reach beyond their lower end."""
    return replace(category, joints=tuple(
        replace(j, lower=j.lower - SLACK * category.scale) if j.joint_type == 'prismatic' else j
        for j in category.joints))


def _box_distance(offset: Tensor, half: Tensor) -> Tensor:
    """How far (..., N) offsets (..., N, 3) from a box's centre are outside the box."""
    distance: Tensor = (offset.abs() - half).clamp_min(0).norm(dim=-1)
    return distance
