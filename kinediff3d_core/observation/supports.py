"""Supports and background of a depth image: table, floor, walls.

A plane is a support if its extent surrounds something that stands on it. It is background if it is
longer than objects are, or runs out of the image. A face of an object is neither: a laptop's base
does not surround its lid, and what stands on a support that is already known is not taken apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from kinediff3d_core.observation.depth_grid import DepthGrid, picture_rectangle
from kinediff3d_core.observation.order_statistics import inner_range
from kinediff3d_core.observation.planes import Plane, PlaneConfig, largest_plane, surface_normals

Array = np.ndarray[Any, Any]

HULL_POINTS = 2000
"""Convex hulls are of about this many points. Chosen: its time."""
EXTENT_POINTS = 1000
"""Extents are measured on about this many points. Chosen: its time."""
EXTENT_OUTER = 0.02
"""Share of the points that an extent leaves out at each end. Chosen."""
BOX_OUTER = 0.05
"""As ``EXTENT_OUTER``, of the box of a thing that a plane may surround. Chosen."""


@dataclass(frozen=True)
class SupportConfig:
    """When a plane is a support or background. All values are chosen."""

    planes: int = 8
    """Most planes that are looked for."""
    share: float = 0.04
    """A plane covers at least this share of the pixels with depth."""
    facing: float = 0.6
    """Points on a plane have normals whose cosine with its own is at least this."""
    grow: int = 4
    """Beside such points, a plane has pixels up to so far away whose normals the window mixes with
    those of another surface, pixels of the grid."""
    object_size: float = 1.1
    """Planes that are longer than this, m, are no face of an object."""
    face_size: float = 0.6
    """Planes that run out of the image or surround things and are longer than this, m, are no face
    of an object either."""
    alone_size: float = 1.8
    """If all that is seen is inside the image, does not fill a rectangle and is no longer than
    this, m, it may be one object;"""
    alone_share: float = 0.4
    """then a support has at least this share of it, and nothing is background: the bottom of an
    open drawer surrounds what is in it."""
    on_object: float = 0.9
    """A plane with this share of its pixels above a support is part of an object on it."""
    border: float = 0.8
    """A plane runs out of the image if it touches the border over this share of the square root of
    its area."""
    border_width: int = 4
    """Width of the border, pixels of the image."""
    picture_share: float = 0.35
    """The image may have margins without depth if it has depth in at least this share,"""
    picture_border: float = 0.6
    """and if the rectangle within them has depth along at least this share of its border."""
    thing: int = 30
    """Things that a plane may surround have at least this many pixels of the grid."""
    things: int = 10
    """So many things, the largest first, are looked at."""
    corners: int = 3
    """A plane surrounds a thing if its hull has this many of the corners of the thing's box."""
    margin: float = 0.15
    """Margin of that box on each side, in shares of its sides."""
    upright: float = 0.2
    """The camera is about upright: the normal of a support has at least this component upwards in
    the image. The front of a cabinet has less, however steeply the camera looks down."""


@dataclass(frozen=True)
class Footprint:
    """Convex hull of points in a plane.

    Attributes:
        axes: (3, 2) unit directions in the plane.
        edges: (E, 3) of the hull: ``edges[:, :2] @ x + edges[:, 2]`` is the distance of x (2,)
            from an edge, positive outside, m.
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
            hull = ConvexHull(points @ axes)
        except (QhullError, ValueError):
            return None
        return cls(axes, hull.equations)

    def contains(self, flat: Array, margin: float = 0.0) -> Array:
        """Whether points (N, 2) in the plane are inside, or nearer to the hull than a margin."""
        return np.asarray((flat @ self.edges[:, :2].T + self.edges[:, 2] <= margin).all(-1))


@dataclass(frozen=True)
class Surface:
    """A plane of the image.

    Attributes:
        grid: the image.
        plane: with its warp. region: (h, w) bool, its largest region. piece: (h, w) bool, the
            largest connected part of that.
        height: (h, w) above it, m. thickness: (h, w) within which points are on it, m.
        above: (h, w) bool, farther above it than that.
    """

    grid: DepthGrid
    plane: Plane
    region: Array
    piece: Array
    height: Array
    thickness: Array
    above: Array

    def is_level(self, config: SupportConfig = SupportConfig()) -> bool:
        """Whether things can stand on it, as the camera is held."""
        return bool(-self.plane.normal[1] > config.upright)

    @cached_property
    def footprint(self) -> Footprint | None:
        """Of its region; None if that is a line."""
        return Footprint.of(_some_points(self.grid, self.region, HULL_POINTS), self.plane.normal)


def find_surfaces(grid: DepthGrid, config: SupportConfig, plane_config: PlaneConfig,
                  ) -> list[Surface]:
    """The largest planes of an image, the largest first."""
    rng = np.random.default_rng(0)
    normals = surface_normals(grid, plane_config)
    voters = normals[..., 2] != 0
    free = grid.valid.copy()
    least = config.share * int(grid.valid.sum())
    points, flat_normals = grid.points.reshape(-1, 3), normals.reshape(-1, 3)
    found: list[Surface] = []
    for _ in range(config.planes):
        index = np.flatnonzero(voters)
        if len(index) < max(least, 1):
            break
        if len(index) > plane_config.votes:
            index = index[rng.integers(0, len(index), plane_config.votes)]
        plane = largest_plane(points[index], flat_normals[index], grid.sigma.ravel()[index], rng,
                              plane_config)
        if plane is None:
            break
        height = plane.height_image(grid)
        thickness = plane.thickness(grid.sigma, plane_config)
        near = free & (np.abs(height) < thickness)
        on = near & (normals @ plane.normal > config.facing)
        on = ndimage.binary_dilation(on, iterations=config.grow, mask=near)
        if on.sum() < least:
            break
        voters &= ~on
        free &= ~on
        above = grid.valid & (height > thickness)
        region, piece = _largest_region(on, above)
        found.append(Surface(grid, plane, region, piece, height, thickness, above))
    return found


def _largest_region(pixels: Array, above: Array) -> tuple[Array, Array]:
    """The largest region of a plane's pixels (h, w) that only things above it divide.

    Returns:
        The region and its largest connected piece (h, w) bool.
    """
    group, _ = ndimage.label(pixels | above)
    region = (group == np.bincount(group[pixels]).argmax()) & pixels
    piece, _ = ndimage.label(region)
    return region, piece == np.bincount(piece[region]).argmax()


def find_supports(grid: DepthGrid, config: SupportConfig, plane_config: PlaneConfig,
                  ) -> list[Surface]:
    """The planes of an image that are supports or background, supports first."""
    surfaces = find_surfaces(grid, config, plane_config)
    alone = _is_alone(grid, config)
    if alone:
        least = config.alone_share * grid.valid.sum()
        surfaces = [s for s in surfaces if s.region.sum() >= least]
    length = {id(s): _extent(grid, s.piece) for s in surfaces}
    supports: list[Surface] = []
    for s in surfaces:
        is_face = length[id(s)] <= config.face_size and _on_object(s, supports, config)
        if s.is_level(config) and not is_face and _surrounds(grid, s, config):
            supports.append(s)
    if alone:
        return supports
    chosen = list(supports)
    picture = _picture(grid.valid, config)
    for s in surfaces:
        if not any(s is c for c in chosen):
            is_face = length[id(s)] <= config.face_size and _on_object(s, chosen, config)
            if _extent(grid, s.region) > config.object_size or (
                    not is_face and _runs_out(s.region, picture, grid.stride, config)):
                chosen.append(s)
    return chosen


def _is_alone(grid: DepthGrid, config: SupportConfig) -> bool:
    """Whether all that is seen may be one object: inside the image, and not too large."""
    valid, width = grid.valid, max(1, config.border_width // grid.stride)
    inside = not (valid[:width].any() or valid[-width:].any() or valid[:, :width].any()
                  or valid[:, -width:].any())
    return (inside and not _fills_rectangle(valid, config)
            and _extent(grid, valid) <= config.alone_size)


def _on_object(surface: Surface, supports: list[Surface], config: SupportConfig) -> bool:
    """Whether the surface is part of something that stands on one of the supports."""
    return any(s.above[surface.piece].mean() > config.on_object for s in supports)


def _surrounds(grid: DepthGrid, surface: Surface, config: SupportConfig) -> bool:
    """Whether the surface reaches around one of the things above it."""
    footprint = surface.footprint
    if footprint is None:
        return False
    smooth = surface.above.copy()
    smooth[:, :-1] &= grid.right
    smooth[:-1] &= grid.down
    label, number = ndimage.label(smooth)
    size = np.bincount(label.ravel(), minlength=number + 1)
    size[0] = 0
    boxes = ndimage.find_objects(label)
    for k in np.argsort(-size)[:config.things]:
        if size[k] < config.thing:
            break
        box = boxes[k - 1]
        corners = _box_corners(grid.points[box][label[box] == k] @ footprint.axes, config.margin)
        if footprint.contains(corners).sum() >= config.corners:
            return True
    return False


def _box_corners(flat: Array, margin: float) -> Array:
    """Corners (4, 2) of the box along the principal axes of points (N, 2), with a margin.

    The margin is in shares of its sides. The box holds the inner nine tenths along either axis.
    """
    middle = flat.mean(0)
    turn = np.linalg.eigh((flat - middle).T @ (flat - middle))[1]
    low, high = inner_range((flat - middle) @ turn, BOX_OUTER)
    low, high = low - margin * (high - low), high + margin * (high - low)
    corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
    return np.asarray(corners @ turn.T + middle)


def _runs_out(region: Array, picture: tuple[slice, slice], stride: int, config: SupportConfig,
              ) -> bool:
    """Whether a region (h, w) bool touches the border of the picture over a good part of it."""
    width = max(1, config.border_width // stride)
    r = region[picture]
    touched = sum(int(strip.any(axis).sum()) for strip, axis in (
        (r[:width], 0), (r[-width:], 0), (r[:, :width], 1), (r[:, -width:], 1)))
    return bool(touched > config.border * region.sum() ** 0.5)


def _picture(valid: Array, config: SupportConfig) -> tuple[slice, slice]:
    """Rows and columns without the margins that registration leaves; else those of the image.

    The depth of a picture fills its border; that of a lone object does not fill its box's.
    """
    if valid.mean() > config.picture_share and _fills_rectangle(valid, config):
        return picture_rectangle(valid)
    return slice(0, valid.shape[0]), slice(0, valid.shape[1])


def _fills_rectangle(valid: Array, config: SupportConfig) -> bool:
    """Whether depth fills the border of the rectangle in which it is."""
    v = valid[picture_rectangle(valid)]
    border = np.concatenate([v[0], v[-1], v[:, 0], v[:, -1]])
    return bool(border.mean() > config.picture_border)


def _extent(grid: DepthGrid, pixels: Array) -> float:
    """Length of pixels (h, w) bool along their longest direction, without the outer 2 %, m."""
    q = _some_points(grid, pixels, EXTENT_POINTS)
    q = q - q.mean(0)
    direction = np.linalg.eigh(q.T @ q)[1][:, 2]
    low, high = inner_range(q @ direction, EXTENT_OUTER)
    return float(high - low)


def _some_points(grid: DepthGrid, pixels: Array, count: int) -> Array:
    """About ``count`` of the points (N, 3) of pixels (h, w) bool, evenly spread."""
    at = np.flatnonzero(pixels)
    return grid.points.reshape(-1, 3)[at[::max(1, len(at) // count)]]
