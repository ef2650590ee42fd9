"""Point clouds of one object in one view, and the filter that every raw cloud passes.

Points are in the camera frame (z forward), metres.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics, backproject, require_size
from kinediff3d_core.objects.estimate import NoEstimate

MAX_POINTS = 4_000_000
"""Most points of a cloud that is given as points. Chosen: bounds memory and time."""
MIN_POINTS = 100
"""Fewest points on an object that fix its pose. Chosen."""
BESIDE_STRIDE = 3
"""Every n-th row and column of the image is used beside the object. Chosen: a ninth of the points
shows what hides an object as well as all of them."""


@dataclass(frozen=True)
class OutlierConfig:
    """Which depths are too far from an object's other points to be on it."""

    quantiles: tuple[float, float, float] = (10.0, 50.0, 90.0)
    """Lower, middle and upper percentile of the depths; lower to upper is their range. Chosen."""
    reach: float = 1.5
    """Farthest distance from the middle, in ranges. Chosen."""
    min_range: float = 0.05
    """Least range, m: that of a flat object seen face on. Chosen."""
    sample: int = 4000
    """Of at least twice as many points, every n-th counts in the percentiles. Chosen: sorting all
    depths of a large cloud would take a tenth of a tracked frame."""


@dataclass(frozen=True)
class ObjectCloud:
    """The points of an object in one view and some points beside it, camera frame, m.

    Attributes:
        points: (N, 3) on the object.
        others: (M, 3) off the object. They may hide it, or belong to it where its mask is
            incomplete.
        filtered: whether it has passed :func:`filter_cloud`.
    """

    points: np.ndarray
    others: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.float32))
    filtered: bool = False

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, cloud: np.ndarray | ObjectCloud) -> ObjectCloud:
        """The cloud itself, or an array of points (N, 3) as a cloud without other points."""
        return cloud if isinstance(cloud, cls) else cls(np.asarray(cloud))


@dataclass(frozen=True)
class DepthView:
    """A depth image without a mask: what is on the object is not known yet.

    Attributes:
        depth: (H, W) z-depth, m; zero or non-finite where the camera gives nothing.

    Raises:
        ValueError: the image does not have the size in ``intrinsics``.
    """

    depth: np.ndarray
    intrinsics: Intrinsics

    def __post_init__(self) -> None:
        require_size(self.depth, self.intrinsics, None)

    def points(self, rows: slice, columns: slice, stride: int = 1) -> np.ndarray:
        """Points (N, 3) of every n-th row and column of a window, camera frame, m."""
        depth = self.depth[rows, columns][::stride, ::stride]
        camera, (height, width) = self.intrinsics, depth.shape
        if not depth.size:
            return np.zeros((0, 3), dtype=np.float32)
        window = Intrinsics(camera.fx / stride, camera.fy / stride,
                            (camera.cx - (columns.start or 0)) / stride,
                            (camera.cy - (rows.start or 0)) / stride, width, height)
        return backproject(depth, window)

    def depth_at(self, points: np.ndarray) -> np.ndarray:
        """Depths (N,), m, measured in the pixels of points (N, 3), camera frame, z > 0.

        They are NaN where there is no measurement and outside of the image.
        """
        camera, z = self.intrinsics, points[:, 2]
        u = np.rint(camera.fx * points[:, 0] / z + camera.cx)
        v = np.rint(camera.fy * points[:, 1] / z + camera.cy)
        inside = (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
        depth = np.full(len(points), np.nan, dtype=np.float32)
        depth[inside] = self.depth[v[inside].astype(int), u[inside].astype(int)]
        return np.where(depth > 0, depth, np.float32(np.nan))


def filter_cloud(cloud: np.ndarray | ObjectCloud) -> ObjectCloud:
    """The cloud without points that are no measurement of the object.

    On the object: valid points (:func:`filter_points`) without outliers
    (:func:`remove_outliers`). Beside it: valid points. A cloud that has passed the filter is
    returned as it is, so that each entrance may call this: inference, tracking, and the program
    that calls both.

    Args:
        cloud: (N, 3) points on the object, camera frame, m, or an :class:`ObjectCloud`.

    Raises:
        ValueError: as :func:`filter_points`.
    """
    raw = ObjectCloud.of(cloud)
    if raw.filtered:
        return raw
    return ObjectCloud(remove_outliers(filter_points(raw.points)), filter_points(raw.others), True)


def valid_points(points: np.ndarray) -> np.ndarray:
    """Mask (N,) of the points (N, 3) that a depth camera can have measured: finite, with z > 0."""
    x, y, z = points.T
    with np.errstate(invalid='ignore'):
        valid: np.ndarray = np.isfinite(x) & np.isfinite(y) & np.isfinite(z) & (z > 0)
    return valid


def filter_points(points: np.ndarray) -> np.ndarray:
    """The valid points (M, 3) float32 of a raw cloud (N, 3).

    Raises:
        ValueError: another shape, or more than :data:`MAX_POINTS` points.
    """
    cloud = np.asarray(points, dtype=np.float32)
    if cloud.ndim != 2 or cloud.shape[1] != 3:
        raise ValueError(f'points must be (N, 3), got {cloud.shape}')
    if len(cloud) > MAX_POINTS:
        raise ValueError(f'{len(cloud)} points are more than {MAX_POINTS}; downsample')
    valid = valid_points(cloud)
    return cloud if valid.all() else cloud[valid]


def remove_outliers(points: np.ndarray, config: OutlierConfig = OutlierConfig()) -> np.ndarray:
    """The points of valid ones (N, 3) whose depth is near that of the others.

    It removes background that the mask includes. Fewer than :data:`MIN_POINTS` points stay as
    they are.
    """
    if len(points) < MIN_POINTS:
        return points
    depth = points[:, 2]
    low, middle, high = np.percentile(depth[::max(1, len(depth) // config.sample)],
                                      config.quantiles)
    reach = config.reach * max(high - low, config.min_range)
    near: np.ndarray = np.abs(depth - middle) < reach
    return points if near.all() else points[near]


def require_points(points: np.ndarray) -> np.ndarray:
    """The points (N, 3) themselves.

    Raises:
        NoEstimate: fewer than :data:`MIN_POINTS`.
    """
    if len(points) < MIN_POINTS:
        raise NoEstimate(f'{len(points)} points on the object, at least {MIN_POINTS} are '
                         'needed; move closer or check the mask')
    return points


def object_cloud(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray) -> ObjectCloud:
    """The points (:func:`backproject`) on an object, and some points beside it in the image.

    The latter are those of every :data:`BESIDE_STRIDE`-th row and column, no farther from the
    middle of the mask's box than the box's longer side.

    Args:
        depth: (H, W) z-depth, m.
        mask: (H, W), true where the object is.

    Raises:
        ValueError: sizes differ; the message names both.
    """
    require_size(depth, intrinsics, mask)
    mask = mask.astype(bool, copy=False)
    if not mask.any():
        return ObjectCloud(np.zeros((0, 3), dtype=np.float32))
    limits = [np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0)]
    reach = max(int(last - first) for first, last in limits)
    rows, columns = (slice(max(0, (first + last) // 2 - reach), (first + last) // 2 + reach + 1)
                     for first, last in limits)
    depth, mask = depth[rows, columns], mask[rows, columns]
    window = replace(intrinsics, cx=intrinsics.cx - columns.start, cy=intrinsics.cy - rows.start,
                     width=mask.shape[1], height=mask.shape[0])
    beside = np.zeros_like(mask)
    grid = slice(None, None, BESIDE_STRIDE)
    beside[grid, grid] = ~mask[grid, grid]
    return ObjectCloud(backproject(depth, window, mask), backproject(depth, window, beside))
