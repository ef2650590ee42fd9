"""What a two-finger gripper can hold of a moving part: bars, knobs, rims and edges.

The fingers close along the motion of the part. Something is found where the surface faces the
gripper, and what is behind it is thin along the motion, with room for a finger and a surface that
faces the finger on each side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.objects.gripper import GripperConfig
from kinediff3d_core.objects.part_surface import PartMotion, PartSurface

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FeatureConfig:
    """How features are found. Lengths in m. All values are chosen."""

    seeds: int = 32
    """Most points from which features are looked for, of each direction of approach."""
    spacing: float = 0.06
    """Distance of seeds, in shares of the part's diagonal."""
    facing: float = 0.7
    """The surface faces the gripper if its normal's cosine with -z is greater."""
    depths: tuple[float, ...] = (0.02, 0.01, 0.005, 0.0025)
    """How far the fingers reach beyond the surface; the first that is possible is taken."""
    front: float = 2e-3
    """Points that are nearer to the gripper than the contact by at most this are held, too."""
    side_share: float = 0.25
    """Outermost share of what is held, on each side, where its surface must face the finger."""
    side_cosine: float = 0.6
    """A surface faces a finger if its normal's cosine with the direction of it is greater."""
    side_area: float = 1.5e-5
    """Least area of that surface on each side, m^2."""
    min_points: int = 6
    """Fewest sampled points of what is held."""
    gap: float = 0.012
    """Something ends where no sampled point follows within this distance."""
    slope: float = 0.25
    """What is held may grow thicker or lean to one side by this share of the depth."""
    reach: float = 0.12
    """Extents are measured as far as this from the contact."""
    handle_depth: float = 0.045
    """A bar or knob is less deep along z; what is deeper is a rim or an edge."""
    bar_aspect: float = 2.5
    """A bar is at least as many times longer along y than it is thick and deep."""


FEATURES = FeatureConfig()

HANDLES = ('bar', 'knob')
"""Kinds of features that are handles, or parts that are held like one."""
MIN_EXTENT = 1e-3
"""Least extent, m. Chosen: it keeps boxes of what is held above zero."""


@dataclass(frozen=True)
class Feature:
    """Something that a gripper can hold.

    Attributes:
        kind: ``bar``, ``knob``, ``rim`` (of a part that slides) or ``edge`` (of one that turns).
        place: index of the point from which it was found.
        approach: index of the direction of approach.
        T_part_contact: (4, 4) contact frame.
        extents: (3,) along its x, y and z, m.
    """

    kind: str
    place: int
    approach: int
    T_part_contact: Array
    extents: Array


def find_features(surface: PartSurface, motion: PartMotion, value: Array, directions: Array,
                  gripper: GripperConfig, config: FeatureConfig) -> list[Feature]:
    """Features of a part.

    Args:
        value: (N,) of the surface's points, how good a contact there is; minus infinity excludes.
        directions: (N, D, 3) unit directions of approach at each point, across its motion.
    """
    found = []
    for d in range(directions.shape[1]):
        z = directions[:, d]
        faces = ((surface.normals * z).sum(-1) < -config.facing) & np.isfinite(value)
        for index in _seeds(surface, value, np.flatnonzero(faces), config):
            frame = motion.frame(surface.points[index], z[index])
            grip = _grip_at(surface, frame, gripper, config)
            if grip is not None:
                T, extents = _centred(surface, frame, motion, grip, config)
                found.append(Feature(_kind(extents, motion, config), int(index), d, T, extents))
    return found


def _seeds(surface: PartSurface, value: Array, allowed: Array, config: FeatureConfig) -> Array:
    """Indices of the best points of each cell of a grid, best first."""
    order = allowed[np.argsort(-value[allowed], kind='stable')]
    cells = np.floor(surface.points[order] / (config.spacing * surface.size)).astype(np.int64)
    first = np.unique(cells, axis=0, return_index=True)[1]
    return np.asarray(order[np.sort(first)][:config.seeds])


@dataclass(frozen=True)
class _Grip:
    """Range along x of what is held, and how far the fingers reach along z; contact frame, m."""

    low: float
    high: float
    depth: float


def _grip_at(surface: PartSurface, frame: Array, gripper: GripperConfig, config: FeatureConfig,
             ) -> _Grip | None:
    """What is held where the surface towards the gripper is at the origin of a frame (4, 4)."""
    reach = np.linalg.norm([gripper.stroke + gripper.finger_thickness, gripper.finger_width / 2,
                            config.depths[0]])
    near = np.array(surface.within(frame[:3, 3], float(reach)))
    local = (surface.points[near] - frame[:3, 3]) @ frame[:3, :3]
    between = ((np.abs(local[:, 1]) < gripper.finger_width / 2) & (local[:, 2] > -config.front)
               & (local[:, 2] < config.depths[0]))
    local, normals = local[between], surface.normals[near[between]] @ frame[:3, :3]
    for depth in config.depths:
        inside = local[:, 2] < depth
        span = _span(local[inside], normals[inside], surface.area, gripper, config)
        if span is not None:
            return _Grip(*span, depth)
    return None


def _span(points: Array, normals: Array, area: float, gripper: GripperConfig,
          config: FeatureConfig) -> tuple[float, float] | None:
    """Range along x of what is held at the origin, or None where fingers do not go around it.

    Args:
        points, normals: (N, 3) of the surface between the fingers' depths, contact frame.
        area: of the surface for each point, m^2.
    """
    x = points[:, 0]
    low, high = -_end(-x, gripper.room), _end(x, gripper.room)
    held = (x >= low) & (x <= high)
    if held.sum() < config.min_points or high - low > gripper.thickest:
        return None
    outer = config.side_share * (high - low)
    least = config.side_area / area
    for sign, at in ((1, held & (x >= high - outer)), (-1, held & (x <= low + outer))):
        if (sign * normals[at, 0] > config.side_cosine).sum() < least:
            return None
    return low, high


def _end(x: Array, room: float) -> float:
    """End of the values that follow zero upwards without a gap of ``room``."""
    after = np.sort(x[x >= 0])
    if not len(after):
        return 0.0
    gaps = np.flatnonzero(np.diff(after, prepend=0.0) > room)
    return float(after[gaps[0] - 1] if len(gaps) and gaps[0] else
                 0.0 if len(gaps) else after[-1])


def _centred(surface: PartSurface, frame: Array, motion: PartMotion, grip: _Grip,
             config: FeatureConfig) -> tuple[Array, Array]:
    """Contact frame (4, 4) on the surface at the middle of what is held, and its extents (3,)."""
    near = surface.within(frame[:3, 3], config.reach)
    points = surface.points[near]
    local = (points - frame[:3, 3]) @ frame[:3, :3]
    half, middle = (grip.high - grip.low) / 2, np.array([(grip.low + grip.high) / 2, 0.0, 0.0])
    off = np.abs(local[:, 0] - middle[0])
    facing = surface.normals[near] @ frame[:3, 2] < -config.facing
    gap = np.linalg.norm(local - middle, axis=-1)
    index = int(np.argmin(np.where(facing & (off <= half), gap, np.inf)))
    local = local - local[index]
    held = local[off <= half + config.slope * local[:, 2].clip(0.0)]
    y = held[(held[:, 2] > -config.front) & (held[:, 2] < grip.depth), 1]
    low, high = -_end(-y, config.gap), _end(y, config.gap)
    deep = _end(held[(held[:, 1] >= low) & (held[:, 1] <= high), 2], config.gap)
    if grip.depth < config.depths[0]:
        deep = min(deep, grip.depth)
    return (motion.frame(points[index], frame[:3, 2]),
            np.array([2 * half, high - low, max(deep, MIN_EXTENT)]))


def _kind(extents: Array, motion: PartMotion, config: FeatureConfig) -> str:
    if extents[2] > config.handle_depth:
        return 'rim' if motion.slides else 'edge'
    return 'bar' if extents[1] > config.bar_aspect * max(extents[0], extents[2]) else 'knob'
