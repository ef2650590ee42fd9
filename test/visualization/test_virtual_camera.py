"""Virtual cameras: what their pictures contain, and where they look from."""

import numpy as np
import pytest
from estimates import laptop_estimate

from kinediff3d_core.visualization import preview, rasterizer
from kinediff3d_core.visualization.virtual_camera import (
    VirtualCamera,
    camera_view,
    fitted,
    look_at,
    side_view,
)


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


def test_a_camera_looks_at_its_target_with_up_upwards():
    centre, back, up = np.array([1.0, 2, 3]), np.array([0.6, 0.0, 0.8]), np.array([0.0, 1, 0])
    T = look_at(centre, back, 2.0, up)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1)
    np.testing.assert_allclose(T[:3, :3] @ centre + T[:3, 3], (0, 0, 2), atol=1e-12)
    np.testing.assert_allclose(T[:3, :3] @ up, (0, -1, 0), atol=1e-12)


def test_a_camera_cannot_be_fitted_to_points_behind_it():
    camera = VirtualCamera(np.eye(4), 1.0, 0.0, 0.0, 20, 10)
    with pytest.raises(ValueError, match='in front of the virtual camera'):
        fitted(camera, np.array([[0.0, 0.0, -1.0]]))
