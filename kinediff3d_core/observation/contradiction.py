"""Where a depth image contradicts a predicted surface: it shows something else there.

Canonical units, camera frame, as in :mod:`kinediff3d_core.observation.free_space`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.observation.free_space import Observation, free_distance


@dataclass(frozen=True)
class ContradictionConfig:
    """From which distances on a predicted surface is contradicted."""

    tolerance: float = 0.02
    """Depth in observed free space, canonical units. Chosen: the size of depth noise and of errors
    of shapes."""
    border: float = 1.5
    """Distance from the silhouette up to which it may be at fault, cells of the observation's
    grid. Chosen: errors of masks are one or two pixels, about as large as a cell."""
    thickness: float = 0.05
    """Surface off the silhouette that is no farther than this from what is measured there belongs
    to another thing, canonical units. What lies deeper may be hidden behind it. Chosen."""
    hidden: float = 0.5
    """How much surface is contradicted that would be hidden there. Chosen: something may be in
    front of it, but an object that is mostly hidden is an invention."""


CONFIG = ContradictionConfig()


def contradiction(observation: Observation, points: Tensor, config: ContradictionConfig = CONFIG,
                  ) -> Tensor:
    """How much the image contradicts surface at each point (...), 0 to 1.

    The surface of points (..., 3) is contradicted in front of what was measured on the object.
    It is contradicted beside the object, where a farther surface was measured, or one that the
    mask does not count to the object. Where a nearer one was measured, it may be hidden. Where
    nothing was measured beside the object, this is as much evidence of free space as
    measurements are missing there anyway: a camera that sees the background gives nothing only
    where a surface does not return its light.
    """
    cells = observation.others.shape[0]
    z = points[..., 2]
    at = (points[..., :2] / z[..., None].clamp_min(1e-6) - observation.corner) / observation.cell
    x, y = at.clamp(0, cells - 1).add(0.5).long().unbind(-1)
    nearest = y * cells + x
    silhouette = observation.maps[:cells ** 2]
    margin = silhouette.take(nearest)
    beside = observation.others.take(nearest)
    off = (margin > config.border * observation.cell) & (margin * z > config.tolerance)
    distance, _ = free_distance(observation, points)
    free = (distance > config.tolerance) & ((margin == 0) | off)
    other = off & ((z - beside).abs() < config.thickness)
    hidden = off & (z - beside >= config.thickness)
    missing = ((silhouette > 0) & observation.others.isinf().flatten()).sum() / (
        silhouette > 0).sum().clamp_min(1)
    unknown = off & beside.isinf()
    return torch.where(unknown, missing, 1.0) * (free | other) + config.hidden * hidden


def silhouette_area(observation: Observation) -> Tensor:
    """Area () of the silhouette in tangent units squared."""
    cells = observation.others.shape[0]
    return (observation.maps[:cells ** 2] == 0).sum().clamp_min(1) * observation.cell ** 2
