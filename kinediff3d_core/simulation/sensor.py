"""Sensor model: errors of a depth camera and of a segmenter, added to an exact depth image."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.simulation.depth_cameras import (
    CameraDraw,
    DepthCamera,
    draw_cameras,
    quantize,
)
from kinediff3d_core.simulation.mask_errors import (
    MaskErrors,
    beyond_the_picture,
    disturb_mask,
    extent,
    grow_or_shrink,
    maximum_filter,
)
from kinediff3d_core.simulation.missing_returns import MissingReturns, missing_returns
from kinediff3d_core.simulation.random_fields import (
    normal,
    normal_threshold,
    smooth_field,
    uniform,
)

TINY = 1e-6
"""Smaller divisors count as this one, so that no division is by zero."""


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
    cameras: tuple[DepthCamera, ...] = ()
    """Cameras of which each image has one, instead of ``noise``, ``noise_per_m2`` and
    ``quantum``; none by default."""
    camera_share: float = 1.0
    """Probability that an image has one of ``cameras``, where there are any. Chosen."""
    returns: MissingReturns = MissingReturns()
    """Surfaces without depth; none by default."""
    blurred: float = 0.0
    """Probability that each depth is the mean over a window, as stereo matching with large windows
    and smoothing drivers give it. Chosen."""
    blur_pixels: int = 1
    """Largest half width of that window, pixels; drawn for each image. Chosen."""
    inpainted: float = 0.0
    """Probability that pixels without depth are filled from those around them, as some drivers
    and data sets do. Chosen."""
    masks: MaskErrors = MaskErrors()
    """Large errors of the mask; none by default."""


def apply_sensor(depth: Tensor, part: Tensor, generator: torch.Generator,
                 model: SensorModel | None = None, rays: Tensor | None = None,
                 ) -> tuple[Tensor, Tensor]:
    """Noisy depth, and the mask that a segmenter would give.

    Args:
        depth: (B, H, W) exact depth, m, 0 where there is nothing; may hold a background.
        part: (B, H, W) part index, negative where the object is not.
        generator: on the depth's device.
        model: the default one where None.
        rays: (B or 1, H, W, 3) of the pixels, z = 1; needed only for ``model.returns``.

    Returns:
        depth (B, H, W), m, 0 where the camera gives nothing; mask (B, H, W) bool.

    Raises:
        ValueError: the model has missing returns, and there are no rays.
    """
    model = model or SensorModel()
    hit, inside = depth > 0, part >= 0
    camera = _draw_camera(model, len(depth), generator)
    depth = _blur(depth, model, generator)
    noisy = _add_range_noise(depth, camera, model, generator)
    noisy, lost = _disturb_edges(noisy, depth, model, generator)
    lost |= _holes(depth, model, generator)
    if model.returns != MissingReturns():
        if rays is None:
            raise ValueError('missing returns need the rays of the pixels: give apply_sensor rays')
        lost |= missing_returns(depth, part, rays, camera.baseline, model.returns, generator)
    noisy = torch.where(lost | ~hit, 0.0, noisy)
    if model.inpainted:
        chosen = (uniform(generator, len(depth)) < model.inpainted)[:, None, None]
        noisy = torch.where(chosen & lost & hit, fill_holes(noisy), noisy)
    noisy = quantize(noisy, camera)
    mask = grow_or_shrink(inside, model.mask_error, generator)
    if model.masks != MaskErrors():
        mask = disturb_mask(mask, part, model.masks, generator)
        out = beyond_the_picture(inside, model.masks, generator)
        noisy, mask = torch.where(out, 0.0, noisy), mask & ~out
    return noisy, mask & ~_occluder(inside, model, generator)


def _draw_camera(model: SensorModel, n: int, generator: torch.Generator) -> CameraDraw:
    """The camera of each of n images."""
    own = DepthCamera('own', model.noise, model.noise_per_m2, model.quantum, 0.0, 0.0)
    if not model.cameras:
        return CameraDraw(*(torch.full((n, 1, 1), x, device=generator.device) for x in (
            own.noise, own.noise_per_m2, own.quantum, own.step_per_m2, own.baseline)))
    chosen = draw_cameras(model.cameras, n, generator)
    if model.camera_share >= 1:
        return chosen
    plain = draw_cameras((own,), n, generator)
    use = uniform(generator, n, 1, 1) < model.camera_share
    return CameraDraw(*(torch.where(use, getattr(chosen, f.name), getattr(plain, f.name))
                        for f in fields(CameraDraw)))


def _add_range_noise(depth: Tensor, camera: CameraDraw, model: SensorModel,
                     generator: torch.Generator) -> Tensor:
    """Depth with normal noise, part of it smooth over the image."""
    low, high = model.noise_factor
    factor = low + (high - low) * uniform(generator, len(depth), 1, 1)
    sigma = (camera.noise + camera.noise_per_m2 * depth.square()) * factor
    smooth = smooth_field(depth, model.noise_cell, generator)
    white = normal(generator, *depth.shape)
    return depth + sigma * ((1 - model.smooth_share) * white + model.smooth_share * smooth)


def _blur(depth: Tensor, model: SensorModel, generator: torch.Generator) -> Tensor:
    """Depth (B, H, W) of which some images are means over square windows; 0 stays 0."""
    if not model.blurred:
        return depth
    size = torch.randint(1, model.blur_pixels + 1, (len(depth),), generator=generator,
                         device=depth.device)
    size = size * (uniform(generator, len(depth)) < model.blurred)
    out = depth.clone()
    for half in range(1, model.blur_pixels + 1):
        rows = size == half
        if rows.any():
            known = (depth[rows] > 0).float()
            total, count = (F.avg_pool2d(x[:, None], 2 * half + 1, 1, half)[:, 0]
                            for x in (depth[rows], known))
            out[rows] = known * total / count.clamp_min(TINY)
    return out


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
    choice = uniform(generator, *depth.shape)
    flying = edge & (choice < model.flying)
    behind = torch.where(border, model.border_depth * uniform(generator, *depth.shape),
                         (far - near) * uniform(generator, *depth.shape))
    dropped = edge & (choice >= model.flying) & (choice < model.flying + model.edge_dropout)
    return torch.where(flying, near + behind, noisy), dropped


def _holes(depth: Tensor, model: SensorModel, generator: torch.Generator) -> Tensor:
    """Blobs (B, H, W) without depth, where a smooth field is above a level drawn an image."""
    field = smooth_field(depth, model.hole_cell, generator)
    share = model.hole_share * uniform(generator, len(depth), 1, 1)
    return field > normal_threshold(share)


def fill_holes(depth: Tensor) -> Tensor:
    """Depth (B, H, W) with zeros replaced by means of what is around them, from fine to coarse.

    A pyramid of means: a hole takes the finest level that has any depth there.
    """
    known = (depth > 0).float()
    if bool(known.all()) or min(depth.shape[1:]) < 2:
        return depth
    pooled, weight = (F.avg_pool2d(x[:, None], 2, ceil_mode=True)[:, 0]
                      for x in (depth * known, known))
    coarse = torch.where(weight > 0, pooled / weight.clamp_min(TINY), 0.0)
    coarse = F.interpolate(fill_holes(coarse)[:, None], depth.shape[1:], mode='nearest')[:, 0]
    return torch.where(depth > 0, depth, coarse)


def _occluder(inside: Tensor, model: SensorModel, generator: torch.Generator) -> Tensor:
    """Rectangles (B, H, W) bool that hide part of the object's box in some of the images.

    Args:
        inside: (B, H, W) bool, the object's pixels.
    """
    B, H, W = inside.shape
    hidden = (uniform(generator, B) < model.occluded)[:, None, None]
    for dim, length in ((1, H), (2, W)):
        place = torch.arange(length, device=inside.device)
        first, last = (x[:, 0] for x in extent(inside, dim))
        length_inside = (last - first).clamp_min(1)
        size = length_inside * (model.occluder_least
                         + (model.occluder - model.occluder_least) * uniform(generator, B))
        start = (first + uniform(generator, B) * (1 + 2 * model.occluder_overhang) * length_inside
                 - model.occluder_overhang * length_inside - size / 2)
        covered = (place >= start[:, None]) & (place <= (start + size)[:, None])
        hidden = hidden & covered.unsqueeze(3 - dim)
    return hidden


def _second_difference(depth: Tensor) -> Tensor:
    """Largest absolute second difference (B, H, W) of a depth image along rows and columns."""
    padded = F.pad(depth[:, None], (1, 1, 1, 1), mode='replicate')[:, 0]
    rows = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] - 2 * depth
    columns = padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2] - 2 * depth
    return torch.maximum(rows.abs(), columns.abs())
