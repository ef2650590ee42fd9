"""The points on each object of a frame: masks, ids, ranges, and why there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scene_bench import CAMERA

from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_ros.scene.frames import DepthArrays, Frame, FrameHeader
from kinediff3d_ros.scene.object_clouds import (
    BoxedView,
    FrameClouds,
    UnmaskedView,
    find_object_clouds,
)
from kinediff3d_ros.scene.parameters import PerceptionParameters

HEADER = FrameHeader(1_000_000_000, 'camera')


def find(arrays: object, listed: tuple[int, ...] = (), tracked: tuple[int, ...] = (),
         **parameters: object) -> FrameClouds:
    return find_object_clouds(Frame(HEADER, lambda: arrays), PerceptionParameters(**parameters),
                              listed, tracked)


def images(ids: np.ndarray | None = None) -> DepthArrays:
    """Left half 1 m away, right half 2 m."""
    depth = np.ones((48, 64), np.float32)
    depth[:, 32:] = 2.0
    return DepthArrays(depth, CAMERA, ids)


def halves(left: int, right: int) -> np.ndarray:
    ids = np.full((48, 64), left, np.uint16)
    ids[:, 32:] = right
    return ids


def test_a_mask_selects_the_points_of_the_object() -> None:
    found = find(images(halves(0, 3)))
    assert set(found.clouds) == {0}
    arrays = images(halves(0, 3))
    np.testing.assert_array_equal(found.clouds[0].points, backproject(
        arrays.depth, CAMERA, arrays.instances == 3))
    assert set(found.seconds) == {'convert', 'segment'}
    assert all(0 <= s < 60 for s in found.seconds.values())


@pytest.mark.parametrize(('mask_id', 'depth'), [(3, 1.0), (7, 2.0)])
def test_mask_id_selects_one_of_several_objects(mask_id: int, depth: float) -> None:
    cloud = find(images(halves(3, 7)), mask_id=mask_id).clouds[0]
    assert len(cloud) == 48 * 32 and (cloud.points[:, 2] == depth).all()


def test_without_a_mask_id_every_pixel_that_is_not_zero_counts() -> None:
    assert len(find(images(halves(3, 7))).clouds[0]) == 48 * 64


def test_each_id_is_an_object_or_only_those_that_are_listed() -> None:
    each = find(images(halves(3, 7)), instances='each')
    assert {i: len(c) for i, c in each.clouds.items()} == {3: 48 * 32, 7: 48 * 32}
    assert (each.clouds[7].points[:, 2] == 2.0).all()
    assert set(find(images(halves(0, 7)), instances='each').clouds) == {7}
    assert set(find(images(halves(3, 7)), (7, 9), instances='listed').clouds) == {7}


def test_tracking_finds_the_points_of_a_tracked_object_with_a_bounding_box() -> None:
    ids = halves(0, 0)
    ids[10:30, 5:25] = 3
    outline = halves(0, 0)
    outline[10:30, 5:25] = np.tri(20)
    for mask, boxed in ((ids, True), (outline, False)):
        frame = Frame(HEADER, lambda mask=mask: images(mask))
        found = find_object_clouds(frame, PerceptionParameters(max_depth=1.5), tracked=(0,))
        assert isinstance(found.clouds[0], BoxedView if boxed else ObjectCloud)
        assert isinstance(find_object_clouds(frame, PerceptionParameters()).clouds[0], ObjectCloud)
        if boxed:
            assert (found.clouds[0].depth[:, 32:] == 0).all()
            assert len(found.clouds[0].candidates()[0].cloud) == 400
    small = find_object_clouds(Frame(HEADER, lambda: images(ids)),
                               PerceptionParameters(min_points=401), tracked=(0,)).clouds[0]
    assert isinstance(small, NoEstimate) and 'need 401' in str(small)


def test_boxes_that_are_turned_or_overlap_are_boxes() -> None:
    ids = halves(0, 0)
    ids[10:30, 5:25] = 3 * np.tri(20)
    arrays = replace(images(ids), boxed=True, categories={3: 'box'})
    found = find_object_clouds(Frame(HEADER, lambda: arrays), PerceptionParameters(
        instances='each'), tracked=(3,))
    assert isinstance(found.clouds[3], BoxedView) and found.clouds[3].boxed
    assert found.categories == {3: 'box'}
    empty = find(replace(arrays, instances=halves(0, 0))).clouds[0]
    assert 'no detection of the object has a pixel' in str(empty)


def test_one_object_without_points_does_not_hide_the_others() -> None:
    arrays = images(halves(3, 7))
    arrays.depth[:, :32] = 0
    clouds = find(arrays, instances='each').clouds
    assert isinstance(clouds[3], NoEstimate) and len(clouds[7]) == 48 * 32


def test_listed_objects_need_a_mask() -> None:
    with pytest.raises(ValueError, match='need a mask'):
        find(images(), instances='listed')


def test_without_a_mask_each_tracked_object_gets_the_whole_image() -> None:
    frame = Frame(HEADER, images)
    found = find_object_clouds(frame, PerceptionParameters(instances='each', max_depth=1.5),
                               tracked=(2, 5))
    assert set(found.clouds) == {2, 5} and found.clouds[2] is found.unsegmented
    assert (found.unsegmented.depth[:, 32:] == 0).all()
    masked = find(images(halves(3, 7)), instances='each')
    assert masked.unsegmented is None
    waiting = find_object_clouds(frame, PerceptionParameters(
        instances='each', mask_mode='initialize'), tracked=(2,))
    assert waiting.unsegmented is None and set(waiting.clouds) == {2}


@pytest.mark.parametrize(('ids', 'parameters', 'reason'), [
    (halves(0, 0), {}, 'the mask is empty'),
    (halves(1, 1), {'mask_id': 7}, 'the mask has no pixel of id 7'),
    (halves(1, 1), {'max_depth': 0.5}, 'beyond max_depth'),
    (halves(0, 1), {'max_depth': 1.5}, 'only 0 valid points'),
    (halves(1, 0), {'min_points': 48 * 32 + 1}, 'need 1537 .parameter min_points.'),
])
def test_reasons_for_no_points(ids: np.ndarray, parameters: dict, reason: str) -> None:
    cloud = find(images(ids), **parameters).clouds[0]
    assert isinstance(cloud, NoEstimate)
    with pytest.raises(NoEstimate, match=reason):
        raise cloud


def test_limits_of_depth_and_count_are_inclusive() -> None:
    cloud = find(images(halves(1, 1)), max_depth=1.0, min_points=48 * 32).clouds[0]
    assert len(cloud) == 48 * 32 and (cloud.points[:, 2] == 1.0).all()


def test_depth_without_a_measurement_gives_no_points() -> None:
    arrays = DepthArrays(np.zeros((48, 64), np.float32), CAMERA, halves(1, 1))
    with pytest.raises(NoEstimate, match='holds no measurement'):
        raise find(arrays).clouds[0]


@pytest.mark.parametrize(('arrays', 'reason'), [
    (DepthArrays(np.ones((24, 32), np.float32), CAMERA), r'\(32, 24\).*\(64, 48\)'),
    (DepthArrays(np.ones((48, 64), np.float32), CAMERA, np.ones((24, 32), np.uint16)),
     r'mask is \(32, 24\)'),
])
def test_images_of_different_sizes_are_refused(arrays: DepthArrays, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        find(arrays)


def test_a_frame_without_a_frame_id_is_refused_before_it_is_converted() -> None:
    frame = Frame(FrameHeader(1, ''), lambda: pytest.fail('converted'))
    with pytest.raises(ValueError, match='no frame_id'):
        find_object_clouds(frame, PerceptionParameters())


def test_without_a_mask_every_thing_of_the_image_is_a_candidate() -> None:
    """Up to max_depth, and with min_points at least; the largest is first."""
    depth = np.full((48, 64), 1.0, np.float32)
    depth[10:38, 6:28], depth[14:34, 38:54], depth[:4] = 0.9, 0.9, 3.0
    arrays = DepthArrays(depth, CAMERA)
    view = find(arrays, max_depth=1.5).clouds[0]
    assert type(view) is UnmaskedView and (view.depth[:4] == 0).all()
    assert [len(c.cloud) for c in view.candidates()] == [28 * 22, 20 * 16]
    assert all(c.cloud.filtered for c in view.candidates())
    assert len(find(arrays, max_depth=1.5, min_points=400).clouds[0].candidates()) == 1
    with pytest.raises(NoEstimate, match='only 616 valid points on the object; need 700'):
        find(arrays, max_depth=1.5, min_points=700).clouds[0].candidates()


def cube(near: float) -> np.ndarray:
    """Points 0.2 m wide on the front of a cube."""
    x, y = np.meshgrid(np.linspace(-0.1, 0.1, 30), np.linspace(-0.1, 0.1, 30))
    return np.stack([x, y, np.full_like(x, near)], axis=-1).reshape(-1, 3).astype(np.float32)


def test_a_cloud_is_the_object_or_a_scene_as_an_image_without_a_mask() -> None:
    depth = np.full((48, 64), 1.0, np.float32)
    depth[10:38, 6:28], depth[14:34, 38:54] = 0.9, 0.9
    points = backproject(depth, CAMERA)
    assert len(find(points).clouds[0]) == len(points)
    for tracked in ((), (0,)):
        view = find(points, tracked=tracked, segment_points=True).clouds[0]
        assert type(view) is UnmaskedView
        large, small = (c.cloud.points for c in view.candidates())
        assert np.abs(large[:, 2] - 0.9).max() < 1e-6 and large[:, 0].mean() < small[:, 0].mean()
    table = backproject(np.full((48, 64), 1.0, np.float32), CAMERA)
    with pytest.raises(NoEstimate, match='nothing of at least'):
        raise find(table, tracked=(0,), segment_points=True).clouds[0]
    with pytest.raises(NoEstimate, match='finite points'):
        raise find(cube(1.0)[:9], segment_points=True).clouds[0]


def test_points_that_are_no_measurement_of_the_object_are_left_out() -> None:
    """Once for all: the cloud counts as filtered for inference and tracking."""
    bad = np.array([[0, 0, 0], [0.1, 0.1, -1], [np.nan, 0, 1], [0, 0, np.inf], [0, 0, 3]],
                   np.float32)
    found = find(np.concatenate([cube(1.0), bad])).clouds[0]
    np.testing.assert_array_equal(found.points, cube(1.0))
    assert found.filtered
    with pytest.raises(NoEstimate, match='only 900 valid points on the object; need 905'):
        raise find(np.concatenate([cube(1.0), bad]), min_points=905).clouds[0]
    # Pixels of the background that a mask includes.
    depth, mask = np.full((48, 64), 1.0, np.float32), np.ones((48, 64), np.uint8)
    depth[:2] = 4.0
    found = find(DepthArrays(depth, CAMERA, mask)).clouds[0]
    assert len(found) == 46 * 64 and found.points[:, 2].max() == 1.0 and found.filtered


def test_points_beyond_max_depth_are_ignored() -> None:
    both = np.concatenate([cube(1.0), cube(2.0)])
    assert len(find(both, max_depth=1.0).clouds[0]) == 900
    assert len(find(both).clouds[0]) == 1800
    with pytest.raises(NoEstimate, match='no finite point within max_depth'):
        raise find(both, max_depth=0.5).clouds[0]
    with pytest.raises(NoEstimate, match='no finite point'):
        raise find(np.zeros((0, 3), np.float32)).clouds[0]


def test_a_cloud_in_the_axes_of_a_robot_is_refused() -> None:
    """x forward and z up, as in base_link: without a word, half of its points are behind."""
    z, x, y = (np.random.default_rng(0).random((3, 500)) * 0.3 + np.array([[1], [0], [0]]))
    cloud = find(np.stack([z, -x, -y], -1).astype(np.float32)).clouds[0]
    assert isinstance(cloud, NoEstimate) and 'x forward and z up' in str(cloud)
