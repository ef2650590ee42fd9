"""Training data made as it is used: a ring of instances and views on one device.

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

from kinediff3d_core.data.families import sample_instances
from kinediff3d_core.data.render import trace
from kinediff3d_core.data.sensor import SensorModel, apply_sensor
from kinediff3d_core.data.solids import Instances
from kinediff3d_core.data.views import posed_corners, sample_views
from kinediff3d_core.geometry import transform_points
from kinediff3d_core.kinematics import joint_units

Annotate = Callable[[dict[str, Tensor]], dict[str, Tensor]]
TRAIN_SENSOR = SensorModel(mask_error=1, edge_dropout=0.2)


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
    device = instances.centre.device
    for k in range(instances.num_parts):
        s, _ = instances.surface_points(k, surface, generator)
        n = len(instances)
        near = s[:, torch.randint(surface, (queries,), generator=generator, device=device)]
        spread = torch.full((queries, 1), 0.008 * scale, device=device)
        spread[queries // 2:] = 0.048 * scale
        x = near + spread * torch.randn(n, queries, 3, generator=generator, device=device)
        box = instances.bounds[:, k]
        wide = int(queries * 0.15)
        u = torch.rand(n, wide, 3, generator=generator, device=device)
        margin = 0.15 * (box[:, 1] - box[:, 0]) + 0.04 * scale
        x[:, -wide:] = (box[:, 0] - margin)[:, None] + u * (box[:, 1] - box[:, 0]
                                                            + 2 * margin)[:, None]
        surfaces.append(s)
        points.append(x)
        distances.append(instances.part_sdf(k, x))
    b = instances.bounds
    return ShapeSamples(torch.stack(surfaces, 1) / scale, torch.stack(points, 1) / scale,
                        torch.stack(distances, 1) / scale, b.mean(2) / scale,
                        (b[:, :, 1] - b[:, :, 0]) / (2 * scale), instances.origin / scale)


def sample_clouds(instances: Instances, index: Tensor, generator: torch.Generator,
                  points: int = 1024, grid: int = 64) -> ViewSamples:
    """Noisy partial clouds of instances ``index`` (n), one random view each.

    A grid of rays covers the object's box in the image, so that every view has about the same
    number of points, whatever its distance.
    """
    chosen = instances[index]
    device = index.device
    q, T = sample_views(chosen, generator, train=True)
    corners = posed_corners(chosen, q, T)
    uv = corners[..., :2] / corners[..., 2:].clamp_min(0.05)
    low, high = uv.amin(1), uv.amax(1)
    low, high = low - 0.03 * (high - low), high + 0.03 * (high - low)
    step = torch.arange(grid, device=device) / (grid - 1)
    v, u = torch.meshgrid(step, step, indexing='ij')
    unit = torch.stack([u, v], dim=-1).view(1, -1, 2)
    xy = low[:, None] + unit * (high - low)[:, None]
    rays = torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1)
    depth, part = trace(chosen, chosen.part_poses(q, T), rays)
    square = (len(chosen), grid, grid)
    depth, mask = apply_sensor(depth.view(square), part.view(square), generator, TRAIN_SENSOR)
    good = (mask & (depth > 0)).flatten(1)
    lot = torch.rand(good.shape, generator=generator, device=device) + (~good)
    count = good.sum(1)
    rank = torch.arange(points, device=device)[None] % count.clamp_min(1)[:, None]
    pick = lot.argsort(1).gather(1, rank)
    cloud = (rays * depth.flatten(1)[..., None]).gather(1, pick[..., None].expand(-1, -1, 3))
    scale = instances.category.scale
    T = T.clone()
    T[:, :3, 3] /= scale
    unit = joint_units(instances.category.joints, scale).to(device)
    return ViewSamples(cloud / scale, T, q / unit, index, count >= 128)


class Pool:
    """A ring of instances with shape samples, views, or both.

    Args:
        category: of the family.
        device: everything is made and kept there.
        seed: of the data; the same seed gives the same stream.
        shapes: make surface and distance samples. views: how many for each new instance.
        capacity: instances kept. annotate: maps what a refresh made to what is kept.
    """

    def __init__(self, category: str, device: torch.device, seed: int, shapes: bool, views: int,
                 capacity: int, annotate: Annotate | None = None) -> None:
        self.category, self.device, self.capacity = category, device, capacity
        self.annotate = annotate
        self.shapes, self.views_per_instance = shapes, views
        self.generator = torch.Generator(device).manual_seed(seed)
        self.rows = 0
        self.cursor = 0
        self.store: dict[str, Tensor] = {}

    def refresh(self, n: int) -> None:
        """Make n new instances (and their views); the oldest make way."""
        instances = sample_instances(self.category, n, self.generator, self.device)
        fresh: dict[str, Tensor] = {'origin': instances.origin / instances.category.scale,
                                    'axis': instances.axis, 'exists': instances.exists}
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

    def draw_rows(self, n: int) -> Tensor:
        """Random rows (n) of the instances held."""
        return torch.randint(self.rows, (n,), generator=self.generator, device=self.device)

    def draw_views(self, n: int, points: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Random views: rows (n) of their instances, points (n, points, 3), T (n, 4, 4), q (n, J).

        Points are drawn again from the cloud, and the whole view is turned about the camera by a
        small random rotation, which is exact for a cloud.
        """
        valid = self.store['valid'][:self.rows]
        choices = torch.nonzero(valid)
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
