"""Joint states and camera poses of views."""

import math
from dataclasses import replace

import pytest
import torch

from kinediff3d_core.geometry.rigid import invert_transform, transform_points
from kinediff3d_core.simulation.families import sample_instances
from kinediff3d_core.simulation.views import (
    TEST_VIEWS,
    TRAIN_VIEWS,
    box_corners,
    pose_objects,
    posed_corners,
    sample_views,
    state_range,
)


def test_views_follow_the_protocol():
    laptops = sample_instances('laptop', 300, torch.Generator().manual_seed(0))
    q, T = sample_views(laptops, torch.Generator().manual_seed(0))
    assert math.radians(10) <= q.min() and q.max() <= math.radians(130)
    camera = invert_transform(T)[:, :3, 3]
    elevation = torch.rad2deg(torch.asin(camera[:, 2] / camera.norm(dim=1)))
    assert 5 < elevation.min() and elevation.max() < 75  # about the base, not the bounding box
    assert torch.atan2(camera[:, 1], camera[:, 0]).abs().max() > 3.0


def test_training_views_contain_joints_at_their_limits_and_joints_that_are_equally_open():
    drawers = sample_instances('drawer', 400, torch.Generator().manual_seed(0))
    low, high = state_range(drawers, train=True)
    q, T = sample_views(drawers, torch.Generator().manual_seed(1), train=True)
    share = (q - low) / (high - low)
    at_limit = (share < 1e-5) | (share > 1 - 1e-5)
    assert 0.16 < at_limit.float().mean() < 0.3  # 1 - 1 / 1.2, and the closed ones
    closed = (share < 1e-5).all(1).float().mean()
    assert 0.06 < closed < 0.18  # 0.08, and some of the equal ones
    equal = (share - share[:, :1]).abs().amax(1) < 1e-5
    assert 0.2 < equal.float().mean() < 0.35
    assert (q >= low).all() and (q <= high).all()


@pytest.mark.parametrize('train', [False, True])
def test_distance_roll_and_aim_are_in_their_ranges(train):
    views = replace(TRAIN_VIEWS, resting=0.0, facing=0.0) if train else TEST_VIEWS
    boxes = sample_instances('box', 300, torch.Generator().manual_seed(0))
    posed = pose_objects(boxes, torch.Generator().manual_seed(1), views, train)
    q, T = posed.q, posed.T_camera_base
    corners = posed_corners(boxes, q, torch.eye(4).expand(300, 4, 4))
    low, high = corners.amin(1), corners.amax(1)
    diameter = (high - low).norm(dim=1)
    middle = transform_points(T, ((low + high) / 2)[:, None])[:, 0] / diameter[:, None]
    assert middle[:, :2].norm(dim=1).max() < 3 ** 0.5 * views.aim
    distance = middle[:, 2]
    assert views.distance[0] - 0.11 < distance.min() < views.distance[0] + 0.1
    assert views.distance[1] - 0.1 < distance.max() < views.distance[1] + 0.11
    # The base's z axis, seen in the image, is upright but for the roll.
    roll = torch.atan2(T[:, 0, 2], -T[:, 1, 2]).abs().max()
    assert 0.9 * views.roll < roll <= views.roll + 1e-4
    sine = -T[:, 2, 2]
    assert math.sin(views.elevation[0]) - 1e-5 <= sine.min() < math.sin(views.elevation[0]) + 0.1
    assert math.sin(views.elevation[1]) + 1e-5 >= sine.max() > math.sin(views.elevation[1]) - 0.05


def test_box_corners_are_all_combinations_of_the_limits():
    corners = box_corners(torch.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
    assert {tuple(c) for c in corners.tolist()} == {
        (x, y, z) for x in (0, 3) for y in (1, 4) for z in (2, 5)}


def test_objects_rest_in_other_poses_and_the_ground_is_below_the_camera():
    staplers = sample_instances('stapler', 400, torch.Generator().manual_seed(0))
    posed = pose_objects(staplers, torch.Generator().manual_seed(1),
                         replace(TRAIN_VIEWS, resting=0.5, facing=0.0))
    up = posed.R_ground_base[:, 2]
    assert abs((up[:, 2] > 0.99).float().mean() - 0.5) < 0.08
    back = -posed.T_camera_base[:, 2, :3]  # from the object to the camera, base frame
    elevation = torch.asin((up * back).sum(1))
    assert TRAIN_VIEWS.elevation[0] - 1e-4 < elevation.min() < elevation.max() < math.radians(85.1)
    assert (back[:, 2] < 0).float().mean() > 0.1, 'sometimes the plate is seen from below'


@pytest.mark.parametrize(('category', 'faces'), [('drawer', {0}), ('box', {0, 1, 2, 3, 4})])
def test_facing_views_look_at_one_side(category, faces):
    """Drawers from the front alone; boxes from four sides and from above."""
    objects = sample_instances(category, 300, torch.Generator().manual_seed(0))
    views = replace(TRAIN_VIEWS, resting=0.0, facing=1.0, aim=0.0)
    posed = pose_objects(objects, torch.Generator().manual_seed(1), views)
    z = -posed.T_camera_base[:, 2, :3]  # from the object to the camera, base frame
    sides = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0], [0, 0, 1]])
    cosine, side = (z @ sides.T).max(1)
    assert set(side.tolist()) == faces
    assert cosine.median() > math.cos(math.radians(20))
