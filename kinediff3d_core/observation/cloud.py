"""Point clouds of one object as one view shows it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics, backproject, require_size


@dataclass(frozen=True)
class ObjectCloud:
    """What one view shows of an object and beside it, camera frame, m.

    Attributes:
        points: (N, 3) on the object.
        others: (M, 3) off it: what may hide it, or be what its mask has missed.
    """

    points: np.ndarray
    others: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.float32))

    def __len__(self) -> int:
        return len(self.points)

    @classmethod
    def of(cls, cloud: np.ndarray | ObjectCloud) -> ObjectCloud:
        """A cloud as it is, or one that shows nothing but the object's points (N, 3)."""
        return cloud if isinstance(cloud, cls) else cls(np.asarray(cloud))


def object_cloud(depth: np.ndarray, intrinsics: Intrinsics, mask: np.ndarray) -> ObjectCloud:
    """The points (:func:`backproject`) on an object, and some of those off it that are near in the
    image: every third pixel both ways, within the object's larger extent of its middle.

    Args:
        mask: (H, W), true where the object is.
    """
    require_size(depth, intrinsics, mask)
    mask = mask.astype(bool, copy=False)
    if not mask.any():
        return ObjectCloud(np.zeros((0, 3), dtype=np.float32))
    ends = [np.flatnonzero(mask.any(axis))[[0, -1]] for axis in (1, 0)]
    reach = max(int(last - first) for first, last in ends)
    rows, columns = (slice(max(0, (first + last) // 2 - reach), (first + last) // 2 + reach + 1)
                     for first, last in ends)
    depth, mask = depth[rows, columns], mask[rows, columns]
    i = replace(intrinsics, cx=intrinsics.cx - columns.start, cy=intrinsics.cy - rows.start,
                width=mask.shape[1], height=mask.shape[0])
    beside = np.zeros_like(mask)
    beside[::3, ::3] = ~mask[::3, ::3]
    return ObjectCloud(backproject(depth, i, mask), backproject(depth, i, beside))
