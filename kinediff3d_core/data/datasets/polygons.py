"""Masks from polygons, as COCO annotations have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def polygon_mask(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Array:
    """Pixels (H, W) bool inside or on the outline of any of several polygons.

    Args:
        polygons: each a flat list x, y, x, y, ... of pixels.
        size: (H, W).

    Raises:
        ValueError: a polygon that is none, or none of them is in the image.
    """
    from PIL import Image, ImageDraw

    image = Image.new('1', (size[1], size[0]))
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        corners = np.asarray(polygon, dtype=np.float64)
        if corners.ndim != 1 or len(corners) % 2 or not np.isfinite(corners).all():
            raise ValueError('a polygon is not a list of x, y, x, y, ...')
        if len(corners) >= 6:
            draw.polygon(corners.tolist(), fill=1, outline=1)
    mask = np.array(image)
    if not mask.any():
        raise ValueError('none of the polygons is in the image')
    return mask
