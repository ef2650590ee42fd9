"""Supports, walls, neighbours, built-in furniture and hands around objects."""

import math

import pytest
import torch

from kinediff3d_core.data.samples import view_rays
from kinediff3d_core.geometry.rigid import invert_transform, transform_points
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families import sample_instances
from kinediff3d_core.simulation.mask_errors import OCCLUDER
from kinediff3d_core.simulation.render import trace
from kinediff3d_core.simulation.surroundings import (
    NO_SURROUNDINGS,
    Surroundings,
    add_surroundings,
    situation,
)
from kinediff3d_core.simulation.views import (
    TRAIN_VIEWS,
    ViewRange,
    box_corners,
    pose_objects,
    posed_corners,
)

ALONE = {'support': 0.0, 'wall': 0.0, 'neighbour': 0.0, 'built_in': 0.0, 'hand': 0.0}


def views(category, n=8, ranges=TRAIN_VIEWS):
    """Rays, exact images and the situation of n objects."""
    objects = sample_instances(category, n, torch.Generator().manual_seed(2))
    posed = pose_objects(objects, torch.Generator().manual_seed(3), ranges)
    corners = posed_corners(objects, posed.q, posed.T_camera_base)
    rays = view_rays(corners, 48)
    images = trace(objects, objects.part_poses(posed.q, posed.T_camera_base), rays)
    where = situation(posed.T_camera_base, posed.R_ground_base, corners,
                      box_corners(objects.bounds[:, 0]), objects.category.azimuth)
    return rays, images, where


def around(rays, images, where, **model):
    return add_surroundings(*images, rays, where, torch.Generator().manual_seed(4),
                            Surroundings(**{**ALONE, **model}))


def test_an_object_alone_stays_alone():
    rays, images, where = views('box', 4)
    for out, before in zip(add_surroundings(*images, rays, where, torch.Generator(),
                                            NO_SURROUNDINGS), images, strict=True):
        assert torch.equal(out, before)


def test_a_support_is_level_and_under_the_object_whatever_pose_it_rests_in():
    rays, images, where = views('stapler', 16)
    depth, part = around(rays, images, where, support=1.0)
    points = transform_points(invert_transform(where.T_camera_ground), rays * depth[..., None])
    new = (images[1] < 0) & (depth > 0)
    height = points[..., 2] - where.low[:, None, 2]
    top = new & (height > -1e-3)
    assert new.any(1).float().mean() > 0.9
    assert height[new].max() < 1e-4 and top.sum() > 0.8 * new.sum()
    assert (part[new] == -1).all()
    assert torch.equal(part[~new], images[1][~new]), 'it hides nothing that stands on it'


def test_only_the_front_of_built_in_furniture_is_seen():
    """Straight from the front most of the object is seen, and what is beside it is as near."""
    front = ViewRange((math.radians(5), math.radians(12)), 0.0, (1.3, 1.6), closed=1.0,
                      facing=1.0)
    rays, images, where = views('dishwasher', 8, front)
    depth, part = around(rays, images, where, built_in=1.0, built_in_side=1.0)
    seen = ((part >= 0).sum(1) / (images[1] >= 0).sum(1))
    assert seen.min() > 0.6
    new = (part < 0) & (depth > 0)
    x = transform_points(invert_transform(where.T_camera_ground), rays * depth[..., None])[..., 0]
    for row in range(8):
        gap = x[row][new[row]].max() - where.base[row, 1, 0]
        assert abs(gap) < 0.08
    side = ViewRange((math.radians(30), math.radians(31)), 0.0, (1.3, 1.6), closed=1.0)
    rays, images, where = views('dishwasher', 8, side)
    _, part = around(rays, images, where, built_in=1.0, built_in_side=1.0)
    visible = part >= 0
    points = transform_points(invert_transform(where.T_camera_ground),
                              rays * images[0][..., None])
    behind = points[..., 0] < where.base[:, 1, 0, None] - 0.1
    assert (visible & behind).sum() < 0.05 * visible.sum(), 'sides and top are hidden'


def test_things_that_are_not_against_walls_are_never_built_in():
    rays, images, where = views('box', 8)
    depth, _ = around(rays, images, where, built_in=1.0)
    assert torch.equal(depth, images[0])
    assert not where.stands_against_walls and get_category('drawer').azimuth < math.pi / 2


def test_a_neighbour_never_stands_in_the_object():
    rays, images, where = views('laptop', 16)
    depth, part = around(rays, images, where, neighbour=1.0)
    new = (part < 0) & (depth > 0)
    assert new.any(1).float().mean() > 0.6
    points = transform_points(invert_transform(where.T_camera_ground), rays * depth[..., None])
    low, high = where.low[:, None] + 1e-4, where.high[:, None] - 1e-4
    inside = ((points > low) & (points < high)).all(-1)
    assert not (inside & new).any()


@pytest.mark.parametrize('share', [1.0, 0.3])
def test_a_hand_is_before_the_object_and_marked(share):
    rays, images, where = views('box', 40)
    depth, part = around(rays, images, where, hand=share)
    hand = part == OCCLUDER
    assert abs(hand.any(1).float().mean() - share) < 0.2
    hides = hand & (images[1] >= 0)
    assert (depth[hides] < images[0][hides]).all()
    assert hides.any(1).sum() > 0.8 * hand.any(1).sum()
    assert torch.equal(depth[~hand], images[0][~hand])
