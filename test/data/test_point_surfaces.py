"""Surfaces of points, against the exact distances and areas of boxes and procedural objects."""

import numpy as np
import pytest
import torch
from estimates import box_mesh
from open3d_or_skip import import_open3d

from kinediff3d_core.data.point_surfaces import (
    mesh_of_points,
    point_area,
    point_surface,
    visible_normals,
)
from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.data.samples import query_points
from kinediff3d_core.data.surfaces import draw_points
from kinediff3d_core.data.winding import winding_number
from kinediff3d_core.objects.mesh_sampling import sample_mesh
from kinediff3d_core.simulation.families import held_out_generator, sample_instances


def box_points(size, n=4000):
    return sample_mesh(box_mesh(size), n, np.random.default_rng(1))


@pytest.mark.parametrize('size', [(0.3, 0.2, 0.1), (0.5, 0.5, 0.02)])
def test_area_of_a_box(size):
    a, b, c = size
    assert point_area(box_points(size)) == pytest.approx(2 * (a * b + b * c + a * c), rel=0.06)


def test_normals_of_a_box_point_out_and_its_inner_wall_is_not_seen():
    outer, inner = box_points((0.3, 0.2, 0.1)), box_points((0.2, 0.1, 0.04), 1000)
    normal, seen = visible_normals(np.concatenate([outer, inner]))
    side = np.abs(outer) / (0.15, 0.1, 0.05)
    flat = np.sort(side, axis=-1)[:, 1] < 0.7  # Not at an edge, where two sides meet.
    axis = side.argmax(-1)[flat]
    out = np.eye(3)[axis] * np.sign(outer[flat][np.arange(flat.sum()), axis])[:, None]
    assert ((normal[:4000][flat] * out).sum(-1) > 0.99).all()
    assert seen[:4000].mean() > 0.99 and seen[4000:].mean() < 0.1


def test_points_have_no_distance_but_can_be_drawn():
    surface = point_surface(box_points((0.3, 0.2, 0.1)))
    assert np.isnan(surface.distance(np.zeros((5, 3)))).all()
    low, high = surface.box
    np.testing.assert_allclose(high - low, (0.3, 0.2, 0.1))
    other = point_surface(box_points((0.1, 0.1, 0.1)))
    shift = np.eye(4)
    shift[0, 3] = 5
    drawn = draw_points([surface, other], [np.eye(4), shift], 20000, np.random.default_rng(0))
    assert (drawn[:, 0] > 2).mean() == pytest.approx(0.06 / 0.28, abs=0.02)


@pytest.mark.parametrize('category, part, error, wrong', [
    ('laptop', 1, 0.001, 0.005), ('scissors', 0, 0.001, 0.01), ('dishwasher', 0, 0.003, 0.08),
])
def test_signed_distances_of_procedural_parts(category, part, error, wrong):
    """Mean error of the queries near the surface, canonical units, and share of wrong signs."""
    import_open3d()
    one = sample_instances(category, 1, held_out_generator(3))
    points, _ = one.surface_points(part, 10000, torch.Generator().manual_seed(0))
    scale = one.category.scale
    query = query_points(points, one.bounds[:, part], 4096, scale,
                         torch.Generator().manual_seed(1))[0]
    exact = one.part_sdf(part, query[None])[0].numpy()
    mesh = mesh_of_points(points[0].double().numpy())
    inside = np.abs(winding_number(mesh, query.double().numpy())) > 0.5
    distance = raycasting_scene([mesh]).compute_distance(query.numpy()).numpy()
    found = np.where(inside, -distance, distance)
    assert np.abs(found - exact)[:2048].mean() / scale < error
    far = np.abs(exact) > 0.002 * scale
    assert (inside != (exact < 0))[far].mean() < wrong


@pytest.mark.parametrize('points', [np.zeros((50, 3)), np.full((500, 3), np.nan)])
def test_too_little_for_a_surface(points):
    with pytest.raises(ValueError, match='at least 100 finite points'):
        point_surface(points)
    with pytest.raises(ValueError, match='at least 100 finite points'):
        mesh_of_points(points)
