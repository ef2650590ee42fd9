"""Watertight meshes out of signed distance functions, evaluated near the surface only.

The box is cut into blocks of 8^3 cells. A block whose centre is further from the surface than its
own reach cannot hold any of it and is left alone; the others are halved and asked again. Blocks of
4^3 and 2^3 cells in which the distance is linear (their centre is the mean of their corners) are
interpolated; only in the others, along edges and curves, is every sample evaluated. Marching cubes
runs on the filled grid (Lewiner et al. 2003, scikit-image), where samples never looked at carry
their block's sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from kinediff3d_core.objects.estimate import Mesh

Sdf = Callable[[Tensor], Tensor]

COARSE = 8
"""Edge of the first blocks, in cells; a power of two."""

LINEAR = 0.15
"""A block is linear if its centre is off the mean of its corners by less, in smallest cells."""

SMALL = 0.1
"""Connected surfaces with less than this of the largest one's area are floaters."""

MAX_SAMPLES = 512**3
"""Largest grid that is laid out in memory."""


def extract_mesh(sdf: Sdf, lower: Tensor | Sequence[float], upper: Tensor | Sequence[float],
                 voxel: float | Tensor | Sequence[float], *, dense: bool = False,
                 band: float = 1.1, chunk: int = 1 << 18,
                 keep: Literal['large', 'all'] = 'large') -> Mesh:
    """The zero level of a signed distance function as a closed, outward mesh.

    Args:
        sdf: points (N, 3) to signed distances (N,), negative inside, in one unit of length; it is
            called without gradients, on the device and in the type of ``lower``.
        lower, upper: (3,) corners of the box that is searched. A surface that leaves the box is
            closed at its wall.
        voxel: edge of a cell, one number or (3,); thin parts want small cells across only.
        dense: evaluate every sample of the grid (the ``paper`` preset).
        band: blocks are refined while |sdf(centre)| <= band * reach. One is exact for a true
            distance; learned ones overshoot a little.
        chunk: most points in one call of ``sdf``.
        keep: ``large`` drops floaters (less than a tenth of the area of the largest surface) and
            closed cavities. Walls thinner than a cell may fall apart into several large ones.

    Returns:
        Mesh in the unit and frame of ``sdf``.

    Raises:
        ValueError: an empty or oversized box, a voxel that is not positive, non-finite distances,
            or no surface in the box.
    """
    low = torch.as_tensor(lower)
    low = low if low.is_floating_point() else low.float()
    high = torch.as_tensor(upper, dtype=low.dtype, device=low.device)
    step = torch.as_tensor(voxel, dtype=low.dtype, device=low.device).expand(3)
    if not bool((step > 0).all()):
        raise ValueError(f'voxel must be positive, got {step.tolist()}')
    if not bool((high > low).all()):
        raise ValueError(f'box is empty: lower {low.tolist()}, upper {high.tolist()}')
    cells = torch.ceil((high - low) / step - 1e-4).long().clamp_min(1)
    low = (low + high) / 2 - cells * step / 2
    shape = [int(n) + 1 for n in cells]
    if shape[0] * shape[1] * shape[2] > MAX_SAMPLES:
        raise ValueError(f'a grid of {shape} samples is too large; voxel {step.tolist()} is too '
                         f'fine for the box {low.tolist()} to {high.tolist()}')

    @torch.no_grad()
    def sample(p: Tensor) -> Tensor:
        values = torch.cat([sdf(part) for part in torch.split(p, chunk)]) if len(p) else p[:, 0]
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f'sdf gave {int((~torch.isfinite(values)).sum())} non-finite '
                             f'distances in {len(p)}')
        return values.to(low.dtype)

    if dense:
        index = torch.ones(shape, dtype=torch.bool, device=low.device).nonzero()
        values, first = sample(low + index * step).reshape(shape), index[0]
    else:
        values, first = _sparse_samples(sample, low, step, shape, band)
    if not bool((values < 0).any()):
        raise ValueError(f'no surface between {low.tolist()} and {high.tolist()}')
    return _march(values, low + first * step, step, keep)


def _sparse_samples(sample: Sdf, low: Tensor, step: Tensor, shape: list[int], band: float,
                    ) -> tuple[Tensor, Tensor]:
    """Samples (X, Y, Z) of the part of the grid that is not outside, and its first index (3,)."""
    blocks = [-(-(n - 1) // COARSE) for n in shape]
    active = torch.ones(blocks, dtype=torch.bool, device=low.device)
    value = torch.zeros(blocks, dtype=low.dtype, device=low.device)
    first = torch.zeros(3, dtype=torch.long, device=low.device)

    def look(size: int) -> None:
        """Ask the centres of active blocks; those out of reach are active no more."""
        index = active.nonzero()
        value[active] = distance = sample(low + (first + index + 0.5) * size * step)
        reach = torch.full_like(distance, size * float(step.norm()) / 2)
        if size < COARSE:
            reach = torch.minimum(reach, 1.2 * _variation(value)[active])
        active[tuple(index.T)] = distance.abs() <= band * reach

    look(COARSE)
    active, value, first = _crop(active, value, first)
    layers: list[tuple[Tensor, Tensor]] = []
    for size in (4, 2):
        if not active.numel():
            return value, first
        active, value, first = _double(active), _double(value), first * 2
        look(size)
        if size == 4:
            active, value, first = _crop(active, value, first)
            if not active.numel():
                return value, first
        corners = _corners(active)
        grid = torch.zeros(corners.shape, dtype=low.dtype, device=low.device)
        index = corners.nonzero()
        grid[tuple(index.T)] = sample(low + (first + index) * size * step)
        mean = torch.nn.functional.avg_pool3d(grid[None, None], 2, stride=1)[0, 0]
        linear = active & ((mean - value).abs() < LINEAR * float(step.min()))
        layers.append((linear, grid))
        active = active & ~linear

    # Fine samples: the blocks' own sign, then interpolation, then what is evaluated.
    first = first * 2
    x, y, z = (min(2 * n + 1, m - int(f))
               for n, m, f in zip(active.shape, shape, first, strict=True))
    filled = _double(value)
    filled = torch.cat([filled, filled[-1:]], 0)
    filled = torch.cat([filled, filled[:, -1:]], 1)
    filled = torch.cat([filled, filled[:, :, -1:]], 2)
    known = torch.zeros(filled.shape, dtype=torch.bool, device=low.device)
    for (linear, grid), size in zip(layers, (4, 2), strict=True):
        fine = torch.nn.functional.interpolate(grid[None, None], size=filled.shape,
                                               mode='trilinear', align_corners=True)[0, 0]
        for _ in range(size // 2):
            linear = _double(linear)
        inside = _corners(linear)
        filled = torch.where(inside, fine, filled)
        known |= inside
    wanted = _corners(_double(active))[:x, :y, :z].contiguous()
    filled, known = filled[:x, :y, :z].contiguous(), known[:x, :y, :z].contiguous()
    while True:
        index = wanted.nonzero()
        if not len(index):
            return filled, first
        filled[tuple(index.T)] = sample(low + (first + index) * step)
        # A learned distance may overshoot: follow the surface out of the evaluated band.
        known = known | wanted
        wanted = _beside_sign_change(filled < 0) & ~known


def _corners(cells: Tensor) -> Tensor:
    """Samples (X+1, Y+1, Z+1) that are a corner of any marked cell (X, Y, Z)."""
    marked = torch.nn.functional.pad(cells, (0, 1, 0, 1, 0, 1))
    for axis in range(3):
        n = marked.shape[axis] - 1
        marked.narrow(axis, 1, n).logical_or_(marked.narrow(axis, 0, n).clone())
    return marked


def _variation(value: Tensor) -> Tensor:
    """How far a distance changes from a block's centre to its faces, from its neighbours.

    Across a flat wall this is far less than the half diagonal of a wide, thin block.
    """
    total = torch.zeros_like(value)
    for axis in range(3):
        n = value.shape[axis] - 1
        change = (value.narrow(axis, 1, n) - value.narrow(axis, 0, n)).abs()
        most = torch.zeros_like(value)
        most.narrow(axis, 0, n).copy_(change)
        torch.maximum(most.narrow(axis, 1, n), change, out=most.narrow(axis, 1, n))
        total += most / 2
    return total


def _crop(active: Tensor, value: Tensor, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Drop the blocks around the object, all but one layer: neither active nor inside."""
    index = (active | (value < 0)).nonzero()
    if not len(index):
        return active[:0], value[:0], first
    lo, hi = (index.amin(0) - 1).clamp_min(0), index.amax(0) + 2
    keep = tuple(slice(int(a), int(b)) for a, b in zip(lo, hi, strict=True))
    return active[keep], value[keep], first + lo


def _double(grid: Tensor) -> Tensor:
    """Each entry of (X, Y, Z) repeated along every axis."""
    for axis in range(3):
        grid = grid.repeat_interleave(2, dim=axis)
    return grid


def _beside_sign_change(inside: Tensor) -> Tensor:
    """Both ends of every grid edge whose ends differ."""
    out = torch.zeros_like(inside)
    for axis in range(3):
        n = inside.shape[axis] - 1
        change = inside.narrow(axis, 0, n) != inside.narrow(axis, 1, n)
        out.narrow(axis, 0, n).logical_or_(change)
        out.narrow(axis, 1, n).logical_or_(change)
    return out


def _march(values: Tensor, low: Tensor, step: Tensor, keep: Literal['large', 'all']) -> Mesh:
    """Marching cubes over samples (X, Y, Z) from ``low``, closed at the walls of the grid."""
    from skimage.measure import marching_cubes

    # A sample on the surface itself would make triangles without area.
    least = 1e-3 * float(step.min())
    values = torch.where(values.abs() < least, torch.where(values < 0, -least, least), values)
    # Beyond the grid is far outside: the cap lies within a tenth of a cell of the wall.
    far = 2 * float(step.norm())
    grid = torch.nn.functional.pad(values.float().clamp(-far, far), (1, 1, 1, 1, 1, 1),
                                   value=20 * far)
    vertices, faces, _, _ = marching_cubes(  # type: ignore[no-untyped-call]
        grid.cpu().numpy(), 0.0, gradient_direction='descent')
    spacing, origin = step.double().cpu().numpy(), (low - step).double().cpu().numpy()
    vertices = vertices.astype(np.float64) * spacing + origin
    if keep == 'large':
        vertices, faces = _large_components(vertices, faces)
    return Mesh(vertices.astype(np.float32), faces.astype(np.int64))


def _large_components(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The connected surfaces that are not small beside the largest and have an inside."""
    ends = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])),
                       shape=(len(vertices), len(vertices)))
    count, label = connected_components(graph, directed=False)
    if count > 1:
        corner = vertices[faces]
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        mine = label[faces[:, 0]]
        area = np.bincount(mine, weights=np.linalg.norm(normal, axis=-1), minlength=count)
        volume = np.bincount(mine, weights=(corner[:, 0] * normal).sum(-1), minlength=count)
        area[volume <= 0] = 0
        faces = faces[(area >= SMALL * area.max())[mine]]
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    renumber = np.cumsum(used) - 1
    return vertices[used], renumber[faces]
