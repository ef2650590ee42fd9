"""The part of a mesh's surface that a camera can see from outside.

Third-party meshes have inner walls that no camera sees and no estimate has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.objects.mesh_sampling import require_area, triangle_areas, triangles_at

Array = np.ndarray[Any, Any]

START_DISTANCE = 1e-4
"""Rays from a surface start this far from it, so that they do not meet it, m. Chosen."""
DIRECTIONS = 96
"""Directions of the rays from a point to the outside: about 20 degrees apart. Chosen."""
MAX_DRAWS = 20
"""Points that are drawn for each point that is wanted, at most. Chosen."""


def visible_surface(mesh: Mesh, count: int, rng: np.random.Generator,
                    directions: int = DIRECTIONS) -> tuple[Array, Mesh, float]:
    """Points on the visible surface, its triangles, and its area.

    A point is visible if a straight line in at least one of many directions leads from it to the
    outside without meeting the mesh. If no point is, the whole mesh counts as visible.

    Args:
        mesh: of one part alone, in its part frame, m.
        count: points wanted.
        rng: draws the points.
        directions: number of directions.

    Returns:
        points (M, 3), m, M >= count unless hardly any of the surface is visible, uniform by area;
        the triangles with any visible point; the visible area, m^2.

    Raises:
        ValueError: the mesh has no area.
    """
    scene = raycasting_scene([mesh])
    corner = np.asarray(mesh.vertices, dtype=np.float64)[mesh.faces]
    areas = triangle_areas(mesh)
    total = require_area(areas)
    sphere = sphere_directions(directions)
    visible_points, visible_face = [], _is_visible(scene, corner.mean(1), sphere)
    drawn = found = 0
    while found < count and drawn < MAX_DRAWS * count:
        batch = 2 * count
        index = triangles_at(areas, rng.random(batch))
        p = np.einsum('nk,nkc->nc', rng.dirichlet((1, 1, 1), batch), corner[index])
        visible = _is_visible(scene, p, sphere)
        visible_points.append(p[visible])
        visible_face[index[visible]] = True
        drawn, found = drawn + batch, found + int(visible.sum())
    if not found:
        return corner.mean(1), mesh, total
    return (np.concatenate(visible_points), Mesh(mesh.vertices, mesh.faces[visible_face]),
            total * found / drawn)


def visible_surfaces(meshes: Sequence[Mesh], count: int) -> tuple[Surface, ...]:
    """The visible surface of each part's mesh, as ``count`` points and its triangles."""
    rng = np.random.default_rng(0)
    out = []
    for mesh in meshes:
        points, triangles, area = visible_surface(mesh, count, rng)
        out.append(Surface(triangles, points, area))
    return tuple(out)


def sphere_directions(n: int) -> Array:
    """Unit vectors (n, 3), evenly over the sphere on a golden spiral, in a fixed random order.

    Because of the order the first few already point to all sides.
    """
    turn = np.arange(n)
    z = 1 - (2 * turn + 1) / n
    azimuth = turn * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z * z)
    spiral = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), z], axis=-1)
    return np.asarray(spiral[np.random.default_rng(0).permutation(n)])


def _is_visible(scene: Any, points: Array, directions: Array) -> Array:
    """Whether (N,) bool points (N, 3) of the scene's meshes are seen from any direction (D, 3)."""
    hidden = np.arange(len(points))
    for direction in directions:
        rays = np.concatenate([points[hidden], np.broadcast_to(direction, (len(hidden), 3))],
                              axis=-1)
        blocked = scene.test_occlusions(rays.astype(np.float32), tnear=START_DISTANCE).numpy()
        hidden = hidden[blocked]
        if not len(hidden):
            break
    out = np.ones(len(points), dtype=bool)
    out[hidden] = False
    return out
