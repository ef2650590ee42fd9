"""Training samples of any object or view: queries of the distance, rays, noisy clouds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor

FOREIGN = 255
"""Label of points of training clouds that are not on the object."""
MIN_CLOUD = 128
"""Views with fewer points of the object are not trained on. Chosen."""
MIN_SHARE = 0.2
"""Nor are clouds of which less than this share is on the object. Chosen."""
MIN_DEPTH = 0.05
"""Corners that are nearer to the camera are projected from here, m. Chosen."""
IMAGE_MARGIN = 0.03
"""Margin of a view's rays around the object's boxes, as a share of their image. Chosen."""


@dataclass(frozen=True)
class QueryDistribution:
    """Points at which training evaluates the signed distance. All values are chosen.

    Attributes:
        near: standard deviation about surface points of the first half, canonical units.
        far: standard deviation about surface points of the second half, canonical units.
        uniform_share: share of the queries, the last of the second half, that are uniform in a
            wider box.
        box_margin: margin of the wider box on each side, as a share of the part's box.
        margin: added to that margin, canonical units.
    """

    near: float = 0.008
    far: float = 0.048
    uniform_share: float = 0.15
    box_margin: float = 0.15
    margin: float = 0.04


def query_points(surface: Tensor, box: Tensor, n: int, scale: float, generator: torch.Generator,
                 config: QueryDistribution = QueryDistribution()) -> Tensor:
    """Points (B, n, 3), m, at which training evaluates the signed distance.

    Args:
        surface: (B, S, 3) points of the part's surface, m.
        box: (B, 2, 3) of the part, m.
        scale: of the category, metres a canonical unit.
        generator: on the points' device.
    """
    B, device, c = len(surface), surface.device, config
    near = surface[:, torch.randint(surface.shape[1], (n,), generator=generator, device=device)]
    std = torch.full((n, 1), c.near * scale, device=device)
    std[n // 2:] = c.far * scale
    x = near + std * torch.randn(B, n, 3, generator=generator, device=device)
    count = int(n * c.uniform_share)
    u = torch.rand(B, count, 3, generator=generator, device=device)
    size = box[:, 1] - box[:, 0]
    margin = c.box_margin * size + c.margin * scale
    x[:, -count:] = (box[:, 0] - margin)[:, None] + u * (size + 2 * margin)[:, None]
    return x


def view_rays(corners: Tensor, grid: int) -> Tensor:
    """Rays (B, grid^2, 3), z = 1, camera frame, that cover the image of an object's boxes.

    Every view has about the same number of points on the object, whatever its distance.

    Args:
        corners: (B, C, 3) of the boxes, camera frame, m.
        grid: rays along either side.
    """
    uv = corners[..., :2] / corners[..., 2:].clamp_min(MIN_DEPTH)
    low, high = uv.amin(1), uv.amax(1)
    margin = IMAGE_MARGIN * (high - low)
    low, high = low - margin, high + margin
    step = torch.arange(grid, device=corners.device) / (grid - 1)
    v, u = torch.meshgrid(step, step, indexing='ij')
    unit = torch.stack([u, v], dim=-1).view(1, -1, 2)
    xy = low[:, None] + unit * (high - low)[:, None]
    return torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1)


def noisy_clouds(rays: Tensor, depth: Tensor, part: Tensor, points: int,
                 generator: torch.Generator, sensor: SensorModel,
                 ) -> tuple[Tensor, Tensor, Tensor]:
    """Clouds that a depth camera and a segmenter make of exact depths along rays.

    Points are drawn without replacement; if there are too few, they are repeated.

    Args:
        rays: (B, grid^2, 3) of :func:`view_rays`.
        depth: (B, grid^2) m, 0 where there is nothing.
        part: (B, grid^2) part index, negative where the object is not.
        points: number of points of each cloud.
        generator: on the rays' device.

    Returns:
        cloud (B, points, 3), camera frame, m; label (B, points) the part that each point's
        pixel shows, negative where it shows no part of the object; valid (B,) bool, whether
        enough points of the object are among them (``MIN_CLOUD``, ``MIN_SHARE``).
    """
    grid = round(depth.shape[1] ** 0.5)
    square = (len(depth), grid, grid)
    depth, mask = apply_sensor(depth.view(square), part.view(square), generator, sensor,
                               rays.view(*square, 3))
    good = (mask & (depth > 0)).flatten(1)
    # A random order of the pixels, in which the good ones come first.
    key = torch.rand(good.shape, generator=generator, device=good.device) + (~good)
    count = good.sum(1)
    rank = torch.arange(points, device=good.device)[None] % count.clamp_min(1)[:, None]
    pick = key.argsort(1).gather(1, rank)
    cloud = (rays * depth.flatten(1)[..., None]).gather(1, pick[..., None].expand(-1, -1, 3))
    own = (good & (part >= 0)).sum(1)
    return cloud, part.gather(1, pick), (own >= MIN_CLOUD) & (own >= MIN_SHARE * count)
