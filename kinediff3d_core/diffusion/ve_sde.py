"""Variance-exploding SDE of the pose and joint state (eq. 3 and 4).

The network's contract is ``denoise(x, sigma) -> x_0``; the score is ``(x_0 - x) / sigma^2``
(Tweedie), so that denoising score matching is a weighted error of x_0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torchdiffeq import odeint

SIGMA_MIN, SIGMA_MAX = 0.01, 50.0
DELTA = 1e-5
Denoiser = Callable[[Tensor, Tensor], Tensor]


def sigma_of(t: Tensor) -> Tensor:
    """sigma(t) = sigma_min (sigma_max / sigma_min)^t for t in 0..1."""
    return SIGMA_MIN * (SIGMA_MAX / SIGMA_MIN) ** t


def dsm_loss(denoise: Denoiser, x0: Tensor, t: Tensor, noise: Tensor, sigma_data: float = 1.0,
             ) -> Tensor:
    """Denoising score matching (eq. 4) of x0 (..., S) at times t (...), one value (...) each.

    lambda(t) = sigma^4 times the preconditioner's weight (1/sigma^2 + 1/sigma_data^2): the error
    of x_0 weighted so that the network's own output has a loss of order one at every level.
    """
    sigma = sigma_of(t)
    xt = x0 + sigma[..., None] * noise
    weight = 1 / sigma.square() + 1 / sigma_data ** 2
    return weight * (denoise(xt, sigma) - x0).square().mean(-1)


def sample_fixed(denoise: Denoiser, noise: Tensor, steps: int, start: float = 5.0,
                 end: float = SIGMA_MIN) -> Tensor:
    """Probability-flow ODE from sigma ``start`` to ``end`` in ``steps`` log-spaced Euler steps.

    In the variable x / sigma the step is exact for a constant denoiser: x' = D + (s'/s)(x - D).

    Args:
        noise: (..., S) standard normal.
    """
    sigmas = torch.exp(torch.linspace(torch.tensor(start).log().item(),
                                      torch.tensor(end).log().item(), steps,
                                      device=noise.device))
    x = noise * start
    for i in range(steps):
        x0 = denoise(x, sigmas[i].expand(x.shape[:-1]))
        if i + 1 == steps:
            return x0
        x = x0 + (sigmas[i + 1] / sigmas[i]) * (x - x0)
    return x


def sample_rk45(denoise: Denoiser, noise: Tensor, start: float = 1.0, tolerance: float = 1e-5,
                ) -> Tensor:
    """Probability-flow ODE by Dormand-Prince RK45 on the device (section 3.2).

    dx/dt = -sigma sigma' score = -(sigma'/sigma) (D - x), from t = ``start`` to delta, followed by
    one denoising step.

    Args:
        noise: (..., S) standard normal.
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
