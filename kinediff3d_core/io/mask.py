"""Masks: which pixels show the object, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinediff3d_core.io.files import Array, read_pixels


def read_mask(path: Path | str) -> Array:
    """Mask (H, W) bool: true where the image (PNG, TIFF, ``.npy``) is not zero.

    Raises:
        ValueError: missing or unreadable, or true nowhere.
    """
    image = read_pixels(path, 'mask', 'PNG, TIFF or .npy')
    if image.ndim == 3:
        image = np.asarray(image[..., :3].any(-1))
    if image.ndim != 2:
        raise ValueError(f'{path}: a mask is (H, W), this has shape {image.shape}')
    mask = instance_mask(image)
    if not mask.any():
        raise ValueError(f'{path}: the mask is zero everywhere; pixels of the object must not be')
    return mask


def instance_mask(ids: Array, instance: int = 0) -> Array:
    """Pixels (H, W) bool of one object in an image of instance ids (H, W).

    Args:
        instance: id of the object; 0 takes every pixel that is not zero.
    """
    return np.asarray(ids != 0 if instance == 0 else ids == instance)
