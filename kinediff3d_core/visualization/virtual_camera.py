"""Virtual cameras from which pictures are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kinediff3d_core.geometry.rigid import transform_points

Array = np.ndarray[Any, Any]

WIDTH, HEIGHT = 560, 460
"""Size of a picture, px."""
THREE_QUARTERS = (0.72, 0.48, 0.50)
"""Direction from an object's centre to a camera that sees its front, side and top, base frame."""
MARGIN = 0.07
"""Share of a picture's width and height that stays free on each side."""


@dataclass(frozen=True)
class VirtualCamera:
    """A pinhole camera: pose (4, 4), focal length and centre in pixels, picture size."""

    T_view_camera: Array
    focal: float
    cx: float
    cy: float
    width: int
    height: int


def fitted(camera: VirtualCamera, points: Array) -> VirtualCamera:
    """The camera zoomed and centred such that points (N, 3) fill its picture.

    The points are in the real camera's frame.

    Raises:
        ValueError: no point is in front of the camera.
    """
    p = transform_points(camera.T_view_camera, points)
    p = p[p[:, 2] > 1e-3]
    if not len(p):
        raise ValueError('no point is in front of the virtual camera')
    ray = p[:, :2] / p[:, 2:]
    low, high = ray.min(0), ray.max(0)
    size = np.array([camera.width, camera.height])
    focal = float((size * (1 - 2 * MARGIN) / np.maximum(high - low, 1e-6)).min())
    cx, cy = size / 2 - focal * (low + high) / 2
    return replace(camera, focal=focal, cx=float(cx), cy=float(cy))


def camera_view(points: Array, width: int = WIDTH, height: int = HEIGHT) -> VirtualCamera:
    """The real camera's viewpoint, zoomed onto points (N, 3)."""
    return fitted(VirtualCamera(np.eye(4), 1.0, 0.0, 0.0, width, height), points)


def look_at(centre: Array, back: Array, distance: float, up: Array) -> Array:
    """T_view_camera (4, 4) of a camera that looks at a point, with ``up`` upwards in the picture.

    Args:
        centre: (3,) in the middle of the picture. back: (3,) unit direction from it to the camera.
        up: (3,) all in the real camera's frame.
    """
    x = np.cross(-back, up)
    x /= np.linalg.norm(x)
    T = np.eye(4)
    T[:3, :3] = np.stack([x, np.cross(-back, x), -back])
    T[:3, 3] = -T[:3, :3] @ (centre + distance * back)
    return T


def three_quarter_view(points: Array, T_camera_base: Array, width: int, height: int,
                       shown: Array | None = None) -> VirtualCamera:
    """A viewpoint from the front, the side and above.

    Args:
        points: (N, 3) of the object, camera frame.
        T_camera_base: (4, 4), z of the base points up.
        shown: (M, 3) that the picture shows in full; None means the points.
    """
    R = T_camera_base[:3, :3]
    back = R @ (np.array(THREE_QUARTERS) / np.linalg.norm(THREE_QUARTERS))
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    T = look_at((points.min(0) + points.max(0)) / 2, back, 5 * size, R[:, 2])
    return fitted(VirtualCamera(T, 1.0, 0.0, 0.0, width, height),
                  points if shown is None else shown)


def side_view(points: Array, T_camera_base: Array, axis: Array | None = None, width: int = WIDTH,
              height: int = HEIGHT) -> VirtualCamera:
    """A second viewpoint, nearly along the joint's axis, from above the base.

    Args:
        points: (N, 3) that the picture shows, camera frame.
        T_camera_base: (4, 4), z of the base points up.
        axis: (3,) joint direction in the base frame.
    """
    R = T_camera_base[:3, :3]
    centre = (points.min(0) + points.max(0)) / 2
    to_camera = R.T @ -centre
    to_camera[2] = 0.0
    to_camera /= max(float(np.linalg.norm(to_camera)), 1e-9)
    up = np.array([0.0, 0.0, 1.0])
    along = np.zeros(3) if axis is None else np.asarray(axis, dtype=np.float64).copy()
    along[2] = 0.0
    if np.linalg.norm(along) < 0.3:
        along = np.cross(up, to_camera)
    along /= max(float(np.linalg.norm(along)), 1e-9)
    if along @ to_camera < 0:
        along = -along
    front = np.array([1.0, 0.0, 0.0])
    front = front - (front @ along) * along
    eye = 0.80 * along + 0.45 * front + 0.40 * up
    back = R @ (eye / np.linalg.norm(eye))
    reach = float(np.linalg.norm(points - centre, axis=-1).max())
    T = look_at(centre, back, 4.5 * reach, R @ up)
    return fitted(VirtualCamera(T, 1.0, 0.0, 0.0, width, height), points)
