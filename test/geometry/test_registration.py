"""Depth images registered to another camera: by hand, and against the image of that camera."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.geometry.registration import MAX_FOOTPRINT, register_depth
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedScene

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)


def motion(degrees: tuple[float, ...] = (0, 0, 0), translation: tuple[float, ...] = (0, 0, 0),
           ) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler('xyz', degrees, degrees=True).as_matrix()
    T[:3, 3] = translation
    return T


def wall(depth: float = 1.0) -> np.ndarray:
    return np.full((240, 320), depth, np.float32)


def test_the_same_camera_sees_the_same_image() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 2.0, (240, 320)).astype(np.float32)
    depth[3, 4], depth[5, 6] = 0, np.nan
    registered = register_depth(depth, CAMERA, CAMERA, np.eye(4))
    np.testing.assert_allclose(registered, np.nan_to_num(depth), rtol=1e-6)
    assert registered.dtype == np.float32


def test_a_pixel_moves_by_the_disparity() -> None:
    """0.1 m to the left at 1 m and 300 pixels of focal length: 30 pixels to the left."""
    depth = np.zeros((240, 320), np.float32)
    depth[100, 200] = 1.0
    registered = register_depth(depth, CAMERA, CAMERA, motion(translation=(-0.1, 0, 0)))
    assert np.argwhere(registered).tolist() == [[100, 170]] and registered[100, 170] == 1.0


def test_the_nearest_of_several_measurements_counts() -> None:
    """Near and far meet in one pixel of the other camera, in either order of the columns."""
    for columns in ((110, 95), (170, 185)):
        depth = np.zeros((240, 320), np.float32)
        sign = 1 if columns[0] < 160 else -1
        depth[100, 140], depth[100, 140 + sign * 15] = 2.0, 1.0
        registered = register_depth(depth, CAMERA, CAMERA,
                                    motion(translation=(-sign * 0.1, 0, 0)))
        assert registered[100, 140 - sign * 15] == 1.0


def test_a_higher_resolution_has_no_holes() -> None:
    """Each pixel covers a square of 2.5 x 2.5; nothing spreads beyond the image."""
    fine = Intrinsics(750.0, 750.0, 400.0, 300.0, 801, 601)
    registered = register_depth(wall(), CAMERA, fine, np.eye(4))
    assert (registered == 1.0).mean() > 0.99
    middle = registered[5:-5, 5:-5]
    assert (middle == 1.0).all()


def test_points_outside_and_behind_are_not_seen() -> None:
    for T in (motion(translation=(0, 0, -1.5)), motion(translation=(0, 0, -1.0)),
              motion((0, 120, 0)), motion(translation=(9, 0, 0))):
        assert not register_depth(wall(), CAMERA, CAMERA, T).any()


def test_a_point_in_front_of_the_lens_does_not_cover_the_image() -> None:
    depth = np.zeros((240, 320), np.float32)
    depth[120, 160] = 1.0
    registered = register_depth(depth, CAMERA, CAMERA, motion(translation=(0, 0, -0.98)))
    assert 0 < np.count_nonzero(registered) <= MAX_FOOTPRINT ** 2


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match=r'depth image is \(640, 480\).*\(320, 240\)'):
        register_depth(np.ones((480, 640), np.float32), CAMERA, CAMERA, np.eye(4))


@pytest.mark.parametrize(('other', 'T'), [
    (Intrinsics(310.0, 308.0, 165.0, 116.0, 320, 240), motion((1, -3, 2), (0.05, 0.01, 0.02))),
    (Intrinsics(620.0, 616.0, 330.0, 232.0, 640, 480), motion((1, -3, 2), (0.05, 0.01, 0.02))),
    (Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120), motion((0, 0, 0), (0.05, 0, 0))),
    (CAMERA, motion((2, -20, 2), (0.35, 0.01, 0.02))),
], ids=['colour', 'fine', 'coarse', 'wide'])
def test_the_image_is_that_of_the_other_camera(other: Intrinsics, T: np.ndarray) -> None:
    """A laptop on a table, rendered from both: they agree where both cameras see the surface."""
    scene = SimulatedScene.sample('laptop', 0, 1, CAMERA, states=1)
    first = SimulatedCamera(scene, table=True, noise=False).state(0).depth
    truth = SimulatedCamera(replace(
        scene, intrinsics=other, T_camera_base=torch.from_numpy(T).float() @ scene.T_camera_base),
        table=True, noise=False).state(0).depth
    registered = register_depth(first, CAMERA, other, T)
    seen = truth > 0
    points = transform_points(np.linalg.inv(T), backproject(truth, other))
    u, v = (np.round(points[:, k] / points[:, 2] * 300 + c).astype(int)
            for k, c in ((0, CAMERA.cx), (1, CAMERA.cy)))
    inside = (u > 1) & (v > 1) & (u < 318) & (v < 238)
    both = inside.copy()
    both[inside] = np.abs(first[v[inside], u[inside]] - points[inside, 2]) < 0.005
    assert both.mean() > 0.8
    value = registered[seen][both]
    assert (value == 0).mean() < 0.04, 'holes'
    error = np.abs(value - truth[seen][both])[value > 0]
    # The nearest of the points in a coarse pixel is not the one in its middle.
    limit = 0.001 * max(1.0, CAMERA.fx / other.fx)
    assert np.median(error) < limit and np.percentile(error, 99) < 4 * limit
