"""Watertight meshes out of signed distance functions, evaluated near the surface only.

The box is cut into blocks of 8^3 cells. A block whose centre is further from the surface than its
own reach contains none of it and is dropped; the others are halved and evaluated again. In blocks
of 4^3 and 2^3 cells the distance is interpolated where it is linear, that is where the centre's
value is the mean of the corners' values; elsewhere, along edges and curves, every sample is
evaluated. Marching cubes runs on the filled grid (Lewiner et al. 2003, scikit-image), where
samples that were not evaluated have their block's sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from kinediff3d_core.objects.estimate import Mesh

Sdf = Callable[[Tensor], Tensor]

COARSE = 8
"""Edge of the first blocks, in cells; a power of two. Chosen."""
BAND = 1.1
"""Blocks are refined while |sdf(centre)| is at most this multiple of their reach. One is exact for
a true distance; learned ones overshoot a little. Chosen."""
VARIATION = 1.2
"""Factor of the measured change of the distance within a block, as for :data:`BAND`. Chosen."""
LINEAR = 0.15
"""A block is linear if its centre's value differs from the mean of its corners' by less, in
smallest cells. Chosen."""
SMALL = 0.1
"""Connected surfaces with less than this share of the largest one's area are dropped. Chosen."""
MAX_SAMPLES = 512**3
"""Largest grid, so that it fits into memory. Chosen."""
CHUNK = 1 << 18
"""Most points in one call of the distance function. Chosen."""


@dataclass(frozen=True)
class _Grid:
    """Samples at ``low + index * step``.

    Attributes: low, step: (3,). shape: samples along each axis.
    """

    low: Tensor
    step: Tensor
    shape: list[int]


@dataclass(frozen=True)
class _Blocks:
    """Blocks of one size over part of a grid.

    Attributes:
        active: (X, Y, Z) which may contain surface.
        value: (X, Y, Z) distances at the blocks' centres.
        first: (3,) index of the first block among all of that size.
    """

    active: Tensor
    value: Tensor
    first: Tensor

    def halved(self) -> _Blocks:
        """Eight blocks for each one, with its value."""
        return _Blocks(_double(self.active), _double(self.value), self.first * 2)

    def cropped(self) -> _Blocks:
        """All but the outer blocks that are neither active nor inside, with a layer around."""
        index = (self.active | (self.value < 0)).nonzero()
        if not len(index):
            return _Blocks(self.active[:0], self.value[:0], self.first)
        lo, hi = (index.amin(0) - 1).clamp_min(0), index.amax(0) + 2
        keep = tuple(slice(int(a), int(b)) for a, b in zip(lo, hi, strict=True))
        return _Blocks(self.active[keep], self.value[keep], self.first + lo)


def extract_mesh(sdf: Sdf, lower: Tensor | Sequence[float], upper: Tensor | Sequence[float],
                 voxel: float | Tensor | Sequence[float], *, dense: bool = False,
                 keep: Literal['large', 'all'] = 'large') -> Mesh:
    """The zero level of a signed distance function as a closed mesh, oriented outward.

    Args:
        sdf: points (N, 3) to signed distances (N,), negative inside, in one unit of length; it is
            called without gradients, on the device and in the type of ``lower``.
        lower, upper: (3,) corners of the box that is searched. A surface that leaves the box is
            closed at its wall.
        voxel: edge of a cell, one number or (3,). Thin parts need small cells across only.
        dense: evaluate every sample of the grid (the ``paper`` preset).
        keep: ``large`` drops small surfaces (less than a tenth of the area of the largest) and
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
    grid, sample = _grid(low, high, step), _sampler(sdf, low.dtype)
    if dense:
        index = torch.ones(grid.shape, dtype=torch.bool, device=low.device).nonzero()
        values, first = sample(grid.low + index * step).reshape(grid.shape), index[0]
    else:
        values, first = _sparse_samples(sample, grid)
    if not bool((values < 0).any()):
        raise ValueError(f'no surface between {grid.low.tolist()} and {high.tolist()}')
    return _march(values, grid.low + first * step, step, keep)


def _grid(low: Tensor, high: Tensor, step: Tensor) -> _Grid:
    """The grid of whole cells around the middle of a box.

    Raises:
        ValueError: a cell that is not positive, an empty box, or too many samples.
    """
    if not bool((step > 0).all()):
        raise ValueError(f'voxel must be positive, got {step.tolist()}')
    if not bool((high > low).all()):
        raise ValueError(f'box is empty: lower {low.tolist()}, upper {high.tolist()}')
    # A box of whole cells gets no further one by rounding.
    cells = torch.ceil((high - low) / step - 1e-4).long().clamp_min(1)
    low = (low + high) / 2 - cells * step / 2
    shape = [int(n) + 1 for n in cells]
    if shape[0] * shape[1] * shape[2] > MAX_SAMPLES:
        raise ValueError(f'a grid of {shape} samples is too large; voxel {step.tolist()} is too '
                         f'fine for the box {low.tolist()} to {high.tolist()}')
    return _Grid(low, step, shape)


def _sampler(sdf: Sdf, dtype: torch.dtype) -> Sdf:
    """The distance function in chunks, without gradients, which refuses non-finite values."""
    @torch.no_grad()
    def sample(p: Tensor) -> Tensor:
        values = torch.cat([sdf(part) for part in torch.split(p, CHUNK)]) if len(p) else p[:, 0]
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f'sdf gave {int((~torch.isfinite(values)).sum())} non-finite '
                             f'distances in {len(p)}')
        return values.to(dtype)

    return sample


def _sparse_samples(sample: Sdf, grid: _Grid) -> tuple[Tensor, Tensor]:
    """Samples (X, Y, Z) of the part of the grid that is not outside, and its first index (3,)."""
    count = [-(-(n - 1) // COARSE) for n in grid.shape]
    device = grid.low.device
    blocks = _Blocks(torch.ones(count, dtype=torch.bool, device=device),
                     torch.zeros(count, dtype=grid.low.dtype, device=device),
                     torch.zeros(3, dtype=torch.long, device=device))
    blocks = _evaluate_centres(sample, grid, blocks, COARSE).cropped()
    layers: list[tuple[Tensor, Tensor]] = []
    for size in (4, 2):
        if blocks.active.numel():
            blocks = _evaluate_centres(sample, grid, blocks.halved(), size)
        if size == 4:
            blocks = blocks.cropped()
        if not blocks.active.numel():
            return blocks.value, blocks.first
        linear, corners = _linear_blocks(sample, grid, blocks, size)
        layers.append((linear, corners))
        blocks = replace(blocks, active=blocks.active & ~linear)
    return _evaluate_near_surface(sample, grid, blocks, *_interpolate(blocks, layers))


def _evaluate_centres(sample: Sdf, grid: _Grid, blocks: _Blocks, size: int) -> _Blocks:
    """Blocks of ``size`` cells with the distances at the centres of the active ones; those too far
    from the surface are no longer active."""
    active, value = blocks.active.clone(), blocks.value.clone()
    index = active.nonzero()
    distance = sample(grid.low + (blocks.first + index + 0.5) * size * grid.step)
    value[active] = distance
    reach = torch.full_like(distance, size * float(grid.step.norm()) / 2)
    if size < COARSE:
        reach = torch.minimum(reach, VARIATION * _variation(value)[active])
    active[tuple(index.T)] = distance.abs() <= BAND * reach
    return _Blocks(active, value, blocks.first)


def _linear_blocks(sample: Sdf, grid: _Grid, blocks: _Blocks, size: int) -> tuple[Tensor, Tensor]:
    """Which active blocks (X, Y, Z) are linear, and distances (X+1, Y+1, Z+1) at all corners of
    active blocks."""
    corners = _corners(blocks.active)
    values = torch.zeros(corners.shape, dtype=grid.low.dtype, device=grid.low.device)
    index = corners.nonzero()
    values[tuple(index.T)] = sample(grid.low + (blocks.first + index) * size * grid.step)
    mean = torch.nn.functional.avg_pool3d(values[None, None], 2, stride=1)[0, 0]
    off = (mean - blocks.value).abs()
    return blocks.active & (off < LINEAR * float(grid.step.min())), values


def _interpolate(blocks: _Blocks, layers: Sequence[tuple[Tensor, Tensor]],
                 ) -> tuple[Tensor, Tensor]:
    """Samples of the blocks' region: interpolated in linear blocks, elsewhere the blocks' values,
    which have the right sign; and which of them are interpolated.

    Args:
        layers: linear blocks and their corners' distances, of 4 and of 2 cells.
    """
    filled = _double(blocks.value)
    filled = torch.cat([filled, filled[-1:]], 0)
    filled = torch.cat([filled, filled[:, -1:]], 1)
    filled = torch.cat([filled, filled[:, :, -1:]], 2)
    known = torch.zeros(filled.shape, dtype=torch.bool, device=filled.device)
    for (linear, corners), size in zip(layers, (4, 2), strict=True):
        fine = torch.nn.functional.interpolate(corners[None, None], size=filled.shape,
                                               mode='trilinear', align_corners=True)[0, 0]
        for _ in range(size // 2):
            linear = _double(linear)
        inside = _corners(linear)
        filled = torch.where(inside, fine, filled)
        known |= inside
    return filled, known


def _evaluate_near_surface(sample: Sdf, grid: _Grid, blocks: _Blocks, filled: Tensor,
                           known: Tensor) -> tuple[Tensor, Tensor]:
    """The samples with those of active blocks evaluated, and their first index (3,) in the grid.

    A learned distance may overshoot, so that the surface leaves the evaluated blocks: samples
    beside a sign change are evaluated until all are known.
    """
    first = blocks.first * 2
    x, y, z = (min(2 * n + 1, m - int(f))
               for n, m, f in zip(blocks.active.shape, grid.shape, first, strict=True))
    wanted = _corners(_double(blocks.active))[:x, :y, :z].contiguous()
    filled, known = filled[:x, :y, :z].contiguous(), known[:x, :y, :z].contiguous()
    while True:
        index = wanted.nonzero()
        if not len(index):
            return filled, first
        filled[tuple(index.T)] = sample(grid.low + (first + index) * grid.step)
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
    """Change of the distance from a block's centre to its corners, from its neighbours' values.

    At a flat wall this is far less than the half diagonal of a wide, thin block.
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


def _double(grid: Tensor) -> Tensor:
    """Each entry of (X, Y, Z) repeated along every axis."""
    for axis in range(3):
        grid = grid.repeat_interleave(2, dim=axis)
    return grid


def _beside_sign_change(inside: Tensor) -> Tensor:
    """Mask (X, Y, Z) of the samples at both ends of the grid edges with a sign change."""
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
    # A layer far outside is added: the mesh is closed within a tenth of a cell of the wall.
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
        component = label[faces[:, 0]]
        area = np.bincount(component, weights=np.linalg.norm(normal, axis=-1), minlength=count)
        volume = np.bincount(component, weights=(corner[:, 0] * normal).sum(-1), minlength=count)
        area[volume <= 0] = 0
        faces = faces[(area >= SMALL * area.max())[component]]
    used = np.zeros(len(vertices), dtype=bool)
    used[faces] = True
    renumber = np.cumsum(used) - 1
    return vertices[used], renumber[faces]
