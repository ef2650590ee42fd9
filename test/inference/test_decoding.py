"""Estimates back to shapes, with a decoder whose parts are spheres of known places."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cabinets import CABINET, SCALE, X

from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.inference import decoding
from kinediff3d_core.inference.decoding import decode_estimate, generate, part_meshes
from kinediff3d_core.inference.presets import MeshConfig, Preset
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    NoEstimate,
    PartEstimate,
)

CENTRE = torch.tensor([[0.1, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.3]])
HALF = torch.tensor([0.3, 0.2, 0.1])


class Spheres:
    """A decoder of spheres that just fit into the parts' boxes; remembers what it decodes."""

    category, parts = CABINET, 3
    axis = torch.tensor([X, X])

    def __init__(self):
        self.decoded = []

    def decode(self, z, q):
        self.decoded.append((z[0].tolist(), q[0].tolist()))
        origin = torch.tensor([[[0.2, 0.0, 0.4], [0.2, 0.0, -0.4]]])
        empty = torch.zeros(1, 0)
        return Field(CENTRE[None], HALF[None, :, None].expand(1, 3, 3), empty, empty, q, origin,
                     torch.zeros(1, 3))

    def query(self, field, points, part):
        return (points - field.centre[:, part]).norm(dim=-1) - field.half[:, part, 0]


@pytest.fixture
def model():
    return SimpleNamespace(
        category=CABINET, shape=Spheres(), device=torch.device('cpu'),
        units=joint_units(CABINET.joints, SCALE),
        pose=SimpleNamespace(mean_positions=torch.tensor([0.7, 0.8])))


def pose(x, y, z):
    """Turned by a quarter about z, and shifted."""
    T = np.eye(4)
    T[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    T[:3, 3] = x, y, z
    return T


def estimate_of(*names, mesh=None):
    """A cabinet with one drawer or two, 0.1 m and 0.2 m open."""
    parts = [PartEstimate('base', pose(0.1, 0.2, 1.0), mesh)]
    joints = []
    for i, name in enumerate(('top', 'low')):
        if name in names:
            origin = np.array([0.1, 0.0, 0.2 if name == 'top' else -0.2])
            parts.append(PartEstimate(name, pose(0.1, 0.3, 1.0), mesh))
            joints.append(JointEstimate(f'{name}_joint', 'prismatic', 'base', name, origin,
                                        np.array(X), 0.1 * (i + 1), 0.0, 0.6, 0.01))
    return ArticulatedEstimate('cabinet', tuple(parts), tuple(joints), np.eye(6), 0.0, 1.0, (),
                               np.array([3.0, 4.0]), np.zeros((5, 3)))


def test_an_estimate_is_decoded_in_canonical_units(model):
    field, state = decode_estimate(model, estimate_of('top', 'low'))
    assert model.shape.decoded == [([3.0, 4.0], [pytest.approx(0.2), pytest.approx(0.4)])]
    assert state.q[0].tolist() == pytest.approx([0.2, 0.4])
    assert state.T_camera_base[0, :3, 3].tolist() == pytest.approx([0.2, 0.4, 2.0])
    np.testing.assert_allclose(state.T_camera_base[0, :3, :3], pose(0, 0, 0)[:3, :3])
    assert torch.equal(state.origin, field.origin) and torch.equal(state.axis[0], Spheres.axis)
    assert field.exists.tolist() == [[torch.inf] * 3]


def test_missing_joints_are_at_the_mean_of_the_training_set(model):
    field, state = decode_estimate(model, estimate_of('low'))
    assert state.q[0].tolist() == pytest.approx([0.7, 0.4])
    assert field.exists.tolist() == [[torch.inf, -torch.inf, torch.inf]]


def test_estimates_of_another_category_are_refused(model):
    with pytest.raises(ValueError, match='estimate is of a laptop, weights of a cabinet'):
        decode_estimate(model, replace(estimate_of('top'), category='laptop'))


@pytest.mark.parametrize('positions', [[0.1], [0.1, 0.2, 0.3], [0.1, float('nan')],
                                       [float('inf'), 0.1]])
def test_each_joint_needs_a_finite_position(model, positions):
    with pytest.raises(ValueError, match=r'needs 2 finite joint position\(s\)'):
        generate(model, Preset(), estimate_of('top', 'low'), positions)


def test_generated_parts_are_placed_in_the_frame_of_the_base(model):
    """Spheres about known centres: the drawer's is shifted by its origin and its position."""
    made = generate(model, Preset(), estimate_of('low'), [0.3])
    assert made.positions.tolist() == [0.3]
    assert model.shape.decoded[0][1] == pytest.approx([0.7, 0.6])
    base, low = ((m.vertices.min(0) + m.vertices.max(0)) / 2 for m in made.decoder)
    assert base == pytest.approx([0.05, 0, 0], abs=1e-3)
    assert low == pytest.approx([0.1 + 0.3, 0, -0.2 + 0.15], abs=1e-3)
    # Without meshes in the estimate the decoded ones are posed by the chain, too.
    for decoded, chained in zip(made.decoder, made.chain, strict=True):
        np.testing.assert_array_equal(decoded.vertices, chained.vertices)


def test_meshes_of_the_estimate_are_posed_by_the_chain(model):
    triangle = Mesh(np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.1, 0.0]]),
                    np.array([[0, 1, 2]]))
    made = generate(model, Preset(), estimate_of('low', mesh=triangle), [0.3])
    base, low = made.chain
    np.testing.assert_allclose(base.vertices, triangle.vertices)
    np.testing.assert_allclose(low.vertices, triangle.vertices + [0.4, 0, -0.2])
    assert len(made.decoder[0].vertices) > 100


def test_meshes_of_the_parts_that_exist_are_in_metres(model):
    field = model.shape.decode(torch.zeros(1, 2), torch.zeros(1, 2))
    for log_odds, parts in (([1.0, -1.0, 1.0], [0, 2]), ([1.0, 0.0, 1.0], [0, 2])):
        meshes = part_meshes(model, Preset(), replace(field, exists=torch.tensor([log_odds])))
        for mesh, k in zip(meshes, parts, strict=True):
            away = np.linalg.norm(mesh.vertices - SCALE * CENTRE[k].numpy(), axis=1)
            assert away == pytest.approx(np.full(len(away), SCALE * float(HALF[k])), abs=2e-3)


@pytest.mark.parametrize(('half', 'cells', 'expected'), [
    # A quarter of each half size; not below the least cell, nor above the preset's voxel.
    ((0.03, 0.04, 0.08), 80, (0.0075, 0.01, 0.02)),
    ((0.004, 0.04, 0.4), 80, (0.005, 0.01, 0.02)),
    # Of a large part there are as many cells along the longest side as the preset allows.
    ((0.04, 0.4, 2.0), 80, (0.01, 0.05, 0.05)),
    ((0.04, 0.4, 2.0), 40, (0.01, 0.1, 0.1))])
def test_cells_follow_the_size_of_a_part(model, monkeypatch, half, cells, expected):
    asked = []

    def extract(sdf, lower, upper, voxel, dense):
        asked.append((lower, upper, voxel, dense))
        return Mesh(np.ones((1, 3)), np.zeros((0, 3), int))

    monkeypatch.setattr(decoding, 'extract_mesh', extract)
    field = model.shape.decode(torch.zeros(1, 2), torch.zeros(1, 2))
    half = torch.tensor(half)
    field = replace(field, half=half.expand(1, 3, 3), exists=torch.tensor([[-1.0, 1.0, -1.0]]))
    preset = Preset(voxel=0.02, cells=cells, mesh=MeshConfig(
        cells_per_half=4.0, min_voxel=0.25, margin=1.5), dense=True)
    mesh, = part_meshes(model, preset, field)
    assert mesh.vertices.tolist() == [[SCALE] * 3]
    (lower, upper, voxel, dense), = asked
    assert voxel.tolist() == pytest.approx(expected) and dense
    reach = 1.5 * half + torch.tensor(expected)
    assert lower.tolist() == pytest.approx((CENTRE[1] - reach).tolist())
    assert upper.tolist() == pytest.approx((CENTRE[1] + reach).tolist())


@pytest.mark.parametrize(('distance', 'reason'), [(1.0, 'no surface'), (np.nan, 'non-finite')])
def test_a_shape_without_a_surface_is_no_estimate(model, distance, reason):
    """It is the estimate that is unusable, not the input."""
    field = model.shape.decode(torch.zeros(1, 2), torch.zeros(1, 2))
    field = replace(field, exists=torch.ones(1, 3))
    model.shape.query = lambda field, points, part: torch.full(points.shape[:-1], distance)
    preset = Preset(voxel=0.05, cells=40)
    expected = f'shape of part {CABINET.parts[0]} has no mesh: .*{reason}'
    with pytest.raises(NoEstimate, match=expected):
        part_meshes(model, preset, field)
