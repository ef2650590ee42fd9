"""Low parts of an instance: what rises from its support by less than a plane is thick.

The thickness of a plane is the bound of a single pixel's noise, and what a plane is off by. Beside
an instance the support is fitted anew, and heights of neighbouring pixels are averaged: so the low
end of a stapler stands out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from scipy import ndimage

from kinediff3d_core.observation.depth_grid import DepthGrid
from kinediff3d_core.observation.order_statistics import median
from kinediff3d_core.observation.planes import MAD_TO_STD
from kinediff3d_core.observation.supports import Surface

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LowPartConfig:
    """What is a low part. All values are chosen."""

    reach: float = 0.03
    """Width of the support around an instance that is fitted, and that may be a part of it, m."""
    window: int = 3
    """Side of the square over which heights are averaged, pixels of the grid."""
    deviations: float = 4.0
    """A low part rises by more than this many standard deviations of the averaged heights."""
    rise: float = 0.002
    """It rises by more than this, m, too: depth has steps of 1 mm."""
    fits: int = 3
    """Fits of a plane to what is around, each to the pixels that are near the one before."""
    near: float = 2.5
    """What is near a fit, standard deviations."""
    least: int = 60
    """Pixels of the grid that are needed around an instance."""
    most_growth: float = 1.0
    """Low parts have at most this many times the pixels of what they are connected to; else they
    are another thing, or the support is not flat there."""


def add_low_parts(label: Array, grid: DepthGrid, supports: Sequence[Surface],
                  config: LowPartConfig = LowPartConfig()) -> Array:
    """Labels (h, w) of instances with their low parts; other pixels have label 0.

    Args:
        supports: on which instances stand.
    """
    label = label.copy()
    for k, box in enumerate(ndimage.find_objects(label), start=1):
        if box is not None:
            _add_to(label, k, box, grid, supports, config)
    return label


def _add_to(label: Array, k: int, box: tuple[slice, slice], grid: DepthGrid,
            supports: Sequence[Surface], config: LowPartConfig) -> None:
    """Add the low parts of instance k, which is in a box, to the labels (h, w)."""
    z = median(grid.points[..., 2][box][label[box] == k])
    reach = ceil(config.reach / (grid.pixel * z))
    box = _grown(box, reach + config.window)
    view = label[box]
    own = view == k
    around = (view == 0) & (ndimage.distance_transform_cdt(~own) <= reach)
    for s in supports:
        beside = around & s.region[box]
        if s.above[box][own].mean() <= 0.5 or beside.sum() < config.least:
            continue
        low = _rising(s.height[box], beside, config)
        joined, _ = ndimage.label(ndimage.binary_opening(low | own) & low | own)
        of_own = np.bincount(joined[own], minlength=int(joined.max()) + 1)
        added = np.bincount(joined[~own], minlength=len(of_own))
        keep = (of_own > 0) & (added <= config.most_growth * of_own)
        view[keep[joined] & ~own] = k


def _grown(box: tuple[slice, slice], margin: int) -> tuple[slice, slice]:
    rows, columns = (slice(max(0, b.start - margin), b.stop + margin) for b in box)
    return rows, columns


def _rising(height: Array, around: Array, config: LowPartConfig) -> Array:
    """Which pixels of ``around`` (h, w) bool rise from the plane that fits most of their heights.

    Args:
        height: (h, w) m.
    """
    total, count = (ndimage.uniform_filter(x, config.window, mode='constant')
                    for x in (np.where(around, height, 0.0), around.astype(np.float64)))
    v, u = np.nonzero(around)
    averaged = total[v, u] / count[v, u]
    plane = np.stack([np.ones(len(v)), v - v.mean(), u - u.mean()], axis=1)
    near = np.ones(len(v), dtype=bool)
    for _ in range(config.fits):
        a = plane[near]
        off = averaged - plane @ (np.linalg.pinv(a.T @ a) @ (a.T @ averaged[near]))
        deviation = MAD_TO_STD * median(np.abs(off[near]))
        near = np.abs(off) <= config.near * deviation
    rising = np.zeros_like(around)
    rising[v, u] = off > max(config.deviations * deviation, config.rise)
    return rising
