"""Farthest point sampling as one GPU kernel: a cloud a program, all of its points in registers.

:func:`kinediff3d_core.networks.pointnet.farthest_points` is the reference and does the same on a
CPU, and on a GPU without Triton.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor


def farthest_points(p: Tensor, n: int) -> Tensor:
    """Indices (B, n) of farthest point sampling on p (B, N, 3), starting at point 0, on a GPU."""
    index = torch.empty(p.shape[0], n, dtype=torch.int64, device=p.device)
    _sample[(p.shape[0],)](p.contiguous(), index, p.shape[1], n,
                           triton.next_power_of_2(p.shape[1]))
    return index


@triton.jit
def _sample(p, index, N, n, BLOCK: tl.constexpr):
    b = tl.program_id(0).to(tl.int64)
    i = tl.arange(0, BLOCK)
    mine = i < N
    own = p + b * N * 3
    x = tl.load(own + i * 3, mask=mine, other=0.0)
    y = tl.load(own + i * 3 + 1, mask=mine, other=0.0)
    z = tl.load(own + i * 3 + 2, mask=mine, other=0.0)
    distance = tl.where(mine, float('inf'), -1.0)
    last = tl.zeros([], tl.int32)
    tl.store(index + b * n, 0)
    for k in range(1, n):
        at = own + last * 3
        dx, dy, dz = x - tl.load(at), y - tl.load(at + 1), z - tl.load(at + 2)
        distance = tl.minimum(distance, dx * dx + dy * dy + dz * dz)
        last = tl.argmax(distance, axis=0)
        tl.store(index + b * n + k, last)
