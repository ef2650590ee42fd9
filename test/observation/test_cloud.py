"""Clouds of one view: what is on the object, what is beside it, and what is no measurement."""

import numpy as np
import pytest

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation import cloud as C
from kinediff3d_core.observation.cloud import (
    ObjectCloud,
    OutlierConfig,
    filter_cloud,
    filter_points,
    object_cloud,
    remove_outliers,
    require_points,
    valid_points,
)


def test_object_cloud_is_the_object_and_what_is_beside_it():
    camera = Intrinsics(50.0, 50.0, 39.5, 29.5, 80, 60)
    depth, mask = np.full((60, 80), 2.0, np.float32), np.zeros((60, 80), bool)
    mask[10:22, 10:26] = True
    depth[10:22, 10:26] = 1.0
    depth[::2, :5] = np.nan
    cloud = object_cloud(depth, camera, mask)
    np.testing.assert_array_equal(cloud.points, backproject(depth, camera, mask))
    assert len(cloud) == 12 * 16 and (cloud.others[:, 2] == 2.0).all()
    u = cloud.others[:, 0] / cloud.others[:, 2] * 50 + 39.5
    v = cloud.others[:, 1] / cloud.others[:, 2] * 50 + 29.5
    # To the image's border, and as far as the mask is wide from its middle.
    assert u.min() < 4 and v.min() < 3 and 29 <= u.max() <= 32 and 27 <= v.max() <= 30
    assert len(cloud.others) > 60
    nothing = object_cloud(depth, camera, np.zeros_like(mask))
    assert len(nothing) == len(nothing.others) == 0
    bare = ObjectCloud.of(cloud.points)
    assert bare.points is cloud.points and len(bare.others) == 0 and ObjectCloud.of(bare) is bare


def test_points_beside_an_object_in_the_middle_of_the_image():
    """The window reaches 10 pixels, the mask's longer side, around its middle, in steps of 3."""
    camera = Intrinsics(50.0, 50.0, 0.0, 0.0, 80, 60)
    depth, mask = np.ones((60, 80), np.float32), np.zeros((60, 80), np.uint8)
    mask[30:35, 40:51] = 1
    others = object_cloud(depth, camera, mask).others * 50
    assert sorted({round(float(x)) for x in others[:, 0]}) == list(range(35, 56, 3))
    assert sorted({round(float(y)) for y in others[:, 1]}) == list(range(22, 43, 3))
    assert len(others) == 7 * 7 - 2 * 4, 'rows 31 and 34 meet columns 41, 44, 47 and 50 on it'


def test_the_farthest_row_and_column_beside_an_object_count():
    """12 pixels from the middle, a multiple of 3."""
    camera = Intrinsics(50.0, 50.0, 0.0, 0.0, 80, 60)
    depth, mask = np.ones((60, 80), np.float32), np.zeros((60, 80), bool)
    mask[24:37, 40:53] = True
    others = object_cloud(depth, camera, mask).others * 50
    assert sorted({round(float(x)) for x in others[:, 0]}) == list(range(34, 59, 3))
    assert sorted({round(float(y)) for y in others[:, 1]}) == list(range(18, 43, 3))


RAW = np.array([[0.1, 0.2, 1.0], [0, 0, 0], [np.nan, 0, 1], [0, np.nan, 1], [0, 0, np.nan],
                [np.inf, 0, 1], [0, -np.inf, 1], [0, 0, np.inf], [0.1, 0.1, -1], [0, 0, 1e-3]])


def test_valid_points_are_finite_and_in_front_of_the_camera():
    assert valid_points(RAW).nonzero()[0].tolist() == [0, 9]
    assert valid_points(np.zeros((0, 3))).shape == (0,)
    np.testing.assert_array_equal(filter_points(RAW), RAW[[0, 9]].astype(np.float32))
    clean = RAW[[0, 9]].astype(np.float32)
    assert filter_points(clean) is clean, 'valid clouds are not copied'


def test_the_filter_of_a_cloud_removes_what_is_no_measurement_of_the_object():
    object_points = depths(np.linspace(1.0, 1.2, 200))
    raw = ObjectCloud(np.concatenate([object_points, RAW[1:9], depths([5.0])]),
                      np.concatenate([RAW, depths([5.0])]))
    found = filter_cloud(raw)
    np.testing.assert_array_equal(found.points, object_points)
    # Beside the object there is background at any distance.
    np.testing.assert_array_equal(found.others[:, 2], np.float32([1.0, 1e-3, 5.0]))
    assert found.filtered and not raw.filtered
    assert filter_cloud(found) is found, 'a cloud is filtered once'
    assert filter_cloud(object_points).points is object_points


@pytest.mark.parametrize('shape', [(3,), (5, 4), (2, 5, 3)])
def test_clouds_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r'\(N, 3\)'):
        filter_points(np.ones(shape))


def test_clouds_that_are_too_large_are_refused(monkeypatch):
    monkeypatch.setattr(C, 'MAX_POINTS', 20)
    assert len(filter_points(np.ones((20, 3)))) == 20
    with pytest.raises(ValueError, match='21 points are more than 20'):
        filter_points(np.ones((21, 3)))


def depths(values):
    points = np.zeros((len(values), 3), np.float32)
    points[:, 2] = values
    return points


def test_outliers_are_beyond_one_and_a_half_ranges_from_the_middle():
    """Of 1.00 to 1.20 m the middle 80 % are 1.02 to 1.18 m: 1.5 ranges are 0.24 m."""
    inliers = np.linspace(1.0, 1.2, 2001)
    near = remove_outliers(depths([*inliers, 0.85, 0.87, 1.33, 1.35]))[2001:, 2]
    np.testing.assert_allclose(near, [0.87, 1.33])


def test_percentiles_of_a_large_cloud_are_those_of_a_sample():
    """Of 8000 points every second one counts; of 7999 all of them."""
    config = OutlierConfig(reach=1.5, min_range=0.25)
    values = np.ones(8000)
    values[1::2] = 2.0
    assert len(remove_outliers(depths(values), config)) == 4000
    assert len(remove_outliers(depths(values[1:]), config)) == 7999


def test_a_flat_object_has_a_range_of_five_centimetres():
    inliers = np.full(2000, 1.0)
    near = remove_outliers(depths([*inliers, 0.92, 0.93, 1.07, 1.08]))[2000:, 2]
    np.testing.assert_allclose(near, [0.93, 1.07])


def test_points_at_the_limit_are_outliers():
    config = OutlierConfig(reach=1.0, min_range=0.25)
    near = remove_outliers(depths([1.0] * 200 + [0.75, 0.875, 1.125, 1.25]), config)[200:, 2]
    np.testing.assert_array_equal(near, [0.875, 1.125])


def test_too_few_points_are_not_filtered_and_are_no_object():
    few = depths([1.0] * 98 + [9.0])
    assert remove_outliers(few) is few
    with pytest.raises(NoEstimate, match='99 points on the object, at least 100'):
        require_points(few)
    enough = depths([1.0] * 99 + [9.0])
    assert len(remove_outliers(enough)) == 99
    assert require_points(enough) is enough
