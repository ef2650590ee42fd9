"""Open3D's ray casting, also on machines without libusb, which Open3D is linked against."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from kinediff3d_core.objects.estimate import Mesh


def import_open3d() -> Any:
    """The module ``open3d``.

    Raises:
        ValueError: it is not installed, or system libraries that it needs are missing; the message
            is one line that says what to install.
    """
    load_libusb()
    try:
        import open3d
    except (ImportError, OSError) as error:
        raise ValueError(
            f'mesh objects are rendered with Open3D, which cannot be imported ({error}); '
            'install it with "pip install open3d" and, on Debian or Ubuntu, '
            '"apt-get install libgl1 libgomp1 libx11-6 libusb-1.0-0"') from error
    return open3d


def load_libusb() -> None:
    """Load libusb from the package ``libusb-package`` where the system has none.

    Open3D is linked against it for cameras that are not used here.
    """
    try:
        ctypes.CDLL('libusb-1.0.so.0')
    except OSError:
        try:
            import libusb_package

            ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
        except (ImportError, OSError):
            return  # Importing Open3D reports what is missing.


def raycasting_scene(meshes: Sequence[Mesh]) -> Any:
    """Open3D's ray casting scene of meshes in one frame.

    The geometry id of a mesh is its index.

    Raises:
        ValueError: as :func:`import_open3d`.
    """
    scene = import_open3d().t.geometry.RaycastingScene()
    for mesh in meshes:
        scene.add_triangles(np.ascontiguousarray(mesh.vertices, dtype=np.float32),
                            np.ascontiguousarray(mesh.faces, dtype=np.uint32))
    return scene
