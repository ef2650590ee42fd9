"""Safe reading of third-party URDF folders: one ``*.urdf`` and the meshes that it names.

File sizes are limited, and no file outside the folder is opened. Frames and units stay the URDF's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import defusedxml.ElementTree
import numpy as np
from defusedxml import DefusedXmlException
from scipy.spatial.transform import Rotation

from kinediff3d_core.objects.estimate import Mesh, transform_mesh

Array = np.ndarray[Any, Any]

MAX_URDF_BYTES = 4 * 2**20
"""Largest URDF. Chosen: bounds memory and time."""
MAX_MESH_BYTES = 256 * 2**20
"""Largest mesh file. Chosen: bounds memory and time."""
MESH_KINDS = ('.obj', '.stl', '.ply', '.off', '.glb', '.dae')


def find_urdf(folder: Path) -> Path:
    """The one ``*.urdf`` of a folder; ``mobility.urdf`` of several, as in PartNet-Mobility.

    Raises:
        ValueError: none, or several others.
    """
    urdfs = sorted(folder.glob('*.urdf'))
    urdfs = [p for p in urdfs if p.name == 'mobility.urdf'] or urdfs
    if len(urdfs) != 1:
        raise ValueError(f'{folder} must hold exactly one *.urdf, it has {len(urdfs)}')
    return urdfs[0]


def read_urdf(source: Path) -> Any:
    """The robot (:class:`yourdfpy.URDF`) of a URDF, without its meshes.

    Raises:
        ValueError: too large, damaged, or with XML entities, which expand without a limit.
    """
    import yourdfpy

    _urdf_root(source)
    try:
        return yourdfpy.URDF.load(str(source), load_meshes=False, build_scene_graph=True,
                                  load_collision_meshes=False, build_collision_scene_graph=False)
    except Exception as error:  # the XML and URDF parsers raise types of their own
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f'{source} is not a readable URDF: {reason}') from error


@dataclass(frozen=True)
class UrdfJoint:
    """A joint as a URDF states it.

    Attributes:
        joint_type: as written; ``fixed`` and others included.
        xyz, rpy: (3,) origin of the joint's frame in its parent link's, and its roll, pitch and
            yaw, rad.
        axis: (3,) in the joint's frame, as written.
        lower, upper: limits in the URDF's unit; NaN where there are none.
    """

    name: str
    joint_type: str
    parent: str
    child: str
    xyz: Array
    rpy: Array
    axis: Array
    lower: float
    upper: float


def read_joints(source: Path) -> tuple[UrdfJoint, ...]:
    """The joints of a URDF in its order; its links and meshes are not read.

    Raises:
        ValueError: missing, too large or damaged, with XML entities, or a joint with a value that
            is no number; one line that names the file.
    """
    root = _urdf_root(source)
    try:
        return tuple(_joint(element) for element in root.iter('joint') if 'type' in element.attrib)
    except (KeyError, ValueError) as error:
        raise ValueError(f'{source} has a joint that cannot be read: {error}') from error


def origin_transform(xyz: Array, rpy: Array) -> Array:
    """Pose (4, 4) of a URDF's ``origin``: position (3,) and roll, pitch and yaw (3,), rad."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler('xyz', rpy).as_matrix()
    T[:3, 3] = xyz
    return T


def _joint(element: ElementTree.Element) -> UrdfJoint:
    def text(tag: str, attribute: str, default: str) -> str:
        found = element.find(tag)
        return default if found is None else found.get(attribute, default)

    return UrdfJoint(
        element.attrib['name'], element.attrib['type'], text('parent', 'link', ''),
        text('child', 'link', ''),
        three_numbers(text('origin', 'xyz', '0 0 0')),
        three_numbers(text('origin', 'rpy', '0 0 0')),
        three_numbers(text('axis', 'xyz', '1 0 0')), float(text('limit', 'lower', 'nan')),
        float(text('limit', 'upper', 'nan')))


def three_numbers(text: str) -> Array:
    """The three numbers (3,) of an attribute.

    Raises:
        ValueError: others, or some that are not finite.
    """
    numbers = np.array([float(x) for x in text.split()])
    if numbers.shape != (3,) or not np.isfinite(numbers).all():
        raise ValueError(f'{text!r} is not three numbers')
    return numbers


def _urdf_root(source: Path) -> ElementTree.Element:
    """The root element of a URDF.

    Raises:
        ValueError: missing, too large, damaged, or with XML entities, which expand without limit.
    """
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ValueError(f'URDF {source} cannot be read: {error.strerror}') from error
    if len(content) > MAX_URDF_BYTES:
        raise ValueError(f'{source} has {len(content)} bytes, more than {MAX_URDF_BYTES}')
    try:
        root: ElementTree.Element = defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
        return root
    except DefusedXmlException as error:
        raise ValueError(f'{source} declares a document type or XML entities, which no URDF '
                         'needs') from error
    except ElementTree.ParseError as error:
        raise ValueError(f'{source} is not a readable URDF: {error}') from error


def link_meshes(folder: Path, link: Any) -> list[Mesh]:
    """Meshes of a link's visuals, or of its collisions where it has none, in the link's frame.

    Args:
        folder: which the URDF is in.
        link: of a robot by :func:`read_urdf`.

    Raises:
        ValueError: missing, damaged or oversized files, or files outside the folder.
    """
    meshes = []
    for visual in link.visuals or link.collisions:
        shape = _geometry(folder, visual.geometry)
        if shape is None:
            continue
        mesh = Mesh(np.asarray(shape.vertices, dtype=np.float64),
                    np.asarray(shape.faces, dtype=np.int64))
        if visual.geometry.mesh is not None and visual.geometry.mesh.scale is not None:
            mesh = Mesh(mesh.vertices * np.asarray(visual.geometry.mesh.scale), mesh.faces)
        if visual.origin is not None:
            mesh = transform_mesh(visual.origin, mesh)
        if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
            reason = 'vertices that are not finite' if len(mesh.faces) else 'no faces'
            raise ValueError(f'{folder}: a mesh of link {link.name!r} has {reason}')
        meshes.append(mesh)
    return meshes


def _geometry(folder: Path, geometry: Any) -> Any:
    """A mesh file or primitive shape as a trimesh; None for any other geometry."""
    import trimesh

    if geometry.mesh is not None:
        return load_mesh(folder, geometry.mesh.filename)
    if geometry.box is not None:
        return trimesh.creation.box(extents=geometry.box.size)
    if geometry.cylinder is not None:
        return trimesh.creation.cylinder(geometry.cylinder.radius, geometry.cylinder.length)
    if geometry.sphere is not None:
        return trimesh.creation.icosphere(3, geometry.sphere.radius)
    return None


def load_mesh(folder: Path, name: str) -> Any:
    """A mesh file inside a folder, as a trimesh.

    Raises:
        ValueError: outside the folder, missing, too large, damaged, or of no known kind.
    """
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
    except Exception as error:  # trimesh passes on whatever its parsers raise
        raise ValueError(f'{folder}: mesh {name!r} is not readable ({type(error).__name__})'
                         ) from error
