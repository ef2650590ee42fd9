"""The true object of a test view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.geometry.kinematics import Joint, poses_in_base

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Truth:
    """The true object in a view, metres and radians.

    Attributes:
        category: its name.
        part_names: K names, the base first.
        joint_names, joint_types, parents, children: J joints; part indices.
        T_camera_part: (K, 4, 4).
        positions: (J,) rad or m.
        origin, axis: (J, 3) in the parent's frame.
        surfaces: one of each part, or None where shapes are not compared.
        centres: (K, 3) of the parts' boxes in their frames, where they are known.
        T_part_stated: (K, 4, 4) the frame that the data set itself gives each part, in our part
            frame; None where it gives ours, or none.
    """

    category: str
    part_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    joint_types: tuple[str, ...]
    parents: tuple[int, ...]
    children: tuple[int, ...]
    T_camera_part: Array
    positions: Array
    origin: Array
    axis: Array
    surfaces: tuple[Surface, ...] | None = None
    centres: Array | None = None
    T_part_stated: Array | None = None


def part_poses(truth: Truth, positions: Array) -> list[Array]:
    """T_base_part (4, 4) of every part of the true object at joint positions (J,)."""
    joints = [Joint(*joint, (0.0, 0.0, 1.0), 0.0, 0.0) for joint in zip(
        truth.joint_names, truth.joint_types, truth.parents, truth.children, strict=True)]
    return list(poses_in_base(joints, positions, truth.origin, truth.axis))
