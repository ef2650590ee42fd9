"""Signed distances and surfaces of procedural objects."""

import torch

from kinediff3d_core.simulation.solids import slab_distance


def test_slabs_include_boxes_cylinders_and_spheres():
    g = torch.Generator().manual_seed(0)
    p = torch.rand(5000, 3, generator=g) * 4 - 2
    one, none = torch.ones(()), torch.zeros(())
    half = torch.ones(3)
    sphere = slab_distance(p, half, one, one, 2)
    torch.testing.assert_close(sphere, p.norm(dim=-1) - 1, atol=1e-5, rtol=0)
    cylinder = slab_distance(p, half, one, none, 1)
    radial, axial = p[:, [0, 2]].norm(dim=-1) - 1, p[:, 1].abs() - 1
    expected = (torch.maximum(radial, axial).clamp_max(0)
                + torch.stack([radial, axial]).clamp_min(0).norm(dim=0))
    torch.testing.assert_close(cylinder, expected, atol=1e-5, rtol=0)
    q = p.abs() - 1
    box = q.clamp_min(0).norm(dim=-1) + q.amax(-1).clamp_max(0)
    torch.testing.assert_close(slab_distance(p, half, none, none, 0), box, atol=1e-5, rtol=0)


def test_surface_points_are_on_the_surface_and_normals_point_out(laptops):
    g = torch.Generator().manual_seed(0)
    for part in range(2):
        p, n = laptops.surface_points(part, 512, g)
        assert laptops.part_sdf(part, p).abs().max() < 2e-4
        outside = laptops.part_sdf(part, p + 5e-4 * n)
        assert (outside > 0).float().mean() > 0.99


def test_distance_never_overshoots_the_surface(laptops):
    """|sdf| is a lower bound of the distance to the nearest surface point."""
    g = torch.Generator().manual_seed(0)
    surface, _ = laptops.surface_points(0, 4000, g)
    p = surface[:, :500] + 0.02 * torch.randn(16, 500, 3, generator=g)
    nearest = torch.cdist(p, surface).amin(2)
    assert (laptops.part_sdf(0, p).abs() <= nearest + 1e-4).all()


def test_the_gradient_on_a_face_is_its_normal():
    """Exactly on a face, where the two terms of the distance meet: with every version of torch."""
    p = torch.tensor([[1.0, 0.2, 0.3], [0.1, -1.0, 0.2], [0.1, 0.2, 1.0]], requires_grad=True)
    none = torch.zeros(())
    d = slab_distance(p, torch.ones(3), none, none, 2)
    (gradient,) = torch.autograd.grad(d.sum(), p)
    normal = torch.nn.functional.normalize(gradient, dim=-1)
    torch.testing.assert_close(normal, torch.diag(torch.tensor([1.0, -1.0, 1.0])))
