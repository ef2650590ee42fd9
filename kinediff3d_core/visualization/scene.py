"""What a picture shows: meshes, points and arrows in the camera's optical frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]
Colour = tuple[float, float, float]

PART_COLOURS: tuple[Colour, ...] = (
    (0.50, 0.61, 0.75), (0.95, 0.58, 0.25), (0.45, 0.70, 0.45), (0.80, 0.45, 0.55),
    (0.60, 0.50, 0.75))
AXIS_COLOUR: Colour = (0.80, 0.12, 0.20)
POINT_COLOUR: Colour = (0.05, 0.32, 0.34)


@dataclass(frozen=True)
class Arrow:
    """From ``start`` to ``end`` (3,), camera frame, m."""

    start: Array
    end: Array
    colour: Colour = AXIS_COLOUR


@dataclass(frozen=True)
class RenderedScene:
    """What is drawn, all in the camera's frame, metres.

    Attributes:
        meshes, colours: one of each part.
        points: (N, 3), drawn over the meshes where they lie in front or on them.
        point_colours: (N, 3) in 0..1, or one colour.
        arrows: visible through the meshes, faintly.
        ground: (4,) plane (n, d) with n . p + d = 0 that catches a soft shadow.
    """

    meshes: tuple[Mesh, ...] = ()
    colours: tuple[Colour, ...] = ()
    points: Array | None = None
    point_colours: Array | Colour = POINT_COLOUR
    arrows: tuple[Arrow, ...] = ()
    ground: Array | None = None


def part_colours(count: int) -> tuple[Colour, ...]:
    """Colours of ``count`` parts, repeated where there are more parts than colours."""
    return tuple(PART_COLOURS[k % len(PART_COLOURS)] for k in range(count))


def ground_under(meshes: Sequence[Mesh], T_camera_base: Array) -> Array | None:
    """Plane (4,) across the base's z axis that touches the lowest point of meshes."""
    if not meshes:
        return None
    up = T_camera_base[:3, 2]
    lowest = min(float((m.vertices @ up).min()) for m in meshes)
    return np.append(up, -lowest)
