"""Medians and ranges are those of NumPy."""

import numpy as np
import pytest

from kinediff3d_core.observation.order_statistics import inner_range, median


@pytest.mark.parametrize('count', [1, 2, 3, 50, 101])
def test_they_are_those_of_numpy(count: int) -> None:
    values = np.random.default_rng(count).normal(size=(count, 2))
    assert median(values[:, 0]) == pytest.approx(np.median(values[:, 0]))
    for outer in (0.0, 0.02, 0.05, 0.3):
        np.testing.assert_allclose(inner_range(values, outer), np.percentile(
            values, (100 * outer, 100 - 100 * outer), axis=0))
