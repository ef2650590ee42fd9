"""Held-out procedural objects as estimates without error, with coarse meshes of every part."""

import numpy as np
import torch

from kinediff3d_core.inference.meshing import extract_mesh
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, PartEstimate
from kinediff3d_core.simulation.families import held_out_generator, sample_instances

CELLS = 60
"""Cells along a part's diagonal; its thin directions have more for their size."""


def coarse_object(category: str, row: int = 0, share: float = 0.45) -> ArticulatedEstimate:
    """A held-out object with its joints at a share of their range; a second is enough for it."""
    one = sample_instances(category, row + 1, held_out_generator(0))[row:row + 1]
    c = one.category
    q = one.lower + share * (one.upper - one.lower)
    poses = one.part_poses(q.double(), torch.eye(4, dtype=torch.float64)[None])[0].numpy()
    parts = [PartEstimate(name, poses[k], _mesh(one, k))
             for k, name in enumerate(c.parts) if one.exists[0, k]]
    joints = tuple(
        JointEstimate(j.name, j.joint_type, c.parts[j.parent], c.parts[j.child],
                      one.origin[0, i].double().numpy(), one.axis[0, i].double().numpy(),
                      float(q[0, i]), float(one.lower[0, i]), float(one.upper[0, i]), 0.0)
        for i, j in enumerate(c.joints) if one.exists[0, j.child])
    return ArticulatedEstimate(c.name, tuple(parts), joints, np.zeros((6, 6)), 0.0, 1.0, (),
                               np.zeros(0), np.zeros((0, 3)))


def _mesh(one, part):
    low, high = one.bounds[0, part]
    voxel = torch.minimum((high - low).norm() / CELLS, (high - low) / 8).clamp_min(2e-4)
    return extract_mesh(lambda p: one.part_sdf(part, p[None])[0], low - 2 * voxel,
                        high + 2 * voxel, voxel, keep='all')
