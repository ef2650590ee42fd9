"""What one object or view is trained on, wherever it comes from: queries, rays, noisy clouds."""

from __future__ import annotations

import torch
from torch import Tensor

from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor

TRAIN_SENSOR = SensorModel(mask_error=1, edge_dropout=0.2)
MIN_CLOUD = 128
"""Views with fewer points are not worth a step."""


def query_points(surface: Tensor, box: Tensor, n: int, scale: float, generator: torch.Generator,
                 ) -> Tensor:
    """Where to ask for the distance: 85 % near the surface, the rest all over a wider box.

    Args:
        surface: (B, S, 3) points. box: (B, 2, 3) of the part. scale: of the category; all in m.

    Returns:
        (B, n, 3) m.
    """
    B, device = len(surface), surface.device
    near = surface[:, torch.randint(surface.shape[1], (n,), generator=generator, device=device)]
    spread = torch.full((n, 1), 0.008 * scale, device=device)
    spread[n // 2:] = 0.048 * scale
    x = near + spread * torch.randn(B, n, 3, generator=generator, device=device)
    wide = int(n * 0.15)
    u = torch.rand(B, wide, 3, generator=generator, device=device)
    margin = 0.15 * (box[:, 1] - box[:, 0]) + 0.04 * scale
    x[:, -wide:] = (box[:, 0] - margin)[:, None] + u * (box[:, 1] - box[:, 0]
                                                        + 2 * margin)[:, None]
    return x


def view_rays(corners: Tensor, grid: int) -> Tensor:
    """Rays (B, grid², 3), z = 1, that cover the image of boxes with corners (B, C, 3), camera
    frame: every view has about the same number of points, whatever its distance."""
    uv = corners[..., :2] / corners[..., 2:].clamp_min(0.05)
    low, high = uv.amin(1), uv.amax(1)
    low, high = low - 0.03 * (high - low), high + 0.03 * (high - low)
    step = torch.arange(grid, device=corners.device) / (grid - 1)
    v, u = torch.meshgrid(step, step, indexing='ij')
    unit = torch.stack([u, v], dim=-1).view(1, -1, 2)
    xy = low[:, None] + unit * (high - low)[:, None]
    return torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1)


def noisy_clouds(rays: Tensor, depth: Tensor, part: Tensor, points: int,
                 generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Clouds that a depth camera and a segmenter make of exact depths along rays.

    Args:
        rays: (B, grid², 3). depth, part: (B, grid²) m and part index, as a renderer gives them.

    Returns:
        points (B, points, 3), camera frame, m; valid (B) whether there was enough to see.
    """
    grid = round(depth.shape[1] ** 0.5)
    square = (len(depth), grid, grid)
    depth, mask = apply_sensor(depth.view(square), part.view(square), generator, TRAIN_SENSOR)
    good = (mask & (depth > 0)).flatten(1)
    lot = torch.rand(good.shape, generator=generator, device=good.device) + (~good)
    count = good.sum(1)
    rank = torch.arange(points, device=good.device)[None] % count.clamp_min(1)[:, None]
    pick = lot.argsort(1).gather(1, rank)
    cloud = (rays * depth.flatten(1)[..., None]).gather(1, pick[..., None].expand(-1, -1, 3))
    return cloud, count >= MIN_CLOUD
