"""Confidence of an estimate; covariances of its parts' poses, joint axes and paths."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kinediff3d_core.geometry.rigid import rotate_covariance, shift_covariance
from kinediff3d_core.inference.presets import ConfidenceConfig
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate

CONFIDENCE = ConfidenceConfig()
"""The configuration where none is given."""


def fit_confidence(residual: float, config: ConfidenceConfig = CONFIDENCE) -> float:
    """Confidence, 0 to 1, by the cloud's mean distance to the surface (canonical units)."""
    return math.exp(-(residual / config.residual_scale) ** 2)


def accuracy_probability(estimate: ArticulatedEstimate, config: ConfidenceConfig = CONFIDENCE,
                         ) -> float:
    """Probability that the errors of all parts are within the limits, by the covariance.

    It is that of the least certain part, taken as normal along its least certain axis. A base that
    is hidden behind the lid, for instance, fits in any position.
    """
    sigmas = [math.sqrt(max(float(np.linalg.eigvalsh(block)[-1]), 1e-12)) / limit
              for c in part_covariances(estimate).values()
              for block, limit in ((c[:3, :3], config.max_translation),
                                   (c[3:, 3:], config.max_rotation))]
    return math.erf(1 / (math.sqrt(2) * max(sigmas)))


def transform_estimate(estimate: ArticulatedEstimate, T_frame_camera: np.ndarray,
                       ) -> ArticulatedEstimate:
    """The estimate with its parts' poses and covariance in another frame than the camera's.

    Points, modes and all that is given in part frames stay.

    Args:
        T_frame_camera: (4, 4).
    """
    parts = tuple(replace(p, T_camera_part=T_frame_camera @ p.T_camera_part)
                  for p in estimate.parts)
    return replace(estimate, parts=parts, covariance=rotate_covariance(
        estimate.covariance, T_frame_camera[:3, :3]))


def part_covariances(estimate: ArticulatedEstimate) -> dict[str, np.ndarray]:
    """Covariance (6, 6) of every part's pose by part: (x, y, z, rx, ry, rz) as the base's.

    The base's errors reach a child with the lever from the base's origin to the child's; a joint's
    error turns the child about the joint's axis or moves it along, independent of the base's.
    """
    poses = {p.name: np.asarray(p.T_camera_part) for p in estimate.parts}
    found = {estimate.parts[0].name: np.asarray(estimate.covariance, np.float64)}
    for joint in estimate.joints:
        parent, child = poses[joint.parent], poses[joint.child]
        own = np.zeros(6)
        axis = parent[:3, :3] @ np.asarray(joint.axis)
        own[slice(3, 6) if joint.joint_type == 'revolute' else slice(0, 3)] = axis
        found[joint.child] = (shift_covariance(found[joint.parent], child[:3, 3] - parent[:3, 3])
                              + joint.std ** 2 * np.outer(own, own))
    return found


def axis_covariances(estimate: ArticulatedEstimate) -> dict[str, np.ndarray]:
    """Covariance (6, 6) of the frame on every joint's axis, by joint, about the camera's axes.

    (x, y, z) is the error of the pivot, m; (rx, ry, rz) that of the parent part's orientation,
    which turns the axis, rad: the order of ``geometry_msgs/PoseWithCovariance``. The error of the
    parent's pose reaches the pivot with the lever from the parent's origin, as in
    :func:`part_covariances`. Where the joint is in the parent's frame counts as exact: the shape
    has no covariance.
    """
    poses = {p.name: np.asarray(p.T_camera_part) for p in estimate.parts}
    parts = part_covariances(estimate)
    return {j.name: shift_covariance(parts[j.parent], poses[j.parent][:3, :3] @ j.origin)
            for j in estimate.joints}


def path_covariance(estimate: ArticulatedEstimate, joint: JointEstimate,
                    T_camera_contact: np.ndarray) -> np.ndarray:
    """Covariance (6, 6) of a pose on the opening path of a joint, as in :func:`axis_covariances`.

    It is the error of where the contact is when the joint is at that position: the error of the
    parent's pose, with the lever from the parent's origin to the contact. The error of the present
    joint position is not part of it, because a position on the path is given.

    Args:
        joint: that moves along the path.
        T_camera_contact: (4, 4) one of the path's poses.
    """
    parent = {p.name: np.asarray(p.T_camera_part) for p in estimate.parts}[joint.parent]
    return shift_covariance(part_covariances(estimate)[joint.parent],
                            T_camera_contact[:3, 3] - parent[:3, 3])
