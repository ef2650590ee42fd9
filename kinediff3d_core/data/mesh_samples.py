"""Training samples of a mesh object: surfaces, signed distances, joints, and noisy views.

They have the layout of :mod:`kinediff3d_core.data.sample_files`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.object_views import cast_object, pose_mesh_object
from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.data.sample_files import POINTS
from kinediff3d_core.data.samples import noisy_clouds, query_points, view_rays
from kinediff3d_core.data.visible_surface import visible_surface
from kinediff3d_core.data.winding import winding_number
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import CATEGORIES, Category
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.simulation.real_world import RealWorld
from kinediff3d_core.simulation.surroundings import add_surroundings, situation
from kinediff3d_core.simulation.views import box_corners

SURFACE_POINTS, QUERY_POINTS = 4096, 8192
"""Samples of each part. Chosen: four times what a training step uses, so that steps differ."""
GRID = 64
"""Rays of a view along either side of the object's image. Chosen, as in training on families."""
SHELL = 0.004
"""Half of the thickness that sheets are given, canonical units: they have no inside. Chosen."""
SOLID = 0.1
"""A part is a sheet if a smaller share of the queries near its surface is inside. Chosen."""
INSIDE = 0.5
"""Winding numbers above this are inside, as Jacobson et al. (2013) have it."""
STRETCH = 0.15
"""Largest logarithm of the factor by which a side of an object is stretched. Chosen."""
VIEW_TRIES = 3
"""Views that are drawn for each view that is wanted, at most. Chosen."""


def stretched(obj: MeshObject, generator: torch.Generator) -> MeshObject:
    """The object with each axis of the base frame up to 15 % longer or shorter.

    It is a new object of the category: a line stays a line, so the joints stay where they are.

    Args:
        generator: on the CPU.
    """
    factor = torch.empty(3).uniform_(-STRETCH, STRETCH, generator=generator).exp().double().numpy()
    joints = []
    for j in obj.joints:
        axis = np.array(j.axis) * factor
        length = float(np.linalg.norm(axis))
        x, y, z = (axis / length).tolist()
        scale = length if j.joint_type == 'prismatic' else 1.0
        joints.append(replace(j, axis=(x, y, z), lower=j.lower * scale, upper=j.upper * scale))
    return replace(obj, joints=tuple(joints), origin=obj.origin * factor,
                   meshes=tuple(Mesh(m.vertices * factor, m.faces) for m in obj.meshes))


def import_object(obj: MeshObject, views: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Tensors of :mod:`kinediff3d_core.data.sample_files` from one object.

    Args:
        obj: of a known category.
        views: number of views.
        generator: on the CPU.

    Raises:
        ValueError: a part without area, or an object that no view shows.
    """
    return shape_samples(obj, generator) | _view_samples(obj, views, generator)


def shape_samples(obj: MeshObject, generator: torch.Generator) -> dict[str, Tensor]:
    """The tensors of :mod:`kinediff3d_core.data.sample_files` that need no view.

    Args:
        obj: of a known category.
        generator: on the CPU.

    Raises:
        ValueError: a part without area.
    """
    spec = CATEGORIES[obj.category]
    K, J = len(spec.parts), len(spec.joints)
    parts = [spec.parts.index(name) for name in obj.parts]
    joints = joint_rows(obj)
    out = {'surface': torch.zeros(K, SURFACE_POINTS, 3), 'query': torch.zeros(K, QUERY_POINTS, 3),
           'distance': torch.zeros(K, QUERY_POINTS), 'bounds': torch.zeros(K, 2, 3),
           'origin': torch.zeros(J, 3), 'axis': torch.tensor([j.axis for j in spec.joints]),
           'exists': torch.tensor([k in parts for k in range(K)])}
    out['origin'][joints] = torch.from_numpy(obj.origin).float()
    out['axis'][joints] = torch.from_numpy(obj.axis).float()
    for k, name, mesh in zip(parts, obj.parts, obj.meshes, strict=True):
        try:
            for key, value in part_samples(mesh, spec, generator).items():
                out[key][k] = value
        except ValueError as error:
            raise ValueError(f'{obj.name}, part {name!r}: {error}') from error
    return out


def joint_rows(obj: MeshObject) -> list[int]:
    """Index among its category's joints of each joint of an object of a known category."""
    names = [j.name for j in CATEGORIES[obj.category].joints]
    return [names.index(j.name) for j in obj.joints]


def part_samples(mesh: Mesh, category: Category, generator: torch.Generator) -> dict[str, Tensor]:
    """Samples of one part in its frame, m.

    Distances are to what can be seen from outside. Their sign is that of the winding number, which
    holes in the mesh hardly change. Sheets become shells of the thickness ``2 * SHELL``.

    Args:
        mesh: of the part in its frame, m.
        generator: on the CPU.

    Returns:
        ``surface`` (4096, 3), ``query`` (8192, 3), ``distance`` (8192,) and ``bounds`` (2, 3).

    Raises:
        ValueError: the mesh has no area.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator))
    points, visible, _ = visible_surface(mesh, SURFACE_POINTS, np.random.default_rng(seed))
    pick = torch.randperm(len(points), generator=generator)
    surface = torch.from_numpy(points)[pick[torch.arange(SURFACE_POINTS) % len(pick)]].float()
    box = torch.from_numpy(np.array([mesh.vertices.min(0), mesh.vertices.max(0)])).float()
    query = query_points(surface[None], box[None], QUERY_POINTS, category.scale, generator)[0]
    scene = raycasting_scene([visible])
    distance = torch.from_numpy(scene.compute_distance(query.numpy()).numpy())
    inside = _is_inside(mesh, box, query)
    signed = torch.where(inside, -distance, distance)
    if float(inside[:QUERY_POINTS // 2].float().mean()) < SOLID:
        shell = SHELL * category.scale
        signed = torch.where(inside, signed, distance - shell)
        box = box + torch.tensor([[-shell], [shell]])
    return {'surface': surface, 'query': query, 'distance': signed, 'bounds': box}


def _is_inside(mesh: Mesh, box: Tensor, points: Tensor) -> Tensor:
    """Whether (N,) bool points (N, 3) are inside a mesh with the box (2, 3), m."""
    in_box = ((points > box[0]) & (points < box[1])).all(-1)
    inside = torch.zeros(len(points), dtype=torch.bool)
    winding = winding_number(mesh, points[in_box].double().numpy())
    inside[in_box] = torch.from_numpy(np.abs(winding) > INSIDE)
    return inside


def _view_samples(obj: MeshObject, views: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Clouds (views, POINTS, 3), m, with camera poses and joint states.

    Views that show too little of the object are left out; others are repeated instead.
    """
    world = RealWorld()
    good: list[tuple[Tensor, Tensor, Tensor]] = []
    bounds = box_corners(torch.from_numpy(obj.bounds).float())
    for q, T, R_ground_base in _candidate_views(obj, views, generator, world):
        poses = obj.part_poses(q, T)
        corners = transform_points(poses, bounds).flatten(0, 1)[None]
        rays = view_rays(corners, GRID)
        depth, part = (x[None] for x in cast_object(obj, poses, rays[0]))
        where = situation(T[None], R_ground_base[None], corners, bounds[:1],
                          CATEGORIES[obj.category].azimuth)
        depth, part = add_surroundings(depth, part, rays, where, generator, world.surroundings)
        cloud, _, valid = noisy_clouds(rays, depth, part, POINTS, generator, world.sensor)
        if bool(valid):
            good.append((cloud[0], T, q))
        if len(good) == views:
            break
    if not good:
        raise ValueError(f'{obj.name}: no view of it shows enough points; is its size right?')
    return view_tensors(good, views, obj)


def view_tensors(good: Sequence[tuple[Tensor, Tensor, Tensor]], views: int, obj: MeshObject,
                 ) -> dict[str, Tensor]:
    """Tensors of views of one object, which are repeated where there are fewer than wanted.

    Args:
        good: cloud (POINTS, 3), T_camera_base (4, 4) and positions (J,) of each.
        obj: of a known category, with J joints.
    """
    rows = [good[i % len(good)] for i in range(views)]
    points, T, q = (torch.stack(x) for x in zip(*rows, strict=True))
    positions = torch.zeros(views, len(CATEGORIES[obj.category].joints))
    positions[:, joint_rows(obj)] = q
    return {'points': points, 'T_camera_base': T, 'q': positions}


def _candidate_views(obj: MeshObject, n: int, generator: torch.Generator, world: RealWorld,
                     ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Training views q (J,), T_camera_base (4, 4), R_ground_base (3, 3), n at a time."""
    for _ in range(VIEW_TRIES):
        posed = pose_mesh_object(obj, generator, n, world.views)
        yield from zip(posed.q, posed.T_camera_base, posed.R_ground_base, strict=True)
