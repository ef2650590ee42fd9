"""Pinhole cameras: back-projection, sizes, and intrinsics that are refused."""

import numpy as np
import pytest

from kinediff3d_core.geometry.camera import Intrinsics, backproject, valid_depth


def test_backprojection_projects_back():
    camera = Intrinsics(50.0, 60.0, 7.5, 4.5, 16, 10)
    depth = np.random.default_rng(0).uniform(0.5, 2.0, (10, 16)).astype(np.float32)
    depth[0, 0], depth[1, 1], depth[2, 2], depth[3, 3] = 0, np.nan, np.inf, -1
    p = backproject(depth, camera)
    assert p.shape == (10 * 16 - 4, 3) and p.dtype == np.float32
    u = p[:, 0] / p[:, 2] * camera.fx + camera.cx
    v = p[:, 1] / p[:, 2] * camera.fy + camera.cy
    np.testing.assert_allclose(depth[v.round().astype(int), u.round().astype(int)], p[:, 2])
    np.testing.assert_allclose(u, u.round(), atol=1e-3)
    np.testing.assert_allclose(v, v.round(), atol=1e-3)


def test_one_pixel_by_hand():
    """Pixel (u, v) = (3, 2) at 2 m: x = (3 - 1) / 4 * 2 and y = (2 - 1) / 8 * 2."""
    depth = np.zeros((4, 6), np.float32)
    depth[2, 3] = 2.0
    p = backproject(depth, Intrinsics(4.0, 8.0, 1.0, 1.0, 6, 4))
    np.testing.assert_array_equal(p, [[1.0, 0.25, 2.0]])


def test_a_mask_takes_its_valid_pixels():
    camera = Intrinsics(50.0, 50.0, 2.0, 1.0, 4, 3)
    depth = np.ones((3, 4), np.float32)
    depth[1, 1] = 0
    mask = np.zeros((3, 4), np.uint8)
    mask[1] = 7
    assert valid_depth(depth, camera, mask).nonzero()[1].tolist() == [0, 2, 3]
    assert len(backproject(depth, camera, mask)) == 3


@pytest.mark.parametrize('shape', [(16, 10), (9, 16)])
def test_backprojection_names_a_size_mismatch(shape):
    camera = Intrinsics(50, 50, 8, 5, 16, 10)
    with pytest.raises(ValueError, match=r'depth image is .* camera info is for \(16, 10\)'):
        backproject(np.ones(shape, np.float32), camera)
    with pytest.raises(ValueError, match=r'mask is .* depth image is \(16, 10\)'):
        backproject(np.ones((10, 16), np.float32), camera, np.ones(shape, bool))


@pytest.mark.parametrize(('field', 'value'), [
    ('fx', 0.0), ('fx', float('nan')), ('fy', -1.0), ('fy', 0.0), ('cx', float('inf')),
    ('cy', float('nan')), ('width', 0), ('height', 0)])
def test_intrinsics_refuse_nonsense(field, value):
    values = {'fx': 600.0, 'fy': 600.0, 'cx': 320.0, 'cy': 240.0, 'width': 640, 'height': 480}
    Intrinsics(**values)
    with pytest.raises(ValueError, match='positive, finite'):
        Intrinsics(**{**values, field: value})
