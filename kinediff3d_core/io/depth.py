"""Depth images: units, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinediff3d_core.io.files import Array, read_pixels

DEPTH_KINDS = '16-bit PNG or TIFF in millimetres, or 32-bit TIFF or .npy in metres'


def read_depth(path: Path | str) -> Array:
    """Depth image (H, W) float32 in metres; 0 where there is none.

    16-bit images (PNG, TIFF, ``.npy``) hold millimetres, floating ones metres.

    Raises:
        ValueError: missing or unreadable, 8-bit or colour, or of a wrong shape.
    """
    image = read_pixels(path, 'depth image', DEPTH_KINDS)
    try:
        return depth_in_metres(image)
    except ValueError as error:
        raise ValueError(f'{path}: {error}; expected a {DEPTH_KINDS}') from error


def depth_in_metres(image: Array) -> Array:
    """Depth (H, W) float32 in metres, 0 where there is none, of the pixels of a depth image.

    The type says the unit, as in REP 118: integers of 16 bits or more are millimetres, floating
    numbers metres. Negative and non-finite values are no measurement.

    Args:
        image: (H, W) or (H, W, 1).

    Raises:
        ValueError: 8-bit, or more than one channel.
    """
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim != 2:
        raise ValueError(f'a depth image has one channel, this has shape {image.shape}')
    kind, size = image.dtype.kind, image.dtype.itemsize
    if kind == 'u' and size == 2:
        return np.divide(image, np.float32(1000), dtype=np.float32)
    if kind == 'f':
        depth = image.astype(np.float32)
    elif kind in 'ui' and size >= 2:
        depth = (image.astype(np.float64) / 1000).astype(np.float32)
    else:
        raise ValueError(f'{8 * size}-bit images cannot carry depth in metres')
    with np.errstate(invalid='ignore'):
        return np.asarray(np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0)))
