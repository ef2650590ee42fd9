"""Samplers against a Gaussian, whose score and posterior are known."""

import pytest
import torch

from kinediff3d_core.diffusion import ddpm, ve_sde

MEAN, STD = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.2])


def ve_denoiser(x, sigma):
    """E[x0 | x] for x0 ~ N(MEAN, STD^2), x = x0 + sigma n."""
    s = sigma[..., None]
    return (STD ** 2 * x + s ** 2 * MEAN) / (STD ** 2 + s ** 2)


def ddpm_denoiser(z, t):
    a = ddpm.alpha_bar(t)[..., None]
    gain = a.sqrt() * STD ** 2 / (a * STD ** 2 + 1 - a)
    return MEAN + gain * (z - a.sqrt() * MEAN)


def noise(n=8000):
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


def test_rk45_samples_the_gaussian():
    x = ve_sde.sample_rk45(ve_denoiser, noise())
    torch.testing.assert_close(x.mean(0), MEAN, atol=0.02, rtol=0)
    torch.testing.assert_close(x.std(0), STD, atol=0.01, rtol=0.02)


def test_fixed_steps_come_close_to_the_gaussian():
    x = ve_sde.sample_fixed(ve_denoiser, noise(), steps=14)
    # A tenth of the whitened state's deviation is what 14 steps from sigma = 5 may miss.
    torch.testing.assert_close(x.mean(0), MEAN, atol=0.1, rtol=0)
    torch.testing.assert_close(x.std(0), STD, atol=0.03, rtol=0.2)
    many = ve_sde.sample_fixed(ve_denoiser, noise(), steps=400, start=50.0)
    torch.testing.assert_close(many.std(0), STD, atol=0.01, rtol=0.03)


def test_denoising_score_matching_is_least_for_the_true_score():
    g = torch.Generator().manual_seed(1)
    x0 = MEAN + STD * torch.randn(50000, 2, generator=g)
    t = ve_sde.DELTA + (1 - ve_sde.DELTA) * torch.rand(50000, generator=g)
    eps = torch.randn(x0.shape, generator=g)
    best = ve_sde.dsm_loss(ve_denoiser, x0, t, eps).mean()
    for factor in (0.95, 1.05):
        other = ve_sde.dsm_loss(lambda x, s, f=factor: f * ve_denoiser(x, s), x0, t, eps).mean()
        assert other > best


def test_ve_schedule_has_the_paper_ends():
    assert ve_sde.sigma_of(torch.tensor(0.0)).item() == pytest.approx(0.01)
    assert ve_sde.sigma_of(torch.tensor(1.0)).item() == pytest.approx(50.0)


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
    torch.testing.assert_close(z.mean(0), MEAN, atol=0.03, rtol=0)
    # The last step returns the mean of Z_0, so few steps leave a little spread out.
    torch.testing.assert_close(z.std(0), STD, atol=0.02, rtol=0.1)


def test_ddim_gives_the_gaussian():
    z = ddpm.sample_ddim(ddpm_denoiser, noise(), steps=200)
    torch.testing.assert_close(z.mean(0), MEAN, atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), STD, atol=0.02, rtol=0.05)
