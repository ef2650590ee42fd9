"""Vectors scaled to the mean and standard deviation of the training set."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Whitened(nn.Module):
    """A module of vectors (..., size) that are whitened, component by component.

    Attributes: mean, std: (size,) of the training set; set before training.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(size))
        self.register_buffer('std', torch.ones(size))

    def whiten(self, x: Tensor) -> Tensor:
        """Vectors (..., size) of mean 0 and standard deviation 1 over the training set."""
        return (x - self.mean) / self.std

    def unwhiten(self, x: Tensor) -> Tensor:
        """Inverse of :meth:`whiten`."""
        return x * self.std + self.mean
