"""Test views of procedural objects."""

import math

import numpy as np

from kinediff3d_core.evaluation.samples import procedural_samples


def test_samples_depend_on_seed_and_number_only():
    a = procedural_samples('laptop', seed=1, shapes=False)
    b = procedural_samples('laptop', seed=1, shapes=False)
    first, again = a(2), (b(5), b(2))[1]
    np.testing.assert_array_equal(first.depth, again.depth)
    np.testing.assert_array_equal(first.generate_at, again.generate_at)
    np.testing.assert_array_equal(first.truth.T_camera_part, again.truth.T_camera_part)
    other = procedural_samples('laptop', seed=2, shapes=False)(2)
    assert not np.array_equal(first.truth.origin, other.truth.origin)
    assert first.truth.surfaces is None
    low, high = math.radians(10), math.radians(130)
    assert low <= first.truth.positions[0] <= high and low <= first.generate_at[0] <= high
