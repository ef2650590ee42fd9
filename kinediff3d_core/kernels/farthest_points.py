"""Farthest point sampling as one GPU kernel: each program keeps one cloud in registers.

:func:`kinediff3d_core.networks.pointnet.farthest_points` is the same algorithm on a CPU, and on a
GPU without Triton. The tests compare the two.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


def farthest_points(p: Tensor, n: int) -> Tensor:
    """Indices (B, n) int64 of farthest point sampling on points p (B, N, 3), from point 0 on."""
    index = torch.empty(p.shape[0], n, dtype=torch.int64, device=p.device)
    _sample[(p.shape[0],)](p.contiguous(), index, p.shape[1], n,
                           triton.next_power_of_2(p.shape[1]))
    return index


@triton.jit
def _sample(p, index, N, n, BLOCK: tl.constexpr):
    """Sample n of the N points of cloud b: pointers to p (B, N, 3) and to the output (B, n)."""
    b = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    valid = i < N
    cloud = p + b * N * 3
    x = tl.load(cloud + i * 3, mask=valid, other=0.0)
    y = tl.load(cloud + i * 3 + 1, mask=valid, other=0.0)
    z = tl.load(cloud + i * 3 + 2, mask=valid, other=0.0)
    distance = tl.where(valid, float('inf'), -1.0)
    last = tl.zeros([], tl.int32)
    tl.store(index + b * n, 0)
    for k in range(1, n):
        point = cloud + last * 3
        dx, dy, dz = x - tl.load(point), y - tl.load(point + 1), z - tl.load(point + 2)
        distance = tl.minimum(distance, dx * dx + dy * dy + dz * dz)
        last = tl.argmax(distance, axis=0)
        tl.store(index + b * n + k, last)
