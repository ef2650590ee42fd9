"""Sphere tracing as one GPU kernel: each ray keeps all of its walk in registers.

The algorithm is that of :func:`kinediff3d_core.data.render.trace`, which is its reference and does
the same on a CPU, and on a GPU without Triton.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kinediff3d_core.data.solids import FAR, Instances
from kinediff3d_core.geometry import invert_transform

BLOCK = 128
"""Rays that walk together: a block goes on until its last ray has arrived."""


def trace(instances: Instances, T_camera_part: Tensor, rays: Tensor, steps: int, tolerance: float,
          ) -> tuple[Tensor, Tensor]:
    """As :func:`kinediff3d_core.data.render.trace`, on a GPU."""
    B, N = rays.shape[:2]
    device, parts = rays.device, instances.num_parts
    slabs, first = _slabs(instances)
    depth = torch.empty(B, N, device=device)
    part = torch.empty(B, N, dtype=torch.int64, device=device)
    frames = invert_transform(T_camera_part)[:, :, :3].contiguous()
    _walk[(B, triton.cdiv(N, BLOCK))](
        slabs, first, frames, instances.bounds.contiguous(), rays.contiguous(), depth, part, N,
        slabs.shape[1], parts, FAR, steps, tolerance, BLOCK)
    return depth, part


def _slabs(instances: Instances) -> tuple[Tensor, Tensor]:
    """Slabs (B, S, 18), extruded along z, part by part; first (K + 1) of each part.

    A row: rotation into the slab's frame (9), centre (3), half sizes (3), corner, edge, kind (0
    absent, 1 added, 2 cut).
    """
    slots, device = instances.slots, instances.centre.device
    order = sorted(range(len(slots)), key=lambda s: slots[s].part)
    axes = torch.tensor([[i for i in range(3) if i != slots[s].axis] + [slots[s].axis]
                         for s in order], device=device)
    turn = instances.rotation[:, order].transpose(-1, -2)
    turned = torch.tensor([slots[s].rotated for s in order], device=device)
    turn = torch.where(turned[:, None, None], turn, torch.eye(3, device=device))
    B = len(instances)
    turn = turn.gather(2, axes[None, :, :, None].expand(B, -1, -1, 3))
    half = instances.half[:, order].gather(2, axes.expand(B, -1, -1))
    kind = torch.tensor([2.0 if slots[s].cut else 1.0 for s in order], device=device)
    kind = kind * instances.present[:, order]
    rows = torch.cat([turn.flatten(2), instances.centre[:, order], half,
                      torch.stack([instances.corner[:, order], instances.edge[:, order], kind],
                                  dim=-1)], dim=-1)
    count = [sum(slot.part < k for slot in slots) for k in range(instances.num_parts + 1)]
    return rows.contiguous(), torch.tensor(count, dtype=torch.int32, device=device)


@triton.jit
def _walk(slabs, first, frames, boxes, rays, depth, part, N, S, K, far, steps, tolerance,
          BLOCK: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    n = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mine = n < N
    ray = rays + (b * N + n) * 3
    rx = tl.load(ray, mask=mine, other=0.0)
    ry = tl.load(ray + 1, mask=mine, other=0.0)
    rz = tl.load(ray + 2, mask=mine, other=1.0)
    best = tl.zeros([BLOCK], tl.float32) + far
    who = tl.zeros([BLOCK], tl.int64) - 1
    for k in range(K):
        f = frames + (b * K + k) * 12
        ox, oy, oz = tl.load(f + 3), tl.load(f + 7), tl.load(f + 11)
        dx = tl.load(f) * rx + tl.load(f + 1) * ry + tl.load(f + 2) * rz
        dy = tl.load(f + 4) * rx + tl.load(f + 5) * ry + tl.load(f + 6) * rz
        dz = tl.load(f + 8) * rx + tl.load(f + 9) * ry + tl.load(f + 10) * rz
        # Where the ray is inside the part's box.
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
        leave = tl.minimum(leave, best)
        speed = tl.sqrt(dx * dx + dy * dy + dz * dz)
        alive = mine & (t < leave)
        begin, end = tl.load(first + k), tl.load(first + k + 1)
        step = 0
        going = tl.max(alive.to(tl.int32), axis=0)
        while going > 0:
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
            done = alive & (gap < tolerance)
            best = tl.where(done, t, best)
            who = tl.where(done, k, who)
            t = t + tl.maximum(gap, tolerance) / speed
            step += 1
            alive = alive & (gap >= tolerance) & (t < leave)
            going = tl.where(step < steps, tl.max(alive.to(tl.int32), axis=0), 0)
    tl.store(depth + b * N + n, tl.where(who < 0, 0.0, best), mask=mine)
    tl.store(part + b * N + n, who, mask=mine)
