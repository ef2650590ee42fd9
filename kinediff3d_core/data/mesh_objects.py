"""Articulated objects from URDF folders: PartNet-Mobility, ArtImage, ReArtMix or a user's own.

An object is one folder with one ``*.urdf`` and the meshes it names; the part of the folder's name
before the first ``_`` is its category. Axes must follow docs/conventions.md, or a
:class:`Placement` says how to turn them. Links become parts in their part frames (parallel to the
base at q = 0, at the pivot), fixed joints are merged, and the base frame is moved to the centre of
the base part's box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.placement import AS_WRITTEN, Placement, match_joints, sense
from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.data.winding import winding_number
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.kinematics import Joint, forward_kinematics
from kinediff3d_core.objects.category import CATEGORIES, Category
from kinediff3d_core.objects.estimate import Mesh, transform_mesh
from kinediff3d_core.simulation.render import pixel_rays
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.simulation.views import sample_views

Array = np.ndarray[Any, Any]

MAX_URDF_BYTES = 4 * 2**20
MAX_MESH_BYTES = 256 * 2**20
MAX_FACES = 4_000_000
MESH_KINDS = ('.obj', '.stl', '.ply', '.off', '.glb', '.dae')

SKIN = 1e-4
"""Rays from a surface start this far out, m."""


@dataclass(frozen=True)
class MeshObject:
    """One articulated object made of meshes, in its category's canonical frame.

    Attributes:
        name: of its folder.
        category: the part of that name before the first ``_``.
        parts: part names, the base first; those of the category where it is a known one.
        joints: J joints in the same order as the category's.
        meshes: one a part, in its part frame, m. They need not be watertight.
        origin: (J, 3) pivots in the parent's frame, m.
    """

    name: str
    category: str
    parts: tuple[str, ...]
    joints: tuple[Joint, ...]
    meshes: tuple[Mesh, ...]
    origin: Array

    @property
    def axis(self) -> Array:
        """(J, 3) unit directions in the parent's frame."""
        return np.array([j.axis for j in self.joints])

    @property
    def lower(self) -> Array:
        return np.array([j.lower for j in self.joints])

    @property
    def upper(self) -> Array:
        return np.array([j.upper for j in self.joints])

    @property
    def bounds(self) -> Array:
        """(K, 2, 3) axis-aligned box of each part in its frame."""
        return np.array([(m.vertices.min(0), m.vertices.max(0)) for m in self.meshes])

    def part_poses(self, q: Tensor, T_camera_base: Tensor) -> Tensor:
        """T_camera_part (..., K, 4, 4) at joint positions q (..., J)."""
        origin = torch.as_tensor(self.origin).to(q).expand(*q.shape, 3)
        axis = torch.as_tensor(self.axis).to(q).expand(*q.shape, 3)
        return forward_kinematics(self.joints, T_camera_base, q, origin, axis)


def list_objects(root: Path | str, category: str | None = None) -> list[Path]:
    """Object folders under ``root``, sorted by name: those with a URDF, of one category or of all.

    ``root`` may also be an object's own folder.

    Raises:
        ValueError: no such folder, or none of that category in it.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise ValueError(f'object folder {folder} does not exist')
    found = [folder] if any(folder.glob('*.urdf')) else sorted(
        p for p in folder.iterdir() if p.is_dir() and any(p.glob('*.urdf')))
    chosen = [p for p in found if category is None or category_of(p) == category]
    if not chosen:
        there = ', '.join(sorted({category_of(p) for p in found})) or 'none'
        raise ValueError(f'{folder} has no folder {category or "<category>"}_<id> with a *.urdf '
                         f'in it; categories there: {there}')
    return chosen


def category_of(folder: Path) -> str:
    """The category that a folder's name says."""
    return folder.resolve().name.split('_')[0]


def load_object(folder: Path | str, category: Category | None = None,
                placement: Placement = AS_WRITTEN) -> MeshObject:
    """Load one object.

    Args:
        category: what it is; None goes by the folder's name.
        placement: how the URDF's root frame, unit and joint zero become canonical.

    Raises:
        ValueError: no or several URDFs, damaged or oversized files, meshes that are missing or
            outside the folder, no movable joint, or joints that are not those of the category.
    """
    import yourdfpy

    path = Path(folder)
    urdfs = sorted(path.glob('*.urdf'))
    if len(urdfs) > 1:  # PartNet-Mobility keeps variants beside it
        urdfs = [p for p in urdfs if p.name == 'mobility.urdf'] or urdfs
    if len(urdfs) != 1:
        raise ValueError(f'{path} must hold exactly one *.urdf, it has {len(urdfs)}')
    source = urdfs[0]
    content = source.read_bytes()
    if len(content) > MAX_URDF_BYTES:
        raise ValueError(f'{source} has {len(content)} bytes, more than {MAX_URDF_BYTES}')
    if b'<!DOCTYPE' in content or b'<!ENTITY' in content:
        raise ValueError(f'{source} declares XML entities, which no URDF needs')
    try:
        ElementTree.fromstring(content)
        robot = yourdfpy.URDF.load(str(source), load_meshes=False, build_scene_graph=True,
                                   load_collision_meshes=False,
                                   build_collision_scene_graph=False)
    except Exception as error:  # the XML and URDF parsers raise types of their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f'{source} is not a readable URDF: {reason}') from error
    movable = [j for j in robot.robot.joints if j.type in ('revolute', 'continuous', 'prismatic')]
    if not movable:
        raise ValueError(f'{source} has no revolute or prismatic joint')
    spec = category or CATEGORIES.get(category_of(path))
    return _assemble(path, source, robot, movable, spec, placement)


def _assemble(path: Path, source: Path, robot: Any, movable: list[Any], spec: Category | None,
              placement: Placement) -> MeshObject:
    """The object of a parsed URDF: links grouped into parts, everything in part frames."""
    parent_joint = {j.child: j for j in robot.robot.joints}
    movable, zeros, signs, limits = _as_placed(source, robot, movable, spec, placement)
    order = _in_order(source, [j.child for j in movable], parent_joint)
    by_child = {j.child: j for j in movable}
    owners = [robot.base_link, *order]

    def owner(link: str) -> int:
        while link not in owners:
            link = parent_joint[link].parent
        return owners.index(link)

    pose = _poses(robot, zeros, placement)
    pieces: list[list[Mesh]] = [[] for _ in owners]
    for link in robot.robot.links:
        k = owner(link.name)
        for mesh in _link_meshes(path, link):
            p = placement.metres * mesh.vertices @ pose[link.name][:3, :3].T
            p = p + pose[link.name][:3, 3]
            pieces[k].append(Mesh(p - pose[owners[k]][:3, 3], mesh.faces))
    for k, piece in enumerate(pieces):
        if not piece:
            raise ValueError(f'{source}: link {owners[k]!r} has no mesh')
    meshes = [_merged(piece) for piece in pieces]
    faces = sum(len(m.faces) for m in meshes)
    if faces > MAX_FACES:
        raise ValueError(f'{source}: {faces} faces are more than {MAX_FACES}')

    low, high = meshes[0].vertices.min(0), meshes[0].vertices.max(0)
    centre = (low + high) / 2
    meshes[0] = Mesh(meshes[0].vertices - centre, meshes[0].faces)
    joints, origin = [], []
    for k, child in enumerate(order, start=1):
        j = by_child[child]
        parent = owner(j.parent)
        x, y, z = (signs[j.name] * _axis(source, pose, j)).tolist()
        joints.append(Joint(j.name, _kind(j), parent, k, (x, y, z), *limits[j.name]))
        shift = pose[child][:3, 3] - pose[owners[parent]][:3, 3]
        origin.append(shift - centre if parent == 0 else shift)
    name = category_of(path) if spec is None else spec.name
    found = MeshObject(path.resolve().name, name, tuple(owners), tuple(joints), tuple(meshes),
                       np.array(origin))
    return found if spec is None else _as_category(source, found, spec)


def _kind(joint: Any) -> str:
    return 'prismatic' if joint.type == 'prismatic' else 'revolute'


def _poses(robot: Any, zeros: dict[str, float], placement: Placement) -> dict[str, Array]:
    """Poses (4, 4) of all links in the turned root frame, m, with the joints where q is zero."""
    robot.update_cfg(np.array([zeros.get(name, 0.0) for name in robot.actuated_joint_names]))
    out = {}
    for link in robot.robot.links:
        T = np.array(robot.get_transform(link.name, robot.base_link), dtype=np.float64)
        T[:3, 3] *= placement.metres
        out[link.name] = placement.transform @ T
    return out


def _axis(source: Path, pose: dict[str, Array], joint: Any) -> Array:
    """Unit direction (3,) of a joint in the turned root frame."""
    axis = pose[joint.child][:3, :3] @ np.asarray(joint.axis, dtype=np.float64)
    length = float(np.linalg.norm(axis))
    if not length > 1e-6:
        raise ValueError(f'{source}: joint {joint.name!r} has the axis {list(joint.axis)}')
    return np.asarray(axis / length)


def _as_placed(source: Path, robot: Any, movable: list[Any], spec: Category | None,
               placement: Placement,
               ) -> tuple[list[Any], dict[str, float], dict[str, int],
                          dict[str, tuple[float, float]]]:
    """The joints that are kept and, by name, where they are zero, their sense, and their limits.

    Zeros are in the URDF's own sense and unit; limits in the category's sense, rad or m.
    """
    zeros = {j.name: 0.0 for j in movable}
    pose = _poses(robot, zeros, placement)
    kept, signs, limits = [], {}, {}
    for j in movable:
        axis = _axis(source, pose, j)
        if placement.fix_others and spec is not None and not sense(_kind(j), axis, 0, 0, spec):
            continue
        lower, upper = _limits(source, j)
        sign = 1 if spec is None else sense(_kind(j), axis, lower, upper, spec) or 1
        if sign < 0:  # the same joint, written the other way round
            lower, upper = -upper, -lower
        if placement.zero_at_lower:
            zeros[j.name] = sign * lower
            lower, upper = 0.0, upper - lower
        unit = placement.metres if j.type == 'prismatic' else 1.0
        kept.append(j)
        signs[j.name], limits[j.name] = sign, (lower * unit, upper * unit)
    if not kept:
        raise ValueError(f'{source}: none of its moving parts moves like one of a '
                         f'{"" if spec is None else spec.name}')
    return kept, zeros, signs, limits


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


def _as_category(source: Path, found: MeshObject, spec: Category) -> MeshObject:
    """The object with its category's names and order; refused where it is no such object."""
    try:
        place = found.origin + found.bounds[1:].mean(1)
        pick = match_joints(found.joints, found.parts, place, spec)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from error
    joints = tuple(Joint(want.name, want.joint_type, want.parent, want.child,
                         found.joints[i].axis, found.joints[i].lower, found.joints[i].upper)
                   for want, i in zip(spec.joints, pick, strict=False))
    return MeshObject(found.name, spec.name, spec.parts[:len(pick) + 1], joints,
                      (found.meshes[0], *(found.meshes[i + 1] for i in pick)), found.origin[pick])


def _limits(source: Path, joint: Any) -> tuple[float, float]:
    if joint.type == 'continuous':
        return -np.pi, np.pi
    lower = getattr(joint.limit, 'lower', None)
    upper = getattr(joint.limit, 'upper', None)
    if lower is None or upper is None or not np.isfinite([lower, upper]).all() or lower >= upper:
        raise ValueError(f'{source}: joint {joint.name!r} needs finite limits with lower < upper, '
                         f'got {lower} and {upper}')
    return float(lower), float(upper)


def _link_meshes(folder: Path, link: Any) -> list[Mesh]:
    """Meshes of a link's visuals (its collisions where it has none), in the link's frame."""
    import trimesh

    out = []
    for visual in link.visuals or link.collisions:
        geometry = visual.geometry
        if geometry.mesh is not None:
            tm = _load_mesh(folder, geometry.mesh.filename)
            vertices = np.asarray(tm.vertices, dtype=np.float64)
            if geometry.mesh.scale is not None:
                vertices = vertices * np.asarray(geometry.mesh.scale)
        else:
            if geometry.box is not None:
                tm = trimesh.creation.box(extents=geometry.box.size)
            elif geometry.cylinder is not None:
                tm = trimesh.creation.cylinder(geometry.cylinder.radius, geometry.cylinder.length)
            elif geometry.sphere is not None:
                tm = trimesh.creation.icosphere(3, geometry.sphere.radius)
            else:
                continue
            vertices = np.asarray(tm.vertices, dtype=np.float64)
        if visual.origin is not None:
            vertices = vertices @ visual.origin[:3, :3].T + visual.origin[:3, 3]
        faces = np.asarray(tm.faces, dtype=np.int64)
        if not len(faces) or not np.isfinite(vertices).all():
            raise ValueError(f'{folder}: a mesh of link {link.name!r} has '
                             f'{"no faces" if not len(faces) else "vertices that are not finite"}')
        out.append(Mesh(vertices, faces))
    return out


def _load_mesh(folder: Path, name: str) -> Any:
    """A mesh file inside the object's folder, as a trimesh."""
    import trimesh

    relative = name.split('://', 1)[-1]
    root = folder.resolve()
    file = (root / relative).resolve()
    if name.startswith('package://') and not file.exists():
        file = (root / Path(*Path(relative).parts[1:])).resolve()
    if not file.is_relative_to(root):
        raise ValueError(f'{folder}: mesh {name!r} lies outside the object\'s folder')
    if not file.is_file():
        raise ValueError(f'{folder}: mesh {name!r} does not exist')
    if file.suffix.lower() not in MESH_KINDS:
        raise ValueError(f'{folder}: mesh {name!r} is none of {", ".join(MESH_KINDS)}')
    if file.stat().st_size > MAX_MESH_BYTES:
        raise ValueError(f'{folder}: mesh {name!r} has more than {MAX_MESH_BYTES} bytes')
    try:
        with file.open('rb') as stream:
            return trimesh.load(stream, file_type=file.suffix[1:].lower(), force='mesh',
                                process=False, skip_materials=True)
    except Exception as error:  # trimesh raises whatever its parsers stumbled over
        raise ValueError(f'{folder}: mesh {name!r} is not readable ({type(error).__name__})'
                         ) from error


def _merged(meshes: Sequence[Mesh]) -> Mesh:
    start = np.cumsum([0] + [len(m.vertices) for m in meshes[:-1]])
    return Mesh(np.concatenate([m.vertices for m in meshes]),
                np.concatenate([m.faces + s for m, s in zip(meshes, start, strict=True)]))


def render_object(obj: MeshObject, q: Tensor, T_camera_base: Tensor, intrinsics: Intrinsics,
                  ) -> tuple[Tensor, Tensor]:
    """Exact depth image of an object, as :func:`kinediff3d_core.simulation.render.render_depth`.

    Args:
        q: (J,) joint positions. T_camera_base: (4, 4), m.

    Returns:
        depth (H, W) m, 0 where nothing is hit; part (H, W) int64, -1 likewise.
    """
    return cast_object(obj, obj.part_poses(q, T_camera_base), pixel_rays(intrinsics))


def cast_object(obj: MeshObject, poses: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Depths (...) and parts (...) along rays (..., 3), z = 1, of an object whose parts stand at
    poses (K, 4, 4), camera frame, m; as :func:`render_object`."""
    scene = raycasting_scene([transform_mesh(T, m) for m, T in zip(
        obj.meshes, poses.double().cpu().numpy(), strict=True)])
    ways = rays.float().cpu().numpy()
    hit = scene.cast_rays(np.concatenate([np.zeros_like(ways), ways], axis=-1))
    depth = torch.from_numpy(hit['t_hit'].numpy())
    part = torch.from_numpy(hit['geometry_ids'].numpy().astype(np.int64))
    miss = ~torch.isfinite(depth)
    return depth.masked_fill(miss, 0.0), part.masked_fill(miss, -1)


def object_range(obj: MeshObject) -> tuple[Array, Array]:
    """Joint positions (J,), (J,) of test views: the category's test range within own limits."""
    low, high = obj.lower, obj.upper
    if obj.category in CATEGORIES:
        test_low, test_high = CATEGORIES[obj.category].test_range
        low, high = np.maximum(low, test_low), np.minimum(high, test_high)
        low = np.minimum(low, high)
    return low, high


def sample_object_view(obj: MeshObject, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A test view of an object: q (J,), T_camera_base (4, 4), by the protocol of
    :func:`kinediff3d_core.simulation.views.sample_views`.

    Raises:
        ValueError: a category without a test protocol.
    """
    q, T_camera_base = sample_object_views(obj, generator, 1)
    return q[0], T_camera_base[0]


def sample_object_views(obj: MeshObject, generator: torch.Generator, n: int, train: bool = False,
                        ) -> tuple[Tensor, Tensor]:
    """n views of an object: q (n, J), T_camera_base (n, 4, 4); errors as for one."""
    if obj.category not in CATEGORIES:
        raise ValueError(f'no test views for category {obj.category!r}; known: '
                         f'{", ".join(sorted(CATEGORIES))}')
    def rows(x: Array) -> Tensor:
        return torch.from_numpy(x).float().expand(n, *x.shape)

    low, high = (obj.lower, obj.upper) if train else object_range(obj)
    stand_in = SimpleNamespace(
        category=CATEGORIES[obj.category], bounds=rows(obj.bounds), centre=torch.zeros(n),
        lower=rows(low), upper=rows(high), part_poses=obj.part_poses)
    return sample_views(cast(Instances, stand_in), generator, train)


def signed_distance(mesh: Mesh, points: Array) -> Array:
    """Distance (N,) of points (N, 3) to a mesh, negative where its winding number is above a half.

    The sign holds for meshes with holes; sheets have no inside.
    """
    scene = raycasting_scene([mesh])
    distance = scene.compute_distance(np.ascontiguousarray(points, dtype=np.float32)).numpy()
    return np.asarray(np.where(winding_number(mesh, points) > 0.5, -distance, distance))


def visible_surface(mesh: Mesh, count: int, rng: np.random.Generator, directions: int = 96,
                    ) -> tuple[Array, Mesh, float]:
    """The part of a mesh's surface that can be seen from outside.

    Third-party meshes carry inner walls that no camera sees and no estimate has. A point counts
    if a straight line leads from it to the open in at least one of many directions.

    Args:
        mesh: of one part, looked at alone, in its part frame.
        count: points wanted.

    Returns:
        points (M, 3), M >= count, uniform by area on what is visible; the triangles on which any
        of them lies; the visible area in m^2.

    Raises:
        ValueError: the mesh has no area.
    """
    scene = raycasting_scene([mesh])
    corner = np.asarray(mesh.vertices, dtype=np.float64)[mesh.faces]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]),
                          axis=-1) / 2
    total = float(area.sum())
    if not total > 0:
        raise ValueError('the mesh has no area')
    turn = np.arange(directions)
    z = 1 - (2 * turn + 1) / directions
    azimuth = turn * np.pi * (3 - np.sqrt(5))
    ways = np.stack([np.sqrt(1 - z * z) * np.cos(azimuth), np.sqrt(1 - z * z) * np.sin(azimuth),
                     z], axis=-1)[np.random.default_rng(0).permutation(directions)]

    def sees_out(p: Array) -> Array:
        hidden = np.arange(len(p))
        for way in ways:
            rays = np.concatenate([p[hidden], np.broadcast_to(way, (len(hidden), 3))], axis=-1)
            blocked = scene.test_occlusions(rays.astype(np.float32), tnear=SKIN).numpy()
            hidden = hidden[blocked]
            if not len(hidden):
                break
        out = np.ones(len(p), dtype=bool)
        out[hidden] = False
        return out

    kept, on = [], sees_out(corner.mean(1))
    drawn = seen = 0
    while seen < count and drawn < 20 * count:
        batch = 2 * count
        index = np.searchsorted(np.cumsum(area), rng.random(batch) * total)
        index = index.clip(0, len(area) - 1)
        p = np.einsum('nk,nkc->nc', rng.dirichlet((1, 1, 1), batch), corner[index])
        good = sees_out(p)
        kept.append(p[good])
        on[index[good]] = True
        drawn, seen = drawn + batch, seen + int(good.sum())
    if not seen:
        return corner.mean(1), mesh, total
    return np.concatenate(kept), Mesh(mesh.vertices, mesh.faces[on]), total * seen / drawn
