"""Simplification of meshes."""

from __future__ import annotations

import numpy as np
import pytest
from estimates import box

from kinediff3d_core.visualization.simplification import simplify_mesh


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
