"""Planes in a depth image by RANSAC (Fischler and Bolles 1981) on points with normals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyval2d, polyvander
from scipy import ndimage

from kinediff3d_core.observation.depth_grid import DepthGrid

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PlaneConfig:
    """How planes are found. All values are chosen."""

    votes: int = 3000
    """Points that vote on planes."""
    trials: int = 150
    """Planes that are tried: each is that of one point and its normal."""
    window: int = 5
    """Side of the window over which a normal is taken, pixels of the grid."""
    window_share: float = 0.6
    """A window has depth in at least this share of its pixels."""
    angle: float = 0.85
    """Least cosine between a plane's normal and that of a point which votes for it."""
    near: float = 4.0
    """Points vote for planes nearer than this many standard deviations of the depth, and at least
    :attr:`least`."""
    least: float = 0.006
    """Least of that distance, m."""
    thickness: tuple[float, float] = (3.0, 0.004)
    """Points belong to a plane within this many standard deviations of the depth, as the plane's
    own residuals scale it, and within this distance, m, at least."""
    scale: tuple[float, float] = (0.5, 4.0)
    """Least and greatest scale of the residuals of a plane to the expected standard deviation."""
    warp_degree: int = 4
    """Degree of the polynomial that the warp is."""
    warp_rounds: int = 10
    """How often the warp of a plane is fitted to the points that it brings near."""
    warp_points: int = 100
    """A warp is fitted to at least this many points."""


@dataclass(frozen=True)
class Plane:
    """Points with ``normal @ p + offset`` near to zero, or to a small warp.

    The depth of real cameras is off by some millimetres to centimetres that change slowly over
    the image: a flat table is measured as a curved one.

    Attributes:
        normal: (3,) float32 unit, towards the camera. offset: m.
        scale: of its residuals to the standard deviation of the depth.
        warp: (D + 1, D + 1) coefficients of x^i y^j in the ray (x, y, 1), m.
        span: (2, 2) least and greatest (x, y) of the points on it; the warp is that of the
            nearest of these beyond.
    """

    normal: Array
    offset: float
    scale: float
    warp: Array | None = None
    span: Array | None = None

    def height(self, points: Array) -> Array:
        """Signed distances (N,) of points (N, 3), positive on the camera's side."""
        height = points @ self.normal + np.float32(self.offset)
        if self.warp is None or self.span is None:
            return np.asarray(height)
        x, y = np.clip(points[:, :2] / points[:, 2:], *self.span).T
        return np.asarray(height - polyval2d(x, y, self.warp))

    def height_image(self, grid: DepthGrid) -> Array:
        """Signed distances (h, w) of a grid's points; without meaning where there is no depth."""
        height = grid.points @ self.normal + np.float32(self.offset)
        if self.warp is None or self.span is None:
            return np.asarray(height)
        x = np.clip(grid.rays[0, :, 0], *self.span[:, 0])
        y = np.clip(grid.rays[:, 0, 1], *self.span[:, 1])
        degree = len(self.warp) - 1
        return np.asarray(height - polyvander(y, degree) @ self.warp.T @ polyvander(x, degree).T,
                          dtype=np.float32)


def surface_normals(grid: DepthGrid, config: PlaneConfig = PlaneConfig()) -> Array:
    """Unit normals (h, w, 3) towards the camera; zero where too few points are around a pixel.

    The inverse depth of a plane is linear in the image, 1/z = (a, b, c) @ ray, so that smoothing
    it over a window is exact for planes, and (a, b, c) is along the normal.
    """
    z = grid.points[..., 2]
    inverse = np.where(grid.valid, 1 / np.where(grid.valid, z, 1), 0).astype(np.float32)
    half, window = config.window // 2, config.window
    count = ndimage.uniform_filter(grid.valid.astype(np.float32), window, mode='constant')
    smooth = ndimage.uniform_filter(inverse, window, mode='constant') / np.maximum(count, 1e-6)
    full = count > config.window_share
    good = np.zeros_like(full)
    inner = slice(half, -half)
    good[inner, inner] = (full[inner, 2 * half:] & full[inner, :-2 * half]
                          & full[2 * half:, inner] & full[:-2 * half, inner])
    good &= grid.valid
    normal = np.zeros_like(grid.rays)
    step = 2 * half * (grid.rays[half, 1, 0] - grid.rays[half, 0, 0])
    normal[inner, inner, 0] = (smooth[inner, 2 * half:] - smooth[inner, :-2 * half]) / step
    step = 2 * half * (grid.rays[1, half, 1] - grid.rays[0, half, 1])
    normal[inner, inner, 1] = (smooth[2 * half:, inner] - smooth[:-2 * half, inner]) / step
    normal[..., 2] = smooth - normal[..., 0] * grid.rays[..., 0] - normal[..., 1] * grid.rays[..., 1]
    length = np.sqrt(np.einsum('hwc,hwc->hw', normal, normal))
    good &= length > 0
    return np.asarray(normal * np.where(good, -1 / np.maximum(length, 1e-12), 0)[..., None], dtype=np.float32)


def largest_plane(points: Array, normals: Array, sigma: Array, rng: np.random.Generator,
                  config: PlaneConfig = PlaneConfig()) -> tuple[Plane, float] | None:
    """The plane that most points are on, and their share; None if no point has a normal.

    Args:
        points, normals: (N, 3), m. sigma: (N,) standard deviation of the depths, m.
    """
    if len(points) > config.votes:
        pick = rng.choice(len(points), config.votes, replace=False)
        points, normals, sigma = points[pick], normals[pick], sigma[pick]
    has_normal = np.flatnonzero(normals[:, 2])
    if not len(has_normal):
        return None
    seed = rng.choice(has_normal, min(config.trials, len(has_normal)), replace=False)
    n = normals[seed]
    offset = -np.einsum('ij,ij->i', points[seed], n)
    allowed = np.maximum(config.least, config.near * sigma)
    on = np.abs(points @ n.T + offset) < allowed[:, None]
    on &= normals @ n.T > config.angle
    best = int(on.sum(0).argmax())
    plane = _fitted(points, sigma, on[:, best], config)
    for _ in range(3):
        height = plane.height(points)
        on_plane = (np.abs(height) < allowed) & (normals @ plane.normal > config.angle)
        if on_plane.sum() < 3:
            return None
        plane = _fitted(points, sigma, on_plane, config)
    plane = _warped(plane, points, normals, sigma, config)
    return plane, float((np.abs(plane.height(points)) < allowed).mean())


def _warped(plane: Plane, points: Array, normals: Array, sigma: Array, config: PlaneConfig,
            ) -> Plane:
    """The plane with the warp of the points (N, 3) near to it."""
    ray = (points[:, :2] / points[:, 2:]).astype(np.float64)
    degree = config.warp_degree
    powers = np.array([[i, j] for i in range(degree + 1) for j in range(degree + 1 - i)])
    terms = ray[:, 0, None] ** powers[:, 0] * ray[:, 1, None] ** powers[:, 1]
    allowed = np.maximum(config.least, config.near * sigma)
    flat = points @ plane.normal + plane.offset
    faces = normals @ plane.normal > config.angle
    for _ in range(config.warp_rounds):
        on = faces & (np.abs(plane.height(points)) < allowed)
        if on.sum() < config.warp_points:
            return plane
        warp = np.linalg.lstsq(terms[on], flat[on], rcond=None)[0]
        residual = np.abs(flat[on] - terms[on] @ warp) / sigma[on]
        coefficients = np.zeros((degree + 1, degree + 1), dtype=np.float32)
        coefficients[powers[:, 0], powers[:, 1]] = warp
        plane = replace(plane, warp=coefficients,
                        span=np.percentile(ray[on], (1, 99), axis=0).astype(np.float32),
                        scale=float(np.clip(1.4826 * np.median(residual), *config.scale)))
    return plane


def _fitted(points: Array, sigma: Array, on: Array, config: PlaneConfig) -> Plane:
    """Least-squares plane of the points (N, 3) in ``on`` (N,) bool."""
    q = points[on].astype(np.float64)
    middle = q.mean(0)
    normal = np.linalg.eigh((q - middle).T @ (q - middle))[1][:, 0]
    offset = float(-normal @ middle)
    if offset < 0:
        normal, offset = -normal, -offset
    # 1.4826 median absolute deviations of a normal distribution are its standard deviation.
    scale = 1.4826 * float(np.median(np.abs(q @ normal + offset) / sigma[on]))
    return Plane(normal.astype(np.float32), offset, float(np.clip(scale, *config.scale)))
