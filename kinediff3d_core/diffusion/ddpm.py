"""Latent diffusion (eq. 5 to 8), Z_0 prediction, with the true posterior where eq. 8 has none."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

STEPS = 1000
Denoiser = Callable[[Tensor, Tensor], Tensor]


def alpha_bar(t: Tensor) -> Tensor:
    """Product of all (1 - beta) up to t in 0..1: the cosine schedule of Nichol and Dhariwal."""
    start = math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    f = torch.cos((t + 0.008) / 1.008 * torch.pi / 2).square()
    return (f / start).clamp(1e-5, 1)


def diffuse(z0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Z_t (B, D) of eq. 6."""
    a = alpha_bar(t)[..., None]
    return a.sqrt() * z0 + (1 - a).sqrt() * noise


def posterior(z0: Tensor, zt: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, D) and variance (B, 1) of q(Z_s | Z_t, Z_0) for s < t (Ho et al. 2020, eq. 7).

    Holds for any pair of times, not only neighbours. Eq. 8 of the paper as printed leaves out Z_t.
    """
    at, as_ = alpha_bar(t)[..., None], alpha_bar(s)[..., None]
    step = at / as_
    mean = (as_.sqrt() * (1 - step) * z0 + step.sqrt() * (1 - as_) * zt) / (1 - at)
    return mean, (1 - step) * (1 - as_) / (1 - at)


def sample_ancestral(denoise: Denoiser, shape: tuple[int, ...], generator: torch.Generator,
                     steps: int = STEPS, device: torch.device | str = 'cpu') -> Tensor:
    """Z_0 (B, D) by ancestral sampling through ``steps`` times."""
    z = torch.randn(shape, generator=generator, device=device)
    times = torch.linspace(1, 0, steps + 1, device=device)
    for i in range(steps):
        t, s = times[i].expand(shape[0]), times[i + 1].expand(shape[0])
        z0 = denoise(z, t)
        if i + 1 == steps:
            return z0
        mean, variance = posterior(z0, z, t, s)
        z = mean + variance.sqrt() * torch.randn(shape, generator=generator, device=device)
    return z


def sample_ddim(denoise: Denoiser, noise: Tensor, steps: int = 6) -> Tensor:
    """Z_0 (B, D) by the deterministic sampler of Song et al. 2021 in a few steps."""
    z = noise
    times = torch.linspace(1, 0, steps + 1, device=noise.device)
    for i in range(steps):
        t, s = times[i].expand(z.shape[0]), times[i + 1].expand(z.shape[0])
        z0 = denoise(z, t)
        if i + 1 == steps:
            return z0
        at, as_ = alpha_bar(t)[..., None], alpha_bar(s)[..., None]
        z = as_.sqrt() * z0 + ((1 - as_) / (1 - at)).sqrt() * (z - at.sqrt() * z0)
    return z
