"""Depth images of procedural objects by sphere tracing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import invert_transform
from kinediff3d_core.kernels.triton import TRITON
from kinediff3d_core.simulation.solids import FAR, Instances, pack_slabs
from kinediff3d_core.simulation.views import posed_corners

MAX_STEPS = 96
"""Steps of a ray through one part's box at most. Chosen."""
TOLERANCE = 1e-4
"""A ray meets a surface where the distance to it is smaller, m. Chosen: a tenth of the depth step
of 16UC1 images."""
MIN_DEPTH = 1e-3
"""Rays begin at least this far from the camera, and a box that reaches nearer to it is not
projected into the image, m. Chosen."""
PARALLEL = 1e-9
"""Smaller components of a ray's direction count as this one, so that no division is by zero."""


def pixel_rays(intrinsics: Intrinsics, device: torch.device | str = 'cpu') -> Tensor:
    """Directions (H, W, 3) of the rays through the pixels' centres, camera frame, z = 1."""
    v, u = torch.meshgrid(torch.arange(intrinsics.height, device=device),
                          torch.arange(intrinsics.width, device=device), indexing='ij')
    x = (u - intrinsics.cx) / intrinsics.fx
    y = (v - intrinsics.cy) / intrinsics.fy
    return torch.stack([x, y, torch.ones_like(x)], dim=-1).float()


def trace(instances: Instances, T_camera_part: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Depth along z of the first surface that each ray meets.

    Sphere tracing (Hart 1996), part by part: each ray that goes through the part's box advances by
    the part's signed distance, from where it enters the box until it is within ``TOLERANCE`` of
    the surface or leaves the box. On a GPU with Triton this is one kernel.

    Args:
        instances: B, or one that is seen B times, which is faster.
        T_camera_part: (B, K, 4, 4).
        rays: (B, N, 3) with z = 1, from the camera's centre.

    Returns:
        depth (B, N), m, 0 where a ray meets nothing, or glass that gives no depth; part (B, N)
        int64, -1 where a ray meets nothing.
    """
    march = _trace_on_gpu if rays.is_cuda and TRITON else _trace_on_cpu
    depth, part = march(instances, T_camera_part, rays)
    return depth.masked_fill(_on_glass(instances, T_camera_part, rays, depth, part), 0.0), part


def _on_glass(instances: Instances, T_camera_part: Tensor, rays: Tensor, depth: Tensor,
              part: Tensor) -> Tensor:
    """Whether (B, N) rays meet glass that gives no depth; arguments as those of :func:`trace`."""
    lost = torch.zeros_like(part, dtype=torch.bool)
    for k in torch.nonzero(instances.glass[:, :, 0, 0].isfinite().any(0))[:, 0].tolist():
        T = invert_transform(T_camera_part[:, k])
        low, high = instances.glass[:, k, :, None].unbind(1)
        p = (rays * depth[..., None]) @ T[:, :3, :3].transpose(-1, -2) + T[:, None, :3, 3]
        lost |= (part == k) & ((p > low) & (p < high)).all(-1)
    return lost


def _trace_on_cpu(instances: Instances, T_camera_part: Tensor, rays: Tensor,
                  ) -> tuple[Tensor, Tensor]:
    """:func:`trace` in torch."""
    B, N = rays.shape[:2]
    depth = torch.full((B, N), FAR, device=rays.device)
    part_id = torch.full((B, N), -1, device=rays.device)
    T_part_camera = invert_transform(T_camera_part)
    for k in range(instances.num_parts):
        start = T_part_camera[:, k, :3, 3]
        direction = rays @ T_part_camera[:, k, :3, :3].transpose(-1, -2)
        enter, leave = _box_interval(instances.bounds[:, k], start, direction)
        leave = torch.minimum(leave, depth)
        candidate = torch.nonzero((enter < leave).view(-1))[:, 0]
        if candidate.numel() == 0:
            continue
        index = candidate // N
        ray = _Rays(candidate, index, start[index], direction.view(-1, 3)[candidate],
                    enter.view(-1)[candidate], leave.view(-1)[candidate])
        for hit, t in _march(instances, k, ray):
            depth.view(-1)[hit] = t
            part_id.view(-1)[hit] = k
    return torch.where(part_id < 0, 0.0, depth), part_id


def _trace_on_gpu(instances: Instances, T_camera_part: Tensor, rays: Tensor,
                  ) -> tuple[Tensor, Tensor]:
    """:func:`trace` as one Triton kernel."""
    from kinediff3d_core.kernels import trace as kernel

    if len(instances) == 1:
        instances = instances[torch.zeros(len(rays), dtype=torch.int64, device=rays.device)]
    return kernel.trace(*pack_slabs(instances), invert_transform(T_camera_part), instances.bounds,
                        rays, kernel.MarchLimits(FAR, MAX_STEPS, TOLERANCE))


def _box_interval(box: Tensor, start: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays (B, N) enter and leave a box, in units of their directions' z.

    Args:
        box: (B, 2, 3) or (1, 2, 3), m.
        start: (B, 3) the camera's centre, m.
        direction: (B, N, 3).
    """
    inverse = 1 / torch.where(direction.abs() < PARALLEL, PARALLEL, direction)
    ends = torch.stack([(box[:, i, None] - start[:, None]) * inverse for i in range(2)])
    return ends.amin(0).amax(-1).clamp_min(MIN_DEPTH), ends.amax(0).amin(-1)


@dataclass(frozen=True)
class _Rays:
    """R rays that go through a part's box, in its frame."""

    number: Tensor
    """(R,) place among all rays."""
    instance: Tensor
    """(R,)"""
    start: Tensor
    """(R, 3) m."""
    direction: Tensor
    """(R, 3)"""
    t: Tensor
    """(R,) depth along z where they begin, m."""
    end: Tensor
    """(R,) depth along z where they leave the box, m."""

    def __getitem__(self, index: Tensor) -> _Rays:
        return _Rays(*(getattr(self, f.name)[index] for f in fields(self)))


def _march(instances: Instances, part: int, ray: _Rays) -> Iterator[tuple[Tensor, Tensor]]:
    """Sphere tracing: yield the numbers and depths of rays that meet the part, after each step."""
    t, speed = ray.t, ray.direction.norm(dim=-1)
    for _ in range(MAX_STEPS):
        gap = instances.sdf_at(part, ray.instance, ray.start + t[:, None] * ray.direction)
        done = gap < TOLERANCE
        if done.any():
            yield ray.number[done], t[done]
        t = t + gap.clamp_min(TOLERANCE) / speed
        active = ~done & (t < ray.end)
        if not active.any():
            return
        ray, t, speed = ray[active], t[active], speed[active]


def render_depth(instances: Instances, q: Tensor, T_camera_base: Tensor, intrinsics: Intrinsics,
                 ) -> tuple[Tensor, Tensor]:
    """Exact depth images.

    Only pixels inside the image of the parts' boxes are traced.

    Args:
        instances: B, or one in B states.
        q: (B, K-1) joint positions, rad or m.
        T_camera_base: (B, 4, 4), m.

    Returns:
        depth (B, H, W), m along z, 0 where there is nothing or glass; part (B, H, W) int64, -1
        where there is nothing.
    """
    instances = with_used_slots(instances)
    poses = instances.part_poses(q, T_camera_base)
    rows, columns = _image_box(posed_corners(instances, q, T_camera_base), intrinsics)
    rays = pixel_rays(intrinsics, q.device)[rows, columns]
    traced = trace(instances, poses, rays.reshape(1, -1, 3).expand(len(q), -1, -1))
    shape = (len(q), intrinsics.height, intrinsics.width)
    depth = torch.zeros(shape, device=q.device)
    part = torch.full(shape, -1, device=q.device)
    for image, values in zip((depth, part), traced, strict=True):
        image[:, rows, columns] = values.view(len(q), *rays.shape[:2])
    return depth, part


def with_used_slots(instances: Instances) -> Instances:
    """The same objects without the slots that none of them has, which cost as much as others."""
    used = instances.present.any(0)
    return replace(instances, slots=tuple(
        slot for slot, keep in zip(instances.slots, used.tolist(), strict=True) if keep), **{
            name: getattr(instances, name)[:, used]
            for name in ('centre', 'half', 'corner', 'edge', 'rotation', 'present')})


def _image_box(corners: Tensor, intrinsics: Intrinsics) -> tuple[slice, slice]:
    """Rows and columns of the pixels around points (B, N, 3), with a margin of one pixel.

    All rows and columns if a point is not before the camera.
    """
    x, y, z = corners.reshape(-1, 3).unbind(-1)
    if not (z > MIN_DEPTH).all():
        return slice(None), slice(None)
    box = []
    for at, focal, centre, size in ((y / z, intrinsics.fy, intrinsics.cy, intrinsics.height),
                                    (x / z, intrinsics.fx, intrinsics.cx, intrinsics.width)):
        first = math.floor(focal * float(at.min()) + centre) - 1
        last = math.ceil(focal * float(at.max()) + centre) + 1
        box.append(slice(min(max(first, 0), size), max(min(last + 1, size), 0)))
    return box[0], box[1]
