"""Points on whole objects, uniform by area, walls of cavities included."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.visible_surface import visible_surface
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.simulation.solids import FAR, Instances, slab_distance

Array = np.ndarray[Any, Any]

TOLERANCE, OUTSIDE = 2e-5, 1e-4
"""A point within the first distance of a surface counts as on it, m. Points are drawn at the
second distance outside of it, where its normal is exact."""


def surface_clouds(instances: Instances, n: int, generator: torch.Generator, chunk: int = 32,
                   ) -> Tensor:
    """Points (B, n, 3), m, on instances at q = 0, in the base frame.

    They are uniform by area over all parts that exist, each part without the others. Unlike
    :meth:`Instances.surface_points` this also draws on slabs that were cut away, so that walls and
    floors of cavities have points, too.
    """
    clouds = []
    for rows in torch.arange(len(instances)).split(chunk):  # type: ignore[no-untyped-call]
        few = instances[rows]
        J = len(few.category.joints)
        pivots = few.part_poses(torch.zeros(len(few), J), torch.eye(4).expand(len(few), 4, 4))
        found: list[list[Tensor]] = [[] for _ in rows]
        todo = list(range(len(few)))
        while todo:
            left = torch.tensor(todo)
            index, part, p = _on_slabs(few[left], 2 * n, generator)
            p = p + pivots[left[index], part, :3, 3]
            for i, row in enumerate(todo):
                found[row].append(p[index == i])
            todo = [row for row in todo if sum(map(len, found[row])) < n]
        for points in map(torch.cat, found):
            clouds.append(points[torch.randperm(len(points), generator=generator)[:n]])
    return torch.stack(clouds)


def _on_slabs(instances: Instances, n: int, generator: torch.Generator,
              ) -> tuple[Tensor, Tensor, Tensor]:
    """Draws n points an instance on its slabs and keeps those on the surface of their part.

    Returns:
        instance (C,), part (C,), points (C, 3) in the part's frame, m; C <= B n.
    """
    B, S = instances.present.shape
    part = torch.tensor([s.part for s in instances.slots])
    axis = torch.tensor([s.axis for s in instances.slots])

    # Of each slab's faces, what lies in the box of its part: cuts reach far beyond it.
    pick = torch.tensor([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    box = torch.stack([instances.bounds[:, part][:, :, pick[:, a], a] for a in range(3)], dim=-1)
    box = (box - instances.centre[:, :, None]) @ instances.rotation
    reach = instances.corner[..., None] + TOLERANCE
    low, high = box.amin(2) - reach, box.amax(2) + reach
    first, last = torch.maximum(low, -instances.half), torch.minimum(high, instances.half)
    size = (last - first).clamp_min(0)
    area = torch.stack([size[..., 1] * size[..., 2], size[..., 0] * size[..., 2],
                        size[..., 0] * size[..., 1]], dim=-1) * instances.present[..., None]
    faces = torch.stack([area * (low <= -instances.half), area * (instances.half <= high)], dim=-1)
    choice = torch.multinomial(faces.flatten(1), n, replacement=True, generator=generator)
    choice = choice.flatten()
    row = torch.arange(B).repeat_interleave(n)
    slot, across, side = choice // 6, choice // 2 % 3, choice % 2 * 2.0 - 1
    x = torch.rand(B * n, 3, generator=generator) * size[row, slot] + first[row, slot]
    x = torch.where(torch.nn.functional.one_hot(across, 3).bool(),
                    side[:, None] * (instances.half[row, slot] + OUTSIDE), x)

    # Onto the slab; the square of the cosine makes up for denser points at rounded corners.
    keep = torch.rand(B * n, generator=generator)
    for a in range(3):
        on = torch.nonzero(axis[slot] == a)[:, 0]
        of = row[on], slot[on]
        with torch.enable_grad():
            y = x[on].requires_grad_()
            d = slab_distance(y, instances.half[of], instances.corner[of], instances.edge[of], a)
            (normal,) = torch.autograd.grad(d.sum(), y)
        x[on] = (y - d[:, None] * normal).detach()
        keep[on] -= normal.gather(1, across[on, None])[:, 0] ** 2
    chosen = torch.nonzero(keep < 0)[:, 0]
    row, slot, x = row[chosen], slot[chosen], x[chosen]
    x = (instances.rotation[row, slot] @ x[..., None])[..., 0] + instances.centre[row, slot]
    gap = torch.full_like(x[:, 0], FAR)
    for k in range(instances.num_parts):
        on = torch.nonzero(part[slot] == k)[:, 0]
        gap[on] = instances.sdf_at(k, row[on], x[on])
    good = gap.abs() < TOLERANCE
    return row[good], part[slot[good]], x[good]


def object_cloud(obj: MeshObject, n: int, rng: np.random.Generator) -> Array:
    """Points (n, 3), m, on an object at q = 0, in the base frame.

    Uniform by area over what can be seen from outside of its parts, each part without the others.

    Raises:
        ValueError: a part without area.
    """
    J = len(obj.joints)
    poses = obj.part_poses(torch.zeros(J, dtype=torch.float64),
                           torch.eye(4, dtype=torch.float64)).numpy()
    seen = [visible_surface(mesh, 2 * n, rng) for mesh in obj.meshes]
    area = np.array([a for _, _, a in seen])
    counts = rng.multinomial(n, area / area.sum())
    return np.concatenate([
        transform_points(T, points[rng.choice(len(points), m, replace=m > len(points))])
        for (points, _, _), m, T in zip(seen, counts, poses, strict=True)])
