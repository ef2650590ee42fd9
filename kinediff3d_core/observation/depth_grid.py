"""A depth image at the resolution of segmentation, and which of its pixels are on one surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics

Array = np.ndarray[Any, Any]

MARGIN_SHARE = 0.1
"""Rows and columns with less depth than this share of the fullest one's are margins. Chosen."""


@dataclass(frozen=True)
class GridConfig:
    """Resolution, and which neighbouring pixels are on one surface."""

    pixels: int = 80_000
    """The image is thinned out to about this many pixels, 320 x 240. Chosen: a quarter of the time
    of 640 x 480."""
    noise: tuple[float, float] = (0.0005, 0.0015)
    """Standard deviation a + b z^2 of the depth z, m: that of the simulated sensor. Khoshelham and
    Elberink (2012) measured b = 0.0014 for a Kinect."""
    jump: tuple[float, float] = (0.015, 6.0)
    """Neighbouring pixels are on one surface if their depths differ by less than this, m, or by
    less than this many standard deviations, from what the slope on either side says. Chosen."""


@dataclass(frozen=True)
class DepthGrid:
    """Every ``stride``-th row and column of a depth image.

    Attributes:
        points: (h, w, 3) float32, camera frame, m; zero where there is no depth.
        rays: (h, w, 3) float32 through the pixels, z = 1.
        valid: (h, w) whether there is depth.
        sigma: (h, w) standard deviation of the depth, m.
        right, down: (h, w - 1), (h - 1, w) whether the pixel and its neighbour are on one surface.
        stride: rows and columns of the image a pixel of the grid.
        config: of the grid.
    """

    points: Array
    rays: Array
    valid: Array
    sigma: Array
    right: Array
    down: Array
    stride: int
    config: GridConfig

    @property
    def shape(self) -> tuple[int, int]:
        h, w = self.valid.shape
        return h, w

    @property
    def pixel(self) -> float:
        """Side of a pixel at a depth of 1 m, m."""
        return float(self.rays[0, 1, 0] - self.rays[0, 0, 0])


def depth_grid(depth: Array, intrinsics: Intrinsics, config: GridConfig = GridConfig(),
               ) -> DepthGrid:
    """The grid of a depth image (H, W), m, 0 where there is none, of at least 2 x 2 pixels."""
    stride = max(1, round((depth.size / config.pixels) ** 0.5))
    z = depth[::stride, ::stride].astype(np.float32)
    h, w = z.shape
    rays = np.empty((h, w, 3), dtype=np.float32)
    rays[..., 0] = (np.arange(w) * stride - intrinsics.cx) / intrinsics.fx
    rays[..., 1] = ((np.arange(h) * stride - intrinsics.cy) / intrinsics.fy)[:, None]
    rays[..., 2] = 1
    valid = z > 0
    sigma = depth_noise(z, config)
    right, down = linked_pixels(z, valid, config)
    return DepthGrid(rays * z[..., None], rays, valid, sigma, right, down, stride, config)


def depth_noise(z: Array, config: GridConfig = GridConfig()) -> Array:
    """Standard deviation of depths, m."""
    return np.asarray(config.noise[0] + config.noise[1] * z * z, dtype=np.float32)


def linked_pixels(z: Array, present: Array, config: GridConfig = GridConfig(),
                  ) -> tuple[Array, Array]:
    """Whether pixels are on one surface with their neighbours: right (h, w - 1), down (h - 1, w).

    Args:
        z: (h, w) depth, m. present: (h, w) bool; other pixels are on no surface.
    """
    jump = np.maximum(config.jump[0], config.jump[1] * depth_noise(z, config))
    return (_linked(z, jump) & present[:, :-1] & present[:, 1:],
            _linked(z.T, jump.T).T & present[:-1] & present[1:])


def _linked(z: Array, jump: Array) -> Array:
    """Whether pixels (h, w - 1) and their right neighbours are on one surface.

    The step between them is compared with zero and with the steps on either side: a slanted
    surface has equal steps.
    """
    step = np.diff(z, axis=1)
    rest = np.abs(step)
    change = np.abs(np.diff(step, axis=1))
    rest[:, 1:] = np.minimum(rest[:, 1:], change)
    rest[:, :-1] = np.minimum(rest[:, :-1], change)
    return np.asarray(rest < jump[:, 1:])


def picture_rectangle(valid: Array) -> tuple[slice, slice]:
    """Rows and columns of the rectangle in which the pixels (h, w) bool with depth are.

    Registered depth has margins with little or no depth.
    """
    rows, columns = (np.flatnonzero(count > MARGIN_SHARE * count.max())
                     for count in (valid.sum(1), valid.sum(0)))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
