"""The solvers by their laws, on decoded shapes and on small linear problems."""

import math
from dataclasses import replace

import pytest
import torch
from spheres import SphereShape, sphere_field, sphere_state, unit_directions
from states import some_state

from kinediff3d_core import Pipeline
from kinediff3d_core.geometry.rigid import rotation_from_vector, transform_points
from kinediff3d_core.inference.presets import SolverConfig, UncertaintyConfig
from kinediff3d_core.inference.refinement import (
    Codes,
    Prior,
    chamfer_distance,
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


def shifted(truth, problem, metres=0.1):
    """The state shifted along x, its distance from the truth being the step's first entry."""
    return move(truth, torch.tensor([[metres, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]),
                problem.observation.centroid)


def test_with_much_damping_a_step_is_one_of_gradient_descent():
    """It is inversely proportional to the damping, for poses as for codes, and leads downhill."""
    problem, truth = sphere_problem(torch.tensor([[0.03, 0.0, 0.0]]))
    centre, start = problem.observation.centroid, shifted(truth, problem, -0.05)
    poses, offsets = [], []
    for damping in (500.0, 1000.0):
        solver = SolverConfig(iterations=1, width=0.5, initial_damping=damping)
        after, _ = refine_pose(problem, start, solver)
        poses.append(motion(start, after, centre)[0])
        codes = Codes(SPHERES, torch.zeros(1, 3), torch.eye(3))
        offsets.append(refine_pose_and_code(problem, truth, codes, solver)[3][0])
    assert 2e-5 < poses[0][0] < 1e-3 and 1e-6 < offsets[0][0] < 1e-3
    for first, second in (poses, offsets):
        assert first[0] / second[0] == pytest.approx(2.0, rel=0.05)


def test_the_least_diagonal_shortens_steps_as_damping_does():
    problem, truth = sphere_problem()
    start, centre = shifted(truth, problem, -0.05), problem.observation.centroid
    steps = []
    for least in (100.0, 200.0):
        solver = SolverConfig(iterations=1, width=0.5, initial_damping=0.0, min_diagonal=least)
        steps.append(motion(start, refine_pose(problem, start, solver)[0], centre)[0, 0].item())
    assert steps[0] > 1e-5 and steps[0] / steps[1] == pytest.approx(2.0, rel=0.05)


def test_damping_falls_while_steps_lower_the_cost():
    problem, truth = sphere_problem()
    start, errors = shifted(truth, problem), []
    for decrease in (0.1, 1.0):
        solver = SolverConfig(iterations=6, width=0.5, initial_damping=1.0,
                              damping_decrease=decrease)
        after, _ = refine_pose(problem, start, solver)
        errors.append(float(motion(truth, after, problem.observation.centroid)[0, 0].abs()))
    assert errors[0] < 0.2 * errors[1] < 0.2 * 0.1


class ScaledGradients(SphereShape):
    """Gradients of the distance that are wrong by a factor."""

    def __init__(self, factor):
        self.factor = factor

    def nearest(self, field, points):
        distance, gradient, part = super().nearest(field, points)
        return distance, self.factor * gradient, part


def test_steps_that_raise_the_cost_leave_the_state():
    problem, truth = sphere_problem()
    start = shifted(truth, problem)
    uphill = replace(problem, shape=ScaledGradients(-1.0))
    after, _ = refine_pose(uphill, start, SolverConfig(iterations=10, width=0.5))
    assert torch.equal(after.T_camera_base, start.T_camera_base)
    assert torch.equal(after.q, start.q)


def test_damping_grows_until_a_step_lowers_the_cost():
    """With a tenth of the gradient undamped steps are ten times too long."""
    problem, truth = sphere_problem()
    start, centre = shifted(truth, problem, 0.05), problem.observation.centroid
    overshooting = replace(problem, shape=ScaledGradients(0.1))
    few, many = (refine_pose(overshooting, start, SolverConfig(iterations=n, width=0.5))[0]
                 for n in (2, 7))
    assert torch.equal(few.T_camera_base, start.T_camera_base)
    assert motion(truth, many, centre)[0, 0].abs() < 0.6 * 0.05


def test_a_strong_prior_moves_a_state_that_the_points_would_hold():
    problem, truth = sphere_problem()
    mean = shifted(truth, problem, 0.03)
    after, _ = refine_pose(problem, truth, SolverConfig(iterations=10, width=0.5),
                           Prior(mean, torch.eye(7)[None] / 1e-5 ** 2))
    assert (after.T_camera_base - mean.T_camera_base).abs().max() < 1e-3


def seen_problem():
    """Two spheres whose front is measured, so that their silhouette is known."""
    problem, truth = sphere_problem(n=3000)
    points = problem.observation.points
    centre = transform_points(part_poses(SPHERES, truth), problem.field.centre[:, :, None])
    away = points.view(2, -1, 3) - centre[0]
    front = ((away * points.view(2, -1, 3)).sum(-1) < 0).flatten()
    g = torch.Generator().manual_seed(0)
    observation = observe(points[front].numpy(), 100, g)
    surface = problem.field.centre[:, :, None] + 0.2 * unit_directions(400, g).view(1, 2, 200, 3)
    return replace(problem, observation=observation, surface=surface), truth


def refined_shift(problem, start, **config):
    """Motion (7) by one step from the start."""
    solver = SolverConfig(iterations=1, width=0.5, **config)
    after, _ = refine_pose(problem, start, solver)
    return motion(start, after, problem.observation.centroid)[0]


def test_surface_outside_the_silhouette_pulls_the_object_back_into_it():
    problem, truth = seen_problem()
    start = shifted(truth, problem, 0.1)
    none, much = (refined_shift(problem, start, surface_weight=w, free_space_weight=0.0)
                  for w in (0.0, 5.0))
    assert (none - much).norm() > 1e-3
    # An object that is right stays where it is.
    assert refined_shift(problem, truth, surface_weight=5.0).norm() < 0.02


def test_the_weight_of_all_samples_together_does_not_depend_on_their_number():
    problem, truth = seen_problem()
    start, observation = shifted(truth, problem, 0.1), problem.observation
    twice = (replace(problem, surface=problem.surface.repeat(1, 1, 2, 1)),
             replace(problem, observation=replace(
                 observation, empty=observation.empty.repeat(2, 1))))
    expected = refined_shift(problem, start)
    assert expected.norm() > 0.01
    for other in twice:
        assert refined_shift(other, start).tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_chamfer_distance_of_points_and_samples_that_face_the_camera():
    """By hand: two points, three samples of which one faces away, clipped at 0.5."""
    points = torch.tensor([[[0.0, 0.0, 2.0], [0.3, 0.4, 2.0]]])
    T = torch.eye(4)
    T[:3, :3], T[2, 3] = rotation_from_vector(torch.tensor([[0.0, math.pi, 0.0]]))[0], 2.0
    # In the part's frame x and z are turned over: towards the camera is its +z.
    surface = torch.tensor([[0.0, 0.0, 0.1], [-3.0, 0.0, 0.0], [0.0, 0.0, -0.1]])[None, None]
    normals = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])[None, None]
    found = chamfer_distance(points, T[None, None], surface, normals, 0.5)
    to_surface = (0.1 + 0.5) / 2  # the second point is 0.51 away
    to_cloud = (0.1 + 0.5) / 2  # the second sample is 2.7 away
    assert found.tolist() == pytest.approx([to_surface + to_cloud], abs=1e-5)
    near = chamfer_distance(points, T[None, None], surface, normals, 5.0)
    expected = (0.1 + (0.25 + 0.01) ** 0.5 + 0.1 + (2.7 ** 2 + 0.4 ** 2) ** 0.5) / 2
    assert near.tolist() == pytest.approx([expected], abs=1e-5)


def test_a_sample_that_is_seen_edge_on_does_not_face_the_camera():
    T = torch.eye(4)
    T[2, 3] = 2.0
    surface = torch.tensor([[0.0, 0.0, -0.1], [0.0, 0.0, 0.0]])[None, None]
    normals = torch.tensor([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])[None, None]
    found = chamfer_distance(torch.tensor([[[0.0, 0.0, 2.0]]]), T[None, None], surface, normals,
                             0.5)
    assert found.tolist() == pytest.approx([0.1 + 0.1], abs=1e-5)


def test_chamfer_refinement_moves_hypotheses_side_by_side():
    problem, truth = seen_problem()
    surface = problem.surface.expand(2, -1, -1, -1)
    normals = (surface - problem.field.centre[:, :, None]) / 0.2
    centre = problem.observation.centroid
    start = move(truth[torch.zeros(2, dtype=torch.long)],
                 torch.tensor([[0.0] * 7, [0.06, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]), centre)
    after = refine_chamfer(replace(problem, surface=surface), normals, start, 15)
    off = motion(truth[torch.zeros(2, dtype=torch.long)], after, centre)[:, :3].norm(dim=1)
    assert off[0] < 0.02 and off[1] < 0.03


def test_codes_are_held_by_their_standard_normal_prior():
    """A shift by 1.5 standard deviations: the heavier the prior, the less of it is found."""
    problem, truth = sphere_problem(torch.tensor([[0.045, 0.0, 0.0]]))
    codes = Codes(SPHERES, torch.zeros(1, 3), 0.03 * torch.eye(3))
    held, found = Prior(truth, torch.eye(7)[None] / 1e-4 ** 2), []
    for variance in (1e-7, 1e-4, 1e-1):
        solver = SolverConfig(iterations=20, width=0.5, point_variance=variance)
        z = refine_pose_and_code(problem, truth, codes, solver, held)[3]
        found.append(z[0, 0].item() / 0.03)
    assert found[0] == pytest.approx(1.5, abs=0.05) and abs(found[2]) < 0.05
    # Of all points half are on that sphere, and a third of their residuals says where it is.
    information = 0.03 ** 2 / 6
    assert found[1] == pytest.approx(1.5 * information / (information + 1e-4), rel=0.03)


def test_codes_that_are_unknown_leave_less_information_of_the_pose():
    problem, truth = sphere_problem()
    solver = SolverConfig(iterations=0, width=0.5)
    _, alone = refine_pose(problem, truth, solver)
    known, unknown = (refine_pose_and_code(problem, truth, Codes(
        SPHERES, torch.zeros(1, 3), std * torch.eye(3)), solver)[2] for std in (1e-6, 1.0))
    assert known.flatten().tolist() == pytest.approx(alone.flatten().tolist(), rel=1e-3, abs=1e-2)
    # Where the base's sphere may be anywhere, only the lid's says where the object is.
    half = alone[0, :3, :3].trace().item() / 2
    assert unknown[0, :3, :3].trace().item() == pytest.approx(half, rel=0.1)
