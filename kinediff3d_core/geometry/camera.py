"""Pinhole cameras and back-projection of depth images.

The camera frame is optical (z forward, x right, y down); metres throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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


def valid_depth(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray | None = None,
                ) -> np.ndarray:
    """Mask (H, W) of the pixels with a measurement: finite and positive, inside a given mask.

    Raises:
        ValueError: sizes differ; the message names both.
    """
    require_size(depth, intrinsics, mask)
    with np.errstate(invalid='ignore'):
        valid: np.ndarray = np.isfinite(depth) & (depth > 0)
    if mask is not None:
        valid &= mask.astype(bool)
    return valid


def require_size(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray | None) -> None:
    """Check that a depth image (H, W) and a mask (H, W) have the camera's size.

    Raises:
        ValueError: sizes differ; the message names both.
    """
    size = (intrinsics.height, intrinsics.width)
    if depth.shape != size:
        raise ValueError(f'depth image is {depth.shape[::-1]} but camera info is for {size[::-1]} '
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
    return pixel_points(v, u, depth.ravel()[at], intrinsics)


def pixel_points(v: np.ndarray, u: np.ndarray, depth: np.ndarray, intrinsics: Intrinsics,
                 ) -> np.ndarray:
    """Points (..., 3) float32 in the camera frame, m, of pixels.

    Args:
        v, u: rows and columns; their shapes broadcast to that of ``depth``.
        depth: (...) finite z-depth, m.
    """
    points = np.empty((*depth.shape, 3), dtype=np.float32)
    points[..., 2] = z = depth.astype(np.float32)
    points[..., 0] = (u - intrinsics.cx) / intrinsics.fx * z
    points[..., 1] = (v - intrinsics.cy) / intrinsics.fy * z
    return points
