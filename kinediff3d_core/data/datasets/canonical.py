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

BOX_AREA = 1.05
"""A box along the model's axes is taken if its area is at most this multiple of the smallest
rectangle's. Chosen."""

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
}
"""Two directions of a model, and what they are in the canonical frame of a category.

``axis``: of the first joint. ``child``: from the pivots to the centres of the moving parts when
closed, along the nearest side of the base's box. ``up``: of the model's frame. ``thin``: the
shortest side of the base's box, upwards. ``tip``: from the pivot to the end of the base whose half
is the narrower one.
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
        points: one array (N, 3) a part, the base first, m: its vertices, or its box's corners.
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
        joints: J of the category's, with the model's own axes and limits.
        parts: (K,) index into the data set's parts, the base first.
        T_model_part: (K, 4, 4) canonical part frames in the model's frame, at the data set's zero.
        origin: (J, 3) pivots in the base frame, m.
        bounds: (K, 2, 3) boxes of the parts in their frames, m.
        diagonal: of the box of all parts, m.
    """

    category: Category
    joints: tuple[Joint, ...]
    parts: tuple[int, ...]
    T_model_part: Array
    origin: Array
    bounds: Array
    diagonal: float

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
            self.category.name, self.category.parts[:len(self.parts)],
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
            middle = (self.category.joints[i].lower + self.category.joints[i].upper) / 2
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


def rigid_and_scale(T: Array) -> tuple[Array, float]:
    """Split a pose (4, 4) into its rigid motion and its uniform scale.

    Raises:
        ValueError: it mirrors, or its scale is not uniform.
    """
    u, s, vt = np.linalg.svd(np.asarray(T, dtype=np.float64)[:3, :3])
    if not np.isfinite(s).all() or s[2] <= 0 or s[0] / s[2] > 1 + UNIFORM:
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
    closed = [np.eye(4), *(_motion(j, j.closed) for j in model.joints)]
    order = [0, *(j.child for j in model.joints)]
    points = [transform_points(T, model.points[k]) for T, k in zip(closed, order, strict=True)]
    R = _canonical_axes(model, points)
    turned = [p @ R.T for p in points]
    centre = (turned[0].min(0) + turned[0].max(0)) / 2
    pivots = [_pivot(R @ j.origin, R @ j.axis, j.joint_type, centre, p)
              for j, p in zip(model.joints, turned[1:], strict=True)]
    found = [Joint(f'joint_{i}', j.joint_type, 0, i + 1, _vector(R @ j.axis),
                   j.lower - j.closed, j.upper - j.closed)
             for i, j in enumerate(model.joints)]
    place = np.array([(p.min(0) + p.max(0)) / 2 - centre for p in turned[1:]])
    links = ['', *(j.name for j in model.joints)]
    pick = match_joints(found, links, place, model.category)
    joints = tuple(Joint(want.name, want.joint_type, 0, want.child, found[i].axis, found[i].lower,
                         found[i].upper)
                   for want, i in zip(model.category.joints, pick, strict=False))
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
        model.category, joints, tuple(order[k] for k in (0, *(i + 1 for i in pick))),
        np.stack(frames), np.stack([pivots[i] - centre for i in pick]), np.array(bounds),
        float(np.linalg.norm(np.ptp(everything, axis=0))))


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
    joint = model.joints[0]
    axis = np.asarray(joint.axis, dtype=np.float64) / np.linalg.norm(joint.axis)
    if kind == 'axis':
        return axis
    if kind == 'up':
        if model.up is None:
            raise ValueError('the model has no upward direction')
        return np.asarray(model.up, dtype=np.float64)
    if kind == 'tip':
        return _tip(points[0], np.asarray(joint.origin), axis)
    sides = _box_sides(points[0], axis)
    if kind == 'child':
        reach = sum(_towards(p, np.asarray(j.origin), axis)
                    for p, j in zip(points[1:], model.joints, strict=True))
        best = max((s * side for side in sides for s in (1, -1)), key=lambda d: float(d @ reach))
        return np.asarray(best)
    assert kind == 'thin'
    side = min(sides, key=lambda d: float(np.ptp(points[0] @ d)))
    up = side if model.up is None else np.asarray(model.up)
    return np.asarray(side if side @ up >= 0 else -side)


def _towards(points: Array, origin: Array, axis: Array) -> Array:
    """From a joint's axis to the centre of a part (3,), perpendicular to the axis."""
    r = (points.min(0) + points.max(0)) / 2 - origin
    return np.asarray(r - (r @ axis) * axis)


def _plane(axis: Array) -> Array:
    """Two unit directions (2, 3) perpendicular to an axis, close to the frame's own axes."""
    u = np.eye(3)[np.argmin(np.abs(axis))]
    u = u - (u @ axis) * axis
    u = u / np.linalg.norm(u)
    return np.stack([u, np.cross(axis, u)])


def _box_sides(points: Array, axis: Array) -> Array:
    """Directions (2, 3) of the sides of a part's box that are perpendicular to an axis.

    The model's own axes where they give a tight box, else the smallest rectangle's.
    """
    import trimesh

    plane = _plane(axis)
    flat = points @ plane.T
    bounds: Any = trimesh.bounds  # It has no types.
    T, extents = bounds.oriented_bounds_2D(flat)
    if np.prod(np.ptp(flat, axis=0)) <= BOX_AREA * np.prod(extents):
        return plane
    return np.asarray(T[:2, :2] @ plane)


def _tip(points: Array, origin: Array, axis: Array) -> Array:
    """Direction (3,) from a pivot to the farthest point of the narrower half of a part."""
    plane = _plane(axis)
    flat = (points - origin) @ plane.T
    _, _, vt = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    along, across = flat @ vt[0], flat @ vt[1]
    halves = [along > 0, along < 0]
    if not all(half.sum() > 2 for half in halves):
        raise ValueError('the pivot is at the end of the base: its tip cannot be found')
    narrow = halves[int(np.ptp(across[halves[0]]) > np.ptp(across[halves[1]]))]
    tip = flat[narrow][np.argmax((flat[narrow] ** 2).sum(-1))] @ plane
    return np.asarray(tip / np.linalg.norm(tip))


def _pivot(origin: Array, axis: Array, joint_type: str, centre: Array, points: Array) -> Array:
    """Origin (3,) of a moving part's frame: on its axis beside the base's centre.

    A prismatic joint has no axis of its own: the centre of the part's box.
    """
    if joint_type == 'prismatic':
        return np.asarray((points.min(0) + points.max(0)) / 2)
    return np.asarray(origin + ((centre - origin) @ axis) * axis)


def _motion(joint: StatedJoint, position: float) -> Array:
    """Motion (4, 4) of a joint in the model's frame."""
    axis = np.asarray(joint.axis, dtype=np.float64) / np.linalg.norm(joint.axis)
    T = np.eye(4)
    if joint.joint_type == 'prismatic':
        T[:3, 3] = position * axis
    else:
        T[:3, :3] = Rotation.from_rotvec(position * axis).as_matrix()
        T[:3, 3] = joint.origin - T[:3, :3] @ joint.origin
    return T


def _vector(v: Array) -> Vector:
    x, y, z = (v / np.linalg.norm(v)).tolist()
    return x, y, z


def _scaled(surface: Surface, scale: float) -> Surface:
    T = np.diag([scale, scale, scale, 1.0])
    pool = None if surface.pool is None else surface.pool * scale
    return Surface(transform_mesh(T, surface.mesh), pool,
                   None if surface.area is None else surface.area * scale ** 2)
