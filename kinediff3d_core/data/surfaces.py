"""Surfaces of parts: points drawn on them, and distances to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.convex import vertices_of_hull
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.objects.mesh_sampling import sample_mesh, triangle_areas, triangles_at

Array = np.ndarray[Any, Any]

DISTANCE_SAMPLES = 300_000
"""Points on a mesh among which :class:`MeshDistance` looks for near triangles without Open3D."""


@dataclass(frozen=True)
class Surface:
    """A part's surface in its part frame, metres.

    Attributes:
        mesh: triangles; distances are measured to them. A surface that is known only as points
            has them as vertices and no triangles.
        pool: (M, 3) points on it to draw from, where not all of the mesh counts (inner walls);
            None draws on the triangles.
        area: m^2 of what counts; None takes the mesh's.
    """

    mesh: Mesh
    pool: Array | None = None
    area: float | None = None

    @cached_property
    def distance(self) -> MeshDistance:
        """Distance to the triangles, in the part's frame."""
        return MeshDistance(self.mesh)

    @cached_property
    def hull(self) -> Array:
        """(H, 3) vertices that the smallest sphere around the part touches."""
        return vertices_of_hull(np.asarray(self.mesh.vertices, dtype=np.float64))

    @cached_property
    def box(self) -> tuple[Array, Array]:
        """Lower and upper corner (3,) of the mesh."""
        return self.mesh.vertices.min(0), self.mesh.vertices.max(0)

    @cached_property
    def areas(self) -> Array:
        """(F,) of the triangles."""
        return triangle_areas(self.mesh)

    @cached_property
    def weight(self) -> float:
        """Area that counts, m^2."""
        return float(self.areas.sum()) if self.area is None else self.area

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """n points (n, 3), uniform by area."""
        if self.pool is None:
            return sample_mesh(self.mesh, n, rng, self.areas)
        return self.pool[rng.choice(len(self.pool), n, replace=n > len(self.pool))]


def bounding_radius(points: Array) -> float:
    """Radius of the smallest sphere around points (N, 3), by Badoiu and Clarkson (2003)."""
    hull = vertices_of_hull(points)
    centre = hull.mean(0)
    square = (hull ** 2).sum(-1)
    for i in range(1, 1000):
        far = (square - hull @ (2 * centre)).argmax()  # Of |h - c|^2 less |c|^2.
        centre = centre + (hull[far] - centre) / (i + 1)
    return float(np.sqrt(((hull - centre) ** 2).sum(-1).max()))


class MeshDistance:
    """Unsigned distance from points to a mesh's triangles.

    Open3D's ray-casting scene where it can be imported. Otherwise the exact distance to the
    triangles of the eight nearest of many points drawn on the mesh. NaN without triangles.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.scene: Any = None
        if not len(mesh.faces):
            return
        try:
            self.scene = raycasting_scene([mesh])
        except ValueError:
            rng = np.random.default_rng(0)
            index = triangles_at(triangle_areas(mesh), rng.random(DISTANCE_SAMPLES))
            corner = np.asarray(mesh.vertices, dtype=np.float64)[mesh.faces]
            w = rng.dirichlet((1, 1, 1), DISTANCE_SAMPLES)
            points = np.einsum('nk,nkc->nc', w, corner[index])
            self.index = np.concatenate([index, np.arange(len(corner))])
            self.tree = cKDTree(np.concatenate([points, corner.mean(1)]))
            self.corner = corner

    def __call__(self, p: Array) -> Array:
        """Distances (N,) of points (N, 3)."""
        if not len(self.mesh.faces):
            return np.full(len(p), np.nan)
        if self.scene is not None:
            query = np.ascontiguousarray(p, dtype=np.float32)
            return np.asarray(self.scene.compute_distance(query).numpy(), dtype=np.float64)
        best = np.full(len(p), np.inf)
        _, near = self.tree.query(p, k=8)
        for column in near.T:
            best = np.minimum(best, point_triangle_distance(p, self.corner[self.index[column]]))
        return best


def point_triangle_distance(p: Array, corner: Array) -> Array:
    """Distance (N,) of points (N, 3), each to its own triangle (N, 3, 3)."""
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=-1)
    safe = np.where(length > 0, length, 1.0)[:, None]
    height = ((p - a) * normal / safe).sum(-1)
    foot = p - height[:, None] * normal / safe
    inside = length > 0
    best = np.full(len(p), np.inf)
    for u, v in ((a, b), (b, c), (c, a)):
        edge = v - u
        inside &= (np.cross(edge, foot - u) * normal).sum(-1) >= 0
        t = ((p - u) * edge).sum(-1) / np.maximum((edge ** 2).sum(-1), 1e-30)
        best = np.minimum(best, np.linalg.norm(p - u - t.clip(0, 1)[:, None] * edge, axis=-1))
    return np.where(inside, np.abs(height), best)


def draw_points(surfaces: Sequence[Surface], poses: Sequence[Array], n: int,
                rng: np.random.Generator) -> Array:
    """n points (n, 3), uniform by area over several surfaces, each mapped by its pose."""
    weight = np.array([s.weight for s in surfaces])
    counts = rng.multinomial(n, weight / weight.sum())
    return np.concatenate([transform_points(T, s.sample(int(c), rng))
                           for s, T, c in zip(surfaces, poses, counts, strict=True)])
