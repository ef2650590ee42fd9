"""Procedural objects as a data set may state them: in another frame, size and joint zero."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from estimates import random_pose

from kinediff3d_core.data.datasets.canonical import StatedJoint, StatedModel
from kinediff3d_core.data.truth import Truth, part_poses
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.solids import Instances

Array = np.ndarray[Any, Any]


def object_of(category: str, seed: int) -> Instances:
    """One held-out procedural object."""
    return sample_instances(category, 1, held_out_generator(seed))


def skewed_frame(seed: int) -> Array:
    """A pose (4, 4) whose axes are at least 10 degrees from those of its parent."""
    frames = (random_pose(1000 * seed + i) for i in range(1000))
    return next(T for T in frames if np.abs(T[:3, :3]).max() < np.cos(np.radians(10)))


def corners(bounds: Array) -> Array:
    """The corners (8, 3) of a box (2, 3)."""
    return np.stack(np.meshgrid(*bounds.T, indexing='ij'), -1).reshape(-1, 3)


def scissors_points(one: Instances, k: int) -> Array:
    """Points of a half: on its surface, on all sides of its box, and the tip before the pivot.

    Blunt tips are rounded beside the line from the pivot, where convention puts the tip. Points
    near them are left out.
    """
    low, high = one.bounds[0, k].double().numpy()
    pivot = one.origin[0, 0].double().numpy() if k == 0 else np.zeros(3)
    middle = np.clip(pivot, low, high)
    surface, _ = one.surface_points(k, 2000, torch.Generator().manual_seed(0))
    surface = surface[0].double().numpy()
    points = [surface[surface[:, 0] - pivot[0] < 0.9 * (high[0] - pivot[0])]]
    for axis in range(3):
        for end in (low, high):
            point = middle.copy()
            point[axis] = end[axis]
            points.append(point[None])
    return np.concatenate(points)


@dataclass(frozen=True)
class Stated:
    """A procedural object in its canonical frame and as a data set states it.

    Attributes:
        truth: at joint positions ``q``, without surfaces, metres.
        model: as stated; its poses are ``T_camera_model`` (K, 4, 4), its size ``1 / scale``.
    """

    truth: Truth
    model: StatedModel
    T_camera_model: Array
    scale: float


def state(one: Instances, seed: int, frame: Array | None = None, scale: float | None = None,
          zero: float | None = None, T_camera_base: Array | None = None) -> Stated:
    """An object in a random pose and state, stated in a frame T_model_base (4, 4).

    Args:
        zero: position of all joints at which the data set stores the model; random by default.
    """
    rng = np.random.default_rng(seed)
    category = one.category
    parts = torch.nonzero(one.exists[0])[:, 0].tolist()
    rows = [i for i, j in enumerate(category.joints) if j.child in parts]
    joints = [category.joints[i] for i in rows]
    origin, axis = (x[0, rows].double().numpy() for x in (one.origin, one.axis))
    lower, upper = (x[0, rows].double().numpy() for x in (one.lower, one.upper))
    frame = skewed_frame(seed) if frame is None else frame
    scale = float(rng.uniform(0.5, 2)) if scale is None else scale
    stored, q = (lower + rng.random((2, len(rows))) * (upper - lower))
    if zero is not None:
        stored[:] = zero
    bounds = one.bounds[0, parts].double().numpy()
    truth = Truth(
        category.name, tuple(category.parts[k] for k in parts), tuple(j.name for j in joints),
        tuple(j.joint_type for j in joints), (0,) * len(rows), tuple(range(1, len(parts))),
        np.zeros((len(parts), 4, 4)), q, origin, axis, None, bounds.mean(1))
    T_camera_base = random_pose(seed) if T_camera_base is None else T_camera_base
    truth = replace(truth, T_camera_part=np.stack([T_camera_base @ T
                                                   for T in part_poses(truth, q)]))
    T_model_base = frame.copy()
    T_model_base[:3, 3] /= scale
    local = np.stack(part_poses(truth, stored))
    local[:, :3, 3] /= scale
    at_zero = T_model_base @ local
    points = [scissors_points(one, k) if category.name == 'scissors' else
              np.concatenate([corners(b), b.mean(0)[None]])
              for k, b in zip(parts, bounds, strict=True)]
    order = rng.permutation(len(rows))
    unit = np.array([scale if j.joint_type == 'prismatic' else 1.0 for j in joints])
    stated = tuple(StatedJoint(
        int(i) + 1, joints[i].joint_type, 3 * T_model_base[:3, :3] @ axis[i],
        transform_points(at_zero[0], (origin[i] + rng.normal() * axis[i])[None] / scale)[0],
        *((x - stored[i]) / unit[i] for x in (0, lower[i], upper[i])))
        for i in order)
    model = StatedModel(category, tuple(transform_points(T, p / scale)
                                        for T, p in zip(at_zero, points, strict=True)), stated,
                        T_model_base[:3, 2])
    back = np.linalg.inv(at_zero)
    back[:, :3, 3] *= scale
    return Stated(truth, model, truth.T_camera_part @ back, scale)
