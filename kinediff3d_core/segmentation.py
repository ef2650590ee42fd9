"""Finding the object without a mask: take the support plane away, keep the best cluster.

The plane is the largest by RANSAC (Fischler and Bolles 1981) that looks like a support: what
stands on it covers little of it or is surrounded by it, or it runs out of the picture. A laptop's
own base or lid is neither, so an object in front of nothing stays whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, Delaunay, QhullError

from kinediff3d_core.estimate import NoEstimate
from kinediff3d_core.geometry import Intrinsics

Array = np.ndarray[Any, Any]

SAMPLES = 4000
"""Points that vote on planes."""

TRIALS = 160
"""Planes that are tried."""

PLANE_SHARE = 0.15
"""A support plane holds at least this share of the points."""

MAX_PLANES = 3
"""Table, wall and floor."""

CELL = 0.02
"""Clusters are connected cells of this size, m: gaps of one cell are bridged."""

MIN_POINTS = 200
"""Smallest cluster that is an object."""

MAX_SIZE = 3.0
"""Largest extent of an object, m."""


def segment_object(depth: Array, intrinsics: Intrinsics) -> Array:
    """Mask (H, W) of the object in a depth image.

    Args:
        depth: (H, W) z-depth, m; zero or non-finite where the camera gives nothing.

    Raises:
        ValueError: the image has another size than ``intrinsics`` says.
        NoEstimate: nothing valid in the image, or nothing stands out.
    """
    size = (intrinsics.height, intrinsics.width)
    if depth.shape != size:
        raise ValueError(f'depth image is {depth.shape[::-1]} but camera info says {size[::-1]} '
                         '(width, height); publish the matching camera_info')
    with np.errstate(invalid='ignore'):
        valid = np.isfinite(depth) & (depth > 0)
    v, u = np.nonzero(valid)
    z = depth[v, u].astype(np.float32)
    points = np.empty((len(z), 3), dtype=np.float32)
    points[:, 0] = (u - np.float32(intrinsics.cx)) * (z / np.float32(intrinsics.fx))
    points[:, 1] = (v - np.float32(intrinsics.cy)) * (z / np.float32(intrinsics.fy))
    points[:, 2] = z
    edge = 4
    border = ((u < edge) | (v < edge) | (u >= size[1] - edge) | (v >= size[0] - edge))
    centre = np.stack([(u - size[1] / 2) / size[1], (v - size[0] / 2) / size[0]], axis=-1)
    keep = _segment(points, border, centre)
    mask = np.zeros(size, dtype=bool)
    mask[v[keep], u[keep]] = True
    return mask


def segment_cloud(points: Array) -> Array:
    """Which of the points (N, 3), camera frame, m, belong to the object: bool (N,).

    Raises:
        ValueError: not (N, 3).
        NoEstimate: too few finite points, or nothing stands out.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f'a cloud is (N, 3), got {points.shape}')
    with np.errstate(invalid='ignore'):
        valid = np.isfinite(points).all(-1) & (points[:, 2] > 0)
    p = points[valid].astype(np.float32)
    ray = p[:, :2] / p[:, 2:]
    centre = (ray - ray.mean(0)) / max(float(np.ptp(ray, axis=0).max()), 1e-6) if len(p) else ray
    out = np.zeros(len(points), dtype=bool)
    out[np.flatnonzero(valid)[_segment(p, np.zeros(len(p), dtype=bool), centre)]] = True
    return out


def _segment(points: Array, border: Array, centre: Array) -> Array:
    """Indices of the object's points.

    Args:
        points: (N, 3) float32, valid. border: (N,) whether the pixel is at the picture's edge.
        centre: (N, 2) offset from the picture's centre in shares of its size.
    """
    if len(points) < MIN_POINTS:
        raise NoEstimate(f'{len(points)} pixels have depth, at least {MIN_POINTS} are needed; '
                         'check the camera and its range')
    rng = np.random.default_rng(0)
    active = np.arange(len(points))
    votes = rng.choice(len(points), min(SAMPLES, len(points)), replace=False)
    floor = PLANE_SHARE * len(votes)
    for _ in range(MAX_PLANES):
        found = _largest_plane(points[votes], rng)
        if found is None or found[1] < floor:
            break
        plane, _, tolerance = found
        height = points[votes] @ plane[:3] + plane[3]
        above, on = votes[height > tolerance], votes[np.abs(height) <= tolerance]
        if len(above) < 8 or not _is_support(points[on], points[above], border[on], plane):
            break
        active = active[points[active] @ plane[:3] + plane[3] > tolerance]
        votes = above
    best = _best_cluster(points[active], centre[active])
    return np.asarray(active[best])


def _largest_plane(p: Array, rng: np.random.Generator) -> tuple[Array, int, float] | None:
    """Plane (4,) with its normal towards the camera, its count of points, and its thickness, m."""
    if len(p) < 8:
        return None
    a, b, c = (p[rng.integers(0, len(p), TRIALS)] for _ in range(3))
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=-1)
    good = length > 1e-5
    if not good.any():
        return None
    normal = normal[good] / length[good, None]
    offset = -(normal * a[good]).sum(-1)
    allowed = 0.004 + 0.003 * p[:, 2] ** 2
    counts = (np.abs(p @ normal.T + offset) < allowed[:, None]).sum(0)
    best = int(counts.argmax())
    n, d = normal[best].astype(np.float64), float(offset[best])
    on = np.abs(p @ n + d) < allowed
    for _ in range(2):
        q = p[on].astype(np.float64)
        if len(q) < 3:
            return None
        middle = q.mean(0)
        n = np.linalg.eigh((q - middle).T @ (q - middle))[1][:, 0]
        d = float(-n @ middle)
        on = np.abs(p @ n + d) < allowed
    spread = 1.4826 * float(np.median(np.abs(p[on] @ n + d))) if on.any() else 0.0
    if d < 0:
        n, d = -n, -d
    return np.append(n, d).astype(np.float32), int(on.sum()), float(np.clip(3 * spread, .004, .02))


def _is_support(on: Array, above: Array, border: Array, plane: Array) -> bool:
    """Whether what lies above a plane stands on it, rather than being the plane's own object."""
    if border.sum() > max(4, 0.004 * len(border)):
        return True
    n = plane[:3].astype(np.float64)
    side = np.cross(n, np.eye(3)[np.argmin(np.abs(n))])
    side /= np.linalg.norm(side)
    flat = np.stack([side, np.cross(n, side)], axis=-1)
    a, b = on @ flat, above @ flat
    low, high = np.percentile(b, (5, 95), axis=0)
    try:
        hull = ConvexHull(a)
        inside = Delaunay(a[hull.vertices]).find_simplex(b) >= 0
        covered = ConvexHull(b[inside]).volume if inside.sum() > 3 else np.inf
    except QhullError:
        return False
    if inside.mean() < 0.4:
        return False
    margin = 0.15 * (high - low)
    corners = np.array([[x, y] for x in (low[0] - margin[0], high[0] + margin[0])
                        for y in (low[1] - margin[1], high[1] + margin[1])])
    surrounded = (Delaunay(a[hull.vertices]).find_simplex(corners) >= 0).sum() >= 3
    return bool(surrounded or hull.volume > 4 * covered)


def _best_cluster(points: Array, centre: Array) -> Array:
    """Indices of the cluster that is largest and nearest to the picture's centre."""
    if len(points) < MIN_POINTS:
        raise NoEstimate('nothing stands out of the support plane; give a mask, or look at the '
                         'object from a place where it is not edge-on')
    cell = np.floor(points / CELL).astype(np.int64)
    cell -= cell.min(0)
    extent = cell.max(0) + 3
    key = ((cell[:, 0] + 1) * extent[1] + cell[:, 1] + 1) * extent[2] + cell[:, 2] + 1
    cells, member, count = np.unique(key, return_inverse=True, return_counts=True)
    solid = count >= min(3, int(np.ceil(count.mean() / 10)) + 1)
    links: list[Array] = []
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            for dz in (-1, 0, 1):
                step = (dx * extent[1] + dy) * extent[2] + dz
                if step <= 0:
                    continue
                at = np.searchsorted(cells, cells + step).clip(0, len(cells) - 1)
                both = (cells[at] == cells + step) & solid & solid[at]
                links.append(np.stack([np.flatnonzero(both), at[both]]))
    i, j = np.concatenate(links, axis=1)
    graph = coo_matrix((np.ones(len(i), dtype=bool), (i, j)), shape=(len(cells), len(cells)))
    number, label = connected_components(graph, directed=False)
    label = np.where(solid, label, number)[member]
    size = np.bincount(label, minlength=number + 1).astype(np.float64)
    size[number] = 0
    off = np.stack([np.bincount(label, centre[:, k], number + 1) for k in range(2)], axis=-1)
    distance = np.linalg.norm(off / np.maximum(size, 1)[:, None], axis=-1)
    score = np.where(size >= MIN_POINTS, size * np.exp(-(distance / 0.35) ** 2), 0.0)
    for best in np.argsort(-score)[:8]:
        if score[best] <= 0:
            break
        index = np.flatnonzero(label == best)
        low, high = np.percentile(points[index], (2, 98), axis=0)
        if (high - low).max() <= MAX_SIZE:
            return index
    raise NoEstimate(f'no cluster of at least {MIN_POINTS} points and at most {MAX_SIZE} m stands '
                     'out of the support plane; give a mask')
