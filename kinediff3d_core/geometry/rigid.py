"""Rigid motions SE(3) on tensors with any batch axes.

Frames follow ``T_a_b``: it maps points of frame b into frame a, ``p_a = T_a_b @ p_b``.
"""

from __future__ import annotations

from functools import lru_cache

import roma
import torch
from torch import Tensor


def rotation_from_6d(a: Tensor) -> Tensor:
    """Rotation (..., 3, 3) whose first two columns are the Gram-Schmidt of a (..., 6).

    Section 3.2: r_6D holds the first two columns of R, one after the other.
    """
    R: Tensor = roma.special_gramschmidt(torch.stack([a[..., :3], a[..., 3:]], dim=-1))
    return R


def rotation_to_6d(R: Tensor) -> Tensor:
    """First two columns of R (..., 3, 3) as (..., 6)."""
    return torch.cat([R[..., :, 0], R[..., :, 1]], dim=-1)


def rotation_angle(Ra: Tensor, Rb: Tensor) -> Tensor:
    """Geodesic angle between rotations (..., 3, 3), radians (...)."""
    angle: Tensor = roma.rotmat_geodesic_distance(Ra, Rb)
    return angle


def make_transform(R: Tensor, t: Tensor) -> Tensor:
    """Homogeneous transform (..., 4, 4) from R (..., 3, 3) and t (..., 3)."""
    top = torch.cat([R, t[..., None]], dim=-1)
    bottom = _last_row(top.dtype, top.device).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


@lru_cache
def _last_row(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor([[0.0, 0.0, 0.0, 1.0]], dtype=dtype).to(device)


def rotation_from_vector(v: Tensor) -> Tensor:
    """Rotations (..., 3, 3) about vectors (..., 3) by their lengths, rad: what roma computes (of
    first order below a millionth), in a third of its operations."""
    angle = v.norm(dim=-1, keepdim=True)
    axis = v / angle.clamp_min(1e-6)
    outer = axis[..., None] * axis[..., None, :] * (1 - angle.cos())[..., None]
    squares = outer.diagonal(dim1=-2, dim2=-1)
    one, other, eye = _rotation_parts(v.dtype, v.device)
    whole = outer + cross_matrix(axis * angle.sin())
    diagonal = 1 - squares.index_select(-1, one) - squares.index_select(-1, other)
    whole = torch.where(eye > 0, diagonal[..., None], whole)
    return torch.where((angle < 1e-6)[..., None], eye + cross_matrix(v), whole)


@lru_cache
def _rotation_parts(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
    """One and the other of the two components (3,) beside each; the identity (3, 3)."""
    return (torch.tensor([1, 0, 0]).to(device), torch.tensor([2, 2, 1]).to(device),
            torch.eye(3, dtype=dtype).to(device))


def cross_matrix(v: Tensor) -> Tensor:
    """The matrices (..., 3, 3) of the cross products with vectors (..., 3)."""
    return (v @ _crossed(v.dtype, v.device)).view(*v.shape, 3)


def cross_vector(M: Tensor) -> Tensor:
    """Vectors (..., 3) of the antisymmetric halves of matrices (..., 3, 3)."""
    return M.flatten(-2) @ _crossed(M.dtype, M.device).T / 2


@lru_cache
def _crossed(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The matrix (3, 9) of :func:`cross_matrix`."""
    crossed = torch.zeros(3, 3, 3, dtype=dtype)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        crossed[i, k, j], crossed[i, j, k] = 1.0, -1.0
    return crossed.flatten(1).to(device)


def invert_transform(T: Tensor) -> Tensor:
    """Inverse of rigid transforms (..., 4, 4)."""
    Rt = T[..., :3, :3].transpose(-1, -2)
    return make_transform(Rt, -(Rt @ T[..., :3, 3:])[..., 0])


def transform_points(T: Tensor, p: Tensor) -> Tensor:
    """Map points p (..., N, 3) by T (..., 4, 4)."""
    return p @ T[..., :3, :3].transpose(-1, -2) + T[..., None, :3, 3]


def to_part_frames(points: Tensor, T_camera_part: Tensor) -> Tensor:
    """Points (B, N, 3), or (N, 3) for all, in every part's frame (B, K, N, 3).

    Args:
        T_camera_part: (B, K, 4, 4), from the parts to the frame that the points are in.
    """
    R = T_camera_part[..., :3, :3]
    t = (R.transpose(-1, -2) @ T_camera_part[..., :3, 3:])[..., 0]
    return points[..., None, :, :] @ R - t[..., None, :]
