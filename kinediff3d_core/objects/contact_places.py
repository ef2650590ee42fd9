"""Where on a moving part a contact is good, apart from what a gripper can hold there.

Parts that turn are held far from the axis, at the middle of their width; drawers at the front;
scissors at the end for the fingers; the blade of a cutter at its slider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinediff3d_core.objects.part_surface import PartMotion, PartSurface, across

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PlaceConfig:
    """How places are valued. All values are chosen."""

    sides: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {'scissors': (-1.0, 0.0, 0.0)})
    """By category, the direction (part frame) in which the contact lies from the pivot, for parts
    that extend to both sides of it."""
    sliders: tuple[str, ...] = ('cutter',)
    """Categories whose prismatic part is moved at what stands out beside the axis."""
    centring: float = 0.3
    """What a place at the end of the part's width loses against one at its middle, as a share;
    less if the part reaches farther from its axis than it is wide."""
    front_depth: float = 0.03
    """Depth of a front behind its foremost point, in shares of the part's foremost half."""
    min_front_depth: float = 1e-3
    """Least depth of a front, m."""
    front_cosine: float = 0.7
    """Points face forward if their normal's cosine with the axis is greater."""
    blade_thickness: tuple[float, float] = (1.2, 1e-4)
    """A blade is within a times its median distance from its middle plane, plus b (m)."""
    blade_quantile: float = 98.0
    """Percentile of the blade's distances beyond which points stand out."""
    min_slider: float = 1e-3
    """Least height of a slider over the blade, m."""
    slider_foot: float = 0.3
    """Share of a slider's height, from the blade, that is not held."""


PLACES = PlaceConfig()


def place_values(surface: PartSurface, motion: PartMotion, category: str,
                 config: PlaceConfig = PLACES) -> Array:
    """How good a contact is at each point of a part, (N,): 0..1, or minus infinity for never."""
    points = surface.points
    along = points @ motion.axis
    if not motion.slides:
        lever = np.linalg.norm(across(points, motion.axis), axis=-1)
        allowed = _on_side(points, config.sides.get(category))
        share = lever / max(float(lever[allowed].max()), 1e-9)
        aside = np.abs(along - (along.min() + along.max()) / 2)
        aside = aside / max(float(np.ptp(along)) / 2, float(lever.max()), 1e-9)
        return np.where(allowed, share * (1 - config.centring * aside), -np.inf)
    if category in config.sliders:
        return np.where(_slider(surface, motion.axis, config), 1.0, -np.inf)
    forward = (along - along.min()) / max(float(np.ptp(along)), 1e-9)
    off = across(points, motion.axis)
    distance = np.linalg.norm(off - (off.min(0) + off.max(0)) / 2, axis=-1)
    return np.asarray(forward * (
        1 - config.centring * distance / max(float(distance.max()), 1e-9)))


def _on_side(points: Array, side: tuple[float, float, float] | None) -> Array:
    """Which points (N,) are on the side; all, where there is no side or nothing on it."""
    allowed = np.ones(len(points), dtype=bool) if side is None else points @ np.array(side) > 0
    return allowed if allowed.any() else ~allowed


def push_place(surface: PartSurface, motion: PartMotion, value: Array,
               config: PlaceConfig = PLACES) -> int:
    """Index of the point at which a part is pushed where no gripper can hold it.

    The best place of a part that turns; the middle of a slider's top, or of a front.
    """
    if not motion.slides:
        return int(np.argmax(value))
    if not np.isfinite(value).all():
        middle = surface.points[np.isfinite(value)].mean(0)
        outward = across(middle - np.median(surface.points, axis=0), motion.axis)
        top = np.isfinite(value) & (
            surface.normals @ outward > config.front_cosine * np.linalg.norm(outward))
        top = top if top.any() else np.isfinite(value)
        gap = np.linalg.norm(surface.points - middle, axis=-1)
        return int(np.argmin(np.where(top, gap, np.inf)))
    along = surface.points @ motion.axis
    low, high = np.percentile(along, 50), along.max()
    band = along > high - max(config.front_depth * (high - low), config.min_front_depth)
    forward = surface.normals @ motion.axis > config.front_cosine
    if (band & forward).any():
        band &= forward
    off = across(surface.points, motion.axis)
    centre = (off[band].min(0) + off[band].max(0)) / 2
    return int(np.argmin(np.where(band, np.linalg.norm(off - centre, axis=-1), np.inf)))


def _slider(surface: PartSurface, axis: Array, config: PlaceConfig) -> Array:
    """Which points (N,) stand out of a blade's plane or of its edge beside the axis.

    The blade is most of the part's surface: its plane and its width are those of most points. All
    points, where nothing stands out.
    """
    points = surface.points
    flat = across(surface.normals, axis)
    plane = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    middle = points - np.median(points, axis=0)
    off, beside = np.abs(middle @ plane), np.abs(middle @ np.cross(axis, plane))
    factor, slack = config.blade_thickness
    blade = off <= factor * np.median(off) + slack
    best, highest = np.ones(len(points), dtype=bool), config.min_slider
    for distance in (off, beside):
        level = float(np.percentile(distance[blade], config.blade_quantile))
        height = float(distance.max() - level)
        if height > highest:
            best, highest = distance > level + config.slider_foot * height, height
    return best
