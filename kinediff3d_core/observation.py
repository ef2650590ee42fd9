"""What one view says of an object: surface that was seen, and space that was seen to be empty.

Canonical units, camera frame; tangent units are those of x/z and y/z.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        silhouette: (G, G) distance to the object's outline in the image, tangent units.
        others: (G, G) smallest depth that was measured off the object; inf where nothing was.
        corner: (2,) tangent coordinates x/z, y/z of the first cell's centre; cell: () its size.
        nearest: (G, G) smallest depth that was measured on the object; 0 where nothing was.
        carved: (L, G/2, G/2) distance, tangent units, at L depths from there to where the camera
            has not seen beyond that depth. depths: (L,).
    """

    points: Tensor
    empty: Tensor
    centroid: Tensor
    silhouette: Tensor
    others: Tensor
    corner: Tensor
    cell: Tensor
    nearest: Tensor
    carved: Tensor
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
    tangent = cloud[:, :2] / cloud[:, 2:]
    low, high = tangent.min(0), tangent.max(0)
    size = float((high - low).max()) * 1.8 + 1e-6
    # A few sizes: a GPU replays what it has done for each.
    cells = 12 * int(np.clip(1.4 * np.sqrt(len(cloud)) / 12 + 0.5, 2, 12))
    cell = size / cells
    corner = (low + high) / 2 - size / 2 + cell / 2

    def cells_of(tangent: np.ndarray) -> np.ndarray:
        at: np.ndarray = np.floor((tangent - corner) / cell + 0.5).astype(int)
        return at

    index = np.clip(cells_of(tangent), 0, cells - 1)
    seen = np.zeros((cells, cells), dtype=bool)
    seen[index[:, 1], index[:, 0]] = True
    seen = scipy.ndimage.binary_fill_holes(scipy.ndimage.binary_closing(
        np.pad(seen, 2), iterations=2))[2:-2, 2:-2]
    # The outline runs half a cell from the centres of the cells within it.
    distance = (scipy.ndimage.distance_transform_edt(~seen) - 0.5).clip(0) * cell
    inside = scipy.ndimage.distance_transform_edt(np.pad(seen, 1))[1:-1, 1:-1]
    measured = np.full((cells, cells), np.inf)
    if others is not None:
        others = others[np.isfinite(others).all(1) & (others[:, 2] > 0)]
        at = cells_of(others[:, :2] / others[:, 2:])
        within = ((at > 0) & (at < cells - 1)).all(1)
        measured = scipy.ndimage.minimum_filter(
            _smallest(cells, at[within], others[within, 2]), 3)
    nearest = _smallest(cells, index, cloud[:, 2])
    # Where the outline is filled without a measurement nothing is known.
    nearest[seen & np.isinf(nearest)] = 0
    depths = np.linspace(cloud[:, 2].min(), cloud[:, 2].max(), LAYERS + 1)[1:]
    band = torch.from_numpy(inside[index[:, 1], index[:, 0]] < BAND)
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

    return Observation(points, empty, points.mean(0), grid(distance), grid(measured), grid(corner),
                       grid(cell), grid(np.where(np.isinf(nearest), 0, nearest)),
                       grid(cell * _carve(nearest, depths)), grid(depths))


def _smallest(cells: int, at: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Smallest of the depths (P,) in each cell of a square grid, inf in those without any.

    Args:
        at: (P, 2) their cells, x and y.
    """
    smallest = np.full((cells, cells), np.inf)
    np.minimum.at(smallest, (at[:, 1], at[:, 0]), depth)
    return smallest


def _carve(nearest: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """Space carving (Kutulakos and Seitz 2000) before one cloud: what it looks through is empty.

    Args:
        nearest: (G, G) smallest depth in each cell; inf outside the outline.

    Returns:
        (L, G/2, G/2) distances at each of the depths (L,), in cells of this grid.
    """
    half = len(nearest) // 2
    coarse = nearest.reshape(half, 2, half, 2).min((1, 3))
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
    cells, half = seen.silhouette.shape[0], seen.carved.shape[1]
    x, y = at.clamp(0, cells - 1.001).add(0.5).long().unbind(-1)
    nearest = y * cells + x
    hidden = z >= seen.others.take(nearest) - HIDDEN
    back = seen.nearest.take(nearest) - HIDDEN - z
    layer = torch.searchsorted(seen.depths, z + HIDDEN).clamp_max(LAYERS - 1)

    outside, outward = _bilinear(seen.silhouette, at, 0)
    aside, sideways = _bilinear(seen.carved, at / 2 - 0.25, layer * half ** 2)
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


def _bilinear(grid: Tensor, at: Tensor, offset: Tensor | int) -> tuple[Tensor, Tensor]:
    """Values (...) of a square grid, the one that begins at an offset (...), at places (..., 2) in
    cells, x and y; and their slopes (..., 2)."""
    cells = grid.shape[-1]
    inside = at.clamp(0, cells - 1.001)
    i = inside.floor()
    fx, fy = (inside - i).unbind(-1)
    x, y = i.long().unbind(-1)
    first = offset + y * cells + x
    d00, d10, d01, d11 = (grid.take(first + step) for step in (0, 1, cells, cells + 1))
    lower, upper = d10 - d00, d11 - d01
    below, above = d00 + lower * fx, d01 + upper * fx
    return (below + (above - below) * fy,
            torch.stack([lower + (upper - lower) * fy, d01 - d00 + (upper - lower) * fx], dim=-1))
