"""From an object as a data set states it to our canonical frame (docs/conventions.md).

A data set states a model: its parts in one frame, and its joints with their axes, pivots and a
zero of its own. The canonical axes of the base are found from these joints and from the boxes of
the parts, by one rule a category (:data:`RULES`). They are not stated for each object.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from kinediff3d_core.data.placement import match_joints
from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.estimate import transform_mesh

Array = np.ndarray[Any, Any]

UNIFORM = 0.01
"""Largest relative difference of the three scales of a pose that counts as uniform. Chosen."""

AXIS_DEG = 2.0
"""Largest rotation of a part that its joint does not explain, degrees. Chosen."""

PIVOT = 0.02
"""Largest displacement of a part that its joint does not explain, as a share of the object's
diagonal. Chosen."""

SNAP_DEG = 6.0
"""A joint axis that is closer than this, degrees, to an axis of the model's frame stands for it:
models are drawn along their frame, joints are fitted by hand (in ReArt-48 up to 5.2 degrees off).
"""

BOX_AREA = 1.05
"""A box along the model's axes is taken if its area is at most this multiple of the smallest
rectangle's. Chosen."""

TIP_DEG = 45.0
"""A base's tip is within this angle, degrees, of the perpendicular to the line between the middles
of closed scissors' halves. Chosen: their loops are outside."""

BOX_CORNERS = 8
"""Number of points of a part of which only the box is known."""

Vector = tuple[float, float, float]

RULES: dict[str, tuple[tuple[str, Vector], tuple[str, Vector]]] = {
    'laptop': (('axis', (0, -1, 0)), ('child', (1, 0, 0))),
    'box': (('axis', (0, -1, 0)), ('child', (1, 0, 0))),
    'stapler': (('axis', (0, -1, 0)), ('child', (1, 0, 0))),
    'dishwasher': (('axis', (0, 1, 0)), ('child', (0, 0, 1))),
    'eyeglasses': (('child', (-1, 0, 0)), ('up', (0, 0, 1))),
    'drawer': (('axis', (1, 0, 0)), ('up', (0, 0, 1))),
    'cutter': (('axis', (1, 0, 0)), ('thin', (0, 0, 1))),
    'scissors': (('axis', (0, 0, 1)), ('tip', (1, 0, 0))),
    'cabinet': (('up', (0, 0, 1)), ('opens', (1, 0, 0))),
}
"""Two directions of a model, and what they are in the canonical frame of a category.

``axis``: of the first joint, or the nearest axis of the model's frame (:data:`SNAP_DEG`).
``child``: from the pivots to the middles of the closed moving parts, along the nearest side of the
base's box. ``opens``: in which the closed moving parts start to open, along the nearest side of
that box. ``up``: of the model's frame. ``thin``: the shortest side of the base's box, upwards.
``tip``: from the pivot to the base's tip; the handles of closed scissors lie on both sides of it,
and move apart when the scissors open.
"""


@dataclass(frozen=True)
class StatedJoint:
    """A joint as a data set states it, in the model's frame.

    Attributes:
        child: index of the moving part.
        joint_type: ``revolute`` or ``prismatic``.
        axis: (3,) direction; a greater position is farther from closed.
        origin: (3,) a point of the axis, m.
        closed: position that is q = 0 in the canonical frame, rad or m.
        lower, upper: limits in the data set's own zero, rad or m.
        name: that of the part, where the data set has one.
    """

    child: int
    joint_type: str
    axis: Array
    origin: Array
    closed: float
    lower: float
    upper: float
    name: str = ''


@dataclass(frozen=True)
class StatedModel:
    """An object as a data set states it: all parts in one frame, at the data set's zero.

    Attributes:
        category: one of ours.
        points: one array (N, 3) a part, the base first, m: its vertices, or the eight corners of
            its box along the model's axes.
        joints: all with the base as parent.
        up: (3,) upward direction of the model's frame, where the data set has one.
    """

    category: Category
    points: tuple[Array, ...]
    joints: tuple[StatedJoint, ...]
    up: Array | None = None


@dataclass(frozen=True)
class CanonicalModel:
    """A model in its category's canonical frame.

    Attributes:
        part_names: K of the category's, the base first.
        joints: J of the category's, with the model's own axes and limits; indices are those of
            ``part_names``.
        origin: (J, 3) pivots in the base frame, m.
        parts: (K,) index into the data set's parts, the base first.
        T_model_part: (K, 4, 4) canonical part frames in the model's frame, at the data set's zero.
        diagonal: of the box of all parts, m.
        bounds: (K, 2, 3) boxes of the parts in their frames, m.
    """

    category: Category
    part_names: tuple[str, ...]
    joints: tuple[Joint, ...]
    origin: Array
    parts: tuple[int, ...]
    T_model_part: Array
    diagonal: float
    bounds: Array

    def truth(self, T_camera_model: Array, scale: float = 1.0,
              surfaces: tuple[Surface, ...] | None = None) -> Truth:
        """The truth of one view; joint positions are those of the poses.

        Args:
            T_camera_model: (P, 4, 4) rigid poses of the data set's parts, in its order.
            scale: size of this instance relative to the model.
            surfaces: one a canonical part, in canonical part frames, of the model's size.

        Raises:
            ValueError: a part that its joint cannot have moved like that.
        """
        local = self.T_model_part.copy()
        local[:, :3, 3] *= scale
        T = T_camera_model[list(self.parts)] @ local
        positions = [self._position(i, np.linalg.inv(T[0]) @ T[j.child], scale)
                     for i, j in enumerate(self.joints)]
        return Truth(
            self.category.name, self.part_names,
            tuple(j.name for j in self.joints), tuple(j.joint_type for j in self.joints),
            tuple(j.parent for j in self.joints), tuple(j.child for j in self.joints), T,
            np.array(positions), self.origin * scale, np.array([j.axis for j in self.joints]),
            surfaces and tuple(_scaled(s, scale) for s in surfaces),
            self.bounds.mean(1) * scale, np.linalg.inv(local))

    def _position(self, i: int, T_base_part: Array, scale: float) -> float:
        """Position of joint i, rad or m, from the pose of its part in the base frame.

        Raises:
            ValueError: more of the motion than the tolerances is not along the joint.
        """
        joint = self.joints[i]
        axis = np.array(joint.axis)
        turn = Rotation.from_matrix(T_base_part[:3, :3])
        shift = T_base_part[:3, 3] - scale * self.origin[i]
        if joint.joint_type == 'revolute':
            x, y, z, w = turn.as_quat()
            angle = 2 * np.arctan2(np.array([x, y, z]) @ axis, w)
            want = next(j for j in self.category.joints if j.name == joint.name)
            middle = (want.lower + want.upper) / 2
            position = float(middle + (angle - middle + pi) % (2 * pi) - pi)
            turn = Rotation.from_rotvec(-position * axis) * turn
        else:
            position = float(shift @ axis)
            shift = shift - position * axis
        tilt, offset = np.degrees(turn.magnitude()), float(np.linalg.norm(shift))
        if tilt > AXIS_DEG or offset > PIVOT * self.diagonal * scale:
            raise ValueError(f'{joint.name} does not explain the pose of its part: {tilt:.1f}° '
                             f'and {1000 * offset:.0f} mm are left')
        return position


def joint_motion(joint: StatedJoint, position: float) -> Array:
    """Motion (4, 4) of a part from the data set's zero to a position (rad or m), model's frame."""
    axis = np.asarray(joint.axis, dtype=np.float64) / np.linalg.norm(joint.axis)
    T = np.eye(4)
    if joint.joint_type == 'prismatic':
        T[:3, 3] = position * axis
    else:
        T[:3, :3] = Rotation.from_rotvec(position * axis).as_matrix()
        T[:3, 3] = joint.origin - T[:3, :3] @ joint.origin
    return T


def rigid_and_scale(T: Array) -> tuple[Array, float]:
    """Split a pose (4, 4) into its rigid motion and its uniform scale.

    Raises:
        ValueError: it mirrors, its scale is not uniform, or it is not finite.
    """
    if not np.isfinite(T).all():
        raise ValueError('the pose has numbers that are not finite')
    u, s, vt = np.linalg.svd(np.asarray(T, dtype=np.float64)[:3, :3])
    if s[2] <= 0 or s[0] / s[2] > 1 + UNIFORM:
        raise ValueError(f'the pose has no uniform scale: {np.round(s, 4).tolist()}')
    if np.linalg.det(u @ vt) < 0:
        raise ValueError('the pose mirrors its part')
    rigid = np.eye(4)
    rigid[:3, :3], rigid[:3, 3] = u @ vt, np.asarray(T)[:3, 3]
    return rigid, float(s.mean())


def canonical_model(model: StatedModel) -> CanonicalModel:
    """The model in its category's canonical frame, with the category's names and order.

    Raises:
        ValueError: its joints are not those of the category, or its axes cannot be found.
    """
    closed = [np.eye(4), *(joint_motion(j, j.closed) for j in model.joints)]
    order = [0, *(j.child for j in model.joints)]
    points = [transform_points(T, model.points[k]) for T, k in zip(closed, order, strict=True)]
    R = _canonical_axes(model, points)
    turned = [p @ R.T for p in points]
    centre = (turned[0].min(0) + turned[0].max(0)) / 2
    pivots = [_pivot(R @ j.origin, R @ _unit(j.axis), j.joint_type, p)
              for j, p in zip(model.joints, turned[1:], strict=True)]
    found = [Joint(f'joint_{i}', j.joint_type, 0, i + 1, _vector(R @ j.axis),
                   j.lower - j.closed, j.upper - j.closed)
             for i, j in enumerate(model.joints)]
    place = np.array([(p.min(0) + p.max(0)) / 2 - centre for p in turned[1:]])
    links = ['', *(j.name for j in model.joints)]
    match = match_joints(found, links, place, model.category)
    pick = match.pick
    frames, bounds = [], []
    for k in (0, *(i + 1 for i in pick)):
        T = np.eye(4)
        T[:3, :3] = R.T
        T[:3, 3] = R.T @ (pivots[k - 1] if k else centre)
        frames.append(np.linalg.inv(closed[k]) @ T)
        local = turned[k] - (pivots[k - 1] if k else centre)
        bounds.append((local.min(0), local.max(0)))
    everything = np.concatenate(turned)
    return CanonicalModel(
        model.category, match.parts, match.joints, np.stack([pivots[i] - centre for i in pick]),
        tuple(order[k] for k in (0, *(i + 1 for i in pick))), np.stack(frames),
        float(np.linalg.norm(np.ptp(everything, axis=0))), np.array(bounds))


def _canonical_axes(model: StatedModel, points: list[Array]) -> Array:
    """Rotation (3, 3) from the model's frame to the canonical one.

    Args:
        points: of the base and of the moving parts in the order of the joints, all closed.
    """
    if model.category.name not in RULES:
        raise ValueError(f'no rule for the canonical axes of a {model.category.name}')
    (first, a), (second, b) = RULES[model.category.name]
    u = _direction(first, model, points, None)
    v = _direction(second, model, points, u)
    v = v - (v @ u) * u
    if np.linalg.norm(v) < 0.5:
        raise ValueError(f'the directions {first!r} and {second!r} of the model are parallel')
    v = v / np.linalg.norm(v)
    ours = np.stack([u, v, np.cross(u, v)], axis=-1)
    want = np.stack([a, b, np.cross(a, b)], axis=-1)
    return np.asarray(want @ ours.T)


def _direction(kind: str, model: StatedModel, points: list[Array], first: Array | None) -> Array:
    """A unit direction (3,) of the model's frame, as :data:`RULES` names it.

    Args:
        first: the direction that is already known.
    """
    axis = _snapped(_unit(model.joints[0].axis))
    if kind == 'axis':
        return axis
    if kind == 'up':
        if model.up is None:
            raise ValueError('the model has no upward direction')
        return _unit(model.up)
    if kind == 'tip':
        return _tip(points, np.asarray(model.joints[0].origin), axis)
    sides = box_sides(points[0], axis)
    if kind in ('child', 'opens'):
        arms = [_towards(p, np.asarray(j.origin), sides)
                for p, j in zip(points[1:], model.joints, strict=True)]
        reach = sum(arms if kind == 'child' else [
            np.cross(_unit(j.axis), arm) for arm, j in zip(arms, model.joints, strict=True)])
        best = max((s * side for side in sides for s in (1, -1)), key=lambda d: float(d @ reach))
        return np.asarray(best)
    assert kind == 'thin'
    side = min(sides, key=lambda d: float(np.ptp(points[0] @ d)))
    up = side if model.up is None else np.asarray(model.up)
    return np.asarray(side if side @ up >= 0 else -side)


def _unit(v: Array) -> Array:
    """A direction (3,) of length one."""
    return np.asarray(np.asarray(v, dtype=np.float64) / np.linalg.norm(v))


def _snapped(axis: Array) -> Array:
    """The axis of the frame that a unit direction (3,) stands for, or itself."""
    near = np.argmax(np.abs(axis))
    if abs(axis[near]) < np.cos(np.radians(SNAP_DEG)):
        return axis
    return np.asarray(np.sign(axis[near]) * np.eye(3)[near])


def _towards(points: Array, origin: Array, sides: Array) -> Array:
    """From a joint's axis to the middle of a part (3,), in the plane of two directions (2, 3)."""
    flat = (points - origin) @ sides.T
    return np.asarray((flat.min(0) + flat.max(0)) / 2 @ sides)


def _plane(axis: Array) -> Array:
    """Two unit directions (2, 3) perpendicular to an axis, close to the frame's own axes."""
    u = np.eye(3)[np.argmin(np.abs(axis))]
    u = u - (u @ axis) * axis
    u = u / np.linalg.norm(u)
    return np.stack([u, np.cross(axis, u)])


def box_sides(points: Array, axis: Array) -> Array:
    """Directions (2, 3) of the sides of a part's box that are perpendicular to an axis.

    The model's own axes where they give a tight box, or where they are near the sides of the
    smallest rectangle and the joint's axis is one of them; else the smallest rectangle's.
    """
    import trimesh

    plane = _plane(axis)
    flat = points @ plane.T
    bounds: Any = trimesh.bounds  # It has no types.
    T, extents = bounds.oriented_bounds_2D(flat)
    drawn_along = np.abs(axis).max() == 1 and np.abs(T[:2, :2]).max() > np.cos(
        np.radians(SNAP_DEG))
    if drawn_along or np.prod(np.ptp(flat, axis=0)) <= BOX_AREA * np.prod(extents):
        return plane
    return np.asarray(T[:2, :2] @ plane)


def _tip(points: list[Array], origin: Array, axis: Array) -> Array:
    """Direction (3,) from the pivot of closed scissors to the base's tip.

    Along the side of the base's box where there are only boxes, else to the farthest vertex.

    Args:
        points: of the base and the other half, closed.
        axis: about which the other half opens.
    """
    sides = box_sides(points[0], axis)
    base, other = (_towards(p, origin, sides) for p in points)
    ahead = np.cross(base - other, axis)
    if len(points[0]) == BOX_CORNERS:
        return np.asarray(max((s * side for side in sides for s in (1, -1)),
                              key=lambda d: float(d @ ahead)))
    arms = points[0] - origin
    arms = arms - (arms @ axis)[:, None] * axis
    length = np.linalg.norm(arms, axis=-1)
    near = arms @ _unit(ahead) > length * np.cos(np.radians(TIP_DEG))
    return _unit(arms[np.argmax(np.where(near, length, 0))])


def _pivot(origin: Array, axis: Array, joint_type: str, points: Array) -> Array:
    """Origin (3,) of a moving part's frame: on its axis beside the middle of the part's box.

    A prismatic joint has no axis of its own: the centre of the part's box.
    """
    middle = (points.min(0) + points.max(0)) / 2
    if joint_type == 'prismatic':
        return np.asarray(middle)
    return np.asarray(origin + ((middle - origin) @ axis) * axis)


def _vector(v: Array) -> Vector:
    x, y, z = _unit(v).tolist()
    return x, y, z


def _scaled(surface: Surface, scale: float) -> Surface:
    T = np.diag([scale, scale, scale, 1.0])
    pool = None if surface.pool is None else surface.pool * scale
    return Surface(transform_mesh(T, surface.mesh), pool,
                   None if surface.area is None else surface.area * scale ** 2)
