"""A laptop with known truth, and the estimate that equals it."""

import math
from dataclasses import replace

import numpy as np
import trimesh
from estimates import box_mesh

from kinediff3d_core.data.surfaces import Surface
from kinediff3d_core.data.truth import Truth, part_poses
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, PartEstimate


def rotation(axis, angle):
    return trimesh.transformations.rotation_matrix(angle, axis)


def laptop_truth():
    """A laptop with a lid at 1.2 rad, made of two boxes."""
    T = rotation((1, 2, 3), 2.0)
    T[:3, 3] = (0.1, -0.2, 1.0)
    surfaces = (Surface(box_mesh((0.22, 0.33, 0.02))),
                Surface(box_mesh((0.22, 0.33, 0.008), (0.11, 0, 0.008))))
    t = Truth('laptop', ('base', 'lid'), ('lid_joint',), ('revolute',), (0,), (1,),
                np.stack([T, T]), np.array([1.2]), np.array([[-0.11, 0.0, 0.01]]),
                np.array([[0.0, -1.0, 0.0]]), surfaces)
    poses = part_poses(t, t.positions)
    return replace(t, T_camera_part=np.stack([T @ p for p in poses]))


def perfect(truth):
    """The estimate that equals the truth."""
    parts = tuple(PartEstimate(n, T, s.mesh) for n, T, s in
                  zip(truth.part_names, truth.T_camera_part, truth.surfaces, strict=True))
    joint = JointEstimate('lid_joint', 'revolute', 'base', 'lid', truth.origin[0], truth.axis[0],
                          float(truth.positions[0]), 0.0, math.pi, 0.01)
    return ArticulatedEstimate('laptop', parts, (joint,), np.eye(6), 0.0, 1.0, (), np.zeros(4),
                               np.zeros((5, 3)))
