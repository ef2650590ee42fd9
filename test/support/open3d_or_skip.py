"""Open3D, or the test is skipped where it or a system library of it is missing."""

from __future__ import annotations

from types import ModuleType

import pytest


def import_open3d() -> ModuleType:
    """Open3D; skips the test, or the module if it calls this at its top.

    ``pytest.importorskip`` needs ``exc_type`` for a missing system library from pytest 9 on, and
    has no ``exc_type`` before 8.2. Ubuntu 24.04 has pytest 7.4.
    """
    try:
        import open3d
    except ImportError as error:
        pytest.skip(f'needs Open3D: {error}', allow_module_level=True)
    return open3d
