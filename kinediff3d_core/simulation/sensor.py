"""What a depth camera makes of an exact depth image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class SensorModel:
    """A stereo or time-of-flight camera's faults. Lengths in metres, shares in 0..1.

    Attributes:
        noise, noise_per_m2: sigma of the range noise is ``noise + noise_per_m2 * z^2``.
        smooth_share: of that noise that is correlated over about 16 pixels.
        quantum: depth step; 1 mm is what 16UC1 carries.
        edge_dropout: share of pixels at depth edges that give nothing.
        flying: share of pixels at depth edges that land between the surfaces.
        edge_jump: second difference of the depth that counts as an edge.
        hole_share: largest share of the image lost in blobs.
        mask_error: largest erosion or dilation of the mask, pixels.
        occluded: share of images with something in front of the object.
        occluder: largest share of the object's box that it hides, per side.
    """

    noise: float = 0.0005
    noise_per_m2: float = 0.0015
    smooth_share: float = 0.5
    quantum: float = 0.001
    edge_dropout: float = 0.3
    flying: float = 0.1
    edge_jump: float = 0.01
    hole_share: float = 0.03
    mask_error: int = 2
    occluded: float = 0.25
    occluder: float = 0.4


def apply_sensor(depth: Tensor, part: Tensor, generator: torch.Generator,
                 model: SensorModel | None = None) -> tuple[Tensor, Tensor]:
    """Noisy depth and the mask a segmenter would give.

    Args:
        depth: (B, H, W) exact depth, m, 0 where there is nothing; may hold a background.
        part: (B, H, W) part index, negative where the object is not.
        generator: on the depth's device.

    Returns:
        depth (B, H, W), m, 0 where the camera gives nothing; mask (B, H, W) bool.
    """
    m = model or SensorModel()
    B, H, W = depth.shape
    device = depth.device

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    def randn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    hit = depth > 0
    sigma = (m.noise + m.noise_per_m2 * depth.square()) * (0.5 + rand(B, 1, 1))
    coarse = randn(B, 1, max(H // 16, 2), max(W // 16, 2))
    smooth = F.interpolate(coarse, (H, W), mode='bilinear', align_corners=False)[:, 0]
    out = depth + sigma * ((1 - m.smooth_share) * randn(B, H, W) + m.smooth_share * smooth)

    # Depth edges, and the nearest and farthest surface among the eight neighbours.
    far = _largest_around(torch.where(hit, depth, -1.0))
    near = -_largest_around(torch.where(hit, -depth, -1e3))
    border = _largest_around(~hit)
    edge = hit & ((_bend(depth) > m.edge_jump) | border)
    lot = rand(B, H, W)
    flying = edge & (lot < m.flying)
    stray = torch.where(border, 0.03 * rand(B, H, W), (far - near) * rand(B, H, W))
    out = torch.where(flying, near + stray, out)
    lost = edge & (lot >= m.flying) & (lot < m.flying + m.edge_dropout)

    # Blobs without an answer: a smooth field above a level drawn for each image.
    blobs = F.interpolate(randn(B, 1, max(H // 12, 2), max(W // 12, 2)), (H, W), mode='bilinear',
                          align_corners=False)[:, 0]
    share = m.hole_share * rand(B, 1, 1)
    level = torch.erfinv(1 - 2 * share.clamp(1e-6, 0.5)) * (2 ** 0.5) * 0.7
    lost |= blobs > level
    out = torch.where(lost | ~hit, 0.0, out)
    if m.quantum > 0:
        out = torch.round(out / m.quantum) * m.quantum

    # Mask: eroded or dilated, with an occluder's rectangle cut out of the object's box.
    mask = part >= 0
    if m.mask_error > 0:
        size = torch.randint(-m.mask_error, m.mask_error + 1, (B,), generator=generator,
                             device=device)
        grown, outside = mask, ~mask
        for i in range(1, m.mask_error + 1):
            grown, outside = _largest_around(grown), _largest_around(outside)
            mask = torch.where((size == i)[:, None, None], grown, mask)
            mask = torch.where((size == -i)[:, None, None], ~outside, mask)
    rows = torch.arange(H, device=device)[None, :, None]
    columns = torch.arange(W, device=device)[None, None, :]
    inside = part >= 0
    hidden = (rand(B) < m.occluded)[:, None, None]
    for index, present, length in ((rows, inside.any(2), H), (columns, inside.any(1), W)):
        place = torch.arange(length, device=device)[None]
        first = torch.where(present, place, length).amin(1)
        last = torch.where(present, place, 0).amax(1)
        extent = (last - first).clamp_min(1)
        size_f = extent * (0.1 + (m.occluder - 0.1) * rand(B))
        start = first + rand(B) * 1.2 * extent - 0.1 * extent - size_f / 2
        hidden = (hidden & (index >= start[:, None, None])
                  & (index <= (start + size_f)[:, None, None]))
    return out, mask & ~hidden


def _largest_around(image: Tensor) -> Tensor:
    """Largest value (B, H, W) among each pixel and its eight neighbours.

    On a CPU many times quicker than ``max_pool2d``, which notes where the largest was.
    """
    for dim in (1, 2):
        last = image.shape[dim] - 1
        pairs = torch.maximum(image.narrow(dim, 0, last), image.narrow(dim, 1, last))
        middle = torch.maximum(pairs.narrow(dim, 0, last - 1), pairs.narrow(dim, 1, last - 1))
        image = torch.cat([pairs.narrow(dim, 0, 1), middle, pairs.narrow(dim, last - 1, 1)], dim)
    return image


def _bend(depth: Tensor) -> Tensor:
    """Largest absolute second difference (B, H, W) of a depth image along rows and columns."""
    padded = F.pad(depth[:, None], (1, 1, 1, 1), mode='replicate')[:, 0]
    rows = padded[:, 2:, 1:-1] + padded[:, :-2, 1:-1] - 2 * depth
    columns = padded[:, 1:-1, 2:] + padded[:, 1:-1, :-2] - 2 * depth
    return torch.maximum(rows.abs(), columns.abs())
