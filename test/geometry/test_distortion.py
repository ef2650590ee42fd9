"""Raw images become rectified ones."""

import numpy as np
import pytest

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.distortion import Distortion, rectify

CAMERA = Intrinsics(80.0, 80.0, 49.5, 39.5, 100, 80)


@pytest.mark.parametrize(('model', 'd'), [
    ('plumb_bob', (-0.3, 0.1, 0.002, -0.001, 0.0)), ('equidistant', (0.02, -0.01, 0.0, 0.0)),
    ('rational_polynomial', (0.1, 0.0, 0.0, 0.0, 0.0, 0.2, 0.01, 0.0))])
def test_a_pixel_is_taken_from_where_its_ray_appears(model, d):
    """Each raw pixel holds its place; the place is inverted by iteration."""
    distortion = Distortion(model, d)
    v, u = np.mgrid[:80, :100]
    rows = rectify(v.astype(np.float32) + 1, CAMERA, distortion)
    columns = rectify(u.astype(np.float32) + 1, CAMERA, distortion)
    x, y = (columns - 1 - 49.5) / 80, (rows - 1 - 39.5) / 80
    a, b = x.copy(), y.copy()
    for _ in range(50):
        far_x, far_y = distortion.distorted(a, b)
        a, b = a + x - far_x, b + y - far_y
    seen = rows > 0
    assert seen.mean() > 0.7
    off = np.hypot(80 * a + 49.5 - u, 80 * b + 39.5 - v)[seen]
    assert off.max() < 1.5 and np.median(off) < 0.6


def test_no_distortion_changes_nothing():
    image = np.arange(8000, dtype=np.uint16).reshape(80, 100)
    assert rectify(image, CAMERA, None) is image
    np.testing.assert_array_equal(rectify(image, CAMERA, Distortion('', (0.0,))), image)
    with pytest.raises(ValueError, match='image is'):
        rectify(image[1:], CAMERA, Distortion('', (0.1,)))


def test_where_the_polynomial_folds_back_nothing_is_seen():
    wide = Intrinsics(30.0, 30.0, 49.5, 39.5, 100, 80)
    seen = rectify(np.ones((80, 100), np.uint8), wide, Distortion('plumb_bob', (-0.3,)))
    assert seen[40, 50] == 1 and not seen[0, 0] and not seen[-1, -1]


@pytest.mark.parametrize(('model', 'd', 'match'), [
    ('ftheta', (0.1,), 'image_proc'), ('plumb_bob', (np.nan,), 'finite'),
    ('rational_polynomial', (*[0.0] * 12, 0.1, 0.0), 'more than are applied')])
def test_models_that_are_not_applied(model, d, match):
    with pytest.raises(ValueError, match=match):
        Distortion(model, d)
