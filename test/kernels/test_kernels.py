"""GPU kernels give the same results as their references on a CPU.

They run on a GPU, or without one in Triton's interpreter: ``pip install triton``, then
``TRITON_INTERPRET=1 python -m pytest test/kernels/test_kernels.py``.
"""

import os

import pytest
import torch

from kinediff3d_core.data.samples import view_rays
from kinediff3d_core.geometry.rigid import invert_transform
from kinediff3d_core.networks.pointnet import farthest_points
from kinediff3d_core.simulation.families import FAMILIES, held_out_generator, sample_instances
from kinediff3d_core.simulation.render import MAX_STEPS, TOLERANCE, trace
from kinediff3d_core.simulation.solids import FAR, pack_slabs
from kinediff3d_core.simulation.views import posed_corners, sample_views

pytest.importorskip('triton', reason='Triton comes with torch where it has CUDA')
GPU = torch.cuda.is_available()
DEVICE = 'cuda' if GPU else 'cpu'
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(
    not GPU and not os.environ.get('TRITON_INTERPRET'), reason='no GPU, no TRITON_INTERPRET=1')]


@pytest.mark.parametrize('category', sorted(FAMILIES))
def test_rays_meet_the_same_surfaces_as_on_a_cpu(category):
    from kinediff3d_core.kernels import trace as kernel

    g = held_out_generator(3)
    instances = sample_instances(category, 3, g)
    q, T = sample_views(instances, g, train=True)
    rays = view_rays(posed_corners(instances, q, T), 48 if GPU else 10)
    poses = instances.part_poses(q, T)
    depth, part = trace(instances, poses, rays)
    slabs, first = pack_slabs(instances.to(DEVICE))
    on_gpu, part_on_gpu = kernel.trace(
        slabs, first, invert_transform(poses).to(DEVICE), instances.bounds.to(DEVICE),
        rays.to(DEVICE), kernel.MarchLimits(FAR, MAX_STEPS, TOLERANCE))
    same = part_on_gpu.cpu() == part
    assert same.float().mean() > 0.998 and (part >= 0).any()
    # A grazing ray may stop a step earlier or later.
    assert (on_gpu.cpu() - depth)[same].abs().max() < 2 * TOLERANCE


def test_farthest_points_are_the_same_as_on_a_cpu():
    from kinediff3d_core.kernels import farthest_points as kernel

    points = torch.randn(5, 100, 3, generator=torch.Generator().manual_seed(0))
    found = kernel.farthest_points(points.to(DEVICE), 12).cpu()
    assert torch.equal(found, farthest_points(points, 12))
