"""Random numbers and smooth random fields over images, on a generator's device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FIELD_STANDARD_DEVIATION = 0.7
"""Of a coarse grid of unit normal numbers after bilinear interpolation: its mean variance is
(2/3)^2, rounded."""
LEAST_SHARE = 1e-6
"""Smaller shares of a field than this count as this one. Chosen."""


def uniform(generator: torch.Generator, *shape: int) -> Tensor:
    """Numbers between 0 and 1."""
    return torch.rand(*shape, generator=generator, device=generator.device)


def normal(generator: torch.Generator, *shape: int) -> Tensor:
    """Unit normal numbers."""
    return torch.randn(*shape, generator=generator, device=generator.device)


def smooth_field(image: Tensor, cell: int, generator: torch.Generator) -> Tensor:
    """Normal numbers on a grid of ``cell`` pixels, interpolated to the size of image (B, H, W)."""
    B, H, W = image.shape
    coarse = normal(generator, B, 1, max(H // cell, 2), max(W // cell, 2))
    return F.interpolate(coarse, (H, W), mode='bilinear', align_corners=False)[:, 0]


def normal_threshold(share: Tensor) -> Tensor:
    """The level above which a smooth field is at that share (...) of its pixels, 0 to 1.

    Infinite where the share is 0.
    """
    quantile = torch.erfinv(1 - 2 * share.clamp(LEAST_SHARE, 1 - LEAST_SHARE)) * 2 ** 0.5
    return torch.where(share > 0, quantile * FIELD_STANDARD_DEVIATION, torch.inf)
