"""Surfaces that are known only as points: their normals, area and triangles."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from kinediff3d_core.data.raycasting import import_open3d
from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.data.visible_surface import sphere_directions
from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]

MIN_POINTS = 100
"""Fewer points are no surface. Chosen."""
NEIGHBOURS = 12
"""Points of a plane that is fitted around each point. Chosen."""
AREA_NEIGHBOUR = 6
"""The area follows from the distance to the neighbour of this rank. Chosen: few enough to stay on
one side of a sheet."""
VIEWPOINTS = 64
"""Viewpoints from which points are seen. Chosen: about 25 degrees apart."""
VIEW_DISTANCE = 2.0
"""Distance of a viewpoint from the centre, in diagonals of the points' box. Chosen."""
FLIP_RADIUS = 100.0
"""Radius of the sphere in which points are mirrored to find the visible ones, in distances to the
farthest point (Katz et al. 2007, who have the radius grow with the density). Chosen."""
BALLS = (0.75, 1.5, 3.0)
"""Radii of the balls that make triangles, in distances to the sixth neighbour. Chosen: distances
to the triangles are right to 0.003 canonical units in the mean, and to 0.001 of most parts
(``test/data/test_point_surfaces.py``)."""


def point_surface(points: Array) -> Surface:
    """A part's surface as points (N, 3) in its frame, m, without triangles.

    Points are drawn from ``points``, which must be uniform by area. Distances to it are NaN.

    Raises:
        ValueError: as :func:`point_area`.
    """
    area = point_area(points)
    return Surface(Mesh(points, np.zeros((0, 3), dtype=np.int64)), points, area)


def point_area(points: Array) -> float:
    """Area, m^2, of a surface of which N points (N, 3) are a uniform sample.

    Around a point of a plane with n points per area, a disc of the radius r of the k-th neighbour
    holds k points in the mean: E[pi r^2] = k / n.

    Raises:
        ValueError: fewer than ``MIN_POINTS`` points, or points that are not finite.
    """
    if len(points) < MIN_POINTS or not np.isfinite(points).all():
        raise ValueError(f'a surface needs at least {MIN_POINTS} finite points, got {len(points)}')
    reach = cKDTree(points).query(points, k=AREA_NEIGHBOUR + 1)[0][:, -1]
    return float(len(points) * np.pi * np.mean(reach ** 2) / AREA_NEIGHBOUR)


def visible_normals(points: Array) -> tuple[Array, Array]:
    """Outward normals (N, 3) of points (N, 3), and which of them (N,) bool are seen from outside.

    A normal is that of the plane through the nearest points. It points to the viewpoints that see
    its point: after points are mirrored outward in a sphere around a viewpoint, those on the
    convex hull are visible (Katz, Tal and Basri 2007).
    """
    _, near = cKDTree(points).query(points, k=NEIGHBOURS)
    offset = points[near] - points[near].mean(1, keepdims=True)
    normal = np.linalg.eigh(np.einsum('nki,nkj->nij', offset, offset))[1][:, :, 0]
    centre = (points.min(0) + points.max(0)) / 2
    distance = VIEW_DISTANCE * float(np.linalg.norm(np.ptp(points, axis=0)))
    towards, seen = np.zeros(len(points)), np.zeros(len(points), dtype=bool)
    for direction in sphere_directions(VIEWPOINTS):
        ray = points - (centre + distance * direction)
        length = np.linalg.norm(ray, axis=-1, keepdims=True)
        flipped = ray + 2 * (FLIP_RADIUS * length.max() - length) * ray / length
        hull = ConvexHull(np.concatenate([flipped, np.zeros((1, 3))])).vertices
        visible = hull[hull < len(points)]
        seen[visible] = True
        towards[visible] -= (normal[visible] * ray[visible] / length[visible]).sum(-1)
    return np.where(towards[:, None] < 0, -normal, normal), seen


def mesh_of_points(points: Array) -> Mesh:
    """Triangles between those points (N, 3) of a surface that are seen from outside.

    By ball pivoting (Bernardini et al. 1999): vertices are points of the surface, and where points
    are too far apart there are holes.

    Raises:
        ValueError: as :func:`point_area`; no triangle; Open3D is missing.
    """
    point_area(points)
    normal, seen = visible_normals(points)
    points, normal = points[seen], normal[seen]
    spacing = float(np.median(cKDTree(points).query(points, k=AREA_NEIGHBOUR + 1)[0][:, -1]))
    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(points))
    cloud.normals = o3d.utility.Vector3dVector(normal)
    mesh = o3d.geometry.TriangleMesh.create_from_point_cloud_ball_pivoting(
        cloud, o3d.utility.DoubleVector([spacing * r for r in BALLS]))
    faces = np.asarray(mesh.triangles).astype(np.int64)
    if not len(faces):
        raise ValueError(f'no triangle can be made of {len(points)} points')
    return Mesh(np.asarray(mesh.vertices), faces)
