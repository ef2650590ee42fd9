"""Orthonormal bases."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def basis_with_x_axis(axis: Array) -> Array:
    """Return a rotation (3, 3) whose first column is along an axis (3,) of any length.

    The second column is across the axis and the coordinate direction that is least parallel to it.
    """
    x = axis / np.linalg.norm(axis)
    least_parallel = np.eye(3)[np.abs(x).argmin()]
    y = np.cross(x, least_parallel)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)
