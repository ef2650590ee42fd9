"""Where a joint is closed, and in which sense it opens, from the shapes of its parts.

Data sets state joints with limits in a sense and from a zero of their own. Ours are zero when
closed (docs/conventions.md). Which end of the limits that is follows from how near a part is to
the base: a lid, a drawer or a blade is nearest when closed, a leg of eyeglasses is farthest when
it points straight back.
"""

from __future__ import annotations

from dataclasses import replace
from math import pi, radians
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from kinediff3d_core.data.datasets.canonical import StatedJoint, joint_motion
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.objects.mesh_sampling import sample_mesh, triangle_areas

Array = np.ndarray[Any, Any]

SAMPLES = 1000
"""Points of each part that are compared. Chosen."""
FARTHEST = ('eyeglasses',)
"""Categories whose moving parts are farthest from the base at q = 0."""
NEAR = 0.15
"""Largest mean distance of a closed lid from the base, in diagonals of the base. Chosen."""
STEP = radians(1.0)
"""Rotation from which the sense of opening is found, rad. Chosen."""


def closed_at_limit(category: str, base: Mesh, part: Mesh, joint: StatedJoint) -> StatedJoint:
    """The joint with the closed one of its limits as ``closed``, positive when it opens.

    Args:
        category: name of ours.
        base, part: in the model's frame, at the data set's zero.
        joint: with limits; its ``closed`` is not used.
    """
    points, tree = _samples(part), cKDTree(_samples(base))
    near = [_distance(tree, joint, points, end) for end in (joint.lower, joint.upper)]
    upper = (near[1] > near[0]) == (category in FARTHEST)
    return _reversed(joint, joint.upper) if upper else replace(joint, closed=joint.lower)


def closed_by_shape(category: str, base: Mesh, part: Mesh, joint: StatedJoint) -> StatedJoint:
    """The joint of a data set without usable limits, closed by the shape of its parts.

    A lid is closed where lid and base, seen along the axis, are thinnest in the same direction,
    and of these two positions at the nearer one. A leg of eyeglasses is straight back as stored.
    The sense is that in which the part's centre moves away from the base's, or towards it for a
    leg.

    Args:
        base, part: in the model's frame, at the data set's zero.
        joint: revolute; its ``closed`` is not used. Its limits stay those of the file.

    Raises:
        ValueError: a lid is not near the base in the closed position.
    """
    points, fixed = _samples(part), _samples(base)
    closed = 0.0
    if category not in FARTHEST:
        tree = cKDTree(fixed)
        turn = _turn_between(thinnest(part, joint.axis), thinnest(base, joint.axis),
                             joint.axis)
        closed = min((_wrapped(turn), _wrapped(turn + pi)),
                     key=lambda q: _distance(tree, joint, points, q))
        apart = _distance(tree, joint, points, closed) / np.linalg.norm(np.ptp(fixed, axis=0))
        if apart > NEAR:
            raise ValueError(f'where its joint should be closed, its moving part is {apart:.0%} '
                             'of the base\'s diagonal away from the base: its axis is wrong')
    centre = fixed.mean(0)
    ahead, behind = (float(np.linalg.norm(transform_points(
        joint_motion(joint, closed + d), points).mean(0) - centre)) for d in (STEP, -STEP))
    opens = (ahead > behind) != (category in FARTHEST)
    return replace(joint, closed=closed) if opens else _reversed(joint, closed)


def closed_without_limits(category: str, base: Mesh, part: Mesh, joint: StatedJoint,
                          ) -> StatedJoint:
    """As :func:`closed_by_shape`, with the limits of the category's first joint.

    Raises:
        ValueError: a lid is not near the base in the closed position.
    """
    found, spec = closed_by_shape(category, base, part, joint), get_category(category).joints[0]
    return replace(found, lower=found.closed + spec.lower, upper=found.closed + spec.upper)


def _reversed(joint: StatedJoint, closed: float) -> StatedJoint:
    """The same joint about the opposite axis."""
    return replace(joint, axis=-np.asarray(joint.axis), closed=-closed, lower=-joint.upper,
                   upper=-joint.lower)


def _samples(mesh: Mesh) -> Array:
    return sample_mesh(mesh, SAMPLES, np.random.default_rng(0))


def _distance(tree: Any, joint: StatedJoint, points: Array, position: float) -> float:
    """Mean distance from a part to the nearest points of the base at a position."""
    return float(tree.query(transform_points(joint_motion(joint, position), points))[0].mean())


def thinnest(mesh: Mesh, axis: Array) -> Array:
    """Direction (3,) perpendicular to an axis in which a surface spreads least."""
    corner = np.asarray(mesh.vertices)[mesh.faces]
    weight = triangle_areas(mesh)
    centre = (weight @ corner.mean(1)) / weight.sum()
    corner = corner - centre
    corner = corner - (corner @ axis)[..., None] * axis
    # The second moment of a triangle is that of its corners and of nine times its centre, / 12.
    points = np.concatenate([*corner.swapaxes(0, 1), 3 * corner.mean(1)])
    moment = (np.tile(weight, 4)[:, None] * points).T @ points
    return np.asarray(np.linalg.eigh(moment)[1][:, 1])  # the first is the axis


def _turn_between(start: Array, end: Array, axis: Array) -> float:
    """Angle about a unit axis from one direction perpendicular to it to another, rad."""
    return float(np.arctan2(np.cross(start, end) @ axis, start @ end))


def _wrapped(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return (angle + pi) % (2 * pi) - pi
