"""The plane that most points are on, by RANSAC (Fischler and Bolles 1981).

Planes are proposed by three points each (:func:`plane_distances`), or by one point with its normal
in a depth image, where planes may be warped (:func:`largest_plane`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyval2d, polyvander
from scipy import ndimage

from kinediff3d_core.observation.depth_grid import DepthGrid
from kinediff3d_core.observation.order_statistics import inner_range, median

Array = np.ndarray[Any, Any]

MAD_TO_STD = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""
RIDGE = 1e-9
"""Added to the diagonal of the normal equations of a warp: points on a line still have one."""


@dataclass(frozen=True)
class PointPlaneConfig:
    """How a plane is found among points. All values are chosen."""

    noise: tuple[float, float] = (0.004, 0.003)
    """Bound of the depth noise: a + b z^2, m, for depth z, m: the noise of a stereo or
    structured-light camera grows with z^2."""
    samples: int = 500
    """Points that vote."""
    trials: int = 48
    """Planes that are tried: with half of the votes on it, one is found in 99.8 %."""
    least_points: int = 100
    """Fewest points that a plane is sought in."""
    share: float = 0.2
    """Least share of the votes on a plane."""

    def noise_bound(self, depth: Array) -> Array:
        """Bound of the noise, m, at depths, m."""
        constant, quadratic = self.noise
        return np.asarray(constant + quadratic * depth ** 2)


@dataclass(frozen=True)
class PlaneConfig:
    """How planes are found in a depth image. All values are chosen."""

    votes: int = 3000
    """Points that vote on planes."""
    trials: int = 150
    """Planes that are tried: each is that of one point and its normal."""
    refits: int = 4
    """How often the best plane is fitted to the points near to it, the last two times to those
    exactly on it: else a plane through a table and the base of a laptop is tilted."""
    exact: float = 0.5
    """Points are exactly on a plane within this share of the distance from which they vote."""
    window: int = 5
    """Side of the window over which a normal is taken, pixels of the grid."""
    window_share: float = 0.6
    """A window has depth in at least this share of its pixels."""
    angle: float = 0.85
    """Least cosine between a plane's normal and that of a point which votes for it."""
    near: tuple[float, float] = (4.0, 0.006)
    """Points vote for a plane within this many standard deviations of the depth, and within this
    distance, m, at least."""
    thickness: tuple[float, float] = (3.0, 0.0025)
    """Points belong to a plane within this many standard deviations of the depth, as the plane's
    own residuals scale it, and within this distance, m, at least."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Least and greatest scale of the residuals of a plane to the expected standard deviation."""
    warp_degrees: tuple[int, ...] = (2, 4)
    """Degrees of the polynomials that are tried in turn as a plane's warp,"""
    warp_scale: float = 1.4
    """until the scale of the residuals is below this. A higher degree at once would also bend
    towards the base of a laptop beside the plane."""
    warp_rounds: int = 25
    """How often a warp is fitted to the points near to it."""
    warp_growth: float = 1.001
    """The rounds end when the points grow by less than this factor."""
    warp_points: int = 300
    """A warp is fitted to at least this many points."""
    span_outer: float = 0.01
    """Share of the points on a plane that is left out at each end of its span."""


@dataclass(frozen=True)
class Plane:
    """Points with ``normal @ p + offset`` near to zero, or to a small warp.

    The depth of real cameras is off by some millimetres to centimetres that change slowly over the
    image: a flat table is measured as a curved one.

    Attributes:
        normal: (3,) float32 unit, towards the camera. offset: m.
        scale: of its residuals to the standard deviation of the depth.
        warp: (D + 1, D + 1) coefficients of x^i y^j in the ray (x, y, 1), m.
        span: (2, 2) least and greatest (x, y) of the points on it. Beyond, the warp is that of the
            nearest ray within.
    """

    normal: Array
    offset: float
    scale: float
    warp: Array | None = None
    span: Array | None = None

    def height(self, points: Array) -> Array:
        """Signed distances (N,) of points (N, 3) with z > 0, m, positive on the camera's side."""
        height = points @ self.normal + np.float32(self.offset)
        if self.warp is None or self.span is None:
            return np.asarray(height)
        x, y = np.clip(points[:, :2] / points[:, 2:], *self.span).T
        return np.asarray(height - polyval2d(x, y, self.warp), dtype=np.float32)

    def height_image(self, grid: DepthGrid) -> Array:
        """Signed distances (h, w) of a grid's points; without meaning where there is no depth."""
        height = grid.points @ self.normal + np.float32(self.offset)
        if self.warp is None or self.span is None:
            return np.asarray(height)
        x = np.clip(grid.rays[0, :, 0], *self.span[:, 0])
        y = np.clip(grid.rays[:, 0, 1], *self.span[:, 1])
        degree = len(self.warp) - 1
        warp = polyvander(y, degree) @ self.warp.T @ polyvander(x, degree).T
        return np.asarray(height - warp, dtype=np.float32)

    def thickness(self, sigma: Array, config: PlaneConfig = PlaneConfig()) -> Array:
        """Distance within which points with depths of these standard deviations are on it, m."""
        times, least = config.thickness
        return np.maximum(least, times * self.scale * sigma)


def surface_normals(grid: DepthGrid, config: PlaneConfig = PlaneConfig()) -> Array:
    """Unit normals (h, w, 3) towards the camera; zero where too few points are around a pixel.

    The inverse depth of a plane is linear in the image, 1/z = (a, b, c) @ ray. Smoothing it over a
    window is therefore exact for planes, and (a, b, c) is along the normal.
    """
    normal = np.zeros_like(grid.rays)
    half, window = config.window // 2, config.window
    if min(grid.shape) <= 2 * half:
        return normal
    z = grid.points[..., 2]
    inverse = np.where(grid.valid, 1 / np.where(grid.valid, z, 1), 0).astype(np.float32)
    count = ndimage.uniform_filter(grid.valid.astype(np.float32), window, mode='constant')
    smooth = ndimage.uniform_filter(inverse, window, mode='constant') / np.maximum(count, 1e-6)
    full = count > config.window_share
    inner = slice(half, -half)
    last, first = slice(2 * half, None), slice(None, -2 * half)
    good = np.zeros_like(full)
    good[inner, inner] = (full[inner, last] & full[inner, first]
                          & full[last, inner] & full[first, inner])
    for axis, (after, before) in enumerate((((inner, last), (inner, first)),
                                            ((last, inner), (first, inner)))):
        normal[inner, inner, axis] = ((smooth[after] - smooth[before])
                                      / (grid.rays[after] - grid.rays[before])[..., axis])
    normal[..., 2] = smooth - (normal[..., :2] * grid.rays[..., :2]).sum(-1)
    length = np.sqrt(np.einsum('hwc,hwc->hw', normal, normal))
    good &= grid.valid & (length > 0)
    normal *= np.where(good, -1 / np.where(good, length, 1), 0)[..., None]
    return normal


def plane_distances(points: Array, voters: Array, rng: np.random.Generator,
                    config: PointPlaneConfig = PointPlaneConfig()) -> Array | None:
    """Distances (N,), m, of points (N, 3) from the plane that most voters (V, 3) are on.

    None if there are too few voters, or too few of them are on one plane.
    """
    if len(voters) < config.least_points:
        return None
    votes = voters[rng.integers(0, len(voters), config.samples)]
    a, b, c = (votes[rng.integers(0, len(votes), config.trials)] for _ in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    good = length > 0
    if not good.any():
        return None
    normal = normal[good] / length[good, None]
    on = _most_voted(votes, normal, -(normal * a[good]).sum(1), config.noise_bound(votes[:, 2]))
    if on.sum() < config.share * len(votes):
        return None
    normal, offset = least_squares_plane(votes[on])
    return np.asarray(np.abs(points @ normal.astype(np.float32) + np.float32(offset)))


def _most_voted(points: Array, normals: Array, offsets: Array, allowed: Array,
                agrees: Array | bool = True) -> Array:
    """Which of the points (N, 3) are on that of the planes (T) that most are on.

    Args:
        normals: (T, 3). offsets: (T,), m.
        allowed: (N,) distances, m, from which on points are off a plane.
        agrees: (T, N) whether a point may be on a plane.
    """
    distance = normals @ points.T
    distance += offsets[:, None]
    on = np.abs(distance, out=distance) < allowed
    on &= agrees
    return np.asarray(on[int(on.sum(1).argmax())])


def least_squares_plane(points: Array) -> tuple[Array, float]:
    """Unit normal (3,) and offset, m, of the plane with least squared distances of points (N, 3).

    The offset is not negative: the normal is towards the camera.
    """
    q = points.astype(np.float64, copy=False)
    middle = q.mean(0)
    normal = np.linalg.eigh((q - middle).T @ (q - middle))[1][:, 0]
    offset = float(-normal @ middle)
    return (-normal, -offset) if offset < 0 else (normal, offset)


def largest_plane(points: Array, normals: Array, sigma: Array, rng: np.random.Generator,
                  config: PlaneConfig = PlaneConfig()) -> Plane | None:
    """The plane that most points are on; None if there is none.

    Args:
        points, normals: (N, 3), m, as many as shall vote. sigma: (N,) of the depths, m.
    """
    if not len(points):
        return None
    seed = rng.choice(len(points), min(config.trials, len(points)), replace=False)
    n = normals[seed]
    offset = -np.einsum('ij,ij->i', points[seed], n)
    allowed = np.maximum(config.near[1], config.near[0] * sigma)
    on = _most_voted(points, n, offset, allowed, n @ normals.T > config.angle)
    plane = _refitted(points, normals, sigma, on, config)
    return None if plane is None else _warped(plane, points, normals, sigma, config)


def _refitted(points: Array, normals: Array, sigma: Array, on: Array, config: PlaneConfig,
              ) -> Plane | None:
    """Least-squares plane of the points (N, 3) in ``on`` and then of those near to it."""
    allowed = np.maximum(config.near[1], config.near[0] * sigma)
    plane = None
    for refit in range(config.refits):
        if on.sum() < 3:
            return None
        plane = _fitted(points, sigma, on, config)
        within = allowed if refit < config.refits - 2 else config.exact * allowed
        on = (np.abs(plane.height(points)) < within) & (normals @ plane.normal > config.angle)
    return plane


def _fitted(points: Array, sigma: Array, on: Array, config: PlaneConfig) -> Plane:
    """Least-squares plane of the points (N, 3) in ``on`` (N,) bool."""
    q = points[on].astype(np.float64)
    normal, offset = least_squares_plane(q)
    residual = np.abs(q @ normal + offset) / sigma[on]
    return Plane(normal.astype(np.float32), offset, _scale(residual, config))


def _warped(plane: Plane, points: Array, normals: Array, sigma: Array, config: PlaneConfig,
            ) -> Plane:
    """The plane with the warp of the points (N, 3) near to it."""
    faces = normals @ plane.normal > config.angle
    p, sigma = points[faces], sigma[faces]
    for degree in config.warp_degrees:
        plane = _grown(plane, degree, p, sigma, config)
        if plane.scale < config.warp_scale:
            break
    return plane


def _grown(plane: Plane, degree: int, points: Array, sigma: Array, config: PlaneConfig,
           ) -> Plane:
    """The plane with a warp of a degree, fitted to the points (N, 3) near to it.

    The warp grows from where the plane was found: each round adds the points that the warp of the
    previous ones is near to.
    """
    ray = (points[:, :2] / points[:, 2:]).astype(np.float64)
    i, j = np.nonzero(np.add.outer(range(degree + 1), range(degree + 1)) <= degree)
    terms = polyvander(ray[:, 0], degree)[:, i] * polyvander(ray[:, 1], degree)[:, j]
    flat = points @ plane.normal + plane.offset
    before = 0
    for _ in range(config.warp_rounds):
        on = np.abs(plane.height(points)) < plane.thickness(sigma, config)
        count = int(on.sum())
        if count < config.warp_points or count <= before * config.warp_growth:
            break
        before, a = count, terms[on]
        solution = np.linalg.solve(a.T @ a + RIDGE * np.eye(len(i)), a.T @ flat[on])
        warp = np.zeros((degree + 1, degree + 1), dtype=np.float32)
        warp[i, j] = solution
        residual = np.abs(flat[on] - a @ solution) / sigma[on]
        plane = replace(plane, warp=warp, scale=_scale(residual, config),
                        span=inner_range(ray[on], config.span_outer).astype(np.float32))
    return plane


def _scale(residual: Array, config: PlaneConfig) -> float:
    """Robust scale of absolute residuals (N,) in standard deviations, within its bounds."""
    return float(np.clip(MAD_TO_STD * median(residual), *config.scale))
