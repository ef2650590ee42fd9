"""Messages about contacts and opening paths.

All functions take the contacts of one object by part, best first
(``kinediff3d_core.objects.contact``), and answer by part for the present parts. All poses are in
the header's frame, which is the frame of the estimate's poses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import PoseArray, PoseStamped, PoseWithCovarianceStamped, Vector3
from nav_msgs.msg import Path
from std_msgs.msg import Header
from vision_msgs.msg import (
    BoundingBox3D,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from kinediff3d_core.inference.uncertainty import path_covariance
from kinediff3d_core.objects.contact import Contact
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.objects.opening import contact_joint, opening_path
from kinediff3d_ros.messages.poses import pose_from_matrix, present_joints

PartContacts = Mapping[str, tuple[Contact, ...]]


def contact_poses(estimate: ArticulatedEstimate, contacts: PartContacts, header: Header,
                  ) -> dict[str, PoseStamped]:
    """The best contact frame of every part."""
    return {part: PoseStamped(header=header, pose=pose_from_matrix(found[0].T_camera_contact))
            for part, found in _present(estimate, contacts)}


def candidate_poses(estimate: ArticulatedEstimate, contacts: PartContacts, header: Header,
                    ) -> dict[str, PoseArray]:
    """All contact frames of every part, best first."""
    return {part: PoseArray(header=header, poses=[
        pose_from_matrix(c.T_camera_contact) for c in found])
        for part, found in _present(estimate, contacts)}


def handles(estimate: ArticulatedEstimate, contacts: PartContacts, header: Header,
            ) -> dict[str, Detection3DArray]:
    """What is held at each contact of every part, in the order of :func:`candidate_poses`.

    The class is the contact's kind, the score its score, or 0 where the gripper is not free. The
    box has the contact's orientation; its middle is half its depth behind the contact's origin.
    """
    return {part: Detection3DArray(header=header, detections=[
        _handle(c, part, header) for c in found]) for part, found in _present(estimate, contacts)}


@dataclass(frozen=True)
class OpeningPath:
    """The path of one part's best contact, and the covariance of its last pose."""

    path: Path
    end: PoseWithCovarianceStamped


def opening_paths(estimate: ArticulatedEstimate, contacts: PartContacts, header: Header,
                  target: float) -> dict[str, OpeningPath]:
    """Paths of the best contact of every part to a target.

    Args:
        target: share of the joint's range, 0 (lower limit) to 1 (upper limit).
    """
    messages = {}
    for part, found in _present(estimate, contacts):
        joint = contact_joint(estimate, found[0])
        poses = opening_path(estimate, found[0],
                             joint.lower + target * (joint.upper - joint.lower))
        path = Path(header=header, poses=[
            PoseStamped(header=header, pose=pose_from_matrix(T)) for T in poses])
        end = PoseWithCovarianceStamped(header=header)
        end.pose.pose = path.poses[-1].pose
        end.pose.covariance = path_covariance(estimate, joint, poses[-1]).ravel()
        messages[part] = OpeningPath(path, end)
    return messages


def _present(estimate: ArticulatedEstimate, contacts: PartContacts,
             ) -> Iterator[tuple[str, tuple[Contact, ...]]]:
    """Part and contacts of the present joints."""
    return ((j.child, contacts[j.child]) for j in present_joints(estimate) if j.child in contacts)


def _handle(contact: Contact, part: str, header: Header) -> Detection3D:
    middle = np.eye(4)
    middle[2, 3] = contact.extents[2] / 2
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id = contact.kind
    hypothesis.hypothesis.score = float(contact.score if contact.reachable else 0.0)
    hypothesis.pose.pose = pose_from_matrix(contact.T_camera_contact)
    x, y, z = (float(v) for v in contact.extents)
    return Detection3D(
        header=header, id=part, results=[hypothesis],
        bbox=BoundingBox3D(center=pose_from_matrix(contact.T_camera_contact @ middle),
                           size=Vector3(x=x, y=y, z=z)))
