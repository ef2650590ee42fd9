"""Messages for planners: axes, contacts, covariances, commanded positions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from estimates import laptop_estimate

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_core.inference.uncertainty import axis_covariances, part_covariances
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.messages import markers, planning
from kinediff3d_ros.messages.poses import matrix_from_pose

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')


def test_commanded_positions_must_fit_the_joints() -> None:
    value = laptop_estimate(1.0)
    command = JointState(name=['box_4_lid_joint'], position=[float('nan')])
    with pytest.raises(ValueError, match='limits'):
        planning.commanded_positions(value, command, 'box_4')
    assert planning.commanded_positions(value, JointState(), 'box_4') == pytest.approx([1.0])
    # Joints that the command does not name stay where they are; limits are inclusive.
    limits = value.joints[0]
    for position in (limits.lower, limits.upper, 0.5, limits.upper + 1e-7, limits.lower - 1e-7):
        named = JointState(name=['box_4_lid_joint'], position=[position])
        assert planning.commanded_positions(value, named, 'box_4') == pytest.approx([position])
    for bad in (limits.upper + 1e-5, limits.lower - 1e-5):
        with pytest.raises(ValueError, match='its limits are'):
            planning.commanded_positions(
                value, JointState(name=['box_4_lid_joint'], position=[bad]), 'box_4')
    for name in ('handle', 'lid_joint'):
        with pytest.raises(ValueError, match=f"names '{name}'; box_4 has box_4_lid_joint"):
            planning.commanded_positions(value, JointState(name=[name], position=[1.0]), 'box_4')
    with pytest.raises(ValueError, match='1 names and 0 positions'):
        planning.commanded_positions(value, JointState(name=['box_4_lid_joint']), 'box_4')


def test_axis_frames_have_x_along_the_axis_at_the_pivot() -> None:
    value = laptop_estimate(1.2)
    message = planning.joint_axes(value, HEADER)['lid_joint']
    T, base, joint = matrix_from_pose(message.pose), value.parts[0].T_camera_part, value.joints[0]
    assert message.header == HEADER
    np.testing.assert_allclose(T[:3, 0], base[:3, :3] @ joint.axis, atol=1e-9)
    np.testing.assert_allclose(T[:3, 3], base[:3, :3] @ joint.origin + base[:3, 3], atol=1e-9)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)


def test_part_poses_carry_their_covariances() -> None:
    value = laptop_estimate(1.2)
    messages = planning.part_poses(value, HEADER)
    assert list(messages) == ['base', 'lid']
    for part in value.parts:
        message = messages[part.name]
        np.testing.assert_allclose(matrix_from_pose(message.pose.pose), part.T_camera_part,
                                   atol=1e-9)
        np.testing.assert_array_equal(np.reshape(message.pose.covariance, (6, 6)),
                                      part_covariances(value)[part.name])
    state = planning.joint_standard_deviations(value, HEADER, 'mine')
    assert (list(state.name), list(state.position)) == (['mine_lid_joint'], [0.02])


def test_axes_carry_the_covariance_of_their_parent() -> None:
    value = laptop_estimate(1.2)
    message = planning.joint_axes_with_covariance(value, HEADER)['lid_joint']
    assert message.header == HEADER
    assert message.pose.pose == planning.joint_axes(value, HEADER)['lid_joint'].pose
    np.testing.assert_array_equal(np.reshape(message.pose.covariance, (6, 6)),
                                  axis_covariances(value)['lid_joint'])


def test_parts_that_are_not_present_have_no_messages() -> None:
    value = laptop_estimate(1.2)
    value = dataclasses.replace(value, joints=(
        dataclasses.replace(value.joints[0], probability=0.1),))
    assert list(planning.part_poses(value, HEADER)) == ['base']
    assert not planning.joint_axes(value, HEADER)
    assert not planning.joint_standard_deviations(value, HEADER, 'mine').name
    assert not planning.joint_axes_with_covariance(value, HEADER)


def test_the_ghost_is_the_object_at_other_positions() -> None:
    value, moved = laptop_estimate(1.0), laptop_estimate(2.0)
    meshes = markers.markers(value, HEADER.stamp, 'mine', 1000, 7.0).markers[:2]
    ghosts = planning.ghost(value, np.array([2.0]), meshes, 'mine')
    assert [(g.ns, g.id, g.header.frame_id) for g in ghosts] == [
        ('mine/ghost', 0, 'mine_base'), ('mine/ghost', 1, 'mine_base')]
    base, lid = (p.T_camera_part for p in moved.parts)
    for ghost, mesh, T in zip(ghosts, meshes, (np.eye(4), np.linalg.inv(base) @ lid), strict=True):
        np.testing.assert_allclose(matrix_from_pose(ghost.pose), T, atol=1e-9)
        assert ghost.points == mesh.points and ghost.color.a < 0.5 and ghost.frame_locked
        assert ghost.lifetime.sec == 7


def cabinet_with_the_right_door() -> ArticulatedEstimate:
    """An estimate has the parts that exist: it lacks the second of the category's three."""
    value = laptop_estimate(1.0)
    base, door = value.parts
    return dataclasses.replace(
        value, category='cabinet', parts=(base, dataclasses.replace(door, name='door_right')),
        joints=(dataclasses.replace(value.joints[0], name='door_right_joint',
                                    child='door_right'),))


def test_a_ghost_of_an_object_that_lacks_a_part_has_the_others() -> None:
    value = cabinet_with_the_right_door()
    meshes = markers.markers(value, HEADER.stamp, 'mine', 1000, 7.0).markers[:2]
    ghosts = planning.ghost(value, np.array([2.0]), meshes, 'mine')
    T = np.linalg.inv(value.parts[0].T_camera_part) @ laptop_estimate(2.0).parts[1].T_camera_part
    np.testing.assert_allclose(matrix_from_pose(ghosts[1].pose), T, atol=1e-9)
