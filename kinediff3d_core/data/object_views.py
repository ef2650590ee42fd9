"""Depth images of mesh objects, and the views from which they are seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.data.mesh_objects import MeshObject
from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.category import CATEGORIES, Category
from kinediff3d_core.objects.estimate import transform_mesh
from kinediff3d_core.simulation.render import pixel_rays
from kinediff3d_core.simulation.views import (
    PosedObjects,
    ViewRange,
    pose_objects,
    sample_views,
)

Array = np.ndarray[Any, Any]


def render_object(obj: MeshObject, q: Tensor, T_camera_base: Tensor, intrinsics: Intrinsics,
                  ) -> tuple[Tensor, Tensor]:
    """Exact depth image of an object, as :func:`kinediff3d_core.simulation.render.render_depth`.

    Args:
        q: (J,) joint positions, rad or m.
        T_camera_base: (4, 4), m.

    Returns:
        depth (H, W) m, 0 where there is nothing; part (H, W) int64, -1 there.
    """
    return cast_object(obj, obj.part_poses(q, T_camera_base), pixel_rays(intrinsics))


def cast_object(obj: MeshObject, poses: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Depths and parts along rays.

    Args:
        poses: (K, 4, 4) of the parts in the camera frame, m.
        rays: (..., 3) from the camera's centre, z = 1.

    Returns:
        depth (...) m, 0 where a ray meets nothing; part (...) int64, -1 there.
    """
    scene = raycasting_scene([transform_mesh(T, m) for m, T in zip(
        obj.meshes, poses.double().cpu().numpy(), strict=True)])
    directions = rays.float().cpu().numpy()
    hit = scene.cast_rays(np.concatenate([np.zeros_like(directions), directions], axis=-1))
    depth = torch.from_numpy(hit['t_hit'].numpy())
    part = torch.from_numpy(hit['geometry_ids'].numpy().astype(np.int64))
    miss = ~torch.isfinite(depth)
    return depth.masked_fill(miss, 0.0), part.masked_fill(miss, -1)


def object_range(obj: MeshObject) -> tuple[Array, Array]:
    """Lower and upper joint positions (J,) of test views, rad or m.

    They are the category's test range within the object's own limits.
    """
    low, high = obj.lower, obj.upper
    if obj.category in CATEGORIES:
        test_low, test_high = CATEGORIES[obj.category].test_range
        low, high = np.maximum(low, test_low), np.minimum(high, test_high)
        low = np.minimum(low, high)
    return low, high


def sample_object_view(obj: MeshObject, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A test view of an object: q (J,), T_camera_base (4, 4), m.

    Raises:
        ValueError: a category without a test protocol.
    """
    low, high = object_range(obj)
    q, T_camera_base = sample_views(_repeated(obj, low, high, 1), generator)
    return q[0], T_camera_base[0]


def pose_mesh_object(obj: MeshObject, generator: torch.Generator, n: int, views: ViewRange,
                     ) -> PosedObjects:
    """Training views of one object, n of them.

    Args:
        generator: on the CPU.

    Raises:
        ValueError: a category without a test protocol.
    """
    return pose_objects(_repeated(obj, obj.lower, obj.upper, n), generator, views)


def _repeated(obj: MeshObject, low: Array, high: Array, n: int) -> _RepeatedObject:
    """The object n times, with joint limits (J,)."""
    if obj.category not in CATEGORIES:
        raise ValueError(f'no test views for category {obj.category!r}; known: '
                         f'{", ".join(sorted(CATEGORIES))}')
    bounds, lower, upper = (torch.from_numpy(x).float().expand(n, *x.shape)
                            for x in (obj.bounds, low, high))
    return _RepeatedObject(obj, CATEGORIES[obj.category], bounds, lower, upper)


@dataclass(frozen=True)
class _RepeatedObject:
    """One object n times, as :class:`kinediff3d_core.simulation.views.Articulated`."""

    obj: MeshObject
    category: Category
    bounds: Tensor
    lower: Tensor
    upper: Tensor

    def part_poses(self, q: Tensor, T_camera_base: Tensor) -> Tensor:
        return self.obj.part_poses(q, T_camera_base)
