"""Poses, transforms and joint states of estimates."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Pose, TransformStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from tf_transformations import quaternion_from_matrix, quaternion_matrix

from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, PartEstimate
from kinediff3d_core.objects.urdf import joint_name, link_name

PRESENT = 0.5
"""Least probability of a joint that counts as present: more likely present than not."""


def present_joints(estimate: ArticulatedEstimate) -> tuple[JointEstimate, ...]:
    """Joints that the object has, by their probability."""
    return tuple(j for j in estimate.joints if j.probability >= PRESENT)


def present_parts(estimate: ArticulatedEstimate) -> tuple[PartEstimate, ...]:
    """The base, and the child parts of the present joints."""
    children = {j.child for j in present_joints(estimate)}
    return tuple(p for i, p in enumerate(estimate.parts) if i == 0 or p.name in children)


def pose_from_matrix(T: np.ndarray) -> Pose:
    """Pose message of a rigid transform (4, 4)."""
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = (float(x) for x in T[:3, 3])
    (pose.orientation.x, pose.orientation.y, pose.orientation.z,
     pose.orientation.w) = (float(x) for x in quaternion_from_matrix(np.asarray(T, np.float64)))
    return pose


def matrix_from_pose(pose: Pose) -> np.ndarray:
    """Rigid transform (4, 4) float64 of a pose message."""
    q = pose.orientation
    T = quaternion_matrix([q.x, q.y, q.z, q.w])
    T[:3, 3] = pose.position.x, pose.position.y, pose.position.z
    return T


def transform_from_matrix(T: np.ndarray, header: Header, child_frame: str) -> TransformStamped:
    """TF of T_header_child (4, 4), with the stamp of the header."""
    pose = pose_from_matrix(T)
    message = TransformStamped(header=header, child_frame_id=child_frame)
    message.transform.translation.x = pose.position.x
    message.transform.translation.y = pose.position.y
    message.transform.translation.z = pose.position.z
    message.transform.rotation = pose.orientation
    return message


def matrix_from_transform(message: TransformStamped) -> np.ndarray:
    """T_header_child (4, 4) float64."""
    t = message.transform
    pose = Pose(orientation=t.rotation)
    pose.position.x, pose.position.y, pose.position.z = (
        t.translation.x, t.translation.y, t.translation.z)
    return matrix_from_pose(pose)


def transforms(estimate: ArticulatedEstimate, header: Header, object_name: str,
               base_only: bool = False) -> list[TransformStamped]:
    """TF of every present part, ``<object>_<part>``, each a child of the header's frame.

    Args:
        base_only: instead, the object's root, ``<object>``, at the pose of the base part:
            robot_state_publisher adds all parts below it, and a frame has one parent.
    """
    if base_only:
        return [transform_from_matrix(estimate.T_camera_base, header, object_name)]
    return [transform_from_matrix(p.T_camera_part, header, link_name(object_name, p.name))
            for p in present_parts(estimate)]


def joint_names(estimate: ArticulatedEstimate, object_name: str) -> list[str]:
    """``<object>_<joint>`` of the present joints."""
    return [joint_name(object_name, j.name) for j in present_joints(estimate)]


def joint_state(estimate: ArticulatedEstimate, header: Header, object_name: str) -> JointState:
    """Names and positions (rad or m) of the present joints, as in ``robot_description``.

    Velocities (rad/s or m/s) are set while the object is tracked; otherwise the array is empty.
    """
    joints = present_joints(estimate)
    return JointState(header=header, name=joint_names(estimate, object_name),
                      position=[float(j.position) for j in joints],
                      velocity=[float(j.velocity) for j in joints if j.velocity is not None])
