"""Depth images on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinediff3d_core.io.reading import DEPTH_KINDS, Array, checked_file, load_image, load_npy


def read_depth(path: Path | str) -> Array:
    """Depth image (H, W) float32 in metres; 0 where there is none.

    16-bit images (PNG, TIFF, ``.npy``) hold millimetres, floating ones metres.

    Raises:
        ValueError: missing or unreadable, 8-bit or colour, or of a wrong shape.
    """
    file = checked_file(path, 'depth image')
    image = load_npy(file, 'depth image') if file.suffix.lower() == '.npy' else \
        load_image(file, 'depth image')
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if image.ndim != 2:
        raise ValueError(f'{file}: a depth image has one channel, this has shape {image.shape}; '
                         f'expected a {DEPTH_KINDS}')
    if image.dtype.kind == 'f':
        depth = image.astype(np.float32)
    elif image.dtype.kind in 'ui' and image.dtype.itemsize >= 2:
        depth = (image.astype(np.float64) / 1000).astype(np.float32)
    else:
        raise ValueError(f'{file}: {8 * image.dtype.itemsize}-bit images cannot carry depth in '
                         f'metres; expected a {DEPTH_KINDS}')
    with np.errstate(invalid='ignore'):
        return np.asarray(np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0)))
