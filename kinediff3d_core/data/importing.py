"""A mesh object as training samples: surfaces, signed distances, joints, and noisy views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.mesh_objects import (
    MeshObject,
    cast_object,
    sample_object_views,
    visible_surface,
)
from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.data.sample_files import POINTS
from kinediff3d_core.data.samples import noisy_clouds, query_points, view_rays
from kinediff3d_core.data.winding import fast_winding_number
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import CATEGORIES, Category
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.simulation.views import box_corners

KEPT_SURFACE, KEPT_QUERIES = 4096, 8192
GRID = 64
SHELL = 0.004
"""Half of the thickness that sheets are given, canonical units: they have no inside."""
SOLID = 0.1
"""A part is a sheet if a smaller share of the queries around its surface is inside."""
STRETCH = 0.15


def stretched(obj: MeshObject, generator: torch.Generator) -> MeshObject:
    """The object with each side of the base frame up to 15 % longer or shorter.

    A new object of the category: a line stays a line, so joints keep their places.
    """
    factor = torch.empty(3).uniform_(-STRETCH, STRETCH, generator=generator).exp().double().numpy()
    joints = []
    for j in obj.joints:
        axis = np.array(j.axis) * factor
        length = float(np.linalg.norm(axis))
        x, y, z = (axis / length).tolist()
        grown = length if j.joint_type == 'prismatic' else 1.0
        joints.append(replace(j, axis=(x, y, z), lower=j.lower * grown, upper=j.upper * grown))
    return replace(obj, joints=tuple(joints), origin=obj.origin * factor,
                   meshes=tuple(Mesh(m.vertices * factor, m.faces) for m in obj.meshes))


def import_object(obj: MeshObject, views: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Tensors of :mod:`kinediff3d_core.data.sample_files` from one object.

    Args:
        obj: of a known category. views: how many. generator: on the CPU.

    Raises:
        ValueError: a part without area, or an object that no view shows.
    """
    spec = CATEGORIES[obj.category]
    K, J, own = len(spec.parts), len(spec.joints), len(obj.joints)
    out = {'surface': torch.zeros(K, KEPT_SURFACE, 3), 'query': torch.zeros(K, KEPT_QUERIES, 3),
           'distance': torch.zeros(K, KEPT_QUERIES), 'bounds': torch.zeros(K, 2, 3),
           'origin': torch.zeros(J, 3), 'axis': torch.tensor([j.axis for j in spec.joints]),
           'exists': torch.arange(K) <= own}
    out['origin'][:own] = torch.from_numpy(obj.origin)
    out['axis'][:own] = torch.from_numpy(obj.axis)
    for k, mesh in enumerate(obj.meshes):
        try:
            for name, value in part_samples(mesh, spec, generator).items():
                out[name][k] = value
        except ValueError as error:
            raise ValueError(f'{obj.name}, part {obj.parts[k]!r}: {error}') from error
    return out | _views(obj, spec, views, generator)


def part_samples(mesh: Mesh, category: Category, generator: torch.Generator) -> dict[str, Tensor]:
    """Surface, query, distance and bounds of one part, m, in its frame.

    Distances are to what can be seen from outside; the sign is that of the winding number, so
    that holes do no harm. Sheets become shells.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator))
    points, seen, _ = visible_surface(mesh, KEPT_SURFACE, np.random.default_rng(seed))
    pick = torch.randperm(len(points), generator=generator)
    surface = torch.from_numpy(points)[pick[torch.arange(KEPT_SURFACE) % len(pick)]].float()
    box = torch.from_numpy(np.array([mesh.vertices.min(0), mesh.vertices.max(0)])).float()
    query = query_points(surface[None], box[None], KEPT_QUERIES, category.scale, generator)[0]
    scene = raycasting_scene([seen])
    distance = torch.from_numpy(scene.compute_distance(query.numpy()).numpy())
    # Nothing outside the box is inside the part.
    boxed = ((query > box[0]) & (query < box[1])).all(-1)
    inside = torch.zeros(len(query), dtype=torch.bool)
    inside[boxed] = torch.from_numpy(
        np.abs(fast_winding_number(mesh, query[boxed].double().numpy())) > 0.5)
    signed = torch.where(inside, -distance, distance)
    if float(inside[:KEPT_QUERIES // 2].float().mean()) < SOLID:
        shell = SHELL * category.scale
        signed = torch.where(inside, signed, distance - shell)
        box = box + torch.tensor([[-shell], [shell]])
    return {'surface': surface, 'query': query, 'distance': signed, 'bounds': box}


def _views(obj: MeshObject, category: Category, views: int, generator: torch.Generator,
           ) -> dict[str, Tensor]:
    """Clouds (views, POINTS, 3) with poses and joint states; those that show too little go."""
    kept: list[tuple[Tensor, Tensor, Tensor]] = []
    corners = box_corners(torch.from_numpy(obj.bounds).float())
    for q, T in _some_views(obj, views, generator):
        poses = obj.part_poses(q, T)
        rays = view_rays(transform_points(poses, corners).flatten(0, 1)[None], GRID)
        depth, part = cast_object(obj, poses, rays[0])
        cloud, valid = noisy_clouds(rays, depth[None], part[None], POINTS, generator)
        if bool(valid):
            kept.append((cloud[0], T, q))
        if len(kept) == views:
            break
    if not kept:
        raise ValueError(f'{obj.name}: no view of it shows enough points; is its size right?')
    rows = [kept[i % len(kept)] for i in range(views)]
    points, T, q = (torch.stack(x) for x in zip(*rows, strict=True))
    full = torch.zeros(views, len(category.joints))
    full[:, :q.shape[1]] = q
    return {'points': points, 'T_camera_base': T, 'q': full}


def _some_views(obj: MeshObject, n: int, generator: torch.Generator,
                ) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(3):
        yield from zip(*sample_object_views(obj, generator, n, train=True), strict=True)
