"""What one view says of an object: surface that was seen, and space that was seen to be empty.

Canonical units, camera frame; tangent units are those of x/z and y/z.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.ndimage
import torch
import torch.nn.functional as F
from torch import Tensor

BAND = 2.5
"""Width of the band along the outline, cells."""
STANDOFFS = (0.02, 0.06)
"""How far in front of each observed point space is known to be empty, canonical units."""
HIDDEN = 0.02
"""Surface that is no further than this in front of what was measured there, canonical units, may
be that, or behind it."""
LAYERS = 10
"""Depths at which the space before the cloud is carved."""


@dataclass(frozen=True)
class Observation:
    """What one view says, canonical units, camera frame.

    Attributes:
        points: (N, 3) observed surface. empty: (M, 3) points known to be in free space.
        centroid: (3,) of the points.
        others: (G, G) smallest depth that was measured off the object; inf where nothing was.
        corner: (2,) tangent coordinates x/z, y/z of the first cell's centre; cell: () its size.
        nearest: (G, G) smallest depth that was measured on the object; 0 where nothing was.
        maps: distances, tangent units: (G, G) to the object's outline in the image, and after
            them (L, G/2, G/2) at L depths to where the camera has not seen beyond that depth.
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


def observe(cloud: np.ndarray, n: int, generator: torch.Generator,
            others: np.ndarray | None = None) -> Observation:
    """Observation of a camera-frame cloud.

    Half of the points that residuals use are drawn from a band along the object's outline: where
    parts end is what says how long and thick they are.

    Args:
        cloud: (P, 3) all points, canonical units. n: how many points residuals use.
        others: (M, 3) points off the object: what may hide it, or be what its mask has missed.
    """
    # Each coordinate in one piece: what follows goes through them many times.
    along = np.ascontiguousarray(cloud.T)
    tangent, depth = along[:2] / along[2], along[2]
    low, high = tangent.min(1), tangent.max(1)
    size = float((high - low).max()) * 1.8 + 1e-6
    # A few sizes: a GPU replays what it has done for each.
    cells = 12 * int(np.clip(1.4 * np.sqrt(len(cloud)) / 12 + 0.5, 2, 12))
    cell = size / cells
    corner = (low + high) / 2 - size / 2 + cell / 2

    def cells_of(tangent: np.ndarray) -> np.ndarray:
        at: np.ndarray = np.floor((tangent - corner[:, None]) / cell + 0.5).astype(int)
        return at

    x, y = np.clip(cells_of(tangent), 0, cells - 1)
    index = y * cells + x
    seen = np.zeros((cells, cells), dtype=bool)
    seen.ravel()[index] = True
    seen = scipy.ndimage.binary_fill_holes(scipy.ndimage.binary_closing(
        np.pad(seen, 2), iterations=2))[2:-2, 2:-2]
    # The outline runs half a cell from the centres of the cells within it.
    distance = (scipy.ndimage.distance_transform_edt(~seen) - 0.5).clip(0) * cell
    inside = scipy.ndimage.distance_transform_edt(np.pad(seen, 1))[1:-1, 1:-1]
    measured = np.full((cells, cells), np.inf)
    if others is not None:
        along = np.ascontiguousarray(others.T)
        along = along[:, np.isfinite(along).all(0) & (along[2] > 0)]
        x, y = cells_of(along[:2] / along[2])
        within = (x > 0) & (x < cells - 1) & (y > 0) & (y < cells - 1)
        measured = scipy.ndimage.minimum_filter(
            _smallest(cells, (y * cells + x)[within], along[2, within]), 3)
    nearest = _smallest(cells, index, depth)
    # Where the outline is filled without a measurement nothing is known.
    nearest[seen & np.isinf(nearest)] = 0
    depths = np.linspace(depth.min(), depth.max(), LAYERS + 1)[1:]
    band = torch.from_numpy(inside.ravel()[index] < BAND)
    device = generator.device
    lot = torch.rand(2, len(cloud), generator=generator, device=device)
    edge = (lot[0] * band.to(device)).topk(min(n // 2, int(band.sum()))).indices
    lot[1, edge] = 0
    rest = lot[1].topk(min(n - len(edge), len(cloud) - len(edge))).indices
    points = torch.from_numpy(cloud).float().to(device)[torch.cat([edge, rest])]
    ray = F.normalize(points, dim=-1)
    half = points[::2], ray[::2]
    empty = torch.cat([half[0] - s * half[1] for s in STANDOFFS])

    def grid(values: np.ndarray | float) -> Tensor:
        return torch.as_tensor(values).float().to(device)

    maps = np.concatenate([distance.ravel(), cell * _carve(nearest, depths).ravel()])
    return Observation(points, empty, points.mean(0), grid(measured), grid(corner), grid(cell),
                       grid(np.where(np.isinf(nearest), 0, nearest)), grid(maps), grid(depths))


def _smallest(cells: int, at: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Smallest of the depths (P,) in each cell of a square grid, inf in those without any.

    Args:
        at: (P,) their cells, row by row.
    """
    smallest = np.full(cells ** 2, np.inf)
    # Of one type and in one piece it takes a tenth of the time.
    np.minimum.at(smallest, at, depth.astype(smallest.dtype))
    return smallest.reshape(cells, cells)


def _carve(nearest: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Space carving (Kutulakos and Seitz 2000) before one cloud: what it looks through is empty.

    Args:
        nearest: (G, G) smallest depth in each cell; inf outside the outline.

    Returns:
        (L, G/2, G/2) distances at each of the depths (L,), in cells of this grid.
    """
    rows = np.minimum(nearest[::2], nearest[1::2])
    coarse = np.minimum(rows[:, ::2], rows[:, 1::2])
    return 2 * np.stack([scipy.ndimage.distance_transform_edt(coarse > d) for d in depths])


def free_distance(seen: Observation, points: Tensor) -> tuple[Tensor, Tensor]:
    """How far surface points (..., 3) stand in space that was seen to be free of the object, and
    the gradient (..., 3).

    That is outside its outline, but not where something else was measured at or before a point,
    which hides it; or before what was measured of it, where the way out is the shorter one of
    straight back and aside to where the camera has not seen further.
    """
    z = points[..., 2].clamp_min(0.05)
    tangent = points[..., :2] / z[..., None]
    at = (tangent - seen.corner) / seen.cell
    cells = seen.others.shape[0]
    x, y = at.clamp(0, cells - 1.001).add(0.5).long().unbind(-1)
    nearest = y * cells + x
    hidden = z >= seen.others.take(nearest) - HIDDEN
    back = seen.nearest.take(nearest) - HIDDEN - z
    layer = torch.searchsorted(seen.depths, z + HIDDEN).clamp_max(LAYERS - 1)

    (outside, aside), (outward, sideways) = _bilinear(seen.maps, cells, at, layer)
    outside, aside = outside * z * ~hidden, aside * z * (back > 0)
    before = torch.minimum(aside, back.clamp_min(0))
    further = before > outside
    slope = torch.where(further[..., None], sideways / 2, outward) / seen.cell
    distance = torch.where(further, before, outside)
    # A value in tangent units grows with depth, too.
    along = distance / z - (slope * tangent).sum(-1)
    straight = further & (back < aside)
    gradient = torch.cat([slope * ~straight[..., None],
                          torch.where(straight, -1.0, along)[..., None]], dim=-1)
    return distance, gradient * (distance > 0)[..., None]


def _bilinear(maps: Tensor, cells: int, at: Tensor, layer: Tensor) -> tuple[Tensor, Tensor]:
    """Values (2, ...) at places (..., 2), x and y in cells of the first map (G, G), in that map
    and in the layers (...) of the second (L, G/2, G/2), and their slopes (2, ..., 2)."""
    last, width, begin, corners = _layout(cells, at.device)
    wide = [1] * (at.dim() - 1)
    inside = torch.stack([at, at / 2 - 0.25]).clamp_min(0).minimum(last.view(2, *wide, 1))
    i = inside.floor()
    fx, fy = (inside - i).unbind(-1)
    x, y = i.long().unbind(-1)
    first = layer * begin.view(2, *wide) + (y * width.view(2, *wide) + x)
    d00, d10, d01, d11 = maps.take(first[..., None] + corners.view(2, *wide, 4)).unbind(-1)
    lower, upper, left = d10 - d00, d11 - d01, d01 - d00
    bend = upper - lower
    below = d00 + lower * fx
    return (below + (d01 + upper * fx - below) * fy,
            torch.stack([lower + bend * fy, left + bend * fx], dim=-1))


@lru_cache
def _layout(cells: int, device: torch.device) -> tuple[Tensor, ...]:
    """Of both maps (2, ...): the last place, the width, how much further a layer begins, and how
    far the four corners of a cell lie from the map's first value."""
    half = cells // 2
    last = torch.tensor([cells - 1.001, half - 1.001])
    corners = torch.tensor([[0, 1, cells, cells + 1],
                            [cells ** 2 + step for step in (0, 1, half, half + 1)]])
    return tuple(x.to(device) for x in (
        last, torch.tensor([cells, half]), torch.tensor([0, half ** 2]), corners))
