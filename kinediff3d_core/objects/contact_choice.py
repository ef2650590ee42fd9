"""Which of the features of a part are its contacts: scores by place, grip and free gripper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kinediff3d_core.objects.contact_features import (
    FEATURES,
    MIN_EXTENT,
    Feature,
    FeatureConfig,
    find_features,
)
from kinediff3d_core.objects.contact_places import PLACES, PlaceConfig, place_values, push_place
from kinediff3d_core.objects.gripper import GRIPPER, GripperConfig, Obstacles
from kinediff3d_core.objects.part_surface import PartMotion, PartSurface, across

Array = np.ndarray[Any, Any]

UP = np.array([0.0, 0.0, 1.0])
"""Upward in the base's frame (docs/conventions.md), and in a part's at position zero."""


@dataclass(frozen=True)
class ContactConfig:
    """How contacts are found and ordered. All values are chosen.

    Attributes: gripper, features, places: of the gripper, of what it holds, and where.
    """

    gripper: GripperConfig = GRIPPER
    features: FeatureConfig = FEATURES
    places: PlaceConfig = PLACES
    candidates: int = 5
    """Most contacts of one part."""
    checked: int = 16
    """Most contacts of one part for which a free gripper is looked for."""
    separation: float = 0.15
    """Two contacts with the same approach are farther apart, in shares of the part's diagonal."""
    min_value: float = 0.3
    """Least value of the place at which a part is held (``contact_places``)."""
    same_approach: float = 0.7
    """Approaches are the same if their directions' cosine is greater."""
    kinds: Mapping[str, float] = field(
        default_factory=lambda: {'bar': 1.0, 'knob': 0.95, 'rim': 0.7, 'edge': 0.7})
    """Factor of the score by kind: handles are made to be held."""
    from_behind: float = 0.8
    """Factor for an approach away from the axis, or upward, where the support may be."""
    from_aside: float = 0.9
    """Factor for an approach along the axis of a revolute joint, or from a side of a drawer."""
    thick: float = 0.3
    """What the score loses where the gripper is wide open, as a share."""
    shallow: float = 0.5
    """What it loses where fingers reach no depth, as a share."""
    deep: float = 0.01
    """Depth that is enough, m."""
    narrow: float = 0.5
    """What it loses where what is held has no width along y, as a share; a finger's is enough."""
    blocked: float = 0.7
    """What it loses where the gripper is not free at any position of the joint, as a share."""
    states: int = 3
    """Positions of the joint, from one limit to the other, at which a free gripper counts."""
    sideways: float = 0.6
    """The surface of a sliding part faces sideways if its normal's component across the axis is
    at least this; it is then pushed against that normal."""
    pushed: float = 0.1
    """Factor of the score of a place that no gripper can hold."""


CONFIG = ContactConfig()

PUSHED = 'face'
"""Kind of a contact where nothing can be held and the part can only be pushed."""


def choose_features(surface: PartSurface, motion: PartMotion, category: str,
                    states: Sequence[Obstacles], config: ContactConfig = CONFIG,
                    ) -> list[tuple[float, Feature]]:
    """Scores and features at which a part is held, best first, at most ``config.candidates``.

    One of them may be the place where the part is pushed, of the kind ``face``. It is the only
    one where nothing can be held.

    Args:
        category: name, for parts that are not held at their far end.
        states: of the object, over the range of the part's joint.
    """
    value = place_values(surface, motion, category, config.places)
    good = np.where(value > config.min_value, value, -np.inf)
    features = find_features(surface, motion, good, motion.directions(surface.points, UP),
                             config.gripper, config.features)
    scored = sorted(((_score(f, float(value[f.place]), config), f)
                     for f in _entrances(surface, features, config)), key=lambda pair: -pair[0])
    held = [_entered(feature, float(value[feature.place]), states, config)
            for _, feature in _apart(scored, config.separation * surface.size, config)]
    place = push_place(surface, motion, value, config.places)
    face = Feature(PUSHED, place, 0, _push_frame(surface, motion, place, config),
                   np.full(3, MIN_EXTENT))
    held.append((config.pushed * float(value[place]), face))
    return sorted(held, key=lambda pair: -pair[0])[:config.candidates]


def _entrances(surface: PartSurface, features: Sequence[Feature], config: ContactConfig,
               ) -> list[Feature]:
    """Features at which the part itself leaves the gripper free, fingers in as little as can be.

    Others, such as a step behind an edge, would otherwise take the place of one beside them.
    """
    part = Obstacles({'part': surface}, {'part': np.eye(4)}, 'part')
    return [f for f in features if part.leave_free(f.T_part_contact, np.array(
        [*f.extents[:2], min(f.extents[2], config.features.depths[-1])]), config.gripper)]


def _push_frame(surface: PartSurface, motion: PartMotion, place: int, config: ContactConfig,
                ) -> Array:
    """Contact frame (4, 4) where a part is pushed: z is against the normal, if it can be."""
    z = motion.directions(surface.points[place][None], UP)[0, 0]
    outward = across(surface.normals[place], motion.axis)
    if motion.slides and np.linalg.norm(outward) > config.sideways:
        z = -outward
    return motion.frame(surface.points[place], z)


def _score(feature: Feature, value: float, config: ContactConfig) -> float:
    """How well a part is held and moved at a feature, if the gripper is free."""
    gripper = config.gripper
    thickness = feature.extents[0] / gripper.stroke
    depth = min(feature.extents[2] / config.deep, 1.0)
    width = min(feature.extents[1] / gripper.finger_width, 1.0)
    approach = (1.0, config.from_behind, config.from_aside, config.from_aside)[feature.approach]
    return float(value * config.kinds[feature.kind] * approach * (1 - config.thick * thickness)
                 * (1 - config.shallow * (1 - depth)) * (1 - config.narrow * (1 - width)))


def _apart(scored: Sequence[tuple[float, Feature]], distance: float, config: ContactConfig,
           ) -> list[tuple[float, Feature]]:
    """The best features, each apart from those before it or with another approach."""
    kept: list[tuple[float, Feature]] = []
    for score, feature in scored:
        T = feature.T_part_contact
        if len(kept) < config.checked and not any(
                np.linalg.norm(T[:3, 3] - k.T_part_contact[:3, 3]) < distance
                and T[:3, 2] @ k.T_part_contact[:3, 2] > config.same_approach for _, k in kept):
            kept.append((score, feature))
    return kept


def _entered(feature: Feature, value: float, states: Sequence[Obstacles], config: ContactConfig,
             ) -> tuple[float, Feature]:
    """The score of a feature with its depth as far as the fingers go in, for the best score."""
    best, entered = -1.0, feature
    for depth in (feature.extents[2], *config.features.depths):
        if depth > feature.extents[2]:
            continue
        tried = replace(feature, extents=np.array([*feature.extents[:2], depth]))
        free = np.mean([s.leave_free(tried.T_part_contact, tried.extents, config.gripper)
                        for s in states])
        score = _score(tried, value, config) * (1 - config.blocked * (1 - float(free)))
        if score > best:
            best, entered = score, tried
        if free == 1:
            break
    return best, entered
