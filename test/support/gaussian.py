"""A Gaussian whose score and posterior are known, for tests of the samplers."""

import torch

MEAN, STD = torch.tensor([1.0, -2.0]), torch.tensor([0.5, 0.2])


def standard_normal(n=8000):
    """(n, 2) samples, always the same."""
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
