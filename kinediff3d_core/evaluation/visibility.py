"""Visibility: the share of an object's surface that a view shows (Table 3, I to III)."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics

Array = np.ndarray[Any, Any]

POINTS = 4000
"""Surface points from which the share is counted."""

TOLERANCE = 0.001
"""Largest difference between the depth image and the depth of a visible point, m. 0.1 % of the
depth is added. Chosen."""

THIRDS = ('worst', 'middle', 'best')
"""Groups of views by visibility, a third of the views each."""


def visible_share(points: Array, depth: Array, mask: Array, intrinsics: Intrinsics) -> float:
    """Share (0..1) of surface points that a view shows.

    A point is visible if it is inside the mask and at the depth of the first surface: the depth of
    one of the four pixels around it, or of the plane through them (1 / z is linear on a plane).

    Args:
        points: (N, 3) on the object's surface, drawn by area, camera frame, m.
        depth: (H, W) exact depth, m, 0 where there is nothing.
        mask: (H, W) pixels that the estimator uses.
    """
    c = intrinsics
    z = points[:, 2]
    ahead = z > 1e-6
    safe = np.where(ahead, z, 1.0)
    u, v = points[:, 0] / safe * c.fx + c.cx, points[:, 1] / safe * c.fy + c.cy
    inside = ahead & (u >= 0) & (v >= 0) & (u < c.width - 1) & (v < c.height - 1)
    u, v, z = u[inside], v[inside], z[inside]
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    around = np.stack([depth[j + dy, i + dx] for dy in (0, 1) for dx in (0, 1)])
    hit = around > 0
    inverse = 1 / np.where(hit, around, 1.0)
    f, g = u - i, v - j
    share = np.stack([(1 - f) * (1 - g), f * (1 - g), (1 - f) * g, f * g])
    plane = np.where(hit.all(0), 1 / (share * inverse).sum(0), 0.0)
    tolerance = TOLERANCE * (1 + z)
    near = (np.abs(around - z) < tolerance).any(0) | (np.abs(plane - z) < tolerance)
    given = mask[np.rint(v).astype(int), np.rint(u).astype(int)].astype(bool)
    return float((near & given).sum() / len(points))


def thirds(visibility: Array) -> dict[str, list[int]]:
    """Indices of the views in each third by visibility (N,); empty for fewer than 3 views."""
    known = [int(i) for i in np.argsort(visibility, kind='stable') if np.isfinite(visibility[i])]
    if len(known) < len(THIRDS):
        return {}
    return {name: [int(i) for i in part]
            for name, part in zip(THIRDS, np.array_split(known, len(THIRDS)), strict=True)}
