"""Poses, transforms and joint states of estimates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from estimates import boxes_estimate, random_pose

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_ros.messages import poses

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')


@pytest.mark.parametrize('seed', range(5))
def test_pose_round_trip(seed: int) -> None:
    T = random_pose(seed)
    np.testing.assert_allclose(poses.matrix_from_pose(poses.pose_from_matrix(T)), T,
                               atol=1e-12)
    message = poses.transform_from_matrix(T, HEADER, 'laptop_base')
    assert (message.header, message.child_frame_id) == (HEADER, 'laptop_base')
    np.testing.assert_allclose(poses.matrix_from_transform(message), T, atol=1e-12)


def test_transforms_name_the_parts_under_the_camera() -> None:
    value = boxes_estimate()
    messages = poses.transforms(value, HEADER, 'kitchen_4')
    assert [m.child_frame_id for m in messages] == ['kitchen_4_base', 'kitchen_4_lid']
    assert all(m.header == HEADER for m in messages)
    for message, part in zip(messages, value.parts, strict=True):
        np.testing.assert_allclose(poses.matrix_from_transform(message),
                                   part.T_camera_part, atol=1e-9)
    root, = poses.transforms(value, HEADER, 'x', base_only=True)
    assert root.child_frame_id == 'x', 'the base part comes from robot_state_publisher'
    np.testing.assert_allclose(poses.matrix_from_transform(root), value.T_camera_base, atol=1e-9)


def test_joint_state_is_the_estimates() -> None:
    state = poses.joint_state(boxes_estimate(), HEADER, 'mine')
    assert (state.header, list(state.name)) == (HEADER, ['mine_lid_joint'])
    assert list(state.position) == [1.2]


def test_a_joint_that_is_not_present_has_no_state_and_no_transform() -> None:
    value = boxes_estimate(probability=0.2)
    assert not poses.joint_state(value, HEADER, 'a').name
    assert [m.child_frame_id for m in poses.transforms(value, HEADER, 'a')] == ['a_base']
    # A joint counts as present from a probability of one half on.
    assert list(poses.joint_state(boxes_estimate(0.5), HEADER, 'a').name) == [
        'a_lid_joint']
    assert not poses.joint_state(boxes_estimate(0.49), HEADER, 'a').name
    assert [p.name for p in poses.present_parts(boxes_estimate(0.5))] == ['base', 'lid']


def test_velocities_are_those_of_tracked_joints() -> None:
    value = boxes_estimate()
    assert not poses.joint_state(value, HEADER, 'a').velocity
    moving = dataclasses.replace(value, joints=(
        dataclasses.replace(value.joints[0], velocity=0.5),))
    assert list(poses.joint_state(moving, HEADER, 'a').velocity) == [0.5]
