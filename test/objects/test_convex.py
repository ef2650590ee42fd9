"""Convex polyhedra: hulls, cuts and what obstacles leave."""

import numpy as np
import pytest
import trimesh

from kinediff3d_core.objects.convex import cut, hull_of, separated, subtract


def box(low, high):
    return hull_of(np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1])
                             for z in (low[2], high[2])], dtype=float))


CUBE = box((0, 0, 0), (1, 1, 1))


def test_a_hull_has_outward_triangles_and_its_volume():
    assert CUBE.volume == pytest.approx(1.0) and len(CUBE.normals) == 6
    mesh = trimesh.Trimesh(CUBE.vertices, CUBE.faces, process=False)
    assert mesh.is_watertight and mesh.volume == pytest.approx(1.0)
    assert (CUBE.vertices @ CUBE.normals.T <= CUBE.offsets + 1e-12).all()


@pytest.mark.parametrize('points', [np.zeros((3, 3)), np.zeros((9, 3)), np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0.5, 0.5, 1e-6]], dtype=float)])
def test_few_and_flat_points_have_no_hull(points):
    assert hull_of(points) is None


def test_cuts():
    normal = np.array([1.0, 1.0, 0.0]) / np.sqrt(2)
    assert cut(CUBE, normal, 1 / np.sqrt(2)).volume == pytest.approx(0.5)
    assert cut(CUBE, normal, 9.0) is CUBE and cut(CUBE, normal, -1.0) is None


def test_moved_sides_move_along():
    T = trimesh.transformations.rotation_matrix(0.7, (1, 2, 3))
    T[:3, 3] = 1.0, -2.0, 0.5
    moved = CUBE.moved(T)
    assert (moved.vertices @ moved.normals.T).max(0) == pytest.approx(moved.offsets)


def test_what_an_obstacle_leaves_is_free_of_it_and_nothing_else_is_lost():
    """A slot along x, open at one end, as of a blade in its handle."""
    blade = box((0.2, 0.4, 0.45), (1.5, 0.6, 0.55))
    pieces = subtract(CUBE, [blade], 0.01, 0.05)
    assert all(separated(p, blade, 0.009) for p in pieces)
    wanted = 1.0 - (0.8 + 0.01) * 0.22 * 0.12
    assert sum(p.volume for p in pieces) == pytest.approx(wanted, abs=1e-9)
    for i, one in enumerate(pieces):
        assert all(separated(one, other, -1e-9) for other in pieces[i + 1:])


def test_obstacles_elsewhere_change_nothing():
    assert subtract(CUBE, [box((1.1, 0, 0), (2, 1, 1))], 0.01, 0.05) == [CUBE]


def test_nothing_is_left_inside_an_obstacle():
    assert subtract(CUBE, [box((-1, -1, -1), (2, 2, 2))], 0.01, 0.05) == []
