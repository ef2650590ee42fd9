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
    own, member = exists[:, optional], _members(category, exists)
    likeliest = (own.clamp(-CERTAIN, CERTAIN) @ member.to(own).T).argmax(1)
    return _with_signs(exists, optional, member[likeliest])


def log_probability(exists: Tensor, chosen: Tensor) -> Tensor:
    """Logarithm (H) of the probability that an object has just these parts.

    Args:
        exists: (H, K) log-odds of each part.
        chosen: (H, K) bool.
    """
    own = exists.clamp(-CERTAIN, CERTAIN)
    return torch.nn.functional.logsigmoid(torch.where(chosen, own, -own)).sum(1)


def set_probabilities(exists: Tensor, category: Category, uniform: float) -> Tensor:
    """Probabilities (S) of the possible sets by hypotheses' log-odds of the parts (H, K).

    Args:
        uniform: share of the probability that is spread over all sets: the networks are too
            certain of unusual objects.
    """
    mean = torch.sigmoid(exists[:, list(category.optional_parts)]).mean(0).logit()
    odds = mean.clamp(-CERTAIN, CERTAIN) @ _members(category, exists).to(mean).T
    own = torch.softmax(odds, 0)
    return (1 - uniform) * own + uniform / len(own)


def set_index(exists: Tensor, category: Category) -> Tensor:
    """Index (H) of the possible set that log-odds (H, K) have the signs of."""
    own = exists[:, list(category.optional_parts)] > 0
    return (own[:, None] == _members(category, exists)).all(-1).int().argmax(1)


def set_log_odds(index: Tensor, category: Category, exists: Tensor) -> Tensor:
    """Log-odds (H, K) whose signs are those of possible sets with an index (H) each.

    Those of ``exists`` (H, K), or (1, K), stay where they agree.
    """
    return _with_signs(exists.expand(len(index), -1), list(category.optional_parts),
                       _members(category, exists)[index])


def _with_signs(exists: Tensor, optional: list[int], chosen: Tensor) -> Tensor:
    """Log-odds (H, K); the optional parts that differ from ``chosen`` (H, O) are undecided."""
    own, out = exists[:, optional], exists.clone()
    out[:, optional] = torch.where(chosen == (own > 0), own, torch.where(
        chosen, UNDECIDED, -UNDECIDED))
    return out


def _members(category: Category, like: Tensor) -> Tensor:
    """Which of the optional parts (O) each possible set has: (S, O) bool."""
    return torch.tensor([[k in chosen for k in category.optional_parts]
                         for chosen in category.possible_sets], device=like.device)
