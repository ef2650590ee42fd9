from dataclasses import replace

import numpy as np
import pytest
from estimates import random_pose
from stated_models import corners, object_of, state
from truths import rotation

from kinediff3d_core.data.datasets.canonical import (
    RULES,
    SNAP_DEG,
    StatedJoint,
    StatedModel,
    canonical_model,
    rigid_and_scale,
)
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import CATEGORIES, get_category

Y_UP = np.array([[0.0, 1, 0, 0.3], [0, 0, 1, 0.1], [1, 0, 0, -0.2], [0, 0, 0, 1]])
"""A frame T_model_base with y up and z to the front."""


def assert_same(found, truth, tolerance=1e-4):
    assert found.part_names == truth.part_names
    assert found.joint_names == truth.joint_names
    assert found.children == truth.children
    for name in ('T_camera_part', 'positions', 'origin', 'axis', 'centres'):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), atol=tolerance,
                                   err_msg=name)


def test_every_category_has_a_rule():
    assert set(RULES) == set(CATEGORIES)


@pytest.mark.parametrize('category', CATEGORIES)
def test_procedural_objects_in_any_frame_are_read_back(category):
    for seed in range(6):
        stated = state(object_of(category, seed), seed, frame=Y_UP if seed % 2 else None)
        found = canonical_model(stated.model).truth(stated.T_camera_model, stated.scale)
        assert_same(found, stated.truth)


@pytest.mark.parametrize('category', ['laptop', 'drawer', 'cutter'])
def test_limits_are_those_of_the_object(category):
    one = object_of(category, 3)
    stated = state(one, 3, scale=1.0)
    joints = canonical_model(stated.model).joints
    np.testing.assert_allclose([j.upper for j in joints], one.upper[0, :len(joints)], atol=1e-5)
    np.testing.assert_allclose([j.lower for j in joints], one.lower[0, :len(joints)], atol=1e-5)


@pytest.mark.parametrize('category', CATEGORIES)
def test_boxes_are_enough_in_a_frame_along_their_sides(category):
    one = object_of(category, 7)
    stated = state(one, 7, frame=Y_UP, scale=1.0)
    bounds = one.bounds[0].double().numpy()
    # At the data set's zero, box corners of the moving parts are not along the model's axes.
    points = [transform_points(Y_UP, corners(bounds[0]))]
    points += [p if category == 'scissors' else p[:8] for p in stated.model.points[1:]]
    found = canonical_model(replace(stated.model, points=tuple(points)))
    assert_same(found.truth(stated.T_camera_model), stated.truth)


def hinged_boxes(tilt_deg):
    """A box with a lid at the data set's zero of 180 degrees; the joint's axis is tilted."""
    base = np.array([[-0.04, -0.11, -0.015], [0.04, 0.11, 0.019]])
    lid = np.array([[-0.12, -0.11, 0.005], [-0.04, 0.11, 0.019]])
    axis = rotation((0, 0, 1), np.radians(tilt_deg))[:3, :3] @ np.array([0, -1.0, 0])
    joint = StatedJoint(1, 'revolute', axis, np.array([-0.04, 0.05, 0.012]), -np.pi, -np.pi, 0.2)
    return StatedModel(get_category('box'), (corners(base), corners(lid)), (joint,))


def test_a_joint_that_is_a_little_off_does_not_turn_the_model():
    found = canonical_model(hinged_boxes(0.8 * SNAP_DEG))
    np.testing.assert_allclose(found.T_model_part[0, :3, :3], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found.T_model_part[0, :3, 3], (0, 0, 0.002), atol=1e-12)
    assert np.degrees(np.arccos(found.joints[0].axis @ np.array([0, -1, 0]))) == pytest.approx(
        0.8 * SNAP_DEG)
    np.testing.assert_allclose(found.origin[0, 2], 0.010, atol=1e-12)
    turned = canonical_model(hinged_boxes(1.5 * SNAP_DEG))
    assert abs(turned.T_model_part[0, 0, 1]) > 0.1


@pytest.mark.parametrize(('shear', 'turned'), [(0.05, False), (0.3, True)])
def test_a_base_that_is_a_little_sheared_does_not_turn_the_model(shear, turned):
    model = hinged_boxes(0.0)
    base = model.points[0].copy()
    base[:, 2] += shear * base[:, 0]
    found = canonical_model(replace(model, points=(base, model.points[1])))
    assert (np.abs(found.T_model_part[0, :3, :3] - np.eye(3)).max() > 0.1) == turned


def test_the_zero_of_a_data_set_is_read_from_the_poses():
    found = canonical_model(hinged_boxes(0.0))
    T = random_pose(1)
    truth = found.truth(np.stack([T, T]))  # The lid as stored lies flat open.
    np.testing.assert_allclose(truth.positions, [np.pi], atol=1e-9)
    assert found.joints[0].upper == pytest.approx(np.pi + 0.2)


def test_a_pose_that_the_joint_does_not_explain_is_refused():
    found = canonical_model(hinged_boxes(0.0))
    with pytest.raises(ValueError, match=r'lid_joint does not explain .* 10\.0° and 0 mm'):
        about = rotation((1, 0, 0), np.radians(10))
        pivot = np.array([-0.04, 0.0, 0.012])
        about[:3, 3] = pivot - about[:3, :3] @ pivot
        found.truth(np.stack([np.eye(4), about]))
    shifted = np.eye(4)
    shifted[2, 3] = 0.05
    with pytest.raises(ValueError, match=r'0\.0° and 50 mm are left'):
        found.truth(np.stack([np.eye(4), shifted]))


def test_scale_is_split_off():
    T = random_pose(2)
    scaled = T.copy()
    scaled[:3, :3] *= 0.8
    rigid, scale = rigid_and_scale(scaled)
    np.testing.assert_allclose(rigid, T, atol=1e-12)
    assert scale == pytest.approx(0.8)


@pytest.mark.parametrize(('diagonal', 'reason'), [
    ((1, 1, 1.03), 'no uniform scale'), ((1, 1, 0), 'no uniform scale'), ((1, 1, -1), 'mirrors'),
    ((1, 1, np.nan), 'not finite')])
def test_poses_that_are_none_are_refused(diagonal, reason):
    with pytest.raises(ValueError, match=reason):
        rigid_and_scale(np.diag([*diagonal, 1.0]))


def test_models_without_what_their_rule_needs_are_refused():
    drawer = state(object_of('drawer', 1), 1).model
    with pytest.raises(ValueError, match='no upward direction'):
        canonical_model(replace(drawer, up=None))
    with pytest.raises(ValueError, match='parallel'):
        canonical_model(replace(drawer, up=np.asarray(drawer.joints[0].axis)))
    with pytest.raises(ValueError, match='no rule for the canonical axes of a globe'):
        canonical_model(replace(drawer, category=replace(drawer.category, name='globe')))
    with pytest.raises(ValueError, match='movable joints'):
        canonical_model(replace(drawer, category=get_category('cutter'),
                                joints=drawer.joints * 2, points=drawer.points))
