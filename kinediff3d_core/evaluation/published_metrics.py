"""Metrics as the evaluation code of other papers defines them (docs/evaluation.md).

They stand beside ours, so that figures can be compared with published tables. Translations are
those of the data set's own part frames where the truth has them (``Truth.T_part_stated``), else of
ours. What the truth leaves open comes out as NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import degrees
from typing import Any

import numpy as np

from kinediff3d_core.data.truth import Truth
from kinediff3d_core.evaluation.pose_metrics import AxisPair, angle_deg, axis_pair
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate

Array = np.ndarray[Any, Any]
Protocol = Callable[[ArticulatedEstimate, Truth], dict[str, float]]
"""Metrics of one estimate, as ``<protocol>/<part or joint>/<metric>``."""

WITHIN_DEG = 5.0
"""A part is right below this rotation error, deg. Source: ANCSH ``eval_pose_err.py``."""

WITHIN_M = 0.05
"""And below this translation error, m. Source: the same."""

PARALLEL = 1e-9
"""Sine of the angle between two axes below which the published distance of lines divides by zero:
it is then the distance of parallel lines. Chosen."""


def omad(estimate: ArticulatedEstimate, truth: Truth) -> dict[str, float]:
    """Metrics of OMAD (Xue et al., BMVC 2021), the paper of ArtImage.

    Returns:
        Of each part rot_err_deg and trans_err_m. Of each joint axis_err_deg (sign-sensitive),
        axis_pos_err_m (distance of the two axis lines, revolute joints only) and state_err_deg or
        state_err_m. Missed parts and joints are left out.
    """
    out: dict[str, float] = {}
    for name, T, true in _parts(estimate, truth):
        if T is not None:
            out[f'omad/{name}/rot_err_deg'] = angle_deg(T[:3, :3].T @ true[:3, :3])
            out[f'omad/{name}/trans_err_m'] = float(np.linalg.norm(T[:3, 3] - true[:3, 3]))
    for i, joint in _joints(estimate, truth):
        error = abs(joint.position - float(truth.positions[i]))
        lines = axis_pair(estimate, joint, truth, i)
        out[f'omad/{joint.name}/axis_err_deg'] = lines.angle_deg
        if joint.joint_type == 'revolute':
            out[f'omad/{joint.name}/axis_pos_err_m'] = _line_distance(lines)
            out[f'omad/{joint.name}/state_err_deg'] = degrees(error)
        else:
            out[f'omad/{joint.name}/state_err_m'] = error
    return out


def ancsh(estimate: ArticulatedEstimate, truth: Truth) -> dict[str, float]:
    """Metrics of A-NCSH (Li et al., CVPR 2020), the paper of its Shape2Motion set.

    Returns:
        Of each part rot_err_deg, trans_err_m, within_5deg and within_5deg_5cm (0 or 1; 0 for
        missed parts). Of each joint axis_err_deg (without sign), axis_pos_err_m (revolute joints
        only), and the error of the motion relative to the base: state_err_deg of the rotation,
        or state_err_m of the translation of a prismatic joint.
    """
    out: dict[str, float] = {}
    for name, T, true in _parts(estimate, truth):
        rot = trans = np.inf
        if T is not None:
            rot = angle_deg(T[:3, :3].T @ true[:3, :3])
            trans = float(np.linalg.norm(T[:3, 3] - true[:3, 3]))
            out[f'ancsh/{name}/rot_err_deg'], out[f'ancsh/{name}/trans_err_m'] = rot, trans
        out[f'ancsh/{name}/within_5deg'] = _share(rot < WITHIN_DEG, rot)
        out[f'ancsh/{name}/within_5deg_5cm'] = _share(
            rot < WITHIN_DEG and trans < WITHIN_M, rot + trans)
    for i, joint in _joints(estimate, truth):
        lines = axis_pair(estimate, joint, truth, i)
        out[f'ancsh/{joint.name}/axis_err_deg'] = min(lines.angle_deg, 180 - lines.angle_deg)
        if joint.joint_type == 'revolute':
            out[f'ancsh/{joint.name}/axis_pos_err_m'] = _line_distance(lines)
            out[f'ancsh/{joint.name}/state_err_deg'] = _relative_rotation_error(
                estimate, joint, truth, i)
        else:
            moved = joint.position * lines.direction - truth.positions[i] * lines.true_direction
            out[f'ancsh/{joint.name}/state_err_m'] = float(np.linalg.norm(moved))
    return out


def _relative_rotation_error(estimate: ArticulatedEstimate, joint: JointEstimate, truth: Truth,
                             i: int) -> float:
    """Angle, deg, between the estimated and the true rotation of a child in the base frame."""
    child = next(p for p in estimate.parts if p.name == joint.child).T_camera_part
    base, true_base, true_child = (np.asarray(T, dtype=np.float64)[:3, :3] for T in (
        estimate.T_camera_base, truth.T_camera_part[0], truth.T_camera_part[truth.children[i]]))
    estimated = base.T @ np.asarray(child, dtype=np.float64)[:3, :3]
    return angle_deg(estimated.T @ true_base.T @ true_child)


PROTOCOLS: dict[str, Protocol] = {'omad': omad, 'ancsh': ancsh}


def _parts(estimate: ArticulatedEstimate, truth: Truth,
           ) -> Iterator[tuple[str, Array | None, Array]]:
    """Name, estimated and true pose (4, 4) of each true part; None for missed parts."""
    estimated = {p.name: np.asarray(p.T_camera_part, dtype=np.float64) for p in estimate.parts}
    for k, (name, true) in enumerate(zip(truth.part_names, truth.T_camera_part, strict=True)):
        local = np.eye(4) if truth.T_part_stated is None else truth.T_part_stated[k]
        yield name, estimated[name] @ local if name in estimated else None, true @ local


def _joints(estimate: ArticulatedEstimate, truth: Truth) -> Iterator[tuple[int, JointEstimate]]:
    """Index in the truth and estimate of each joint that both have."""
    joints = {j.name: j for j in estimate.joints}
    for i, name in enumerate(truth.joint_names):
        if name in joints:
            yield i, joints[name]


def _share(right: bool, known: float) -> float:
    """1 or 0; NaN where the true pose is unknown."""
    return float('nan') if np.isnan(known) else float(right)


def _line_distance(lines: AxisPair) -> float:
    """Distance between two axis lines: OMAD ``calc_joint_errors``, ANCSH
    ``dist_between_3d_lines``."""
    normal = np.cross(lines.direction, lines.true_direction)
    between = lines.pivot - lines.true_pivot
    sine = float(np.linalg.norm(normal))
    if sine < PARALLEL:
        return float(np.linalg.norm(np.cross(between, lines.true_direction)))
    return float(abs(between @ normal) / sine)
