"""Depth images of simple things on a table, drawn exactly."""

import numpy as np
import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.primitives import Primitive, primitive_depth
from kinediff3d_core.simulation.render import pixel_rays

CAMERA = Intrinsics(300.0, 300.0, 159.5, 119.5, 320, 240)


def camera_above(elevation=45.0, distance=1.0):
    """T_camera_world (4, 4) of an upright camera that looks at the world's origin, z up."""
    e = np.radians(elevation)
    z = np.array([0, np.cos(e), -np.sin(e)])
    y = np.array([0, -np.sin(e), -np.cos(e)])
    T = np.eye(4)
    T[:3, :3] = [np.cross(y, z), y, z]
    T[2, 3] = distance
    return torch.tensor(T).float()


def block(x, y, half, z=None):
    """A box that stands at (x, y) on the plane z = 0, or has its centre at z; half sizes (3)."""
    T = torch.eye(4)
    T[:3, 3] = torch.tensor([x, y, half[2] if z is None else z])
    return Primitive(T, torch.tensor(half))


def plate(half_x, half_y, z=0.0):
    """A table top or floor whose upper side is at z."""
    return block(0.0, 0.0, [half_x, half_y, 0.01], z - 0.01)


def draw(primitives, T_camera_world, noise=0.001):
    """Depth (H, W), m, with some noise, and the number of the primitive in each pixel, -1."""
    rays = pixel_rays(CAMERA)
    layers = torch.stack([primitive_depth(Primitive(T_camera_world @ p.T, p.half, p.centres,
                                                    p.radii), rays) for p in primitives])
    depth, index = layers.min(0)
    seen = depth.isfinite().numpy()
    noisy = depth.numpy() + np.random.default_rng(0).normal(0, noise, depth.shape)
    return (np.where(seen, noisy, 0).astype(np.float32), np.where(seen, index.numpy(), -1))
