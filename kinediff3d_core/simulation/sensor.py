"""Sensor model: errors of a depth camera and of a segmenter, added to an exact depth image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FIELD_STANDARD_DEVIATION = 0.7
"""Of a coarse grid of unit normal numbers after bilinear interpolation: its mean variance is
(2/3)^2, rounded."""


@dataclass(frozen=True)
class SensorModel:
    """Errors of a stereo or time-of-flight camera, and of the mask of the object."""

    noise: float = 0.0005
    """Standard deviation of the range noise at 0 m, m. Chosen."""
    noise_per_m2: float = 0.0015
    """What is added to it for each square metre of the squared depth, 1/m. Chosen; Khoshelham and
    Elberink (2012) measured 0.0014 for a Kinect."""
    smooth_share: float = 0.5
    """Share, 0 to 1, of the range noise that is correlated between pixels. Chosen."""
    quantum: float = 0.001
    """Depth step, m, 0 for none: 16UC1 images carry 1 mm."""
    edge_dropout: float = 0.3
    """Share, 0 to 1, of pixels at depth edges without a depth. Chosen."""
    flying: float = 0.1
    """Share, 0 to 1, of pixels at depth edges that are between the two surfaces. Chosen."""
    edge_jump: float = 0.01
    """A depth edge has a larger second difference of the depth than this, m. Chosen."""
    hole_share: float = 0.03
    """Largest share, 0 to 1, of an image that is lost in blobs. Chosen."""
    mask_error: int = 2
    """Largest erosion or dilation of the mask, pixels. Chosen."""
    occluded: float = 0.25
    """Share, 0 to 1, of images with something in front of the object. Chosen."""
    occluder: float = 0.4
    """Largest share, 0 to 1, of either side of the object's box that it hides. Chosen."""
    occluder_least: float = 0.1
    """Smallest share of either side that it hides. Chosen."""
    occluder_overhang: float = 0.1
    """How far outside of the object's box its centre may be, as a share of the box. Chosen."""
    noise_factor: tuple[float, float] = (0.5, 1.5)
    """Range of a factor of the noise's standard deviation, drawn for each image. Chosen."""
    noise_cell: int = 16
    """Distance over which correlated noise changes, pixels. Chosen."""
    hole_cell: int = 12
    """Distance over which the field of the blobs changes, pixels. Chosen."""
    border_depth: float = 0.03
    """Largest distance of a flying pixel behind the surface where there is nothing behind, m.
    Chosen."""


def apply_sensor(depth: Tensor, part: Tensor, generator: torch.Generator,
                 model: SensorModel | None = None) -> tuple[Tensor, Tensor]:
    """Noisy depth, and the mask that a segmenter would give.

    Args:
        depth: (B, H, W) exact depth, m, 0 where there is nothing; may hold a background.
        part: (B, H, W) part index, negative where the object is not.
        generator: on the depth's device.
        model: the default one where None.

    Returns:
        depth (B, H, W), m, 0 where the camera gives nothing; mask (B, H, W) bool.
    """
    model = model or SensorModel()
    hit, inside = depth > 0, part >= 0
    noisy = _add_range_noise(depth, model, generator)
    noisy, lost = _disturb_edges(noisy, depth, model, generator)
    lost |= _holes(depth, model, generator)
    noisy = _quantize(torch.where(lost | ~hit, 0.0, noisy), model)
    mask = _grow_or_shrink(inside, model, generator)
    return noisy, mask & ~_occluder(inside, model, generator)


def _add_range_noise(depth: Tensor, model: SensorModel, generator: torch.Generator) -> Tensor:
    """Depth with normal noise, part of it smooth over the image."""
    low, high = model.noise_factor
    factor = low + (high - low) * _uniform(generator, len(depth), 1, 1)
    sigma = (model.noise + model.noise_per_m2 * depth.square()) * factor
    smooth = _smooth_field(depth, model.noise_cell, generator)
    white = _normal(generator, *depth.shape)
    return depth + sigma * ((1 - model.smooth_share) * white + model.smooth_share * smooth)


def _disturb_edges(noisy: Tensor, depth: Tensor, model: SensorModel, generator: torch.Generator,
                   ) -> tuple[Tensor, Tensor]:
    """Noisy depth with flying pixels, and which pixels (B, H, W) bool drop out, at depth edges.

    A flying pixel is between the nearest and the farthest surface among its eight neighbours. At
    the border of the exact depth it is a little behind the nearest one.
    """
    hit = depth > 0
    far = maximum_filter(torch.where(hit, depth, -1.0))
    near = -maximum_filter(torch.where(hit, -depth, -1e3))
    border = maximum_filter(~hit)
    edge = hit & ((_second_difference(depth) > model.edge_jump) | border)
    choice = _uniform(generator, *depth.shape)
    flying = edge & (choice < model.flying)
    behind = torch.where(border, model.border_depth * _uniform(generator, *depth.shape),
                         (far - near) * _uniform(generator, *depth.shape))
    dropped = edge & (choice >= model.flying) & (choice < model.flying + model.edge_dropout)
    return torch.where(flying, near + behind, noisy), dropped


def _holes(depth: Tensor, model: SensorModel, generator: torch.Generator) -> Tensor:
    """Blobs (B, H, W) without depth, where a smooth field is above a level drawn an image."""
    field = _smooth_field(depth, model.hole_cell, generator)
    share = model.hole_share * _uniform(generator, len(depth), 1, 1)
    quantile = torch.erfinv(1 - 2 * share.clamp(1e-6, 0.5)) * (2 ** 0.5)
    return (field > quantile * FIELD_STANDARD_DEVIATION) & (model.hole_share > 0)


def _quantize(depth: Tensor, model: SensorModel) -> Tensor:
    if model.quantum > 0:
        return torch.round(depth / model.quantum) * model.quantum
    return depth


def _grow_or_shrink(mask: Tensor, model: SensorModel, generator: torch.Generator) -> Tensor:
    """The mask (B, H, W) dilated or eroded by a number of pixels drawn for each image."""
    if model.mask_error <= 0:
        return mask
    size = torch.randint(-model.mask_error, model.mask_error + 1, (len(mask),),
                         generator=generator, device=mask.device)[:, None, None]
    grown, outside = mask, ~mask
    for pixels in range(1, model.mask_error + 1):
        grown, outside = maximum_filter(grown), maximum_filter(outside)
        mask = torch.where(size == pixels, grown, mask)
        mask = torch.where(size == -pixels, ~outside, mask)
    return mask


def _occluder(inside: Tensor, model: SensorModel, generator: torch.Generator) -> Tensor:
    """Rectangles (B, H, W) bool that hide part of the object's box in some of the images.

    Args:
        inside: (B, H, W) bool, the object's pixels.
    """
    B, H, W = inside.shape
    hidden = (_uniform(generator, B) < model.occluded)[:, None, None]
    for dim, length in ((1, H), (2, W)):
        place = torch.arange(length, device=inside.device)
        present = inside.any(3 - dim)
        first = torch.where(present, place, length).amin(1)
        last = torch.where(present, place, 0).amax(1)
        extent = (last - first).clamp_min(1)
        size = extent * (model.occluder_least
                         + (model.occluder - model.occluder_least) * _uniform(generator, B))
        start = (first + _uniform(generator, B) * (1 + 2 * model.occluder_overhang) * extent
                 - model.occluder_overhang * extent - size / 2)
        covered = (place >= start[:, None]) & (place <= (start + size)[:, None])
        hidden = hidden & covered.unsqueeze(3 - dim)
    return hidden


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


def _second_difference(depth: Tensor) -> Tensor:
    """Largest absolute second difference (B, H, W) of a depth image along rows and columns."""
    padded = F.pad(depth[:, None], (1, 1, 1, 1), mode='replicate')[:, 0]
    rows = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] - 2 * depth
    columns = padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2] - 2 * depth
    return torch.maximum(rows.abs(), columns.abs())


def _smooth_field(depth: Tensor, cell: int, generator: torch.Generator) -> Tensor:
    """Normal numbers on a grid of ``cell`` pixels, interpolated to the images' size (B, H, W)."""
    B, H, W = depth.shape
    coarse = _normal(generator, B, 1, max(H // cell, 2), max(W // cell, 2))
    return F.interpolate(coarse, (H, W), mode='bilinear', align_corners=False)[:, 0]


def _uniform(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator, device=generator.device)


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, device=generator.device)
