"""The objects of ArtImage: points, joints and rest states, in our canonical frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import degrees, pi, radians
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from kinediff3d_core.data.datasets.canonical import (
    CanonicalModel,
    StatedJoint,
    StatedModel,
    canonical_model,
    joint_motion,
)
from kinediff3d_core.data.datasets.json_file import read_json
from kinediff3d_core.data.point_surfaces import MIN_POINTS, point_surface
from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.data.truth import Truth
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.io.files import checked_file
from kinediff3d_core.objects.category import Category, get_category
from kinediff3d_core.objects.urdf_reader import UrdfJoint, read_joints

Array = np.ndarray[Any, Any]

PARTS = {'laptop': 2, 'eyeglasses': 3, 'dishwasher': 2, 'drawer': 4, 'scissors': 2}
"""Parts of each object, the base included."""

METRES = {'laptop': 0.25, 'eyeglasses': 0.12, 'dishwasher': 0.55, 'drawer': 0.55, 'scissors': 0.10}
"""Metres that we take for one unit of the data set, whose objects are about 2 units large. Chosen:
mean diagonal of our procedural objects by that of ArtImage's objects, rounded. The latter follows
from the mean sizes that a public loader of the data set lists (docs/datasets.md)."""

UP = np.array([0.0, 1.0, 0.0])
"""Upward direction of the models' frame. That y is vertical follows from the mean sizes of parts;
that it is not down is inferred and checked in each view."""

REST = {'laptop': pi / 2, 'dishwasher': pi / 2, 'eyeglasses': 0.0, 'drawer': 0.0}
"""Canonical joint position in the data set's rest state, rad or m. Inferred from the mean sizes of
parts in it: an upright lid, a level door, legs straight back, drawers closed. Scissors are
measured by their tips."""

REST_DEG = 10.0
"""Largest angle between a part at rest and the direction of :data:`REST`, degrees. Chosen."""

TIP = 0.03
"""Points that are nearer to the pivot than the farthest one by at most this share of its distance
are the tip of a half of scissors. Chosen: the closed position of procedural scissors, sharp and
blunt, is then right to 5 degrees (``test/data/datasets/test_artimage.py``)."""

MAX_POINTS = 2_000_000
"""Largest number of points of a part. Chosen: bounds memory."""


@dataclass(frozen=True)
class ArtImageModel:
    """One object.

    Attributes:
        canonical: of the parts in the URDF's zero pose, m.
        points: (N, 3) of each part of the canonical model, in canonical part frames, m.
        surfaces: the same as surfaces.
        rest: (J,) canonical position in the rest state, rad or m.
        sign: (J,) canonical position for one unit of the annotated state.
        T_part_stated: (K, 4, 4) frames of the data set's own metrics in canonical part frames:
            those of the rest state, about the centre of the whole object's box, m.
        notes: what had to be inferred or looks wrong.
    """

    canonical: CanonicalModel
    points: tuple[Array, ...]
    surfaces: tuple[Surface, ...]
    rest: Array
    sign: Array
    T_part_stated: Array
    notes: tuple[str, ...]

    def truth(self, T_camera_model: Array, scale: float) -> Truth:
        """The truth of one view; see :meth:`CanonicalModel.truth`."""
        frames = self.T_part_stated.copy()
        frames[:, :3, 3] *= scale
        return replace(self.canonical.truth(T_camera_model, scale, self.surfaces),
                       T_part_stated=frames)


@dataclass(frozen=True)
class _Stated:
    """A joint as the files state it: motion by the state ``s`` is ``sense * (s + rest)``.

    Attributes:
        child: index of its part.
        axis, origin: (3,) in the model's frame, m.
        rest: state of the rest pose, rad or m.
        sense: of a positive state about or along the axis: -1 revolute, 1 prismatic.
        middle: of its limits, rad or m; NaN without limits.
    """

    child: int
    joint_type: str
    axis: Array
    origin: Array
    rest: float
    sense: int
    middle: float

    def at(self, state: float) -> Array:
        """Motion (4, 4) of the part from the URDF's zero pose to a state."""
        stated = StatedJoint(self.child, self.joint_type, self.axis, self.origin, 0, 0, 0)
        return joint_motion(stated, self.sense * (state + self.rest))


def read_model(folder: Path, category: str) -> ArtImageModel:
    """The object of a folder ``<root>/<category>/urdf/<urdf_id>``.

    Raises:
        ValueError: a file that is missing, damaged or contradicts another; one line that names it.
    """
    spec = get_category(category)
    try:
        stated, notes = _stated_joints(folder, spec)
        points = tuple(_read_points(folder / 'part_point_sample' / f'{k}.xyz', category)
                       for k in range(PARTS[category]))
        senses = [_opening(spec, j, points) for j in stated]
        joints = tuple(_oriented(spec, j, *s) for j, s in zip(stated, senses, strict=True))
        up = None if category == 'scissors' else UP
        model = canonical_model(StatedModel(spec, points, joints, up))
        stated_frames = _stated_frames(folder, spec, stated, points)
    except ValueError as error:
        raise ValueError(f'{folder}: {error}') from error
    notes += [note for j in stated if (note := _rest_note(spec, j, points))]
    order = [k - 1 for k in model.parts[1:]]
    local = tuple(transform_points(np.linalg.inv(T), points[k])
                  for k, T in zip(model.parts, model.T_model_part, strict=True))
    return ArtImageModel(
        model, local, tuple(point_surface(p) for p in local),
        np.array([senses[i][1] for i in order]),
        np.array([senses[i][0] * stated[i].sense for i in order]),
        np.linalg.inv(model.T_model_part) @ stated_frames[list(model.parts)], tuple(notes))


def _stated_joints(folder: Path, spec: Category) -> tuple[list[_Stated], list[str]]:
    """The joints in the order of their parts, and notes."""
    rests = read_json(folder.parent / 'rest_state.json', dict)
    found = {}
    for joint in read_joints(folder / 'mobility_for_unity_align.urdf'):
        if joint.joint_type in ('fixed', '0'):
            continue
        child = joint.name.rsplit('_', 1)[-1]
        if not child.isdecimal():
            raise ValueError(f'the name of joint {joint.name!r} does not end in a part\'s number')
        found[int(child)] = joint
    wanted = range(1, PARTS[spec.name])
    if sorted(found) != list(wanted):
        raise ValueError(f'mobility_for_unity_align.urdf moves the parts {sorted(found)}, '
                         f'expected {list(wanted)}')
    notes = []
    if folder.name not in rests:
        notes.append(f'rest_state.json has no entry {folder.name}: 0 is taken')
    rest = rests.get(folder.name, {})
    return [_stated(spec, k, found[k], rest) for k in wanted], notes


def _stated(spec: Category, child: int, joint: UrdfJoint, rest: Any) -> _Stated:
    """A joint in the model's frame: (y, z, x) of the URDF's (x, y, z)."""
    want = spec.joints[0].joint_type
    if joint.joint_type != want:
        raise ValueError(f'joint {joint.name!r} is {joint.joint_type}, expected {want}')
    try:
        state = float(rest.get(str(child), {'state': 0})['state'])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'rest_state.json has no state of part {child}') from error
    axis, origin = (v[[1, 2, 0]] for v in (joint.axis, joint.xyz))
    length = float(np.linalg.norm(axis))
    if not (length > 0 and np.isfinite(state)):
        raise ValueError(f'joint {joint.name!r} has the axis {joint.axis.tolist()} and the rest '
                         f'state {state}')
    metres = METRES[spec.name]
    revolute = joint.joint_type == 'revolute'
    return _Stated(child, joint.joint_type, axis / length, metres * origin,
                   radians(state) if revolute else metres * state, -1 if revolute else 1,
                   (joint.lower + joint.upper) / 2 * (1 if revolute else metres))


def _read_points(path: Path, category: str) -> Array:
    """Points (N, 3) of a part at the URDF's zero pose, m."""
    file = checked_file(path, 'point cloud')
    try:
        points = np.loadtxt(file, dtype=np.float64, ndmin=2, max_rows=MAX_POINTS)[:, :3]
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f'{path.name} is no list of points: {error}') from error
    if points.shape[1] != 3 or len(points) < MIN_POINTS or not np.isfinite(points).all():
        raise ValueError(f'{path.name} must hold at least {MIN_POINTS} finite points of three '
                         f'coordinates, it has the shape {points.shape}')
    return METRES[category] * points


def _opening(spec: Category, joint: _Stated, points: tuple[Array, ...]) -> tuple[int, float]:
    """In which sense about its axis a joint opens (1 or -1), and its canonical position at rest.

    A lid or door closes to the side on which it comes nearer to the base. A leg of eyeglasses
    folds to that side. Scissors are open at rest by the angle between their tips. Drawers open to
    the side on which their limits leave them more way; without limits, away from the base's
    centre.
    """
    child = transform_points(joint.at(0.0), points[joint.child])
    if joint.joint_type == 'prismatic':
        way = joint.middle - joint.rest
        if not np.isfinite(way) or way == 0:
            way = float((_middle(child) - _middle(points[0])) @ joint.axis)
        return (1 if way > 0 else -1), REST[spec.name]
    if spec.name == 'scissors':
        first, second = (_tip(p, joint) for p in (points[0], child))
        between = float(np.arctan2(np.cross(first, second) @ joint.axis, first @ second))
        return (1 if between > 0 else -1), abs(between)
    at_rest = REST[spec.name]
    turn = -at_rest or pi / 2
    away = [float(np.linalg.norm(_turned(_middle(child), joint, s * turn) - _middle(points[0])))
            for s in (1, -1)]
    return (1 if away[0] < away[1] else -1), at_rest


def _oriented(spec: Category, joint: _Stated, opens: int, at_rest: float) -> StatedJoint:
    """The joint with positions that grow as it opens, from the URDF's zero pose on."""
    closed = opens * joint.sense * joint.rest - at_rest
    limit = spec.joints[joint.child - 1]
    return StatedJoint(joint.child, joint.joint_type, opens * joint.axis, joint.origin, closed,
                       closed + limit.lower, closed + limit.upper)


def _rest_note(spec: Category, joint: _Stated, points: tuple[Array, ...]) -> str:
    """A note if a lid, door or leg does not lie at rest as :data:`REST` has it; else empty."""
    if spec.name in ('drawer', 'scissors'):
        return ''
    child = transform_points(joint.at(0.0), points[joint.child])
    long = _longest(child, joint.axis)
    other = _longest(points[0], joint.axis) if spec.name == 'eyeglasses' else UP
    angle = degrees(float(np.arccos(min(1.0, abs(float(long @ other))))))
    off = angle if spec.name == 'laptop' else 90 - angle
    if off <= REST_DEG:
        return ''
    return (f'part {joint.child} lies {off:.0f}° off its expected rest pose: positions of '
            f'{spec.joints[joint.child - 1].name} may be off by that')


def _stated_frames(folder: Path, spec: Category, stated: list[_Stated],
                   points: tuple[Array, ...]) -> Array:
    """Frames (P, 4, 4) of the data set's own poses in the model's frame, at the URDF's zero pose.

    Parts go to the rest state, and the origin to the middle of the box around all of them. Poses
    of scissors are turned before that by what ``mobility_for_unity_align.urdf`` changed.
    """
    T = np.stack([np.eye(4), *(j.at(0.0) for j in stated)])
    if spec.name == 'scissors':
        before, after = (next(j for j in read_joints(folder / f'{name}.urdf')
                              if j.name.split('_')[1:] == ['0'])
                         for name in ('mobility_for_unity', 'mobility_for_unity_align'))
        x, y, z = after.xyz - before.xyz
        roll, pitch, yaw = after.rpy - before.rpy
        align = np.eye(4)
        align[:3, :3] = Rotation.from_euler('ZXY', (-roll, yaw, -pitch)).as_matrix()
        align[:3, 3] = METRES['scissors'] * np.array([-x, z, -y])
        T = align @ T
    centre = np.eye(4)
    centre[:3, 3] = _middle(np.concatenate([transform_points(t, p)
                                            for t, p in zip(T, points, strict=True)]))
    return np.asarray(np.linalg.inv(T) @ centre)


def _tip(points: Array, joint: _Stated) -> Array:
    """Direction (3,) from the pivot of scissors to the tip of a half, the end of its narrower
    side of the pivot."""
    arm = points - joint.origin
    arm = arm - (arm @ joint.axis)[:, None] * joint.axis
    long = _longest(arm, joint.axis)
    along, across = arm @ long, arm @ np.cross(joint.axis, long)
    if not ((along > 0).sum() > 2 and (along < 0).sum() > 2):
        raise ValueError('a half of the scissors is on one side of the pivot')
    narrow = min((along > 0, along < 0), key=lambda side: float(np.ptp(across[side])))
    reach = np.linalg.norm(arm, axis=-1)
    far = arm[narrow & (reach > (1 - TIP) * reach[narrow].max())]
    tip = _middle(far)
    return np.asarray(tip / np.linalg.norm(tip))


def _middle(points: Array) -> Array:
    return np.asarray((points.min(0) + points.max(0)) / 2)


def _turned(p: Array, joint: _Stated, angle: float) -> Array:
    R = Rotation.from_rotvec(angle * joint.axis).as_matrix()
    return np.asarray(joint.origin + R @ (p - joint.origin))


def _longest(points: Array, axis: Array) -> Array:
    """Direction (3,) perpendicular to an axis in which points spread most."""
    flat = points - (points @ axis)[:, None] * axis
    return np.asarray(np.linalg.eigh(np.cov(flat.T))[1][:, 2])
