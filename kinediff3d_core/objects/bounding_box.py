"""The oriented bounding box of an object at its present joint positions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.convex import vertices_of_hull
from kinediff3d_core.objects.estimate import Mesh, PartEstimate


@dataclass(frozen=True)
class OrientedBox:
    """A box with axes of its own.

    Attributes:
        T_camera_box: (4, 4) pose of the box's centre, m.
        size: (3,) extents along its axes, m.
    """

    T_camera_box: np.ndarray
    size: np.ndarray


def bounding_box(T_camera_base: np.ndarray, parts: Iterable[PartEstimate],
                 points: np.ndarray) -> OrientedBox:
    """The smallest box, with the axes of the base, around the meshes of parts.

    Args:
        T_camera_base: (4, 4), m.
        parts: those without a mesh do not count.
        points: (N, 3) measured on the object, camera frame, m; the box is around them if no part
            has a mesh.
    """
    clouds = [transform_points(part.T_camera_part, hull_vertices(part.mesh))
              for part in parts if part.mesh is not None and len(part.mesh.vertices)]
    surface = np.concatenate(clouds) if clouds else np.asarray(points, np.float64)
    if not len(surface):
        return OrientedBox(np.asarray(T_camera_base, np.float64), np.zeros(3))
    in_base = transform_points(np.linalg.inv(T_camera_base), surface)
    lower, upper = in_base.min(0), in_base.max(0)
    T_base_box = np.eye(4)
    T_base_box[:3, 3] = (lower + upper) / 2
    return OrientedBox(T_camera_base @ T_base_box, upper - lower)


_HULLS: WeakKeyDictionary[Mesh, np.ndarray] = WeakKeyDictionary()


def hull_vertices(mesh: Mesh) -> np.ndarray:
    """Vertices (V, 3) of a mesh on its convex hull, m; of a flat mesh, all.

    They are cached for as long as the mesh exists: a mesh of 100,000 vertices has some hundred.
    """
    found = _HULLS.get(mesh)
    if found is None:
        found = _HULLS[mesh] = vertices_of_hull(np.asarray(mesh.vertices, np.float64))
    return found
