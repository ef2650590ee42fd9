"""The files of ``robot_description``: a URDF and meshes, each version in a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from kinediff3d_core.io.files import write_text
from kinediff3d_core.io.urdf_folder import write_collision, write_obj
from kinediff3d_core.objects.collision import CONFIG, collision_pieces
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_core.objects.urdf import urdf_string

KEPT_SECONDS = 300.0
"""Time for which a version is kept after a newer one has replaced it, s: a viewer or a
robot_state_publisher may have received it and load its meshes late. Chosen."""
KEPT_MOST = 30
"""Most versions that are kept, the newest; bounds the space on the disk. Chosen: five minutes of
the default period."""

RETIRED = '.retired'
"""File in the folder of an object that is not published any more, of the time when that ended."""


def default_directory() -> Path:
    """Return ``$ROS_HOME/kinediff3d``; ROS itself uses ``$ROS_HOME``, by default ``~/.ros``."""
    return Path(os.environ.get('ROS_HOME') or Path.home() / '.ros') / 'kinediff3d'


class DescriptionFiles:
    """Writes each version of an object's URDF and meshes into a folder of its own.

    Viewers cache meshes by URI, so a new shape needs a new name. A version is written to a
    temporary folder and renamed, so that it is always complete. Its ``object.urdf`` names its
    meshes by relative paths.

    Args:
        directory: holds ``<topics>/<version>/object.urdf`` and ``meshes/``.
        topics: the namespace of the object's topics, so that two nodes have two folders.
        object_name: before the names of links and joints.
    """

    def __init__(self, directory: Path, topics: str, object_name: str) -> None:
        self._written: dict[str, tuple[Mesh, Path]] = {}
        self._object_name = object_name
        self._directory = directory.absolute()
        self._root = self._directory / topics.strip('/')

    def write(self, estimate: ArticulatedEstimate, version: str, mesh_uri: str = 'file',
              pieces: int = 0) -> str:
        """Write a version, and delete those that were replaced long ago.

        Args:
            mesh_uri: of the meshes in the result: ``file`` for ``file://``, ``relative``, or what
                stands for the directory, such as ``package://my_package/objects``.
            pieces: most convex pieces of a part's decomposition for collisions; 0: its mesh.

        Returns:
            the URDF.

        Raises:
            OSError: the files cannot be written; the versions before are still there.
        """
        collision = collision_pieces(estimate, replace(CONFIG, decomposition=replace(
            CONFIG.decomposition, max_pieces=pieces))) if pieces else {}
        counts = {part: len(meshes) for part, meshes in collision.items()}
        self._root.mkdir(parents=True, exist_ok=True)
        (self._root / RETIRED).unlink(missing_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix='.new-', dir=self._root))
        try:
            self._write_meshes(estimate, scratch / 'meshes')
            write_collision(collision, scratch / 'meshes')
            write_text(scratch / 'object.urdf', urdf_string(
                estimate, object_name=self._object_name, collision=counts))
            scratch.chmod(0o755)
            folder = self._unused(version)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        self._written = {p.name: (p.mesh, folder / 'meshes' / f'{p.name}.obj')
                         for p in estimate.parts if p.mesh is not None}
        self._delete_old()
        self._delete_retired()
        return self._published(estimate, folder, mesh_uri, counts)

    def retire(self) -> None:
        """State that the object is not published any more: its files are deleted after a time."""
        with suppress(OSError):
            (self._root / RETIRED).touch()

    def _delete_retired(self) -> None:
        """Delete the folders of other objects that were retired long ago."""
        for marker in self._root.parent.glob(f'*/{RETIRED}'):
            with suppress(OSError):
                if time.time() - marker.stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(marker.parent, ignore_errors=True)

    def _unused(self, version: str) -> Path:
        """The folder of a version; with a number if there is one, as when a recording repeats."""
        folder, number = self._root / version, 2
        while folder.exists():
            folder, number = self._root / f'{version}-{number}', number + 1
        return folder

    def _published(self, estimate: ArticulatedEstimate, folder: Path, mesh_uri: str,
                   collision: Mapping[str, int]) -> str:
        if mesh_uri == 'relative':
            return urdf_string(estimate, object_name=self._object_name, collision=collision)
        meshes = folder / 'meshes'
        prefix = meshes.as_uri() if mesh_uri == 'file' else (
            f'{mesh_uri.rstrip("/")}/{meshes.relative_to(self._directory).as_posix()}')
        return urdf_string(estimate, lambda mesh: f'{prefix}/{mesh}.obj', self._object_name,
                           collision)

    def _delete_old(self) -> None:
        """Delete versions that were replaced long ago, and the oldest if there are too many."""
        versions = sorted((p for p in self._root.iterdir() if not p.name.startswith('.')),
                          key=lambda p: p.stat().st_mtime)
        now = time.time()
        for i, (old, newer) in enumerate(zip(versions, versions[1:], strict=False)):
            replaced = now - newer.stat().st_mtime
            if replaced > KEPT_SECONDS or len(versions) - i > KEPT_MOST:
                shutil.rmtree(old, ignore_errors=True)

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
