"""Boxes of a 2D detector: what they are, and the mask of instance ids that they stand for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ImageBox:
    """A rectangle in an image; pixel (column i, row j) covers i to i + 1 and j to j + 1.

    Attributes:
        u, v: centre, pixels.
        width, height: along its own axes, pixels.
        angle: from the image's u axis to the box's first, towards the v axis, rad.
    """

    u: float
    v: float
    width: float
    height: float
    angle: float = 0.0

    @property
    def is_valid(self) -> bool:
        """Whether all values are finite and both sides longer than zero."""
        return (all(map(math.isfinite, (self.u, self.v, self.width, self.height, self.angle)))
                and self.width > 0 and self.height > 0)

    @property
    def area(self) -> float:
        """Area, square pixels."""
        return self.width * self.height

    @property
    def around(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the upright rectangle around it, pixels."""
        c, s = abs(math.cos(self.angle)), abs(math.sin(self.angle))
        du = 0.5 * (c * self.width + s * self.height)
        dv = 0.5 * (s * self.width + c * self.height)
        return self.u - du, self.v - dv, self.u + du, self.v + dv


@dataclass(frozen=True)
class DetectedBox:
    """One box as a detector gives it.

    Attributes:
        class_id: its most probable class, as the detector writes it; '' if it has none.
        score: of that class.
        track_id: of the object over several images; '' without one.
    """

    box: ImageBox
    class_id: str
    score: float
    track_id: str


def overlap(a: ImageBox, b: ImageBox) -> float:
    """Intersection over union of the upright rectangles around two boxes.

    Sides that are lost to rounding, or areas beyond all numbers, overlap nothing.
    """
    (l1, t1, r1, b1), (l2, t2, r2, b2) = a.around, b.around
    shared = max(0.0, min(r1, r2) - max(l1, l2)) * max(0.0, min(b1, b2) - max(t1, t2))
    union = (r1 - l1) * (b1 - t1) + (r2 - l2) * (b2 - t2) - shared
    return shared / union if 0 < union < math.inf else 0.0


def without_duplicates(detections: Iterable[DetectedBox], most: float) -> list[DetectedBox]:
    """Detections by their score, best first, without those on the object of a better one.

    Args:
        most: greatest :func:`overlap` of two objects.
    """
    kept: list[DetectedBox] = []
    for detection in sorted(detections, key=lambda d: -d.score):
        if all(overlap(detection.box, other.box) <= most for other in kept):
            kept.append(detection)
    return kept


def instance_ids(boxes: Mapping[int, ImageBox], shape: tuple[int, int]) -> np.ndarray:
    """Ids (H, W) uint16 of the boxes' pixels, 0 elsewhere; where boxes overlap, of the smaller.

    A small box in front of or inside a larger one would have no pixel otherwise.

    Args:
        boxes: valid ones, by id, 1 … 65535; they may reach beyond the image.
    """
    ids = np.zeros(shape, np.uint16)
    for number, box in sorted(boxes.items(), key=lambda item: -item[1].area):
        rows, columns = _window(box, shape)
        dv, du = np.ogrid[rows, columns]
        du, dv = du + 0.5 - box.u, dv + 0.5 - box.v
        c, s = math.cos(box.angle), math.sin(box.angle)
        inside = ((np.abs(c * du + s * dv) < box.width / 2)
                  & (np.abs(c * dv - s * du) < box.height / 2))
        ids[rows, columns][inside] = number
    return ids


def _window(box: ImageBox, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of an image (H, W) that a box may cover."""
    left, top, right, bottom = box.around
    return _pixels(top, bottom, shape[0]), _pixels(left, right, shape[1])


def _pixels(first: float, last: float, size: int) -> slice:
    """Rows or columns of an image of that size between two edges."""
    return slice(math.floor(min(max(first, 0.0), size)), math.ceil(min(max(last, 0.0), size)))
