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

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kinediff3d_core.objects.contact_choice import (
    CONFIG,
    PUSHED,
    ContactConfig,
    choose_features,
)
from kinediff3d_core.objects.contact_features import Feature
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh
from kinediff3d_core.objects.gripper import GRIPPER, GripperConfig, Obstacles
from kinediff3d_core.objects.part_surface import PartMotion, PartSurface, part_surface

Array = np.ndarray[Any, Any]


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
    ``config.candidates`` a part. Frames and scores depend on the shape and on the joints' limits
    alone, and are kept for as long as the part's mesh exists; whether they are reachable depends
    on the joint positions, too.

    Raises:
        ValueError: a mesh without area, or an axis without direction.
    """
    surfaces = part_surfaces(estimate)
    poses = {p.name: np.asarray(p.T_camera_part, np.float64) for p in estimate.parts}
    found = {}
    for joint in estimate.joints:
        if joint.child not in surfaces:
            continue
        chosen = _chosen(estimate, joint, surfaces, config)
        now = Obstacles(surfaces, poses, joint.child)
        found[joint.child] = in_order(Contact(
            joint.name, joint.child, f.kind, f.T_part_contact, poses[joint.child] @
            f.T_part_contact, f.extents, score, f.kind != PUSHED and now.leave_free(
                f.T_part_contact, f.extents, config.gripper)) for score, f in chosen)
    return found


def part_surfaces(estimate: ArticulatedEstimate) -> dict[str, PartSurface]:
    """The surface of every part that has a mesh, by part.

    Raises:
        ValueError: a mesh without area.
    """
    return {p.name: part_surface(p.mesh) for p in estimate.parts
            if p.mesh is not None and len(p.mesh.faces)}


def in_order(contacts: Iterable[Contact]) -> tuple[Contact, ...]:
    """Contacts of one part, best first: reachable ones, then those of a higher score."""
    return tuple(sorted(contacts, key=lambda c: (not c.reachable, -c.score)))


def moved_contact(contact: Contact, T_camera_part: Array, obstacles: Obstacles | None = None,
                  gripper: GripperConfig = GRIPPER) -> Contact:
    """A contact with its part at another pose (4, 4).

    Args:
        obstacles: of the object's new state; without them, ``reachable`` stays.
    """
    T = contact.T_part_contact
    reachable = contact.reachable if obstacles is None else (
        contact.kind != PUSHED and obstacles.leave_free(T, contact.extents, gripper))
    return replace(contact, T_camera_contact=np.asarray(T_camera_part, np.float64) @ T,
                   reachable=reachable)


@dataclass(frozen=True)
class _Chosen:
    """Scores and features of one part, and what they depend on besides its mesh."""

    config: ContactConfig
    category: str
    joint: tuple[object, ...]
    features: list[tuple[float, Feature]]


_KNOWN: WeakKeyDictionary[Mesh, _Chosen] = WeakKeyDictionary()


def _chosen(estimate: ArticulatedEstimate, joint: JointEstimate,
            surfaces: dict[str, PartSurface], config: ContactConfig,
            ) -> list[tuple[float, Feature]]:
    """Scores and features of one part, best first."""
    mesh = next(p.mesh for p in estimate.parts if p.name == joint.child)
    assert mesh is not None  # It has a surface.
    key = (joint.joint_type, joint.lower, joint.upper, *np.asarray(joint.axis).tolist())
    known = _KNOWN.get(mesh)
    if known is None or (known.config, known.category, known.joint) != (
            config, estimate.category, key):
        known = _KNOWN[mesh] = _Chosen(config, estimate.category, key, choose_features(
            surfaces[joint.child], PartMotion.of(joint), estimate.category,
            _states(estimate, joint, surfaces, config.states), config))
    return known.features


def _states(estimate: ArticulatedEstimate, joint: JointEstimate,
            surfaces: dict[str, PartSurface], count: int) -> list[Obstacles]:
    """The object at positions of one joint from limit to limit; the others are closed."""
    index = [j.name for j in estimate.joints].index(joint.name)
    q = np.array([np.clip(0.0, j.lower, j.upper) for j in estimate.joints])
    states = []
    for q[index] in np.linspace(joint.lower, joint.upper, count):
        states.append(Obstacles(surfaces, estimate.part_poses_at(q), joint.child))
    return states
