"""Rigid motions SE(3): homogeneous matrices (..., 4, 4) with any batch axes.

Frames follow ``T_a_b``: it maps points of frame b into frame a, ``p_a = T_a_b @ p_b``. Motions are
composed by the matrix product, ``T_a_c = T_a_b @ T_b_c``. Rotation vectors (..., 3) are unit axis
times angle, rad: :func:`rotation_from_vector` is the exponential map of SO(3) and
:func:`vector_from_rotation` its logarithm.

Functions typed ``ArrayT`` take tensors, or NumPy arrays, and return the same kind.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np
import roma
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]
ArrayT = TypeVar('ArrayT', Tensor, Array)

SMALL_ANGLE = 1e-6
"""Rotation angle below which the exponential map is taken to first order, rad. Chosen: the terms
left out are below float32's resolution."""
SMALL_SINE = 1e-9
"""Least sine that the logarithm divides by. Chosen: it only avoids 0 / 0."""


CROSS = np.array([[0, 0, 0, 0, 0, -1, 0, 1, 0],
                  [0, 0, 1, 0, 0, 0, -1, 0, 0],
                  [0, -1, 0, 1, 0, 0, 0, 0, 0]], dtype=np.float64)
"""Row i holds the cross product matrix of the i-th unit vector, row by row."""


def rotation_from_6d(a: Tensor) -> Tensor:
    """Rotation (..., 3, 3) whose first two columns are the Gram-Schmidt of a (..., 6).

    Section 3.2: r_6D holds the first two columns of R, one after the other.
    """
    R: Tensor = roma.special_gramschmidt(torch.stack([a[..., :3], a[..., 3:]], dim=-1))
    return R


def rotation_to_6d(R: Tensor) -> Tensor:
    """First two columns of R (..., 3, 3) as (..., 6)."""
    return torch.cat([R[..., :, 0], R[..., :, 1]], dim=-1)


def rotation_angle(Ra: ArrayT, Rb: ArrayT) -> ArrayT:
    """Geodesic angle between rotations (..., 3, 3), radians (...).

    By the arc tangent of sine and cosine: accurate near zero and near pi, where the arc cosine
    and the arc sine are not.
    """
    R = Ra.swapaxes(-1, -2) @ Rb
    return _angle(R, _length(cross_vector(R)))


def rotation_from_vector(v: Tensor) -> Tensor:
    """Exponential map: rotations (..., 3, 3) about vectors (..., 3) by their lengths, rad.

    It gives the same values as roma in a third of the operations. Below :data:`SMALL_ANGLE` it is
    the first-order approximation.
    """
    angle = v.norm(dim=-1, keepdim=True)
    axis = v / angle.clamp_min(SMALL_ANGLE)
    outer = axis[..., None] * axis[..., None, :] * (1 - angle.cos())[..., None]
    squares = outer.diagonal(dim1=-2, dim2=-1)
    one, other, eye = _rotation_parts(v.dtype, v.device)
    whole = outer + cross_matrix(axis * angle.sin())
    diagonal = 1 - squares.index_select(-1, one) - squares.index_select(-1, other)
    whole = torch.where(eye > 0, diagonal[..., None], whole)
    return torch.where((angle < SMALL_ANGLE)[..., None], eye + cross_matrix(v), whole)


@lru_cache
def _rotation_parts(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """Indices (3,) of the first and second other component of each; the identity (3, 3)."""
    return (torch.tensor([1, 0, 0]).to(device), torch.tensor([2, 2, 1]).to(device),
            torch.eye(3, dtype=dtype).to(device))


def vector_from_rotation(R: Tensor) -> Tensor:
    """Logarithm: vectors (..., 3), rad, of rotations (..., 3, 3) by less than half a turn.

    It needs a fifth of roma's operations. At exactly half a turn the antisymmetric half of R is
    zero and does not define the axis; the result is then zero.
    """
    skew = cross_vector(R)
    sine = _length(skew)
    return skew * (_angle(R, sine) / sine.clamp_min(SMALL_SINE))[..., None]


def _angle(R: ArrayT, sine: ArrayT) -> ArrayT:
    """Angles (...) of rotations (..., 3, 3) whose sines (...) are known."""
    cosine = (R.diagonal(0, -2, -1).sum(-1) - 1) / 2
    arc: Any = torch.atan2 if isinstance(R, Tensor) else np.arctan2
    return cast(ArrayT, arc(sine, cosine))


def _length(v: ArrayT) -> ArrayT:
    """Lengths (...) of vectors (..., 3)."""
    if isinstance(v, Tensor):
        return cast(ArrayT, v.norm(dim=-1))
    return cast(ArrayT, np.sqrt((v[..., None, :] @ v[..., None])[..., 0, 0]))


def cross_matrix(v: ArrayT) -> ArrayT:
    """The matrices (..., 3, 3) of the cross products with vectors (..., 3): ``w -> v x w``."""
    return (v @ _cross_basis(v)).reshape(*v.shape, 3)


def cross_vector(M: ArrayT) -> ArrayT:
    """Vectors (..., 3) of the antisymmetric halves of matrices (..., 3, 3).

    The inverse of :func:`cross_matrix`; of a rotation it is the unit axis times the sine.
    """
    return M.reshape(*M.shape[:-2], 9) @ _cross_basis(M).T / 2


def _cross_basis(like: ArrayT) -> ArrayT:
    """The matrix (3, 9) of :func:`cross_matrix`, of the kind and type of another array."""
    if isinstance(like, Tensor):
        return _cross_tensor(like.dtype, like.device)
    return cast(ArrayT, CROSS.astype(like.dtype, copy=False))


@lru_cache
def _cross_tensor(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.from_numpy(CROSS).to(dtype).to(device)


def make_transform(R: Tensor, t: Tensor) -> Tensor:
    """Homogeneous transform (..., 4, 4) from R (..., 3, 3) and t (..., 3)."""
    top = torch.cat([R, t[..., None]], dim=-1)
    bottom = _last_row(top.dtype, top.device).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


@lru_cache
def _last_row(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=dtype).to(device)


def invert_transform(T: Tensor) -> Tensor:
    """Inverse of rigid transforms (..., 4, 4)."""
    Rt = T[..., :3, :3].transpose(-1, -2)
    return make_transform(Rt, -(Rt @ T[..., :3, 3:])[..., 0])


def transform_points(T: ArrayT, p: ArrayT) -> ArrayT:
    """Map points p (..., N, 3) by T (..., 4, 4)."""
    return p @ T[..., :3, :3].swapaxes(-1, -2) + T[..., None, :3, 3]


def to_part_frames(points: Tensor, T_camera_part: Tensor) -> Tensor:
    """Points (B, N, 3), or (N, 3) for all, in every part's frame (B, K, N, 3).

    Args:
        T_camera_part: (B, K, 4, 4), from the parts to the frame that the points are in.
    """
    R = T_camera_part[..., :3, :3]
    t = (R.transpose(-1, -2) @ T_camera_part[..., :3, 3:])[..., 0]
    return points[..., None, :, :] @ R - t[..., None, :]


def rotate_covariance(covariance: Array, R: Array) -> Array:
    """A pose covariance (6, 6) about the axes of another frame, R (3, 3) from old to new axes.

    Translation comes first, then rotation. The centre of rotation does not change.
    """
    turn = np.kron(np.eye(2), R)
    return np.asarray(turn @ covariance @ turn.T)


def shift_covariance(covariance: Array, arm: Array) -> Array:
    """A covariance of motions about one point as that of motions about another.

    The rotation phi about the first point moves the second by ``phi x arm``: the adjoint of the
    shift.

    Args:
        covariance: (6 + J, 6 + J), translation and rotation first.
        arm: (3,) from the one point to the other.
    """
    carry = np.eye(len(covariance))
    carry[:3, 3:6] = -cross_matrix(np.asarray(arm, dtype=np.float64))
    return np.asarray(carry @ covariance @ carry.T)
