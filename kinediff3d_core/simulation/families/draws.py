"""Random numbers of n instances at once, from one generator."""

from __future__ import annotations

import torch
from torch import Tensor


class Draws:
    """Draws one number an instance: every method returns a tensor (n,).

    The order of the calls decides which instance a seed makes: a family that draws one number
    more, or in another order, makes other instances.

    Args:
        n: instances.
        generator: on ``device``.
    """

    def __init__(self, n: int, generator: torch.Generator, device: torch.device | str) -> None:
        self.n, self.generator, self.device = n, generator, device

    def uniform(self, low: float | Tensor, high: float | Tensor) -> Tensor:
        """Uniform between two limits, each a number or one an instance (n,)."""
        u = torch.rand(self.n, generator=self.generator, device=self.device)
        return low + (high - low) * u

    def log_uniform(self, low: float, high: float) -> Tensor:
        """Between two positive limits, with a uniform logarithm."""
        lo, hi = torch.tensor(low).log().item(), torch.tensor(high).log().item()
        return self.uniform(lo, hi).exp()

    def chance(self, p: float) -> Tensor:
        """True with probability p."""
        return self.uniform(0.0, 1.0) < p

    def zeros(self) -> Tensor:
        """Zero for each instance; draws nothing."""
        return torch.zeros(self.n, device=self.device)

    def side_stream(self) -> Draws:
        """A second generator, for features that only some instances have.

        Its seed is the number that this generator would give next, but this generator stays where
        it is. So a new feature leaves the instances without it as the seed made them before.
        """
        state = self.generator.get_state()
        seed = int(torch.randint(2 ** 62, (), generator=self.generator, device=self.device))
        self.generator.set_state(state)
        return Draws(self.n, torch.Generator(self.device).manual_seed(seed), self.device)
