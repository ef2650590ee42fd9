"""Masks on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinediff3d_core.io.reading import Array, checked_file, load_image, load_npy


def read_mask(path: Path | str) -> Array:
    """Mask (H, W) bool: true where the image (PNG, TIFF, ``.npy``) is not zero.

    Raises:
        ValueError: missing or unreadable, or true nowhere.
    """
    file = checked_file(path, 'mask')
    image = load_npy(file, 'mask') if file.suffix.lower() == '.npy' else load_image(file, 'mask')
    if image.ndim == 3:
        image = np.asarray(image[..., :3].any(-1))
    if image.ndim != 2:
        raise ValueError(f'{file}: a mask is (H, W), this has shape {image.shape}')
    mask = np.asarray(image != 0)
    if not mask.any():
        raise ValueError(f'{file}: the mask is zero everywhere; pixels of the object must not be')
    return mask
