"""The files of ``robot_description``: a URDF and meshes, each version in a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from kinediff3d_core.io.files import write_text
from kinediff3d_core.io.urdf_folder import write_obj
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_core.objects.urdf import urdf_string

KEPT_VERSIONS = 3
"""Versions of the files that are kept: readers may still load an older one. Chosen."""


def default_directory() -> Path:
    """Return ``$ROS_HOME/kinediff3d``; ROS itself uses ``$ROS_HOME``, by default ``~/.ros``."""
    return Path(os.environ.get('ROS_HOME') or Path.home() / '.ros') / 'kinediff3d'


class DescriptionFiles:
    """Writes each version of an object's URDF and meshes into a folder of its own.

    Viewers cache meshes by URI, so a new shape needs a new name. A version is written to a
    temporary folder and renamed, so that it is always complete.

    Args:
        directory: holds ``<object>/<version>/object.urdf`` and ``meshes/``.

    Raises:
        OSError: the directory cannot be made.
    """

    def __init__(self, directory: Path, object_name: str) -> None:
        self._written: dict[str, tuple[Mesh, Path]] = {}
        self._object_name = object_name
        self._root = directory.absolute() / object_name
        self._root.mkdir(parents=True, exist_ok=True)

    def write(self, estimate: ArticulatedEstimate, version: str) -> str:
        """Write a version and delete the oldest ones.

        Returns:
            the URDF; its meshes are ``file://`` URIs.
        """
        folder = self._root / version
        scratch = Path(tempfile.mkdtemp(prefix='.new-', dir=self._root))
        try:
            self._write_meshes(estimate, scratch / 'meshes')
            write_text(scratch / 'object.urdf', urdf_string(
                estimate, object_name=self._object_name))
            scratch.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            scratch.rename(folder)
            self._written = {p.name: (p.mesh, folder / 'meshes' / f'{p.name}.obj')
                             for p in estimate.parts if p.mesh is not None}
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        versions = sorted((p for p in self._root.iterdir() if not p.name.startswith('.')),
                          key=lambda p: p.stat().st_mtime)
        for old in versions[:-KEPT_VERSIONS]:
            shutil.rmtree(old, ignore_errors=True)
        return urdf_string(estimate, lambda part: (folder / 'meshes' / f'{part}.obj').as_uri(),
                           self._object_name)

    def _write_meshes(self, estimate: ArticulatedEstimate, folder: Path) -> None:
        """Write ``<part>.obj`` of each mesh; a mesh of the last version is linked instead."""
        folder.mkdir()
        for part in estimate.parts:
            if part.mesh is None:
                continue
            file, last = folder / f'{part.name}.obj', self._written.get(part.name)
            if last is None or last[0] is not part.mesh or not _link(last[1], file):
                write_obj(part.mesh, file)


def _link(source: Path, target: Path) -> bool:
    """Link a file; return False if it is gone, or the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True
