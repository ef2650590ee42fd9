"""Camera calibration files in the spellings of the field (docs/inputs.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.distortion import FISHEYE, POLYNOMIAL, UNDISTORTED
from kinediff3d_core.io.calibration import (
    Calibration,
    CameraMatrices,
    calibration_from_matrices,
    metres_a_step,
)
from kinediff3d_core.io.documents import read_documents
from kinediff3d_core.io.files import checked_file, listed, shortened
from kinediff3d_core.io.plain_camera import plain_cameras

MATRICES = ('k', 'cameramatrix', 'camk', 'intrinsicmatrix', 'intrinsics', 'intrinsic',
            'cameraintrinsics', 'm1', 'mtx')
"""Names of the camera matrix, as :func:`_key` writes them: ROS messages, files of ROS and OpenCV,
BOP, Open3D, Kalibr, OpenCV's stereo files."""
PROJECTIONS = ('p', 'projectionmatrix', 'p1')
DISTORTION = re.compile(r'd1?|coeffs|dist(ortion)?(coef\w*|param\w*)?')
"""Names of distortion coefficients."""
MODELS, CAMERA_MODELS = ('distortionmodel', 'model', 'distortion'), ('cameramodel', 'modeltype')
"""Names of the lens's model, and of the camera's, which may say the lens's."""
OMNIDIRECTIONAL = ('xi', 'mirrorparameters')
"""Parameters that no pinhole camera has."""
WIDTHS, HEIGHTS = ('width', 'imagewidth', 'w'), ('height', 'imageheight', 'h')
SIZES = ('resolution', 'imagesize')
SCALES = ('depthscale', 'depthunits', 'depthmapfactor', 'pngdepthscale')
COEFFICIENTS = ('k1', 'k2', 'p1', 'p2', 'k3', 'k4', 'k5', 'k6')
"""Distortion coefficients with a name each, in OpenCV's order."""
FISHEYE_COEFFICIENTS = ('k1', 'k2', 'k3', 'k4')
PREFIX, SEPARATORS = re.compile(r'^(camera1?|rgbd)\.'), re.compile(r'[_\s-]')
"""Before the names in the settings of ORB-SLAM; between the words of a name."""
ALIASES = {'camera.type': 'model', 'flx': 'fx', 'fly': 'fy', 'ppx': 'cx', 'ppy': 'cy'}
"""Names of one thing each: ORB-SLAM, nerfstudio, librealsense."""
LENS = ('fx', 'fy', 'cx', 'cy')
INHERITED = {*MODELS, *CAMERA_MODELS, *OMNIDIRECTIONAL, *WIDTHS, *HEIGHTS, *SIZES, *SCALES}
"""What holds for a camera, too, where it stands beside it and not in it; so do coefficients."""
DEPTH = 4
"""Levels of nested mappings that are searched for cameras. Chosen."""
PINHOLES = (*POLYNOMIAL, *FISHEYE, *UNDISTORTED, 'simple_pinhole', 'perspective')
"""Models of cameras that are read."""
EXPECTED = 'k (or fx, fy, cx, cy), width and height'

_Found = dict[str, Mapping[str, Any]]


def read_camera_info(path: Path | str, size: tuple[int, int] | None = None) -> Intrinsics:
    """Intrinsics of rectified images from a calibration file (:func:`read_calibration`).

    Raises:
        ValueError: as :func:`read_calibration`, or the calibration is of raw images.
    """
    found = read_calibration(path, size)
    if found.distortion is not None:
        raise ValueError(f'{path}: the distortion is not zero and P is not set, so it is of raw '
                         'images; rectify them (image_proc)')
    return found.intrinsics


def read_calibration(path: Path | str, size: tuple[int, int] | None = None,
                     name: str | None = None, frame: str | None = None, raw: bool = False,
                     ) -> Calibration:
    """Calibration from YAML, JSON, OpenCV's XML, ``ost.txt`` or a text file of 9 numbers.

    Args:
        size: (width, height) to use where the file has none.
        name: of the camera, or the image id, in a file of several.
        frame: name of the depth image, which may be such an id.
        raw: the image is not rectified: K and the distortion count, not P.

    Raises:
        ValueError: missing, unreadable, without focal lengths, centre or size, of several cameras,
            or none of a depth image. One line that names the file.
    """
    file = checked_file(path, 'camera info')
    plain = plain_cameras(file)
    documents = read_documents(file, 'camera info') if plain is None else [plain]
    try:
        return _calibration(_choose(_cameras(documents), name, frame, size), size, raw)
    except (AttributeError, TypeError, KeyError, ValueError, OverflowError, RecursionError
            ) as error:
        raise ValueError(f'{file}: {shortened(error, 220)}') from error


def _cameras(documents: list[Any]) -> _Found:
    """All cameras of the documents by their names."""
    found: _Found = {}
    for i, value in enumerate(documents):
        found.update(_search({'k': value} if _is_matrix(value) else value, f'{i + 1}', DEPTH, {}))
    if not found:
        if not any(isinstance(d, Mapping) for d in documents):
            raise ValueError(f'camera info must be a mapping with {EXPECTED}')
        keys = sorted(str(key) for d in documents if isinstance(d, Mapping) for key in d)
        raise ValueError(f'no k and no fx, fy, cx, cy among its keys ({listed(keys)})')
    return found


def _search(value: Any, label: str, depth: int, around: Mapping[str, Any]) -> _Found:
    """The cameras in a value and in what it holds.

    Args:
        around: what stands beside the value and holds for its cameras.
    """
    if isinstance(value, Mapping):
        own = {_key(str(key).lower()): item for key, item in value.items()}
        camera = {**around, **own}
        nested = any(_has_mappings(own.get(key)) for key in MATRICES)
        if not nested and (any(key in own for key in MATRICES) or _has_lens(own)):
            return {label: camera}
        around = {key: item for key, item in camera.items()
                  if key in INHERITED or DISTORTION.fullmatch(key)}
        children: Any = value.items()
    elif isinstance(value, list) and not all(isinstance(x, int | float | str) for x in value):
        children = enumerate(value)
    else:
        return {}
    found: _Found = {}
    for key, item in children if depth else ():
        found.update(_search(item, str(key), depth - 1, around))
    return found


def _key(key: str) -> str:
    """A key in lower case as others write it: without prefix and separators."""
    plain = SEPARATORS.sub('', PREFIX.sub('', ALIASES.get(key, key)))
    return ALIASES.get(plain, plain)


def _has_mappings(value: Any) -> bool:
    """Whether a value holds cameras, and not the numbers of one."""
    if isinstance(value, Mapping):
        return 'data' not in value
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def _choose(cameras: _Found, name: str | None, frame: str | None,
            size: tuple[int, int] | None) -> Mapping[str, Any]:
    """The named camera, that of the frame, or any of those for ``size`` if all are the same."""
    if name is not None:
        for label, camera in cameras.items():
            if name == label or _number(name) == _number(label) is not None:
                return camera
        raise ValueError(f'no camera {name!r} among {listed(cameras)}')
    for label, camera in cameras.items():
        if len(cameras) > 1 and frame is not None and _number(frame) == _number(label) is not None:
            return camera
    values = [c for c in cameras.values() if _size(c, size) == size] or list(cameras.values())
    if all(_same(values[0], other) for other in values[1:]):
        return values[0]
    raise ValueError(f'{len(values)} cameras that differ ({listed(cameras, 4)}); choose one with '
                     '--camera-name')


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    keys = {*MATRICES, *PROJECTIONS, *LENS, *COEFFICIENTS, *INHERITED, 'roi', 'binningx',
            'binningy', *(key for key in (*a, *b) if DISTORTION.fullmatch(key))}
    return all(a.get(key) == b.get(key) for key in keys)


def _number(label: str) -> int | None:
    return int(label) if label.isascii() and label.isdigit() and len(label) < 20 else None


def _is_matrix(value: Any) -> bool:
    """Whether a document is the camera matrix alone: 3 x 3 numbers in rows, or 9 in a list."""
    rows = value if isinstance(value, list) else []
    numbers = [x for row in rows for x in (row if isinstance(row, list) else [row])]
    return len(rows) in (3, 9) and len(numbers) == 9 and all(map(_is_number, numbers))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _has_lens(values: Mapping[str, Any]) -> bool:
    return all(key in values for key in LENS)


def _calibration(values: Mapping[str, Any], size: tuple[int, int] | None, raw: bool,
                 ) -> Calibration:
    """Calibration from the keys of one camera, in lower case."""
    p = next((_numbers(values[key], 12, 'projection') for key in PROJECTIONS
              if values.get(key) is not None and not _is_number(values[key])), None)
    region = values.get('roi') or {}
    x, y, roi_width, roi_height = (int(region.get(key) or 0) for key in (
        'x_offset', 'y_offset', 'width', 'height'))
    found = calibration_from_matrices(CameraMatrices(
        _matrix(values), p, _size(values, size),
        (int(values.get('binningx') or 1), int(values.get('binningy') or 1)),
        (x, y, roi_width, roi_height), _model(values), _coefficients(values)), raw)
    declared = [float(values[key]) for key in SCALES if values.get(key) is not None]
    return replace(found, depth_scale=metres_a_step(declared[0])) if declared else found


def _size(values: Mapping[str, Any], size: tuple[int, int] | None) -> tuple[int, int]:
    for key in SIZES:
        if values.get(key) is not None:
            pair = np.asarray(_data(values[key]), dtype=np.float64).ravel()
            return int(pair[0]), int(pair[1])
    width = next((values[k] for k in WIDTHS if values.get(k) is not None), size and size[0])
    height = next((values[k] for k in HEIGHTS if values.get(k) is not None), size and size[1])
    if width is None or height is None:
        raise ValueError('width and height are missing')
    if not int(width) and not int(height) and size is not None:
        return size
    if int(width) <= 0 or int(height) <= 0:
        raise ValueError(f'width and height must be positive, they are {width} and {height}')
    return int(width), int(height)


def _matrix(values: Mapping[str, Any]) -> list[float]:
    """The camera matrix (9,), row by row or as it is written."""
    if _has_lens(values):
        fx, fy, cx, cy = (float(values[key]) for key in LENS)
        if not np.isfinite([fx, fy, cx, cy]).all() or fx <= 0 or fy <= 0:
            raise ValueError(f'fx and fy must be positive and finite, they are {fx:g} and {fy:g}')
        return [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    key = next(name for name in MATRICES if name in values)
    data = _data(values[key])
    count = np.asarray(data, dtype=np.float64).size
    if count == 4:  # Kalibr's fx, fy, cx, cy
        fx, fy, cx, cy = _numbers(data, 4, 'camera')
        return [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    if count in (12, 16):  # 3 x 4 and 4 x 4 with K in the corner
        numbers = _numbers(data, count, 'camera')
        return [numbers[4 * i + j] for i in range(3) for j in range(3)]
    return _numbers(data, 9, 'camera')


def _model(values: Mapping[str, Any]) -> str:
    """The lens's model, or the camera's, in lower case with ``_`` between its words.

    Raises:
        ValueError: no pinhole camera.
    """
    camera, lens = (next((_model_name(values[key]) for key in keys
                          if isinstance(values.get(key), str)), '')
                    for keys in (CAMERA_MODELS, MODELS))
    if camera not in PINHOLES or any(key in values for key in OMNIDIRECTIONAL):
        raise ValueError(f'camera model {camera or "omnidirectional"!r} is not a pinhole camera; '
                         'rectify the images (image_proc)')
    return lens or camera


def _model_name(name: str) -> str:
    plain = name.lower().removeprefix('distortion.').replace(' ', '_').replace('-', '_')
    return shortened(plain, 40)


def _coefficients(values: Mapping[str, Any]) -> list[float]:
    """The distortion coefficients in OpenCV's order."""
    given = [item for key, item in values.items() if DISTORTION.fullmatch(key)
             and item is not None and not isinstance(item, str)]
    named = [item for item in given if isinstance(item, Mapping) and 'data' not in item]
    if given and not named:
        return [float(x) for x in np.asarray(_data(given[0]), dtype=np.float64).reshape(-1)]
    each = {_key(str(key).lower()): x for key, x in (named[0] if named else values).items()}
    names = FISHEYE_COEFFICIENTS if _model(values) in FISHEYE else COEFFICIENTS
    return [float(each[key]) if _is_number(each.get(key)) else 0.0 for key in names]


def _data(value: Any) -> Any:
    """What a matrix holds that is a list, nested lists or ``{data: [...]}``."""
    return value['data'] if isinstance(value, Mapping) else value


def _numbers(value: Any, count: int, what: str) -> list[float]:
    """The numbers of a matrix, row by row."""
    numbers = np.asarray(_data(value), dtype=np.float64)
    if numbers.size != count:
        raise ValueError(f'the {what} matrix has {numbers.size} numbers, not {count}')
    if not np.isfinite(numbers).all():
        raise ValueError(f'the {what} matrix has numbers that are not finite')
    return [float(x) for x in numbers.reshape(-1)]
