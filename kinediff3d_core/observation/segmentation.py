"""Segmentation of the object without a mask: remove the support planes, keep the best cluster.

Planes are found by RANSAC (Fischler and Bolles 1981), the largest first. A plane is a support if
it surrounds what stands on it, or if it runs out of the image. A laptop's own base or lid does
neither, so an object without a support stays whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, Delaunay, QhullError

from kinediff3d_core.geometry.camera import Intrinsics, valid_depth
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud, valid_points

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SegmentationConfig:
    """How the support planes and the object are found. All values are chosen."""

    samples: int = 4000
    """Points that vote on planes."""
    trials: int = 160
    """Planes that RANSAC tries."""
    plane_share: float = 0.15
    """A support plane holds at least this share of the voting points."""
    max_planes: int = 3
    """Most support planes: table, wall and floor."""
    plane_noise: tuple[float, float] = (0.004, 0.003)
    """Distance from a plane at which points count as on it: a + b z^2, m, for depth z, m. The
    noise of a stereo or structured-light camera grows with z^2."""
    thickness: tuple[float, float] = (0.004, 0.02)
    """Least and greatest thickness that is removed with a plane, m."""
    edge: int = 4
    """Width of the image's border, pixels."""
    cloud_edge: float = 0.0125
    """Width of the border of a cloud without an image, in shares of its rectangle: 4 pixels of
    320."""
    border_share: float = 0.02
    """A plane with more than this share of its points at the border runs out of the image."""
    above_share: float = 0.03
    """Something stands on a plane if at least this share of the plane's count lies above it."""
    least_above: int = 8
    """Something stands on a plane if at least this many points lie above it."""
    surround_margin: float = 0.15
    """Margin of the box around the points above a plane whose corners the plane must reach, in
    shares of the box."""
    surround_share: float = 0.4
    """A plane surrounds what stands on it if this share of those points is over the plane."""
    surround_corners: int = 3
    """A plane surrounds what stands on it if it reaches this many of the box's four corners."""
    cell: float = 0.02
    """Clusters are connected cells of this size, m: gaps of one cell are bridged."""
    neighbour_jump: float = 0.25
    """Neighbouring pixels link two clusters if their depths differ by less than this, m."""
    min_links: int = 8
    """Neighbouring pixels that join two clusters."""
    min_points: int = 200
    """Smallest cluster that is an object, points."""
    max_size: float = 3.0
    """Greatest extent of an object, m."""
    centre_reach: float = 0.35
    """Width of the Gaussian weight of clusters by their distance from the image's centre, in
    shares of the image's size."""
    candidates: int = 8
    """Clusters, best first, that are tried for their size."""


CONFIG = SegmentationConfig()


def segment_object(depth: Array, intrinsics: Intrinsics,
                   config: SegmentationConfig = CONFIG) -> Array:
    """Mask (H, W) of the object in a depth image.

    Args:
        depth: (H, W) z-depth, m; zero or non-finite where the camera gives nothing.

    Raises:
        ValueError: the image does not have the size in ``intrinsics``.
        NoEstimate: nothing valid in the image, or nothing stands out.
    """
    size = depth.shape
    valid = valid_depth(depth, intrinsics)
    v, u = np.nonzero(valid)
    z = depth[v, u].astype(np.float32)
    points = np.empty((len(z), 3), dtype=np.float32)
    points[:, 0] = (u - np.float32(intrinsics.cx)) * (z / np.float32(intrinsics.fx))
    points[:, 1] = (v - np.float32(intrinsics.cy)) * (z / np.float32(intrinsics.fy))
    points[:, 2] = z
    edge = config.edge
    border = ((u < edge) | (v < edge) | (u >= size[1] - edge) | (v >= size[0] - edge))
    offset = np.stack([(u - size[1] / 2) / size[1], (v - size[0] / 2) / size[0]], axis=-1)
    index = np.full(size, -1)
    index[v, u] = np.arange(len(z))
    neighbours = np.concatenate([np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()]),
                                 np.stack([index[:-1].ravel(), index[1:].ravel()])], axis=1)
    found = _segment(_Pixels(points, border, offset, neighbours[:, (neighbours >= 0).all(0)]),
                     config)
    mask = np.zeros(size, dtype=bool)
    mask[v[found], u[found]] = True
    return mask


def segment_cloud(points: Array, config: SegmentationConfig = CONFIG) -> Array:
    """Which of the points (N, 3), camera frame, m, belong to the object: bool (N,).

    Raises:
        ValueError: not (N, 3).
        NoEstimate: too few valid points, or nothing stands out.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f'a cloud is (N, 3), got {points.shape}')
    valid = valid_points(points)
    p = points[valid].astype(np.float32)
    ray = p[:, :2] / p[:, 2:]
    if len(p) < config.min_points:
        raise NoEstimate(f'{len(p)} finite points in front of the camera, at least '
                         f'{config.min_points} are needed')
    # The border of the image is unknown: the cloud's rectangle replaces it.
    low, high = ray.min(0), ray.max(0)
    place = (ray - low) / np.maximum(high - low, 1e-6)
    border = (np.minimum(place, 1 - place) < config.cloud_edge).any(-1)
    no_neighbours = np.zeros((2, 0), dtype=np.int64)
    found = _segment(_Pixels(p, border, place - 0.5, no_neighbours), config)
    mask = np.zeros(len(points), dtype=bool)
    mask[np.flatnonzero(valid)[found]] = True
    return mask


def object_in_cloud(points: Array) -> ObjectCloud:
    """The object that :func:`segment_cloud` finds, and every ninth of the other points."""
    own = segment_cloud(points)
    return ObjectCloud(points[own], points[~own][::9])


@dataclass(frozen=True)
class _Pixels:
    """Valid points and their places in the image.

    Attributes:
        points: (N, 3) float32, camera frame, m.
        border: (N,) whether the pixel is at the image's border.
        offset: (N, 2) from the image's centre, in shares of its size.
        neighbours: (2, L) indices of points whose pixels are neighbours; none for a cloud.
    """

    points: Array
    border: Array
    offset: Array
    neighbours: Array

    def subset(self, index: Array) -> _Pixels:
        """The points of indices (M,), in that order."""
        order = np.full(len(self.points), -1)
        order[index] = np.arange(len(index))
        neighbours = order[self.neighbours]
        return _Pixels(self.points[index], self.border[index], self.offset[index],
                       neighbours[:, (neighbours >= 0).all(0)])


def _segment(pixels: _Pixels, config: SegmentationConfig) -> Array:
    """Indices of the object's points."""
    points = pixels.points
    if len(points) < config.min_points:
        raise NoEstimate(f'{len(points)} pixels have depth, at least {config.min_points} are '
                         'needed; check the camera and its range')
    rng = np.random.default_rng(0)
    rest = np.arange(len(points))
    votes = rng.choice(len(points), min(config.samples, len(points)), replace=False)
    least = config.plane_share * len(votes)
    for _ in range(config.max_planes):
        found = _largest_plane(points[votes], rng, config)
        if found is None or found.count < least:
            break
        height = found.height(points[votes])
        above = votes[height > found.thickness]
        on = votes[np.abs(height) <= found.thickness]
        if not _is_support(pixels, on, above, found.normal, config):
            break
        rest = rest[found.height(points[rest]) > found.thickness]
        votes = above
    return np.asarray(rest[_best_cluster(pixels.subset(rest), config)])


@dataclass(frozen=True)
class _Plane:
    """Points with ``normal @ p + offset = 0``.

    Attributes:
        normal: (3,) float32 unit, towards the camera. offset: m.
        count: points on it.
        thickness: distance, m, within which points belong to it.
    """

    normal: Array
    offset: float
    count: int
    thickness: float

    def height(self, points: Array) -> Array:
        """Signed distances (N,) of points (N, 3), positive on the camera's side."""
        return np.asarray(points @ self.normal + self.offset)


def _largest_plane(p: Array, rng: np.random.Generator, config: SegmentationConfig,
                   ) -> _Plane | None:
    """The plane that most of the points (N, 3) are on; None if they define none."""
    if len(p) < 8:
        return None
    a, b, c = (p[rng.integers(0, len(p), config.trials)] for _ in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=-1)
    good = length > 1e-5
    if not good.any():
        return None
    normal = normal[good] / length[good, None]
    offset = -(normal * a[good]).sum(-1)
    constant, quadratic = config.plane_noise
    allowed = constant + quadratic * p[:, 2] ** 2
    counts = (np.abs(p @ normal.T + offset) < allowed[:, None]).sum(0)
    best = int(counts.argmax())
    n, d = normal[best].astype(np.float64), float(offset[best])
    on = np.abs(p @ n + d) < allowed
    for _ in range(2):
        q = p[on].astype(np.float64)
        if len(q) < 3:
            return None
        middle = q.mean(0)
        n = np.linalg.eigh((q - middle).T @ (q - middle))[1][:, 0]
        d = float(-n @ middle)
        on = np.abs(p @ n + d) < allowed
    # 1.4826 median absolute deviations of a normal distribution are its standard deviation.
    sigma = 1.4826 * float(np.median(np.abs(p[on] @ n + d))) if on.any() else 0.0
    if d < 0:
        n, d = -n, -d
    return _Plane(n.astype(np.float32), float(np.float32(d)), int(on.sum()),
                  float(np.clip(3 * sigma, *config.thickness)))


def _is_support(pixels: _Pixels, on: Array, above: Array, normal: Array,
                config: SegmentationConfig) -> bool:
    """Whether a plane is a support: it runs out of the image, or around what lies above it.

    The rectangle of a cloud without an image is no border by itself: something must also lie
    above the plane.

    Args:
        on, above: indices of points on the plane and above it.
        normal: (3,) of the plane.
    """
    few = len(above) < max(config.least_above, config.above_share * len(on))
    has_image = pixels.neighbours.size > 0
    if pixels.border[on].mean() > config.border_share and (has_image or not few):
        return True
    return not few and _surrounds(pixels.points[on], pixels.points[above], normal, config)


def _surrounds(on: Array, above: Array, normal: Array, config: SegmentationConfig) -> bool:
    """Whether the points (N, 3) of a plane reach around those above it (M, 3)."""
    n = normal.astype(np.float64)
    side = np.cross(n, np.eye(3)[np.argmin(np.abs(n))])
    side /= np.linalg.norm(side)
    flat = np.stack([side, np.cross(n, side)], axis=-1)
    a, b = on @ flat, above @ flat
    low, high = np.percentile(b, (5, 95), axis=0)
    margin = config.surround_margin * (high - low)
    corners = np.array([[x, y] for x in (low[0] - margin[0], high[0] + margin[0])
                        for y in (low[1] - margin[1], high[1] + margin[1])])
    try:
        hull = Delaunay(a[ConvexHull(a).vertices])
    except QhullError:
        return False
    return bool((hull.find_simplex(b) >= 0).mean() > config.surround_share
                and (hull.find_simplex(corners) >= 0).sum() >= config.surround_corners)


def _best_cluster(pixels: _Pixels, config: SegmentationConfig) -> Array:
    """Indices of the cluster that is largest and nearest to the image's centre."""
    if len(pixels.points) < config.min_points:
        raise NoEstimate('nothing stands out of the support plane; give a mask, or look at the '
                         'object from a place where it is not edge-on')
    label, number = _connected_cells(pixels.points, config.cell)
    label = _joined(label, number, pixels, config)
    size = np.bincount(label, minlength=number + 1).astype(np.float64)
    size[number] = 0
    total = np.stack([np.bincount(label, pixels.offset[:, k], number + 1) for k in range(2)],
                     axis=-1)
    distance = np.linalg.norm(total / np.maximum(size, 1)[:, None], axis=-1)
    score = np.where(size >= config.min_points,
                     size * np.exp(-(distance / config.centre_reach) ** 2), 0.0)
    for best in np.argsort(-score)[:config.candidates]:
        if score[best] <= 0:
            break
        index = np.flatnonzero(label == best)
        low, high = np.percentile(pixels.points[index], (2, 98), axis=0)
        if (high - low).max() <= config.max_size:
            return index
    raise NoEstimate(f'no cluster of at least {config.min_points} points and at most '
                     f'{config.max_size} m stands out of the support plane; give a mask')


def _connected_cells(points: Array, side: float) -> tuple[Array, int]:
    """Clusters of connected cells that hold enough points.

    Returns:
        labels (N,) of the points (N, 3), and L: labels below L are clusters, L is none.
    """
    cell = np.floor(points / side).astype(np.int64)
    cell -= cell.min(0)
    # One empty cell after the last: steps over the border of the grid meet no cell.
    extent = cell.max(0) + 2
    key = (cell[:, 0] * extent[1] + cell[:, 1]) * extent[2] + cell[:, 2]
    cells, member, count = np.unique(key, return_inverse=True, return_counts=True)
    solid = count >= min(3, int(np.ceil(count.mean() / 10)) + 1)
    links: list[Array] = []
    for dx, dy, dz in product((-1, 0, 1), repeat=3):
        step = (dx * extent[1] + dy) * extent[2] + dz
        if step <= 0:
            continue
        at = np.searchsorted(cells, cells + step).clip(0, len(cells) - 1)
        both = (cells[at] == cells + step) & solid & solid[at]
        links.append(np.stack([np.flatnonzero(both), at[both]]))
    i, j = np.concatenate(links, axis=1)
    number, label = _components(i, j, len(cells))
    return np.where(solid, label, number)[member], number


def _components(i: Array, j: Array, size: int) -> tuple[int, Array]:
    """Number of connected components of a graph with edges (E,) to (E,), and labels (size,)."""
    graph = coo_matrix((np.ones(len(i), dtype=bool), (i, j)), shape=(size, size))
    number, label = connected_components(graph, directed=False)
    return number, label


def _joined(label: Array, number: int, pixels: _Pixels, config: SegmentationConfig) -> Array:
    """Labels (N,) after clusters are joined that are side by side in the image.

    A lid hides the part of the base that it is fixed to: near in the image, apart in space.

    Args:
        label: (N,) below ``number`` for clusters, ``number`` for none.
    """
    pair = np.sort(label[pixels.neighbours], axis=0)
    apart = (pair[0] != pair[1]) & (pair[1] < number)
    i, j = pixels.neighbours[:, apart]
    depth = pixels.points[:, 2]
    near = np.abs(depth[i] - depth[j]) < config.neighbour_jump
    pair = pair[:, apart][:, near]
    links, count = np.unique(pair[0] * (number + 1) + pair[1], return_counts=True)
    links = links[count >= config.min_links]
    _, merged = _components(links // (number + 1), links % (number + 1), number + 1)
    # The smallest label of each component; the label of no cluster stays the last one.
    representative = np.full(number + 1, number)
    np.minimum.at(representative, merged, np.arange(number + 1))
    return np.asarray(representative[merged][label])
