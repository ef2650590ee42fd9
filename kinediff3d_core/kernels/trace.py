"""Sphere tracing as one GPU kernel that keeps the state of each ray in registers.

:func:`kinediff3d_core.simulation.render.trace` is the same algorithm on a CPU, and on a GPU
without Triton. The tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = 128
"""Rays of one program, which ends when the last of them has arrived. A power of two; chosen."""


@dataclass(frozen=True)
class MarchLimits:
    """When a ray ends."""

    far: float
    """Distance to a part without slabs, m."""
    steps: int
    """Largest number of steps in each part."""
    tolerance: float
    """Distance to a surface at which a ray meets it, m."""


def trace(slabs: Tensor, first: Tensor, T_part_camera: Tensor, boxes: Tensor, rays: Tensor,
          limits: MarchLimits) -> tuple[Tensor, Tensor]:
    """Depth of the first surface that each ray meets, and the part that it belongs to.

    Args:
        slabs: (B, S, 18) part by part, as :func:`kinediff3d_core.simulation.solids.pack_slabs`
            makes them.
        first: (K + 1) int32 index of each part's first slab.
        T_part_camera: (B, K, 4, 4), m.
        boxes: (B, K, 2, 3) of the parts in their frames, m.
        rays: (B, N, 3) with z = 1, from the camera's centre.

    Returns:
        depth (B, N) along z, m, 0 where a ray meets nothing; part (B, N) int64, -1 there.
    """
    B, N = rays.shape[:2]
    depth = torch.empty(B, N, device=rays.device)
    part = torch.empty(B, N, dtype=torch.int64, device=rays.device)
    frames = T_part_camera[:, :, :3].contiguous()
    _march[(B, triton.cdiv(N, BLOCK))](
        slabs, first, frames, boxes.contiguous(), rays.contiguous(), depth, part, N,
        slabs.shape[1], boxes.shape[1], limits.far, limits.steps, limits.tolerance, BLOCK)
    return depth, part


@triton.jit
def _march(slabs, first, frames, boxes, rays, depth, part, N, S, K, far, steps, tolerance,
           BLOCK: tl.constexpr):
    """Trace BLOCK rays of instance b through all of its parts.

    Triton passes pointers and numbers one by one to a kernel and takes no dataclass, hence 14
    arguments. Pointers: slabs (B, S, 18), first (K + 1), frames (B, K, 3, 4), boxes (B, K, 2, 3),
    rays (B, N, 3), and the outputs depth and part (B, N).
    """
    b = tl.program_id(0).to(tl.int64)
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    valid = n < N
    ray = rays + (b * N + n) * 3
    rx = tl.load(ray, mask=valid, other=0.0)
    ry = tl.load(ray + 1, mask=valid, other=0.0)
    rz = tl.load(ray + 2, mask=valid, other=1.0)
    nearest = tl.zeros([BLOCK], tl.float32) + far
    nearest_part = tl.zeros([BLOCK], tl.int64) - 1
    for k in range(K):
        f = frames + (b * K + k) * 12
        ox, oy, oz = tl.load(f + 3), tl.load(f + 7), tl.load(f + 11)
        dx = tl.load(f) * rx + tl.load(f + 1) * ry + tl.load(f + 2) * rz
        dy = tl.load(f + 4) * rx + tl.load(f + 5) * ry + tl.load(f + 6) * rz
        dz = tl.load(f + 8) * rx + tl.load(f + 9) * ry + tl.load(f + 10) * rz
        # Depths at which the ray enters and leaves the part's box.
        box = boxes + (b * K + k) * 6
        ix = 1.0 / tl.where(tl.abs(dx) < 1e-9, 1e-9, dx)
        iy = 1.0 / tl.where(tl.abs(dy) < 1e-9, 1e-9, dy)
        iz = 1.0 / tl.where(tl.abs(dz) < 1e-9, 1e-9, dz)
        ax, bx = (tl.load(box) - ox) * ix, (tl.load(box + 3) - ox) * ix
        ay, by = (tl.load(box + 1) - oy) * iy, (tl.load(box + 4) - oy) * iy
        az, bz = (tl.load(box + 2) - oz) * iz, (tl.load(box + 5) - oz) * iz
        t = tl.maximum(tl.maximum(tl.minimum(ax, bx), tl.minimum(ay, by)), tl.minimum(az, bz))
        t = tl.maximum(t, 1e-3)
        leave = tl.minimum(tl.minimum(tl.maximum(ax, bx), tl.maximum(ay, by)),
                           tl.maximum(az, bz))
        leave = tl.minimum(leave, nearest)
        speed = tl.sqrt(dx * dx + dy * dy + dz * dz)
        active = valid & (t < leave)
        begin, end = tl.load(first + k), tl.load(first + k + 1)
        step = 0
        any_active = tl.max(active.to(tl.int32), axis=0)
        while any_active > 0:
            px, py, pz = ox + t * dx, oy + t * dy, oz + t * dz
            gap = tl.zeros([BLOCK], tl.float32) + far
            for s in range(begin, end):
                row = slabs + (b * S + s) * 18
                kind = tl.load(row + 17)
                qx, qy, qz = px - tl.load(row + 9), py - tl.load(row + 10), pz - tl.load(row + 11)
                u = tl.load(row) * qx + tl.load(row + 1) * qy + tl.load(row + 2) * qz
                v = tl.load(row + 3) * qx + tl.load(row + 4) * qy + tl.load(row + 5) * qz
                w = tl.load(row + 6) * qx + tl.load(row + 7) * qy + tl.load(row + 8) * qz
                corner, edge = tl.load(row + 15), tl.load(row + 16)
                qu = tl.abs(u) - tl.load(row + 12) + corner
                qv = tl.abs(v) - tl.load(row + 13) + corner
                pu, pv = tl.maximum(qu, 0.0), tl.maximum(qv, 0.0)
                plan = (tl.sqrt(pu * pu + pv * pv + 1e-16)
                        + tl.minimum(tl.maximum(qu, qv), 0.0) - corner)
                a, c = plan + edge, tl.abs(w) - tl.load(row + 14) + edge
                pa, pc = tl.maximum(a, 0.0), tl.maximum(c, 0.0)
                slab = (tl.minimum(tl.maximum(a, c), 0.0) + tl.sqrt(pa * pa + pc * pc + 1e-16)
                        - edge)
                gap = tl.where(kind == 1.0, tl.minimum(gap, slab),
                               tl.where(kind == 2.0, tl.maximum(gap, -slab), gap))
            done = active & (gap < tolerance)
            nearest = tl.where(done, t, nearest)
            nearest_part = tl.where(done, k, nearest_part)
            t = t + tl.maximum(gap, tolerance) / speed
            step += 1
            active = active & (gap >= tolerance) & (t < leave)
            any_active = tl.where(step < steps, tl.max(active.to(tl.int32), axis=0), 0)
    tl.store(depth + b * N + n, tl.where(nearest_part < 0, 0.0, nearest), mask=valid)
    tl.store(part + b * N + n, nearest_part, mask=valid)
