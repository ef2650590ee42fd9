"""A two-finger gripper of three boxes, and whether it is free of an object where it holds it.

The frame is that of a contact: fingers close along x, the gripper comes along z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.objects.part_surface import PartSurface

Array = np.ndarray[Any, Any]
Box = tuple[Array, Array]
"""Lower and upper corner (3,), contact frame, m."""


@dataclass(frozen=True)
class GripperConfig:
    """Sizes of the gripper, m. Chosen: the opening and the fingers are near those of the Franka
    Hand, the hand is slim, so that it goes along a front to the handle on it."""

    stroke: float = 0.08
    """Widest opening between the fingers."""
    finger_thickness: float = 0.01
    """Of a finger, along x."""
    finger_width: float = 0.02
    """Of a finger, along y."""
    finger_length: float = 0.05
    """Of a finger, from the hand to its tip, along z."""
    hand: tuple[float, float, float] = (0.03, 0.03, 0.1)
    """Of the hand behind the fingers, along x, y and z. It is at least as wide along x as the
    open fingers."""
    insertion: float = 0.02
    """How far the fingers reach beyond the contact's origin, along z, or as far as what is held
    goes, if that is less."""
    clearance: float = 0.003
    """Between what is held and each open finger, along x."""

    @property
    def room(self) -> float:
        """Width along x that an open finger needs beside what is held, m."""
        return self.finger_thickness + 2 * self.clearance

    @property
    def thickest(self) -> float:
        """Greatest thickness along x of what is held, m."""
        return self.stroke - 2 * self.clearance


GRIPPER = GripperConfig()


def gripper_boxes(extents: Array, config: GripperConfig = GRIPPER) -> tuple[Box, Box, Box]:
    """The hand and both open fingers around what is held.

    Args:
        extents: (3,) of what is held along x, y and z, m; its middle along x is the origin.
    """
    depth = min(config.insertion, float(extents[2]))
    back = depth - config.finger_length
    inner = float(extents[0]) / 2 + config.clearance
    outer, side = inner + config.finger_thickness, config.finger_width / 2
    x, y, z = max(config.hand[0] / 2, outer), config.hand[1] / 2, config.hand[2]
    return ((np.array([-x, -y, back - z]), np.array([x, y, back])),
            (np.array([inner, -side, back]), np.array([outer, side, depth])),
            (np.array([-outer, -side, back]), np.array([-inner, side, depth])))


class Obstacles:
    """The surfaces of an object's parts at one state, for a gripper that holds one of them.

    Args:
        surfaces: by part. poses: (4, 4) of every part, by part, all in one frame.
        part: that is held.
    """

    def __init__(self, surfaces: Mapping[str, PartSurface], poses: Mapping[str, Array],
                 part: str) -> None:
        self._placed = [(np.linalg.inv(poses[name]) @ poses[part], surface)
                        for name, surface in surfaces.items()]

    def leave_free(self, T_part_contact: Array, extents: Array,
                   config: GripperConfig = GRIPPER) -> bool:
        """Whether a gripper at a contact frame (4, 4) meets none of the surfaces.

        Args:
            extents: (3,) of what is held, m.
        """
        boxes = gripper_boxes(extents, config)
        low, high = np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)
        middle, reach = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
        for T_other_part, surface in self._placed:
            T = T_other_part @ T_part_contact
            near = surface.within(T[:3, :3] @ middle + T[:3, 3], reach)
            points = (surface.points[near] - T[:3, 3]) @ T[:3, :3]
            points = points[((points > low) & (points < high)).all(-1)]
            if any(((points > a) & (points < b)).all(-1).any() for a, b in boxes):
                return False
        return True
