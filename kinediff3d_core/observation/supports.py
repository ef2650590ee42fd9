"""Which planes of a depth image are supports or background: table, floor, wall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from kinediff3d_core.observation.depth_grid import DepthGrid
from kinediff3d_core.observation.planes import Plane, PlaneConfig, largest_plane, surface_normals

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SupportConfig:
    """When a plane is a support or background. All values are chosen."""

    planes: int = 8
    """Most planes that are looked for."""
    share: float = 0.04
    """A plane covers at least this share of the pixels with depth."""
    object_size: float = 1.1
    """Planes that are longer than this, m, are no face of an object."""
    cut_size: float = 0.6
    """Planes that run out of the image, or around things, and are longer than this, m, are no face
    of an object."""
    border: float = 0.8
    """A plane runs out of the image if it touches the border over this share of the square root
    of its area."""
    thing: int = 30
    """Things on a plane have at least this many pixels of the grid."""
    things: int = 10
    """So many things, the largest first, are looked at."""
    corners: int = 3
    """A plane surrounds a thing if its hull has this many of the corners of the thing's box."""
    margin: float = 0.15
    """Margin of that box on each side, in shares of its sides."""
    upright: float = 0.2
    """The camera is about upright: the normal of a support inside the image has at least this
    component upwards. The front of a cabinet has less, however it is seen from above."""
    side_cosine: float = 0.6
    """Points on a plane have normals whose cosine with its own is at least this."""
    grow: int = 4
    """Beside a plane's points its pixels grow by this much into pixels whose normals the window
    mixes with those of another surface."""


@dataclass(frozen=True)
class Footprint:
    """Convex hull of points in a plane.

    Attributes:
        axes: (3, 2) unit directions in the plane. edges: (E, 3) of the hull: ``edges[:, :2] @ x +
            edges[:, 2]`` is the distance from an edge, positive outside, m.
    """

    axes: Array
    edges: Array

    @classmethod
    def of(cls, points: Array, normal: Array) -> Footprint | None:
        """The footprint of points (N, 3) on a plane; None if they are on a line."""
        n = normal.astype(np.float64)
        side = np.cross(n, np.eye(3)[np.argmin(np.abs(n))])
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(n, side)], axis=-1)
        try:
            return cls(axes, ConvexHull(points[::max(1, len(points) // 2000)] @ axes).equations)
        except (QhullError, ValueError):
            return None

    def contains(self, flat: Array, margin: float = 0.0) -> Array:
        """Whether points (N, 2) in the plane are inside, or nearer to the hull than a margin."""
        return np.asarray((flat @ self.edges[:, :2].T + self.edges[:, 2] <= margin).all(-1))


@dataclass(frozen=True)
class Surface:
    """A plane of the image.

    Attributes:
        plane: the plane. region: (h, w) bool, the largest region on it.
        height: (h, w) above it, m. thickness: (h, w) within which points are on it, m.
        above: (h, w) bool, farther above it than that.
    """

    plane: Plane
    region: Array
    height: Array
    thickness: Array
    above: Array


def find_surfaces(grid: DepthGrid, config: SupportConfig = SupportConfig(),
                  plane_config: PlaneConfig = PlaneConfig()) -> list[Surface]:
    """The largest planes of an image, the largest first."""
    rng = np.random.default_rng(0)
    normals = surface_normals(grid, plane_config)
    voters = grid.valid & (normals[..., 2] != 0)
    count = int(grid.valid.sum())
    taken = ~grid.valid
    found: list[Surface] = []
    for _ in range(config.planes):
        index = np.flatnonzero(voters)
        if len(index) < config.share * count:
            break
        if len(index) > plane_config.votes:
            index = index[rng.integers(0, len(index), plane_config.votes)]
        best = largest_plane(grid.points.reshape(-1, 3)[index], normals.reshape(-1, 3)[index],
                             grid.sigma.ravel()[index], rng, plane_config)
        if best is None:
            break
        plane = best[0]
        height = plane.height_image(grid)
        times, least = plane_config.thickness
        thickness = np.maximum(least, times * plane.scale * grid.sigma)
        near = grid.valid & (np.abs(height) < thickness) & ~taken
        on = near & (normals @ plane.normal > config.side_cosine)
        on = ndimage.binary_dilation(on, iterations=config.grow, mask=near)
        voters &= ~on
        above = grid.valid & (height > thickness)
        region = _largest_region(on, above)
        if on.sum() < config.share * count:
            break
        taken |= on
        found.append(Surface(plane, region, height, thickness, above))
    return found


def _largest_region(pixels: Array, above: Array) -> Array:
    """The largest region of a plane's pixels (h, w) that only things above it divide."""
    label, _ = ndimage.label(pixels | above)
    return np.asarray((label == np.bincount(label[pixels]).argmax()) & pixels)


def supports(grid: DepthGrid, surfaces: list[Surface], config: SupportConfig = SupportConfig(),
             ) -> list[Surface]:
    """The surfaces that are supports or background, the ones with things on them first."""
    chosen: list[Surface] = []
    for s in surfaces:
        if (-s.plane.normal[1] > config.upright and _surrounds(grid, s, config)
                and (_extent(grid.points[s.region]) > config.cut_size
                     or not _on_object(s, chosen, grid, config))):
            chosen.append(s)
    for s in surfaces:
        if any(s is c for c in chosen):
            continue
        size = _extent(grid.points[s.region])
        cut = _runs_out(s.region, config)
        if size > config.object_size or cut and (
                size > config.cut_size or not _on_object(s, chosen, grid, config)):
            chosen.append(s)
    return chosen


def _surrounds(grid: DepthGrid, surface: Surface, config: SupportConfig) -> bool:
    """Whether the surface is around a thing that stands on it."""
    footprint = Footprint.of(grid.points[surface.region], surface.plane.normal)
    if footprint is None:
        return False
    smooth = np.ones(grid.shape, dtype=bool)
    smooth[:, :-1] &= grid.right
    smooth[:-1] &= grid.down
    label, number = ndimage.label(surface.above & smooth)
    size = np.bincount(label.ravel(), minlength=number + 1)
    size[0] = 0
    for k in np.argsort(-size)[:config.things]:
        if size[k] < config.thing:
            break
        flat = grid.points[label == k] @ footprint.axes
        middle = flat.mean(0)
        turn = np.linalg.eigh((flat - middle).T @ (flat - middle))[1]
        low, high = np.percentile((flat - middle) @ turn, (5, 95), axis=0)
        low, high = low - config.margin * (high - low), high + config.margin * (high - low)
        corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
        if footprint.contains(corners @ turn.T + middle).sum() >= config.corners:
            return True
    return False


def _on_object(surface: Surface, chosen: list[Surface], grid: DepthGrid, config: SupportConfig,
               ) -> bool:
    """Whether the surface is part of an object that stands on one of the chosen ones."""
    if _extent(grid.points[surface.region]) > config.object_size:
        return False
    return any(s.above[surface.region].mean() > 0.9 for s in chosen)


def _runs_out(pixels: Array, config: SupportConfig) -> bool:
    touched = (pixels[0].sum() + pixels[-1].sum() + pixels[:, 0].sum() + pixels[:, -1].sum())
    return bool(touched > config.border * pixels.sum() ** 0.5)


def _extent(points: Array) -> float:
    """Length of points (N, 3) along their longest direction, m."""
    q = points[::max(1, len(points) // 1000)]
    q = q - q.mean(0)
    direction = np.linalg.eigh(q.T @ q)[1][:, 2]
    low, high = np.percentile(q @ direction, (2, 98))
    return float(high - low)
