"""The joint of a part from two states of an object, without corresponding points."""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees, radians
from typing import Any

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from kinediff3d_core.data.datasets.canonical import AXIS_DEG, PIVOT
from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.objects.mesh_sampling import sample_mesh

Array = np.ndarray[Any, Any]

POINTS = 500
"""Points of a part that are laid on its other state. Chosen."""
SCALE = 0.01
"""Distance from which on a point counts less, as a share of the part's diagonal. Chosen: where a
part was cut out of a mesh, its edge differs between states."""


STEP = 1e-4
"""Step of finite differences, rad and diagonals: well above the ray caster's float32. Chosen."""


TOLERANCE, MAX_STEPS = 1e-12, 50
"""Where the alignment stops. Chosen."""
TIE = 0.002
"""Residuals that differ by less are equally good, as a share of the diagonal. Chosen."""


@dataclass(frozen=True)
class Axis:
    """Of a rotation by the stated angle.

    Attributes:
        direction: (3,) unit.
        origin: (3,) a point of it.
        angle: of the rotation that the surfaces say, rad, at least 0.
        slip: translation along the axis.
        residual: root mean square distance that is left.
    """

    direction: Array
    origin: Array
    angle: float
    slip: float
    residual: float

    def distance(self, points: Array) -> float:
        """From the axis to the nearest of points (N, 3)."""
        return float(np.linalg.norm(np.cross(points - self.origin, self.direction), axis=-1).min())


class Target:
    """A surface on which points are laid.

    Args:
        mesh: in the model's frame.
    """

    def __init__(self, mesh: Mesh) -> None:
        self._scene = raycasting_scene([mesh])

    def offsets(self, points: Array) -> Array:
        """From the nearest points of the surface to points (N, 3)."""
        near = self._scene.compute_closest_points(points.astype(np.float32))['points'].numpy()
        return np.asarray(points - near)


def mean_distance(start: Mesh, end: Mesh) -> float:
    """Mean distance of points of one surface to another."""
    points = sample_mesh(start, POINTS, np.random.default_rng(0))
    return float(np.linalg.norm(Target(end).offsets(points), axis=-1).mean())


def rotation_axis(base: Mesh, start: Mesh, end: Mesh, angle: float, diagonal: float) -> Axis:
    """The axis about which a part was rotated by a known angle.

    The surfaces are aligned by least squares of point-to-surface distances, from rotations about
    each axis of the frame. The angle of the alignment is free: that it is the stated one is the
    check. A symmetric part can be aligned in several ways: its axis is the one nearest to the
    base.

    Args:
        base: in the same frame.
        start, end: the part in two states.
        angle: from start to end, rad, not 0.
        diagonal: of the object.

    Raises:
        ValueError: the states differ by something else than such a rotation.
    """
    found = _alignments(start, end, angle, diagonal)
    good = [a for a in found if abs(a.angle - abs(angle)) <= radians(AXIS_DEG)
            and max(a.residual, a.slip) <= PIVOT * diagonal]
    if not good:
        best = min(found, key=lambda a: a.residual)
        raise ValueError(f'a part is said to rotate by {degrees(angle):.0f}°, its surfaces say '
                         f'{degrees(best.angle):.1f}° with {best.residual:.3g} left and a slip of '
                         f'{best.slip:.3g}')
    least = min(a.residual for a in good) + TIE * diagonal
    points = sample_mesh(base, POINTS, np.random.default_rng(0))
    return min((a for a in good if a.residual <= least), key=lambda a: a.distance(points))


def _alignments(start: Mesh, end: Mesh, angle: float, diagonal: float) -> list[Axis]:
    """Local optima of the alignment of two surfaces, one from each axis of the frame."""
    points, goal = (sample_mesh(m, POINTS, np.random.default_rng(0)) for m in (start, end))
    centre, goal_centre, target = points.mean(0), goal.mean(0), Target(end)

    def aligned(x: Array, first: Rotation) -> tuple[Rotation, Array]:
        """Rotation about ``centre``, and where that goes; all of x is about 1."""
        return Rotation.from_rotvec(x[:3] - 1) * first, goal_centre + (x[3:] - 1) * diagonal

    def residuals(x: Array, first: Rotation) -> Array:
        turn, place = aligned(x, first)
        return target.offsets(turn.apply(points - centre) + place).ravel()

    out = []
    for side in (*np.eye(3), *-np.eye(3)):
        first = Rotation.from_rotvec(angle * side)
        fit = least_squares(residuals, np.ones(6), loss='soft_l1', f_scale=SCALE * diagonal,
                            diff_step=STEP, ftol=TOLERANCE, xtol=TOLERANCE, gtol=TOLERANCE,
                            max_nfev=MAX_STEPS, args=(first,))
        turn, place = aligned(fit.x, first)
        direction = turn.as_rotvec() / max(turn.magnitude(), 1e-12) * np.sign(angle)
        shift = place - turn.apply(centre)
        origin = np.linalg.lstsq(np.eye(3) - turn.as_matrix(), shift, rcond=1e-6)[0]
        out.append(Axis(direction, origin, float(turn.magnitude()), abs(float(shift @ direction)),
                        float(np.sqrt((fit.fun ** 2).sum() / len(points)))))
    return out
