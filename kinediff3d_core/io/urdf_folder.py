"""URDF and meshes in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.collision import collision_pieces
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_core.objects.urdf import collision_name, urdf_string


def write_urdf(estimate: ArticulatedEstimate, out_dir: Path | str) -> Path:
    """Write ``object.urdf``, its meshes and collision pieces into a folder, made if need be.

    Each file is complete or absent: it is written aside and moved into place, the URDF last.

    Returns:
        The path of the URDF.
    """
    out = Path(out_dir)
    (out / 'meshes').mkdir(parents=True, exist_ok=True)
    for part in estimate.parts:
        if part.mesh is not None:
            write_obj(part.mesh, out / 'meshes' / f'{part.name}.obj')
    pieces = collision_pieces(estimate)
    write_collision(pieces, out / 'meshes')
    path = out / 'object.urdf'
    write_text(path, urdf_string(estimate, collision={k: len(p) for k, p in pieces.items()}))
    return path


def write_collision(pieces: Mapping[str, Sequence[Mesh]], folder: Path) -> None:
    """Write the collision pieces of the parts, by their names; delete those of other runs."""
    written = set()
    for part, meshes in pieces.items():
        for i, mesh in enumerate(meshes):
            written.add(folder / f'{collision_name(part, i)}.obj')
            write_obj(mesh, folder / f'{collision_name(part, i)}.obj')
        for old in set(folder.glob(f'{part}_collision_*.obj')) - written:
            old.unlink()


def write_obj(mesh: Mesh, path: Path) -> None:
    """Write a mesh as Wavefront OBJ, metres."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces) + 1
    write_text(path, f'# {len(vertices)} vertices, {len(faces)} faces, metres\n'
               + 'v %.6f %.6f %.6f\n' * len(vertices) % tuple(vertices.ravel().tolist())
               + 'f %d %d %d\n' * len(faces) % tuple(faces.ravel().tolist()))
