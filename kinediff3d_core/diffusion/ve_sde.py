"""Variance-exploding SDE of the pose and joint state (eq. 3 and 4): schedule, loss, samplers.

A denoiser is ``denoise(x, sigma) -> x_0``: the expected clean state (..., S) of a noisy one
(..., S) at noise levels sigma (...). By Tweedie's formula the score is ``(x_0 - x) / sigma^2``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchdiffeq import odeint

Denoiser = Callable[[Tensor, Tensor], Tensor]

SIGMA_MIN, SIGMA_MAX = 0.01, 50.0
"""Noise levels at t = 0 and 1. Those of GenPose (Zhang et al. 2023)."""
DELTA = 1e-5
"""Smallest time of training and of the adaptive sampler. Chosen."""


# Schedule

def sigma_of(t: Tensor) -> Tensor:
    """Noise level sigma_min (sigma_max / sigma_min)^t of times t in 0..1 (eq. 3)."""
    return SIGMA_MIN * (SIGMA_MAX / SIGMA_MIN) ** t


# Loss

def dsm_loss(denoise: Denoiser, x0: Tensor, t: Tensor, noise: Tensor, sigma_data: float = 1.0,
             ) -> Tensor:
    """Denoising score matching (eq. 4) of x0 (..., S) at times t (...), one value (...) each.

    By Tweedie's formula the squared error of the score is that of x_0 over sigma^4. The weight of
    eq. 4 is lambda = sigma^4 (1 / sigma^2 + 1 / sigma_data^2), that of Karras et al. 2022 (table
    1), so that the network's own output has a loss of order one at every noise level.

    Args:
        noise: (..., S) standard normal.
        sigma_data: standard deviation of the clean states.
    """
    sigma = sigma_of(t)
    xt = x0 + sigma[..., None] * noise
    weight = 1 / sigma.square() + 1 / sigma_data ** 2
    return weight * (denoise(xt, sigma) - x0).square().mean(-1)


# Samplers

def sample_fixed(denoise: Denoiser, noise: Tensor, steps: int, start: float = 5.0,
                 end: float = SIGMA_MIN) -> Tensor:
    """States x_0 by the probability-flow ODE in ``steps`` Euler steps.

    Noise levels are spaced evenly in log sigma from ``start`` to ``end``. A step in the variable
    x / sigma, which is exact for a constant denoiser, is x' = x_0 + (sigma' / sigma) (x - x_0).

    Args:
        noise: (..., S) standard normal.
    """
    sigmas = torch.exp(torch.linspace(torch.tensor(start).log().item(),
                                      torch.tensor(end).log().item(), steps,
                                      device=noise.device))
    x = x0 = noise * start
    for i in range(steps):
        x0 = denoise(x, sigmas[i].expand(x.shape[:-1]))
        if i + 1 < steps:
            x = x0 + (sigmas[i + 1] / sigmas[i]) * (x - x0)
    return x0


def sample_rk45(denoise: Denoiser, noise: Tensor, start: float = 1.0, tolerance: float = 1e-5,
                ) -> Tensor:
    """States x_0 by the probability-flow ODE with Dormand and Prince's method (section 3.2).

    The ODE is dx/dt = -sigma sigma' score = (sigma' / sigma) (x - x_0), from t = ``start`` to
    ``DELTA``, where sigma' / sigma = log(sigma_max / sigma_min). One denoising follows.

    Args:
        noise: (..., S) standard normal.
        tolerance: relative and absolute, of the solver.
    """
    log_ratio = torch.tensor(SIGMA_MAX / SIGMA_MIN).log().item()

    def slope(t: Tensor, x: Tensor) -> Tensor:
        sigma = sigma_of(t).to(x.dtype)
        x0 = denoise(x, sigma.expand(x.shape[:-1]))
        return log_ratio * (x - x0)

    times = torch.tensor([start, DELTA], device=noise.device)
    x: Tensor = odeint(slope, noise * sigma_of(times[0]), times, rtol=tolerance, atol=tolerance,
                       method='dopri5')[-1]
    return denoise(x, sigma_of(times[1]).expand(x.shape[:-1]))
