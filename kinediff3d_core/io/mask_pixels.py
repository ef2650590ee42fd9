"""Which pixels of an image or array are the object: alpha, palettes, colours, shades, ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinediff3d_core.io.files import Array
from kinediff3d_core.io.images import Picture
from kinediff3d_core.io.mask_choice import MaskChoice, indexed

HALF = 128
"""Least value of an object's pixel in an image of 8-bit shades."""
SOFT_LEVELS = 3
"""An 8-bit image with more levels between 0 and 255 than this, and few such pixels, has soft
edges; it holds no ids. Chosen."""
SOFT_SHARE = 0.9
"""Least share of the pixels that are 0 or 255 in an image with soft edges. Chosen."""
BETWEEN = 48, 208
"""Values between background and object in a lossy format. Chosen: rings of JPEG are smaller."""
PHOTO_SHARE = 0.3
"""Most pixels of such values in a mask. Chosen: photographs have more."""
MANY_LEVELS = 64
"""An 8-bit image with more levels than this is one of probabilities. Chosen: more objects than
one view shows."""
VOID = 255
"""Index of the pixels of no class in images with a palette (PASCAL VOC)."""

LARGEST_ID = 2**62
"""Larger ids become this one. Chosen: numbers of 64 bits do not overflow."""


@dataclass(frozen=True)
class Layer:
    """One image of a mask.

    Attributes:
        values: (H, W) numbers.
        lossy: whether the file's format changes values.
    """

    values: Array
    lossy: bool = False


def layer_of(picture: Picture, choice: MaskChoice, size: tuple[int, int] | None) -> Layer:
    """The values (H, W) that say where the object is.

    Args:
        size: (H, W) of the depth image, where it is known.

    Raises:
        ValueError: a shape of no mask, or several masks and no ``choice.index``.
    """
    values = picture.pixels
    if values.dtype.kind not in 'biuf':
        raise ValueError(f'a mask holds numbers, this has the type {values.dtype}')
    if picture.palette is not None:
        return Layer(_palette_ids(picture), picture.lossy)
    if values.ndim == 3 and picture.channels:
        return Layer(_colour_values(values, picture.lossy), picture.lossy)
    if values.ndim > 2:
        values = _squeezed(values)
    if values.ndim == 3 and _has_colours(values, size):
        return Layer(_colour_values(values))
    if values.ndim == 3:
        if size is not None and values.shape[:2] == size != values.shape[1:]:
            values = np.moveaxis(values, -1, 0)
        values = values[indexed(len(values), choice.index, 'masks')]
    elif choice.index:
        raise ValueError(f'one mask, so --mask-index {choice.index} does not apply')
    if values.ndim != 2 or not values.size:
        raise ValueError(f'a mask is (H, W), this has shape {picture.pixels.shape}')
    return Layer(values, picture.lossy)


def pixel_shades(layer: Layer, threshold: float | None) -> Array | None:
    """Mask (H, W) of an image of shades, probabilities or logits; None of an image of ids.

    Raises:
        ValueError: numbers beyond 0 to 1 that are neither ids nor have a threshold.
    """
    values = layer.values
    if threshold is not None:
        with np.errstate(invalid='ignore'):
            return np.asarray(values > threshold)
    if layer.lossy:
        between = float(((values >= BETWEEN[0]) & (values < BETWEEN[1])).mean())
        if between > PHOTO_SHARE:
            raise ValueError(f'{100 * between:.0f} % of its pixels are neither dark nor bright: '
                             'it is a photograph, not a mask')
        return np.asarray(values >= HALF)
    if values.dtype == np.uint8:
        return np.asarray(values >= HALF) if _is_soft(values) else None
    if values.dtype.kind != 'f':
        return None
    finite = values[np.isfinite(values)]
    if not finite.size or (finite == np.floor(finite)).all() and finite.min() >= 0:
        return None
    low, high = float(finite.min()), float(finite.max())
    if low < 0 or high > 1:
        raise ValueError(f'its values go from {low:.3g} to {high:.3g}, not from 0 to 1; of logits '
                         'give --mask-threshold 0')
    with np.errstate(invalid='ignore'):
        return np.asarray(values > 0.5)


def pixel_ids(layer: Layer) -> Array:
    """Instance ids (H, W) of whole numbers; what is not above zero is background, 0."""
    values = layer.values
    if values.dtype.kind == 'f':
        wide = values.astype(np.float64)  # the largest id is beyond 16 bits
        values = np.where(np.isfinite(wide), np.clip(wide, 0, LARGEST_ID), 0)
    elif values.dtype.itemsize == 8:
        values = np.minimum(values, LARGEST_ID)
    return np.asarray(np.where(values > 0, values, 0).astype(np.int64))


def _squeezed(values: Array) -> Array:
    """The array without axes of length one, but with two at least."""
    for axis in reversed(range(values.ndim)):
        if values.ndim > 2 and values.shape[axis] == 1:
            values = values.squeeze(axis)
    return values


def _has_colours(values: Array, size: tuple[int, int] | None) -> bool:
    """Whether (A, B, C) is an image of colours and not several masks."""
    if values.dtype.kind not in 'iu' or values.shape[2] not in (2, 3, 4):
        return False
    shape = tuple(int(n) for n in values.shape)
    if size is not None and size in (shape[:2], shape[1:]):
        return shape[:2] == size
    return shape[0] > shape[2]


def _colour_values(values: Array, lossy: bool = False) -> Array:
    """Values (H, W) of colours (H, W, 2 to 4): the alpha channel where it varies, grey, or ids."""
    channels = values.shape[2]
    if channels in (2, 4):
        alpha = values[..., -1]
        values = values[..., :-1]
        if alpha.min() != alpha.max():
            half = int(alpha.max()) // 2
            return np.asarray(np.where(alpha > half, 255, 0).astype(np.uint8))
    if channels == 2 or not (values != values[..., :1]).any():
        return np.asarray(values[..., 0])
    if lossy or (values.dtype == np.uint8 and _is_soft(values.max(-1))):
        return np.asarray(values.max(-1))
    wide = values.astype(np.int32) if values.dtype == np.uint8 else \
        np.maximum(values, 0).astype(np.int64)
    return np.asarray(wide[..., 0] + 256 * wide[..., 1] + 65536 * wide[..., 2])


def _palette_ids(picture: Picture) -> Array:
    """Indices (H, W) of a palette with the background as 0."""
    assert picture.palette is not None
    index = picture.pixels.astype(np.int32)
    used = np.unique(index)
    background = _background_index(picture.palette, used, picture.transparent)
    if set(used) <= {background, *_white(picture.palette, used)}:
        return np.asarray((index != background).astype(np.uint8))
    ids = np.where(index == background, 0, np.where(index == 0, len(picture.palette), index))
    others = [i for i in used if i not in (background, VOID)]
    return np.asarray(np.where(index == VOID, 0, ids) if others and background == 0 else ids)


def _background_index(palette: Array, used: Array, transparent: int | None) -> int:
    """Index of the transparent colour, else of black, else 0."""
    if transparent is not None and transparent in used:
        return int(transparent)
    black = [int(i) for i in used if i < len(palette) and not palette[i].any()]
    return 0 if not black or 0 in black else black[0]


def _white(palette: Array, used: Array) -> list[int]:
    return [int(i) for i in used if i < len(palette) and (palette[i] == 255).all()]


def _is_soft(values: Array) -> bool:
    """Whether 8-bit values (H, W) are shades between background and object."""
    counts = np.bincount(values.ravel(), minlength=256)
    levels = int((counts[1:255] > 0).sum())
    if levels > MANY_LEVELS:
        return True
    edges = counts[0] + counts[255]
    return bool(counts[255] and levels > SOFT_LEVELS and edges >= SOFT_SHARE * values.size)


def box_mask(box: tuple[int, int, int, int], shape: tuple[int, int]) -> Array:
    """The pixels (H, W) bool of a box, as far as the image has them.

    Args:
        box: left, top, right, bottom, pixels; the last two are beyond the box.
        shape: (H, W) of the image.
    """
    left, top, right, bottom = (max(0, edge) for edge in box)
    mask = np.zeros(shape, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask
