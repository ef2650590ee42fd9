"""Whether a cloud is about as large as an object of its category, else which unit it is likely in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log

import numpy as np

from kinediff3d_core.objects.category import Category

QUANTILES = 0.05, 0.95
"""Share of the points along each axis that lies beside a cloud's box. Chosen: outliers."""
SIZES = 0.3, 5.0
"""Smallest and largest diagonal of the box of an object's visible points, in canonical units of
its category. Chosen: 20 real views of six categories measure 1.2 to 2.6; units that are ten times
too small or large are outside."""
USUAL = 2.0
"""Diagonal of a usual view, canonical units. Chosen, as above."""
NEAR = 2.0
"""Greatest ratio to it that names a unit. Chosen: known units differ by more than twice."""


def size_of(points: np.ndarray) -> float:
    """Diagonal of the box of most of the points (N, 3), in their unit."""
    low, high = np.quantile(points, QUANTILES, axis=0)
    return float(np.linalg.norm(high - low))


def fits(points: np.ndarray, categories: Sequence[Category]) -> bool:
    """Whether points (N, 3), m, can be of an object of one of the categories."""
    size = size_of(points)
    return any(SIZES[0] * c.scale <= size <= SIZES[1] * c.scale for c in categories)


def likely_unit(points: np.ndarray, categories: Sequence[Category],
                factors: Mapping[str, float]) -> str | None:
    """Name of the factor that brings points (N, 3) nearest to a usual size; None if none fits."""
    size = size_of(points)
    off = {name: min(abs(log(factor * size / (USUAL * c.scale))) for c in categories)
           for name, factor in factors.items() if size > 0}
    best = min(off, key=off.__getitem__, default=None)
    return best if best is not None and off[best] < log(NEAR) else None
