"""Simplification of meshes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from estimates import box

from kinediff3d_core.inference.meshing import extract_mesh
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


def test_decimation_keeps_the_shape_also_where_that_takes_more_triangles() -> None:
    """The library's default aggressiveness moves this cabinet's boards by 19 cm."""
    import trimesh

    boards = torch.tensor([
        [(0.0, 0.0, 0.0), (0.5, 0.04, 0.9)], [(0.0, 0.56, 0.0), (0.5, 0.6, 0.9)],
        [(0.0, 0.0, 0.0), (0.04, 0.6, 0.9)],
        *([(0.0, 0.0, z), (0.5, 0.6, z + 0.04)] for z in (0.0, 0.2, 0.4, 0.6, 0.86))])

    def sdf(points: torch.Tensor) -> torch.Tensor:
        outside = torch.maximum(boards[:, 0] - points[:, None], points[:, None] - boards[:, 1])
        return outside.amax(-1).amin(-1)

    cabinet = extract_mesh(sdf, torch.full((3,), -0.03), torch.tensor([0.53, 0.63, 0.93]), 0.015)
    assert len(cabinet.faces) > 30_000 and 20 < len(decimate_mesh(cabinet, 20).faces) <= 100
    small = decimate_mesh(cabinet, 500)
    assert 500 < len(small.faces) <= 2500
    whole = trimesh.Trimesh(cabinet.vertices, cabinet.faces)
    for at in (cabinet.vertices[::97], trimesh.sample.sample_surface(whole, 300, seed=0)[0]):
        distance = np.linalg.norm(closest_points(small, at) - at, axis=1)
        assert np.percentile(distance, 99) < 0.005


def closest_points(mesh: Mesh, points: np.ndarray) -> np.ndarray:
    """The point (N, 3) of a mesh's surface that is nearest to each point (N, 3)."""
    from trimesh.triangles import closest_point

    corners, count = mesh.vertices[mesh.faces], len(mesh.faces)
    found = closest_point(np.tile(corners, (len(points), 1, 1)), np.repeat(points, count, axis=0))
    found = found.reshape(len(points), count, 3)
    nearest = np.linalg.norm(found - points[:, None], axis=2).argmin(axis=1)
    return found[np.arange(len(points)), nearest]
