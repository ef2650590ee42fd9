"""Neighbouring pixels on one surface, and the margins of a picture."""

import numpy as np
import pytest

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.observation.depth_grid import depth_grid, linked_pixels, picture_rectangle

CAMERA = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)


def test_large_images_are_thinned_out():
    depth = np.random.default_rng(0).uniform(1, 2, (480, 640))
    grid = depth_grid(depth, CAMERA)
    assert grid.stride == 2 and grid.shape == (240, 320)
    np.testing.assert_allclose(grid.points[..., 2], depth[::2, ::2], rtol=1e-6)
    assert grid.points[10, 20, 0] == pytest.approx((40 - 319.5) / 600 * depth[20, 40], rel=1e-5)
    assert grid.pixel == pytest.approx(2 / 600, rel=1e-4)


@pytest.mark.parametrize('slope', [0.0, 0.04])
@pytest.mark.parametrize('axis', [0, 1])
def test_a_slope_is_one_surface_and_a_step_is_none(slope, axis):
    z = 1 + slope * np.arange(20.0) + 0.05 * (np.arange(20) >= 10)
    image = np.tile(z, (8, 1))
    right, down = linked_pixels(image if axis else image.T, np.ones(image.shape if axis else
                                                                    image.T.shape, bool))
    along, across = (right, down) if axis else (down.T, right.T)
    assert across.all()
    np.testing.assert_array_equal(along.all(0), np.arange(19) != 9)


def test_pixels_without_depth_are_on_no_surface():
    present = np.ones((4, 5), bool)
    present[1, 2] = False
    right, down = linked_pixels(np.ones((4, 5)), present)
    assert (~right).sum() == 2 and (~down).sum() == 2


def test_margins_have_little_depth():
    valid = np.zeros((40, 60), bool)
    valid[5:35, 10:50] = True
    valid[2, 20] = valid[20, 3] = True
    assert picture_rectangle(valid) == (slice(5, 35), slice(10, 50))
