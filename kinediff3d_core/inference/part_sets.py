"""Which parts an object has: the likeliest of the sets that its category allows."""

from __future__ import annotations

import torch
from torch import Tensor

from kinediff3d_core.objects.category import Category

UNDECIDED = 1e-4
"""Log-odds of a part that the likeliest set has, or lacks, against its own: it counts as there, or
as missing, but no more than that. Chosen."""
CERTAIN = 1e4
"""Largest log-odds that are summed: infinite ones have no sum. Chosen."""


def possible_log_odds(exists: Tensor, category: Category) -> Tensor:
    """Log-odds whose signs are a set of parts that objects of the category may have.

    The decoder gives each part its own probability. The set with the largest product of them is
    taken. Where the parts that are likelier there than not are such a set already, nothing
    changes.

    Args:
        exists: (B, K) log-odds that the object has a part; infinite where it always has.

    Returns:
        (B, K); a part whose sign differs gets :data:`UNDECIDED` of the other sign.
    """
    optional = list(category.optional_parts)
    if not optional:
        return exists
    own = exists[:, optional]
    member = torch.tensor([[k in chosen for k in optional] for chosen in category.possible_sets],
                          device=exists.device)
    likeliest = (own.clamp(-CERTAIN, CERTAIN) @ member.to(own).T).argmax(1)
    chosen = member[likeliest]
    out = exists.clone()
    out[:, optional] = torch.where(chosen == (own > 0), own, torch.where(
        chosen, UNDECIDED, -UNDECIDED))
    return out
