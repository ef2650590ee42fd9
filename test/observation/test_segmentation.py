"""Finding an object that was put into the image."""

import numpy as np
import pytest
import torch

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.segmentation import (
    InstanceConfig,
    object_in_cloud,
    segment_cloud,
    segment_object,
)
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.render import pixel_rays, render_depth
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor
from kinediff3d_core.simulation.views import sample_views

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)


@pytest.fixture(scope='module')
def views():
    """Eight laptops: exact depth, part ids, poses."""
    g = held_out_generator(5)
    instances = sample_instances('laptop', 8, g)
    q, T = sample_views(instances, g)
    depth, part = render_depth(instances, q, T, CAMERA)
    return instances, q, T, depth, part


def on_table(views, reach):
    """The same images with a table of that reach under the objects, and sensor noise."""
    instances, _, T, depth, part = views
    rays = pixel_rays(CAMERA)
    n = T[:, :3, 2]
    low = instances.bounds[:, 0, 0, 2]
    point = T[:, :3, 3] + low[:, None] * n
    t = (point * n).sum(-1)[:, None, None] / torch.einsum('hwc,bc->bhw', rays, n)
    hit = t[..., None] * rays - T[:, None, None, :3, 3]
    local = torch.einsum('bhwc,bck->bhwk', hit, T[:, :3, :3])
    table = torch.where((t > 0) & (local[..., :2].abs().amax(-1) < reach), t, 0.0)
    out = torch.where((part < 0) & (table > 0), table, depth)
    noisy, _ = apply_sensor(out, part, torch.Generator().manual_seed(0),
                            SensorModel(occluded=0.0, hole_share=0.01))
    return noisy.numpy()


def overlap(mask, part, noisy):
    truth = (part.numpy() >= 0) & (noisy > 0)
    return (mask & truth).sum() / max((mask | truth).sum(), 1)


@pytest.mark.parametrize('reach', [0.5, 50.0])
def test_objects_on_a_table(views, reach):
    noisy = on_table(views, reach)
    scores = [overlap(segment_object(d, CAMERA), p, d)
              for d, p in zip(noisy, views[4], strict=True)]
    assert np.median(scores) > 0.95, scores
    assert min(scores) > 0.8, scores


def test_object_in_front_of_nothing_stays_whole(views):
    noisy, _ = apply_sensor(views[3], views[4], torch.Generator().manual_seed(0),
                            SensorModel(occluded=0.0, hole_share=0.01))
    scores = [overlap(segment_object(d, CAMERA), p, d)
              for d, p in zip(noisy.numpy(), views[4], strict=True)]
    assert min(scores) > 0.95, scores


def test_cloud_and_image_agree(views):
    noisy = on_table(views, 0.5)
    for d, p in zip(noisy[:4], views[4], strict=False):
        truth = p.numpy()[d > 0] >= 0
        keep = segment_cloud(backproject(d, CAMERA))
        assert (keep & truth).sum() / (keep | truth).sum() > 0.45
        points = backproject(d, CAMERA)
        cloud = object_in_cloud(points)
        np.testing.assert_array_equal(cloud.points, points[keep])
        assert len(cloud.others) == -(-(~keep).sum() // 9)


def test_wall_behind_the_table(views):
    noisy = on_table(views, 0.5)
    depth = np.where(noisy > 0, noisy, 3.0)
    scores = [overlap(segment_object(d, CAMERA), p, d)
              for d, p in zip(depth, views[4], strict=True)]
    assert np.median(scores) > 0.95, scores


def test_it_answers_the_same_twice(views):
    d = on_table(views, 0.5)[0]
    assert (segment_object(d, CAMERA) == segment_object(d, CAMERA)).all()


@pytest.mark.parametrize('value', [0.0, np.nan, -1.0, np.inf])
def test_empty_images(value):
    with pytest.raises(NoEstimate, match='0 pixels have depth'):
        segment_object(np.full((240, 320), value, dtype=np.float32), CAMERA)


def test_a_bare_wall_is_no_object():
    depth = np.full((240, 320), 1.5, dtype=np.float32)
    depth += np.random.default_rng(0).normal(0, 0.001, depth.shape)
    try:
        mask = segment_object(depth, CAMERA)
    except NoEstimate as reason:
        assert 'mask' in str(reason)
    else:
        pytest.fail(f'{mask.sum()} pixels of a bare wall')


def test_wrong_shapes():
    with pytest.raises(ValueError, match='320'):
        segment_object(np.ones((100, 100)), CAMERA)
    with pytest.raises(ValueError, match=r'\(N, 3\)'):
        segment_cloud(np.ones((100, 4)))
    with pytest.raises(NoEstimate):
        segment_cloud(np.zeros((0, 3)))


def panel(gaps, size=(30, 200)):
    """A panel at 1 m that ends ``gaps`` pixels (top, bottom, left, right) before the image's
    border; the other sides are far from it. Its lines along the border are 30."""
    (side, gap), = gaps.items()
    tall, wide = size if side in ('top', 'bottom') else size[::-1]
    top, left = (240 - tall) // 2, (320 - wide) // 2
    top = {'top': gap, 'bottom': 240 - tall - gap}.get(side, top)
    left = {'left': gap, 'right': 320 - wide - gap}.get(side, left)
    depth = np.zeros((240, 320), np.float32)
    depth[top:top + tall, left:left + wide] = 1.0
    return depth


@pytest.mark.parametrize('side', ['top', 'bottom', 'left', 'right'])
def test_a_plane_that_reaches_the_images_border_is_a_support(side):
    """The border is four pixels wide; beyond it a plane without anything on it is the object."""
    with pytest.raises(NoEstimate, match='nothing stands out'):
        segment_object(panel({side: 3}), CAMERA)
    depth = panel({side: 4})
    np.testing.assert_array_equal(segment_object(depth, CAMERA), depth > 0)


def test_a_plane_with_few_points_at_the_border_is_no_support():
    """One line of 100 is less than two in a hundred."""
    depth = panel({'top': 3}, (100, 200))
    np.testing.assert_array_equal(segment_object(depth, CAMERA), depth > 0)


def test_a_clouds_own_rectangle_is_no_border():
    """Every cloud reaches its rectangle's border: a plane alone is still an object."""
    points = backproject(panel({'top': 4}, (100, 200)), CAMERA)
    assert segment_cloud(points).all()


@pytest.mark.parametrize(('edge', 'support'), [(InstanceConfig.cloud_edge, False),
                                               (0.05, True)])
def test_a_disc_has_few_points_at_the_border_of_a_cloud(edge, support):
    """Less than two in a hundred within 1.25 % of the rectangle's sides; over five within 5 %."""
    v, u = np.indices((240, 320))
    disc = (u - 159.5) ** 2 + (v - 119.5) ** 2 < 100 ** 2
    block = (abs(u - 259.5) < 16) & (abs(v - 119.5) < 16)
    points = backproject(np.where(block, 0.9, disc).astype(np.float32), CAMERA)
    found = segment_cloud(points, InstanceConfig(cloud_edge=edge))
    assert (found == ((points[:, 2] < 0.95) == support)).mean() > 0.999


def test_invalid_points_belong_to_no_object():
    points = backproject(panel({'top': 4}, (100, 200)), CAMERA)
    raw = np.concatenate([points, [[np.nan, 0, 1], [0, 0, 0], [0, 0, -1], [0, np.inf, 1]]])
    found = segment_cloud(raw)
    assert found[:-4].all() and not found[-4:].any()


def boxes(*offsets, z=1.0):
    """Small squares (30 pixels) in front of nothing, at offsets (x, y) from the image's centre."""
    depth = np.zeros((240, 320), np.float32)
    for x, y in offsets:
        depth[105 + y:135 + y, 145 + x:175 + x] = z
    return depth


@pytest.mark.parametrize(('near', 'far'), [((20, 0), (-100, 0)), ((-20, 0), (100, 0)),
                                           ((0, 20), (0, -80)), ((0, -20), (0, 80))])
def test_of_two_clusters_of_one_size_the_one_nearer_to_the_centre_is_the_object(near, far):
    mask = segment_object(boxes(near, far), CAMERA)
    np.testing.assert_array_equal(mask, boxes(near) > 0)


def test_the_centre_of_a_cloud_is_that_of_its_rectangle():
    """A square that is too small to be an object widens the rectangle to the right."""
    depth = boxes((20, 0), (-100, 0))
    depth[115:125, 280:290] = 1.0
    points = backproject(depth, CAMERA)
    np.testing.assert_array_equal(segment_cloud(points), abs(points[:, 0] - 20 / 300) < 0.06)
    np.testing.assert_array_equal(segment_cloud(points * [-1, 1, 1]),
                                  abs(points[:, 0] - 20 / 300) < 0.06)


def test_the_size_of_an_object_does_not_depend_on_its_place():
    for place in ((0, 0), (-100, -70), (100, 70)):
        assert segment_object(boxes(place, z=2.0), CAMERA).sum() >= 899


def test_clusters_that_touch_in_the_image_are_one_object_up_to_a_depth_jump():
    def size(jump):
        depth = np.zeros((240, 320), np.float32)
        depth[100:140, 130:160], depth[100:140, 160:190] = 1.0, 1.0 + jump
        return segment_object(depth, CAMERA).sum()

    assert size(0.24) > 2390 and size(0.26) <= 1200


def test_clusters_are_joined_by_eight_pairs_of_neighbouring_pixels():
    """The uppermost of the pairs has the first point of the image."""
    def size(rows):
        depth = np.zeros((240, 320), np.float32)
        depth[101:140, 130:160] = depth[100, 159] = 1.0
        depth[100:100 + rows, 160:200] = 1.2
        return segment_object(depth, CAMERA).sum()

    assert size(8) == 39 * 30 + 1 + 8 * 40
    assert size(7) == 39 * 30 + 1


def test_clusters_that_touch_no_other_stay_apart():
    """Of three, from left to right, the second and the third touch."""
    depth = boxes((-100, 0))
    depth[100:140, 130:160], depth[100:140, 160:190] = 1.0, 1.2
    mask = segment_object(depth, CAMERA)
    assert not mask[:, :130].any() and (mask == (depth > 0))[:, 130:].mean() > 0.999


def cells(counts):
    """A cloud at 1 m, on cells of 2 cm: counts (H, W) points in each, at its middle."""
    y, x = np.nonzero(counts)
    middle = np.stack([0.02 * x + 0.01, 0.02 * y + 0.01, np.full(len(x), 1.01)], axis=-1)
    return np.repeat(middle, counts[y, x], axis=0)


def test_cells_of_a_sparse_cloud_need_two_points_and_of_a_dense_one_three():
    """Dense is more than ten points a cell on average."""
    counts = np.full((15, 15), 2)
    counts[0] = 1
    np.testing.assert_array_equal(segment_cloud(cells(counts)), cells(counts)[:, 1] > 0.02)
    counts = np.full((15, 15), 16)
    counts[0], counts[-1] = 2, 3
    np.testing.assert_array_equal(segment_cloud(cells(counts)), cells(counts)[:, 1] > 0.02)


def test_objects_that_are_too_large_are_none():
    with pytest.raises(NoEstimate, match='at most 3'):
        segment_object(np.pad(np.full((200, 280), 4.0, np.float32), 20), CAMERA)
    depth = np.zeros((240, 320), np.float32)
    depth[110:122, 100:112] = depth[110:122, 200:212] = 1.0
    with pytest.raises(NoEstimate, match='no cluster of at least 200 points'):
        segment_object(depth, CAMERA)


@pytest.mark.parametrize(('x', 'y'), [(1, 0), (-1, 0), (0, 1), (0, -1)])
@pytest.mark.parametrize(('gap', 'support'), [(0.075, True), (0.05, False)])
def test_a_support_surrounds_what_stands_on_it_with_a_margin(x, y, gap, support):
    """A block of 10 cm on a panel that ends ``gap`` from its middle, on one side.

    The box of the block's inner 90 % and a margin of 15 % of it reaches 58.5 mm from the middle.
    """
    depth = np.zeros((240, 320), np.float32)
    depth[60:180, 70:250] = 1.0  # 0.6 m by 0.4 m, centred.
    u = round(159.5 + 300 / 0.9 * x * (0.3 - gap))
    v = round(119.5 + 300 / 0.9 * y * (0.2 - gap))
    block = np.zeros_like(depth, bool)
    block[v - 16:v + 17, u - 16:u + 17] = True
    depth[block] = 0.9
    np.testing.assert_array_equal(segment_object(depth, CAMERA), block if support else depth > 0)


@pytest.mark.parametrize('x', [-1, 1])
@pytest.mark.parametrize('y', [-1, 1])
def test_a_support_surrounds_what_stands_in_any_quarter_of_it(x, y):
    depth = np.zeros((240, 320), np.float32)
    depth[95:145, 122:197] = 1.0
    block = np.zeros_like(depth, bool)
    block[112 + 11 * y:127 + 11 * y, 152 + 18 * x:167 + 18 * x] = True
    depth[block] = 0.97
    mask = segment_object(depth, CAMERA)
    assert not mask[~block].any() and mask[block].mean() > 0.98


@pytest.mark.parametrize('x', [-1, 1])
@pytest.mark.parametrize('y', [-1, 1])
def test_a_support_reaches_three_corners_of_the_box_around_what_stands_on_it(x, y):
    """The corners are 58 mm from the middle, so the panel's cut leaves out one of them."""
    v, u = np.indices((240, 320))
    panel = (abs(v - 119.5) < 60) & (abs(u - 159.5) < 90) & (x * (u - 159.5) + y * (v - 119.5)
                                                             < 0.1 * 300)
    block = (abs(v - 119.5) < 16) & (abs(u - 159.5) < 16)
    mask = segment_object(np.where(block, 0.9, panel).astype(np.float32), CAMERA)
    np.testing.assert_array_equal(mask, block)


def test_an_object_may_be_as_large_as_the_limit():
    points = backproject(boxes((0, 0)), CAMERA).astype(np.float32)
    low, high = np.percentile(points, (2, 98), axis=0)
    size = (high - low).max()
    assert segment_cloud(points, InstanceConfig(max_size=size)).all()
    with pytest.raises(NoEstimate, match='no cluster'):
        segment_cloud(points, InstanceConfig(max_size=np.nextafter(size, 0)))


def test_a_support_has_at_least_its_share_of_the_points():
    """3525 of 3750 are 94 %."""
    depth = np.zeros((240, 320), np.float32)
    depth[95:145, 122:197] = 1.0
    depth[112:127, 152:167] = 0.97
    for share, support in ((0.94, True), (0.9401, False)):
        mask = segment_object(depth, CAMERA, InstanceConfig(plane_share=share))
        assert (mask.sum() < 300) == support


def test_the_smallest_object_has_two_hundred_points():
    depth = np.zeros((240, 320), np.float32)
    depth[110:120, 150:170] = 1.0
    assert segment_object(depth, CAMERA).sum() == 200
    points = backproject(depth, CAMERA)
    assert segment_cloud(points).all()
    with pytest.raises(NoEstimate, match='199 finite points'):
        segment_cloud(points[1:])
