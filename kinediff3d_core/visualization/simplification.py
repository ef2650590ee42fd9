"""Simplification of meshes for viewers and planners."""

from __future__ import annotations

import numpy as np
from fast_simplification import simplify

from kinediff3d_core.objects.estimate import Mesh

CELL_GROWTH = 1.15
"""Factor by which the cell grows until the mesh is small enough. Chosen: near one, so that a mesh
keeps most of the triangles that it may have."""


AGGRESSIVENESS = 3, 5, 7
"""How fast the tolerated error grows in each pass of a decimation. With 3, 99 % of the surface of
an estimated laptop, dishwasher and drawer stayed within 13 mm, and that of bodies of furniture
within 5 mm, which kept some 2300 triangles; with 7, the library's default, a body lost 14 cm."""
KEPT_TRIANGLES = 5.0
"""A decimated mesh has at most this multiple of the triangles that are asked for. Chosen: of 500,
bodies of furniture keep what the first pass leaves."""


def decimate_mesh(mesh: Mesh, triangles: int) -> Mesh:
    """Return a mesh with about ``triangles`` triangles; one that has no more stays as it is.

    It keeps up to ``KEPT_TRIANGLES`` times more where fewer would not keep the shape. Quadric
    error metrics (Garland and Heckbert 1997), by fast_simplification: corners and edges stay,
    where :func:`simplify_mesh` takes their mean. It takes several times longer, up to 0.1 s for
    furniture, without releasing the interpreter.
    """
    if len(mesh.faces) <= triangles:
        return mesh
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    most = int(KEPT_TRIANGLES * triangles)
    for aggressiveness in AGGRESSIVENESS:
        vertices, faces = simplify(vertices, faces.astype(np.int32), target_count=triangles,
                                   agg=aggressiveness)
        if len(faces) <= most:
            break
    # Slivers resist all passes.
    return simplify_mesh(Mesh(vertices, faces), most)


def simplify_mesh(mesh: Mesh, max_triangles: int) -> Mesh:
    """Return a mesh of at most ``max_triangles`` triangles; one that has no more stays as it is.

    Vertex clustering (Rossignac and Borrel 1993): the vertices in one cell of a grid whose normals
    have the same largest component (of the six directions along the axes) are replaced by their
    mean. The cell grows until the mesh is small enough. Because of the normals flat sides stay
    flat and the two sides of a thin wall stay apart.
    """
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    if len(faces) <= max_triangles:
        return mesh
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    vertex_normals = np.stack([
        np.bincount(faces.ravel(), np.repeat(normals[:, k], 3), len(vertices))
        for k in range(3)], axis=1)
    facing = np.abs(vertex_normals).argmax(axis=1)
    facing += 3 * (np.take_along_axis(vertex_normals, facing[:, None], axis=1)[:, 0] < 0)
    offset = vertices - vertices.min(axis=0)
    cell = float(np.sqrt(np.linalg.norm(normals, axis=1).sum() / max_triangles))
    while True:
        x, y, z = np.floor(offset / cell).astype(np.int64).T
        key = ((x * (y.max() + 1) + y) * (z.max() + 1) + z) * 6 + facing
        _, merged, count = np.unique(key, return_inverse=True, return_counts=True)
        left = merged[faces]
        left = left[(left != np.roll(left, 1, axis=1)).all(axis=1)]
        if len(left) <= max_triangles:
            sums = np.stack([np.bincount(merged, vertices[:, k]) for k in range(3)], axis=1)
            return Mesh(sums / count[:, None], left)
        cell *= CELL_GROWTH
