"""The true shape of a procedural object in place of an estimated one, for fits of its joints."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.networks.kavae import FAR, Field
from kinediff3d_core.objects.category import Category
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.training.pool import ShapeSamples


@dataclass(frozen=True)
class TrueShape:
    """A :class:`~kinediff3d_core.inference.shape.Shape` with the exact distances of one object."""

    instances: Instances
    """One object."""

    @property
    def category(self) -> Category:
        return self.instances.category

    @property
    def parts(self) -> int:
        return self.instances.num_parts

    def query(self, field: Field, points: Tensor) -> Tensor:
        """Signed distances (H, K, N) of points (H, K, N, 3) in part frames, canonical units."""
        H, K, N = points.shape[:3]
        scale = self.category.scale
        distances = [self.instances.part_sdf(k, scale * points[:, k].reshape(1, H * N, 3))
                     .view(H, N) / scale if self.instances.exists[0, k]
                     else points.new_full((H, N), FAR) for k in range(K)]
        return torch.stack(distances, dim=1)

    def nearest(self, field: Field, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`KAVAE.nearest`."""
        with torch.enable_grad():
            local = points.detach().requires_grad_()
            distance, part = self.query(field, local).min(dim=1)
            (gradient,) = torch.autograd.grad(distance.sum(), local)
        return distance.detach(), gradient.sum(1), part


def true_field(instances: Instances, shapes: ShapeSamples) -> Field:
    """Boxes, pivots and parts of one object, as a field without a network.

    Args:
        shapes: samples of the object.
    """
    none = shapes.centre.new_zeros(1)
    return Field(shapes.centre, shapes.half, none, none, torch.zeros_like(instances.lower),
                 shapes.origin, torch.where(instances.exists, torch.inf, -torch.inf))
