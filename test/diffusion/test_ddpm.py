"""Latent diffusion against a Gaussian, whose posterior is known."""

import math

import pytest
import torch
from gaussian import MEAN, STD, assert_gaussian, standard_normal

from kinediff3d_core.diffusion import ddpm


def ddpm_denoiser(z, t):
    a = ddpm.alpha_bar(t)[..., None]
    gain = a.sqrt() * STD ** 2 / (a * STD ** 2 + 1 - a)
    return MEAN + gain * (z - a.sqrt() * MEAN)


def test_posterior_is_bayes():
    """q(Z_s | Z_t, Z_0) against the regression of samples of Z_s on Z_t, at fixed Z_0."""
    g = torch.Generator().manual_seed(0)
    n, z0 = 400000, torch.tensor([[0.7]])
    s, t = torch.full((n,), 0.4), torch.full((n,), 0.6)
    zs = ddpm.diffuse(z0.expand(n, 1), s, torch.randn(n, 1, generator=g))
    step = (ddpm.alpha_bar(t) / ddpm.alpha_bar(s))[:, None]
    zt = step.sqrt() * zs + (1 - step).sqrt() * torch.randn(n, 1, generator=g)
    mean, variance = ddpm.posterior(z0.expand(n, 1), zt, t, s)
    error = zs - mean
    assert error.mean().abs() < 2e-3
    assert (error * zt).mean().abs() < 3e-3
    assert error.var().item() == pytest.approx(variance[0].item(), rel=0.02)


@pytest.mark.parametrize('steps', [50, 300])
def test_ancestral_sampling_gives_the_gaussian(steps):
    g = torch.Generator().manual_seed(0)
    z = ddpm.sample_ancestral(ddpm_denoiser, (8000, 2), g, steps=steps)
    # The last step returns the mean of Z_0, so few steps give a little less variance.
    assert_gaussian(z, 0.03, 0.02, std_rtol=0.1)


def test_ddim_gives_the_gaussian():
    z = ddpm.sample_ddim(ddpm_denoiser, standard_normal(), steps=200)
    assert_gaussian(z, 0.03, 0.02, std_rtol=0.05)


def test_the_schedule_is_that_of_nichol_and_dhariwal():
    found = ddpm.alpha_bar(torch.tensor([0.0, 0.5, 1.0]))
    angle = math.pi / 2 / 1.008
    middle = (math.cos(0.508 * angle) / math.cos(0.008 * angle)) ** 2
    assert found.tolist() == pytest.approx([1.0, middle, 1e-5])


def test_diffused_codes_have_the_mean_and_variance_of_eq_6():
    a = ddpm.alpha_bar(torch.tensor([0.4])).item()
    z = ddpm.diffuse(torch.tensor([[2.0, 0.0]]), torch.tensor([0.4]), torch.tensor([[0.0, 1.0]]))
    assert z[0].tolist() == pytest.approx([2 * a ** 0.5, (1 - a) ** 0.5])


def test_ddim_keeps_the_noise_that_it_estimates():
    """The state before the last denoising is z0 and the first noise, mixed as eq. 6 says."""
    asked, z0 = [], torch.tensor([[0.5]])

    def denoise(z, t):
        asked.append((z.item(), t.item()))
        return z0

    assert ddpm.sample_ddim(denoise, torch.tensor([[1.5]]), steps=2).item() == 0.5
    noise = (1.5 - 1e-5 ** 0.5 * 0.5) / (1 - 1e-5) ** 0.5
    expected = ddpm.diffuse(z0, torch.tensor([0.5]), torch.tensor([[noise]])).item()
    assert asked == [(1.5, 1.0), (pytest.approx(expected, rel=1e-5), 0.5)]


def test_ancestral_sampling_denoises_at_falling_times_and_returns_the_last_code():
    times = []

    def denoise(z, t):
        times.append(t.tolist())
        return torch.full_like(z, float(len(times)))

    g = torch.Generator().manual_seed(0)
    z = ddpm.sample_ancestral(denoise, (2, 3), g, steps=4)
    assert z.tolist() == [[4.0] * 3] * 2
    assert times == [[1.0] * 2, [0.75] * 2, [0.5] * 2, [0.25] * 2]
