"""Depth images of procedural objects by sphere tracing."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import invert_transform
from kinediff3d_core.kernels.triton import TRITON
from kinediff3d_core.simulation.solids import FAR, Instances, pack_slabs
from kinediff3d_core.simulation.views import posed_corners

MAX_STEPS = 96
TOLERANCE = 1e-4


def pixel_rays(intrinsics: Intrinsics, device: torch.device | str = 'cpu') -> Tensor:
    """Directions (H, W, 3) of the pixels' rays, scaled so that z = 1."""
    v, u = torch.meshgrid(torch.arange(intrinsics.height, device=device),
                          torch.arange(intrinsics.width, device=device), indexing='ij')
    x = (u - intrinsics.cx) / intrinsics.fx
    y = (v - intrinsics.cy) / intrinsics.fy
    return torch.stack([x, y, torch.ones_like(x)], dim=-1).float()


def trace(instances: Instances, T_camera_part: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Depth along z of the first surface that each ray meets.

    Algorithm: part by part, rays are cut with the part's box; those that hit walk from where they
    enter by the part's signed distance until they are within 0.1 mm or leave the box.

    Args:
        instances: B, or one that is seen B times, which is far less work.
        T_camera_part: (B, K, 4, 4).
        rays: (B, N, 3) with z = 1, from the camera's centre.

    Returns:
        depth (B, N), m, 0 where nothing is hit; part (B, N) int64, -1 where nothing is hit.
    """
    if rays.is_cuda and TRITON:
        from kinediff3d_core.kernels import trace

        instances = instances[torch.zeros(len(rays), dtype=torch.int64, device=rays.device)
                              ] if len(instances) == 1 else instances
        return trace.trace(*pack_slabs(instances), invert_transform(T_camera_part),
                           instances.bounds, rays, FAR, MAX_STEPS, TOLERANCE)
    B, N = rays.shape[:2]
    depth = torch.full((B, N), FAR, device=rays.device)
    part_id = torch.full((B, N), -1, device=rays.device)
    T_part_camera = invert_transform(T_camera_part)
    for k in range(instances.num_parts):
        start = T_part_camera[:, k, :3, 3]
        direction = rays @ T_part_camera[:, k, :3, :3].transpose(-1, -2)
        box = instances.bounds[:, k]
        inverse = 1 / torch.where(direction.abs() < 1e-9, 1e-9, direction)
        slabs = torch.stack([(box[:, i, None] - start[:, None]) * inverse for i in range(2)])
        enter = slabs.amin(0).amax(-1).clamp_min(1e-3)
        leave = torch.minimum(slabs.amax(0).amin(-1), depth)
        hit = torch.nonzero((enter < leave).view(-1))[:, 0]
        if hit.numel() == 0:
            continue
        index = hit // N
        origin, d = start[index], direction.view(-1, 3)[hit]
        t, end, speed = enter.view(-1)[hit], leave.view(-1)[hit], d.norm(dim=-1)
        for _ in range(MAX_STEPS):
            gap = instances.sdf_at(k, index, origin + t[:, None] * d)
            done = gap < TOLERANCE
            if done.any():
                at = hit[done]
                depth.view(-1)[at] = t[done]
                part_id.view(-1)[at] = k
            t = t + gap.clamp_min(TOLERANCE) / speed
            alive = ~done & (t < end)
            if not alive.any():
                break
            hit, index, origin, d = hit[alive], index[alive], origin[alive], d[alive]
            t, end, speed = t[alive], end[alive], speed[alive]
    return torch.where(part_id < 0, 0.0, depth), part_id


def render_depth(instances: Instances, q: Tensor, T_camera_base: Tensor, intrinsics: Intrinsics,
                 ) -> tuple[Tensor, Tensor]:
    """Exact depth images.

    Args:
        instances: B, or one in B states.
        q: (B, K-1) joint positions, rad or m.
        T_camera_base: (B, 4, 4), m.

    Returns:
        depth (B, H, W), m along z, 0 where nothing is hit; part (B, H, W) int64, -1 likewise.
    """
    instances = with_used_slots(instances)
    poses = instances.part_poses(q, T_camera_base)
    rows, columns = _image_box(posed_corners(instances, q, T_camera_base), intrinsics)
    rays = pixel_rays(intrinsics, q.device)[rows, columns]
    near = trace(instances, poses, rays.reshape(1, -1, 3).expand(len(q), -1, -1))
    shape = (len(q), intrinsics.height, intrinsics.width)
    depth = torch.zeros(shape, device=q.device)
    part = torch.full(shape, -1, device=q.device)
    for image, seen in zip((depth, part), near, strict=True):
        image[:, rows, columns] = seen.view(len(q), *rays.shape[:2])
    return depth, part


def with_used_slots(instances: Instances) -> Instances:
    """The same objects without the slots that none has: to ask those is as dear as the others."""
    used = instances.present.any(0)
    return replace(instances, slots=tuple(
        slot for slot, keep in zip(instances.slots, used.tolist(), strict=True) if keep), **{
            name: getattr(instances, name)[:, used]
            for name in ('centre', 'half', 'corner', 'edge', 'rotation', 'present')})


def _image_box(corners: Tensor, intrinsics: Intrinsics) -> tuple[slice, slice]:
    """Rows and columns around points (B, N, 3); all of them if one is not before the camera."""
    x, y, z = corners.reshape(-1, 3).unbind(-1)
    if not (z > 1e-3).all():
        return slice(None), slice(None)
    box = []
    for at, focal, centre, size in ((y / z, intrinsics.fy, intrinsics.cy, intrinsics.height),
                                    (x / z, intrinsics.fx, intrinsics.cx, intrinsics.width)):
        # One pixel more on either side.
        first = math.floor(focal * float(at.min()) + centre) - 1
        last = math.ceil(focal * float(at.max()) + centre) + 1
        box.append(slice(min(max(first, 0), size), max(min(last + 1, size), 0)))
    return box[0], box[1]
