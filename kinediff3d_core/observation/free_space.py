"""What one view shows of an object: measured surface, and observed free space.

Canonical units, camera frame. Tangent units are those of x/z and y/z: positions in the image of a
camera of focal length one. The silhouette is the region of the image that the object covers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.ndimage
import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.observation.cloud import valid_points


@dataclass(frozen=True)
class FreeSpaceConfig:
    """How one view is turned into measured surface and free space."""

    size: float = 1.8
    """Side of the grid over the image, in the cloud's larger extent there. Chosen: the surface of
    a hypothesis may stand that far outside."""
    density: float = 1.4
    """Cells along a side for each square root of the number of points. Chosen: about one point
    in each cell that the object covers."""
    block: int = 12
    """The number of cells along a side is a multiple of this. Chosen: a CUDA graph is captured
    for each size, so that there must be few."""
    blocks: tuple[int, int] = (2, 12)
    """Least and greatest number of blocks along a side. Chosen."""
    closing: int = 2
    """Gaps of twice this many cells in the silhouette are closed. Chosen."""
    occluder_window: int = 3
    """Side of the window, cells, over which the least depth off the object is taken. Chosen: the
    points beside the object are every third pixel."""
    band: float = 2.5
    """Width of the band along the silhouette's border that half of the points are drawn from,
    cells. Chosen."""
    standoffs: tuple[float, ...] = (0.02, 0.06)
    """Distances in front of each observed point where space is free, canonical units. Chosen."""
    hidden: float = 0.02
    """Surface that is no farther than this in front of a measured depth may be what was measured,
    or be hidden behind it, canonical units. Chosen: the size of depth noise."""
    layers: int = 10
    """Depths at which the space in front of the cloud is carved. Chosen."""
    least_depth: float = 0.05
    """Least depth of surface points, canonical units; smaller depths are raised to it. Chosen: it
    bounds the division by z."""


CONFIG = FreeSpaceConfig()


@dataclass(frozen=True)
class Observation:
    """One view of an object, canonical units, camera frame.

    Attributes:
        points: (N, 3) observed surface. empty: (M, 3) points known to be in free space.
        centroid: (3,) of the points.
        others: (G, G) smallest depth that was measured off the object; inf where nothing was.
        corner: (2,) tangent coordinates x/z, y/z of the first cell's centre; cell: () its size.
        nearest: (G, G) smallest depth that was measured on the object; 0 where nothing was.
        maps: distances, tangent units: (G, G) to the silhouette, and after them (L, G/2, G/2) at
            L depths to the nearest cell where the camera has not seen beyond that depth.
        depths: (L,).
    """

    points: Tensor
    empty: Tensor
    centroid: Tensor
    others: Tensor
    corner: Tensor
    cell: Tensor
    nearest: Tensor
    maps: Tensor
    depths: Tensor


@dataclass(frozen=True)
class _Grid:
    """Square cells over the image.

    Attributes:
        corner: (2,) tangent coordinates of the first cell's centre.
        cell: side of a cell, tangent units.
        cells: G, cells along a side.
    """

    corner: np.ndarray
    cell: float
    cells: int

    @classmethod
    def around(cls, tangent: np.ndarray, config: FreeSpaceConfig) -> _Grid:
        """The grid around points (2, P) in tangent coordinates."""
        low, high = tangent.min(1), tangent.max(1)
        size = float((high - low).max()) * config.size + 1e-6
        blocks = config.density * np.sqrt(tangent.shape[1]) / config.block + 0.5
        cells = config.block * int(np.clip(blocks, *config.blocks))
        cell = size / cells
        return cls((low + high) / 2 - size / 2 + cell / 2, cell, cells)

    def locate(self, tangent: np.ndarray) -> np.ndarray:
        """Column and row (2, P) of the cells of points (2, P) in tangent coordinates."""
        at: np.ndarray = np.floor((tangent - self.corner[:, None]) / self.cell + 0.5).astype(int)
        return at


def observe(cloud: np.ndarray, n: int, generator: torch.Generator,
            others: np.ndarray | None = None, config: FreeSpaceConfig = CONFIG) -> Observation:
    """The observation of a camera-frame cloud.

    Half of the points that residuals use are drawn from a band along the border of the
    silhouette: the borders of parts fix their length and thickness.

    Args:
        cloud: (P, 3) all points, canonical units, valid
            (:func:`~kinediff3d_core.observation.cloud.valid_points`).
        n: how many points residuals use.
        generator: draws the points; its device is the observation's.
        others: (M, 3) points off the object, which may hide it, or belong to it where its mask is
            incomplete. Invalid ones are left out.
    """
    # Contiguous coordinates: the steps below read each of them several times.
    along = np.ascontiguousarray(cloud.T)
    tangent, depth = along[:2] / along[2], along[2]
    grid = _Grid.around(tangent, config)
    x, y = np.clip(grid.locate(tangent), 0, grid.cells - 1)
    index = y * grid.cells + x
    silhouette = _silhouette(grid, index, config)
    # The border of the silhouette is half a cell from the centres of the cells within it.
    outside = (scipy.ndimage.distance_transform_edt(~silhouette) - 0.5).clip(0) * grid.cell
    inside = scipy.ndimage.distance_transform_edt(np.pad(silhouette, 1))[1:-1, 1:-1]
    nearest = _smallest(grid.cells, index, depth)
    # Filled cells of the silhouette without a measurement are unknown.
    nearest[silhouette & np.isinf(nearest)] = 0
    depths = np.linspace(depth.min(), depth.max(), config.layers + 1)[1:]
    points = _draw_points(cloud, inside.ravel()[index] < config.band, n, generator)
    ray = F.normalize(points, dim=-1)
    half = points[::2], ray[::2]
    empty = torch.cat([half[0] - s * half[1] for s in config.standoffs])

    def tensor(values: np.ndarray | float) -> Tensor:
        return torch.as_tensor(values).float().to(generator.device)

    maps = np.concatenate([outside.ravel(), grid.cell * _carve(nearest, depths).ravel()])
    return Observation(points, empty, points.mean(0),
                       tensor(_occluder_depth(grid, others, config)), tensor(grid.corner),
                       tensor(grid.cell), tensor(np.where(np.isinf(nearest), 0, nearest)),
                       tensor(maps), tensor(depths))


def _silhouette(grid: _Grid, index: np.ndarray, config: FreeSpaceConfig) -> np.ndarray:
    """Cells (G, G) that the object covers: those with a point, without gaps and holes.

    Args:
        index: (P,) cells of the points, row by row.
    """
    covered = np.zeros((grid.cells, grid.cells), dtype=bool)
    covered.ravel()[index] = True
    pad = config.closing
    closed = scipy.ndimage.binary_closing(np.pad(covered, pad), iterations=config.closing)
    filled: np.ndarray = scipy.ndimage.binary_fill_holes(closed)[pad:-pad, pad:-pad]
    return filled


def _occluder_depth(grid: _Grid, others: np.ndarray | None, config: FreeSpaceConfig) -> np.ndarray:
    """Smallest depth (G, G) of points (M, 3) off the object around each cell, inf without any."""
    if others is None:
        return np.full((grid.cells, grid.cells), np.inf)
    along = np.ascontiguousarray(others[valid_points(others)].T)
    x, y = grid.locate(along[:2] / along[2])
    within = (x > 0) & (x < grid.cells - 1) & (y > 0) & (y < grid.cells - 1)
    smallest: np.ndarray = scipy.ndimage.minimum_filter(
        _smallest(grid.cells, (y * grid.cells + x)[within], along[2, within]),
        config.occluder_window)
    return smallest


def _draw_points(cloud: np.ndarray, border: np.ndarray, n: int, generator: torch.Generator,
                 ) -> Tensor:
    """n random points of a cloud (P, 3), or all; half of them at the border, if it has as many.

    Args:
        border: (P,) whether a point is in the band along the silhouette's border.
    """
    device = generator.device
    band = torch.from_numpy(border).to(device)
    draw = torch.rand(2, len(cloud), generator=generator, device=device)
    edge = (draw[0] * band).topk(min(n // 2, int(border.sum()))).indices
    draw[1, edge] = 0
    rest = draw[1].topk(min(n - len(edge), len(cloud) - len(edge))).indices
    return torch.from_numpy(cloud).float().to(device)[torch.cat([edge, rest])]


def _smallest(cells: int, at: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Smallest of the depths (P,) in each cell (G, G) of a square grid, inf in those without any.

    Args:
        at: (P,) their cells, row by row.
    """
    smallest = np.full(cells ** 2, np.inf)
    # Contiguous arrays of one type are ten times faster.
    np.minimum.at(smallest, at, depth.astype(smallest.dtype))
    return smallest.reshape(cells, cells)


def _carve(nearest: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Space carving (Kutulakos and Seitz 2000) in front of one cloud.

    Args:
        nearest: (G, G) smallest depth in each cell; inf outside the silhouette.

    Returns:
        (L, G/2, G/2) distances, in cells of this grid, at each of the depths (L,) to the nearest
        cell where the camera has not seen beyond that depth.
    """
    rows = np.minimum(nearest[::2], nearest[1::2])
    coarse = np.minimum(rows[:, ::2], rows[:, 1::2])
    return 2 * np.stack([scipy.ndimage.distance_transform_edt(coarse > d) for d in depths])


def free_distance(observation: Observation, points: Tensor, config: FreeSpaceConfig = CONFIG,
                  ) -> tuple[Tensor, Tensor]:
    """Depth of surface points in observed free space, and its gradient.

    Space is free outside the silhouette, except at or behind a depth that was measured off the
    object: there the surface may be hidden. Space is also free in front of the object's measured
    depths. The way out of it is the shorter one of two: straight back to the measured depth, or
    aside to the nearest cell where the camera has not seen beyond the point's depth.

    Args:
        points: (..., 3) canonical units, camera frame.

    Returns:
        distance (...), 0 for points that may be surface, and its gradient (..., 3).
    """
    z = points[..., 2].clamp_min(config.least_depth)
    tangent = points[..., :2] / z[..., None]
    at = (tangent - observation.corner) / observation.cell
    cells = observation.others.shape[0]
    x, y = at.clamp(0, cells - 1.001).add(0.5).long().unbind(-1)
    nearest = y * cells + x
    hidden = z >= observation.others.take(nearest) - config.hidden
    back = observation.nearest.take(nearest) - config.hidden - z
    depths = observation.depths
    layer = torch.searchsorted(depths, z + config.hidden).clamp_max(len(depths) - 1)

    (outside, aside), (outward, sideways) = _bilinear(observation.maps, cells, at, layer)
    outside, aside = outside * z * ~hidden, aside * z * (back > 0)
    before = torch.minimum(aside, back.clamp_min(0))
    further = before > outside
    slope = torch.where(further[..., None], sideways / 2, outward) / observation.cell
    distance = torch.where(further, before, outside)
    # A distance in tangent units times the depth: it also changes along the ray.
    along = distance / z - (slope * tangent).sum(-1)
    straight = further & (back < aside)
    gradient = torch.cat([slope * ~straight[..., None],
                          torch.where(straight, -1.0, along)[..., None]], dim=-1)
    return distance, gradient * (distance > 0)[..., None]


def _bilinear(maps: Tensor, cells: int, at: Tensor, layer: Tensor) -> tuple[Tensor, Tensor]:
    """Bilinear interpolation in both kinds of maps of an observation.

    Args:
        maps: the map (G, G) and, after it, the layers (L, G/2, G/2), flat.
        cells: G.
        at: (..., 2) x and y in cells of the map (G, G).
        layer: (...) indices of layers.

    Returns:
        values (2, ...) in the map and in the layers, and their slopes (2, ..., 2).
    """
    last, width, stride, corners = _layout(cells, at.device)
    ones = [1] * (at.dim() - 1)
    inside = torch.stack([at, at / 2 - 0.25]).clamp_min(0).minimum(last.view(2, *ones, 1))
    i = inside.floor()
    fx, fy = (inside - i).unbind(-1)
    x, y = i.long().unbind(-1)
    first = layer * stride.view(2, *ones) + (y * width.view(2, *ones) + x)
    d00, d10, d01, d11 = maps.take(first[..., None] + corners.view(2, *ones, 4)).unbind(-1)
    lower, upper, left = d10 - d00, d11 - d01, d01 - d00
    bend = upper - lower
    below = d00 + lower * fx
    return (below + (d01 + upper * fx - below) * fy,
            torch.stack([lower + bend * fy, left + bend * fx], dim=-1))


@lru_cache
def _layout(cells: int, device: torch.device) -> tuple[Tensor, ...]:
    """Memory layout of the map and of the layers (2, ...).

    Returns:
        the last position (2,) inside; the widths (2,); the strides (2,) from layer to layer; the
        offsets (2, 4) of a cell's four corners from the first value of all.
    """
    half = cells // 2
    last = torch.tensor([cells - 1.001, half - 1.001])
    corners = torch.tensor([[0, 1, cells, cells + 1],
                            [cells ** 2 + step for step in (0, 1, half, half + 1)]])
    return tuple(x.to(device) for x in (
        last, torch.tensor([cells, half]), torch.tensor([0, half ** 2]), corners))
