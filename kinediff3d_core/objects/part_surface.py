"""Points on a moving part, and how they move with its joint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from scipy.spatial import cKDTree

from kinediff3d_core.objects.estimate import JointEstimate, Mesh
from kinediff3d_core.objects.mesh_sampling import (
    points_in,
    require_area,
    triangle_areas,
    triangles_at,
)

Array = np.ndarray[Any, Any]


SPACING = 0.004
"""Distance of sampled points, m. Chosen: a third of a finger's thickness or less."""
COUNTS = (4000, 60_000)
"""Fewest and most points of a part. Chosen: the points of large parts are farther apart."""


@dataclass(frozen=True)
class PartSurface:
    """Points (N, 3) on a part and the outward unit normals (N, 3) of their triangles, part frame.

    Attributes:
        tree: of the points.
        area: of the surface for each point, m^2.
        size: diagonal of the points' box, m.
    """

    points: Array
    normals: Array
    tree: cKDTree
    area: float
    size: float

    def within(self, centre: Array, radius: float) -> list[int]:
        """Indices of the points within a radius of a centre (3,)."""
        return list(self.tree.query_ball_point(centre, radius))


_KNOWN: WeakKeyDictionary[Mesh, PartSurface] = WeakKeyDictionary()


def part_surface(mesh: Mesh) -> PartSurface:
    """Points on a mesh, uniform by area, the same for the same mesh.

    They are kept for as long as the mesh exists.

    Raises:
        ValueError: a mesh without area.
    """
    if mesh not in _KNOWN:
        _KNOWN[mesh] = _sample(mesh)
    return _KNOWN[mesh]


def _sample(mesh: Mesh) -> PartSurface:
    areas = triangle_areas(mesh)
    total = require_area(areas)
    count = int(np.clip(total / SPACING ** 2, *COUNTS))
    index = triangles_at(areas, (np.arange(count) + 0.5) / count)
    points = points_in(mesh, index, *np.random.default_rng(0).random((2, count)))
    a, b, c = (np.asarray(mesh.vertices[corner], dtype=np.float64)
               for corner in mesh.faces[index].T)
    normals = np.cross(b - a, c - a)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return PartSurface(points, normals, cKDTree(points), total / count,
                       float(np.linalg.norm(np.ptp(points, axis=0))))


def across(v: Array, axis: Array) -> Array:
    """The component of v (..., 3) that is perpendicular to the unit axis."""
    return np.asarray(v - (v @ axis)[..., None] * axis)


@dataclass(frozen=True)
class PartMotion:
    """Motion of a part's points for an increasing position of its joint.

    Attributes:
        slides: along the axis; else the part turns about it.
        axis: (3,) unit, through the origin of the part's frame.
    """

    slides: bool
    axis: Array

    @classmethod
    def of(cls, joint: JointEstimate) -> PartMotion:
        """The motion by a joint.

        Raises:
            ValueError: an axis without direction.
        """
        axis = np.asarray(joint.axis, dtype=np.float64)
        length = float(np.linalg.norm(axis))
        if not length > 0:
            raise ValueError(f'joint {joint.name!r} has the axis {axis.tolist()}')
        return cls(joint.joint_type == 'prismatic', axis / length)

    def frame(self, point: Array, approach: Array) -> Array:
        """Contact frame (4, 4) at a point (3,): x along its motion, z near ``approach`` (3,).

        The part of ``approach`` that is along the motion is left out.
        """
        x = self.axis
        if not self.slides:
            x = np.cross(self.axis, point)
            x = x / np.linalg.norm(x)
        z = across(approach, x)
        z = z / np.linalg.norm(z)
        T = np.eye(4)
        T[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
        T[:3, 3] = point
        return T

    def directions(self, points: Array, up: Array) -> Array:
        """Directions of approach (N, 4, 3) at points (N, 3): along two lines across the motion.

        For a part that turns, towards the axis and away from it, along it and against it. For one
        that slides, downward and upward, and to both sides. For an upright axis, "downward" is
        one of the horizontal directions.

        Args:
            up: (3,) unit, upward in the part's frame.
        """
        if not self.slides:
            lever = across(points, self.axis)
            lever = lever / np.linalg.norm(lever, axis=-1, keepdims=True).clip(1e-12)
            along = np.broadcast_to(self.axis, lever.shape)
            return np.stack([-lever, lever, along, -along], axis=1)
        down = -across(up, self.axis)
        if np.linalg.norm(down) < UPRIGHT:
            down = across(np.eye(3)[np.argmin(np.abs(self.axis))], self.axis)
        down = down / np.linalg.norm(down)
        side = np.cross(down, self.axis)
        four = np.stack([down, -down, side, -side])
        return np.broadcast_to(four, (len(points), 4, 3))


UPRIGHT = 0.1
"""An axis is upright if the upward direction's component across it is less than this. Chosen."""
