"""``robot_description``: the URDF of what was seen, with mesh files that stay put while in use."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from kinediff3d_core.estimate import ArticulatedEstimate
from kinediff3d_core.urdf import urdf_string, write_urdf

KEPT = 3
"""Versions of the files that are kept: readers may still be loading the one before."""


def default_directory() -> Path:
    """``$ROS_HOME/kinediff3d``, as ROS itself places its files."""
    return Path(os.environ.get('ROS_HOME') or Path.home() / '.ros') / 'kinediff3d'


class DescriptionFiles:
    """Writes each version of an object's URDF and meshes into a folder of its own.

    Viewers cache meshes by URI, so a new shape needs a new name. A version appears whole: it is
    written beside its place and renamed.

    Args:
        directory: holds ``<object>/<version>/object.urdf`` and ``meshes/``.

    Raises:
        OSError: the directory cannot be made.
    """

    def __init__(self, directory: Path, object_name: str) -> None:
        self._root = directory.absolute() / object_name
        self._root.mkdir(parents=True, exist_ok=True)

    def write(self, estimate: ArticulatedEstimate, version: str) -> str:
        """Write a version and drop the oldest ones.

        Returns:
            the URDF; its meshes are ``file://`` URIs.
        """
        folder = self._root / version
        scratch = Path(tempfile.mkdtemp(prefix='.new-', dir=self._root))
        try:
            write_urdf(estimate, scratch)
            scratch.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        versions = sorted((p for p in self._root.iterdir() if not p.name.startswith('.')),
                          key=lambda p: p.stat().st_mtime)
        for old in versions[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return urdf_string(estimate, lambda part: (folder / 'meshes' / f'{part}.obj').as_uri())
