"""Articulated objects from URDF folders: PartNet-Mobility, ArtImage, ReArtMix or a user's own.

An object is one folder with one ``*.urdf`` and the meshes that it names. The part of the folder's
name before the first ``_`` is its category. Axes must follow docs/conventions.md, or a
:class:`Placement` says how to turn them. Links become parts: all links between two movable joints
are one part, whose frame is at its joint's pivot and parallel to the base frame at q = 0. The base
frame is moved to the centre of the base part's box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.placement import AS_WRITTEN, Placement, match_joints, sense
from kinediff3d_core.geometry.kinematics import Joint, forward_kinematics
from kinediff3d_core.objects.category import CATEGORIES, Category
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.objects.urdf import joint_name, link_name
from kinediff3d_core.objects.urdf_files import deeper_hint, find_urdf, find_urdfs, object_folder
from kinediff3d_core.objects.urdf_meshes import link_meshes, warn_left_out
from kinediff3d_core.objects.urdf_reader import read_urdf

Array = np.ndarray[Any, Any]

MAX_FACES = 4_000_000
"""Largest number of triangles of an object. Chosen: they must fit in memory."""
MAX_TURN = 4 * np.pi
"""Largest limit of a revolute joint, rad. Chosen: limits in degrees are beyond it."""
MIN_AXIS = 1e-6
"""A joint axis that is shorter has no direction. Chosen."""


@dataclass(frozen=True)
class MeshObject:
    """One articulated object made of meshes, in its category's canonical frame."""

    name: str
    """Of its folder."""
    category: str
    """The part of that name before the first ``_``."""
    parts: tuple[str, ...]
    """K = J + 1 part names, the base first; those of the category where it is a known one."""
    joints: tuple[Joint, ...]
    """J joints in the same order as the category's; indices are those of ``parts``."""
    meshes: tuple[Mesh, ...]
    """One a part, in its part frame, m. They need not be watertight."""
    origin: Array
    """(J, 3) pivots in the parent's frame, m."""

    @property
    def axis(self) -> Array:
        """(J, 3) unit directions in the parent's frame."""
        return np.array([j.axis for j in self.joints])

    @property
    def lower(self) -> Array:
        """(J,) lower limits, rad or m."""
        return np.array([j.lower for j in self.joints])

    @property
    def upper(self) -> Array:
        """(J,) upper limits, rad or m."""
        return np.array([j.upper for j in self.joints])

    @property
    def bounds(self) -> Array:
        """(K, 2, 3) axis-aligned box of each part in its frame, m."""
        return np.array([(m.vertices.min(0), m.vertices.max(0)) for m in self.meshes])

    def part_poses(self, q: Tensor, T_camera_base: Tensor) -> Tensor:
        """T_camera_part (..., K, 4, 4), m, at joint positions q (..., J), rad or m."""
        origin = torch.as_tensor(self.origin).to(q).expand(*q.shape, 3)
        axis = torch.as_tensor(self.axis).to(q).expand(*q.shape, 3)
        return forward_kinematics(self.joints, T_camera_base, q, origin, axis)


def list_objects(root: Path | str, category: str | None = None) -> list[Path]:
    """Folders with a URDF in ``root``, sorted by name, of one category or of all.

    ``root`` may also be the folder of one object, or a URDF.

    Raises:
        ValueError: no such folder, or none of that category in it.
    """
    folder = Path(root)
    if not folder.exists():
        raise ValueError(f'object folder {folder} does not exist')
    if folder.is_file() or find_urdfs(folder):
        found = [folder]
    else:
        found = sorted(p for p in folder.iterdir() if p.is_dir() and find_urdfs(p))
    chosen = [p for p in found if category is None or category_of(p) == category]
    if not chosen:
        present = ', '.join(sorted({category_of(p) for p in found})) or 'none'
        hint = '' if found else deeper_hint(folder)
        raise ValueError(f'{folder} has no folder {category or "<category>"}_<id> with a *.urdf '
                         f'in it; categories there: {present}{hint}')
    return chosen


def category_of(folder: Path) -> str:
    """The part of the name of an object's folder before the first ``_``."""
    return name_of(folder).split('_')[0]


def name_of(path: Path) -> str:
    """Name of the folder of an object, which may be given by its URDF."""
    return object_folder(path).resolve().name


def load_object(folder: Path | str, category: Category | None = None,
                placement: Placement = AS_WRITTEN) -> MeshObject:
    """The object of one folder.

    Args:
        category: of the object; None uses the one in the folder's name, if it is known.
        placement: how the URDF's root frame, unit and joint zero become canonical.

    Raises:
        ValueError: no or several URDFs, damaged or oversized files, meshes that are missing or
            outside the folder, no movable joint, or joints that are not those of the category.
    """
    path = Path(folder)
    source = find_urdf(path)
    robot = read_urdf(source)
    movable = [j for j in robot.robot.joints if j.type in ('revolute', 'continuous', 'prismatic')]
    if not movable:
        raise ValueError(f'{source} has no revolute or prismatic joint')
    for joint in movable:
        if not np.linalg.norm(np.asarray(joint.axis, dtype=np.float64)) > MIN_AXIS:
            raise ValueError(f'{source}: joint {joint.name!r} has an axis without a direction, '
                             f'{[float(x) for x in joint.axis]}')
    spec = category or CATEGORIES.get(category_of(path))
    return _assemble(source, robot, movable, spec, placement)


def _assemble(source: Path, robot: Any, movable: list[Any], spec: Category | None,
              placement: Placement) -> MeshObject:
    """The object of a parsed URDF: links grouped into parts, everything in part frames.

    Args:
        source: the URDF file.
        robot: the URDF as yourdfpy reads it.
        movable: its revolute and prismatic joints.
        spec: its category, if that is known.
    """
    placed = _place_joints(source, robot, movable, spec, placement)
    parts = _Parts.of(source, robot, [p.joint for p in placed])
    pose = _link_poses(robot, {p.joint.name: p.zero for p in placed}, placement)
    meshes = _part_meshes(source, robot, parts, pose, placement)
    low, high = meshes[0].vertices.min(0), meshes[0].vertices.max(0)
    centre = (low + high) / 2
    meshes[0] = Mesh(meshes[0].vertices - centre, meshes[0].faces)
    by_child = {p.joint.child: p for p in placed}
    joints, origin = [], []
    for k, child in enumerate(parts.roots[1:], start=1):
        p = by_child[child]
        parent = parts.index(p.joint.parent)
        x, y, z = (p.sign * _axis(pose, p.joint)).tolist()
        joints.append(Joint(p.joint.name, _joint_type(p.joint), parent, k, (x, y, z), p.lower,
                            p.upper))
        shift = pose[child][:3, 3] - pose[parts.roots[parent]][:3, 3]
        origin.append(shift - centre if parent == 0 else shift)
    name = category_of(source) if spec is None else spec.name
    found = MeshObject(name_of(source), name, parts.roots, tuple(joints), tuple(meshes),
                       np.array(origin))
    return found if spec is None else _as_category(source, found, spec, robot.robot.name)


@dataclass(frozen=True)
class _PlacedJoint:
    """A movable joint of a URDF, and how it becomes one of the category's."""

    joint: Any
    sign: int
    """1 as written, -1 with its axis reversed."""
    zero: float
    """Position that becomes q = 0, in the URDF's own sense and unit."""
    lower: float
    """Limits in the category's sense, rad or m."""
    upper: float


@dataclass(frozen=True)
class _Parts:
    """Which link of a URDF belongs to which part."""

    roots: tuple[str, ...]
    """The first link of each part, the base first, parents before children."""
    parent_joint: dict[str, Any]
    """The joint above each link."""

    @staticmethod
    def of(source: Path, robot: Any, joints: list[Any]) -> _Parts:
        """The parts that movable joints make of a URDF's links."""
        parent_joint = {j.child: j for j in robot.robot.joints}
        order = _in_order(source, [j.child for j in joints], parent_joint)
        return _Parts((robot.base_link, *order), parent_joint)

    def index(self, link: str) -> int:
        """Index of the part that a link belongs to."""
        while link not in self.roots:
            link = self.parent_joint[link].parent
        return self.roots.index(link)


def _part_meshes(source: Path, robot: Any, parts: _Parts, pose: dict[str, Array],
                 placement: Placement) -> list[Mesh]:
    """One mesh a part, m, in the part's frame; the base's in the turned root frame."""
    pieces: list[list[Mesh]] = [[] for _ in parts.roots]
    left_out: list[str] = []
    for link in robot.robot.links:
        k = parts.index(link.name)
        meshes, without = link_meshes(source, link)
        left_out += without
        for mesh in meshes:
            p = placement.metres * mesh.vertices @ pose[link.name][:3, :3].T
            p = p + pose[link.name][:3, 3]
            pieces[k].append(Mesh(p - pose[parts.roots[k]][:3, 3], mesh.faces))
    for root, piece in zip(parts.roots, pieces, strict=True):
        if not piece:
            reason = f' that can be used: {left_out[0]}' if left_out else ''
            raise ValueError(f'{source}: link {root!r} has no mesh{reason}')
    warn_left_out(source, left_out)
    meshes = [merge_meshes(piece) for piece in pieces]
    faces = sum(len(m.faces) for m in meshes)
    if faces > MAX_FACES:
        raise ValueError(f'{source}: {faces} faces are more than {MAX_FACES}')
    return meshes


def _joint_type(joint: Any) -> str:
    return 'prismatic' if joint.type == 'prismatic' else 'revolute'


def _link_poses(robot: Any, zeros: dict[str, float], placement: Placement) -> dict[str, Array]:
    """Poses (4, 4) of all links in the turned root frame, m, with the joints at ``zeros``."""
    robot.update_cfg(np.array([zeros.get(name, 0.0) for name in robot.actuated_joint_names]))
    out = {}
    for link in robot.robot.links:
        T = np.array(robot.get_transform(link.name, robot.base_link), dtype=np.float64)
        T[:3, 3] *= placement.metres
        out[link.name] = placement.transform @ T
    return out


def _axis(pose: dict[str, Array], joint: Any) -> Array:
    """Unit direction (3,) of a joint in the turned root frame."""
    axis = pose[joint.child][:3, :3] @ np.asarray(joint.axis, dtype=np.float64)
    return np.asarray(axis / np.linalg.norm(axis))


def _place_joints(source: Path, robot: Any, movable: list[Any], spec: Category | None,
                  placement: Placement) -> list[_PlacedJoint]:
    """The joints that move like one of the category's, or all without ``fix_others``."""
    pose = _link_poses(robot, {j.name: 0.0 for j in movable}, placement)
    placed = []
    for j in movable:
        axis, kind = _axis(pose, j), _joint_type(j)
        if placement.fix_others and spec is not None and not sense(kind, axis, 0, 0, spec):
            continue
        lower, upper = _limits(source, j)
        sign = 1 if spec is None else sense(kind, axis, lower, upper, spec) or 1
        if sign < 0:  # the same joint, written in the other sense
            lower, upper = -upper, -lower
        zero = 0.0
        if placement.zero_at_lower:
            zero = sign * lower
            lower, upper = 0.0, upper - lower
        unit = placement.metres if j.type == 'prismatic' else 1.0
        placed.append(_PlacedJoint(j, sign, zero, lower * unit, upper * unit))
    if not placed:
        raise ValueError(f'{source}: none of its moving parts moves like one of a '
                         f'{"" if spec is None else spec.name}')
    return placed


def _in_order(source: Path, children: list[str], parent_joint: dict[str, Any]) -> list[str]:
    """Movable links with parents before children, otherwise as written."""
    def depth(link: str) -> int:
        steps = 0
        while link in parent_joint:
            link, steps = parent_joint[link].parent, steps + 1
            if steps > len(parent_joint):
                raise ValueError(f'{source}: its joints form a loop at link {link!r}')
        return steps

    return sorted(children, key=depth)


def _as_category(source: Path, found: MeshObject, spec: Category, robot: str) -> MeshObject:
    """The object with its category's names and order.

    Args:
        robot: name of the robot in the URDF; it may be before the category's names of parts and
            joints, as in the URDFs that we write.

    Raises:
        ValueError: it is no object of the category; the message names the URDF.
    """
    own = {link_name(robot, part): part for part in spec.parts} | {
        joint_name(robot, joint.name): joint.name for joint in spec.joints}
    named = [replace(joint, name=own.get(joint.name, joint.name)) for joint in found.joints]
    links = [own.get(part, part) for part in found.parts]
    try:
        place = found.origin + found.bounds[1:].mean(1)
        match = match_joints(named, links, place, spec)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    pick = match.pick
    return MeshObject(found.name, spec.name, match.parts, match.joints,
                      (found.meshes[0], *(found.meshes[i + 1] for i in pick)), found.origin[pick])


def _limits(source: Path, joint: Any) -> tuple[float, float]:
    """Lower and upper limit in the URDF's own sense and unit."""
    if joint.type == 'continuous':
        return -np.pi, np.pi
    lower = getattr(joint.limit, 'lower', None)
    upper = getattr(joint.limit, 'upper', None)
    if joint.type == 'revolute' and max(abs(lower or 0), abs(upper or 0)) > MAX_TURN:
        raise ValueError(f'{source}: joint {joint.name!r} goes from {lower:g} to {upper:g}: '
                         'limits in a URDF are in radians')
    if lower is None or upper is None or not np.isfinite([lower, upper]).all() or lower >= upper:
        raise ValueError(f'{source}: joint {joint.name!r} needs finite limits with lower < upper, '
                         f'got {lower} and {upper}')
    return float(lower), float(upper)


def merge_meshes(meshes: Sequence[Mesh]) -> Mesh:
    """All meshes, which are in one frame, as one."""
    start = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(np.concatenate([m.vertices for m in meshes]),
                np.concatenate([m.faces + s for m, s in zip(meshes, start, strict=True)]))
