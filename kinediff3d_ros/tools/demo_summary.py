"""The figures of a demo: how many estimates came, how fast and how accurate."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from kinediff3d_core.geometry.rigid import rotation_angle
from kinediff3d_core.objects.category import Category
from kinediff3d_ros.tools.demo_options import SCENE, DemoOptions
from kinediff3d_ros.tools.demo_recording import Sample

ERRORS = (('joint_error_deg', 'joint error', '°'), ('joint_error_m', 'joint error', ' m'),
          ('rotation_error_deg', 'rotation error', '°'),
          ('translation_error_m', 'translation error', ' m'),
          ('latency_ms', 'time from an image to its estimate', ' ms'))
"""Keys of a summary, their names in words, and their units."""


def summarize(options: DemoOptions, status: dict[str, str], estimate_rate: float,
              samples: list[Sample]) -> dict[str, Any]:
    """Content of ``summary.json``; errors are over all samples, joint by joint.

    Args:
        status: values of the node's last diagnostics.
        estimate_rate: estimates in one second.
    """
    summary: dict[str, Any] = {
        'category': options.category.name,
        'command': options.command,
        'seed': SCENE.seed,
        'instance': SCENE.instance,
        'seconds': options.seconds,
        'frames': int(status.get('frames_received', 0)),
        'estimates': int(status.get('estimates', 0)),
        'compared': len(samples),
        'no_estimates': int(status.get('no_estimates', 0)),
        'dropped': int(status.get('frames_dropped', 0)),
        'unpaired': int(status.get('frames_unpaired', 0)),
        'uncalibrated': int(status.get('frames_uncalibrated', 0)),
        'full_estimates': int(status.get('full_estimates', 0)),
        'rate_hz': round(estimate_rate, 2),
    }
    if samples:
        summary['latency_ms'] = _statistics(1e3 * np.array([s.latency for s in samples]), 1)
        summary |= joint_errors(samples, options.category)
        summary |= pose_errors(samples)
    return summary


def joint_errors(samples: list[Sample], category: Category) -> dict[str, Any]:
    """Errors of joints that estimate and truth both have; missed and invented joints.

    The latter two are means over the estimates, for categories of several joints.
    """
    result: dict[str, Any] = {}
    estimated = np.array([s.positions for s in samples])
    true = np.array([s.true_positions for s in samples])
    if len(category.joints) > 1:
        is_estimated, exists = np.isfinite(estimated), np.isfinite(true)
        result['joints_missed'] = round(float((exists & ~is_estimated).sum(1).mean()), 2)
        result['joints_invented'] = round(float((is_estimated & ~exists).sum(1).mean()), 2)
    revolute = np.array([j.joint_type == 'revolute' for j in category.joints])
    errors = np.abs(estimated - true)
    for columns, key, factor, digits in ((revolute, 'joint_error_deg', 180 / np.pi, 2),
                                         (~revolute, 'joint_error_m', 1.0, 4)):
        of_both = errors[:, columns][np.isfinite(errors[:, columns])]
        if len(of_both):
            result[key] = _statistics(factor * of_both, digits)
    return result


def pose_errors(samples: list[Sample]) -> dict[str, Any]:
    """Errors of the base pose: angle of the rotation between them, distance of the origins."""
    estimated, true = (torch.from_numpy(np.array([getattr(s, name) for s in samples]))
                       for name in ('T_camera_base', 'true_T_camera_base'))
    angles = torch.rad2deg(rotation_angle(estimated[:, :3, :3], true[:, :3, :3]))
    distances = (estimated[:, :3, 3] - true[:, :3, 3]).norm(dim=-1)
    return {'rotation_error_deg': _statistics(angles.numpy(), 2),
            'translation_error_m': _statistics(distances.numpy(), 4)}


def in_words(summary: dict[str, Any]) -> str:
    """The lines that the demo prints about a summary."""
    first = (f'{summary["estimates"]} estimates of {summary["frames"]} frames, '
             f'{summary["rate_hz"]} per second ({summary["dropped"]} frames dropped for newer '
             f'ones, {summary["unpaired"]} without a mask, {summary["uncalibrated"]} before the '
             f'camera info, {summary["no_estimates"]} without an estimate)')
    second = (f'first image {summary["first_image_s"]} s, first estimate '
              f'{summary["first_answer_s"]} s after the start')
    if 'resident_mib' in summary:
        memory = summary['resident_mib']
        second += (f'; memory of the perception node {memory["early"]:.0f} MiB at the beginning, '
                   f'{memory["late"]:.0f} MiB at the end')
    errors = (f'{name}: median {summary[key]["median"]}{unit}, 95th percentile '
              f'{summary[key]["p95"]}{unit}' for key, name, unit in ERRORS if key in summary)
    return '\n'.join([first, second, *errors])


def _statistics(values: np.ndarray, digits: int) -> dict[str, float]:
    return {'median': round(float(np.median(values)), digits),
            'p95': round(float(np.percentile(values, 95)), digits)}
