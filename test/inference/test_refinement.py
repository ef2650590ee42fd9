"""The solvers by their laws, on decoded shapes and on small linear problems."""

import math
from dataclasses import replace

import pytest
import torch
from spheres import SphereShape, sphere_field, sphere_state, unit_directions
from states import some_state

from kinediff3d_core import Pipeline
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.inference.presets import SolverConfig, UncertaintyConfig
from kinediff3d_core.inference.refinement import (
    Codes,
    Prior,
    limit_joints,
    motion,
    move,
    refine_chamfer,
    refine_pose,
    refine_pose_and_code,
    residual_covariance,
    schur_complement,
)
from kinediff3d_core.inference.residuals import (
    Problem,
    part_poses,
    surface_samples,
    union_distance,
)
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.observation.free_space import observe

SOLVER = SolverConfig(iterations=15, width=0.05)


@pytest.fixture(scope='module')
def pipeline():
    return Pipeline.load('laptop')


def test_motion_inverts_move(pipeline):
    step = torch.tensor([[0.1, -0.2, 0.3, 0.4, 0.2, -0.5, 0.3],
                         [0.0, 0.1, 0.0, 0.0, 0.0, 1.0, -0.2]])
    centre = torch.tensor([0.3, 0.1, 1.5])
    start = some_state(pipeline.shape, 2)
    found = motion(start, move(start, step, centre), centre)
    torch.testing.assert_close(found, step, atol=1e-5, rtol=1e-4)


def test_a_prior_constrains_what_the_points_do_not_determine(pipeline):
    """A cloud of the base's upper face alone: it may slide, and the lid may be anywhere."""
    net, g = pipeline.shape, torch.Generator().manual_seed(0)
    truth = some_state(net, 1)
    field = net.decode(torch.zeros(1, net.config.latent), truth.q)
    surface, normals = surface_samples(net, field, 2000, g)
    top = (normals[0, 0, :, 2] > 0.99) & (surface[0, 0, :, :2].abs() < 0.1).all(-1)
    cloud = transform_points(part_poses(net, truth)[0, :1], surface[0, 0, top][None])[0]
    seen = observe(cloud.numpy(), 200, g)
    seen.maps[:seen.others.numel()] = 0  # no silhouette
    problem = Problem(net, field, seen, surface[:, :, :64])
    # Along the face, across it (both in the base's axes), and the lid.
    R = truth.T_camera_base[0, :3, :3]
    step = torch.cat([R @ torch.tensor([0.03, 0.0, 0.01]), torch.zeros(3), torch.tensor([0.2])])
    moved = move(truth, step[None], seen.centroid)
    loose, _ = refine_pose(problem, moved, SOLVER)
    prior = Prior(truth, torch.eye(7)[None] / 0.01 ** 2)
    held, _ = refine_pose(problem, moved, SOLVER, prior)

    def away(state):
        found = motion(truth, state, seen.centroid)[0]
        return (R.T @ found[:3]).abs().tolist(), float(found[6].abs())

    assert away(loose)[0][0] > 0.02 and away(loose)[0][2] < 0.004 and away(loose)[1] > 0.1
    assert max(away(held)[0]) < 0.004 and away(held)[1] < 0.02


@pytest.mark.parametrize('way', ['sdf', 'chamfer'])
def test_refinement_moves_a_displaced_object_back(pipeline, way):
    """Points on the decoded surface, pose and joint turned by some degrees: error falls."""
    net = pipeline.shape
    g = torch.Generator().manual_seed(0)
    truth = some_state(net, 3)
    field = net.decode(torch.zeros(3, net.config.latent), truth.q)
    surface, normals = surface_samples(net, field, 400, g)
    # A camera that looks down on the object from the front: x of the base comes towards it.
    tilt = torch.eye(4)
    c, s = math.cos(0.6), math.sin(0.6)
    tilt[:3, :3] = torch.tensor([[0.0, 1.0, 0.0], [s, 0.0, -c], [-c, 0.0, -s]])
    truth = State(truth.T_camera_base @ tilt, truth.q, truth.origin, truth.axis)
    poses = part_poses(net, truth)
    y = transform_points(poses, surface)
    facing = ((poses[..., :3, :3] @ normals.transpose(-1, -2)).transpose(-1, -2) * y).sum(-1) < 0
    cloud = y[0][facing[0]]
    seen = observe(cloud.numpy(), 300, g)
    step = torch.tensor([0.02, -0.01, 0.02, 0.05, 0.04, -0.05, 0.08])
    moved = move(truth, step.repeat(3, 1), seen.centroid)
    problem = Problem(net, field, seen, surface[:, :, :64])
    before = (moved.T_camera_base - truth.T_camera_base).abs().amax()
    if way == 'sdf':
        after, information = refine_pose(problem, moved, SOLVER)
        assert (torch.linalg.eigvalsh(information) > -1e-3).all()
    else:
        after = refine_chamfer(replace(problem, surface=surface), normals, moved, 80)
    assert (after.T_camera_base - truth.T_camera_base).abs().amax() < 0.5 * before
    assert (after.q - truth.q).abs().max() < 0.04


def test_joint_limits_hold():
    class Net:
        category = get_category('laptop')

    state = State(torch.eye(4)[None], torch.tensor([[9.0]]), torch.zeros(1, 1, 3),
                  torch.zeros(1, 1, 3))
    assert limit_joints(Net(), state).q.item() == pytest.approx(math.pi)


SPHERES = SphereShape()


def sphere_problem(z=None, n=400):
    """Points all around two spheres, the base's of a code (1, 3)."""
    g = torch.Generator().manual_seed(0)
    state, field = sphere_state(), sphere_field()
    seen_field = field if z is None else SPHERES.with_layout(field, z, state.q)
    surface = 0.2 * unit_directions(2 * n, g).view(1, 2, n, 3)
    poses = part_poses(SPHERES, state)
    points = transform_points(poses, seen_field.centre[:, :, None] + surface).flatten(0, 2)
    observation = observe(points.numpy(), 100, g)
    # Of free space nothing is known but one point far away.
    observation = replace(observation, points=points, empty=torch.tensor([[0.0, 0.0, 9.0]]),
                          maps=torch.zeros_like(observation.maps))
    surface = field.centre[:, :, None] + surface[:, :, :8]
    return Problem(SPHERES, field, observation, surface), state


def test_refinement_finds_the_pose_exactly():
    """Two spheres leave one rotation open, about their line: it stays at the prior's mean."""
    problem, truth = sphere_problem()
    step = torch.tensor([[0.03, -0.02, 0.02, 0.05, -0.04, 0.03, 0.1]])
    centre = problem.observation.centroid
    start = move(truth, step, centre)
    after, information = refine_pose(problem, start, SolverConfig(iterations=20, width=0.1))
    distance, _, _ = union_distance(SPHERES, problem.field, part_poses(SPHERES, after),
                                    problem.observation.points)
    assert distance.abs().max() < 1e-4
    # One point's information on a translation is a third in each direction.
    assert torch.diagonal(information[0])[:3].sum().item() == pytest.approx(
        len(problem.observation.points), rel=0.02)


def test_no_iterations_leave_the_state_as_it_is():
    problem, truth = sphere_problem()
    start = move(truth, torch.full((1, 7), 0.02), problem.observation.centroid)
    after, _ = refine_pose(problem, start, SolverConfig(iterations=0))
    assert torch.equal(after.T_camera_base, start.T_camera_base)


def test_a_step_is_no_longer_than_its_limit():
    problem, truth = sphere_problem()
    centre = problem.observation.centroid
    start = move(truth, torch.tensor([[0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]), centre)
    after, _ = refine_pose(problem, start, SolverConfig(iterations=1, width=0.5, max_step=0.01))
    assert motion(start, after, centre).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_step_that_raises_the_cost_is_not_taken():
    """Hypotheses side by side: one that is right stays, one that is wrong improves."""
    problem, truth = sphere_problem()
    step = torch.zeros(2, 7)
    step[1, 0] = 0.05
    both = move(truth[torch.zeros(2, dtype=torch.long)], step, problem.observation.centroid)
    after, _ = refine_pose(problem, both, SolverConfig(iterations=5, width=0.1))
    assert (after.T_camera_base[0] - truth.T_camera_base[0]).abs().max() < 1e-5
    off = (after.T_camera_base[1] - truth.T_camera_base[0]).abs().max()
    assert off < 0.2 * 0.05


@pytest.mark.parametrize('largest, expected', [(4.0, 1.5), (0.5, 0.5)])
def test_codes_are_refined_within_their_bounds(largest, expected):
    """The base's sphere is 1.5 standard deviations (0.03) along x from where its code has it."""
    shift = torch.tensor([[0.045, 0.0, 0.0]])
    problem, truth = sphere_problem(shift)
    codes = Codes(SPHERES, torch.zeros(1, 3), 0.03 * torch.eye(3))
    held = Prior(truth, torch.eye(7)[None] / 1e-4 ** 2)
    solver = SolverConfig(iterations=20, width=0.1, max_code_offset=largest)
    after, field, information, z = refine_pose_and_code(problem, truth, codes, solver, held)
    assert z[0, 0].item() == pytest.approx(0.03 * expected, rel=0.05)
    assert z[0, 1:].abs().max() < 0.002
    torch.testing.assert_close(field.centre[:, 0], z)
    assert (after.T_camera_base - truth.T_camera_base).abs().max() < 1e-3
    assert information.shape == (1, 7, 7)


def test_schur_complement_is_the_inverse_of_the_marginal_covariance():
    g = torch.Generator().manual_seed(0)
    root = torch.randn(2, 9, 9, generator=g, dtype=torch.float64)
    hessian = root @ root.transpose(1, 2)
    marginal = torch.linalg.inv(hessian)[:, :6, :6]
    torch.testing.assert_close(schur_complement(hessian, 6), torch.linalg.inv(marginal))


def test_residual_covariance_scales_with_the_squared_residual():
    information = torch.diag(torch.tensor([99.0, 399.0]))
    config = UncertaintyConfig(correlated_points=50.0, min_residual=0.0, min_information=1.0)
    found = residual_covariance(information, torch.tensor(0.02), config)
    expected = 50 * 0.0004 * torch.tensor([0.01, 0.0025])
    torch.testing.assert_close(found, torch.diag(expected))
    # A residual of zero still leaves an error.
    found = residual_covariance(information, torch.tensor(0.0), replace(config, min_residual=0.02))
    torch.testing.assert_close(found, torch.diag(expected))
