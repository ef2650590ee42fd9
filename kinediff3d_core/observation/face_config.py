"""Thresholds of flat faces; apart from what finds them, so that presets import no SciPy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FaceConfig:
    """Which points make a face. Lengths in m."""

    points: int = 6000
    """Points that are used, about. Chosen: two or three of them on the height of a bar."""
    neighbours: int = 16
    """Neighbours that give the normal of a point, and that its face grows to. Chosen."""
    facing: float = 0.9
    """Least cosine of normal and axis. Chosen: 26 degrees, for noisy normals and poses."""
    step: float = 0.004
    """Largest step between neighbours of one face, after smoothing. Chosen: fronts that are
    a centimetre apart are two."""
    reach: float = 3.0
    """Farthest neighbours, in median distances of the last neighbour: surface at a grazing angle
    has distant ones. Chosen."""
    smoothing: float = 0.02
    """Neighbours farther away along the axis do not smooth a point. Chosen."""
    least_points: int = 30
    """Fewest points of a face. Chosen."""
    least_width: float = 0.08
    """Least width of a face. Chosen: handles are narrower or lower."""
    least_height: float = 0.045
    """Least height of a face. Chosen: edges of table tops are lower."""
    cell: float = 0.02
    """Cells by which the share of its box that a face fills is counted. Chosen."""
    fill: float = 0.55
    """Least share. Chosen: frames around openings fill less."""
    trim: float = 1.5
    """Percentage of the points beyond each side of the box. Chosen: flying pixels."""


DEFAULT = FaceConfig()
"""The thresholds of the presets."""
