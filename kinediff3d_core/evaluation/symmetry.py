"""Equally true readings of an object, where a category's convention is ambiguous.

Scissors can be turned over about x: then the tip of the *other* half is on -y. Which half is the
base depends on which side is up. Both readings are right (docs/evaluation.md).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.evaluation.pose_metrics import pose_metrics
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.estimate import ArticulatedEstimate, transform_mesh

Array = np.ndarray[Any, Any]

SWAPPED = ('scissors',)
"""Categories whose two parts can change roles when the object is turned over about x."""
OVER = np.diag([1.0, -1.0, -1.0, 1.0])


def equivalents(truth: Truth) -> tuple[Truth, ...]:
    """All readings that a category's convention allows, the given one first."""
    return (truth, swapped(truth)) if truth.category in SWAPPED else (truth,)


def swapped(truth: Truth) -> Truth:
    """The same object and state with the roles of its two parts exchanged.

    The new base frame is the other half's, turned over about x and moved to the centre of that
    half's box; the new child's is the old base's, turned over, at the pivot.

    Raises:
        ValueError: not exactly two parts and a joint between them, or unknown centres.
    """
    if len(truth.part_names) != 2 or len(truth.joint_names) != 1 or truth.centres is None:
        raise ValueError('two parts with known centres and one joint are needed, got '
                         f'{len(truth.part_names)} and {len(truth.joint_names)}')
    base, child = truth.T_camera_part
    to_base, to_child = OVER.copy(), OVER.copy()
    to_base[:3, 3] = truth.centres[1]
    to_child[:2, 3] = truth.origin[0, :2]
    poses = np.stack([child @ to_base, base @ to_child])
    into = [np.linalg.inv(T) for T in (to_base, to_child)]
    surfaces = truth.surfaces
    if surfaces is not None:
        surfaces = (_moved(surfaces[1], into[0]), _moved(surfaces[0], into[1]))
    return replace(truth, T_camera_part=poses, surfaces=surfaces,
                   origin=(np.linalg.inv(poses[0]) @ poses[1])[None, :3, 3],
                   centres=np.stack([transform_points(T, truth.centres[i:i + 1])[0]
                                     for T, i in zip(into, (1, 0), strict=True)]),
                   T_part_stated=None if truth.T_part_stated is None else
                   np.stack([T @ truth.T_part_stated[i]
                             for T, i in zip(into, (1, 0), strict=True)]))


def nearest(estimate: ArticulatedEstimate, truth: Truth) -> Truth:
    """The reading of a truth with the smallest rotation error."""
    return min(equivalents(truth), key=lambda t: pose_metrics(estimate, t)['rot_err_deg'])


def _moved(surface: Surface, T: Array) -> Surface:
    """A surface after T (4, 4)."""
    pool = None if surface.pool is None else transform_points(T, surface.pool)
    return Surface(transform_mesh(T, surface.mesh), pool, surface.area)
