"""Finding the object without a mask: take the support plane away, keep the best cluster.

The plane is the largest by RANSAC (Fischler and Bolles 1981) that looks like a support: it
surrounds what stands on it, or it runs out of the picture. A laptop's own base or lid does
neither, so an object in front of nothing stays whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, Delaunay, QhullError

from kinediff3d_core.geometry.camera import Intrinsics, valid_depth
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud

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

NEIGHBOUR_JUMP = 0.25
"""Parts side by side in the picture are one object if their depths differ by less, m."""

MIN_LINKS = 8
"""Pixels side by side that join two clusters."""

BORDER_SHARE = 0.02
"""A plane with this share of its points at the picture's edge runs out of it."""

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
    size = depth.shape
    valid = valid_depth(depth, intrinsics)
    v, u = np.nonzero(valid)
    z = depth[v, u].astype(np.float32)
    points = np.empty((len(z), 3), dtype=np.float32)
    points[:, 0] = (u - np.float32(intrinsics.cx)) * (z / np.float32(intrinsics.fx))
    points[:, 1] = (v - np.float32(intrinsics.cy)) * (z / np.float32(intrinsics.fy))
    points[:, 2] = z
    edge = 4
    border = ((u < edge) | (v < edge) | (u >= size[1] - edge) | (v >= size[0] - edge))
    centre = np.stack([(u - size[1] / 2) / size[1], (v - size[0] / 2) / size[0]], axis=-1)
    index = np.full(size, -1)
    index[v, u] = np.arange(len(z))
    beside = np.concatenate([np.stack([index[:, :-1].ravel(), index[:, 1:].ravel()]),
                             np.stack([index[:-1].ravel(), index[1:].ravel()])], axis=1)
    keep = _segment(points, border, centre, beside[:, (beside >= 0).all(0)])
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
    out, none = np.zeros(len(points), dtype=bool), np.zeros((2, 0), dtype=np.int64)
    if len(p) < MIN_POINTS:
        raise NoEstimate(f'{len(p)} finite points in front of the camera, at least {MIN_POINTS} '
                         'are needed')
    # Where the picture ended is not known any more: take the cloud's own rectangle.
    low, high = ray.min(0), ray.max(0)
    place = (ray - low) / np.maximum(high - low, 1e-6)
    border = (np.minimum(place, 1 - place) < 0.0125).any(-1)
    out[np.flatnonzero(valid)[_segment(p, border, place - 0.5, none)]] = True
    return out


def object_in_cloud(points: Array) -> ObjectCloud:
    """The object that :func:`segment_cloud` finds, and every ninth of the other points."""
    own = segment_cloud(points)
    return ObjectCloud(points[own], points[~own][::9])


def _segment(points: Array, border: Array, centre: Array, beside: Array) -> Array:
    """Indices of the object's points.

    Args:
        points: (N, 3) float32, valid. border: (N,) whether the pixel is at the picture's edge.
        centre: (N, 2) offset from the picture's centre in shares of its size.
        beside: (2, L) indices of points whose pixels are neighbours.
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
        if not _is_support(points[on], points[above], border[on], plane, beside.size > 0):
            break
        active = active[points[active] @ plane[:3] + plane[3] > tolerance]
        votes = above
    order = np.full(len(points), -1)
    order[active] = np.arange(len(active))
    beside = order[beside]
    best = _best_cluster(points[active], centre[active], beside[:, (beside >= 0).all(0)])
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


def _is_support(on: Array, above: Array, border: Array, plane: Array, picture: bool) -> bool:
    """Whether a plane is a support: it runs out of the picture, or around what lies above it.

    A cloud's own rectangle says less than a picture's border: there, something must lie above.
    """
    few = len(above) < max(8, 0.03 * len(on))
    if border.mean() > BORDER_SHARE and (picture or not few):
        return True
    return not few and _surrounds(on, above, plane)


def _surrounds(on: Array, above: Array, plane: Array) -> bool:
    """Whether the points of a plane reach around those above it, on three sides at least."""
    n = plane[:3].astype(np.float64)
    side = np.cross(n, np.eye(3)[np.argmin(np.abs(n))])
    side /= np.linalg.norm(side)
    flat = np.stack([side, np.cross(n, side)], axis=-1)
    a, b = on @ flat, above @ flat
    low, high = np.percentile(b, (5, 95), axis=0)
    margin = 0.15 * (high - low)
    corners = np.array([[x, y] for x in (low[0] - margin[0], high[0] + margin[0])
                        for y in (low[1] - margin[1], high[1] + margin[1])])
    try:
        hull = Delaunay(a[ConvexHull(a).vertices])
    except QhullError:
        return False
    return bool((hull.find_simplex(b) >= 0).mean() > 0.4
                and (hull.find_simplex(corners) >= 0).sum() >= 3)


def _best_cluster(points: Array, centre: Array, beside: Array) -> Array:
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
    label = _joined(label, number, points, beside)
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


def _joined(label: Array, number: int, points: Array, beside: Array) -> Array:
    """Labels (N,) with clusters made one that lie side by side in the picture; ``number`` is none.

    A lid hides the part of the base that it is fixed to: nearby in the picture, apart in space.
    """
    pair = np.sort(label[beside], axis=0)
    apart = (pair[0] != pair[1]) & (pair[1] < number)
    i, j = beside[:, apart]
    near = np.abs(points[i, 2] - points[j, 2]) < NEIGHBOUR_JUMP
    pair = pair[:, apart][:, near]
    links, count = np.unique(pair[0] * (number + 1) + pair[1], return_counts=True)
    links = links[count >= MIN_LINKS]
    graph = coo_matrix((np.ones(len(links), dtype=bool),
                        (links // (number + 1), links % (number + 1))),
                       shape=(number + 1, number + 1))
    _, merged = connected_components(graph, directed=False)
    # The label of loose points stays the last one.
    representative = np.full(number + 1, number)
    np.minimum.at(representative, merged, np.arange(number + 1))
    return np.asarray(representative[merged][label])
