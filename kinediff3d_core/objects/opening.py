"""Opening paths: the poses of a contact frame while its joint moves to a target."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from kinediff3d_core.geometry.kinematics import joint_transform
from kinediff3d_core.objects.contact import Contact
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate

Array = np.ndarray[Any, Any]

POSES = 20
"""Poses of a path. Chosen: between two of them, 90 degrees turn a joint by less than 5."""


def opening_path(estimate: ArticulatedEstimate, contact: Contact, target: float | None = None,
                 count: int = POSES) -> Array:
    """Poses (count, 4, 4) of a contact frame in the camera's frame, T_camera_contact.

    The first is the present one, the last that at the target. The joint's positions between them
    are equally far apart. All other joints stay. The poses are exact: each is the contact's pose
    turned about the joint's axis, or moved along it.

    Args:
        contact: of the estimate, on the part that moves.
        target: position of the contact's joint at the end of the path, rad or m; by default its
            upper limit. It may be less than the present one, to close the joint.
        count: of poses, two at least.

    Raises:
        ValueError: a target beyond the joint's limits, another joint than the estimate's, or
            fewer than two poses.
    """
    joint = contact_joint(estimate, contact)
    if count < 2:
        raise ValueError(f'a path of {count} poses: two at least are needed')
    end = joint.upper if target is None else float(target)
    if not joint.allows(end):
        raise ValueError(f'the target of {joint.name} is {end:g}; its limits are '
                         f'{joint.lower:g} and {joint.upper:g}')
    poses = {p.name: np.asarray(p.T_camera_part, np.float64) for p in estimate.parts}
    steps = torch.linspace(0.0, end - joint.position, count, dtype=torch.float64)
    axis = torch.from_numpy(np.asarray(joint.axis, np.float64)).expand(count, 3)
    motion = joint_transform(joint.joint_type, axis, steps).numpy()
    return np.asarray(poses[joint.child] @ motion @ contact.T_part_contact)


def contact_joint(estimate: ArticulatedEstimate, contact: Contact) -> JointEstimate:
    """The joint of an estimate that moves a contact.

    Raises:
        ValueError: the estimate has no such joint.
    """
    for joint in estimate.joints:
        if joint.name == contact.joint:
            return joint
    raise ValueError(f'the contact is of {contact.joint!r}; the estimate has '
                     f'{", ".join(j.name for j in estimate.joints) or "no joint"}')
