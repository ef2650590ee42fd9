"""Contact frames: where and from which side a gripper holds a moving part, to open or close it.

A contact frame has its origin on the part's surface. It means the same for every part of every
category and is right-handed:

- x: the motion of that point for an increasing joint position, the tangent of its circle or the
  axis of a prismatic joint. A two-finger gripper closes along x, with one finger on each side of
  the lid, front, bar or knob, so that it can pull and push.
- z: the approach direction, into the part, perpendicular to x.
- y = z cross x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh
from kinediff3d_core.objects.gripper import GRIPPER, GripperConfig, is_free
from kinediff3d_core.objects.part_surface import PartMotion, across, part_surface

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
    same_approach: float = 0.7
    """Approaches are the same if their directions' cosine is greater."""
    kinds: Mapping[str, float] = field(
        default_factory=lambda: {'bar': 1.0, 'knob': 0.95, 'rim': 0.85, 'edge': 0.85})
    """Factor of the score by kind: handles are made to be held."""
    from_behind: float = 0.8
    """Factor for an approach away from the axis, or upward, where the support may be."""
    from_aside: float = 0.9
    """Factor for an approach along the axis of a revolute joint, or from a side of a drawer."""
    thick: float = 0.3
    """What the score loses where the gripper is wide open, as a share."""
    shallow: float = 0.5
    """What it loses where fingers reach no depth, as a share."""
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


@dataclass(frozen=True, eq=False)
class Contact:
    """Where a gripper holds one moving part.

    Attributes:
        joint, part: names.
        kind: what is held: ``bar``, ``knob``, ``rim`` (of a part that slides) or ``edge`` (of one
            that turns); ``face`` where nothing fits between the fingers, which can only be pushed.
        T_part_contact: (4, 4) the contact frame in the part's frame.
        T_camera_contact: (4, 4) the contact frame in the camera's frame.
        extents: (3,) of what is held along the contact's x, y and z, m. Its middle along x is the
            frame's origin.
        score: 0..1, how well the part is held and moved there, by its shape alone.
        reachable: a gripper that holds the part there is free of the object at its present state.
    """

    joint: str
    part: str
    kind: str
    T_part_contact: Array
    T_camera_contact: Array
    extents: Array
    score: float
    reachable: bool


def contacts(estimate: ArticulatedEstimate, config: ContactConfig = CONFIG) -> tuple[Contact, ...]:
    """The best contact of every moving part that has a mesh, in the joints' order.

    Raises:
        ValueError: as :func:`contact_candidates`.
    """
    return tuple(c[0] for c in contact_candidates(estimate, config).values())


def contact_candidates(estimate: ArticulatedEstimate, config: ContactConfig = CONFIG,
                       ) -> dict[str, tuple[Contact, ...]]:
    """Contacts of every moving part that has a mesh, by part.

    Reachable ones come first, then those of a higher score. At least one and at most
    ``config.candidates`` a part. Frames and scores depend on the shape, the reachability on the
    joint positions, too.

    Raises:
        ValueError: a mesh without area, or an axis without direction.
    """
    meshes = {p.name: p.mesh for p in estimate.parts}
    found = {}
    for joint in estimate.joints:
        mesh = meshes[joint.child]
        if mesh is not None and len(mesh.faces):
            found[joint.child] = tuple(sorted(
                _candidates(estimate, joint, mesh, config),
                key=lambda c: (not c.reachable, -c.score)))
    return found


def is_reachable(estimate: ArticulatedEstimate, part: str, T_part_contact: Array, extents: Array,
                 positions: Array | None = None, gripper: GripperConfig = GRIPPER) -> bool:
    """Whether a gripper that holds a part is free of all parts' meshes.

    Args:
        extents: (3,) of what is held, m.
        positions: (J,) of all joints; by default the estimate's.
    """
    q = [j.position for j in estimate.joints] if positions is None else positions
    poses = estimate.part_poses_at(np.asarray(q))
    T_base_contact = poses[part] @ T_part_contact
    return is_free(((np.linalg.inv(poses[p.name]) @ T_base_contact, part_surface(p.mesh))
                    for p in estimate.parts if p.mesh is not None and len(p.mesh.faces)),
                   extents, gripper)


def _candidates(estimate: ArticulatedEstimate, joint: JointEstimate, mesh: Mesh,
                config: ContactConfig) -> list[Contact]:
    """Contacts of one part; the place where it is pushed, if it cannot be held."""
    surface, motion = part_surface(mesh), PartMotion.of(joint)
    value = place_values(surface, motion, estimate.category, config.places)
    features = find_features(surface, motion, value, motion.directions(surface.points, UP),
                             config.gripper, config.features)
    scored = sorted(((_score(f, float(value[f.place]), config), f) for f in features),
                    key=lambda pair: -pair[0])
    kept = _apart(scored, config.separation * surface.size, config)
    made = [_contact(estimate, joint, f, score * _free_share(estimate, joint, f, config), config)
            for score, f in kept]
    made = sorted(made, key=lambda c: -c.score)[:config.candidates]
    if not made:
        place = push_place(surface, motion, value, config.places)
        outward = across(surface.normals[place], motion.axis)
        z = motion.directions(surface.points[place][None], UP)[0, 0]
        if motion.slides and np.linalg.norm(outward) > config.sideways:
            z = -outward
        made = [_contact(estimate, joint, Feature('face', place, 0, motion.frame(
            surface.points[place], z), np.full(3, MIN_EXTENT)),
            config.pushed * float(value[place]), config)]
    return made


def _score(feature: Feature, value: float, config: ContactConfig) -> float:
    """How well a part is held and moved at a feature, if the gripper is free."""
    gripper = config.gripper
    thickness = feature.extents[0] / gripper.stroke
    depth = min(feature.extents[2] / gripper.insertion, 1.0)
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


def _free_share(estimate: ArticulatedEstimate, joint: JointEstimate, feature: Feature,
                config: ContactConfig) -> float:
    """Factor of the score by the share of the joint's range in which the gripper is free."""
    index = [j.name for j in estimate.joints].index(joint.name)
    q = np.array([j.position for j in estimate.joints], dtype=np.float64)
    free = 0
    for q[index] in np.linspace(joint.lower, joint.upper, config.states):
        free += is_reachable(estimate, joint.child, feature.T_part_contact, feature.extents, q,
                             config.gripper)
    return 1 - config.blocked * (1 - free / config.states)


def _contact(estimate: ArticulatedEstimate, joint: JointEstimate, feature: Feature, score: float,
             config: ContactConfig) -> Contact:
    """A feature as a contact of the estimate's present state."""
    pose = {p.name: p.T_camera_part for p in estimate.parts}[joint.child]
    T = feature.T_part_contact
    return Contact(joint.name, joint.child, feature.kind, T, np.asarray(pose, np.float64) @ T,
                   feature.extents, score, feature.kind != 'face' and is_reachable(
                       estimate, joint.child, T, feature.extents, gripper=config.gripper))
