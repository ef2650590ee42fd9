"""Approximate convex decomposition of a mesh.

A piece whose convex hull contains much empty space is split by the axis-parallel plane that leaves
the least of it in the two hulls, the worst piece first, as V-HACD does (Mamou, "Volumetric
hierarchical approximate convex decomposition", 2016). The number of pieces bounds the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.objects.convex import Polyhedron, hull_of
from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]


OFF_EDGES = (0.0123, 0.0217)
"""Shift of the rays that find the inside of a mesh, cells: they miss edges and vertices."""


@dataclass(frozen=True)
class DecompositionConfig:
    """Bounds of a decomposition. All values are chosen."""

    max_pieces: int = 16
    """Most pieces of a mesh."""
    void_share: float = 0.01
    """A piece is split if its hull contains more than this share of the empty space in the mesh's
    box."""
    cells: int = 40
    """Cells along the longest side of the box, whose centres sample the empty space."""
    min_cells: int = 10
    """Fewest cells along a side of the box."""
    searched: int = 4000
    """Most vertices, and most empty places, among which planes are searched."""
    planes: int = 6
    """Planes that are tried along each axis."""
    bins: int = 64
    """Positions of planes along a piece."""
    directions: int = 80
    """Directions in which a hull's vertices are farthest out; bounds its number of vertices."""


CONFIG = DecompositionConfig()


def convex_pieces(mesh: Mesh, config: DecompositionConfig = CONFIG) -> list[Polyhedron]:
    """Convex polyhedra that together cover a mesh, in its frame.

    A flat mesh has none.
    """
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    if not len(mesh.faces):
        return []
    search = _Search(mesh, config)
    done: list[_Piece] = []
    open_pieces = [search.whole]
    while open_pieces and len(done) + len(open_pieces) < config.max_pieces:
        worst = max(open_pieces, key=lambda p: len(p.voids))
        if len(worst.voids) <= search.tolerated:
            break
        open_pieces.remove(worst)
        halves = search.split(worst)
        if halves is None:
            done.append(worst)
        else:
            open_pieces += halves
    edges = _edges(mesh)
    hulls = (search.hull(_clipped(vertices, edges, p.low, p.high)) for p in done + open_pieces)
    return [h for h in hulls if h is not None]


@dataclass(frozen=True, eq=False)
class _Piece:
    """What lies in a box.

    Attributes:
        low, high: (3,) corners of the box.
        points: (N, 3) of the surface in it. voids: (M, 3) empty places inside their hull.
        volume: of the hull, m^3.
    """

    low: Array
    high: Array
    points: Array
    voids: Array
    volume: float


class _Search:
    """Searches planes on samples of a mesh's vertices and of the empty space in its box."""

    def __init__(self, mesh: Mesh, config: DecompositionConfig) -> None:
        rng = np.random.default_rng(0)
        self._config = config
        normal = rng.normal(size=(config.directions, 3))
        self._directions = np.concatenate([
            np.eye(3), -np.eye(3), normal / np.linalg.norm(normal, axis=1, keepdims=True)]).T
        vertices = np.asarray(mesh.vertices, dtype=np.float64)
        points = _sample(vertices, config.searched, rng)
        voids = empty_places(mesh, config.cells, config.min_cells)
        self.tolerated = config.void_share * len(voids)
        share = min(1.0, config.searched / max(len(voids), 1))
        self.tolerated *= share
        self.whole = self._piece(np.full(3, -np.inf), np.full(3, np.inf), points,
                                 _sample(voids, config.searched, rng))

    def hull(self, points: Array) -> Polyhedron | None:
        """The hull of those points (N, 3) that are farthest in one of the directions."""
        if not len(points):
            return None
        return hull_of(points[np.unique((points @ self._directions).argmax(0))])

    def split(self, piece: _Piece) -> tuple[_Piece, _Piece] | None:
        """The two halves of a piece with the least volume to split on; None if none has less."""
        best, least = None, piece.volume
        for axis in range(3):
            for plane in self._candidates(piece, axis):
                low, high = piece.low.copy(), piece.high.copy()
                low[axis] = high[axis] = plane
                halves = (self._piece(piece.low, high, piece.points, piece.voids),
                          self._piece(low, piece.high, piece.points, piece.voids))
                volume = sum(h.volume for h in halves if len(h.voids) > self.tolerated)
                if volume < least:
                    best, least = halves, volume
        return best

    def _piece(self, low: Array, high: Array, points: Array, voids: Array) -> _Piece:
        points, voids = _inside(points, low, high), _inside(voids, low, high)
        hull = self.hull(points)
        if hull is None:
            return _Piece(low, high, points, voids[:0], 0.0)
        inside = (voids @ hull.normals.T <= hull.offsets).all(1)
        return _Piece(low, high, points, voids[inside], hull.volume)

    def _candidates(self, piece: _Piece, axis: int) -> Array:
        """Positions of planes along an axis: where the number of points changes most."""
        x = piece.points[:, axis]
        low, high = x.min(), x.max()
        count, bounds = np.histogram(x, self._config.bins, (low, high))
        change = np.argsort(-np.abs(np.diff(count)), kind='stable')[:self._config.planes - 1]
        return np.unique(np.append(bounds[1 + change], (low + high) / 2))


def empty_places(mesh: Mesh, cells: int, min_cells: int) -> Array:
    """Centres (M, 3) of the cells of a grid in a mesh's box that are outside the mesh.

    A centre is inside if a ray along x crosses the surface an odd number of times before it.

    Args:
        cells: along the longest side of the box. min_cells: along the others, at least.
    """
    corners = np.asarray(mesh.vertices, np.float64)[np.asarray(mesh.faces)]
    low, high = corners.min((0, 1)), corners.max((0, 1))
    number = np.maximum(np.round(cells * (high - low) / max(np.ptp(corners, axis=(0, 1)).max(),
                                                            1e-9)), min_cells).astype(int)
    cell = np.maximum((high - low) / number, 1e-9)
    x, row, column = _crossings((corners - low) / cell - 0.5, number[1:])
    crossed = np.zeros(number, dtype=np.int64)
    index = np.ceil(x).clip(0, number[0]).astype(int)
    before_end = index < number[0]
    np.add.at(crossed, (index[before_end], row[before_end], column[before_end]), 1)
    outside = np.cumsum(crossed, axis=0) % 2 == 0
    return np.asarray(low + (np.argwhere(outside) + 0.5) * cell)


def _crossings(corners: Array, shape: Array) -> tuple[Array, Array, Array]:
    """Where rays along x through the integer (y, z) below ``shape`` cross triangles (F, 3, 3).

    Returns:
        x, y and z of all crossings; y and z are integers.
    """
    corners = corners + np.array([0.0, *OFF_EDGES])
    first = np.ceil(corners[..., 1:].min(1)).clip(0).astype(int)
    last = np.floor(corners[..., 1:].max(1)).clip(max=shape - 1).astype(int)
    rows, columns = np.maximum(last - first + 1, 0).T
    triangle = np.repeat(np.arange(len(corners)), rows * columns)
    step = np.arange(len(triangle)) - np.repeat(
        np.cumsum(rows * columns) - rows * columns, rows * columns)
    at = first[triangle] + np.stack(np.divmod(step, np.maximum(columns[triangle], 1)), axis=1)
    a, b, c = (corners[triangle, k] for k in range(3))

    weights = np.stack([_twice_area(b, c, at), _twice_area(c, a, at), _twice_area(a, b, at)],
                       axis=1)
    total = weights.sum(1)
    hit: Array = ((weights > 0).all(1) | (weights < 0).all(1)) & (total != 0)
    x = (weights * np.stack([a[:, 0], b[:, 0], c[:, 0]], axis=1)).sum(1)[hit] / total[hit]
    return x, at[hit, 0], at[hit, 1]


def _twice_area(p: Array, q: Array, at: Array) -> Array:
    """Twice the signed area in (y, z) of triangles from p and q (N, 3) to ``at`` (N, 2)."""
    u, v = q[:, 1:] - p[:, 1:], at - p[:, 1:]
    return np.asarray(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def _sample(points: Array, most: int, rng: np.random.Generator) -> Array:
    if len(points) <= most:
        return points
    return np.asarray(points[rng.choice(len(points), most, replace=False)])


def _inside(points: Array, low: Array, high: Array) -> Array:
    """Those of the points (N, 3) in a box."""
    return np.asarray(points[((points >= low) & (points < high)).all(1)])


def _edges(mesh: Mesh) -> Array:
    """Vertex indices (E, 2) of a mesh's edges."""
    faces = np.asarray(mesh.faces).reshape(-1, 3)
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.asarray(np.unique(pairs, axis=0))


def _clipped(vertices: Array, edges: Array, low: Array, high: Array) -> Array:
    """Vertices (N, 3) in a box, and the points in which edges leave it: no gap at its sides."""
    inside: Array = np.asarray(((vertices >= low) & (vertices < high)).all(1))
    ends = inside[edges]
    leaving = edges[ends[:, 0] != ends[:, 1]]
    flip = inside[leaving[:, 1]]
    leaving[flip] = leaving[flip][:, ::-1]
    start, stop = vertices[leaving[:, 0]], vertices[leaving[:, 1]]
    step = stop - start
    bound = np.where(step > 0, high, low)
    with np.errstate(divide='ignore', invalid='ignore'):
        share = np.where(step == 0, np.inf, (bound - start) / step).min(1)
    return np.concatenate([vertices[inside], start + share.clip(0, 1)[:, None] * step])
