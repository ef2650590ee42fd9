"""A two-finger gripper of three boxes, and whether it is free of an object where it holds it.

The frame is that of a contact: fingers close along x, the gripper comes along z.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.part_surface import PartSurface

Array = np.ndarray[Any, Any]
Box = tuple[Array, Array]
"""Lower and upper corner (3,), contact frame, m."""


@dataclass(frozen=True)
class GripperConfig:
    """Sizes of the gripper, m. Chosen: near those of the Franka Hand, whose fingers open 80 mm,
    with a narrower hand."""

    stroke: float = 0.08
    """Widest opening between the fingers."""
    finger_thickness: float = 0.01
    """Of a finger, along x."""
    finger_width: float = 0.02
    """Of a finger, along y."""
    finger_length: float = 0.05
    """Of a finger, from the hand to its tip, along z."""
    hand: tuple[float, float, float] = (0.1, 0.04, 0.1)
    """Of the hand behind the fingers, along x, y and z."""
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
    x, y, z = config.hand
    return ((np.array([-x / 2, -y / 2, back - z]), np.array([x / 2, y / 2, back])),
            (np.array([inner, -side, back]), np.array([outer, side, depth])),
            (np.array([-outer, -side, back]), np.array([-inner, side, depth])))


def is_free(obstacles: Iterable[tuple[Array, PartSurface]], extents: Array,
            config: GripperConfig = GRIPPER) -> bool:
    """Whether a gripper that holds something is free of all surfaces.

    Args:
        obstacles: T_part_contact (4, 4) and the surface of each part.
        extents: (3,) of what is held, m.
    """
    boxes = gripper_boxes(extents, config)
    low, high = np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)
    middle, reach = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    for T, surface in obstacles:
        near = surface.within(T[:3, :3] @ middle + T[:3, 3], reach)
        points = transform_points(np.linalg.inv(T), surface.points[near])
        if any(((points > low) & (points < high)).all(-1).any() for low, high in boxes):
            return False
    return True
