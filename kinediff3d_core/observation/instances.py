"""Instances: everything that stands on a support of a depth image, or in front of nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from kinediff3d_core.geometry.camera import Intrinsics, pixel_points
from kinediff3d_core.observation.components import (
    ArmConfig,
    components,
    linked_pairs,
    split_arms,
    split_at_height,
)
from kinediff3d_core.observation.depth_grid import (
    DepthGrid,
    GridConfig,
    depth_grid,
    depth_noise,
)
from kinediff3d_core.observation.low_parts import LowPartConfig, add_low_parts
from kinediff3d_core.observation.order_statistics import inner_range
from kinediff3d_core.observation.planes import PlaneConfig
from kinediff3d_core.observation.supports import (
    EXTENT_OUTER,
    SupportConfig,
    Surface,
    find_supports,
)

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class InstanceConfig:
    """Which things are instances. Values without a source are chosen."""

    grid: GridConfig = field(default_factory=GridConfig)
    plane: PlaneConfig = field(default_factory=PlaneConfig)
    support: SupportConfig = field(default_factory=SupportConfig)
    arm: ArmConfig | None = field(default_factory=ArmConfig)
    """What is an arm; None leaves arms with what they touch."""
    low_part: LowPartConfig | None = field(default_factory=LowPartConfig)
    """What is a low part of an instance; None leaves them on the support."""
    min_points: int = 200
    """Smallest instance, pixels of the image."""
    bridge: float = 0.01
    """Half the gap between two surfaces, m, up to which they are one."""
    free_jump: float = 0.25
    """Where there is no support, neighbouring pixels whose depths differ by less than this, m, are
    on one thing: a lid may hide the part of the base that it is fixed to."""
    core: float = 2.0
    """Things that meet only below this height above their support, in its thicknesses, are
    several; infinity leaves them one."""
    core_height: float = 0.03
    """The same height in m, applied after the first and only to supports."""
    above: float = 0.5
    """An instance has more than this share of its pixels above one of the supports."""
    max_size: float = 1.8
    """Greatest extent of an instance, m."""
    beside: float = 0.05
    """What is below a support and no farther than this beside it, m, is its body: edges, legs."""
    low: float = 3.0
    """Pixels of the image beside those of the grid are compared with a support that is no farther
    below these than this, thicknesses."""
    centre_reach: float = 0.35
    """Width of the Gaussian weight of instances by their distance from the image's centre, in
    shares of the image's size."""
    border: int = 2
    """Width of the image's border, pixels of the grid. What touches it is cut off."""


@dataclass(frozen=True)
class Instances:
    """What stands out in a depth image.

    Attributes:
        ids: (H, W) int, 0 for none, 1 for the best instance and so on.
        scores: (n,) of the instances, best first: their share of the image, weighted down far from
            the centre and where the border cuts them off.
    """

    ids: Array
    scores: Array

    def __len__(self) -> int:
        return len(self.scores)


def find_instances(depth: Array, intrinsics: Intrinsics,
                   config: InstanceConfig = InstanceConfig()) -> Instances:
    """Everything that stands out in a depth image (H, W), m, 0 where there is none."""
    grid = depth_grid(depth, intrinsics, config.grid)
    supports = find_supports(grid, config.support, config.plane)
    label = _things(grid, supports, config)
    order, scores = _ranked(label, grid, supports, config)
    rank = np.zeros(int(label.max()) + 1, dtype=np.int64)
    rank[order] = np.arange(1, len(order) + 1)
    ids = _at_full_resolution(rank[label], grid, supports, depth, intrinsics, config)
    return Instances(ids, scores)


def _things(grid: DepthGrid, supports: list[Surface], config: InstanceConfig) -> Array:
    """Labels (h, w) of what is on no support, 0 for none."""
    member = grid.valid.copy()
    for s in supports:
        member &= ~s.region
    member &= ~_bodies(grid, member, supports, config)
    least = max(1, config.min_points // grid.stride ** 2)
    jump = 0.0 if supports else config.free_jump
    pairs = (linked_pairs(grid, member, config.bridge, jump) if member.any()
             else np.zeros((2, 0), dtype=np.int64))
    label = components(member, pairs, least)
    if supports:
        label = split_at_height(label, pairs, np.logical_and.reduce(
            [~s.above | (s.height > config.core * s.thickness) for s in supports]), least)
    if config.arm is not None and supports:
        label = split_arms(label, grid, config.arm)
    level = [s for s in supports if s.is_level(config.support)]
    if level:
        label = split_at_height(label, pairs, np.logical_and.reduce(
            [~s.above | (s.height > config.core_height) for s in level]), least)
        if config.low_part is not None:
            label = add_low_parts(label, grid, level, config.low_part)
    return label


def _bodies(grid: DepthGrid, member: Array, supports: list[Surface], config: InstanceConfig,
            ) -> Array:
    """Which pixels of ``member`` (h, w) are the body of a support: edges and legs of a table."""
    body = np.zeros(grid.shape, dtype=bool)
    for s in supports:
        footprint = s.footprint if s.is_level(config.support) else None
        if footprint is not None:
            under = member & (s.height < 0)
            under[under] = footprint.contains(grid.points[under] @ footprint.axes, config.beside)
            body |= under
    return body


def _ranked(label: Array, grid: DepthGrid, supports: list[Surface], config: InstanceConfig,
            ) -> tuple[Array, Array]:
    """Labels (n,) of the instances, best first, and their scores (n,)."""
    h, w = grid.shape
    found: list[tuple[float, int]] = []
    for k, box in enumerate(ndimage.find_objects(label), start=1):
        if box is None:
            continue
        v, u = np.nonzero(label[box] == k)
        v, u = v + box[0].start, u + box[1].start
        low, high = inner_range(grid.points[v, u], EXTENT_OUTER)
        stands = not supports or any(s.above[v, u].mean() > config.above for s in supports)
        if not stands or (high - low).max() > config.max_size or (
                len(v) * grid.stride ** 2 < config.min_points):
            continue
        distance = np.hypot((u.mean() + 0.5) / w - 0.5, (v.mean() + 0.5) / h - 0.5)
        border = config.border
        cut = ((u < border) | (v < border) | (u >= w - border) | (v >= h - border)).sum()
        weight = np.exp(-(distance / config.centre_reach) ** 2 - cut / len(v) ** 0.5)
        found.append((float(len(v) / (h * w) * weight), k))
    found.sort(reverse=True)
    return (np.array([k for _, k in found], dtype=np.int64),
            np.array([score for score, _ in found]))


def _at_full_resolution(ids: Array, grid: DepthGrid, supports: list[Surface], depth: Array,
                        intrinsics: Intrinsics, config: InstanceConfig) -> Array:
    """Ids (H, W) of a depth image (H, W) from those of its grid (h, w).

    A pixel of the image belongs to the instance of the nearest pixel of the grid, or of its
    neighbour, if the depths agree and the pixel itself is above the supports.
    """
    s = grid.stride
    if not ids.any():
        return np.zeros(depth.shape, dtype=ids.dtype)
    if s == 1:
        return np.where(depth > 0, ids, 0)
    nearest = _nearest_member(ids > 0)
    half, found = s // 2, nearest >= 0
    v, u = (np.minimum((np.arange(n) + half) // s, m - 1)
            for n, m in zip(depth.shape, grid.shape, strict=True))
    window = tuple(slice(*np.searchsorted(x, np.flatnonzero(found.any(axis))[[0, -1]] + (0, 1)))
                   for x, axis in ((v, 1), (u, 0)))
    at = nearest[v[window[0], None], u[window[1]]]
    rows, columns = np.nonzero((at >= 0) & (depth[window] > 0))
    at = at[rows, columns]
    rows, columns = rows + window[0].start, columns + window[1].start
    z = depth[rows, columns].astype(np.float32)
    sigma = depth_noise(z, config.grid)
    step = np.abs(z - grid.points[..., 2].ravel()[at])
    good = step < np.maximum(config.grid.jump[0], config.grid.jump[1] * sigma)
    points = pixel_points(rows, columns, z, intrinsics)
    for support in supports:
        low = support.above & (support.height < config.low * support.thickness)
        over = low.ravel()[at]
        on = support.plane.height(points[over]) < support.plane.thickness(sigma[over],
                                                                          config.plane)
        good[over] &= ~on
    out = np.zeros(depth.shape, dtype=np.int64)
    out[rows[good], columns[good]] = ids.ravel()[at[good]]
    return out


def _nearest_member(member: Array) -> Array:
    """Flat index (h, w) of each pixel of ``member`` (h, w) bool, or of one beside it; else -1."""
    h, w = member.shape
    own = np.where(member, np.arange(h * w).reshape(h, w), -1)
    padded = np.pad(own, 1, constant_values=-1)
    for dv, du in ((0, 1), (1, 0), (1, 2), (2, 1), (0, 0), (0, 2), (2, 0), (2, 2)):
        beside = padded[dv:dv + h, du:du + w]
        own = np.where(own < 0, beside, own)
    return own
