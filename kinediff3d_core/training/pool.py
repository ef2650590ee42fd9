"""Training data made during training: a ring of instances and views on one device.

They come from the category's procedural family, from imported objects, or from both.

On a CPU an instance or a view costs more than a training step, so both are kept and used several
times. Every ``refresh`` replaces the oldest. Noise that is cheap (which points, a rotation about
the camera) is drawn again at each use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import roma
import torch
from torch import Tensor

from kinediff3d_core.data.sample_files import ImportedObjects
from kinediff3d_core.data.samples import FOREIGN, noisy_clouds, query_points, view_rays
from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.simulation.families import sample_instances
from kinediff3d_core.simulation.real_world import RealWorld
from kinediff3d_core.simulation.render import trace
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.simulation.surroundings import add_surroundings, situation
from kinediff3d_core.simulation.views import box_corners, pose_objects, posed_corners
from kinediff3d_core.training.config import LOOP

Annotate = Callable[[dict[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True)
class PoolConfig:
    """What a pool holds and where it comes from."""

    shapes: bool
    """Make surface and distance samples of each instance."""
    views: int
    """Views made of each new instance."""
    capacity: int
    """Instances kept."""
    imported: ImportedObjects | None = None
    """A user's own objects; None uses the procedural family alone."""
    procedural: float = 0.0
    """Share of procedural instances among new ones, beside imported objects, 0 to 1."""
    rotation_noise: tuple[float, float, float] = (0.03, 0.03, 0.1)
    """Standard deviation of the rotation vector by which a view is turned about the camera at
    each use, rad. Chosen: larger about the viewing axis, about which a camera may be rolled."""
    world: RealWorld = RealWorld()
    """Views, surroundings and sensor of procedural objects."""


@dataclass(frozen=True)
class ShapeSamples:
    """Samples of n instances, canonical units, part frames.

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
    """Partial clouds, canonical units: points (n, P, 3) camera frame; label (n, P) uint8 part of
    each point, or ``FOREIGN``; T (n, 4, 4) of the base; q (n, J); instance (n) row of the
    instance; valid (n) whether there are enough points."""

    points: Tensor
    label: Tensor
    T_camera_base: Tensor
    q: Tensor
    instance: Tensor
    valid: Tensor


@dataclass(frozen=True)
class DrawnViews:
    """Views of a batch, canonical units: row (n) of their instances; cloud (n, P, 3) camera frame;
    label (n, P) part of each point, or ``FOREIGN``; T (n, 4, 4) of the base; q (n, J)."""

    row: Tensor
    cloud: Tensor
    label: Tensor
    T: Tensor
    q: Tensor


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
                  world: RealWorld, points: int = 1024, grid: int = 64) -> ViewSamples:
    """Noisy partial clouds of instances ``index`` (n), one random view each."""
    chosen, category = instances[index], instances.category
    posed = pose_objects(chosen, generator, world.views)
    q, T = posed.q, posed.T_camera_base
    corners = posed_corners(chosen, q, T)
    rays = view_rays(corners, grid)
    depth, part = trace(chosen, chosen.part_poses(q, T), rays)
    where = situation(T, posed.R_ground_base, corners, box_corners(chosen.bounds[:, 0]),
                      category.azimuth)
    depth, part = add_surroundings(depth, part, rays, where, generator, world.surroundings)
    cloud, label, valid = noisy_clouds(rays, depth, part, points, generator, world.sensor)
    label = torch.where(label < 0, FOREIGN, label)
    T = T.clone()
    T[:, :3, 3] /= category.scale
    unit = joint_units(category.joints, category.scale).to(index.device)
    return ViewSamples(cloud / category.scale, label.to(torch.uint8), T, q / unit, index, valid)


class Pool:
    """A ring of instances with shape samples, views, or both.

    Args:
        category: of the family.
        device: everything is made and kept there.
        seed: of the data; the same seed gives the same stream.
        annotate: maps new samples to the samples that are kept.
    """

    def __init__(self, category: str, device: torch.device, seed: int, config: PoolConfig,
                 annotate: Annotate | None = None) -> None:
        self.category, self.device, self.config = category, device, config
        self.annotate = annotate
        self.generator = torch.Generator(device).manual_seed(seed)
        self.rows = 0
        self.cursor = 0
        self.store: dict[str, Tensor] = {}
        self.choices = torch.empty(0, 2, dtype=torch.int64)  # (n, 2) instance, view: valid ones

    def refresh(self, n: int) -> None:
        """Make n new instances (and their views) in place of the oldest."""
        fresh = self._make(n)
        if self.annotate is not None:
            fresh = self.annotate(fresh)
        capacity = self.config.capacity
        slots = (self.cursor + torch.arange(n, device=self.device)) % capacity
        for name, value in fresh.items():
            if name not in self.store:
                self.store[name] = torch.zeros(capacity, *value.shape[1:], dtype=value.dtype,
                                               device=self.device)
            self.store[name][slots] = value
        self.cursor = (self.cursor + n) % capacity
        self.rows = min(self.rows + n, capacity)
        if self.config.views:
            self.choices = torch.nonzero(self.store['valid'][:self.rows])

    def _make(self, n: int) -> dict[str, Tensor]:
        """Samples of n new instances, procedural or imported by their shares."""
        config = self.config
        if config.imported is None:
            return self._from_family(n)
        share = torch.rand(n, generator=self.generator, device=self.device)
        procedural = int((share < config.procedural).sum())
        both = [self._from_family(procedural)] if procedural else []
        if procedural < n:
            both.append(config.imported.draw(n - procedural, self.generator, config.shapes,
                                             config.views))
        return {k: torch.cat([b[k] for b in both]) for k in both[0]}

    def _from_family(self, n: int) -> dict[str, Tensor]:
        """Samples of n procedural instances, by name."""
        instances = sample_instances(self.category, n, self.generator, self.device)
        fresh = {'origin': instances.origin / instances.category.scale, 'axis': instances.axis,
                 'exists': instances.exists}
        if self.config.shapes:
            s = sample_shapes(instances, self.generator)
            fresh |= {'surface': s.surface, 'query': s.query, 'distance': s.distance,
                      'centre': s.centre, 'half': s.half}
        views = self.config.views
        if views:
            index = torch.arange(n, device=self.device).repeat_interleave(views)
            v = sample_clouds(instances, index, self.generator, self.config.world)
            fresh |= {'points': v.points.view(n, views, *v.points.shape[1:]),
                      'label': v.label.view(n, views, -1),
                      'T': v.T_camera_base.view(n, views, 4, 4), 'q': v.q.view(n, views, -1),
                      'valid': v.valid.view(n, views)}
        return fresh

    def draw_rows(self, n: int) -> Tensor:
        """Random rows (n) of the instances held."""
        return torch.randint(self.rows, (n,), generator=self.generator, device=self.device)

    def draw_views(self, n: int, points: int) -> DrawnViews:
        """Random views.

        Points are drawn again from the cloud. The whole view is turned about the camera by a small
        random rotation, which is exact for a cloud.
        """
        choices = self.choices
        pick = choices[torch.randint(len(choices), (n,), generator=self.generator,
                                     device=self.device)]
        row, view = pick[:, 0], pick[:, 1]
        cloud, label, T, q = (self.store[name][row, view]
                              for name in ('points', 'label', 'T', 'q'))
        order = torch.rand(cloud.shape[:2], generator=self.generator, device=self.device)
        order = order.argsort(1)[:, :points]
        cloud = cloud.gather(1, order[..., None].expand(-1, -1, 3))
        turn = self._camera_rotations(n)
        return DrawnViews(row, transform_points(turn, cloud), label.gather(1, order).long(),
                          turn @ T, q)

    def _camera_rotations(self, n: int) -> Tensor:
        """Small random rotations about the camera, (n, 4, 4)."""
        angle = torch.randn(n, 3, generator=self.generator, device=self.device)
        angle = angle * torch.tensor(self.config.rotation_noise, device=self.device)
        T = torch.eye(4, device=self.device).repeat(n, 1, 1)
        T[:, :3, :3] = roma.rotvec_to_rotmat(angle)
        return T


class PoolFeed:
    """Fills a pool before the first step and renews it during training.

    Args:
        refresh: new instances every :attr:`LoopConfig.refresh_steps` steps.
    """

    def __init__(self, pool: Pool, refresh: int) -> None:
        self.pool, self.rate = pool, refresh
        self.at_least = LOOP.gpu_refresh if pool.device.type == 'cuda' else 1
        self.due = 0

    def fill(self, n: int) -> None:
        """Make the first n instances."""
        some = max(LOOP.least_fill, self.at_least)
        for made in range(0, n, some):
            self.pool.refresh(min(some, n - made))

    def before_step(self, step: int) -> None:
        """Renew the pool where that is due."""
        if step % LOOP.refresh_steps == 0:
            self.due += self.rate
            if self.due >= self.at_least:
                self.pool.refresh(self.due)
                self.due = 0
