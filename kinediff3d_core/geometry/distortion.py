"""Lens distortion: from raw to rectified images, after OpenCV's models (docs of ``calib3d``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics

Array = np.ndarray[Any, Any]

POLYNOMIAL = ('', 'plumb_bob', 'rational_polynomial', 'radtan', 'brown_conrady',
              'modified_brown_conrady', 'opencv', 'pinhole', 'thin_prism')
"""Names of models with the coefficients k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4."""
FISHEYE = ('equidistant', 'fisheye', 'kannala_brandt4', 'kannala_brandt', 'opencv_fisheye')
"""Names of models with a polynomial of the angle, k1 k2 k3 k4."""
UNDISTORTED = ('none', 'no_distortion')
RADIUS_STEPS = 1000
"""Radii at which it is checked where the model stops growing. Chosen."""


@dataclass(frozen=True)
class Distortion:
    """Lens distortion of a raw image.

    Attributes:
        model: in lower case, one of :data:`POLYNOMIAL`, :data:`FISHEYE`.
        coefficients: in OpenCV's order; missing ones are zero.
    """

    model: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        known, d = (*POLYNOMIAL, *FISHEYE), self.coefficients
        if self.model not in known:
            raise ValueError(f'distortion model {self.model!r} is not applied; rectify the images '
                             '(image_proc), or give the calibration of rectified ones')
        if not np.isfinite(d).all():
            raise ValueError('a distortion coefficient is not finite')
        if any(d[4 if self.model in FISHEYE else 12:]):
            raise ValueError(f'{len(d)} distortion coefficients of {self.model or "plumb_bob"!r} '
                             'are more than are applied; rectify the images (image_proc)')

    def distorted(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Where rays (x, y, 1) of an ideal camera appear: x and y in the image plane at z = 1."""
        r2 = x * x + y * y
        if self.model in FISHEYE:
            ratio = _fisheye_ratio(np.sqrt(r2), self._padded(4))
            return x * ratio, y * ratio
        _, _, p1, p2, _, _, _, _, s1, s2, s3, s4 = self._padded(12)
        radial = self.radial(r2)
        return (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + s1 * r2 + s2 * r2 * r2,
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + s3 * r2 + s4 * r2 * r2)

    def radial(self, r2: Array) -> Array:
        """The radial factor of a polynomial model at squared radii."""
        k1, k2, _, _, k3, k4, k5, k6, *_ = self._padded(12)
        with np.errstate(divide='ignore', invalid='ignore', over='ignore'):
            return np.asarray((1 + r2 * (k1 + r2 * (k2 + r2 * k3)))
                              / (1 + r2 * (k4 + r2 * (k5 + r2 * k6))))

    def largest_radius(self, most: float) -> float:
        """Radius up to which the distorted radius grows, at most ``most``.

        Beyond it a polynomial model folds the image back and describes no lens.
        """
        r = np.linspace(0, most, RADIUS_STEPS)
        if self.model in FISHEYE:
            grown = r * _fisheye_ratio(r, self._padded(4))
        else:
            grown = r * self.radial(r * r)
        falls = np.flatnonzero(~(np.diff(grown) > 0))
        return float(r[falls[0]]) if len(falls) else most

    def _padded(self, count: int) -> tuple[float, ...]:
        return (*self.coefficients, *[0.0] * count)[:count]


def _fisheye_ratio(radius: Array, k: tuple[float, ...]) -> Array:
    """Distorted by ideal radius of an equidistant camera."""
    angle = np.arctan(radius)
    square = angle * angle
    bent = angle * (1 + square * (k[0] + square * (k[1] + square * (k[2] + square * k[3]))))
    return np.where(radius > 1e-9, bent / np.maximum(radius, 1e-9), 1.0)


@lru_cache(maxsize=8)
def raw_pixels(intrinsics: Intrinsics, distortion: Distortion) -> Array:
    """Index (H W,) of the raw pixel that each rectified pixel is taken from; -1 for none."""
    i = intrinsics
    v, u = np.mgrid[:i.height, :i.width].astype(np.float64)
    x, y = (u - i.cx) / i.fx, (v - i.cy) / i.fy
    radius = np.sqrt(x * x + y * y)
    ray_x, ray_y = distortion.distorted(x, y)
    with np.errstate(invalid='ignore', over='ignore'):
        column = np.rint(i.fx * ray_x + i.cx)
        row = np.rint(i.fy * ray_y + i.cy)
        inside = (column >= 0) & (column < i.width) & (row >= 0) & (row < i.height)
        inside &= radius <= distortion.largest_radius(float(radius.max()))
    at = np.where(inside, row, 0) * i.width + np.where(inside, column, 0)
    return np.where(inside, at, -1).astype(np.int64).ravel()


def rectify(image: Array, intrinsics: Intrinsics, distortion: Distortion | None) -> Array:
    """The rectified image (H, W) of a raw depth image or mask, by nearest neighbours.

    The camera matrix stays the same. Pixels that the raw image does not show are 0.

    Raises:
        ValueError: another size than the camera's.
    """
    if distortion is None:
        return image
    if image.shape != (intrinsics.height, intrinsics.width):
        raise ValueError(f'image is {image.shape[::-1]} but camera info is for '
                         f'{(intrinsics.width, intrinsics.height)} (width, height)')
    at = raw_pixels(intrinsics, distortion)
    return np.asarray(np.where(at >= 0, image.ravel()[at], 0).astype(image.dtype)
                      ).reshape(image.shape)
