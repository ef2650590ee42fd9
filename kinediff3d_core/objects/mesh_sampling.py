"""Points on meshes, uniform by area."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]


def triangle_areas(mesh: Mesh) -> Array:
    """Area (F,) of each triangle."""
    # Coordinate by coordinate: (F, 3, 3) corners and numpy's cross take five times as long.
    x, y, z = (column[mesh.faces.T] for column in
               np.ascontiguousarray(np.asarray(mesh.vertices, dtype=np.float64).T))
    (ux, uy, uz), (vx, vy, vz) = ([c[i] - c[0] for c in (x, y, z)] for i in (1, 2))
    return np.asarray(np.sqrt((uy * vz - uz * vy) ** 2 + (uz * vx - ux * vz) ** 2
                              + (ux * vy - uy * vx) ** 2) / 2)


def triangles_at(areas: Array, shares: Array) -> Array:
    """Indices (N,) of the triangles at shares (N,), 0 to 1, of the area of all.

    Args:
        areas: (F,) of the triangles.

    Raises:
        ValueError: they have no area, or one that is not finite.
    """
    total = require_area(areas)
    return np.searchsorted(np.cumsum(areas), shares * total).clip(0, len(areas) - 1)


def require_area(areas: Array) -> float:
    """The area of all triangles.

    Raises:
        ValueError: none, or one that is not finite.
    """
    total = float(areas.sum())
    if not (np.isfinite(total) and total > 0):
        raise ValueError(f'mesh with {len(areas)} faces has no area to sample')
    return total


def points_in(mesh: Mesh, index: Array, u: Array, v: Array) -> Array:
    """Points (N, 3) in triangles.

    Args:
        index: (N,) of the triangles. u, v: (N,) 0 to 1; uniform ones give uniform points.
    """
    a, b, c = (np.asarray(mesh.vertices[corner], dtype=np.float64)
               for corner in mesh.faces[index].T)
    u, v = u[:, None], v[:, None]
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return np.asarray(a + u * (b - a) + v * (c - a))


def sample_mesh(mesh: Mesh, n: int, rng: np.random.Generator, areas: Array | None = None,
                ) -> Array:
    """n points (n, 3) on a mesh, uniform by area; ``areas`` (F,) of its triangles, if known.

    Raises:
        ValueError: the mesh has no area.
    """
    at, u, v = rng.random((3, n))
    order = np.argsort(at)  # In the order of the triangles memory is read in sequence.
    index = triangles_at(triangle_areas(mesh) if areas is None else areas, at[order])
    return points_in(mesh, index, u[order], v[order])
