"""A depth camera that watches one procedural object while its joints move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.categories import get_category
from kinediff3d_core.data.families import held_out_generator, sample_instances
from kinediff3d_core.data.render import pixel_rays, render_depth
from kinediff3d_core.data.sensor import SensorModel, apply_sensor
from kinediff3d_core.data.solids import Instances
from kinediff3d_core.data.views import joint_range, posed_corners, sample_views
from kinediff3d_core.geometry import Intrinsics, invert_transform

TAKES = 3
"""Noisy images of each joint state, shown in turn."""

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

    depth: np.ndarray
    mask: np.ndarray
    positions: np.ndarray
    T_camera_base: np.ndarray


class SimulatedCamera:
    """Renders the joint's sweep once, so that frames then cost nothing.

    The object is number ``instance`` of the held-out test objects of ``seed``; the view is one of
    the test views. Joints move together, from their lower to their upper limits and back.

    Args:
        states: joint states that are rendered.
        table: a support plane under the object's lowest point.
        noise: apply the sensor model (without its occluders: nothing moves in front of a camera
            that stands still); each state gets ``TAKES`` images that differ in noise.
        progress: is told (done, total) while the states are rendered.

    Raises:
        ValueError: unknown category.
    """

    def __init__(self, category: str, seed: int, instance: int, intrinsics: Intrinsics,
                 states: int = 24, table: bool = False, noise: bool = True,
                 progress: Callable[[int, int], None] | None = None) -> None:
        self.category = get_category(category)
        self._generator = held_out_generator(seed)
        instances = sample_instances(category, instance + 1, self._generator)
        _, views = sample_views(instances, self._generator)
        self.instances, view = instances[instance:instance + 1], views[instance:instance + 1]
        low, high = joint_range(self.category)
        share = torch.linspace(0, 1, states)[:, None] if states > 1 else torch.full((1, 1), 0.5)
        self._positions = low + share * (high - low)
        self._T_camera_base = _in_view(self.instances, view, self._positions, intrinsics)
        plane = _table_depth(self.instances, self._positions, self._T_camera_base, intrinsics)
        self._frames: list[list[tuple[np.ndarray, np.ndarray]]] = []
        self._shown = 0
        for i in range(states):
            depth, part = render_depth(self.instances, self._positions[i:i + 1],
                                       self._T_camera_base, intrinsics)
            if table:
                front = (plane > 0) & ((depth == 0) | (plane < depth))
                depth = torch.where(front, plane, depth)
                part = torch.where(front, -1, part)
            self._frames.append(self._takes(depth, part, noise))
            if progress is not None and ((i + 1) % 8 == 0 or i + 1 == states):
                progress(i + 1, states)

    def _takes(self, depth: Tensor, part: Tensor, noise: bool,
               ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Depth and mask images of one joint state."""
        if not noise:
            return [(depth[0].numpy(), (part >= 0)[0].numpy())]
        model = SensorModel(occluded=0.0)
        takes = (apply_sensor(depth, part, self._generator, model) for _ in range(TAKES))
        return [(noisy[0].float().numpy(), mask[0].numpy()) for noisy, mask in takes]

    def frame(self, phase: float) -> SimulatedFrame:
        """The image at a phase: 0 is one end of the sweep, 0.5 the other, 1 the first again."""
        last = len(self._frames) - 1
        i = round(last * (1 - abs(1 - 2 * (phase % 1.0))))
        self._shown += 1
        depth, mask = self._frames[i][self._shown % len(self._frames[i])]
        return SimulatedFrame(depth, mask, self._positions[i].numpy().astype(float),
                              self._T_camera_base[0].double().numpy())


def _in_view(instances: Instances, T_camera_base: Tensor, positions: Tensor,
             intrinsics: Intrinsics) -> Tensor:
    """The view, moved straight back until every state of the object is inside the image."""
    T = T_camera_base.clone()
    n = len(positions)
    for _ in range(40):
        corners = torch.cat([posed_corners(instances, positions[i:i + 1], T) for i in range(n)])
        u = intrinsics.fx * corners[..., 0] / corners[..., 2] + intrinsics.cx
        v = intrinsics.fy * corners[..., 1] / corners[..., 2] + intrinsics.cy
        inside = ((corners[..., 2] > 0.1) & (u > 8) & (u < intrinsics.width - 9)
                  & (v > 8) & (v < intrinsics.height - 9))
        if inside.all():
            break
        T[:, 2, 3] += 0.05
    return T


def _table_depth(instances: Instances, positions: Tensor, T_camera_base: Tensor,
                 intrinsics: Intrinsics) -> Tensor:
    """Depth (1, H, W) of a rectangle under the object, parallel to its base, 0 beside it."""
    eye = torch.eye(4)[None]
    corners = torch.cat([posed_corners(instances, q[None], eye) for q in positions])
    low, high = corners.amin((0, 1)), corners.amax((0, 1))
    height = posed_corners(instances, positions[:1], eye)[0, :8, 2].min()
    T_base_camera = invert_transform(T_camera_base)[0]
    eye_position = T_base_camera[:3, 3]
    directions = pixel_rays(intrinsics) @ T_base_camera[:3, :3].T
    z = (height - eye_position[2]) / directions[..., 2]
    hit = eye_position + z[..., None] * directions
    on_table = ((z > 0.05) & (hit[..., :2] > low[:2] - TABLE_MARGIN).all(-1)
                & (hit[..., :2] < high[:2] + TABLE_MARGIN).all(-1))
    return torch.where(on_table, z, torch.zeros_like(z))[None]
