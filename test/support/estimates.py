"""A hand-made estimate of a laptop, for tests of functions of estimates."""

import math
from dataclasses import replace

import numpy as np
import trimesh

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    Mode,
    PartEstimate,
)
from kinediff3d_core.objects.mesh_sampling import sample_mesh


def box_mesh(extents, centre=(0.0, 0.0, 0.0)):
    tm = trimesh.creation.box(extents=extents)
    tm.apply_translation(centre)
    return Mesh(np.asarray(tm.vertices), np.asarray(tm.faces))


def laptop_estimate(position=1.75):
    """Seen from the front and above, 0.8 m away."""
    T = np.eye(4)
    eye = np.array([0.5, 0.25, 0.5])
    z = -eye / np.linalg.norm(eye)
    x = np.cross(z, (0, 0, 1.0))
    x /= np.linalg.norm(x)
    T[:3, :3] = np.stack([x, np.cross(z, x), z])
    T[:3, 3] = -T[:3, :3] @ eye
    origin, axis = np.array([-0.11, 0.0, 0.01]), np.array([0.0, -1.0, 0.0])
    child = trimesh.transformations.rotation_matrix(position, axis)
    child[:3, 3] = origin
    base = PartEstimate('base', T, box_mesh((0.22, 0.33, 0.02)))
    lid = PartEstimate('lid', T @ child, box_mesh((0.22, 0.33, 0.006), (0.11, 0.0, 0.005)))
    joint = JointEstimate('lid_joint', 'revolute', 'base', 'lid', origin, axis, position, 0.0,
                          math.pi, 0.02)
    rng = np.random.default_rng(0)
    points = np.concatenate([transform_points(p.T_camera_part, sample_mesh(p.mesh, 400, rng))
                             for p in (base, lid)])
    mode = Mode(0.9, T, np.array([position]), 0.001)
    return ArticulatedEstimate('laptop', (base, lid), (joint,), np.eye(6) * 1e-4, 0.001, 0.9,
                               (mode,), np.linspace(-1, 1, 8), points, {'pose': 0.02})


def box(lower, upper, cuts=1):
    """A closed box between two corners, its triangles subdivided."""
    tm = trimesh.creation.box(bounds=[lower, upper])
    for _ in range(cuts):
        tm = tm.subdivide()
    return Mesh(np.asarray(tm.vertices), np.asarray(tm.faces))


def random_pose(seed):
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    T = np.eye(4)
    T[:3, :3] = Q * np.sign(np.linalg.det(Q))
    T[:3, 3] = rng.normal(size=3)
    return T


def boxes_estimate(probability=1.0):
    """Two boxes in unrelated poses, with one joint of a given probability."""
    base, lid = random_pose(1), random_pose(2)
    return ArticulatedEstimate(
        'laptop',
        (PartEstimate('base', base, box((-0.1, -0.15, -0.01), (0.1, 0.15, 0.01))),
         PartEstimate('lid', lid, box((0, -0.15, 0), (0.2, 0.15, 0.01)))),
        (JointEstimate('lid_joint', 'revolute', 'base', 'lid', np.array([-0.1, 0.0, 0.01]),
                       np.array([0.0, -1.0, 0.0]), 1.2, 0.0, 3.1, 0.01, probability),),
        np.eye(6), 0.001, 0.9, (Mode(1.0, base, np.array([1.2]), 0.001),), np.zeros(4),
        np.zeros((10, 3)))


def at_position(estimate, position):
    """An estimate of one joint with this joint at another position."""
    poses = estimate.part_poses_at(np.array([position]))
    parts = tuple(replace(p, T_camera_part=estimate.T_camera_base @ poses[p.name])
                  for p in estimate.parts)
    return replace(estimate, parts=parts,
                   joints=(replace(estimate.joints[0], position=position),))
