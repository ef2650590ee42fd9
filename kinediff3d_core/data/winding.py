"""Inside or outside of meshes with holes: the generalised winding number.

It is the sum of the triangles' signed solid angles over 4 pi: one inside a closed mesh whose
normals point out, zero outside, and in between where the mesh has holes (Jacobson et al. 2013).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.objects.estimate import Mesh

Array = np.ndarray[Any, Any]

LEAF = 32
"""Triangles of a group. Chosen."""
FAR_RADII = 2.0
"""A group acts as one dipole on points that are this many of its radii away, as Barill et al.
(2018) have it."""


def winding_number(mesh: Mesh, points: Array, chunk: int = 1 << 13) -> Array:
    """Generalised winding numbers (N,) of points (N, 3), right to about 0.01, of large meshes.

    Groups of triangles that are far from a point act as one dipole (Barill et al. 2018). Near ones
    are summed exactly.

    Args:
        chunk: pairs of points and groups that are in memory at once.
    """
    corner = torch.from_numpy(np.asarray(mesh.vertices, dtype=np.float64)[mesh.faces])
    groups = _groups(corner)
    area = torch.linalg.cross(groups[:, :, 1] - groups[:, :, 0],
                              groups[:, :, 2] - groups[:, :, 0]) / 2
    weight = area.norm(dim=-1, keepdim=True) + 1e-30
    centre = (groups.mean(2) * weight).sum(1) / weight.sum(1)
    radius = (groups - centre[:, None, None]).norm(dim=-1).flatten(1).amax(1)
    dipole = area.sum(1)
    p = torch.from_numpy(np.asarray(points, dtype=np.float64))
    out = torch.zeros(len(p), dtype=torch.float64)
    step = max(1, (chunk * LEAF) // len(groups))
    for start in range(0, len(p), step):
        offset = centre[None] - p[start:start + step, None]
        length = offset.norm(dim=-1)
        near = length < FAR_RADII * radius
        far = (offset * dipole).sum(-1) / length.clamp_min(1e-30) ** 3 / (4 * torch.pi)
        out[start:start + step] = far.masked_fill(near, 0.0).sum(1)
        for pairs in near.nonzero().split(chunk):
            row, group = start + pairs[:, 0], pairs[:, 1]
            out.index_add_(0, row, _winding(groups[group] - p[row, None, None]))
    return np.asarray(out.numpy())


def _winding(corner: Tensor) -> Tensor:
    """Winding numbers (...) of triangles (..., F, 3, 3) about the origin.

    Their solid angles are those of van Oosterom and Strackee (1983).
    """
    a, b, c = corner.unbind(-2)
    la, lb, lc = a.norm(dim=-1), b.norm(dim=-1), c.norm(dim=-1)
    top = (a * torch.linalg.cross(b, c)).sum(-1)
    bottom = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
    return torch.atan2(top, bottom).sum(-1) / (2 * torch.pi)


def _groups(corner: Tensor) -> Tensor:
    """Triangles (F, 3, 3) in groups (G, LEAF, 3, 3) of neighbours.

    They are halved along their longest side until they are small. What is missing in a group is
    filled with triangles of no area.
    """
    middle = corner.mean(1)
    pending, groups = [torch.arange(len(corner))], []
    while pending:
        index = pending.pop()
        if len(index) <= LEAF:
            group = corner[index[:1], :1].expand(LEAF, 3, 3).clone()
            group[:len(index)] = corner[index]
            groups.append(group)
            continue
        centres = middle[index]
        axis = int((centres.amax(0) - centres.amin(0)).argmax())
        index = index[centres[:, axis].argsort()]
        pending += [index[:len(index) // 2], index[len(index) // 2:]]
    return torch.stack(groups)
