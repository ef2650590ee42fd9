"""A depth image at the resolution of segmentation: points, noise, gaps that are bridged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class GridConfig:
    """Resolution, and which neighbouring pixels are on one surface."""

    pixels: int = 80_000
    """The image is thinned out to at most about this many pixels. Chosen: 320 x 240."""
    noise: tuple[float, float] = (0.0005, 0.0015)
    """Standard deviation a + b z^2 of the depth z, m: of the simulated sensor (Khoshelham and
    Elberink 2012 measured b = 0.0014 for a Kinect)."""
    jump: tuple[float, float] = (0.015, 6.0)
    """Neighbouring pixels are on one surface if their depths differ by less than this, m, or this
    many standard deviations, from what the slope on either side says. Chosen."""


@dataclass(frozen=True)
class DepthGrid:
    """The points of every ``stride``-th row and column of a depth image.

    Attributes:
        points: (h, w, 3) float32, camera frame, m; zero where there is no depth.
        rays: (h, w, 3) float32 through the pixels, z = 1.
        valid: (h, w) whether there is depth.
        right, down: (h, w - 1), (h - 1, w) whether the pixel and its neighbour are on one surface.
        sigma: (h, w) standard deviation of the depth, m.
        stride: rows and columns of the image a pixel of the grid.
    """

    points: Array
    rays: Array
    valid: Array
    right: Array
    down: Array
    sigma: Array
    stride: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.valid.shape  # type: ignore[return-value]


def depth_grid(depth: Array, intrinsics: Intrinsics, config: GridConfig = GridConfig(),
               ) -> DepthGrid:
    """The grid of a depth image (H, W), m, 0 where there is none."""
    stride = max(1, round((depth.size / config.pixels) ** 0.5))
    z = depth[::stride, ::stride].astype(np.float32)
    valid = z > 0
    h, w = z.shape
    rays = np.empty((h, w, 3), dtype=np.float32)
    rays[..., 0] = (np.arange(w, dtype=np.float32) * stride - np.float32(intrinsics.cx)
                    ) / np.float32(intrinsics.fx)
    rays[..., 1] = ((np.arange(h, dtype=np.float32) * stride - np.float32(intrinsics.cy))
                    / np.float32(intrinsics.fy))[:, None]
    rays[..., 2] = 1
    sigma = (config.noise[0] + config.noise[1] * z * z).astype(np.float32)
    right, down = linked_pixels(z, sigma, valid, config)
    return DepthGrid(rays * z[..., None], rays, valid, right, down, sigma, stride)


def linked_pixels(z: Array, sigma: Array, present: Array, config: GridConfig = GridConfig(),
                  ) -> tuple[Array, Array]:
    """Whether pixels are on one surface with their neighbours: right (h, w - 1), down (h - 1, w).

    Args:
        z, sigma: (h, w) depth and its standard deviation, m. present: (h, w) bool, others are on
            no surface.
    """
    return (_linked(z, sigma, config) & present[:, :-1] & present[:, 1:],
            _linked(z.T, sigma.T, config).T & present[:-1] & present[1:])


def _linked(z: Array, sigma: Array, config: GridConfig) -> Array:
    """Whether pixels (h, w - 1) and their right neighbours are on one surface.

    The step between them is compared with zero and with the steps on either side: a slanted
    surface has equal steps.
    """
    step = np.diff(z, axis=1)
    rest = np.abs(step)
    rest[:, 1:] = np.minimum(rest[:, 1:], np.abs(step[:, 1:] - step[:, :-1]))
    rest[:, :-1] = np.minimum(rest[:, :-1], np.abs(step[:, :-1] - step[:, 1:]))
    return np.asarray(rest < np.maximum(config.jump[0], config.jump[1] * sigma[:, 1:]))
