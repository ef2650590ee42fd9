"""Contacts of an object that is tracked: the same ones from frame to frame.

Contacts are found once for a shape, in the parts' frames, and move with the parts. Whether a
gripper is free there depends on the joint positions: it is found again when a joint has moved.
The best contact of a part stays the best while it is reachable, and while none is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.objects.contact import (
    Contact,
    contact_candidates,
    moved_contact,
    part_surfaces,
)
from kinediff3d_core.objects.contact_choice import CONFIG, ContactConfig
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.objects.gripper import Obstacles
from kinediff3d_core.objects.part_surface import PartSurface

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ContactTrackingConfig:
    """When contacts are checked again. All values are chosen."""

    turn: float = 0.035
    """Motion of a revolute joint after which the gripper is checked again, rad: 2 degrees."""
    slide: float = 0.005
    """Motion of a prismatic joint after which it is, m."""
    same_place: float = 0.03
    """The best contact of a new shape is that within this distance of the last shape's best, m."""
    same_approach: float = 0.7
    """Approaches are the same if their directions' cosine is greater."""


TRACKING = ContactTrackingConfig()


class ContactTracker:
    """Contacts of one object over its estimates.

    It has no lock: one thread at a time.
    """

    def __init__(self, config: ContactTrackingConfig = TRACKING,
                 contacts: ContactConfig = CONFIG) -> None:
        self._config, self._contact_config = config, contacts
        self.clear()

    def clear(self) -> None:
        """Forget the object."""
        self._found: dict[str, tuple[Contact, ...]] | None = None
        self._last_best: dict[str, Contact] = {}
        self._surfaces: dict[str, PartSurface] = {}
        self._checked = np.zeros(0)

    def shape_changed(self) -> None:
        """Find the contacts of the next estimate anew; the best ones stay near the last ones."""
        if self._found is not None:
            self._last_best = {part: c[0] for part, c in self._found.items()}
        self._found = None

    def update(self, estimate: ArticulatedEstimate) -> dict[str, tuple[Contact, ...]]:
        """Contacts of every moving part that has a mesh, by part, best first.

        Raises:
            ValueError: as ``contact_candidates``.
        """
        positions = np.array([j.position for j in estimate.joints], dtype=np.float64)
        if self._found is None:
            self._surfaces = part_surfaces(estimate)
            self._found = {part: self._with_last_first(part, found) for part, found in
                           contact_candidates(estimate, self._contact_config).items()}
            self._checked = positions
            return self._found
        poses = {p.name: np.asarray(p.T_camera_part, np.float64) for p in estimate.parts}
        limits = [self._config.turn if j.joint_type == 'revolute' else self._config.slide
                  for j in estimate.joints]
        check = bool((np.abs(positions - self._checked) > limits).any())
        if check:
            self._checked = positions
        self._found = {part: self._moved(found, poses, check)
                       for part, found in self._found.items()}
        return self._found

    def _moved(self, contacts: tuple[Contact, ...], poses: Mapping[str, Array], check: bool,
               ) -> tuple[Contact, ...]:
        """Contacts of one part at new poses, in their order unless another is now the best."""
        part = contacts[0].part
        obstacles = Obstacles(self._surfaces, poses, part) if check else None
        return _reachable_first(tuple(moved_contact(
            c, poses[part], obstacles, self._contact_config.gripper) for c in contacts))

    def _with_last_first(self, part: str, contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
        """Contacts of a new shape, first the one that was the best of the last shape."""
        last = self._last_best.get(part)
        if last is None:
            return contacts
        T = last.T_part_contact

        def is_other(c: Contact) -> bool:
            return bool(np.linalg.norm(c.T_part_contact[:3, 3] - T[:3, 3])
                        > self._config.same_place
                        or c.T_part_contact[:3, 2] @ T[:3, 2] < self._config.same_approach)

        return _reachable_first(tuple(sorted(contacts, key=is_other)))


def _reachable_first(contacts: tuple[Contact, ...]) -> tuple[Contact, ...]:
    """Contacts in their order if the first is reachable, else the reachable ones first."""
    if contacts[0].reachable:
        return contacts
    return tuple(sorted(contacts, key=lambda c: not c.reachable))
