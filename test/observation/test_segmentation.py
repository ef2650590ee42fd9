"""Finding objects that were put into the image."""

from dataclasses import replace

import numpy as np
import pytest
import tabletops
import torch
from tabletops import block, camera_above, draw, plate

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.instances import InstanceConfig
from kinediff3d_core.observation.segmentation import (
    cloud_candidates,
    segment_cloud,
    segment_instances,
    segment_object,
)
from kinediff3d_core.observation.supports import SupportConfig
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.primitives import Primitive
from kinediff3d_core.simulation.render import pixel_rays, render_depth
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor
from kinediff3d_core.simulation.views import sample_views

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)
TWO = ([-0.085, 0.0, [0.06, 0.06, 0.05]], [0.085, 0.0, [0.06, 0.06, 0.05]])
"""Two boxes, 5 cm apart."""


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


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def overlap(mask, part, noisy):
    return iou(mask, (part.numpy() >= 0) & (noisy > 0))


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


@pytest.mark.parametrize('name', ['dishwasher', 'drawer'])
def test_a_cabinet_in_front_of_nothing_stays_whole(name):
    """Handles and drawers stand out of its front, but the front is no support."""
    g = held_out_generator(3)
    instances = sample_instances(name, 6, g)
    q, T = sample_views(instances, g)
    depth, part = render_depth(instances, q, T, CAMERA)
    noisy, _ = apply_sensor(depth, part, g, SensorModel(occluded=0.0, hole_share=0.01))
    scores = [overlap(segment_object(d, CAMERA), p, d)
              for d, p in zip(noisy.numpy(), part, strict=True)]
    assert np.mean(scores) > 0.9, scores


def test_cloud_and_image_agree(views):
    noisy = on_table(views, 0.5)
    for d, p in zip(noisy[:4], views[4], strict=False):
        truth = p.numpy()[d > 0] >= 0
        points = backproject(d, CAMERA)
        keep = segment_cloud(points).ids == 1
        assert iou(keep, truth) > 0.85
        cloud = cloud_candidates(points)[0].cloud
        np.testing.assert_array_equal(cloud.points, points[keep])
        assert len(cloud.others) == -(-(~keep).sum() // 9)


def test_wall_behind_the_table(views):
    noisy = on_table(views, 0.5)
    depth = np.where(noisy > 0, noisy, 3.0)
    scores = [overlap(segment_object(d, CAMERA), p, d)
              for d, p in zip(depth, views[4], strict=True)]
    assert np.median(scores) > 0.95, scores


@pytest.mark.parametrize('margin', [0.05, 0.12])
def test_margins_without_depth_change_nothing_within(views, margin):
    """Registered depth has empty margins, so that no plane reaches the image's border."""
    noisy = on_table(views, 50.0)
    inner = np.zeros((240, 320), bool)
    rows, columns = int(240 * margin), int(320 * margin)
    inner[rows:-rows, columns:-columns] = True
    scores = [overlap(segment_object(np.where(inner, d, 0), CAMERA), p, np.where(inner, d, 0))
              for d, p in zip(noisy, views[4], strict=True)]
    assert np.median(scores) > 0.9, scores


def test_it_answers_the_same_twice(views):
    d = on_table(views, 0.5)[0]
    assert (segment_object(d, CAMERA) == segment_object(d, CAMERA)).all()


def test_a_mirrored_image_has_the_mirrored_instances(views):
    """Left and right are alike; up and down are not."""
    mirrored = replace(CAMERA, cx=319 - CAMERA.cx)
    for d in on_table(views, 0.5)[:4]:
        mask = segment_object(d, CAMERA)
        assert iou(segment_object(d[:, ::-1], mirrored)[:, ::-1], mask) > 0.95


@pytest.mark.parametrize('value', [0.0, np.nan, -1.0, np.inf])
def test_empty_images(value):
    with pytest.raises(NoEstimate, match='0 pixels have depth'):
        segment_object(np.full((240, 320), value, dtype=np.float32), CAMERA)


@pytest.mark.parametrize('elevation', [90, 45, 20])
def test_a_bare_plane_is_no_object(elevation):
    depth, _ = draw([plate(50.0, 50.0)], camera_above(elevation))
    with pytest.raises(NoEstimate, match='nothing .* stands out .* mask'):
        segment_object(depth, CAMERA)


def test_wrong_shapes():
    with pytest.raises(ValueError, match='320'):
        segment_object(np.ones((100, 100)), CAMERA)
    with pytest.raises(ValueError, match=r'\(N, 3\)'):
        segment_cloud(np.ones((100, 4)))
    with pytest.raises(NoEstimate):
        segment_cloud(np.zeros((0, 3)))


def test_invalid_points_belong_to_no_object():
    depth, _ = draw([plate(5.0, 5.0), block(*TWO[0])], camera_above())
    points = backproject(depth, CAMERA)
    raw = np.concatenate([points, [[np.nan, 0, 1], [0, 0, 0], [0, 0, -1], [0, np.inf, 1]]])
    found = segment_cloud(raw).ids
    np.testing.assert_array_equal(found[:-4], segment_cloud(points).ids)
    assert found.max() == 1 and not found[-4:].any()


# Several things on a table


@pytest.mark.parametrize('table', [0.35, 5.0])
def test_two_boxes_five_centimetres_apart_are_two(table):
    depth, index = draw([plate(table, table), block(*TWO[0]), block(*TWO[1])], camera_above())
    found = segment_instances(depth, CAMERA)
    assert len(found) == 2
    for k in (1, 2):
        assert max(iou(found.ids == k, index == i) for i in (1, 2)) > 0.9


def test_boxes_that_meet_only_in_their_fringes_are_two():
    """Stereo cameras smear depth between things that are near to each other."""
    depth, index = draw([plate(5.0, 5.0), block(*TWO[0]), block(*TWO[1]),
                         block(0.0, 0.0, [0.04, 0.05, 0.003])], camera_above())
    ids = segment_instances(depth, CAMERA).ids
    left, right = (np.bincount(ids[index == i]).argmax() for i in (1, 2))
    assert left and right and left != right
    joined = InstanceConfig(core=np.inf, core_height=np.inf)
    ids = segment_instances(depth, CAMERA, joined).ids
    assert np.bincount(ids[index == 1]).argmax() == np.bincount(ids[index == 2]).argmax()


@pytest.mark.parametrize('elevation', [30, 45, 60])
def test_a_table_inside_the_picture_is_removed(elevation):
    depth, index = draw([plate(0.3, 0.2), block(0.05, 0.0, [0.05, 0.05, 0.04])],
                        camera_above(elevation))
    mask = segment_object(depth, CAMERA)
    assert iou(mask, index == 1) > 0.93
    assert not mask[index == 0][::7].mean() > 0.01


def test_a_table_on_a_floor_carries_objects_and_is_none():
    """Its legs and edges are its body."""
    things = [plate(5.0, 5.0, -0.6), plate(0.4, 0.3), block(-0.3, -0.2, [0.02, 0.02, 0.3], -0.32),
              block(0.1, 0.0, [0.05, 0.05, 0.05]), block(-0.15, 0.05, [0.05, 0.05, 0.02])]
    depth, index = draw(things, camera_above(40, 1.2))
    found = segment_instances(depth, CAMERA)
    assert len(found) == 2
    for i in (3, 4):
        assert max(iou(found.ids == k, index == i) for k in (1, 2)) > 0.9


def test_the_front_of_a_cabinet_is_no_support():
    """It is long, and handles stand out of it on all sides."""
    things = [plate(5.0, 5.0), block(0.0, 3.0, [5.0, 0.1, 3.0]),
              block(0.0, 0.3, [0.35, 0.3, 0.35])]
    handles = [block(x, -0.02, [0.06, 0.03, 0.02], z) for x in (-0.2, 0.2) for z in (0.2, 0.6)]
    depth, index = draw([*things, *handles], camera_above(20, 2.5))
    assert iou(segment_object(depth, CAMERA), index >= 2) > 0.9
    with pytest.raises(NoEstimate):
        segment_object(depth, CAMERA, InstanceConfig(support=SupportConfig(upright=-1.0)))


def test_scores_fall_and_name_the_ids():
    depth, _ = draw([plate(5.0, 5.0), block(0.0, 0.0, [0.08, 0.08, 0.05]),
                     block(0.25, 0.1, [0.04, 0.04, 0.04]), block(-0.3, 0.1, [0.02, 0.02, 0.05])],
                    camera_above())
    found = segment_instances(depth, CAMERA)
    assert len(found) == 3 == found.ids.max()
    assert (np.diff(found.scores) < 0).all() and (found.scores > 0).all()
    assert (segment_object(depth, CAMERA) == (found.ids == 1)).all()


def test_an_arm_is_told_apart_from_what_it_touches():
    """It reaches in from the border, over the top of a box, which it holds."""
    centres = torch.stack([torch.linspace(0.1, 1.0, 80), torch.zeros(80),
                           torch.full((80,), 0.175)], dim=-1)
    arm = Primitive(torch.eye(4), None, centres, torch.full((80,), 0.035))
    depth, index = draw([plate(5.0, 5.0), block(0.0, 0.0, [0.12, 0.12, 0.1]), arm],
                        camera_above(60))
    assert iou(segment_object(depth, CAMERA), index == 1) > 0.9
    together = segment_object(depth, CAMERA, InstanceConfig(arm=None))
    assert (together & (index == 2)).sum() > 0.8 * (index == 2).sum()


def test_the_size_of_the_image_changes_little():
    """At four times the pixels the same scene has the same instances."""
    things = [plate(5.0, 5.0), block(0.0, 0.0, [0.08, 0.08, 0.05]),
              block(0.3, 0.1, [0.05, 0.05, 0.04])]
    small, _ = draw(things, camera_above())
    large = np.repeat(np.repeat(small, 2, 0), 2, 1)
    camera = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
    found = segment_instances(large, camera)
    assert len(found) == 2
    expected = segment_instances(small, tabletops.CAMERA).ids
    assert iou(found.ids[::2, ::2] > 0, expected > 0) > 0.95


# Things in front of nothing

def squares(*offsets, z=1.0):
    """Small squares (30 pixels) in front of nothing, at offsets (x, y) from the image's centre."""
    depth = np.zeros((240, 320), np.float32)
    for x, y in offsets:
        depth[105 + y:135 + y, 145 + x:175 + x] = z
    return depth


@pytest.mark.parametrize(('near', 'far'), [((20, 0), (-100, 0)), ((-20, 0), (100, 0)),
                                           ((0, 20), (0, -80)), ((0, -20), (0, 80))])
def test_of_two_things_of_one_size_the_one_nearer_to_the_centre_is_the_object(near, far):
    mask = segment_object(squares(near, far), CAMERA)
    np.testing.assert_array_equal(mask, squares(near) > 0)


def test_the_size_of_an_object_does_not_depend_on_its_place():
    for place in ((0, 0), (-100, -70), (100, 70)):
        assert segment_object(squares(place, z=2.0), CAMERA).sum() == 900


def test_things_that_touch_in_the_image_are_one_up_to_a_depth_jump():
    def count(jump):
        depth = np.zeros((240, 320), np.float32)
        depth[100:140, 130:160], depth[100:140, 160:190] = 1.0, 1.0 + jump
        return len(segment_instances(depth, CAMERA))

    assert count(0.24) == 1 and count(0.26) == 2


@pytest.mark.parametrize(('gap', 'count'), [(0.015, 1), (0.03, 2)])
def test_gaps_of_two_centimetres_are_bridged(gap, count):
    """A dark frame around a screen returns no depth."""
    depth = np.zeros((240, 320), np.float32)
    depth[100:140, 130:160] = 1.0
    depth[100:140, 160 + round(300 * gap):200] = 1.0
    assert len(segment_instances(depth, CAMERA)) == count


def test_objects_that_are_too_large_are_none():
    depth = squares((0, 0))
    extent = 30 / 300 * 0.96
    assert segment_object(depth, CAMERA, InstanceConfig(max_size=1.05 * extent)).any()
    with pytest.raises(NoEstimate, match='at most 0.09'):
        segment_object(depth, CAMERA, InstanceConfig(max_size=0.09))


def test_the_smallest_object_has_two_hundred_points():
    depth = np.zeros((240, 320), np.float32)
    depth[110:120, 150:170] = 1.0
    assert segment_object(depth, CAMERA).sum() == 200
    depth[110, 150] = 0
    with pytest.raises(NoEstimate, match='199 pixels have depth'):
        segment_object(depth, CAMERA)
    depth[10:20, 10:25] = 1.0
    with pytest.raises(NoEstimate, match='nothing of at least 200 pixels'):
        segment_object(depth, CAMERA)
