"""Training data made as it is used: a ring of instances and views on one device.

They come from the category's procedural family, from imported objects, or from both.

Making an instance or a view costs more than a training step on a CPU, so both are kept and used
several times; every ``refresh`` replaces the oldest. Noise that is cheap (which points, a turn
about the camera's axis) is drawn again at each use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import roma
import torch
from torch import Tensor

from kinediff3d_core.data.sample_files import ImportedObjects
from kinediff3d_core.data.samples import noisy_clouds, query_points, view_rays
from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.simulation.families import sample_instances
from kinediff3d_core.simulation.render import trace
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.simulation.views import posed_corners, sample_views

Annotate = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True)
class ShapeSamples:
    """Of n instances, canonical units, part frames.

    Attributes: surface (n, K, S, 3); query (n, K, Q, 3) and its distance (n, K, Q);
    centre, half (n, K, 3) boxes; origin (n, J, 3) pivots.
    """

    surface: Tensor
    query: Tensor
    distance: Tensor
    centre: Tensor
    half: Tensor
    origin: Tensor


@dataclass(frozen=True)
class ViewSamples:
    """Partial clouds, canonical units: points (n, P, 3) camera frame; T (n, 4, 4) of the base;
    q (n, J); instance (n) row of the instance; valid (n) enough points to be worth a step."""

    points: Tensor
    T_camera_base: Tensor
    q: Tensor
    instance: Tensor
    valid: Tensor


def sample_shapes(instances: Instances, generator: torch.Generator, surface: int = 1024,
                  queries: int = 2048) -> ShapeSamples:
    """Surface and distance samples of every part: 85 % near the surface."""
    scale = instances.category.scale
    surfaces, points, distances = [], [], []
    for k in range(instances.num_parts):
        s, _ = instances.surface_points(k, surface, generator)
        x = query_points(s, instances.bounds[:, k], queries, scale, generator)
        surfaces.append(s)
        points.append(x)
        distances.append(instances.part_sdf(k, x))
    b = instances.bounds
    return ShapeSamples(torch.stack(surfaces, 1) / scale, torch.stack(points, 1) / scale,
                        torch.stack(distances, 1) / scale, b.mean(2) / scale,
                        (b[:, :, 1] - b[:, :, 0]) / (2 * scale), instances.origin / scale)


def sample_clouds(instances: Instances, index: Tensor, generator: torch.Generator,
                  points: int = 1024, grid: int = 64) -> ViewSamples:
    """Noisy partial clouds of instances ``index`` (n), one random view each."""
    chosen = instances[index]
    q, T = sample_views(chosen, generator, train=True)
    corners = posed_corners(chosen, q, T)
    rays = view_rays(corners, grid)
    depth, part = trace(chosen, chosen.part_poses(q, T), rays)
    cloud, valid = noisy_clouds(rays, depth, part, points, generator)
    scale = instances.category.scale
    T = T.clone()
    T[:, :3, 3] /= scale
    unit = joint_units(instances.category.joints, scale).to(index.device)
    return ViewSamples(cloud / scale, T, q / unit, index, valid)


class Pool:
    """A ring of instances with shape samples, views, or both.

    Args:
        category: of the family.
        device: everything is made and kept there.
        seed: of the data; the same seed gives the same stream.
        shapes: make surface and distance samples. views: how many for each new instance.
        capacity: instances kept. annotate: maps what a refresh made to what is kept.
        imported: a user's own objects; None takes the procedural family alone.
        procedural: share of new instances that the family makes beside imported ones.
    """

    def __init__(self, category: str, device: torch.device, seed: int, shapes: bool, views: int,
                 capacity: int, annotate: Annotate | None = None,
                 imported: ImportedObjects | None = None, procedural: float = 0.0) -> None:
        self.imported, self.procedural = imported, procedural
        self.category, self.device, self.capacity = category, device, capacity
        self.annotate = annotate
        self.shapes, self.views_per_instance = shapes, views
        self.generator = torch.Generator(device).manual_seed(seed)
        self.rows = 0
        self.cursor = 0
        self.store: dict[str, Tensor] = {}
        self.choices = torch.empty(0, 2, dtype=torch.int64)  # (n, 2) instance, view: valid ones

    def refresh(self, n: int) -> None:
        """Make n new instances (and their views); the oldest make way."""
        if self.imported is None:
            fresh = self._from_family(n)
        else:
            lot = torch.rand(n, generator=self.generator, device=self.device)
            made = int((lot < self.procedural).sum())
            both = [self._from_family(made)] if made else []
            if made < n:
                both.append(self.imported.draw(n - made, self.generator, self.shapes,
                                               self.views_per_instance))
            fresh = {k: torch.cat([b[k] for b in both]) for k in both[0]}
        if self.annotate is not None:
            fresh = self.annotate(fresh)
        slots = (self.cursor + torch.arange(n, device=self.device)) % self.capacity
        for name, value in fresh.items():
            if name not in self.store:
                self.store[name] = torch.zeros(self.capacity, *value.shape[1:],
                                               dtype=value.dtype, device=self.device)
            self.store[name][slots] = value
        self.cursor = (self.cursor + n) % self.capacity
        self.rows = min(self.rows + n, self.capacity)
        if self.views_per_instance:
            self.choices = torch.nonzero(self.store['valid'][:self.rows])

    def _from_family(self, n: int) -> dict[str, Tensor]:
        """What is kept of n procedural instances."""
        instances = sample_instances(self.category, n, self.generator, self.device)
        fresh = {'origin': instances.origin / instances.category.scale, 'axis': instances.axis,
                 'exists': instances.exists}
        if self.shapes:
            s = sample_shapes(instances, self.generator)
            fresh |= {'surface': s.surface, 'query': s.query, 'distance': s.distance,
                      'centre': s.centre, 'half': s.half}
        if self.views_per_instance:
            index = torch.arange(n, device=self.device).repeat_interleave(self.views_per_instance)
            v = sample_clouds(instances, index, self.generator)
            per = (n, self.views_per_instance)
            fresh |= {'points': v.points.view(*per, *v.points.shape[1:]),
                      'T': v.T_camera_base.view(*per, 4, 4), 'q': v.q.view(*per, -1),
                      'valid': v.valid.view(per)}
        return fresh

    def draw_rows(self, n: int) -> Tensor:
        """Random rows (n) of the instances held."""
        return torch.randint(self.rows, (n,), generator=self.generator, device=self.device)

    def draw_views(self, n: int, points: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Random views: rows (n) of their instances, points (n, points, 3), T (n, 4, 4), q (n, J).

        Points are drawn again from the cloud, and the whole view is turned about the camera by a
        small random rotation, which is exact for a cloud.
        """
        choices = self.choices
        pick = choices[torch.randint(len(choices), (n,), generator=self.generator,
                                     device=self.device)]
        row, view = pick[:, 0], pick[:, 1]
        cloud, T, q = (self.store[name][row, view] for name in ('points', 'T', 'q'))
        order = torch.rand(cloud.shape[:2], generator=self.generator, device=self.device)
        order = order.argsort(1)[:, :points]
        cloud = cloud.gather(1, order[..., None].expand(-1, -1, 3))
        turn = self._turn(n)
        return row, transform_points(turn, cloud), turn @ T, q

    def _turn(self, n: int) -> Tensor:
        angle = torch.randn(n, 3, generator=self.generator, device=self.device)
        angle = angle * torch.tensor([0.03, 0.03, 0.1], device=self.device)
        T = torch.eye(4, device=self.device).repeat(n, 1, 1)
        T[:, :3, :3] = roma.rotvec_to_rotmat(angle)
        return T
