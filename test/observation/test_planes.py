"""Planes of known pose, flat and warped."""

import numpy as np
import pytest
from tabletops import CAMERA, block, camera_above, draw, plate

from kinediff3d_core.observation.depth_grid import depth_grid
from kinediff3d_core.observation.planes import PlaneConfig, largest_plane, surface_normals

PLANES = PlaneConfig()


def found(depth, config=PLANES):
    grid = depth_grid(depth, CAMERA)
    normals = surface_normals(grid, config)
    voters = normals[..., 2] != 0
    return grid, largest_plane(grid.points[voters], normals[voters], grid.sigma[voters],
                               np.random.default_rng(0), config)


@pytest.mark.parametrize('elevation', [30, 50, 90])
def test_normals_of_a_plane_are_its_own(elevation):
    depth, _ = draw([plate(5.0, 5.0)], camera_above(elevation), noise=0.0)
    normals = surface_normals(depth_grid(depth, CAMERA))
    e = np.radians(elevation)
    inner = normals[4:-4, 4:-4]
    np.testing.assert_allclose(inner, np.broadcast_to([0, -np.cos(e), -np.sin(e)], inner.shape),
                               atol=2e-3)


def test_the_table_is_found_exactly_under_a_large_flat_thing():
    """A plane that is fitted to all points near to it is tilted towards the thing."""
    depth, index = draw([plate(0.5, 0.5), block(-0.2, 0.0, [0.18, 0.3, 0.01])], camera_above(50))
    grid, plane = found(depth)
    height = plane.height_image(grid)
    assert np.abs(np.median(height[index == 0])) < 0.0005
    assert np.median(height[index == 1]) == pytest.approx(0.02, abs=0.001)


def test_a_bowl_is_a_plane_with_a_warp():
    """Depth that is off by up to 4 cm towards the corners, as of a camera without calibration."""
    depth, _ = draw([plate(5.0, 5.0)], camera_above(60))
    v, u = np.indices(depth.shape)
    r = np.hypot(u - 159.5, v - 119.5) / 200
    grid, plane = found((depth * (1 - 0.04 * r ** 2)).astype(np.float32))
    on = np.abs(plane.height_image(grid)) < plane.thickness(grid.sigma)
    assert on.mean() > 0.95
    flat_grid, flat = found(depth * (1 - 0.04 * r ** 2), PlaneConfig(warp_degrees=()))
    assert (np.abs(flat.height_image(flat_grid)) < flat.thickness(grid.sigma)).mean() < 0.7


def test_heights_of_points_and_of_the_image_are_one():
    depth, _ = draw([plate(5.0, 5.0)], camera_above(60))
    grid, plane = found(depth)
    assert plane.warp is not None
    np.testing.assert_allclose(plane.height(grid.points.reshape(-1, 3)),
                               plane.height_image(grid).ravel(), atol=1e-5)


def test_no_points_have_no_plane():
    empty = np.zeros((0, 3), np.float32)
    assert largest_plane(empty, empty, np.zeros(0), np.random.default_rng(0)) is None
