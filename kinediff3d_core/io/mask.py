"""Masks: which pixels show the object, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kinediff3d_core.io.files import Array, checked_file, listed, shortened
from kinediff3d_core.io.images import Picture, decode_picture, is_array, read_array
from kinediff3d_core.io.mask_choice import ANY, MaskChoice
from kinediff3d_core.io.mask_json import json_mask
from kinediff3d_core.io.mask_pixels import layer_of, pixel_ids, pixel_shades

MASK_KINDS = 'PNG, TIFF, JPEG, .npy, .npz or COCO JSON'
NAMES = ('mask', 'masks', 'segmentation', 'arr_0')
"""Names of the array in a ``.npz`` file."""
WHOLE_IMAGE = 0.95
"""Largest share of the image that an object covers. Chosen: more is an inverted mask, or one whose
background is not zero."""
INVERTED = 0.5
"""Least share of the image that an inverted mask covers, which has the image's four corners too.
Chosen."""


def read_mask(path: Path | str, choice: MaskChoice = ANY, size: tuple[int, int] | None = None,
              frame: str | None = None) -> Array:
    """Mask (H, W) bool of the object in a file.

    Background is black or transparent in a colour image, transparent where the alpha channel
    varies, black (or index 0) in a palette, below half in a JPEG, a probability or a soft edge,
    and zero or less in an image of ids. An array of several masks needs ``choice.index``, ids
    need ``choice.id``.

    Args:
        size: (H, W) of the depth image, which the mask must have; it tells the axes of an array,
            and sizes polygons.
        frame: name of the depth image, for COCO files of several images.

    Raises:
        ValueError: missing or unreadable; of another size; true nowhere or nearly everywhere;
            several objects and no choice. One line that names the file.
    """
    file = checked_file(path, 'mask')
    if file.suffix.lower() == '.json':
        mask = json_mask(file, choice, size, frame)
    else:
        picture = Picture(read_array(file, 'mask', NAMES)) if is_array(file) else \
            decode_picture(file, 'mask', MASK_KINDS)
        try:
            mask = _mask_of(picture, choice, size)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f'{file}: {shortened(error, 220)}') from error
    if size is not None and mask.shape != size:
        raise ValueError(f'{file} has {mask.shape[1]} x {mask.shape[0]} pixels, the depth image '
                         f'{size[1]} x {size[0]}')
    _check_share(file, mask)
    return mask


def instance_mask(ids: Array, instance: int = 0) -> Array:
    """Pixels (H, W) bool of one object in an image of instance ids (H, W).

    Args:
        instance: id of the object; 0 takes every pixel that is not zero.
    """
    return np.asarray(ids != 0 if instance == 0 else ids == instance)


def _mask_of(picture: Picture, choice: MaskChoice, size: tuple[int, int] | None) -> Array:
    """The mask (H, W) in a picture, or in an array as one."""
    layer = layer_of(picture, choice, size)
    shades = pixel_shades(layer, choice.threshold)
    if shades is not None:
        if choice.id is not None:
            raise ValueError('shades between background and object are no ids, so --mask-id does '
                             'not apply' + (' (JPEG changes values: save ids as PNG)'
                                            if picture.lossy else ''))
        return shades
    ids = pixel_ids(layer)
    found = np.unique(ids[ids != 0])
    if choice.id is not None:
        if choice.id not in found:
            raise ValueError(f'no pixel has the id {choice.id}; there are {listed(found)}')
        return instance_mask(ids, choice.id)
    if len(found) > 1:
        raise ValueError(f'the mask has the ids {listed(found)}; choose one with --mask-id')
    return instance_mask(ids)


def _check_share(file: Path, mask: Array) -> None:
    """Refuse a mask that is empty or of nearly the whole image."""
    if not mask.any():
        raise ValueError(f'{file}: the mask is zero everywhere; pixels of the object must not be')
    share = float(mask.mean())
    corners = bool(mask[[0, 0, -1, -1], [0, -1, 0, -1]].all())
    if share > WHOLE_IMAGE or (corners and share > INVERTED):
        raise ValueError(f'{file}: the mask covers {100 * share:.0f} % of the image'
                         f'{" and its four corners" if corners else ""}; the background must be '
                         'zero (is it inverted?)')
