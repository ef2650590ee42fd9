"""Statistics of metrics over many views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Summary = dict[str, dict[str, float]]
"""``{metric: {mean, median, std, n}}``."""

FAILED_DEG = 20.0
"""A rotation error above this, deg, counts as a failure. Chosen."""


def failed(metrics: Mapping[str, float] | None) -> bool:
    """Whether a sample counts as a failure: no estimate, or rotated beyond ``FAILED_DEG``."""
    return metrics is None or not metrics['rot_err_deg'] <= FAILED_DEG


def statistics(values: Sequence[float] | Array) -> dict[str, float]:
    """Mean, median, standard deviation and count of values (N,), N > 0."""
    return {'mean': float(np.mean(values)), 'median': float(np.median(values)),
            'std': float(np.std(values)), 'n': len(values)}


def summarise(records: Sequence[Mapping[str, float] | None]) -> dict[str, dict[str, float]]:
    """Mean, median, standard deviation and count of every metric over samples.

    Args:
        records: metrics of each sample, None where there was no estimate. These count in the
            failure rates only. Estimates with a large rotation error count in all metrics.
            Views whose true rotation is unknown (NaN) do not count in the failure rates.
    """
    out: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(key for r in records if r is not None for key in r):
        values = np.array([r[name] for r in records if r is not None and name in r])
        values = values[np.isfinite(values)]
        if len(values):
            out[name] = statistics(values)
    known = [r for r in records if r is None or np.isfinite(r['rot_err_deg'])]
    if known:
        out['failure_rate'] = statistics([float(failed(r)) for r in known])
        if 'rot_err_modes_deg' in out:
            out['failure_rate_modes'] = statistics(
                [float(r is None or r['rot_err_modes_deg'] > FAILED_DEG) for r in known])
    return out
