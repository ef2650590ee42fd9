"""Rigid transforms and pinhole geometry on tensors with any batch axes.

Frames follow ``T_a_b``: it maps points of frame b into frame a, ``p_a = T_a_b @ p_b``.
The camera frame is optical (z forward, x right, y down); metres and radians throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import roma
import torch
from torch import Tensor


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera without distortion: focal lengths and centre in pixels, size in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if not (np.isfinite([self.fx, self.fy, self.cx, self.cy]).all()
                and self.fx > 0 and self.fy > 0 and self.width > 0 and self.height > 0):
            raise ValueError(
                f'camera intrinsics need positive, finite fx, fy, width and height, got {self}')


@dataclass(frozen=True)
class ObjectCloud:
    """What one view shows of an object and beside it, camera frame, m.

    Attributes:
        points: (N, 3) on the object.
        others: (M, 3) off it: what may hide it, or be what its mask has missed.
    """

    points: np.ndarray
    others: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.float32))

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, cloud: np.ndarray | ObjectCloud) -> ObjectCloud:
        """A cloud as it is, or one that shows nothing but the object's points (N, 3)."""
        return cloud if isinstance(cloud, cls) else cls(np.asarray(cloud))


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


def valid_depth(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray | None = None,
                ) -> np.ndarray:
    """Which pixels (H, W) of a depth image carry a measurement, finite and positive, and lie on
    the mask (H, W) if there is one.

    Raises:
        ValueError: the images have another size than the camera; the message names both.
    """
    _require_size(depth, intrinsics, mask)
    with np.errstate(invalid='ignore'):
        valid: np.ndarray = np.isfinite(depth) & (depth > 0)
    if mask is not None:
        valid &= mask.astype(bool)
    return valid


def _require_size(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray | None) -> None:
    size = (intrinsics.height, intrinsics.width)
    if depth.shape != size:
        raise ValueError(f'depth image is {depth.shape[::-1]} but camera info says {size[::-1]} '
                         '(width, height); publish the matching camera_info')
    if mask is not None and mask.shape != size:
        raise ValueError(f'mask is {mask.shape[::-1]} but the depth image is {size[::-1]} '
                         '(width, height)')


def backproject(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray | None = None,
                ) -> np.ndarray:
    """Points (N, 3) in the camera frame, metres, of a depth image in metres.

    Args:
        depth: (H, W) z-depth; zero, negative and non-finite pixels carry no point.
        intrinsics: must have the image's size.
        mask: (H, W), true where the object is; None keeps every valid pixel.

    Raises:
        ValueError: sizes differ; the message names both.
    """
    valid = valid_depth(depth, intrinsics, mask)
    at = np.flatnonzero(valid)
    v, u = np.divmod(at.astype(np.int32), np.int32(valid.shape[1]))
    points = np.empty((len(at), 3), dtype=np.float32)
    points[:, 2] = z = depth.ravel()[at].astype(np.float32)
    points[:, 0] = (u - intrinsics.cx) / intrinsics.fx * z
    points[:, 1] = (v - intrinsics.cy) / intrinsics.fy * z
    return points


def object_cloud(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray) -> ObjectCloud:
    """The points (:func:`backproject`) on an object, and some of those off it that are near in the
    image: every third pixel both ways, within the object's larger extent of its middle.

    Args:
        mask: (H, W), true where the object is.
    """
    _require_size(depth, intrinsics, mask)
    mask = mask.astype(bool, copy=False)
    if not mask.any():
        return ObjectCloud(np.zeros((0, 3), dtype=np.float32))
    ends = [np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0)]
    reach = max(int(last - first) for first, last in ends)
    rows, columns = (slice(max(0, (first + last) // 2 - reach), (first + last) // 2 + reach + 1)
                     for first, last in ends)
    depth, mask = depth[rows, columns], mask[rows, columns]
    i = replace(intrinsics, cx=intrinsics.cx - columns.start, cy=intrinsics.cy - rows.start,
                width=mask.shape[1], height=mask.shape[0])
    beside = np.zeros_like(mask)
    beside[::3, ::3] = ~mask[::3, ::3]
    return ObjectCloud(backproject(depth, i, mask), backproject(depth, i, beside))
