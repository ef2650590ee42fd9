"""The largest flat face that a cloud shows: points that lie in one plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.observation.planes import (
    PointPlaneConfig,
    least_squares_plane,
    plane_distances,
)

Array = np.ndarray[Any, Any]

CONFIG = PointPlaneConfig(trials=100, share=0.15, least_points=20)
"""How the face is found: it is smaller than the planes that other steps remove, and found among
few points. Chosen."""


@dataclass(frozen=True)
class FlatFace:
    """A flat face among N points.

    Attributes:
        on: (N,) bool, which of the points are on it; none if there is no face.
        normal: (3,) unit vector, towards the camera.
    """

    on: Array
    normal: Array


def largest_face(points: Array, config: PointPlaneConfig = CONFIG) -> FlatFace:
    """The largest flat face of points (N, 3), camera frame, m."""
    distance = plane_distances(points, points, np.random.default_rng(0), config)
    if distance is None:
        return FlatFace(np.zeros(len(points), dtype=bool), np.array([0.0, 0.0, -1.0]))
    on = distance < config.noise_bound(points[:, 2])
    return FlatFace(on, least_squares_plane(points[on])[0])
