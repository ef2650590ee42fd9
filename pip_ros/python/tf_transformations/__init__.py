"""Rotations and rigid transforms with ROS's quaternion order (x, y, z, w).

Like ROS 2's package of this name, it wraps transforms3d, which puts w first. Matrices are (4, 4).
Euler angles are in radians. ``axes`` names their convention: s or r for static or rotating axes,
then their order, such as ``sxyz``. Only the functions for poses exist here, not those for
projections, shears and trackballs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import transforms3d
from numpy.typing import ArrayLike

Quaternion = tuple[float, float, float, float]


def w_first(quaternion: ArrayLike) -> Quaternion:
    """Return (w, x, y, z) from (x, y, z, w)."""
    x, y, z, w = np.asarray(quaternion, dtype=float)
    return w, x, y, z


def w_last(quaternion: ArrayLike) -> Quaternion:
    """Return (x, y, z, w) from (w, x, y, z)."""
    w, x, y, z = np.asarray(quaternion, dtype=float)
    return x, y, z, w


def homogeneous(rotation: ArrayLike, translation: ArrayLike = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Return the (4, 4) matrix of a (3, 3) rotation and a translation."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = translation
    return matrix


def identity_matrix() -> np.ndarray:
    """Return the (4, 4) identity."""
    return np.eye(4)


def translation_matrix(direction: ArrayLike) -> np.ndarray:
    """Return the matrix of a translation by a vector."""
    return homogeneous(np.eye(3), direction)


def translation_from_matrix(matrix: ArrayLike) -> np.ndarray:
    """Return the translation of a transform, (3,)."""
    return np.array(matrix, dtype=float)[:3, 3]


def rotation_matrix(
    angle: float, direction: ArrayLike, point: ArrayLike | None = None
) -> np.ndarray:
    """Return the rotation by ``angle`` about an axis through ``point`` (default: the origin)."""
    return transforms3d.axangles.axangle2aff(direction, angle, point=point)


def inverse_matrix(matrix: ArrayLike) -> np.ndarray:
    """Return the inverse of a square matrix."""
    return np.linalg.inv(np.asarray(matrix, dtype=float))


def concatenate_matrices(*matrices: ArrayLike) -> np.ndarray:
    """Return the product of (4, 4) matrices, the first one leftmost."""
    product = np.eye(4)
    for matrix in matrices:
        product = product @ np.asarray(matrix, dtype=float)
    return product


def euler_matrix(ai: float, aj: float, ak: float, axes: str = 'sxyz') -> np.ndarray:
    """Return the rotation of three Euler angles as a (4, 4) matrix."""
    return homogeneous(transforms3d.euler.euler2mat(ai, aj, ak, axes=axes))


def euler_from_matrix(matrix: ArrayLike, axes: str = 'sxyz') -> tuple[float, float, float]:
    """Return Euler angles of the upper left (3, 3) of a matrix."""
    return transforms3d.euler.mat2euler(np.asarray(matrix, dtype=float), axes=axes)


def euler_from_quaternion(quaternion: ArrayLike, axes: str = 'sxyz') -> tuple[float, float, float]:
    """Return Euler angles of a quaternion (x, y, z, w)."""
    return euler_from_matrix(quaternion_matrix(quaternion), axes)


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str = 'sxyz') -> Quaternion:
    """Return the quaternion (x, y, z, w) of three Euler angles."""
    return w_last(transforms3d.euler.euler2quat(ai, aj, ak, axes=axes))


def quaternion_about_axis(angle: float, axis: Sequence[float]) -> Quaternion:
    """Return the quaternion (x, y, z, w) of a rotation by ``angle`` about ``axis``."""
    return w_last(transforms3d.quaternions.axangle2quat(axis, angle))


def quaternion_matrix(quaternion: ArrayLike) -> np.ndarray:
    """Return the (4, 4) rotation of a quaternion (x, y, z, w) of any length."""
    return homogeneous(transforms3d.quaternions.quat2mat(w_first(quaternion)))


def quaternion_from_matrix(matrix: ArrayLike) -> Quaternion:
    """Return the quaternion (x, y, z, w) of a (4, 4) transform's rotation."""
    rotation = transforms3d.affines.decompose44(np.asarray(matrix, dtype=float))[1]
    return w_last(transforms3d.quaternions.mat2quat(rotation))


def quaternion_multiply(quaternion1: ArrayLike, quaternion0: ArrayLike) -> Quaternion:
    """Return the product: the rotation ``quaternion0``, then ``quaternion1``."""
    return w_last(transforms3d.quaternions.qmult(w_first(quaternion1), w_first(quaternion0)))


def quaternion_conjugate(quaternion: ArrayLike) -> np.ndarray:
    """Return (-x, -y, -z, w)."""
    return np.asarray(quaternion, dtype=float) * (-1.0, -1.0, -1.0, 1.0)


def quaternion_inverse(quaternion: ArrayLike) -> np.ndarray:
    """Return the multiplicative inverse of a quaternion of any length except 0."""
    q = np.asarray(quaternion, dtype=float)
    return quaternion_conjugate(q) / (q @ q)


def quaternion_slerp(
    quat0: ArrayLike,
    quat1: ArrayLike,
    fraction: float,
    spin: int = 0,
    shortestpath: bool = True,
) -> np.ndarray:
    """Return the rotation at ``fraction`` of the arc from ``quat0`` to ``quat1``.

    Args:
        quat0: start (x, y, z, w).
        quat1: end (x, y, z, w).
        fraction: 0 to 1.
        spin: number of extra half turns.
        shortestpath: use the shorter of the two arcs.
    """
    q0, q1 = unit_vector(quat0), unit_vector(quat1)
    if fraction == 0.0:
        return q0
    if fraction == 1.0:
        return q1
    cosine = float(q0 @ q1)
    if 1.0 - abs(cosine) < 4.0 * np.finfo(float).eps:
        return q0
    if shortestpath and cosine < 0.0:
        q1, cosine = -q1, -cosine
    angle = math.acos(cosine) + spin * math.pi
    weights = np.sin([(1.0 - fraction) * angle, fraction * angle]) / math.sin(angle)
    return weights[0] * q0 + weights[1] * q1


def vector_norm(data: ArrayLike, axis: int | None = None) -> np.ndarray | float:
    """Return the Euclidean length, along ``axis`` if given."""
    norm = np.linalg.norm(np.asarray(data, dtype=float), axis=axis)
    return norm if axis is not None else float(norm)


def unit_vector(data: ArrayLike, axis: int | None = None) -> np.ndarray:
    """Return the array scaled to length 1, along ``axis`` if given."""
    values = np.asarray(data, dtype=float)
    return values / np.linalg.norm(values, axis=axis, keepdims=axis is not None)


def is_same_transform(matrix0: ArrayLike, matrix1: ArrayLike) -> bool:
    """Return whether two (4, 4) matrices are equal up to their homogeneous scale."""
    a, b = np.asarray(matrix0, dtype=float), np.asarray(matrix1, dtype=float)
    return bool(np.allclose(a / a[3, 3], b / b[3, 3]))
