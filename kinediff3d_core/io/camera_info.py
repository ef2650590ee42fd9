"""Camera calibration: which matrix counts, binning and region of interest, and files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.files import checked_file

MATRICES = ('k', 'camera_matrix', 'intrinsic_matrix')
"""Names of the camera matrix K: ROS messages, ROS calibration files, Open3D."""
PROJECTIONS = ('p', 'projection_matrix')
"""Names of the projection matrix P: ROS messages, ROS calibration files."""


def intrinsics_from_matrices(k: Sequence[float], p: Sequence[float] | None,
                             size: tuple[int, int], binning: tuple[int, int] = (1, 1),
                             roi: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Intrinsics:
    """Intrinsics of the rectified image by the rules of ``sensor_msgs/CameraInfo``.

    P (of the rectified image) where its focal lengths are set, else K. The region of interest is
    in pixels of the full image, before binning.

    Args:
        k: 9 numbers, row by row. p: 12 numbers, row by row, or None.
        size: (width, height) of the full image, pixels.
        binning: pixels in x and y that are read as one; 0 counts as 1.
        roi: x and y offset, width and height; an empty region is the full image.

    Raises:
        ValueError: focal lengths in neither matrix (an uncalibrated camera), or not finite.
    """
    fx, fy, cx, cy = k[0], k[4], k[2], k[5]
    if p is not None and p[0] > 0 and p[5] > 0:
        fx, fy, cx, cy = p[0], p[5], p[2], p[6]
    if not (fx > 0 and fy > 0):
        raise ValueError('camera_info carries no calibration: the focal lengths in K and P are '
                         f'{k[0]:g} and {0 if p is None else p[0]:g}')
    width, height = size
    x, y, roi_width, roi_height = roi
    if roi_width and roi_height:
        cx, cy, width, height = cx - x, cy - y, roi_width, roi_height
    bin_x, bin_y = (max(n, 1) for n in binning)
    return Intrinsics(float(fx / bin_x), float(fy / bin_y), float(cx / bin_x), float(cy / bin_y),
                      int(width // bin_x), int(height // bin_y))


def read_camera_info(path: Path | str, size: tuple[int, int] | None = None) -> Intrinsics:
    """Intrinsics from YAML or JSON.

    Understood are the keys of a ROS ``camera_info`` message or calibration file (``k``, ``K``,
    ``camera_matrix: {data: [...]}``, ``p``, ``projection_matrix``, ``binning_x``, ``roi``), of
    Open3D (``intrinsic_matrix``, by columns), and ``fx fy cx cy``.

    Args:
        size: (width, height) to use where the file has none.

    Raises:
        ValueError: missing, unreadable, or without focal lengths, centre or size.
    """
    import yaml

    file = checked_file(path, 'camera info')
    try:
        text = file.read_text(encoding='utf-8')
        content = json.loads(text) if file.suffix.lower() == '.json' else yaml.safe_load(text)
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'{file}: not readable as camera info ({reason})') from error
    if not isinstance(content, dict):
        raise ValueError(f'{file}: camera info must be a mapping with k or fx, fy, cx, cy')
    try:
        return _intrinsics({str(key).lower(): value for key, value in content.items()}, size)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f'{file}: {error}') from error


def _intrinsics(values: Mapping[str, Any], size: tuple[int, int] | None) -> Intrinsics:
    """Intrinsics from the keys of a file, in lower case."""
    names = [name for name in MATRICES if name in values]
    has_lengths = all(key in values for key in ('fx', 'fy', 'cx', 'cy'))
    if not has_lengths and not names:
        raise ValueError('no k and no fx, fy, cx, cy among its keys '
                         f'({", ".join(sorted(values))})')
    k = None if has_lengths else _matrix(values[names[0]], 9)
    width = values.get('width', values.get('image_width', size[0] if size else None))
    height = values.get('height', values.get('image_height', size[1] if size else None))
    if width is None or height is None:
        raise ValueError('width and height are missing')
    if k is None:
        fx, fy, cx, cy = (float(values[key]) for key in ('fx', 'fy', 'cx', 'cy'))
        return Intrinsics(fx, fy, cx, cy, int(width), int(height))
    if names[0] == 'intrinsic_matrix' and abs(k[6]) > 1:
        k = [k[i] for i in (0, 3, 6, 1, 4, 7, 2, 5, 8)]  # Open3D writes it by columns.
    p = next((_matrix(values[name], 12) for name in PROJECTIONS
              if values.get(name) is not None), None)
    region = values.get('roi') or {}
    x, y, roi_width, roi_height = (int(region.get(key, 0)) for key in (
        'x_offset', 'y_offset', 'width', 'height'))
    binning = int(values.get('binning_x', 1)), int(values.get('binning_y', 1))
    return intrinsics_from_matrices(k, p, (int(width), int(height)), binning,
                                    (x, y, roi_width, roi_height))


def _matrix(value: Any, count: int) -> list[float]:
    """The numbers of a matrix that is a list, nested lists or ``{data: [...]}``, row by row."""
    data = value.get('data') if isinstance(value, dict) else value
    numbers = np.asarray(data, dtype=np.float64)
    if numbers.size != count:
        raise ValueError(f'the camera matrix has {numbers.size} numbers, not {count}')
    return [float(x) for x in numbers.reshape(-1)]
