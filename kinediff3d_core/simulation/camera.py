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

IMAGES_PER_STATE = 2
"""Noisy images of each joint state, shown in turn, so that the noise of a still object changes.
Chosen."""

STATES_PER_BATCH = 4
"""Joint states that are rendered at once, which shares work between them. Chosen."""

TABLE_MARGIN = 0.35
"""How far the table reaches beyond the object, m. Chosen."""
NEAREST_TABLE = 0.05
"""The table is not shown nearer to the camera than this, m. Chosen."""

BORDER = 8
"""Distance of the object from the image's border at least, pixels. Chosen."""
NEAREST = 0.1
"""Distance of the object from the camera at least, m. Chosen."""
STEP_BACK = 0.05
"""The camera goes back in steps of this length until the object is far enough, m. Chosen."""
MAX_STEPS_BACK = 40
"""How often the camera goes back at most. Chosen."""


@dataclass(frozen=True)
class SimulatedFrame:
    """One image with its truth."""

    depth: Array
    """(H, W) float32, m, 0 where the camera gives nothing."""
    mask: Array
    """(H, W) bool, the object."""
    positions: Array
    """(K-1,) joint positions, rad or m."""
    T_camera_base: Array
    """(4, 4) float64, m."""


@dataclass(frozen=True)
class SimulatedScene:
    """A held-out test object, the joint states that it goes through, and where the camera is."""

    instances: Instances
    """One object."""
    positions: Tensor
    """(S, K-1) joint states from the lower limits to the upper ones, rad or m."""
    T_camera_base: Tensor
    """(1, 4, 4) m."""
    intrinsics: Intrinsics
    seed: int
    """From which the object and the view are drawn, and the noise of its images."""

    @classmethod
    def sample(cls, category: str, seed: int, instance: int, intrinsics: Intrinsics,
               states: int = 24) -> SimulatedScene:
        """Object number ``instance`` of a seed, from its test view.

        The camera is moved back where the object would leave the image while its joints move.

        Args:
            states: number of joint states; a single one is in the middle of the range.

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
        return cls(objects, positions, _move_back(objects, view, positions, intrinsics),
                   intrinsics, seed)

    @property
    def joints(self) -> tuple[int, ...]:
        """Indices of the category's joints that this object has: of four drawers maybe two."""
        return tuple(i for i, joint in enumerate(self.instances.category.joints)
                     if self.instances.exists[0, joint.child])

    def meshes(self, positions: Array, voxel: float = 0.002) -> tuple[Mesh, ...]:
        """True meshes of the parts that it has, in the camera's frame, m.

        Args:
            positions: (K-1,) rad or m.
            voxel: resolution, m.
        """
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
    """Images of a scene, rendered once for each of its joint states.

    Args:
        table: show a support plane under the object's lowest point.
        noise: apply the sensor model, to ``IMAGES_PER_STATE`` images of each state. It has no
            occluders, because nothing moves in front of this camera.
        progress: called with (done, total) while the states are rendered.
    """

    def __init__(self, scene: SimulatedScene, table: bool = False, noise: bool = True,
                 progress: Callable[[int, int], None] | None = None) -> None:
        self.scene = scene
        self._generator = held_out_generator(scene.seed)
        self._shown = 0
        self._images: list[list[tuple[Array, Array]]] = []
        plane = _table_depth(scene) if table else None
        for positions in torch.split(scene.positions, STATES_PER_BATCH):
            depth, part = render_depth(scene.instances, positions,
                                       scene.T_camera_base.expand(len(positions), -1, -1),
                                       scene.intrinsics)
            if plane is not None:
                in_front = (plane > 0) & ((part < 0) | ((depth > 0) & (plane < depth)))
                depth, part = depth.where(~in_front, plane), part.where(~in_front, -1)
            self._images += [self._images_of(depth[i:i + 1], part[i:i + 1], noise)
                             for i in range(len(positions))]
            if progress is not None:
                progress(len(self._images), len(scene.positions))

    def frame(self, phase: float) -> SimulatedFrame:
        """The image at a phase of the motion: 0 and 1 are its start, 0.5 the other end."""
        last = len(self._images) - 1
        return self.state(round(last * (1 - abs(1 - 2 * (phase % 1.0)))))

    def state(self, index: int) -> SimulatedFrame:
        """The image at one of the scene's joint states; noisy images of it come in turn."""
        images = self._images[index]
        self._shown += 1
        depth, mask = images[self._shown % len(images)]
        return SimulatedFrame(depth, mask, self.scene.positions[index].double().numpy(),
                              self.scene.T_camera_base[0].double().numpy())

    def _images_of(self, depth: Tensor, part: Tensor, noise: bool) -> list[tuple[Array, Array]]:
        """Depth and mask images (H, W) of one joint state, from exact images (1, H, W)."""
        if not noise:
            return [(depth[0].numpy(), (part >= 0)[0].numpy())]
        model = SensorModel(occluded=0.0)
        images = (apply_sensor(depth, part, self._generator, model)
                  for _ in range(IMAGES_PER_STATE))
        return [(noisy[0].float().numpy(), mask[0].numpy()) for noisy, mask in images]


def _move_back(instances: Instances, T_camera_base: Tensor, positions: Tensor,
               intrinsics: Intrinsics) -> Tensor:
    """The camera pose (1, 4, 4), moved straight back until every state is inside the image."""
    T = T_camera_base.clone()
    for _ in range(MAX_STEPS_BACK):
        corners = torch.cat([posed_corners(instances, q[None], T) for q in positions])
        u = intrinsics.fx * corners[..., 0] / corners[..., 2] + intrinsics.cx
        v = intrinsics.fy * corners[..., 1] / corners[..., 2] + intrinsics.cy
        inside = ((corners[..., 2] > NEAREST) & (u > BORDER) & (u < intrinsics.width - 1 - BORDER)
                  & (v > BORDER) & (v < intrinsics.height - 1 - BORDER))
        if inside.all():
            break
        T[:, 2, 3] += STEP_BACK
    return T


def _table_depth(scene: SimulatedScene) -> Tensor:
    """Depth (1, H, W), m, of a rectangle under the object, parallel to its base; 0 beside it."""
    eye = torch.eye(4)[None]
    corners = torch.cat([posed_corners(scene.instances, q[None], eye) for q in scene.positions])
    low, high = corners.amin((0, 1)), corners.amax((0, 1))
    height = scene.instances.bounds[0, 0, 0, 2]
    T_base_camera = invert_transform(scene.T_camera_base)[0]
    camera = T_base_camera[:3, 3]
    directions = pixel_rays(scene.intrinsics) @ T_base_camera[:3, :3].T
    z = (height - camera[2]) / directions[..., 2]
    point = camera + z[..., None] * directions
    on_table = ((z > NEAREST_TABLE) & (point[..., :2] > low[:2] - TABLE_MARGIN).all(-1)
                & (point[..., :2] < high[:2] + TABLE_MARGIN).all(-1))
    return torch.where(on_table, z, torch.zeros_like(z))[None]
