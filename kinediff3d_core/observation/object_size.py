"""Whether a cloud is about as large as an object of its category, else which unit it is likely in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kinediff3d_core.objects.category import Category

QUANTILES = 0.05, 0.95
"""Share of the points along each axis that lies beside a cloud's box. Chosen: outliers."""
SIZES = 0.1, 5.0
"""Smallest and largest diagonal of the box of an object's visible points, in canonical units of
its category. Chosen: procedural objects measure 1 to 3, and units differ by more."""
USUAL = 0.7, 3.5
"""Diagonals that tell a likely unit. Chosen, as above."""


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
    """The first of the factors, by name, that gives points (N, 3) a usual size."""
    size = size_of(points)
    return next((name for name, factor in factors.items() if any(
        USUAL[0] * c.scale <= factor * size <= USUAL[1] * c.scale for c in categories)), None)
