"""Latent diffusion of the shape code (eq. 5 to 8): schedule, forward process, samplers.

A denoiser is ``denoise(z_t, t) -> z_0``: the expected clean code (B, D) of a noisy one (B, D) at
times t (B) in 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]

STEPS = 1000
"""Steps of ancestral sampling (Ho et al. 2020)."""
OFFSET = 0.008
"""Offset of the cosine schedule (Nichol and Dhariwal 2021)."""
MIN_ALPHA_BAR = 1e-5
"""Least share of the code's variance in Z_t, which bounds the divisions. Chosen."""


# Schedule

def alpha_bar(t: Tensor) -> Tensor:
    """Product of all (1 - beta) up to t in 0..1: the cosine schedule of Nichol and Dhariwal."""
    start = math.cos(OFFSET / (1 + OFFSET) * math.pi / 2) ** 2
    f = torch.cos((t + OFFSET) / (1 + OFFSET) * torch.pi / 2).square()
    return (f / start).clamp(MIN_ALPHA_BAR, 1)


# Forward process

def diffuse(z0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Z_t (B, D) of codes z0 (B, D) at times t (B) with standard normal noise (B, D) (eq. 6)."""
    a = alpha_bar(t)[..., None]
    return a.sqrt() * z0 + (1 - a).sqrt() * noise


def posterior(z0: Tensor, zt: Tensor, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, D) and variance (B, 1) of q(Z_s | Z_t, Z_0) for s < t (Ho et al. 2020, eq. 7).

    It holds for any pair of times, not only for neighbours. Eq. 8 of the paper as printed leaves
    out Z_t.
    """
    at, as_ = alpha_bar(t)[..., None], alpha_bar(s)[..., None]
    step = at / as_
    mean = (as_.sqrt() * (1 - step) * z0 + step.sqrt() * (1 - as_) * zt) / (1 - at)
    return mean, (1 - step) * (1 - as_) / (1 - at)


# Samplers

def sample_ancestral(denoise: Denoiser, shape: tuple[int, ...], generator: torch.Generator,
                     steps: int = STEPS, device: torch.device | str = 'cpu') -> Tensor:
    """Z_0 (B, D) by ancestral sampling: each step samples the posterior; the last denoises."""
    z = z0 = torch.randn(shape, generator=generator, device=device)
    times = torch.linspace(1, 0, steps + 1, device=device)
    for i in range(steps):
        t, s = times[i].expand(shape[0]), times[i + 1].expand(shape[0])
        z0 = denoise(z, t)
        if i + 1 < steps:
            mean, variance = posterior(z0, z, t, s)
            z = mean + variance.sqrt() * torch.randn(shape, generator=generator, device=device)
    return z0


def sample_ddim(denoise: Denoiser, noise: Tensor, steps: int = 6) -> Tensor:
    """Z_0 (B, D) by the deterministic sampler of Song et al. 2021 (eq. 12 with sigma = 0).

    A step keeps the noise that the denoised code implies and mixes both for the next time.

    Args:
        noise: (B, D) what it starts from, standard normal for samples of the distribution.
    """
    z = z0 = noise
    times = torch.linspace(1, 0, steps + 1, device=noise.device)
    for i in range(steps):
        t, s = times[i].expand(z.shape[0]), times[i + 1].expand(z.shape[0])
        z0 = denoise(z, t)
        if i + 1 < steps:
            at, as_ = alpha_bar(t)[..., None], alpha_bar(s)[..., None]
            z = as_.sqrt() * z0 + ((1 - as_) / (1 - at)).sqrt() * (z - at.sqrt() * z0)
    return z0
