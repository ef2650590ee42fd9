"""Extraction against surfaces whose distance is known exactly."""

import math

import numpy as np
import pytest
import torch
import trimesh
from scipy.spatial import cKDTree

from kinediff3d_core.inference import meshing
from kinediff3d_core.inference.meshing import extract_mesh


class Counted:
    """A distance function that counts the points it is evaluated at."""

    def __init__(self, sdf):
        self.sdf, self.points = sdf, 0

    def __call__(self, p):
        self.points += len(p)
        return self.sdf(p)


def sphere(radius, centre=(0.0, 0.0, 0.0)):
    return lambda p: (p - torch.tensor(centre, dtype=p.dtype)).norm(dim=-1) - radius


def box(*half):
    def sdf(p):
        d = p.abs() - torch.tensor(half, dtype=p.dtype)
        return d.clamp_min(0).norm(dim=-1) + d.amax(-1).clamp_max(0)
    return sdf


def as_trimesh(mesh):
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)


def test_sphere_is_closed_outward_and_on_the_surface():
    sdf = Counted(sphere(0.1, (0.02, -0.01, 0.03)))
    mesh = extract_mesh(sdf, (-0.2, -0.2, -0.2), (0.2, 0.2, 0.2), 0.004)
    tm = as_trimesh(mesh)
    assert tm.is_watertight and tm.is_winding_consistent
    assert tm.volume == pytest.approx(4 / 3 * math.pi * 0.1**3, rel=5e-3)
    error = np.linalg.norm(mesh.vertices - (0.02, -0.01, 0.03), axis=-1) - 0.1
    assert np.abs(error).max() < 0.25 * 0.004 and np.abs(error).mean() < 0.05 * 0.004
    assert sdf.points < 0.07 * 101**3


@pytest.mark.parametrize('voxel', [0.004, (0.004, 0.004, 0.001), (0.003, 0.005, 0.002)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_thin_box_keeps_both_walls(voxel, dtype):
    half = (0.165, 0.115, 0.004)
    sdf = Counted(box(*half))
    low, high = torch.tensor([-0.2, -0.15, -0.05], dtype=dtype), torch.tensor([0.2, 0.15, 0.05])
    mesh = extract_mesh(sdf, low, high, voxel)
    tm = as_trimesh(mesh)
    assert tm.is_watertight
    assert tm.volume == pytest.approx(8 * math.prod(half), rel=0.03)
    assert tm.bounds == pytest.approx(np.array([-np.array(half), half]), abs=5e-4)
    assert box(*half)(torch.from_numpy(mesh.vertices)).abs().max() < 1e-3
    cells = torch.tensor([0.4, 0.3, 0.1]) / torch.tensor(voxel)
    assert sdf.points < 0.2 * float(cells.prod())


def test_dense_and_sparse_agree():
    def lumpy(p):
        return sphere(0.1)(p) + 0.01 * torch.sin(60 * p).prod(dim=-1)

    box_of = ((-0.15, -0.15, -0.15), (0.15, 0.15, 0.15), 0.005)
    sparse, dense = extract_mesh(lumpy, *box_of), extract_mesh(lumpy, *box_of, dense=True)
    assert len(sparse.faces) == pytest.approx(len(dense.faces), rel=0.02)
    for a, b in ((sparse, dense), (dense, sparse)):
        off = cKDTree(a.vertices).query(b.vertices)[0]
        assert off.mean() < 0.1 * 0.005 and off.max() < 0.5 * 0.005
    assert as_trimesh(sparse).is_watertight


def test_a_linear_distance_is_interpolated():
    """Flat walls are interpolated, and exactly so."""
    sdf, every = Counted(box(0.1, 0.1, 0.1)), Counted(box(0.1, 0.1, 0.1))
    arguments = ((-0.12,) * 3, (0.12,) * 3, 0.002)
    mesh = extract_mesh(sdf, *arguments)
    extract_mesh(every, *arguments, dense=True)
    assert sdf.points < every.points / 15
    assert box(0.1, 0.1, 0.1)(torch.from_numpy(mesh.vertices)).abs().mean() < 1e-5


def test_the_surface_of_an_overshooting_distance_is_closed():
    """Learned distances are not 1-Lipschitz; surface missed by the band is still closed."""
    steep = extract_mesh(lambda p: 1.5 * sphere(0.1)(p), (-0.2,) * 3, (0.2,) * 3, 0.004)
    assert as_trimesh(steep).is_watertight
    assert as_trimesh(steep).volume == pytest.approx(4 / 3 * math.pi * 0.1**3, rel=5e-3)


def test_surface_leaving_the_box_is_closed_at_the_wall():
    for dense in (False, True):
        mesh = extract_mesh(lambda p: p[:, 2] - 0.013, (-0.1,) * 3, (0.1,) * 3, 0.005,
                            dense=dense)
        tm = as_trimesh(mesh)
        assert tm.is_watertight and tm.volume == pytest.approx(0.2 * 0.2 * 0.113, rel=0.1)


def test_small_pieces_are_dropped_unless_all_are_kept():
    def two(p):
        return torch.minimum(sphere(0.1)(p), sphere(0.02, (0.16, 0.0, 0.0))(p))

    arguments = (two, (-0.2,) * 3, (0.2,) * 3, 0.005)
    assert as_trimesh(extract_mesh(*arguments)).body_count == 1
    assert as_trimesh(extract_mesh(*arguments, keep='all')).body_count == 2
    assert extract_mesh(*arguments).vertices[:, 0].max() < 0.11


def test_pieces_of_one_size_are_kept_and_closed_cavities_dropped():
    def piece(y):
        return lambda p: sphere(0.06, (0.0, y, 0.0))(p)

    def pieces(p):
        return torch.minimum(piece(-0.1)(p), piece(0.1)(p))

    def hollow(p):
        return torch.maximum(pieces(p), -sphere(0.04, (0.0, 0.1, 0.0))(p))

    for sdf, every in ((pieces, 2), (hollow, 3)):
        arguments = (sdf, (-0.2,) * 3, (0.2,) * 3, 0.005)
        assert as_trimesh(extract_mesh(*arguments)).body_count == 2
        assert as_trimesh(extract_mesh(*arguments, keep='all')).body_count == every


def test_samples_exactly_on_the_surface():
    tm = as_trimesh(extract_mesh(box(0.1, 0.05, 0.01), (-0.12,) * 3, (0.12,) * 3, 0.01))
    assert tm.is_watertight and tm.volume == pytest.approx(8 * 0.1 * 0.05 * 0.01, rel=0.1)


def test_input_that_cannot_be_meshed_raises():
    with pytest.raises(ValueError, match='no surface'):
        extract_mesh(lambda p: p.norm(dim=-1) + 1, (-1,) * 3, (1,) * 3, 0.1)
    with pytest.raises(ValueError, match='no surface'):
        extract_mesh(lambda p: p.norm(dim=-1) + 9, (-1,) * 3, (1,) * 3, 0.1, dense=True)
    with pytest.raises(ValueError, match='voxel'):
        extract_mesh(sphere(0.1), (-1,) * 3, (1,) * 3, 0.0)
    with pytest.raises(ValueError, match='empty'):
        extract_mesh(sphere(0.1), (1,) * 3, (-1,) * 3, 0.1)
    with pytest.raises(ValueError, match='empty'):
        extract_mesh(sphere(0.1), (-1, -1, 0), (1, 1, 0), 0.1)
    with pytest.raises(ValueError, match='no surface'):  # zero at a sample, negative nowhere
        extract_mesh(lambda p: p.norm(dim=-1), (-1,) * 3, (1,) * 3, 0.25, dense=True)
    with pytest.raises(ValueError, match='non-finite'):
        extract_mesh(lambda p: p[:, 0] / 0, (-1,) * 3, (1,) * 3, 0.1)
    with pytest.raises(ValueError, match='too large'):
        extract_mesh(sphere(0.1), (-1,) * 3, (1,) * 3, 1e-4)


def test_a_cavity_with_flat_walls_is_closed_wherever_it_is():
    for centre in ((0.0, 0.0, 0.0), (0.5, -0.3, 0.2)):
        at = torch.tensor(centre)

        def hollow(p, at=at):
            return torch.maximum(box(0.1, 0.08, 0.06)(p - at), -box(0.08, 0.05, 0.04)(p - at))

        arguments = (hollow, at - 0.12, at + 0.12, 0.01)
        assert as_trimesh(extract_mesh(*arguments, keep='all')).body_count == 2
        tm = as_trimesh(extract_mesh(*arguments))
        assert tm.body_count == 1
        assert tm.volume == pytest.approx(8 * 0.1 * 0.08 * 0.06, rel=0.05)


def test_a_grid_of_the_greatest_size_is_meshed(monkeypatch):
    monkeypatch.setattr(meshing, 'MAX_SAMPLES', 21 * 21 * 11)
    arguments = (sphere(0.1), (-0.2, -0.2, -0.2), (0.2, 0.2, 0.2))
    assert as_trimesh(extract_mesh(*arguments, (0.02, 0.02, 0.04))).is_watertight
    monkeypatch.setattr(meshing, 'MAX_SAMPLES', 21 * 21 * 11 - 1)
    with pytest.raises(ValueError, match='too large'):
        extract_mesh(*arguments, (0.02, 0.02, 0.04))


def test_the_wall_closes_a_surface_within_a_tenth_of_a_cell_in_any_unit():
    for unit in (1.0, 1000.0):
        mesh = extract_mesh(lambda p, unit=unit: p[:, 2] - 0.013 * unit, (-0.1 * unit,) * 3,
                            (0.1 * unit,) * 3, 0.005 * unit, dense=True)
        lower, upper = mesh.vertices.min(0), mesh.vertices.max(0)
        assert lower / unit == pytest.approx(np.full(3, -0.1), abs=5.1e-4)
        assert upper[:2] / unit == pytest.approx([0.1, 0.1], abs=5.1e-4)
        assert upper[2] / unit == pytest.approx(0.013, abs=1e-5)


@pytest.mark.parametrize('at', [0.0, -2.0])
def test_small_pieces_are_dropped_wherever_they_are(at):
    """One piece lies about the origin, the other one far from it."""
    def two(p):
        return torch.minimum(sphere(0.1, (at, 0.0, 0.0))(p), sphere(0.02, (at + 2, 0.0, 0.0))(p))

    arguments = (two, (at - 0.12, -0.12, -0.12), (at + 2.12, 0.12, 0.12), 0.01)
    mesh = extract_mesh(*arguments)
    assert as_trimesh(mesh).body_count == 1
    assert np.abs(mesh.vertices[:, 0] - at).max() < 0.11
    assert as_trimesh(extract_mesh(*arguments, keep='all')).body_count == 2


def test_the_unit_of_length_does_not_matter():
    metres = extract_mesh(sphere(0.1037), (-0.2,) * 3, (0.2,) * 3, 0.01)
    millimetres = extract_mesh(sphere(103.7), (-200.0,) * 3, (200.0,) * 3, 10.0)
    assert millimetres.faces.shape == metres.faces.shape
    assert millimetres.vertices / 1000 == pytest.approx(metres.vertices, abs=1e-5)
