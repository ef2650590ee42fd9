"""Simplification of meshes."""

from __future__ import annotations

import numpy as np
import pytest
from estimates import box

from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.visualization.simplification import decimate_mesh, simplify_mesh


def test_simplified_thin_plate_keeps_both_sides() -> None:
    plate = box((-0.15, -0.1, -0.002), (0.15, 0.1, 0.002), cuts=6)
    small = simplify_mesh(plate, 1500)
    assert len(plate.faces) > 40_000 and len(small.faces) <= 1500
    z = np.sort(np.abs(small.vertices[:, 2]))
    assert z[len(z) // 2] == pytest.approx(0.002, abs=1e-9)
    np.testing.assert_allclose(small.vertices.min(0), [-0.15, -0.1, -0.002], atol=0.006)
    np.testing.assert_allclose(small.vertices.max(0), [0.15, 0.1, 0.002], atol=0.006)
    assert simplify_mesh(plate, 10**6) is plate


def test_simplification_keeps_flat_sides_flat_and_the_volume() -> None:
    import trimesh

    cube = box((0, 0, 0), (1, 1, 1), cuts=4)
    small = simplify_mesh(cube, 600)
    assert len(cube.faces) == 3072 and 100 < len(small.faces) <= 600
    # Away from the edges every vertex stays on a side.
    distance = np.minimum(small.vertices, 1 - small.vertices).min(axis=1)
    assert np.median(distance) == pytest.approx(0.0, abs=1e-9)
    mesh = trimesh.Trimesh(small.vertices, small.faces, process=False)
    assert mesh.volume == pytest.approx(1.0, abs=0.15)
    # Faces keep their orientation, and none is degenerate.
    assert (mesh.area_faces > 0).mean() > 0.95
    assert all(len(set(face)) == 3 for face in small.faces)


def test_decimation_keeps_the_corners_and_the_volume_with_far_fewer_triangles() -> None:
    import trimesh

    cube = box((0, 0, 0), (1, 1, 1), cuts=5)
    small = decimate_mesh(cube, 50)
    assert len(cube.faces) == 12288 and 12 <= len(small.faces) <= 50
    np.testing.assert_allclose(small.vertices.min(0), 0, atol=1e-4)
    np.testing.assert_allclose(small.vertices.max(0), 1, atol=1e-4)
    mesh = trimesh.Trimesh(small.vertices, small.faces)
    assert mesh.volume == pytest.approx(1.0, abs=1e-3)
    assert decimate_mesh(cube, 12288) is cube


def test_decimation_keeps_its_bound_also_where_the_surface_resists_it() -> None:
    """Many small spheres: quadric error metrics end before they have few triangles."""
    import trimesh

    spheres = trimesh.util.concatenate([
        trimesh.creation.icosphere(2, 0.01).apply_translation((0.03 * i, 0.03 * j, 0.03 * k))
        for i in range(4) for j in range(4) for k in range(4)])
    dust = Mesh(np.asarray(spheres.vertices), np.asarray(spheres.faces))
    assert len(dust.faces) > 10_000
    assert 0 < len(decimate_mesh(dust, 100).faces) <= 100
