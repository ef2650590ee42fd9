"""The objects of RBO: links, meshes and joints of a configuration, checked against a recording."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import degrees, pi, radians
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from kinediff3d_core.data.datasets.canonical import (
    AXIS_DEG,
    PIVOT,
    CanonicalModel,
    StatedJoint,
    StatedModel,
    box_sides,
    canonical_model,
    joint_motion,
)
from kinediff3d_core.data.datasets.joint_sense import closed_at_limit, closed_by_shape, thinnest
from kinediff3d_core.data.datasets.rbo_recording import Recording
from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.io.files import checked_file
from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.estimate import Mesh, transform_mesh
from kinediff3d_core.objects.urdf_meshes import UnusableMesh, load_mesh
from kinediff3d_core.objects.urdf_reader import (
    origin_transform,
    read_joints,
    three_numbers,
)

Array = np.ndarray[Any, Any]

MOMENTS = 60
"""Moments of a sequence at which joints are checked. Chosen."""
SPAN_DEG, SPAN_M = 10.0, 0.02
"""Least motion from which a joint's axis is found, degrees and m. Chosen."""
STATE_DEG, STATE_M = 3.0, 0.01
"""Largest difference between the recorded joint states and the poses, degrees and m. Chosen."""


OPENING = radians(1.0)
"""Rotation from which the sense of opening is found, rad. Chosen."""


@dataclass(frozen=True)
class RboObject:
    """A configuration of an object, as its YAML file states it.

    Attributes:
        markers: ids of the links' rigid bodies, the base first.
        joints: type of the joint of each other link, in their order.
        meshes: of the links in the frames of their bodies, m.
        axes: axis line of each joint in the base's frame by the URDF, as direction (3,) and point
            (3,), m; None where the URDF has no such joint.
    """

    markers: tuple[int, ...]
    joints: tuple[str, ...]
    meshes: tuple[Mesh, ...]
    axes: tuple[tuple[Array, Array] | None, ...]


@dataclass(frozen=True)
class RboModel:
    """An object of a sequence in its canonical frame.

    Attributes:
        obj: with its meshes.
        canonical: of the links in the base's frame, as they stand at the sequence's first moment.
        T_base_link: (P, 4, 4) links at that moment.
        markers: ids of the links' bodies.
        up: (3,) upward direction of the map in the canonical base frame, at that moment.
        notes: what had to be inferred or looks wrong.
    """

    obj: MeshObject
    canonical: CanonicalModel
    T_base_link: Array
    markers: tuple[int, ...]
    up: Array
    notes: tuple[str, ...]


def joint_types(folder: Path, name: str) -> list[str]:
    """Types of an object's joints, without its meshes.

    Raises:
        ValueError: as :func:`read_object`.
    """
    return [kind for _, kind in _links(_content(folder, name), folder)[1:]]


def read_object(folder: Path, name: str, root: Path) -> RboObject:
    """The object of a folder ``configuration_<date>``.

    Args:
        root: of the objects' folders, below which the meshes are.

    Raises:
        ValueError: a file that is missing or damaged, or links that are not one base with parts
            on it; one line that names the file.
    """
    content = _content(folder, name)
    links = _links(content, folder)
    prefix = str(content.get('link_name_prefix', 'rb'))
    numbers = {int(marker): str(number) for marker, number in content['link_ids'].items()}
    names = [f'{prefix}{numbers[marker]}' for marker, _ in links]
    meshes = []
    for link in names:
        try:
            mesh = load_mesh(root, _relative(str(content['meshes'][link])))
            pose = _origin(str(content['mesh_poses'][link]))
        except UnusableMesh as error:
            raise ValueError(f'{folder}: {error}') from error
        except (KeyError, TypeError) as error:
            raise ValueError(f'{folder}: no mesh or mesh pose of {link} ({error})') from error
        meshes.append(Mesh(transform_points(pose, np.asarray(mesh.vertices, dtype=np.float64)),
                           np.asarray(mesh.faces, dtype=np.int64)))
    return RboObject(tuple(m for m, _ in links), tuple(kind for _, kind in links[1:]),
                     tuple(meshes), _urdf_axes(folder / f'{name}.urdf', names))


def rbo_model(found: RboObject, name: str, category: Category, recording: Recording) -> RboModel:
    """The object in its canonical frame, by a recording of it.

    Raises:
        ValueError: a body without poses, a joint that cannot be found, or an object that is not of
            the category.
    """
    times, T = _base_link_poses(found, recording)
    meshes = [transform_mesh(first, mesh) for first, mesh in zip(T[0], found.meshes, strict=True)]
    notes: list[str] = list(recording.notes)
    joints = []
    for k, kind in enumerate(found.joints, start=1):
        moved = T[:, k] @ np.linalg.inv(T[0, k])
        joint, more = _joint(k, kind, found.axes[k - 1], moved, _diagonal(meshes))
        joint = _closed(joint, category, meshes, moved)
        limit = category.joints[0]
        joints.append(replace(joint, lower=joint.closed + limit.lower,
                              upper=joint.closed + limit.upper))
        notes += more + _state_notes(joint, times, moved, recording)
    up = recording.bodies[found.markers[0]].values[0][:3, :3].T @ np.array([0.0, 0.0, 1.0])
    points = tuple(m.vertices for m in meshes)
    canonical = canonical_model(StatedModel(category, points, tuple(joints), up))
    local = tuple(transform_mesh(np.linalg.inv(M), meshes[k])
                  for k, M in zip(canonical.parts, canonical.T_model_part, strict=True))
    obj = MeshObject(name, category.name, canonical.part_names, canonical.joints, local,
                     canonical.origin)
    return RboModel(obj, canonical, T[0], found.markers,
                    canonical.T_model_part[0, :3, :3].T @ up, tuple(notes))


def _content(folder: Path, name: str) -> dict[str, Any]:
    path = checked_file(folder / f'{name}_in.yaml', 'description of an object')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ValueError(f'{path} is no YAML: {str(error).splitlines()[0]}') from error
    if not isinstance(content, dict) or not isinstance(content.get('link_ids'), dict):
        raise ValueError(f'{path} has no link_ids')
    return content


def _links(content: Mapping[str, Any], folder: Path) -> list[tuple[int, str]]:
    """Marker ids of the links, the base first, with the types of their joints."""
    try:
        number = {int(marker): int(n) for marker, n in content['link_ids'].items()}
        joints = [(int(j['rb1_id']), int(j['rb2_id']), _joint_type(str(j['type']).lower()))
                  for j in content.get('joints') or ()]
        parents = {parent for parent, _, _ in joints}
        children = {child: kind for _, child, kind in joints}
        if len(parents) != 1 or not {*parents, *children} <= set(number) or parents & set(
                children):
            raise ValueError('its joints do not join parts to one base')
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{folder} is no object of one base and its parts: {error}') from error
    order = sorted(children, key=number.__getitem__)
    return [(parents.pop(), ''), *((child, children[child]) for child in order)]


def _joint_type(text: str) -> str:
    """``revolute`` or ``prismatic`` by the first letters, or the text itself."""
    kinds = {'rev': 'revolute', 'rot': 'revolute', 'pri': 'prismatic'}
    return kinds.get(text[:3], text)


def _relative(path: str) -> str:
    """A mesh's path below the folder of the objects."""
    return re.sub(r'^(package://[^/]+/)?(data/)?(objects/)?', '', path)


def _origin(text: str) -> Array:
    """Pose (4, 4) of a text such as ``<origin xyz="0 0 0" rpy="0 0 0"/>``."""
    found = {key: m[1] for key in ('xyz', 'rpy')
             if (m := re.search(key + r'''\s*=\s*["']([^"']*)["']''', text))}
    if not found:
        raise ValueError(f'mesh pose {text!r} has neither xyz nor rpy')
    return origin_transform(three_numbers(found.get('xyz', '0 0 0')),
                            three_numbers(found.get('rpy', '0 0 0')))


def _urdf_axes(path: Path, names: Sequence[str]) -> tuple[tuple[Array, Array] | None, ...]:
    """Axis lines of the joints from the base to each other link, in the base's frame."""
    axes: dict[str, tuple[Array, Array]] = {}
    for joint in read_joints(path):
        if joint.parent == names[0] and joint.joint_type != 'fixed' and joint.axis.any():
            direction = origin_transform(joint.xyz, joint.rpy)[:3, :3] @ joint.axis
            axes[joint.child] = direction / np.linalg.norm(direction), joint.xyz
    return tuple(axes.get(name) for name in names[1:])


def _base_link_poses(found: RboObject, recording: Recording) -> tuple[Array, Array]:
    """Moments (M,) of a recording, s, the first one included, and T_base_link (M, P, 4, 4)."""
    missing = [m for m in found.markers if m not in recording.bodies]
    if missing:
        raise ValueError(f'the recording has no poses of marker {missing[0]}; it has '
                         f'{sorted(recording.bodies)}')
    times = recording.bodies[found.markers[0]].times
    times = times[np.unique(np.linspace(0, len(times) - 1, MOMENTS).astype(int))]
    T = np.stack([[recording.bodies[m].nearest(t)[0] for m in found.markers] for t in times])
    return times, np.asarray(np.linalg.inv(T[:, :1]) @ T)


def _joint(child: int, kind: str, stated: tuple[Array, Array] | None, moved: Array,
           diagonal: float) -> tuple[StatedJoint, list[str]]:
    """The joint of a part that has moved by (M, 4, 4): the URDF's if it explains that motion."""
    notes = []
    if stated is not None:
        joint = StatedJoint(child, kind, *stated, 0, 0, 0)
        tilt, offset = _unexplained(joint, moved)
        if tilt <= AXIS_DEG and offset <= PIVOT * diagonal:
            return joint, []
        notes.append(f'the URDF\'s axis of link {child} leaves {tilt:.0f}° and '
                     f'{1000 * offset:.0f} mm of the recorded motion: that motion\'s own is taken')
    else:
        notes.append(f'the URDF has no joint of link {child}: that of its motion is taken')
    return StatedJoint(child, kind, *_axis_of(kind, child, moved), 0, 0, 0), notes


def _unexplained(joint: StatedJoint, moved: Array) -> tuple[float, float]:
    """Rotation, degrees, and displacement, m, that a joint leaves of motions (M, 4, 4)."""
    position = _positions(joint, moved)
    if joint.joint_type == 'prismatic':
        tilt = Rotation.from_matrix(moved[:, :3, :3]).magnitude()
        offset = moved[:, :3, 3] - position[:, None] * joint.axis
    else:
        turn = Rotation.from_rotvec(position[:, None] * joint.axis)
        tilt = (turn.inv() * Rotation.from_matrix(moved[:, :3, :3])).magnitude()
        offset = transform_points(moved, joint.origin[None])[:, 0] - joint.origin
    return degrees(float(tilt.max())), float(np.linalg.norm(offset, axis=-1).max())


def _positions(joint: StatedJoint, moved: Array) -> Array:
    """Positions (M,) of a joint by motions (M, 4, 4), rad or m."""
    if joint.joint_type == 'prismatic':
        return np.asarray(moved[:, :3, 3] @ joint.axis)
    x = Rotation.from_matrix(moved[:, :3, :3]).as_quat()
    angle = 2 * np.arctan2(x[:, :3] @ joint.axis, x[:, 3])
    return np.asarray((angle + pi) % (2 * pi) - pi)


def _axis_of(kind: str, child: int, moved: Array) -> tuple[Array, Array]:
    """Direction (3,) and point (3,) of the axis about or along which a part moves.

    Raises:
        ValueError: it moves too little.
    """
    R, t = moved[:, :3, :3], moved[:, :3, 3]
    steps = t if kind == 'prismatic' else Rotation.from_matrix(R).as_rotvec()
    span = SPAN_M if kind == 'prismatic' else radians(SPAN_DEG)
    reach = np.linalg.norm(steps, axis=-1)
    if reach.max() < span:
        raise ValueError(f'link {child} moves too little in this sequence to find its joint')
    _, _, vt = np.linalg.svd(steps)
    if kind == 'prismatic':
        return vt[0], np.zeros(3)
    # The point that all motions leave where it is: (I - R) p = t.
    far = reach > span
    A = (np.eye(3) - R[far]).reshape(-1, 3)
    point = np.linalg.lstsq(A, t[far].reshape(-1), rcond=0.05)[0]
    return vt[0], point


def _closed(joint: StatedJoint, category: Category, meshes: Sequence[Mesh], moved: Array,
            ) -> StatedJoint:
    """The joint with its closed position, and positive when it opens.

    A laptop's lid is closed by its shape (:func:`closed_by_shape`). A box's lid is closed where it
    lies along a side of the base's box, and of these four positions where the box around both is
    smallest; it opens away from the base's centre. So does a drawer, which is taken as closed
    where it is innermost in the sequence. A cabinet's door is taken as closed at that end of its
    motion in the sequence at which it is nearest to the base (:func:`closed_at_limit`).
    """
    base, part = meshes[0], meshes[joint.child]
    if category.name == 'laptop':
        return closed_by_shape(category.name, base, part, joint)
    position = _positions(joint, moved)
    if category.name == 'cabinet':
        return closed_at_limit(category.name, base, part, replace(
            joint, lower=float(position.min()), upper=float(position.max())))
    if joint.joint_type == 'revolute':
        return _closed_lid(joint, base, part)
    outermost = max(position, key=abs)
    apart = (_middle(part) - _middle(base)) @ joint.axis + outermost
    if apart < 0:
        joint, position = replace(joint, axis=-joint.axis), -position
    return replace(joint, closed=float(position.min()))


def _closed_lid(joint: StatedJoint, base_mesh: Mesh, lid_mesh: Mesh) -> StatedJoint:
    """A lid's joint with its closed position, and positive when it opens.

    Args:
        base_mesh, lid_mesh: in the frame of the joint, the lid at its zero.
    """
    base, lid = base_mesh.vertices, lid_mesh.vertices
    sides = box_sides(base, joint.axis)
    thin = thinnest(lid_mesh, joint.axis)
    frame = np.stack([joint.axis, *sides])

    def closed_box(position: float) -> float:
        moved = transform_points(joint_motion(joint, position), lid)
        return float(np.prod(np.ptp(np.concatenate([base, moved]) @ frame.T, axis=0)))

    turns = [float(np.arctan2(np.cross(thin, s * side) @ joint.axis, thin @ (s * side)))
             for side in sides for s in (1, -1)]
    closed = min(turns, key=closed_box)
    near = [float(np.linalg.norm(transform_points(joint_motion(joint, closed + step), lid).mean(0)
                                 - base.mean(0))) for step in (OPENING, -OPENING)]
    if near[0] > near[1]:
        return replace(joint, closed=closed)
    return replace(joint, axis=-joint.axis, closed=-closed)


def _state_notes(joint: StatedJoint, times: Array, moved: Array, recording: Recording,
                 ) -> list[str]:
    """A note if no recorded joint state follows the motion of a part, up to sense and zero."""
    if not recording.states:
        return []
    position = _positions(joint, moved)
    best = np.inf
    for track in recording.states.values():
        state = np.array([track.nearest(t)[0] for t in times])
        for sense in (1, -1):
            off = position - sense * state
            best = min(best, float(np.abs(off - np.median(off)).max()))
    revolute = joint.joint_type == 'revolute'
    if best <= (radians(STATE_DEG) if revolute else STATE_M):
        return []
    size = f'{degrees(best):.0f}°' if revolute else f'{1000 * best:.0f} mm'
    return [f'no recorded joint state follows link {joint.child}: the nearest is {size} off its '
            'poses, which are taken']


def _middle(mesh: Mesh) -> Array:
    return np.asarray((mesh.vertices.min(0) + mesh.vertices.max(0)) / 2)


def _diagonal(meshes: Sequence[Mesh]) -> float:
    points = np.concatenate([m.vertices for m in meshes])
    return float(np.linalg.norm(np.ptp(points, axis=0)))
