"""A depth camera that watches one procedural object while its joints move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import invert_transform
from kinediff3d_core.inference.meshing import extract_mesh
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import Mesh, transform_mesh
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.render import pixel_rays, render_depth
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor
from kinediff3d_core.simulation.solids import Instances
from kinediff3d_core.simulation.views import posed_corners, sample_views, state_range

Array = np.ndarray[Any, Any]

TAKES = 2
"""Noisy images of each joint state, shown in turn."""

TOGETHER = 4
"""Joint states that are rendered at once: much of the work on each is the same."""

TABLE_MARGIN = 0.35
"""How far the table reaches beyond the object, m."""


@dataclass(frozen=True)
class SimulatedFrame:
    """One image with its truth.

    Attributes:
        depth: (H, W) float32, m, 0 where the camera gives nothing.
        mask: (H, W) bool, the object.
        positions: (K-1,) joint positions, rad or m.
        T_camera_base: (4, 4) float64.
    """

    depth: Array
    mask: Array
    positions: Array
    T_camera_base: Array


@dataclass(frozen=True)
class SimulatedScene:
    """A held-out test object and where the camera stands.

    Attributes:
        instances: one object.
        positions: (S, K-1) the joint states of its sweep, from the lower limits to the upper.
        T_camera_base: (1, 4, 4).
        intrinsics: of the camera.
        seed: that drew it.
    """

    instances: Instances
    positions: Tensor
    T_camera_base: Tensor
    intrinsics: Intrinsics
    seed: int

    @classmethod
    def sample(cls, category: str, seed: int, instance: int, intrinsics: Intrinsics,
               states: int = 24) -> SimulatedScene:
        """Object number ``instance`` of that seed, from one of the test views.

        The camera is moved back where the object would leave the image while its joints move.

        Raises:
            ValueError: unknown category.
        """
        get_category(category)
        generator = held_out_generator(seed)
        objects = sample_instances(category, instance + 1, generator)
        _, views = sample_views(objects, generator)
        objects, view = objects[instance:instance + 1], views[instance:instance + 1]
        low, high = (x[0] for x in state_range(objects))
        share = torch.linspace(0, 1, states)[:, None] if states > 1 else torch.full((1, 1), 0.5)
        positions = low + share * (high - low)
        return cls(objects, positions, _in_view(objects, view, positions, intrinsics), intrinsics,
                   seed)

    @property
    def joints(self) -> tuple[int, ...]:
        """Those of the category that this object has: not every cabinet has four drawers."""
        return tuple(i for i, joint in enumerate(self.instances.category.joints)
                     if self.instances.exists[0, joint.child])

    def meshes(self, positions: Array, voxel: float = 0.002) -> tuple[Mesh, ...]:
        """The true parts that it has at joint positions (K-1,), in the camera's frame, m."""
        poses = self.instances.part_poses(
            torch.as_tensor(positions, dtype=torch.float32)[None], self.T_camera_base)[0]
        meshes = []
        for k in torch.nonzero(self.instances.exists[0])[:, 0].tolist():
            def sdf(p: Tensor, part: int = k) -> Tensor:
                return self.instances.part_sdf(part, p[None])[0]

            low, high = self.instances.bounds[0, k]
            mesh = extract_mesh(sdf, low - 3 * voxel, high + 3 * voxel, voxel)
            T = poses[k].double().numpy()
            meshes.append(transform_mesh(T, mesh))
        return tuple(meshes)


class SimulatedCamera:
    """Renders a scene's joint states once, so that frames then cost nothing.

    Args:
        table: a support plane under the object's lowest point.
        noise: apply the sensor model (without its occluders: nothing moves in front of a camera
            that stands still); each state gets ``TAKES`` images that differ in noise.
        progress: is told (done, total) while the states are rendered.
    """

    def __init__(self, scene: SimulatedScene, table: bool = False, noise: bool = True,
                 progress: Callable[[int, int], None] | None = None) -> None:
        self.scene = scene
        self._generator = held_out_generator(scene.seed)
        self._shown = 0
        self._frames: list[list[tuple[Array, Array]]] = []
        plane = _table_depth(scene)
        states = len(scene.positions)
        for positions in torch.split(scene.positions, TOGETHER):
            depth, part = render_depth(scene.instances, positions,
                                       scene.T_camera_base.expand(len(positions), -1, -1),
                                       scene.intrinsics)
            if table:
                front = (plane > 0) & ((depth == 0) | (plane < depth))
                depth = torch.where(front, plane, depth)
                part = torch.where(front, -1, part)
            self._frames += [self._takes(depth[i:i + 1], part[i:i + 1], noise)
                             for i in range(len(positions))]
            if progress is not None:
                progress(len(self._frames), states)

    def frame(self, phase: float) -> SimulatedFrame:
        """The image at a phase: 0 is one end of the sweep, 0.5 the other, 1 the first again."""
        last = len(self._frames) - 1
        return self.state(round(last * (1 - abs(1 - 2 * (phase % 1.0)))))

    def state(self, index: int) -> SimulatedFrame:
        """The image at one of the scene's joint states."""
        takes = self._frames[index]
        self._shown += 1
        depth, mask = takes[self._shown % len(takes)]
        return SimulatedFrame(depth, mask, self.scene.positions[index].double().numpy(),
                              self.scene.T_camera_base[0].double().numpy())

    def _takes(self, depth: Tensor, part: Tensor, noise: bool) -> list[tuple[Array, Array]]:
        """Depth and mask images of one joint state."""
        if not noise:
            return [(depth[0].numpy(), (part >= 0)[0].numpy())]
        model = SensorModel(occluded=0.0)
        takes = (apply_sensor(depth, part, self._generator, model) for _ in range(TAKES))
        return [(noisy[0].float().numpy(), mask[0].numpy()) for noisy, mask in takes]


def _in_view(instances: Instances, T_camera_base: Tensor, positions: Tensor,
             intrinsics: Intrinsics) -> Tensor:
    """The view, moved straight back until every state of the object is inside the image."""
    T = T_camera_base.clone()
    for _ in range(40):
        corners = torch.cat([posed_corners(instances, q[None], T) for q in positions])
        u = intrinsics.fx * corners[..., 0] / corners[..., 2] + intrinsics.cx
        v = intrinsics.fy * corners[..., 1] / corners[..., 2] + intrinsics.cy
        inside = ((corners[..., 2] > 0.1) & (u > 8) & (u < intrinsics.width - 9)
                  & (v > 8) & (v < intrinsics.height - 9))
        if inside.all():
            break
        T[:, 2, 3] += 0.05
    return T


def _table_depth(scene: SimulatedScene) -> Tensor:
    """Depth (1, H, W) of a rectangle under the object, parallel to its base, 0 beside it."""
    eye = torch.eye(4)[None]
    corners = torch.cat([posed_corners(scene.instances, q[None], eye) for q in scene.positions])
    low, high = corners.amin((0, 1)), corners.amax((0, 1))
    height = scene.instances.bounds[0, 0, 0, 2]
    T_base_camera = invert_transform(scene.T_camera_base)[0]
    eye_position = T_base_camera[:3, 3]
    directions = pixel_rays(scene.intrinsics) @ T_base_camera[:3, :3].T
    z = (height - eye_position[2]) / directions[..., 2]
    hit = eye_position + z[..., None] * directions
    on_table = ((z > 0.05) & (hit[..., :2] > low[:2] - TABLE_MARGIN).all(-1)
                & (hit[..., :2] < high[:2] + TABLE_MARGIN).all(-1))
    return torch.where(on_table, z, torch.zeros_like(z))[None]
