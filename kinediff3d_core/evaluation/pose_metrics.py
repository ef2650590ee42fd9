"""Errors of pose, joint state and joint axis (docs/evaluation.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import degrees, nan
from typing import Any

import numpy as np

from kinediff3d_core.data.truth import Truth
from kinediff3d_core.geometry.rigid import rotation_angle, transform_points
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate

Array = np.ndarray[Any, Any]

NAMED = 0.1
"""Least weight of a mode that counts as named. Chosen."""

PARALLEL_DEG = 5.0
"""Below this angle, deg, the distance of two axis lines is measured at the true pivot. Chosen."""


def angle_deg(R: Array) -> float:
    """Angle of a rotation (3, 3), degrees."""
    return degrees(float(rotation_angle(np.eye(3), R)))


def line_distance(p: Array, u: Array, q: Array, v: Array) -> float:
    """Distance from the line through p along u to the line through q along v, unit directions.

    The nearest points of almost parallel lines (less than ``PARALLEL_DEG``) do not depend on where
    the joint is. For these it is the distance from p to the second line, which is never smaller.
    """
    normal = np.cross(u, v)
    sine = float(np.linalg.norm(normal))
    if sine < np.sin(np.radians(PARALLEL_DEG)):
        return float(np.linalg.norm(np.cross(q - p, v)))
    return float(abs((q - p) @ normal) / sine)


def pose_metrics(estimate: ArticulatedEstimate, truth: Truth) -> dict[str, float]:
    """Pose, joint state and axis errors; parts and joints are matched by name.

    Returns:
        rot_err_deg, trans_err_m (means over parts), joint_state_err (deg or m), axis_err_deg,
        axis_pos_err_m (revolute joints only) and, for categories with several joints,
        joints_missed and joints_invented.
    """
    estimated = {p.name: np.asarray(p.T_camera_part, dtype=np.float64) for p in estimate.parts}
    both = [(estimated[name], T) for name, T in
            zip(truth.part_names, truth.T_camera_part, strict=True) if name in estimated]
    joints = {j.name: j for j in estimate.joints}
    errors = [_joint_errors(estimate, joints[name], truth, i)
              for i, name in enumerate(truth.joint_names) if name in joints]
    out = {'rot_err_deg': _mean([angle_deg(a[:3, :3].T @ b[:3, :3]) for a, b in both]),
           'trans_err_m': _mean([float(np.linalg.norm(a[:3, 3] - b[:3, 3])) for a, b in both])}
    names = ['joint_state_err', 'axis_err_deg']
    if 'prismatic' not in truth.joint_types:
        names.append('axis_pos_err_m')
    out.update({name: _mean([e[name] for e in errors]) for name in names})
    if len(get_category(truth.category).joints) > 1:
        out['joints_missed'] = float(len(set(truth.joint_names) - set(joints)))
        out['joints_invented'] = float(len(set(joints) - set(truth.joint_names)))
    return out


@dataclass(frozen=True)
class AxisPair:
    """The estimated and the true axis of a joint in the camera frame.

    Attributes:
        pivot, true_pivot: (3,) a point of each, m.
        direction, true_direction: (3,) unit.
    """

    pivot: Array
    direction: Array
    true_pivot: Array
    true_direction: Array

    @property
    def angle_deg(self) -> float:
        """Angle between the directions, with their signs."""
        u, v = self.true_direction, self.direction
        return degrees(float(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)))


def axis_pair(estimate: ArticulatedEstimate, joint: JointEstimate, truth: Truth, i: int,
              ) -> AxisPair:
    """The axes of a joint of an estimate and of joint i of the truth."""
    T = next(np.asarray(p.T_camera_part, dtype=np.float64) for p in estimate.parts
             if p.name == joint.parent)
    T_true = truth.T_camera_part[truth.parents[i]]
    u, v = T_true[:3, :3] @ truth.axis[i], T[:3, :3] @ np.asarray(joint.axis, dtype=np.float64)
    return AxisPair(transform_points(T, np.asarray(joint.origin)[None])[0],
                    v / np.linalg.norm(v), transform_points(T_true, truth.origin[i:i + 1])[0],
                    u / np.linalg.norm(u))


def _joint_errors(estimate: ArticulatedEstimate, joint: JointEstimate, truth: Truth, i: int,
                  ) -> dict[str, float]:
    """Errors of one joint: joint_state_err, axis_err_deg and, if revolute, axis_pos_err_m.

    Args:
        i: index of the joint in the truth.
    """
    prismatic = truth.joint_types[i] == 'prismatic'
    error = abs(joint.position - float(truth.positions[i]))
    lines = axis_pair(estimate, joint, truth, i)
    out = {'joint_state_err': error if prismatic else degrees(error),
           'axis_err_deg': lines.angle_deg}
    if not prismatic:
        out['axis_pos_err_m'] = line_distance(lines.true_pivot, lines.true_direction, lines.pivot,
                                              lines.direction)
    return out


def mode_metrics(estimate: ArticulatedEstimate, truths: Sequence[Truth]) -> dict[str, float]:
    """The number of modes that an estimate names, and the error of the nearest one.

    The best mode and those with a weight of :data:`NAMED` or more count as named.

    Args:
        truths: equally true ones (:func:`kinediff3d_core.evaluation.symmetry.equivalents`).

    Returns:
        modes, their number, and rot_err_modes_deg, their smallest rotation error of the base.
    """
    poses = [estimate.T_camera_base,
             *(m.T_camera_base for m in estimate.modes[1:] if m.weight >= NAMED)]
    errors = [angle_deg(np.asarray(T, dtype=np.float64)[:3, :3].T @ t.T_camera_part[0][:3, :3])
              for T in poses for t in truths]
    return {'modes': float(len(poses)), 'rot_err_modes_deg': min(errors)}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else nan
