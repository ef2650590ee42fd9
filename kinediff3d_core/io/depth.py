"""Depth images: units, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinediff3d_core.io.files import Array, shortened
from kinediff3d_core.io.images import read_pixels

DEPTH_KINDS = '16-bit PNG or TIFF in millimetres, or 32-bit TIFF or .npy in metres'
MILLIMETRE = 1e-3
"""Metres of a step of an image of integers (REP 118)."""
NAMES = ('depth', 'depth_image', 'depth_map', 'arr_0')
"""Names of the array in a ``.npz`` file."""
SCENE_DEPTHS = 0.04, 25.0
"""Smallest and largest median depth of a scene, m. Chosen: depth cameras for objects measure from
0.07 m (RealSense D405) to about 10 m."""
SCALES = (1e-3, 1e-4, 2.5e-4, 2e-4, 1e-2, 1.0, 1e-5, 1e-6)
"""Metres a step of known sources, the likeliest first: millimetres, RealSense D405 (0.1 mm),
L515 (0.25 mm), TUM (0.2 mm), centimetres, metres, 0.01 mm, micrometres."""
USUAL = 0.2, 6.0
"""Median depths of scenes with an object on a table or in a kitchen, m. Chosen."""


def read_depth(path: Path | str, scale: float | None = None) -> Array:
    """Depth image (H, W) float32 in metres; 0 where there is none.

    16-bit images (PNG, TIFF, ``.npy``, ``.npz``) hold millimetres, floating ones metres.

    Args:
        scale: metres a step of the file, of integers or floating numbers.

    Raises:
        ValueError: as :func:`read_steps` and :func:`scale_steps`.
    """
    return scale_steps(path, read_steps(path), scale)


def read_steps(path: Path | str) -> Array:
    """The pixels (H, W) of a depth image in the file's own type and unit.

    Raises:
        ValueError: missing or unreadable, 8-bit or colour, or of a wrong shape.
    """
    image = read_pixels(path, 'depth image', DEPTH_KINDS, NAMES)
    try:
        return _one_channel(image)
    except ValueError as error:
        raise ValueError(f'{path}: {shortened(error, 100)}; expected a {DEPTH_KINDS}') from error


def scale_steps(path: Path | str, image: Array, scale: float | None = None,
                declared: float | None = None) -> Array:
    """Depth (H, W) float32 in metres of the pixels of a file.

    Args:
        path: of the file, for messages.
        scale: metres a step, of integers or floating numbers.
        declared: metres a step of integers as the calibration says, where ``scale`` is None.

    Raises:
        ValueError: depths of no scene that a depth camera sees; the message names the likely unit.
    """
    if scale is None and image.dtype.kind in 'ui':
        scale = declared
    depth = depth_in_metres(image, scale)
    try:
        _check_scene(depth, image, scale)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return depth


def depth_in_metres(image: Array, scale: float | None = None) -> Array:
    """Depth (H, W) float32 in metres, 0 where there is none, of the pixels of a depth image.

    The type says the unit, as in REP 118: integers of 16 bits or more are millimetres, floating
    numbers metres. Negative and non-finite values are no measurement.

    Args:
        image: (H, W), with axes of length one before or after these.
        scale: metres a step, where it is another.

    Raises:
        ValueError: 8-bit, or more than one channel.
    """
    image = _one_channel(image)
    kind = image.dtype.kind
    if kind == 'u' and image.dtype.itemsize == 2 and scale is None:
        return np.divide(image, np.float32(1000), dtype=np.float32)
    if kind == 'f' and scale is None:
        depth = image.astype(np.float32)
    else:
        steps = 1000.0 if scale is None else 1 / scale
        with np.errstate(over='ignore', invalid='ignore'):
            depth = (image.astype(np.float64) / steps).astype(np.float32)
    with np.errstate(invalid='ignore'):
        return np.asarray(np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0)))


def _one_channel(image: Array) -> Array:
    """The image (H, W) of a type that holds depth."""
    shape, kind, size = image.shape, image.dtype.kind, image.dtype.itemsize
    while image.ndim > 2 and 1 in (image.shape[0], image.shape[-1]):
        image = image[..., 0] if image.shape[-1] == 1 else image[0]
    if image.ndim != 2 or not image.size:
        raise ValueError(f'a depth image has one channel, this has shape {shape}')
    if kind != 'f' and not (kind in 'ui' and size >= 2):
        raise ValueError(f'{8 * size}-bit images cannot carry depth in metres' if kind in 'uib'
                         else f'numbers of type {image.dtype} are no depth')
    return image


def likely_scale(median: float) -> float | None:
    """Metres a step that put a scene of this median depth, in steps, at a usual distance."""
    return next((s for s in SCALES if USUAL[0] <= s * median <= USUAL[1]), None)


def _check_scene(depth: Array, image: Array, scale: float | None) -> None:
    """Refuse depths of no scene that a depth camera sees; name the likely unit.

    Args:
        scale: as it was given; it may be in steps a metre by mistake.
    """
    seen = depth > 0
    if not seen.any():
        return  # no estimate, but no damaged file
    middle = float(np.median(depth[seen]))
    low, high = SCENE_DEPTHS
    if low <= middle <= high:
        return
    steps = float(np.median(np.asarray(image, dtype=np.float64).reshape(depth.shape)[seen]))
    inverse = 1 / scale if scale and USUAL[0] <= steps / scale <= USUAL[1] else None
    likely = inverse or likely_scale(steps)
    hint = 'give --depth-scale, metres a step' if likely is None else \
        f'likely a step is {likely:g} m: give --depth-scale {likely:g}'
    raise ValueError(f'the scene is {middle:.3g} m deep (median), not {low:g} to {high:g} m; '
                     f'{hint}')
