"""Other ways to answer, with the shipped weights on one held-out view."""

import numpy as np
import pytest
import torch

from kinediff3d_core import Pipeline
from kinediff3d_core.evaluation import baselines
from kinediff3d_core.evaluation.pose_metrics import pose_metrics
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.geometry.rigid import make_transform
from kinediff3d_core.networks.score import State


@pytest.fixture(scope='module')
def pipeline():
    return Pipeline.load('laptop')


@pytest.fixture(scope='module')
def sample():
    """A held-out laptop in a clear view."""
    return procedural_samples('laptop', seed=5, shapes=False)(0)


def whole(estimate, sample):
    assert [p.name for p in estimate.parts] == ['base', 'lid']
    assert all(np.isfinite(p.T_camera_part).all() for p in estimate.parts)
    assert np.isfinite(estimate.covariance).all() and np.isfinite(estimate.latent).all()
    assert len(estimate.points) > 100 and len(estimate.modes) == 1
    return pose_metrics(estimate, sample.truth)


@pytest.mark.parametrize('name', ['regression', 'score'])
def test_baselines_estimate_without_refinement(pipeline, sample, name):
    estimate = baselines.BASELINES[name](pipeline, sample, False, 0)
    assert whole(estimate, sample)['rot_err_deg'] < 20
    again = baselines.BASELINES[name](pipeline, sample, False, 0)
    np.testing.assert_array_equal(estimate.T_camera_base, again.T_camera_base)


def test_asdf_fits_code_and_joint_under_the_true_pose(pipeline):
    sample = procedural_samples('laptop', seed=5, shapes=False)(1)
    start = baselines.asdf(pipeline, sample, mesh=False, iterations=0)
    estimate = baselines.asdf(pipeline, sample, mesh=True, iterations=60)
    np.testing.assert_allclose(estimate.T_camera_base, sample.truth.T_camera_part[0], atol=1e-5)
    assert estimate.residual < 0.7 * start.residual
    before, after = whole(start, sample), whole(estimate, sample)
    assert after['joint_state_err'] < before['joint_state_err']
    assert all(len(p.mesh.faces) > 100 for p in estimate.parts)


def test_distance_has_the_gradient_of_the_boxes_too(pipeline):
    net = pipeline.shape
    z = torch.zeros(1, net.config.latent, requires_grad=True)
    q, T = torch.full((1, 1), 1.5), torch.eye(4)[None]
    field = net.decode(z.detach(), q)
    above = (field.centre[0, 0] + torch.tensor([0.2, 0.0, 1.02]) * field.half[0, 0])[None]
    way = 0.05 * torch.randn(1, net.config.latent, generator=torch.Generator().manual_seed(0))
    distance = baselines.surface_distance(net, z, q, T, above)
    (gradient,) = torch.autograd.grad(distance.sum(), z)
    ahead, behind = (baselines.surface_distance(net, z.detach() + s * way, q, T, above)
                     for s in (0.02, -0.02))
    assert float((gradient * way).sum()) == pytest.approx(float(ahead - behind) / 0.04, rel=0.15,
                                                          abs=2e-4)


def test_mean_state_is_the_middle():
    turn = torch.tensor([0.2, -0.2])
    R = torch.stack([torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
                     for c, s in zip(turn.cos().tolist(), turn.sin().tolist(), strict=True)])
    states = State(make_transform(R, torch.tensor([[1.0, 0, 0], [3.0, 0, 0]])),
                   torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1, 3), torch.ones(2, 1, 3))
    mean = baselines.mean_state(states)
    torch.testing.assert_close(mean.T_camera_base[0, :3, :3], torch.eye(3))
    assert mean.T_camera_base[0, 0, 3] == 2 and float(mean.q) == 1.5
    torch.testing.assert_close(mean.axis.norm(), torch.tensor(1.0))


def test_energy_is_lower_for_states_that_the_score_model_prefers(pipeline, sample):
    generator = torch.Generator().manual_seed(0)
    few = pipeline.prepare_view(generator, depth=sample.depth, intrinsics=sample.intrinsics,
                        mask=sample.mask).network_clouds[0]
    net = pipeline.pose
    with torch.no_grad():
        feature = net.encode((few - few.mean(0))[None])
        good = net.regress(feature)
        x = torch.cat([good, good + 1.0, good + 3.0])
        energy = baselines.energy(net, x, feature, generator)
    assert energy.argsort().tolist() == [0, 1, 2]
