"""Depth images by sphere tracing.

The independent implementation is Open3D's ray caster on a mesh of the distance function.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from open3d_or_skip import import_open3d

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.geometry.rigid import invert_transform, transform_points
from kinediff3d_core.inference.meshing import extract_mesh
from kinediff3d_core.simulation.render import pixel_rays, render_depth, trace
from kinediff3d_core.simulation.views import sample_views

CAMERA = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)


def mesh_of(instances, i, part):
    one = instances[i:i + 1]
    low, high = one.bounds[0, part]
    return extract_mesh(lambda p: one.part_sdf(part, p[None])[0], low - 0.002, high + 0.002,
                        torch.tensor([0.001, 0.001, 0.0005]), keep='all')


def test_depth_and_distance_agree_with_open3d(laptops):
    o3d = import_open3d()
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
def test_pixels_that_are_not_traced_show_nothing(laptops, right, nearer):
    """The object in the image, across its border, beside it, and around the camera."""
    q, T = sample_views(laptops[:3], torch.Generator().manual_seed(4))
    T[:, 0, 3] += right
    T[:, 2, 3] -= nearer * T[:, 2, 3] / 2
    rays = pixel_rays(CAMERA).view(1, -1, 3).expand(3, -1, -1)
    depth, part = trace(laptops[:3], laptops[:3].part_poses(q, T), rays)
    image_depth, image_part = render_depth(laptops[:3], q, T, CAMERA)
    assert torch.equal(image_part.flatten(1), part)
    torch.testing.assert_close(image_depth.flatten(1), depth, atol=1e-5, rtol=0)
    assert ((part >= 0).any() == (right < 5)).all()


def test_glass_gives_no_depth_but_belongs_to_its_part(laptops):
    """Here the upper half of a lid; behind it nothing is seen either."""
    one = laptops[:1]
    q, T = sample_views(one, torch.Generator().manual_seed(1))
    depth, part = render_depth(one, q, T, CAMERA)
    assert ((part >= 0) == (depth > 0)).all()
    glass, middle = one.glass.clone(), one.bounds[:, 1].mean(1)
    glass[:, 1] = one.bounds[:, 1] + torch.tensor([[-0.01], [0.01]])
    glass[:, 1, 0, 0] = middle[:, 0]
    lost, same = render_depth(replace(one, glass=glass), q, T, CAMERA)
    assert torch.equal(same, part)
    p = pixel_rays(CAMERA) * depth[0, ..., None]
    local = transform_points(invert_transform(one.part_poses(q, T)[0, 1]), p)
    through = (part[0] == 1) & (local[..., 0] > middle[0, 0])
    assert 50 < through.sum() < (part == 1).sum()
    assert torch.equal(lost[0], depth[0].masked_fill(through, 0.0))


def test_one_object_in_several_states_is_rendered_as_several_objects(laptops):
    q, T = sample_views(laptops[:3], torch.Generator().manual_seed(4))
    one = torch.zeros(3, dtype=torch.int64)
    together = render_depth(laptops[:1], q, T, CAMERA)
    for found, expected in zip(together, render_depth(laptops[one], q, T, CAMERA), strict=True):
        assert torch.equal(found, expected)
    assert (together[1] >= 0).flatten(1).any(1).all()
