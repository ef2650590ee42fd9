"""The software renderer against silhouettes worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from estimates import box_mesh

from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.visualization import rasterizer
from kinediff3d_core.visualization.scene import RenderedScene
from kinediff3d_core.visualization.virtual_camera import VirtualCamera

CAMERA = VirtualCamera(np.eye(4), 200.0, 100.0, 80.0, 200, 160)


def sphere(centre, radius):
    tm = trimesh.creation.icosphere(4, radius=radius)
    return Mesh(np.asarray(tm.vertices) + centre, np.asarray(tm.faces))


def test_inverse_depth_and_silhouette_of_a_sphere():
    mesh = sphere((0.0, 0.0, 2.0), 0.5)
    inverse, index, weights = rasterizer._fill(CAMERA, mesh.vertices, mesh.faces)
    v, u = np.nonzero(index >= 0)
    x, y = ((u + 0.5) / rasterizer.FINER - 100) / 200, ((v + 0.5) / rasterizer.FINER - 80) / 200
    # Tangent cone of the sphere: its sine is radius over distance.
    assert np.hypot(x, y).max() == pytest.approx(np.tan(np.arcsin(0.25)), rel=0.02)
    ray = np.stack([x, y, np.ones_like(x)], -1)
    p = ray / inverse[v, u][:, None]
    assert np.linalg.norm(p - (0, 0, 2.0), axis=-1) == pytest.approx(0.5, abs=4e-3)
    assert weights[v, u].sum(-1) == pytest.approx(1.0)


def test_the_nearer_surface_hides_the_farther():
    near, far = sphere((0.0, 0.0, 1.0), 0.1), sphere((0.0, 0.0, 2.0), 0.5)
    for meshes, middle in (((near, far), 0), ((far, near), 1)):
        _, _, label = rasterizer._shade(meshes, ((1, 0, 0), (0, 1, 0)), CAMERA)
        assert label[160, 200] == middle


def test_points_behind_a_mesh_are_hidden():
    scene = RenderedScene((box_mesh((0.5, 0.5, 0.1), (0, 0, 1.0)),), ((1.0, 1.0, 1.0),),
                          point_colours=(0.0, 0.0, 1.0))
    behind = rasterizer.render(replace(scene, points=np.array([[0.0, 0.0, 1.5]])), CAMERA)
    front = rasterizer.render(replace(scene, points=np.array([[0.0, 0.0, 0.9]])), CAMERA)
    blue = np.array([0, 0, 255])
    assert not (behind == blue).all(-1).any() and (front[80, 100] == blue).all()


def test_points_outside_the_picture_are_left_out():
    for points in (np.zeros((0, 3)), np.array([[0.0, 0.0, -1.0]]), np.array([[50.0, 0.0, 1.0]])):
        assert (rasterizer.render(RenderedScene(points=points), CAMERA) == 255).all()
