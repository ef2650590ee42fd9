"""Procedural objects: exact distances, surfaces, joints and depth images.

The independent implementation is Open3D's ray caster on a mesh of the distance function.
"""

import math

import numpy as np
import pytest
import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import invert_transform, transform_points
from kinediff3d_core.inference.meshing import extract_mesh
from kinediff3d_core.simulation.families import (
    TEST_SEED_OFFSET,
    held_out_generator,
    sample_instances,
)
from kinediff3d_core.simulation.render import pixel_rays, render_depth, trace
from kinediff3d_core.simulation.sensor import SensorModel, apply_sensor, maximum_filter
from kinediff3d_core.simulation.solids import slab_distance
from kinediff3d_core.simulation.views import TEST_CAMERA, sample_views

CAMERA = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)


@pytest.fixture(scope='module')
def laptops():
    return sample_instances('laptop', 16, torch.Generator().manual_seed(3))


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


def test_the_same_seed_gives_the_same_objects_and_tests_use_others(laptops):
    again = sample_instances('laptop', 16, torch.Generator().manual_seed(3))
    assert torch.equal(laptops.centre, again.centre)
    held_out = sample_instances('laptop', 16, held_out_generator(3))
    assert not torch.isclose(laptops.half[:, 0], held_out.half[:, 0]).all(1).any()
    assert held_out_generator(0).initial_seed() == TEST_SEED_OFFSET


def test_laptops_vary(laptops):
    many = sample_instances('laptop', 400, torch.Generator().manual_seed(0))
    size = many.bounds[:, 0, 1] - many.bounds[:, 0, 0]
    assert size[:, 1].min() < 0.27 and size[:, 1].max() > 0.40
    assert size[:, 2].min() < 0.010 and size[:, 2].max() > 0.035
    assert (many.present.float().mean(0)[1:] > 0.02).all(), 'a slab that is never there'


def test_canonical_frame(laptops):
    """Origin at the centre of the base's box; the hinge is behind and the lid lies above."""
    torch.testing.assert_close(laptops.bounds[:, 0].mean(1), torch.zeros(16, 3), atol=1e-6, rtol=0)
    assert (laptops.origin[:, 0, 0] < 0).all()
    lid_middle = laptops.bounds[:, 1].mean(1) + laptops.origin[:, 0]
    assert (lid_middle[:, 2] > 0).all() and (lid_middle[:, 0].abs() < 0.08).all()


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


def mesh_of(instances, i, part):
    one = instances[i:i + 1]
    low, high = one.bounds[0, part]
    return extract_mesh(lambda p: one.part_sdf(part, p[None])[0], low - 0.002, high + 0.002,
                        torch.tensor([0.001, 0.001, 0.0005]), keep='all')


def test_depth_and_distance_agree_with_open3d(laptops):
    o3d = pytest.importorskip('open3d', exc_type=ImportError)
    g = torch.Generator().manual_seed(1)
    q, T = sample_views(laptops, g)
    depth, part = render_depth(laptops[:2], q[:2], T[:2], CAMERA)
    poses = laptops.part_poses(q, T)
    for i in range(2):
        scene = o3d.t.geometry.RaycastingScene()
        ids = []
        for k in range(2):
            mesh = mesh_of(laptops, i, k)
            v = transform_points(poses[i, k], torch.from_numpy(mesh.vertices).float()).numpy()
            ids.append(scene.add_triangles(np.ascontiguousarray(v, dtype=np.float32),
                                           np.ascontiguousarray(mesh.faces, dtype=np.uint32)))
        rays = scene.create_rays_pinhole(
            o3d.core.Tensor([[150.0, 0, 80.0], [0, 150.0, 60.0], [0, 0, 1.0]]),
            o3d.core.Tensor(np.eye(4)), 160, 120)
        cast = scene.cast_rays(rays)
        direction = rays.numpy()[..., 3:]
        reference = cast['t_hit'].numpy() * direction[..., 2]
        hit, ours = np.isfinite(reference), depth[i].numpy() > 0
        assert (hit != ours).mean() < 0.01
        both = hit & ours
        error = np.abs(reference[both] - depth[i].numpy()[both])
        assert np.median(error) < 3e-4 and np.quantile(error, 0.97) < 3e-3
        assert (cast['geometry_ids'].numpy()[both] == part[i].numpy()[both]).mean() > 0.97
        # Distances from outside, where cuts are bounds and unions exact.
        p = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (2000, 3))).float()
        world = transform_points(T[i], p)
        ours_d = torch.stack([laptops[i:i + 1].part_sdf(
            k, transform_points(invert_transform(poses[i:i + 1, k]), world[None]))[0]
            for k in range(2)]).amin(0).numpy()
        theirs = scene.compute_distance(np.ascontiguousarray(world.numpy())).numpy()
        far = ours_d > 0.005
        assert np.quantile(np.abs(ours_d - theirs)[far], 0.95) < 5e-3
        assert (ours_d[far] <= theirs[far] + 1e-3).all()


@pytest.mark.parametrize(('right', 'nearer'), [(0.0, 0.0), (0.6, 0.0), (5.0, 0.0), (0.0, 2.0)])
def test_rays_that_are_left_out_meet_nothing(laptops, right, nearer):
    """In the picture, across its edge, beside it, and around the camera."""
    q, T = sample_views(laptops[:3], torch.Generator().manual_seed(4))
    T[:, 0, 3] += right
    T[:, 2, 3] -= nearer * T[:, 2, 3] / 2
    rays = pixel_rays(CAMERA).view(1, -1, 3).expand(3, -1, -1)
    depth, part = trace(laptops[:3], laptops[:3].part_poses(q, T), rays)
    fewer_depth, fewer_part = render_depth(laptops[:3], q, T, CAMERA)
    assert torch.equal(fewer_part.flatten(1), part)
    torch.testing.assert_close(fewer_depth.flatten(1), depth, atol=1e-5, rtol=0)
    assert ((part >= 0).any() == (right < 5)).all()


def test_one_object_in_several_states_is_rendered_as_several_objects(laptops):
    q, T = sample_views(laptops[:3], torch.Generator().manual_seed(4))
    one = torch.zeros(3, dtype=torch.int64)
    together = render_depth(laptops[:1], q, T, CAMERA)
    for found, expected in zip(together, render_depth(laptops[one], q, T, CAMERA), strict=True):
        assert torch.equal(found, expected)
    assert (together[1] >= 0).flatten(1).any(1).all()


def test_largest_neighbour_is_that_of_pooling():
    image = torch.randn(3, 17, 2, generator=torch.Generator().manual_seed(0))
    pooled = torch.nn.functional.max_pool2d(image[:, None], 3, 1, 1)[:, 0]
    assert torch.equal(maximum_filter(image), pooled)
    assert torch.equal(maximum_filter(image > 0), pooled > 0)


def test_views_follow_the_protocol():
    laptops = sample_instances('laptop', 300, torch.Generator().manual_seed(0))
    q, T = sample_views(laptops, torch.Generator().manual_seed(0))
    assert math.radians(10) <= q.min() and q.max() <= math.radians(130)
    camera = invert_transform(T)[:, :3, 3]
    elevation = torch.rad2deg(torch.asin(camera[:, 2] / camera.norm(dim=1)))
    assert 5 < elevation.min() and elevation.max() < 75  # about the base, not the bounding box
    assert torch.atan2(camera[:, 1], camera[:, 0]).abs().max() > 3.0


def test_sensor_is_seeded_and_does_what_it_says(laptops):
    q, T = sample_views(laptops[:4], torch.Generator().manual_seed(1))
    depth, part = render_depth(laptops[:4], q, T, TEST_CAMERA)
    noisy, mask = apply_sensor(depth, part, torch.Generator().manual_seed(2))
    again, _ = apply_sensor(depth, part, torch.Generator().manual_seed(2))
    assert torch.equal(noisy, again)
    seen = (noisy > 0) & mask & (part >= 0)
    error = (noisy - depth)[seen].abs()
    assert 1e-4 < error.median() < 5e-3
    steps = noisy[seen] / 1e-3
    torch.testing.assert_close(steps, steps.round(), atol=1e-2, rtol=0)
    assert ((noisy == 0) & (part >= 0)).float().sum() > 0.002 * (part >= 0).sum()
    clean = SensorModel(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0, 0.0, 0.2)
    exact, mask = apply_sensor(depth, part, torch.Generator().manual_seed(2), clean)
    assert torch.equal(mask, part >= 0)
    torch.testing.assert_close(exact[mask], depth[mask])
