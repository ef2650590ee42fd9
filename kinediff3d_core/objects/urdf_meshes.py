"""Meshes of a URDF's links: files and primitive shapes, in metres."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.objects.estimate import Mesh, transform_mesh
from kinediff3d_core.objects.urdf_files import mesh_file, other_spelling

MAX_MESH_BYTES = 256 * 2**20
"""Largest mesh file. Chosen: bounds memory and time."""
MESH_KINDS = ('.obj', '.stl', '.ply', '.off', '.glb', '.dae')
MAX_ASSET = 65536
"""Bytes of a COLLADA file in which its unit is looked for. Chosen."""
NAMED = 2
"""Most meshes that a warning names."""
_COMMENT = re.compile(rb'<!--.*?-->', re.DOTALL)
_UNIT = re.compile(rb'<unit\b[^>]*?\bmeter\s*=\s*["\']([^"\']{1,40})["\']')
UP_AXES = {'X': ((0, -1, 0), (0, 0, -1), (1, 0, 0)), 'Y': ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
           'Z': ((1, 0, 0), (0, 1, 0), (0, 0, 1))}
"""Rotation to z up of the axes that COLLADA 1.4 (chapter 5, up_axis) calls X_UP, Y_UP, Z_UP."""
_UP_AXIS = re.compile(rb'<up_axis>\s*([XYZ])_UP\s*</up_axis>')


class UnusableMesh(ValueError):
    """A mesh that an object can be read without: missing, damaged, or with no face."""


def link_meshes(source: Path, link: Any) -> tuple[list[Mesh], list[str]]:
    """Meshes of a link's visuals, or of its collisions where it has none, in its frame.

    Args:
        source: the URDF.
        link: of a robot by :func:`~kinediff3d_core.objects.urdf_reader.read_urdf`.

    Returns:
        the meshes, and why others are left out, one line each.

    Raises:
        ValueError: oversized files, or files outside the object's folder.
    """
    meshes: list[Mesh] = []
    left_out: list[str] = []
    for shape in link.visuals or link.collisions:
        try:
            mesh = _placed(source, link.name, shape)
        except UnusableMesh as reason:
            left_out.append(str(reason))
            continue
        if mesh is not None:
            meshes.append(mesh)
    return meshes, left_out


def warn_left_out(source: Path, left_out: list[str]) -> None:
    """Log one line for the meshes of a URDF that are left out."""
    if left_out:
        more = len(left_out) - NAMED
        logging.getLogger(__name__).warning(
            '%s: left out of it (%d): %s%s', source, len(left_out),
            '; '.join(left_out[:NAMED]), f' and {more} more' if more > 0 else '')


def _placed(source: Path, link: str, shape: Any) -> Mesh | None:
    """The mesh of a visual or collision in its link's frame; None for other geometry."""
    try:
        found = _geometry(source, shape.geometry)
        if found is None:
            return None
        mesh = Mesh(np.asarray(found.vertices, dtype=np.float64),
                    np.asarray(found.faces, dtype=np.int64))
        if shape.geometry.mesh is not None and shape.geometry.mesh.scale is not None:
            mesh = _scaled(mesh, np.asarray(shape.geometry.mesh.scale, dtype=np.float64))
        if shape.origin is not None:
            mesh = transform_mesh(shape.origin, mesh)
    except (TypeError, AttributeError, IndexError) as error:  # attributes that are missing
        raise UnusableMesh(f'a geometry of link {link[:40]!r} lacks an attribute') from error
    if not len(mesh.faces) or not np.isfinite(mesh.vertices).all():
        reason = 'vertices that are not finite' if len(mesh.faces) else 'no faces'
        name = '' if shape.geometry.mesh is None else f' {shape.geometry.mesh.filename[-60:]!r}'
        raise UnusableMesh(f'mesh{name} of link {link[:40]!r} has {reason}')
    return mesh


def _scaled(mesh: Mesh, scale: np.ndarray[Any, Any]) -> Mesh:
    """The mesh with its vertices scaled along each axis; a mirrored one still faces outward."""
    mirrored = np.prod(np.sign(scale)) < 0
    return Mesh(mesh.vertices * scale, mesh.faces[:, ::-1] if mirrored else mesh.faces)


def _geometry(source: Path, geometry: Any) -> Any:
    """A mesh file or primitive shape as a trimesh; None for any other geometry."""
    import trimesh

    if geometry.mesh is not None:
        if not geometry.mesh.filename:
            raise UnusableMesh('a mesh without a filename')
        return load_mesh(source, geometry.mesh.filename)
    if geometry.box is not None:
        return trimesh.creation.box(extents=_lengths('box', geometry.box.size))
    if geometry.cylinder is not None:
        return trimesh.creation.cylinder(*_lengths('cylinder', (geometry.cylinder.radius,
                                                                geometry.cylinder.length)))
    if geometry.sphere is not None:
        return trimesh.creation.icosphere(3, *_lengths('sphere', (geometry.sphere.radius,)))
    return None


def _lengths(kind: str, lengths: Any) -> Any:
    """The lengths of a primitive shape, all above zero."""
    if not (np.isfinite(lengths) & (np.asarray(lengths) > 0)).all():
        shown = ', '.join(f'{x:g}' for x in lengths)
        raise UnusableMesh(f'a {kind} of {shown} m; lengths have to be above zero')
    return lengths


def load_mesh(source: Path, name: str) -> Any:
    """A mesh file that a URDF names, as a trimesh; COLLADA in metres and z up, as it declares.

    trimesh applies neither. A file that declares no up axis is taken as written.

    Args:
        source: the URDF, or a file beside the mesh.

    Raises:
        UnusableMesh: missing, damaged, or of no known kind.
        ValueError: outside the object's folder, or too large.
    """
    import trimesh

    file, short = mesh_file(source, name), name[-80:]
    if file is None:
        other = other_spelling(source, name)
        raise UnusableMesh(f'mesh {short!r} does not exist'
                           + (f' (did you mean {other}?)' if other else ''))
    if file.suffix.lower() not in MESH_KINDS:
        raise UnusableMesh(f'mesh {short!r} is none of {", ".join(MESH_KINDS)}')
    if file.stat().st_size > MAX_MESH_BYTES:
        raise ValueError(f'{source}: mesh {short!r} has more than {MAX_MESH_BYTES} bytes')
    if file.stat().st_size == 0:
        raise UnusableMesh(f'mesh {short!r} is empty')
    try:
        with file.open('rb') as stream:
            mesh: Any = trimesh.load(stream, file_type=file.suffix[1:].lower(), force='mesh',
                                     process=False, skip_materials=True)
        faces = len(mesh.faces)
    except Exception as error:  # trimesh passes on whatever its parsers raise
        raise UnusableMesh(f'mesh {short!r} is not readable ({type(error).__name__})') from error
    if faces and file.suffix.lower() == '.dae':
        mesh.apply_transform(_collada_to_metres(file, short))
    return mesh


def _collada_to_metres(file: Path, name: str) -> np.ndarray[Any, Any]:
    """The transform (4, 4) from a COLLADA file's unit and up axis to metres and z up."""
    with file.open('rb') as stream:
        head = _COMMENT.sub(b'', stream.read(MAX_ASSET))
    up = _UP_AXIS.search(head)
    axis = up[1].decode() if up else 'Z'
    if axis != 'Z':
        logging.getLogger(__name__).warning(
            '%s declares %s_UP and is turned to z up; RViz shows it as written', name, axis)
    unit = _UNIT.search(head)
    try:
        metres = 1.0 if unit is None else float(unit[1])
    except ValueError:
        metres = 0.0
    if not (np.isfinite(metres) and metres > 0):
        raise UnusableMesh(f'mesh {name!r} declares the unit {unit and unit[1]!r}')
    T = np.eye(4)
    T[:3, :3] = metres * np.array(UP_AXES[axis])
    return T
