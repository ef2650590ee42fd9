"""Masks as segmenters, detectors and people give them: too large, too small, with other things."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.simulation.random_fields import uniform

OCCLUDER = -2
"""Value of a part image where something stands before the object, such as a hand."""


@dataclass(frozen=True)
class MaskErrors:
    """How often a mask is wrong, and how. Probabilities are of an image; all are 0 by default.

    At most one of ``grown``, ``closed`` and ``boxes`` happens to an image; the values of
    :data:`REAL_MASKS` are chosen. What a mask holds of another surface has that surface's depth.
    """

    grown: float = 0.0
    """Probability of a mask that is dilated by up to ``grown_pixels``."""
    grown_pixels: int = 4
    """Of a training view, which has 64 pixels: 6 % of the object's box."""
    closed: float = 0.0
    """Probability of a mask whose holes and notches are filled, as finger holes are."""
    closed_pixels: int = 4
    """Holes of up to twice this width are filled."""
    boxes: float = 0.0
    """Probability that the mask is the object's bounding box, as detectors give it."""
    box_error: float = 0.05
    """Largest error of each side of that box, as a share of its length."""
    occluder: float = 0.0
    """Probability that what stands before the object is part of the mask, where anything does."""
    truncated: float = 0.0
    """Probability that the picture, or the part of it with depth, ends on the object."""
    truncated_share: float = 0.35
    """Largest share of the object's box that is beyond that end."""


def disturb_mask(mask: Tensor, part: Tensor, errors: MaskErrors, generator: torch.Generator,
                 ) -> Tensor:
    """The mask (B, H, W) bool with the errors.

    Args:
        mask: (B, H, W) bool.
        part: (B, H, W) negative where the object is not, ``OCCLUDER`` where something hides it.
    """
    kind = uniform(generator, len(mask))
    first, second = errors.grown, errors.grown + errors.closed
    third = second + errors.boxes
    mask = mask.clone()
    grown, closed = kind < first, (kind >= first) & (kind < second)
    boxed = (kind >= second) & (kind < third)
    if grown.any():
        mask[grown] = _grow(mask[grown], errors.grown_pixels, generator)
    if closed.any():
        mask[closed] = _close(mask[closed], errors.closed_pixels)
    if boxed.any():
        mask[boxed] = _box(mask[boxed], errors.box_error, generator)
    with_occluder = (uniform(generator, len(mask)) < errors.occluder)[:, None, None]
    return mask | (with_occluder & (part == OCCLUDER))


def beyond_the_picture(inside: Tensor, errors: MaskErrors, generator: torch.Generator) -> Tensor:
    """Pixels (B, H, W) bool beyond the end of the picture, at one side of the object.

    Args:
        inside: (B, H, W) bool, the object's pixels.
    """
    B, H, W = inside.shape
    end = (uniform(generator, B) < errors.truncated)[:, None, None]
    share = errors.truncated_share * uniform(generator, B, 1)
    side = torch.randint(4, (B,), generator=generator, device=inside.device)[:, None, None]
    out = torch.zeros_like(inside)
    for dim, length in ((1, H), (2, W)):
        place = torch.arange(length, device=inside.device).expand(B, length)
        first, last = extent(inside, dim)
        cut = share * (last - first)
        before = (place < first + cut).unsqueeze(3 - dim)
        after = (place > last - cut).unsqueeze(3 - dim)
        out |= ((side == 2 * dim - 2) & before) | ((side == 2 * dim - 1) & after)
    return out & end


def extent(inside: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """First and last row (dim 1) or column (dim 2), (B, 1), with a pixel of inside (B, H, W).

    The first one is after the last one where there is none.
    """
    length = inside.shape[dim]
    place = torch.arange(length, device=inside.device)
    present = inside.any(3 - dim)
    return (torch.where(present, place, length).amin(1, keepdim=True),
            torch.where(present, place, -1).amax(1, keepdim=True))


def grow_or_shrink(mask: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """The mask (B, H, W) dilated or eroded by up to so many pixels, drawn for each image."""
    if pixels <= 0:
        return mask
    size = torch.randint(-pixels, pixels + 1, (len(mask),), generator=generator,
                         device=mask.device)[:, None, None]
    grown, outside = mask, ~mask
    for i in range(1, pixels + 1):
        grown, outside = maximum_filter(grown), maximum_filter(outside)
        mask = torch.where(size == i, grown, mask)
        mask = torch.where(size == -i, ~outside, mask)
    return mask


def maximum_filter(image: Tensor) -> Tensor:
    """Largest value (B, H, W) among each pixel and its eight neighbours; a dilation of masks.

    ``max_pool2d`` gives the same, but is many times slower on a CPU: it also records where the
    largest value was.
    """
    for dim in (1, 2):
        last = image.shape[dim] - 1
        pairs = torch.maximum(image.narrow(dim, 0, last), image.narrow(dim, 1, last))
        middle = torch.maximum(pairs.narrow(dim, 0, last - 1), pairs.narrow(dim, 1, last - 1))
        image = torch.cat([pairs.narrow(dim, 0, 1), middle, pairs.narrow(dim, last - 1, 1)], dim)
    return image


def _grow(mask: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Dilated by 1 to ``pixels``, drawn for each image."""
    size = torch.randint(1, pixels + 1, (len(mask),), generator=generator, device=mask.device)
    for i in range(pixels):
        mask = torch.where((size > i)[:, None, None], maximum_filter(mask), mask)
    return mask


def _close(mask: Tensor, pixels: int) -> Tensor:
    """Morphological closing: dilated, then eroded. Nothing is taken away at the image's border."""
    closed = mask
    for _ in range(pixels):
        closed = maximum_filter(closed)
    outside = ~closed
    for _ in range(pixels):
        outside = maximum_filter(outside)
    return mask | ~outside


def _box(mask: Tensor, error: float, generator: torch.Generator) -> Tensor:
    """The bounding box, each side off by up to ``error`` of the box's length."""
    box = torch.ones_like(mask)
    for dim in (1, 2):
        place = torch.arange(mask.shape[dim], device=mask.device)
        first, last = extent(mask, dim)
        off = error * (last - first) * (2 * uniform(generator, len(mask), 2) - 1)
        inside = (place >= first + off[:, :1]) & (place <= last + off[:, 1:])
        box &= inside.unsqueeze(3 - dim)
    return box


REAL_MASKS = MaskErrors(grown=0.12, closed=0.1, boxes=0.05, occluder=0.5, truncated=0.1)
"""What segmenters and detectors give."""
