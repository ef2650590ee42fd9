"""Convex polyhedra: hulls of points, cuts by planes, and what one of them leaves of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError

Array = np.ndarray[Any, Any]

MIN_THICKNESS = 1e-4
"""Thinner polyhedra are dropped, m. Chosen: simulators refuse flat ones."""
TOUCHING = 0.99
"""Share of a clearance that counts as all of it. Chosen: rounding."""


@dataclass(frozen=True, eq=False)
class Polyhedron:
    """A convex polyhedron.

    Attributes:
        vertices: (V, 3) m.
        normals: (F, 3) outward unit normals of its sides. offsets: (F,) ``normals @ x`` on them.
        faces: (T, 3) triangles, outward.
        volume: m^3.
    """

    vertices: Array
    normals: Array
    offsets: Array
    faces: Array
    volume: float

    def moved(self, T: Array) -> Polyhedron:
        """The polyhedron moved by a rigid transform (4, 4)."""
        normals = self.normals @ T[:3, :3].T
        return Polyhedron(self.vertices @ T[:3, :3].T + T[:3, 3], normals,
                          self.offsets + normals @ T[:3, 3], self.faces, self.volume)


def hull_of(points: Array) -> Polyhedron | None:
    """The convex hull of points (N, 3); None if they are few or nearly flat."""
    if len(points) < 4:
        return None
    centre = points.mean(0)
    try:
        hull = ConvexHull(points - centre)
    except QhullError:
        return None
    kept = hull.vertices
    vertices = points[kept]
    sides = np.unique(hull.equations.round(9), axis=0)
    normals, offsets = sides[:, :3], sides[:, :3] @ centre - sides[:, 3]
    if (offsets - (vertices @ normals.T).min(0)).min() < MIN_THICKNESS:
        return None
    number = np.empty(len(points), dtype=np.int64)
    number[kept] = np.arange(len(kept))
    faces = number[hull.simplices]
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    inward = np.einsum('ij,ij->i', np.cross(b - a, c - a), hull.equations[:, :3]) < 0
    faces[inward] = faces[inward][:, ::-1]
    return Polyhedron(vertices, normals, offsets, faces, float(hull.volume))


def vertices_of_hull(points: Array) -> Array:
    """Those of the points (N, 3) on their convex hull; all, where they have no volume."""
    try:
        return np.asarray(points[ConvexHull(points).vertices])
    except (QhullError, ValueError):
        return points


def cut(body: Polyhedron, normal: Array, offset: float) -> Polyhedron | None:
    """The part of a polyhedron where ``normal @ x <= offset``; None if it is thin or empty."""
    height = body.vertices @ normal - offset
    inside, outside = height <= 0, height > 0
    if not outside.any():
        return body
    if not inside.any():
        return None
    low, high = body.vertices[inside], body.vertices[outside]
    share = height[inside][:, None] / (height[inside][:, None] - height[outside][None])
    crossings = low[:, None] + share[..., None] * (high[None] - low[:, None])
    return hull_of(np.concatenate([low, crossings.reshape(-1, 3)]))


def separated(a: Polyhedron, b: Polyhedron, clearance: float = 0.0) -> bool:
    """Whether a plane along a side of one of them lies between two polyhedra.

    Two that only planes along an edge of each separate count as overlapping.

    Args:
        clearance: least gap at that plane, m; negative allows that much overlap.
    """
    return bool(((a.normals @ b.vertices.T).min(1) >= a.offsets + clearance).any()
                or ((b.normals @ a.vertices.T).min(1) >= b.offsets + clearance).any())


def subtract(body: Polyhedron, obstacles: Sequence[Polyhedron], clearance: float,
             min_share: float) -> list[Polyhedron]:
    """Convex pieces of what obstacles leave of a polyhedron.

    A plane along a side of the polyhedron or of an obstacle cuts off a piece that is free, again
    and again from the rest. The rest is dropped when it has no large free piece.

    Args:
        clearance: gap between the pieces and the obstacles, m.
        min_share: least share of the rest's width that a piece has.
    """
    low, high = body.vertices.min(0) - clearance, body.vertices.max(0) + clearance
    near = [o for o in obstacles if (o.vertices.max(0) > low).all()
            and (o.vertices.min(0) < high).all()]
    kept: list[Polyhedron] = []
    rest: Polyhedron | None = body
    while rest is not None:
        near = [o for o in near if not separated(rest, o, TOUCHING * clearance)]
        if not near:
            return [*kept, rest]
        occupied = np.concatenate([o.vertices for o in near])
        normals = np.concatenate([rest.normals, *(-o.normals for o in near)])
        heights = normals @ rest.vertices.T
        planes = (normals @ occupied.T).min(1) - clearance
        share = (planes - heights.min(1)) / np.ptp(heights, axis=1)
        best = int(np.argmax(share))
        if share[best] < min_share:
            return kept
        free = cut(rest, normals[best], float(planes[best]))
        rest = cut(rest, -normals[best], -float(planes[best]))
        kept += [] if free is None else [free]
    return kept
