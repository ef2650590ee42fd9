"""Which parts a tracked object has: a posterior over the sets that its category allows.

Every full estimate updates it: the posterior so far is the prior of the next view
(:class:`~kinediff3d_core.inference.part_evidence.PartEvidence`). A closed cabinet hardly shows how
many drawers it has; when they are open, the views decide. A tracker with a likelier set replaces
the track even if it fits a little worse.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.estimate import ArticulatedEstimate


def index_of_set(category: Category, estimate: ArticulatedEstimate) -> int:
    """Index of an estimate's set of parts in ``Category.possible_sets``.

    Raises:
        ValueError: the category does not allow the set.
    """
    parts = tuple(sorted(category.parts.index(p.name) for p in estimate.parts[1:]))
    return category.possible_sets.index(parts)


def log_ratio(posterior: Sequence[float], index: int, other: int) -> float:
    """How much likelier one set is than another one: the logarithm of the ratio, 0 without a
    posterior."""
    if not posterior or index == other:
        return 0.0
    return math.log(posterior[index]) - math.log(posterior[other])
