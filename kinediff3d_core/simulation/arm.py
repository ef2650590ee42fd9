"""A forearm that passes between the camera and an object."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.camera import Array, SimulatedFrame


@dataclass(frozen=True)
class ArmConfig:
    """The arm and its motion. All values are chosen."""

    radius: float = 0.04
    """Of the forearm, which ends in a half ball, m."""
    depth_share: float = 0.75
    """Its depth, share of that of the object's middle."""
    visit: float = 3.0
    """Time from its entry until it has left again, s."""
    pause: float = 1.0
    """Time before each visit, s."""
    reach: float = 0.1
    """How far its tip goes beyond the object's middle, share of the depth there."""
    outside: float = 0.9
    """Where its tip enters from the side, share of the depth."""
    slope: float = 0.35
    """Rise of the arm's axis in the image, from the tip towards the camera's right."""


def arm_depth(seconds: float, middle: Array, intrinsics: Intrinsics,
              config: ArmConfig = ArmConfig()) -> Array:
    """Depth (H, W), m, of the arm at a time; 0 beside it.

    Args:
        middle: (3,) of the object, camera frame, m.
    """
    share = (seconds % (config.pause + config.visit) - config.pause) / config.visit
    z = config.depth_share * middle[2]
    if share <= 0:
        return np.zeros((intrinsics.height, intrinsics.width), dtype=np.float32)
    inside = math.sin(math.pi * share)
    tip = np.array([middle[0] / middle[2] * z + z * (
        config.outside - (config.outside + config.reach) * inside),
        middle[1] / middle[2] * z, z])
    along = np.array([1.0, config.slope, 0.0])
    along /= np.linalg.norm(along)
    u, v = np.meshgrid(np.arange(intrinsics.width), np.arange(intrinsics.height))
    x = (u - intrinsics.cx) / intrinsics.fx * z - tip[0]
    y = (v - intrinsics.cy) / intrinsics.fy * z - tip[1]
    # The capsule's radius is small against its depth: rays through it are nearly parallel.
    t = np.maximum(x * along[0] + y * along[1], 0.0)
    square = (x - t * along[0]) ** 2 + (y - t * along[1]) ** 2
    height = np.sqrt(np.maximum(config.radius ** 2 - square, 0.0))
    return np.where(height > 0, z - height, 0.0).astype(np.float32)


def before_object(frame: SimulatedFrame, arm: Array) -> SimulatedFrame:
    """The frame with an arm (H, W), m, in front: its mask shows what the arm does not hide."""
    hidden = (arm > 0) & ((frame.depth == 0) | (arm < frame.depth))
    return SimulatedFrame(np.where(hidden, arm, frame.depth), frame.mask & ~hidden,
                          frame.positions, frame.T_camera_base)
