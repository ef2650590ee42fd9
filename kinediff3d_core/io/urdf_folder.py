"""URDF and part meshes in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_core.objects.urdf import urdf_string


def write_urdf(estimate: ArticulatedEstimate, out_dir: Path | str) -> Path:
    """Write ``object.urdf`` and ``meshes/<part>.obj`` into a folder, created if it is not there.

    Each file is complete or absent: it is written aside and moved into place, the URDF last.

    Returns:
        The path of the URDF.
    """
    out = Path(out_dir)
    (out / 'meshes').mkdir(parents=True, exist_ok=True)
    for part in estimate.parts:
        if part.mesh is not None:
            write_obj(part.mesh, out / 'meshes' / f'{part.name}.obj')
    path = out / 'object.urdf'
    write_text(path, urdf_string(estimate))
    return path


def write_obj(mesh: Mesh, path: Path) -> None:
    """Write a mesh as Wavefront OBJ, metres."""
    vertices, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces) + 1
    write_text(path, f'# {len(vertices)} vertices, {len(faces)} faces, metres\n'
               + 'v %.6f %.6f %.6f\n' * len(vertices) % tuple(vertices.ravel().tolist())
               + 'f %d %d %d\n' * len(faces) % tuple(faces.ravel().tolist()))
