"""Where a depth camera gives no depth because of the surface, the light or the registration.

All functions return (B, H, W) bool, true where the depth is lost, from exact depth images along
rays (B or 1, H, W, 3) with z = 1. Every effect is drawn for each image with its own probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.simulation.random_fields import normal_threshold, smooth_field, uniform

MIN_DEPTH = 1e-3
"""Smaller depths count as this one, so that no division is by zero, m."""


@dataclass(frozen=True)
class MissingReturns:
    """How often, and how, depth is missing. Probabilities are of an image; all are 0 by default.

    The values of :data:`REAL_RETURNS` are chosen by looking at real frames beside rendered ones
    (``python -m kinediff3d_core.evaluation.view_sheet``).
    """

    grazing: float = 0.0
    """Probability that surfaces which the camera sees at a grazing angle give no depth."""
    grazing_angle: tuple[float, float] = (radians(68), radians(86))
    """From which angle between ray and normal on, rad; drawn for each image."""
    grazing_blur: float = radians(6)
    """How much that angle varies over the image (standard deviation), rad."""
    dark: float = 0.0
    """Probability, for each part and for the surroundings, that it is dark."""
    dark_share: tuple[float, float] = (0.1, 0.7)
    """Share of a dark part that is lost, in blobs."""
    shiny: float = 0.0
    """Probability that surfaces which face the camera reflect it: a highlight without depth."""
    shiny_angle: tuple[float, float] = (radians(4), radians(15))
    """Largest angle between ray and normal in a highlight, rad."""
    shadow: float = 0.0
    """Probability that what only the imager sees, beside nearer edges, has no depth."""
    registration: float = 0.0
    """Probability that the depth was registered to a colour image, which sees other surfaces."""
    colour_baseline: float = 0.025
    """Largest distance of the two cameras along the image's x axis, m: 2.5 cm of a Kinect v1, 1.5
    cm of a D4xx."""
    lines: float = 0.0
    """Probability of empty rows and columns, where registration spreads the pixels."""
    line_share: float = 0.03
    """Largest share of rows, and of columns, that are empty."""
    cell: int = 6
    """Distance over which the fields of blobs change, pixels."""


def missing_returns(depth: Tensor, part: Tensor, rays: Tensor, baseline: Tensor,
                    model: MissingReturns, generator: torch.Generator) -> Tensor:
    """All effects of the model.

    Args:
        depth: (B, H, W) m, 0 where there is nothing.
        part: (B, H, W) part index, negative where the object is not.
        baseline: (B, 1, 1) of the camera, m, see
            :class:`kinediff3d_core.simulation.depth_cameras.DepthCamera`.
    """
    B = len(depth)

    def chosen(probability: float) -> Tensor:
        return uniform(generator, B, 1, 1) < probability

    lost = torch.zeros_like(depth, dtype=torch.bool)
    if model.grazing or model.shiny:
        angle = incidence(depth, rays)
        lost |= chosen(model.grazing) & _grazing(angle, model, generator)
        low, high = model.shiny_angle
        lost |= (chosen(model.shiny) & (part >= 0)
                 & (angle < low + (high - low) * uniform(generator, B, 1, 1)))
    if model.dark:
        lost |= _dark(part, model, generator)
    if model.shadow:
        lost |= chosen(model.shadow) & shadow(depth, rays, baseline)
    if model.registration:
        offset = model.colour_baseline * (2 * uniform(generator, B, 1, 1) - 1)
        lost |= chosen(model.registration) & shadow(depth, rays, offset)
    if model.lines:
        lost |= chosen(model.lines) & _lines(depth, model, generator)
    return lost


def incidence(depth: Tensor, rays: Tensor) -> Tensor:
    """Angle (B, H, W), rad, between each ray and the surface's normal, by central differences.

    Not a number, which is neither grazing nor facing, where a neighbour has no depth.
    """
    p = rays * depth[..., None]
    right, down = torch.zeros_like(p), torch.zeros_like(p)
    right[:, :, 1:-1] = p[:, :, 2:] - p[:, :, :-2]
    down[:, 1:-1] = p[:, 2:] - p[:, :-2]
    normal = torch.linalg.cross(right, down)
    cosine = (F.normalize(normal, dim=-1) * F.normalize(rays, dim=-1)).sum(-1).abs()
    hit = depth > 0
    inner = torch.zeros_like(hit)
    inner[:, 1:-1, 1:-1] = (hit[:, 1:-1, 2:] & hit[:, 1:-1, :-2] & hit[:, 2:, 1:-1]
                            & hit[:, :-2, 1:-1])
    return torch.where(inner, torch.acos(cosine.clamp_max(1)), torch.nan)


def shadow(depth: Tensor, rays: Tensor, baseline: Tensor) -> Tensor:
    """What a second point, displaced by ``baseline`` (B, 1, 1), m, along x, does not see.

    Seen from there, a point has the image coordinate x - b / z. Along a row these coordinates
    increase, except behind a nearer surface on that side.
    """
    at = rays[..., 0] - baseline / depth.clamp_min(MIN_DEPTH)
    at = torch.where(depth > 0, at, -torch.inf)
    from_left = at < at.cummax(2).values
    back = torch.where(depth > 0, -at, -torch.inf).flip(2)
    from_right = (back < back.cummax(2).values).flip(2)
    return (depth > 0) & torch.where(baseline > 0, from_right, from_left) & (baseline != 0)


def _grazing(angle: Tensor, model: MissingReturns, generator: torch.Generator) -> Tensor:
    low, high = model.grazing_angle
    limit = low + (high - low) * uniform(generator, len(angle), 1, 1)
    return angle > limit + model.grazing_blur * smooth_field(angle, model.cell, generator)


def _dark(part: Tensor, model: MissingReturns, generator: torch.Generator) -> Tensor:
    """Blobs on dark parts; the last column of the draws is for what is not the object."""
    B, parts = len(part), int(part.max()) + 2
    is_dark = uniform(generator, B, parts) < model.dark
    low, high = model.dark_share
    share = (low + (high - low) * uniform(generator, B, parts)) * is_dark
    index = torch.where(part < 0, parts - 1, part).flatten(1)
    level = normal_threshold(share.gather(1, index).view_as(part))
    return smooth_field(level, model.cell, generator) > level


def _lines(depth: Tensor, model: MissingReturns, generator: torch.Generator) -> Tensor:
    B, H, W = depth.shape
    share = model.line_share * uniform(generator, B, 1, 1)
    rows = uniform(generator, B, H, 1) < share
    return rows | (uniform(generator, B, 1, W) < share)


REAL_RETURNS = MissingReturns(grazing=0.5, dark=0.06, shiny=0.1, shadow=0.5, registration=0.4,
                              lines=0.05)
"""What real frames show."""
