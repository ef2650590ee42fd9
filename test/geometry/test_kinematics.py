"""Kinematic trees by their laws, in float64: pivots, chains, branches, derivatives."""

import math

import numpy as np
import pytest
import torch
from transforms import normal, random_transforms

from kinediff3d_core.geometry.kinematics import (
    Joint,
    forward_kinematics,
    joint_transform,
    joint_units,
    kinematic_tree,
    poses_in_base,
)
from kinediff3d_core.geometry.rigid import (
    invert_transform,
    make_transform,
    rotation_from_vector,
    transform_points,
)


def joint(kind, parent, child):
    return Joint(f'j{child}', kind, parent, child, (0, 0, 1), -3, 3)


TREES = {
    'one revolute joint': (joint('revolute', 0, 1),),
    'prismatic joints on the base': (joint('prismatic', 0, 1), joint('prismatic', 0, 2)),
    'both kinds on the base': (joint('revolute', 0, 1), joint('prismatic', 0, 2)),
    'chain': (joint('revolute', 0, 1), joint('prismatic', 1, 2), joint('revolute', 2, 3)),
    'branches': (joint('revolute', 0, 1), joint('revolute', 1, 2), joint('prismatic', 1, 3),
                 joint('revolute', 0, 4)),
}


def state(joints, *batch, seed=0):
    """Base pose, positions, origins and unit axes."""
    J = len(joints)
    axis = torch.nn.functional.normalize(normal(*batch, J, 3, seed=seed + 1), dim=-1)
    return (random_transforms(*batch, seed=seed), normal(*batch, J, seed=seed + 2),
            normal(*batch, J, 3, seed=seed + 3), axis)


def test_revolute_joint_is_the_pivot_formula():
    """Child poses are T_camera_base @ [R(d, q), l - R(d, q) l] for points of the base frame."""
    lid = Joint('j', 'revolute', 0, 1, (0.0, -1.0, 0.0), 0.0, 2.0)
    T = random_transforms(1)
    q = torch.tensor([[0.7]], dtype=torch.float64)
    pivot = torch.tensor([[[-0.1, 0.02, 0.03]]], dtype=torch.float64)
    d = torch.tensor([[[0.0, -1.0, 0.0]]], dtype=torch.float64)
    child = forward_kinematics((lid,), T, q, pivot, d)[:, 1]
    p_closed = normal(1, 9, 3)  # Points of the child in the base frame at q = 0.
    R = joint_transform('revolute', d[:, 0], q[:, 0])[:, :3, :3]
    offset = pivot[:, 0] - (R @ pivot[:, 0, :, None])[..., 0]
    moved = (p_closed @ R.transpose(1, 2)) + offset[:, None]
    torch.testing.assert_close(transform_points(child, p_closed - pivot[:, 0]),
                               transform_points(T, moved))


def test_positive_lid_rotation_opens_upwards():
    lid = Joint('lid', 'revolute', 0, 1, (0.0, -1.0, 0.0), 0.0, 3.0)
    poses = forward_kinematics((lid,), torch.eye(4)[None], torch.tensor([[math.pi / 2]]),
                               torch.zeros(1, 1, 3), torch.tensor([[[0.0, -1.0, 0.0]]]))
    front_edge = transform_points(poses[:, 1], torch.tensor([[[0.2, 0.0, 0.0]]]))
    torch.testing.assert_close(front_edge, torch.tensor([[[0.0, 0.0, 0.2]]]), atol=1e-6, rtol=0)


def test_revolute_motion_is_the_exponential_and_axes_need_no_unit_length():
    axis, q = normal(4, 3), normal(4, seed=1)
    T = joint_transform('revolute', axis, q)
    unit = torch.nn.functional.normalize(axis, dim=-1)
    torch.testing.assert_close(T[:, :3, :3], rotation_from_vector(unit * q[:, None]))
    assert (T[:, :3, 3] == 0).all()
    slide = joint_transform('prismatic', axis, q)
    torch.testing.assert_close(slide[:, :3, 3], unit * q[:, None])
    torch.testing.assert_close(slide[:, :3, :3], torch.eye(3, dtype=torch.float64).expand(4, 3, 3))


@pytest.mark.parametrize('name', TREES)
@pytest.mark.parametrize('batch', [(), (2, 3)])
def test_a_child_is_its_parent_at_the_pivot_times_the_joints_motion(name, batch):
    joints = TREES[name]
    T, q, origin, axis = state(joints, *batch)
    poses = forward_kinematics(joints, T, q, origin, axis)
    assert poses.shape == (*batch, len(joints) + 1, 4, 4)
    torch.testing.assert_close(poses[..., 0, :, :], T)
    for i, j in enumerate(joints):
        relative = invert_transform(poses[..., j.parent, :, :]) @ poses[..., j.child, :, :]
        motion = joint_transform(j.joint_type, axis[..., i, :], q[..., i])
        torch.testing.assert_close(relative[..., :3, :3], motion[..., :3, :3])
        torch.testing.assert_close(relative[..., :3, 3], origin[..., i, :] + motion[..., :3, 3])


def test_an_object_without_joints_is_its_base():
    T = random_transforms(2)
    none = torch.zeros(2, 0, dtype=torch.float64)
    poses = forward_kinematics((), T, none, none.view(2, 0, 3), none.view(2, 0, 3))
    torch.testing.assert_close(poses, T[:, None])
    np.testing.assert_array_equal(poses_in_base((), np.zeros(0), np.zeros((0, 3)),
                                                np.zeros((0, 3))), np.eye(4)[None])


def test_poses_in_the_base_are_those_of_forward_kinematics():
    joints = TREES['branches']
    T, q, origin, axis = state(joints)
    found = poses_in_base(joints, q.numpy(), origin.numpy(), axis.numpy())
    assert found.dtype == np.float64
    want = invert_transform(T) @ forward_kinematics(joints, T, q, origin, axis)
    np.testing.assert_allclose(found, want.numpy(), atol=1e-12)


def test_tree_of_branches():
    tree = kinematic_tree(TREES['branches'], torch.device('cpu'))
    assert tree.parents.tolist() == [0, 1, 1, 0] and tree.children.tolist() == [1, 2, 3, 4]
    assert tree.revolute.tolist() == [[True], [True], [False], [True]]
    assert tree.carried.tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0],
                                     [0, 0, 0, 1]]
    assert kinematic_tree(TREES['prismatic joints on the base'],
                          torch.device('cpu')).revolute is None


@pytest.mark.parametrize('name', TREES)
def test_motion_jacobian_is_that_of_autograd(name):
    """Of a linear function of points carried by every part, at two states at once."""
    joints = TREES[name]
    T, q, origin, axis = state(joints, 2)
    K, centre = len(joints) + 1, normal(3, seed=20)
    local, gradient = normal(2, 3 * K, 3, seed=21), normal(2, 3 * K, 3, seed=22)
    part = torch.arange(K).repeat(3).expand(2, -1)

    def value(step):
        """Values (N) at the first or second state (H) after a step (6 + J)."""
        R = rotation_from_vector(step[:, 3:6])
        t = step[:, :3] + centre - (R @ centre[:, None])[..., 0]
        poses = forward_kinematics(joints, make_transform(R, t) @ T, q + step[:, 6:], origin, axis)
        rows = torch.arange(2)[:, None]
        points = transform_points(poses[rows, part], local[:, :, None])[:, :, 0]
        return (points * gradient).sum(-1)

    zero = torch.zeros(2, 6 + len(joints), dtype=torch.float64)
    J = torch.autograd.functional.jacobian(value, zero)
    want = torch.stack([J[h, :, h] for h in range(2)])
    poses = forward_kinematics(joints, T, q, origin, axis)
    points = transform_points(poses[torch.arange(2)[:, None], part], local[:, :, None])[:, :, 0]
    found = kinematic_tree(joints, points.device).motion_jacobian(
        poses, axis, centre, points, gradient, part)
    torch.testing.assert_close(found, want.to(found), atol=1e-9, rtol=1e-9)


def test_units_of_joint_positions():
    units = joint_units(TREES['both kinds on the base'], 0.25)
    assert units.tolist() == [1.0, 0.25]


def test_joints_name_what_is_wrong():
    with pytest.raises(ValueError, match="'screw'"):
        Joint('j', 'screw', 0, 1, (0, 0, 1), 0, 1)
    for parent in (1, 2):
        with pytest.raises(ValueError, match='before its child'):
            Joint('j', 'revolute', parent, 1, (0, 0, 1), 0, 1)
