"""Messages for planners: part poses and axes with covariance, commanded states."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker

from kinediff3d_core.geometry.basis import basis_with_x_axis
from kinediff3d_core.inference.uncertainty import axis_covariances, part_covariances
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.objects.urdf import joint_name, link_name
from kinediff3d_ros.messages.poses import (
    joint_names,
    pose_from_matrix,
    present_joints,
    present_parts,
)

GHOST_COLOUR = (0.9, 0.9, 0.95, 0.35)
"""Red, green, blue, alpha of the object at a commanded state."""


def part_poses(estimate: ArticulatedEstimate,
               header: Header) -> dict[str, PoseWithCovarianceStamped]:
    """Pose and covariance of every present part, by its name, in the header's frame."""
    covariances = part_covariances(estimate)
    messages = {}
    for part in present_parts(estimate):
        message = PoseWithCovarianceStamped(header=header)
        message.pose.pose = pose_from_matrix(part.T_camera_part)
        message.pose.covariance = covariances[part.name].ravel()
        messages[part.name] = message
    return messages


def joint_standard_deviations(estimate: ArticulatedEstimate, header: Header,
                              object_name: str) -> JointState:
    """JointState with standard deviations (rad or m) in place of the positions."""
    joints = present_joints(estimate)
    return JointState(header=header, name=joint_names(estimate, object_name),
                      position=[float(j.std) for j in joints])


def joint_axes(estimate: ArticulatedEstimate, header: Header) -> dict[str, PoseStamped]:
    """Frame on every present joint's axis, by its name: origin at the pivot, x along the axis."""
    parents = {p.name: np.asarray(p.T_camera_part) for p in estimate.parts}
    messages = {}
    for joint in present_joints(estimate):
        T = np.eye(4)
        T[:3, :3] = basis_with_x_axis(np.asarray(joint.axis, np.float64))
        T[:3, 3] = joint.origin
        messages[joint.name] = PoseStamped(
            header=header, pose=pose_from_matrix(parents[joint.parent] @ T))
    return messages


def joint_axes_with_covariance(estimate: ArticulatedEstimate, header: Header,
                               ) -> dict[str, PoseWithCovarianceStamped]:
    """The frames of :func:`joint_axes` with their covariances about the header's axes."""
    covariances = axis_covariances(estimate)
    messages = {}
    for name, axis in joint_axes(estimate, header).items():
        messages[name] = PoseWithCovarianceStamped(header=header)
        messages[name].pose.pose = axis.pose
        messages[name].pose.covariance = covariances[name].ravel()
    return messages


def commanded_positions(estimate: ArticulatedEstimate, command: JointState,
                        object_name: str) -> np.ndarray:
    """Positions (J,) of all joints: the commanded ones, and the estimate's for the others.

    Commands name joints as joint states do.

    Raises:
        ValueError: no such joint, not one finite position per name, or beyond a joint's limits.
    """
    joints = {joint_name(object_name, j.name): i for i, j in enumerate(estimate.joints)}
    if len(command.name) != len(command.position):
        raise ValueError(f'joint_command has {len(command.name)} names and '
                         f'{len(command.position)} positions')
    q = np.array([j.position for j in estimate.joints])
    for name, position in zip(command.name, command.position, strict=True):
        if name not in joints:
            raise ValueError(f'joint_command names {name!r}; {object_name} has '
                             f'{", ".join(joints)}')
        joint = estimate.joints[joints[name]]
        if not joint.allows(position):
            raise ValueError(f'joint_command sets {name} to {position:g}; its limits are '
                             f'{joint.lower:g} and {joint.upper:g}')
        q[joints[name]] = position
    return q


def ghost(estimate: ArticulatedEstimate, positions: np.ndarray, meshes: list[Marker],
          object_name: str) -> list[Marker]:
    """Markers of the part meshes at other joint positions (J,), in the base's frame.

    Args:
        meshes: the TRIANGLE_LISTs of :func:`kinediff3d_ros.messages.markers.markers`, of the same
            estimate.
    """
    names = get_category(estimate.category).parts
    poses = estimate.part_poses_at(positions)
    markers = []
    for mesh in meshes:
        marker = Marker(header=Header(
            stamp=mesh.header.stamp, frame_id=link_name(object_name, names[0])),
            ns=f'{object_name}/ghost', id=mesh.id, type=mesh.type, action=Marker.ADD,
            scale=mesh.scale, points=mesh.points, lifetime=mesh.lifetime, frame_locked=True,
            pose=pose_from_matrix(poses[names[mesh.id]]))
        marker.color = ColorRGBA(r=GHOST_COLOUR[0], g=GHOST_COLOUR[1], b=GHOST_COLOUR[2],
                                 a=GHOST_COLOUR[3])
        markers.append(marker)
    return markers
