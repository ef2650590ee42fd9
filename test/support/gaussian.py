"""A Gaussian whose score and posterior are known, for tests of the samplers."""

import torch

MEAN, STD = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.2])


def standard_normal(n=8000):
    """(n, 2) samples, always the same."""
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


def assert_gaussian(samples, mean_atol, std_atol, std_rtol):
    """Check mean and standard deviation of samples (n, 2)."""
    torch.testing.assert_close(samples.mean(0), MEAN, atol=mean_atol, rtol=0)
    torch.testing.assert_close(samples.std(0), STD, atol=std_atol, rtol=std_rtol)
