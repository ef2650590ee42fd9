"""Orthonormal bases."""

import numpy as np
import pytest

from kinediff3d_core.geometry.basis import basis_with_x_axis


@pytest.mark.parametrize('axis', [
    (1, 0, 0), (0, -2, 0), (0, 0, 1e-3), (1, 1, 1), (-3, 0.1, 0.2), (0.3, -0.3, 5)])
def test_a_basis_is_a_rotation_with_x_along_the_axis(axis: tuple[float, float, float]) -> None:
    axis = np.array(axis, float)
    R = basis_with_x_axis(axis)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    np.testing.assert_allclose(R[:, 0], axis / np.linalg.norm(axis), atol=1e-12)
    # The second direction is across the coordinate direction that the axis is least along.
    assert R[np.abs(axis).argmin(), 1] == pytest.approx(0.0, abs=1e-12)
