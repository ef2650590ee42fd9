"""Registration of a depth image to another camera, by a z-buffer."""

from __future__ import annotations

from itertools import product

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.geometry.rigid import transform_points

NEAREST = 0.01
"""Points nearer to the other camera than this are not seen by it, m. Chosen."""

MAX_FOOTPRINT = 8
"""Most pixels of the other image, in each direction, that one pixel covers. Chosen: it bounds the
time; a camera with eight times the resolution of the depth camera is not known."""

OVERLAP = 1.001
"""Factor of the footprints' widths. Chosen: more than the rounding of float32, which would leave
holes between footprints that meet at the centre of a pixel."""


def register_depth(depth: np.ndarray, camera: Intrinsics, other: Intrinsics,
                   T_other_camera: np.ndarray) -> np.ndarray:
    """The depth image (H', W') float32, m, that another camera would see; 0 where it is unknown.

    Each measurement covers the pixels of the other image whose centres lie in its projected
    footprint, so that an image of higher resolution has no holes; the nearest one counts. Surfaces
    that only the other camera sees stay empty. Unlike here, the register node of depth_image_proc
    rounds to one pixel, or (``fill_upsampling_holes``) draws the corners of the footprint too.

    Args:
        depth: (H, W) z-depth, m; zero, negative and non-finite pixels are no measurement.
        camera, other: of the depth image and of the result.
        T_other_camera: (4, 4), m.

    Raises:
        ValueError: the depth image does not have its camera's size; the message names both.
    """
    source = backproject(depth, camera)
    x, y, z = transform_points(T_other_camera.astype(np.float32), source).T
    with np.errstate(all='ignore'):  # behind or beside the other camera
        u = x / z * np.float32(other.fx) + np.float32(other.cx)
        v = y / z * np.float32(other.fy) + np.float32(other.cy)
        scale = source[:, 2] / z
        half_width = scale * np.float32(OVERLAP / 2 * other.fx / camera.fx)
        half_height = scale * np.float32(OVERLAP / 2 * other.fy / camera.fy)
        seen = np.flatnonzero(
            (z > NEAREST) & (u + half_width > 0) & (u - half_width < other.width)
            & (v + half_height > 0) & (v - half_height < other.height))
    z = z[seen]
    columns = _covered(u[seen], half_width[seen], other.width)
    rows = _covered(v[seen], half_height[seen], other.height)
    nearest = np.full(other.width * other.height, np.inf, dtype=np.float32)
    for (column, in_column), (row, in_row) in product(columns, rows):
        both = np.flatnonzero(in_column & in_row)
        np.minimum.at(nearest, row[both] * other.width + column[both], z[both])
    nearest[np.isinf(nearest)] = 0
    return nearest.reshape(other.height, other.width)


def _covered(centre: np.ndarray, half: np.ndarray, size: int,
             ) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first, second, … pixel of each footprint: its index (N,), and whether there is one (N,).

    Args:
        centre, half: (N,) middle and half width of the footprints, pixels.
        size: of the image, pixels.
    """
    first = np.ceil(centre - half).astype(np.int32)
    end = np.minimum(centre + half, size)
    most = int(np.ceil(2 * half.max(initial=0)))
    indices = (first + np.int32(k) for k in range(min(most, MAX_FOOTPRINT)))
    return [(index, (index < end) & (index >= 0)) for index in indices]
