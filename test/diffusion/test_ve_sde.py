"""The variance-exploding SDE against a Gaussian, whose score is known."""

import pytest
import torch
from gaussian import MEAN, STD, assert_gaussian, standard_normal

from kinediff3d_core.diffusion import ve_sde


def ve_denoiser(x, sigma):
    """E[x0 | x] for x0 ~ N(MEAN, STD^2), x = x0 + sigma n."""
    s = sigma[..., None]
    return (STD ** 2 * x + s ** 2 * MEAN) / (STD ** 2 + s ** 2)


def test_rk45_samples_the_gaussian():
    x = ve_sde.sample_rk45(ve_denoiser, standard_normal())
    assert_gaussian(x, 0.02, 0.01, std_rtol=0.02)


def test_fixed_steps_come_close_to_the_gaussian():
    x = ve_sde.sample_fixed(ve_denoiser, standard_normal(), steps=14)
    # 14 steps from sigma = 5 may be off by a tenth of the whitened state's standard deviation.
    assert_gaussian(x, 0.1, 0.03, std_rtol=0.2)
    many = ve_sde.sample_fixed(ve_denoiser, standard_normal(), steps=400, start=50.0)
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


def test_the_schedule_runs_between_the_noise_levels_of_the_paper():
    assert ve_sde.sigma_of(torch.tensor(0.0)).item() == pytest.approx(0.01)
    assert ve_sde.sigma_of(torch.tensor(1.0)).item() == pytest.approx(50.0)


def test_the_schedule_is_geometric():
    assert ve_sde.sigma_of(torch.tensor(0.5)).item() == pytest.approx((0.01 * 50) ** 0.5)


@pytest.mark.parametrize('sigma_data', [1.0, 0.5])
def test_denoising_score_matching_is_weighted_by_the_noise_level(sigma_data):
    """A denoiser that returns its input errs by sigma times the noise.

    With the weight 1 / sigma^2 + 1 / sigma_data^2 the loss is (1 + sigma^2 / sigma_data^2) times
    the noise's mean square.
    """
    t = torch.tensor([0.0, 0.3, 0.5, 1.0])
    noise = torch.tensor([[1.0, 2.0]]).expand(4, 2)
    loss = ve_sde.dsm_loss(lambda x, sigma: x, torch.zeros(4, 2), t, noise, sigma_data)
    sigma = 0.01 * 5000 ** t
    torch.testing.assert_close(loss, 2.5 * (1 + sigma ** 2 / sigma_data ** 2))


def test_one_fixed_step_is_the_denoised_start():
    """The denoiser is asked at the starting level, and its answer returned."""
    asked = []

    def denoise(x, sigma):
        asked.append((x.tolist(), sigma.tolist()))
        return 0.5 * x

    x = ve_sde.sample_fixed(denoise, torch.tensor([[1.0, -2.0]]), 1, start=4.0)
    assert x.tolist() == [[2.0, -4.0]]
    assert asked == [([[4.0, -8.0]], [pytest.approx(4.0)])]


def test_a_fixed_step_is_exact_for_a_constant_denoiser():
    """x - D shrinks as sigma: two steps from 4 to 1 leave a quarter of it."""
    levels = []

    def denoise(x, sigma):
        levels.append((x.clone(), sigma.item()))
        return torch.full_like(x, 3.0)

    ve_sde.sample_fixed(denoise, torch.tensor([[2.0]]), 2, start=4.0, end=1.0)
    (first, high), (second, low) = levels
    assert (high, low) == (pytest.approx(4.0), pytest.approx(1.0))
    assert first.item() == pytest.approx(8.0) and second.item() == pytest.approx(3 + 5 / 4)
