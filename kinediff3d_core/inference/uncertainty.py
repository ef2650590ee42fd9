"""How sure an estimate is of each part's pose."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kinediff3d_core.geometry.rigid import rotate_covariance, shift_covariance
from kinediff3d_core.objects.estimate import ArticulatedEstimate

RIGHT = 0.05, math.radians(5.0)
"""An estimate is right if no part is further off than this: translation (m), rotation (rad)."""
NO_FIT = 0.03
"""Mean distance of the cloud to the surface that speaks against an estimate, canonical units."""


def fit_confidence(residual: float) -> float:
    """How well the cloud's mean distance to the surface (canonical units) speaks for it, 0..1."""
    return math.exp(-(residual / NO_FIT) ** 2)


def accuracy_probability(estimate: ArticulatedEstimate) -> float:
    """Probability that all parts are right (:data:`RIGHT`), by what the estimate leaves open.

    It is that of the worst one, taken as normal about its worst axis: a base that is hidden behind
    the lid fits in any position.
    """
    sigmas = [math.sqrt(max(float(np.linalg.eigvalsh(block)[-1]), 1e-12)) / limit
              for c in part_covariances(estimate).values()
              for block, limit in ((c[:3, :3], RIGHT[0]), (c[3:, 3:], RIGHT[1]))]
    return math.erf(1 / (math.sqrt(2) * max(sigmas)))


def transform_estimate(estimate: ArticulatedEstimate, T_frame_camera: np.ndarray,
                       ) -> ArticulatedEstimate:
    """The estimate with its parts' poses and covariance in another frame than the camera's.

    Points, modes and what is measured in part frames stay.

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
