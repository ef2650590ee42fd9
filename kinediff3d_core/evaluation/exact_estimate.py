"""Estimates of procedural objects without any error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    PartEstimate,
)
from kinediff3d_core.simulation.solids import Instances

Array = np.ndarray[Any, Any]


def exact_estimate(one: Instances, meshes: Mapping[str, Mesh], positions: Array,
                   T_camera_base: Array) -> ArticulatedEstimate:
    """The estimate of one procedural object without any error, of the parts that it has.

    Args:
        meshes: of these parts, in their part frames, m.
        positions: (K-1,) of all joints of the category, rad or m.
        T_camera_base: (4, 4).
    """
    c = one.category
    poses = one.part_poses(torch.from_numpy(positions)[None].double(),
                           torch.from_numpy(T_camera_base)[None].double())[0].numpy()
    parts = tuple(PartEstimate(name, poses[k], meshes[name])
                  for k, name in enumerate(c.parts) if one.exists[0, k])
    joints = tuple(
        JointEstimate(j.name, j.joint_type, c.parts[j.parent], c.parts[j.child],
                      one.origin[0, i].double().numpy(), one.axis[0, i].double().numpy(),
                      float(positions[i]), float(one.lower[0, i]), float(one.upper[0, i]), 0.0)
        for i, j in enumerate(c.joints) if one.exists[0, j.child])
    return ArticulatedEstimate(c.name, parts, joints, np.zeros((6, 6)), 0.0, 1.0, (),
                               np.zeros(0), np.zeros((0, 3)))
