"""``tf_transformations``: quaternions (x, y, z, w), matrices and Euler angles."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip('rclpy')

import tf_transformations as tft  # noqa: E402
from transform_messages import about_z  # noqa: E402


def test_w_is_the_last_component_of_quaternions() -> None:
    assert tft.quaternion_from_euler(0, 0, math.pi / 2) == pytest.approx(about_z(math.pi / 2))
    assert tft.quaternion_about_axis(0.4, (0, 0, 1)) == pytest.approx(about_z(0.4))
    matrix = tft.quaternion_matrix(about_z(math.pi / 2))
    expected = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert matrix == pytest.approx(np.array(expected), abs=1e-12)
    assert tft.quaternion_from_matrix(matrix) == pytest.approx(about_z(math.pi / 2))


@pytest.mark.parametrize('seed', range(20))
def test_rotations_round_trip(seed) -> None:
    rng = np.random.default_rng(seed)
    q = tft.unit_vector(rng.normal(size=4))
    q *= math.copysign(1.0, q[3])
    matrix = tft.quaternion_matrix(q)
    assert matrix[:3, :3] @ matrix[:3, :3].T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    matrix[:3, 3] = rng.normal(size=3)  # has no effect on the rotation of the transform
    assert tft.quaternion_from_matrix(matrix) == pytest.approx(q)
    for axes in ('sxyz', 'rzyx', 'szxz'):
        angles = tft.euler_from_quaternion(q, axes)
        assert tft.is_same_transform(tft.euler_matrix(*angles, axes), tft.quaternion_matrix(q))


def test_products_and_inverses_are_those_of_the_matrices() -> None:
    rng = np.random.default_rng(3)
    a, b = tft.unit_vector(rng.normal(size=(2, 4)), axis=1)
    product = tft.quaternion_matrix(tft.quaternion_multiply(a, b))
    assert product == pytest.approx(tft.quaternion_matrix(a) @ tft.quaternion_matrix(b))
    one = tft.quaternion_multiply(a, tft.quaternion_inverse(a))
    assert one == pytest.approx((0, 0, 0, 1), abs=1e-12)
    # Not of unit length. The product is worked out by hand from the rules of i, j and k.
    assert tft.quaternion_multiply([1, -2, 3, 4], [-5, 6, 7, 8]) == pytest.approx(
        (-44, -14, 48, 28)
    )


def test_slerp_has_constant_angular_speed() -> None:
    for fraction in (0.0, 0.25, 0.5, 1.0):
        q = tft.quaternion_slerp(about_z(0.2), about_z(1.0), fraction)
        assert q == pytest.approx(about_z(0.2 + 0.8 * fraction))


def test_rotation_about_a_point_does_not_move_the_point() -> None:
    matrix = tft.rotation_matrix(0.7, [0, 0, 1], point=[1, 2, 3])
    assert matrix @ [1, 2, 3, 1] == pytest.approx([1, 2, 3, 1])
    assert matrix[:3, :3] == pytest.approx(tft.quaternion_matrix(about_z(0.7))[:3, :3])


def test_matrices_concatenate_from_left_to_right() -> None:
    move, turn = tft.translation_matrix([1, 0, 0]), tft.rotation_matrix(math.pi / 2, [0, 0, 1])
    both = tft.concatenate_matrices(move, turn)
    assert tft.translation_from_matrix(both) == pytest.approx([1, 0, 0])
    assert both @ [1, 0, 0, 1] == pytest.approx([1, 1, 0, 1])
    assert tft.inverse_matrix(both) @ both == pytest.approx(np.eye(4))
