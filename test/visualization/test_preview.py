"""The software renderer against silhouettes worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from estimates import box_mesh, laptop_estimate
from PIL import Image

from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.visualization import preview, rasterizer
from kinediff3d_core.visualization.scene import RenderedScene
from kinediff3d_core.visualization.virtual_camera import VirtualCamera, camera_view, side_view


def sphere(centre, radius):
    tm = trimesh.creation.icosphere(4, radius=radius)
    return Mesh(np.asarray(tm.vertices) + centre, np.asarray(tm.faces))


CAMERA = VirtualCamera(np.eye(4), 200.0, 100.0, 80.0, 200, 160)


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


def test_pictures_contain_the_points_they_are_fitted_to():
    e = laptop_estimate()
    p = np.concatenate([m.vertices for m in preview.posed_meshes(e)])
    for camera in (camera_view(p),
                   side_view(p, e.T_camera_base, e.joints[0].axis)):
        uv, _ = rasterizer._project(camera, p)
        uv /= rasterizer.FINER
        assert (uv > 0).all() and (uv < [camera.width, camera.height]).all()
        share = np.ptp(uv, axis=0) / [camera.width, camera.height]
        assert share.max() == pytest.approx(0.86, abs=0.01)
    up = side_view(p, e.T_camera_base).T_view_camera[:3, :3] @ e.T_camera_base[:3, 2]
    assert up[1] < -0.5


def test_preview_is_written_and_shows_all_parts(tmp_path):
    e = laptop_estimate()
    path = preview.draw_preview(e, tmp_path / 'new' / 'preview.png', preview.posed_meshes(e))
    picture = np.asarray(Image.open(path).convert('RGB')).astype(int)
    assert picture.shape[1] > 3 * picture.shape[0]
    assert picture.std() > 20
    r, g, b = picture[..., 0], picture[..., 1], picture[..., 2]
    assert ((r > g + 40) & (g > b + 40)).sum() > 5000, 'no lid'
    assert ((b > r + 30) & (r > 50)).sum() > 5000, 'no base'
    assert ((r > 2.5 * g) & (r > 2.5 * b)).sum() > 100, 'no axis'


def test_preview_without_meshes(tmp_path):
    e = laptop_estimate()
    bare = replace(e, parts=tuple(replace(p, mesh=None) for p in e.parts))
    assert preview.draw_preview(bare, tmp_path / 'p.png').stat().st_size > 1000
