"""The arm that passes before an object."""

from __future__ import annotations

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.arm import ArmConfig, arm_depth, before_object
from kinediff3d_core.simulation.camera import SimulatedFrame

CAMERA = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)
MIDDLE = np.array([0.0, 0.0, 1.0])


def test_the_arm_comes_passes_the_middle_and_leaves() -> None:
    config = ArmConfig()
    half = config.pause + config.visit / 2
    assert not arm_depth(0.5 * config.pause, MIDDLE, CAMERA).any()
    arm = arm_depth(half, MIDDLE, CAMERA)
    nearest = config.depth_share - config.radius
    assert nearest - 1e-3 <= arm[arm > 0].min() <= nearest + 5e-3
    columns = np.flatnonzero((arm > 0).any(axis=0))
    assert columns[0] < CAMERA.cx and columns[-1] == CAMERA.width - 1
    assert (arm_depth(0.3 * half, MIDDLE, CAMERA) > 0).sum() < (arm > 0).sum()


def test_what_the_arm_hides_is_not_in_the_mask() -> None:
    depth, mask = np.full((120, 160), 1.0, np.float32), np.ones((120, 160), dtype=bool)
    arm = np.zeros_like(depth)
    arm[:, 80:] = 0.7
    arm[:, 120:] = 1.5
    frame = before_object(SimulatedFrame(depth, mask, np.zeros(1), np.eye(4)), arm)
    assert not frame.mask[:, 80:120].any() and frame.mask[:, :80].all()
    assert frame.mask[:, 120:].all() and (frame.depth[:, 120:] == 1.0).all()
    assert (frame.depth[:, 80:120] == np.float32(0.7)).all()
