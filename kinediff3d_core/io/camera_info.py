"""Camera calibration on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.reading import checked_file


def read_camera_info(path: Path | str, size: tuple[int, int] | None = None) -> Intrinsics:
    """Intrinsics from YAML or JSON.

    Understood are the keys of a ROS ``camera_info`` message or calibration file (``k``, ``K``,
    ``camera_matrix: {data: [...]}``, also ``p`` of rectified images), and ``fx fy cx cy``.

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
    values = {str(key).lower(): value for key, value in content.items()}
    matrix = next((values[k] for k in ('k', 'camera_matrix', 'intrinsic_matrix') if k in values),
                  None)
    try:
        if all(k in values for k in ('fx', 'fy', 'cx', 'cy')):
            fx, fy, cx, cy = (float(values[k]) for k in ('fx', 'fy', 'cx', 'cy'))
        elif matrix is not None:
            data = matrix.get('data') if isinstance(matrix, dict) else matrix
            k = np.asarray(data, dtype=np.float64)
            if k.size != 9:
                raise ValueError(f'the camera matrix has {k.size} numbers, not 9')
            k = k.reshape(-1)
            if content.get('intrinsic_matrix') is matrix and abs(k[6]) > 1:
                k = k.reshape(3, 3).T.reshape(-1)  # Open3D writes it by columns.
            fx, fy, cx, cy = (float(k[i]) for i in (0, 4, 2, 5))
        else:
            raise ValueError(f'no k and no fx, fy, cx, cy among its keys '
                             f'({", ".join(sorted(values))})')
        width = values.get('width', values.get('image_width', size[0] if size else None))
        height = values.get('height', values.get('image_height', size[1] if size else None))
        if width is None or height is None:
            raise ValueError('width and height are missing')
        return Intrinsics(fx, fy, cx, cy, int(width), int(height))
    except (TypeError, ValueError) as error:
        raise ValueError(f'{file}: {error}') from error
