"""The oriented box around an object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from estimates import box_mesh, laptop_estimate

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.bounding_box import bounding_box, hull_vertices
from kinediff3d_core.objects.estimate import Mesh


@pytest.mark.parametrize(('position', 'size', 'centre'), [
    # Open by 90°: the lid stands on the pivot, x = -0.11, z = 0.01, and is 0.22 high.
    (np.pi / 2, (0.228, 0.33, 0.24), (-0.004, 0.0, 0.11)),
    # Open by 180°: it lies behind the base.
    (np.pi, (0.44, 0.33, 0.02), (-0.11, 0.0, 0.0)),
])
def test_the_box_is_around_all_parts_at_their_positions(position: float, size: tuple,
                                                        centre: tuple) -> None:
    value = laptop_estimate(position)
    box = bounding_box(value.T_camera_base, value.parts, value.points)
    np.testing.assert_allclose(box.size, size, atol=1e-9)
    np.testing.assert_allclose(box.T_camera_box[:3, :3], value.T_camera_base[:3, :3])
    np.testing.assert_allclose(box.T_camera_box[:3, 3], transform_points(
        value.T_camera_base, np.array([centre]))[0], atol=1e-9)


def test_without_meshes_it_is_around_the_points() -> None:
    value = laptop_estimate(1.0)
    bare = tuple(replace(part, mesh=None) for part in value.parts)
    corners = np.array([(-0.1, -0.2, 0.0), (0.3, 0.1, 0.2)])
    box = bounding_box(value.T_camera_base, bare, transform_points(value.T_camera_base, corners))
    np.testing.assert_allclose(box.size, (0.4, 0.3, 0.2), atol=1e-9)
    assert (bounding_box(value.T_camera_base, bare, np.zeros((0, 3))).size == 0).all()


def test_a_flat_mesh_has_a_box() -> None:
    flat = Mesh(np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0.0)]), np.zeros((0, 3), int))
    assert len(hull_vertices(flat)) == 4
    cube = box_mesh((1, 1, 1))
    inside = Mesh(np.concatenate([cube.vertices, np.zeros((50, 3))]), cube.faces)
    assert len(hull_vertices(inside)) == 8 and hull_vertices(inside) is hull_vertices(inside)
