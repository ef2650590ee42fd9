"""The SDF grid against the network that it is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from kinediff3d_core.geometry.rigid import to_part_frames, transform_points
from kinediff3d_core.inference import residuals
from kinediff3d_core.networks.kavae import FAR
from kinediff3d_core.tracking.config import SdfGridConfig
from kinediff3d_core.tracking.sdf_grid import SdfGrid


@pytest.fixture(scope='module')
def field(pipeline, estimate):
    return pipeline.decode_estimate(estimate)[0]


def test_grid_is_near_the_network(pipeline, estimate):
    net, g = pipeline.shape, torch.Generator().manual_seed(0)
    field = net.decode(torch.from_numpy(estimate.latent).float()[None],
                       torch.tensor([[estimate.joints[0].position]]))
    grid = SdfGrid.from_field(net, field)
    surface, normals = residuals.surface_samples(net, field, 300, g)
    poses = residuals.part_poses(net, pipeline.decode_estimate(estimate)[1])
    for away, mean in ((0.0, 0.003), (0.02, 0.003), (0.2, 0.003)):
        x = surface + away * normals
        with torch.no_grad():
            gap = (grid.query(field, x) - net.query(field, x)).abs()
        assert gap.mean() < mean and gap.max() < 0.03
        # The same points in the frames of both parts, except those on edges, where gradients turn.
        y = to_part_frames(transform_points(poses, x[:, :, :150]).flatten(1, 2), poses)
        distance, gradient, part = grid.nearest(field, y)
        assert (distance == grid.query(field, y).amin(1)).all()
        _, expected, expected_part = net.nearest(field, y)
        same = part == expected_part
        assert same.float().mean() > 0.9
        cosine = F.cosine_similarity(gradient[same], expected[same], dim=-1)
        # At the face of a box the network's gradient turns, too.
        assert cosine.median() > 0.99 and cosine.mean() > 0.85


@torch.no_grad()
def test_grid_is_exact_at_its_nodes(pipeline, field):
    """Nodes are even in the fine region of a box, and two steps of 0.05 lead to the margin."""
    net, grid = pipeline.shape, SdfGrid.from_field(pipeline.shape, field)
    centre, half = field.centre[:, :, None], field.half[:, :, None]
    steps = torch.tensor([[0.0, 0.5, -1.0], [1.0, -0.25, 1 / 12], [1 / 3, 1.0, -1.0]])
    for beyond in (0.0, 0.05, 0.1):
        x = centre + 1.2 * half * steps + beyond * (steps.abs() == 1) * steps
        assert torch.allclose(grid.query(field, x), net.query(field, x), atol=2e-5)


@torch.no_grad()
def test_gradients_are_those_of_the_distances(pipeline, field):
    """Central differences; beyond the margin only the distance to the box changes."""
    grid = SdfGrid.from_field(pipeline.shape, field)
    far = field.centre[:, :, None] + torch.tensor([1.9, -1.7, 1.8])
    distance, gradient, part = grid.nearest(field, far)
    offset = far - field.centre[:, :, None]
    outside = (offset.abs() - field.half[:, :, None]).clamp_min(0)
    expected = offset.sign() * outside / outside.norm(dim=-1, keepdim=True)
    assert torch.allclose(gradient[0], expected[0, part[0, 0]], atol=1e-6)
    step = 1e-2 * torch.eye(3)
    change = torch.stack([grid.nearest(field, far + s)[0] - grid.nearest(field, far - s)[0]
                          for s in step], dim=-1) / 2e-2
    assert torch.allclose(change, gradient, atol=1e-3)
    near = field.centre[:, :, None] + field.half[:, :, None] * torch.tensor([0.31, 0.23, 2.1])
    gradient = grid.nearest(field, near)[1]
    step = 2e-3 * torch.eye(3)
    change = torch.stack([grid.nearest(field, near + s)[0] - grid.nearest(field, near - s)[0]
                          for s in step], dim=-1) / 4e-3
    assert F.cosine_similarity(change, gradient, dim=-1).min() > 0.95


@torch.no_grad()
def test_missing_parts_are_far_away(pipeline, field):
    half_there = replace(field, exists=torch.tensor([[1.0, -1.0]]))
    grid = SdfGrid.from_field(pipeline.shape, half_there)
    x = field.centre[:, :, None].expand(2, -1, 5, -1)
    assert (grid.query(half_there, x)[:, 1] == FAR).all()
    assert (grid.nearest(half_there, x)[2] == 0).all()
    assert (grid.query(half_there, x)[:, 0] < 1).all()


@torch.no_grad()
def test_sliding_joints_get_slack_below_their_limits(cabinet):
    pipeline, estimate, _ = cabinet
    field, _ = pipeline.decode_estimate(estimate)
    grid = SdfGrid.from_field(pipeline.shape, field, SdfGridConfig(nodes=5, joint_slack=0.2))
    scale = pipeline.category.scale
    for joint, with_slack in zip(pipeline.category.joints, grid.category.joints, strict=True):
        assert with_slack == replace(joint, lower=joint.lower - 0.2 * scale)
    assert grid.corrections.shape[1:] == (4, 9, 9, 9)


@torch.no_grad()
def test_revolute_joints_get_no_slack(pipeline, field):
    grid = SdfGrid.from_field(pipeline.shape, field, SdfGridConfig(nodes=5))
    assert grid.category == pipeline.category
