"""Flat faces of one object that are perpendicular to a given axis, such as fronts of drawers.

A drawer's front is a plane with edges. Where it stands out by a centimetre or more, the depth
image shows which drawer it is, and how far it is out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from kinediff3d_core.observation.face_config import DEFAULT, FaceConfig


@dataclass(frozen=True)
class Face:
    """A flat face perpendicular to the x axis of a frame: a box in y and z at one x.

    Attributes:
        x: median of its points.
        low, high: (2,) y and z.
    """

    x: float
    low: np.ndarray
    high: np.ndarray

    @property
    def middle(self) -> np.ndarray:
        """(2,) y and z of the box's middle."""
        middle: np.ndarray = (self.low + self.high) / 2
        return middle

    @property
    def area(self) -> float:
        """Of the box."""
        return float(np.prod(self.high - self.low))

    def overlap(self, low: np.ndarray, high: np.ndarray) -> float:
        """Intersection over union with another box (2,), (2,) in y and z."""
        both = float(np.prod((np.minimum(self.high, high) - np.maximum(self.low, low)).clip(0)))
        return both / max(self.area + float(np.prod(high - low)) - both, 1e-12)


def find_faces(points: np.ndarray, R: np.ndarray, config: FaceConfig = DEFAULT,
               ) -> tuple[list[Face], list[float], np.ndarray]:
    """The faces of an object that are perpendicular to an axis, and the frame they are given in.

    Args:
        points: (N, 3) of the object.
        R: (3, 3) rotation of a frame whose x axis is the faces' normal to about 15 degrees.

    Returns:
        faces; x of all flat surface perpendicular to the axis, also of frames and the like, the
        largest first; the rotation (3, 3) of their frame, whose x axis is their normal.
    """
    points = points[::max(1, len(points) // config.points)].astype(np.float64)
    tree = cKDTree(points)
    distance, near = tree.query(points, config.neighbours)
    offset = points[near] - points[near].mean(1, keepdims=True)
    normal = np.linalg.eigh(offset.transpose(0, 2, 1) @ offset)[1][:, :, 0]
    normal *= np.sign(normal @ R[:, :1])
    facing = normal @ R[:, 0] > config.facing
    if facing.sum() < config.least_points:
        return [], [], R
    R = _turn(R, np.median(normal[facing], axis=0))
    local = points @ R
    groups = _grow(local[:, 0], facing, near, distance, config)
    sizes = np.bincount(groups[groups >= 0])
    largest = [g for g in np.argsort(-sizes) if sizes[g] >= config.least_points]
    faces = [_face(local[groups == g], config) for g in largest]
    levels = [float(np.median(local[groups == g, 0])) for g in largest]
    return [f for f in faces if f is not None], levels, R


def _turn(R: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """The rotation turned by the least angle that makes its x axis a normal."""
    normal = normal / np.linalg.norm(normal)
    axis = np.cross(R[:, 0], normal)
    sine = float(np.linalg.norm(axis))
    angle = np.arctan2(sine, R[:, 0] @ normal)
    turned: np.ndarray = Rotation.from_rotvec(axis * angle / max(sine, 1e-12)).as_matrix() @ R
    return turned


def _grow(x: np.ndarray, facing: np.ndarray, near: np.ndarray, distance: np.ndarray,
          config: FaceConfig) -> np.ndarray:
    """Number of the face of each point (N,), -1 for those that do not face along the axis."""
    count = len(x)
    own = facing[near] & (np.abs(x[near] - x[:, None]) < config.smoothing)
    smooth = (x[near] * own).sum(1) / own.sum(1).clip(1)
    reach = config.reach * np.median(distance[:, -1])
    joined = (facing[near] & facing[:, None] & (distance < reach)
              & (np.abs(smooth[near] - smooth[:, None]) < config.step))
    rows = np.repeat(np.arange(count), joined.sum(1))
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, near[joined])), (count, count))
    groups: np.ndarray = connected_components(graph, directed=False)[1]
    return np.where(facing, groups, -1)


def _face(local: np.ndarray, config: FaceConfig) -> Face | None:
    """The face of the points (M, 3), if it is large enough and about rectangular."""
    low, high = np.percentile(local[:, 1:], (config.trim, 100 - config.trim), axis=0)
    if (high - low < (config.least_width, config.least_height)).any():
        return None
    cells = np.maximum(np.ceil((high - low) / config.cell).astype(int), 1)
    index = ((local[:, 1:] - low) / (high - low) * cells).astype(int).clip(0, cells - 1)
    fill = len(np.unique(index[:, 0] * cells[1] + index[:, 1])) / cells.prod()
    if fill < config.fill:
        return None
    return Face(float(np.median(local[:, 0])), low, high)
