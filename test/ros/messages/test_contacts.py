"""Messages about contacts and opening paths."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from estimates import laptop_estimate

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_core.inference.uncertainty import path_covariance
from kinediff3d_core.objects.contact import contact_candidates
from kinediff3d_core.objects.opening import opening_path
from kinediff3d_ros.messages import contacts as messages
from kinediff3d_ros.messages.poses import matrix_from_pose

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')
VALUE = laptop_estimate(1.2)


@pytest.fixture(scope='module')
def found() -> dict:
    return contact_candidates(VALUE)


def test_poses_and_handles_of_all_candidates_are_in_one_order(found: dict) -> None:
    best = messages.contact_poses(VALUE, found, HEADER)
    all_poses = messages.candidate_poses(VALUE, found, HEADER)
    handles = messages.handles(VALUE, found, HEADER)
    assert list(best) == list(all_poses) == list(handles) == ['lid']
    assert best['lid'].header == all_poses['lid'].header == handles['lid'].header == HEADER
    assert best['lid'].pose == all_poses['lid'].poses[0]
    assert len(all_poses['lid'].poses) == len(handles['lid'].detections) == len(found['lid'])
    for contact, pose, handle in zip(found['lid'], all_poses['lid'].poses,
                                     handles['lid'].detections, strict=True):
        np.testing.assert_allclose(matrix_from_pose(pose), contact.T_camera_contact, atol=1e-9)
        assert handle.header == HEADER and handle.results[0].pose.pose == pose
        assert handle.results[0].hypothesis.class_id == contact.kind
        assert handle.results[0].hypothesis.score == (contact.score if contact.reachable else 0.0)


def test_the_box_of_a_handle_is_what_is_between_the_fingers(found: dict) -> None:
    """It begins at the contact's origin and reaches along z."""
    contact = dataclasses.replace(found['lid'][0], extents=np.array([0.01, 0.2, 0.06]),
                                  reachable=False)
    box = messages.handles(VALUE, {'lid': (contact,)}, HEADER)['lid'].detections[0]
    middle = np.linalg.inv(contact.T_camera_contact) @ matrix_from_pose(box.bbox.center)
    np.testing.assert_allclose(middle[:3, 3], (0.0, 0.0, 0.03), atol=1e-9)
    np.testing.assert_allclose(middle[:3, :3], np.eye(3), atol=1e-9)
    assert (box.bbox.size.x, box.bbox.size.y, box.bbox.size.z) == (0.01, 0.2, 0.06)
    assert (box.id, box.results[0].hypothesis.score) == ('lid', 0.0)


@pytest.mark.parametrize('target', [0.0, 0.5, 1.0])
def test_paths_go_to_a_share_of_the_range_and_carry_the_covariance_of_their_end(
        found: dict, target: float) -> None:
    joint = VALUE.joints[0]
    message = messages.opening_paths(VALUE, found, HEADER, target)['lid']
    poses = opening_path(VALUE, found['lid'][0],
                         joint.lower + target * (joint.upper - joint.lower))
    assert message.path.header == message.end.header == HEADER
    for stamped, T in zip(message.path.poses, poses, strict=True):
        assert stamped.header == HEADER
        np.testing.assert_allclose(matrix_from_pose(stamped.pose), T, atol=1e-9)
    assert message.end.pose.pose == message.path.poses[-1].pose
    np.testing.assert_array_equal(np.reshape(message.end.pose.covariance, (6, 6)),
                                  path_covariance(VALUE, joint, poses[-1]))


def test_parts_that_are_not_present_have_no_messages(found: dict) -> None:
    value = dataclasses.replace(VALUE, joints=(
        dataclasses.replace(VALUE.joints[0], probability=0.1),))
    for make in (messages.contact_poses, messages.candidate_poses, messages.handles):
        assert not make(value, found, HEADER)
    assert not messages.opening_paths(value, found, HEADER, 1.0)
    assert not messages.contact_poses(VALUE, {}, HEADER)
