"""Free space by hand-worked cases: a square plate in front of the camera.

The plate is at z = 2 and reaches from -0.2 to 0.2 in x and y, so its silhouette reaches from -0.1
to 0.1 in tangent units.
"""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from kinediff3d_core.observation.free_space import CONFIG, free_distance, observe


def plate(z=2.0, half=0.2, count=60):
    along = np.linspace(-half, half, count)
    x, y = np.meshgrid(along, along)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], axis=-1).astype(np.float32)


def seen(cloud=None, n=200, others=None, seed=0):
    return observe(plate() if cloud is None else cloud, n, torch.Generator().manual_seed(seed),
                   others)


def distance(view, *points):
    return free_distance(view, torch.tensor(points))[0].tolist()


@pytest.fixture(scope='module')
def view():
    return seen()


def test_grid_is_centred_and_reaches_beyond_the_object(view):
    cells = view.others.shape[0]
    assert cells == 84, '1.4 cells for each of 60 points along a side'
    cell, corner = float(view.cell), view.corner.tolist()
    assert cell * cells == pytest.approx(1.8 * 0.2, rel=1e-4)
    assert corner == pytest.approx([-0.18 + cell / 2] * 2, rel=1e-4)


@pytest.mark.parametrize(('count', 'cells'), [(12, 24), (26, 36), (40, 60), (150, 144)])
def test_number_of_cells_is_a_multiple_of_twelve(count, cells):
    """24 at least and 144 at most, so that a GPU captures few graphs."""
    assert seen(plate(count=count)).others.shape == (cells, cells)


def test_a_cloud_on_one_ray_has_a_grid():
    view = seen(np.array([[0.1, 0.2, 1.0], [0.2, 0.4, 2.0]], np.float32))
    assert 0 < float(view.cell) < 1e-6
    assert distance(view, (0.1, 0.2, 1.0)) == pytest.approx([0], abs=1e-6)


def test_surface_on_the_plate_is_not_in_free_space(view):
    assert distance(view, (0.0, 0.0, 2.0), (0.15, -0.15, 2.0), (0.0, 0.1, 1.99)) == [0, 0, 0]


def test_surface_behind_the_plate_is_hidden(view):
    assert distance(view, (0.0, 0.0, 2.5), (0.1, 0.1, 4.0)) == [0, 0]


@pytest.mark.parametrize('direction', [(1, 0), (-1, 0), (0, 1), (0, -1)])
@pytest.mark.parametrize('z', [1.5, 2.0, 3.0])
def test_surface_beside_the_silhouette_is_as_far_as_its_border(view, direction, z):
    """Tangent 0.15 is 0.05 outside the silhouette: 0.05 z, to a cell's width."""
    x, y = (0.15 * z * c for c in direction)
    cell = float(view.cell)
    found, gradient = free_distance(view, torch.tensor([[x, y, z]]))
    assert float(found) == pytest.approx(0.05 * z, abs=cell * z)
    outward = gradient[0, :2] @ torch.tensor(direction).float()
    assert float(outward) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize('direction', [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1)])
@pytest.mark.parametrize('z', [1.5, 2.0, 3.0])
def test_beyond_the_grid_the_distance_is_that_at_its_border(view, direction, z):
    """The last cell's centre is at tangent 0.18 less half a cell, 0.08 from the silhouette."""
    cell = float(view.cell)
    border, *beyond = (distance(view, (z * t * direction[0], z * t * direction[1], z))[0]
                       for t in (0.18 - cell / 2, 0.181, 0.184, 0.19, 0.7))
    aside = np.linalg.norm(direction) * (0.08 - cell / 2)
    assert border == pytest.approx(aside * z, abs=cell * z)
    assert beyond == pytest.approx([border] * 4, abs=0.01 * cell * z)


@pytest.fixture(scope='module')
def steps():
    """A large plate at z = 2 and a small one in front of it, whose tangent reaches to 0.025."""
    return seen(np.concatenate([plate(half=0.4, count=150), plate(z=1.6, half=0.04)]))


def test_surface_in_front_of_the_object_goes_straight_back_where_that_is_shorter(steps):
    """At z = 1.9 the way back is 2 - 0.02 - 1.9 = 0.08; aside it is 0.25 to the small plate."""
    found, gradient = free_distance(steps, torch.tensor([[0.3, 0.0, 1.9]]))
    assert float(found) == pytest.approx(0.08, abs=1e-5)
    assert gradient.tolist() == [[0, 0, -1]]
    assert distance(steps, (0.3, 0.0, 1.985)) == [0], 'within 0.02 of what was measured'


def test_surface_in_front_of_the_object_goes_aside_where_that_is_shorter(steps):
    """At x = 0.1 and z = 1.7 the small plate's border is 0.0575 away; back it is 0.28."""
    found, gradient = free_distance(steps, torch.tensor([[0.1, 0.0, 1.7]]))
    assert float(found) == pytest.approx(0.0575, abs=2 * 1.7 * float(steps.cell))
    assert float(gradient[0, 0]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize('axis', [0, 1])
def test_the_way_aside_is_the_same_on_both_sides(steps, axis):
    for offset in (0.08, 0.1, 0.12):
        p = np.zeros((2, 3))
        p[:, axis], p[:, 2] = (offset, -offset), 1.7
        one, other = distance(steps, *p.tolist())
        assert one == pytest.approx(other, abs=0.2 * 1.7 * float(steps.cell))


def test_what_is_measured_off_the_object_hides_surface_behind_it():
    others = np.array([[0.15, 0.0, 1.0]], np.float32)
    view = seen(others=others)
    z = 2.0
    beside = (0.15 * z, 0.0, z)
    assert distance(view, beside) == [0]
    assert not free_distance(view, torch.tensor([beside]))[1].any()
    assert distance(view, (-0.15 * z, 0.0, z))[0] > 0.08, 'the other side stays free'
    assert distance(view, (0.15 * 0.9, 0.0, 0.9))[0] > 0.03, 'in front of the occluder'
    assert distance(view, (0.15 * 0.985, 0.0, 0.985)) == [0], 'within 0.02 of it'
    assert torch.isfinite(view.others).sum() == 9, 'a window of three by three cells'


@pytest.mark.parametrize('direction', [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_points_off_the_object_count_in_the_grid_but_its_outermost_cells(view, direction):
    cell = float(view.cell)

    def number(inward):
        along = 1.6 * (0.18 - inward * cell)
        others = np.array([[along * direction[0], along * direction[1], 1.6]], np.float32)
        return int(torch.isfinite(seen(others=others).others).sum())

    assert [number(inward) for inward in (1.5, 0.5, -0.5, -1.5)] == [9, 0, 0, 0]


def test_invalid_points_off_the_object_are_left_out():
    others = np.array([[np.nan, 0, 1], [0.15, 0, -1], [0, 0, 0], [9, 9, 1]], np.float32)
    assert torch.isinf(seen(others=others).others).all()


def test_holes_and_gaps_belong_to_the_silhouette():
    cloud = plate()
    ring = cloud[(np.abs(cloud[:, :2]) > 0.08).any(1)]
    view = seen(ring)
    assert distance(view, (0.0, 0.0, 2.0)) == [0], 'a hole is filled'
    assert distance(view, (0.0, 0.0, 1.0)) == [0], 'where nothing was measured nothing is known'
    split = cloud[np.abs(cloud[:, 0]) > 0.008]
    assert distance(seen(split), (0.0, 0.19, 2.0)) == [0], 'a narrow gap is closed'
    halves = cloud[np.abs(cloud[:, 0]) > 0.1]
    assert distance(seen(halves), (0.0, 0.0, 2.0))[0] > 0.05, 'a wide gap is free'


def test_depths_of_the_layers_end_at_the_farthest_point():
    view = seen(np.concatenate([plate(z=1.0), plate(z=2.0)]))
    torch.testing.assert_close(view.depths, torch.linspace(1.1, 2.0, 10))
    half = view.others.shape[0] // 2
    assert len(view.maps) == (2 * half) ** 2 + 10 * half ** 2


def test_points_are_drawn_without_repetition_half_of_them_at_the_border(view):
    cloud = {tuple(p) for p in plate().tolist()}
    drawn = [tuple(p) for p in view.points.tolist()]
    assert len(drawn) == len(set(drawn)) == 200 and set(drawn) <= cloud
    # The band is 2.5 cells wide: 1.5 of its cells' centres are that near to the border.
    width = 2.5 * float(view.cell) * 2
    at_border = (view.points[:, :2].abs() > 0.2 - width).any(1)
    assert at_border[:100].all()
    share = 1 - (1 - width / 0.2) ** 2
    assert abs(float(at_border[100:].float().mean()) - share) < 0.15
    torch.testing.assert_close(view.centroid, view.points.mean(0))


def test_small_clouds_are_used_whole():
    cloud = plate(count=9)
    drawn = seen(cloud, n=300).points
    assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, cloud.tolist()))


def test_draws_follow_the_generator():
    assert torch.equal(seen(seed=3).points, seen(seed=3).points)
    assert not torch.equal(seen(seed=3).points, seen(seed=4).points)


def test_empty_points_stand_in_front_of_every_other_point(view):
    some = view.points[::2]
    for part, standoff in zip(view.empty.chunk(2), CONFIG.standoffs, strict=True):
        torch.testing.assert_close((some - part).norm(dim=-1), torch.full((100,), standoff),
                                   atol=1e-5, rtol=0)
        assert (part[:, 2] < some[:, 2]).all()
        torch.testing.assert_close(torch.nn.functional.normalize(part, dim=-1),
                                   torch.nn.functional.normalize(some, dim=-1))


def test_gradient_is_exact_between_kinks():
    """In double precision, so that the differences are as well."""
    view = seen(np.concatenate([plate(z=2.0), plate(z=1.6, half=0.08)]))
    view = replace(view, **{f.name: getattr(view, f.name).double() for f in fields(view)})
    g = torch.Generator().manual_seed(0)
    p = torch.rand(2000, 3, generator=g, dtype=torch.float64)
    p = p * torch.tensor([0.7, 0.7, 1.4]) + torch.tensor([-0.35, -0.35, 1.0])
    found, gradient = free_distance(view, p)
    inner = ((p[:, :2] / p[:, 2:]).abs() < 0.17).all(1) & (found > 0)
    assert inner.sum() > 500
    for i in range(3):
        step = torch.zeros(3, dtype=torch.float64)
        step[i] = 1e-8
        ahead, behind = (free_distance(view, p + s * step)[0] for s in (1, -1))
        error = ((ahead - behind) / 2e-8 - gradient[:, i]).abs()[inner]
        assert (error < 1e-5).double().mean() > 0.995, f'coordinate {i}'


def test_gradient_is_that_of_finite_differences():
    stairs = np.concatenate([plate(z=2.0), plate(z=1.6, half=0.08)])
    view = seen(stairs, others=np.array([[0.2, 0.2, 1.2]], np.float32))
    g = torch.Generator().manual_seed(0)
    p = torch.rand(400, 3, generator=g) * torch.tensor([0.7, 0.7, 1.4]) + torch.tensor(
        [-0.35, -0.35, 1.0])
    found, gradient = free_distance(view, p)
    assert (found > 0).float().mean() > 0.3
    assert (gradient[found == 0] == 0).all()
    # Beyond the grid the distance is that at its border.
    inner = ((p[:, :2] / p[:, 2:]).abs() < 0.17).all(1) & (found > 0.01)
    for i in range(3):
        step = torch.zeros(3)
        step[i] = 1e-3
        ahead, behind = (free_distance(view, p + s * step)[0] for s in (1, -1))
        error = ((ahead - behind) / 2e-3 - gradient[:, i]).abs()[inner]
        assert error.median() < 0.02 and error.quantile(0.8) < 0.15, f'coordinate {i}'
