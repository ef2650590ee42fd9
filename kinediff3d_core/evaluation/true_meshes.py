"""Meshes of procedural objects, from their exact distance functions."""

from __future__ import annotations

import torch
from torch import Tensor

from kinediff3d_core.inference.meshing import extract_mesh
from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.simulation.render import with_used_slots
from kinediff3d_core.simulation.solids import Instances

TRUE_VOXEL = (0.0015, 0.0015, 0.0006)
"""Cells of the true meshes, m, at most a quarter of the part. Vertices are then moved onto the
exact surface. Chosen."""

LARGE = 0.25
"""Diagonal of a part, m, above which the cells grow with it. Chosen."""
MARGIN = 0.003
"""The grid reaches this far beyond the part's box, m."""


def true_mesh(instances: Instances, part: int) -> Mesh:
    """The surface of a part of one procedural object, in its part frame, m.

    Marching cubes, then Newton steps along the exact distance: vertices lie on the surface to
    within a micrometre away from edges.
    """
    if len(instances) != 1:
        raise ValueError(f'one object is needed, got {len(instances)}')
    instances = with_used_slots(instances)
    size = instances.bounds[0, part, 1] - instances.bounds[0, part, 0]
    voxel = torch.minimum(torch.tensor(TRUE_VOXEL) * (size.norm() / LARGE).clamp_min(1), size / 4)
    mesh = _marching_cubes(instances, part, voxel, MARGIN)
    p = torch.from_numpy(mesh.vertices).float()
    reach = 0.5 * float(voxel.min())
    for _ in range(2):
        # Many vertices of flat faces are on the surface already, and gradients are expensive.
        off = torch.nonzero(instances.part_sdf(part, p[None])[0])[:, 0]
        d, normal = instances.sdf_gradient(part, p[None, off])
        p[off] -= d[0].clamp(-reach, reach)[:, None] * normal[0]
    return Mesh(p.double().numpy(), mesh.faces)


def draft_mesh(instances: Instances, part: int) -> Mesh:
    """A coarser surface of a part, for pictures, in its part frame, m.

    Cells are a 300th of the diagonal, less in thin parts. Walls thinner than a cell have holes.
    """
    size = instances.bounds[0, part, 1] - instances.bounds[0, part, 0]
    voxel = torch.minimum(size.norm() / 300, size / 8).clamp_min(2e-4)
    return _marching_cubes(instances, part, voxel, 2 * voxel)


def _marching_cubes(instances: Instances, part: int, voxel: Tensor, margin: Tensor | float,
                    ) -> Mesh:
    low, high = instances.bounds[0, part]
    return extract_mesh(lambda p: instances.part_sdf(part, p[None])[0], low - margin,
                        high + margin, voxel, keep='all')
