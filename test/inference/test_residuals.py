"""Jacobians of the residuals against finite differences, and hand-worked values."""

from dataclasses import replace

import pytest
import torch
from spheres import CENTRES, SphereShape, in_double, sphere_field, sphere_state, unit_directions
from states import some_state

from kinediff3d_core import Pipeline
from kinediff3d_core.geometry.kinematics import kinematic_tree
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.inference.presets import FitScoreConfig
from kinediff3d_core.inference.refinement import move
from kinediff3d_core.inference.residuals import (
    Problem,
    code_prior,
    fit_score,
    free_space_residual,
    layout_jacobian,
    observed_point_residual,
    part_poses,
    pose_prior,
    robust_term,
    surface_residual,
    surface_samples,
    union_distance,
)
from kinediff3d_core.networks.kavae import pack_layout
from kinediff3d_core.observation.free_space import free_distance, observe


@pytest.fixture(scope='module')
def pipeline():
    return Pipeline.load('laptop')


def test_motion_jacobian_agrees_with_finite_differences(pipeline):
    """d distance / d (rho, phi, q) of fixed points, at a random pose."""
    net = pipeline.shape
    state = some_state(net, 1)
    field = net.decode(torch.zeros(1, net.config.latent), state.q)
    g = torch.Generator().manual_seed(0)
    points = torch.randn(200, 3, generator=g) * 0.3 + torch.tensor([0.0, 0.0, 3.2])
    centre = points.mean(0)

    def distance(step):
        poses = part_poses(net, move(state, step, centre))
        return union_distance(net, field, poses, points)

    d, gradient, part = distance(torch.zeros(1, 7))
    tree = kinematic_tree(net.category.joints, points.device)
    J = -tree.motion_jacobian(part_poses(net, state), state.axis, centre,
                          points[None], gradient, part)
    for i in range(7):
        step = torch.zeros(1, 7)
        step[0, i] = 1e-3
        ahead, _, part_ahead = distance(step)
        behind, _, part_behind = distance(-step)
        same = (part_ahead == part) & (part_behind == part)
        numeric = (ahead - behind)[same] / 2e-3
        error = (numeric - J[..., i][same]).abs()
        assert error.median() < 0.01 and error.quantile(0.9) < 0.1, f'column {i}'


def test_layout_jacobian_agrees_with_finite_differences(pipeline):
    """d distance / d (box centres, log half sizes, pivots) of fixed points."""
    net = pipeline.shape
    state = some_state(net, 1)
    field = net.decode(torch.zeros(1, net.config.latent), state.q)
    g = torch.Generator().manual_seed(0)
    surface, _ = surface_samples(net, field, 150, g)
    poses = part_poses(net, state)
    points = transform_points(poses, surface).flatten(1, 2)[0]
    points = points + 0.02 * torch.randn(points.shape, generator=g)
    layout = pack_layout(field.centre, field.half, field.origin)

    def distance(x):
        boxes, origin = x.split([12, 3], dim=1)
        centre, log_half = boxes.view(1, 2, 2, 3).unbind(1)
        moved = replace(field, centre=centre, half=log_half.exp(), origin=origin[:, None])
        return union_distance(net, moved, part_poses(
            net, replace(state, origin=moved.origin)), points)

    d, gradient, part = distance(layout)
    J = -layout_jacobian(net, field, poses, points[None], gradient, part)
    for i in range(layout.shape[1]):
        step = torch.zeros_like(layout)
        step[0, i] = 5e-4
        ahead, _, part_ahead = distance(layout + step)
        behind, _, part_behind = distance(layout - step)
        same = (part_ahead == part) & (part_behind == part)
        error = ((ahead - behind)[same] / 1e-3 - J[..., i][same]).abs()
        assert error.median() < 0.01 and error.quantile(0.9) < 0.1, f'entry {i}'
        assert J[..., i].abs().max() > 0.05, f'entry {i} moves nothing'
    z = 0.1 * torch.randn(1, net.config.latent, generator=g)
    D = net.layout_derivative(z, state.q)
    for i in (0, 17):
        step = torch.zeros_like(z)
        step[0, i] = 1e-3
        ahead, behind = (net.decode(x, state.q) for x in (z + step, z - step))
        numeric = (pack_layout(ahead.centre, ahead.half, ahead.origin)
                   - pack_layout(behind.centre, behind.half, behind.origin)) / 2e-3
        torch.testing.assert_close(D[..., i], numeric, atol=2e-3, rtol=0.01)


SPHERES = SphereShape()
CENTRE = torch.tensor([0.1, 0.0, 1.9], dtype=torch.float64)


def sphere_points(n=200, seed=0):
    """(n, 3) points around the two spheres, camera frame, double."""
    g = torch.Generator().manual_seed(seed)
    poses = part_poses(SPHERES, sphere_state())
    surface = (CENTRES[:, None] + 0.2 * unit_directions(n, g).view(2, -1, 3))[None]
    points = transform_points(poses, surface).flatten(0, 2)
    return (points + 0.03 * torch.randn(points.shape, generator=g)).double()


def moved_residuals(residual, step):
    """Residuals of two spheres after a step (7) from their state."""
    state = move(sphere_state(1, torch.float64), step[None], CENTRE)
    return residual(part_poses(SPHERES, state))


def check_motion_jacobian(residual, least_share):
    """The Jacobian of a function of part poses against central differences."""
    zero = torch.zeros(7, dtype=torch.float64)
    found = moved_residuals(residual, zero)
    state = sphere_state(1, torch.float64)
    J = found.motion_jacobian(SPHERES, part_poses(SPHERES, state), state.axis, CENTRE)
    assert J.shape == (*found.value.shape, 7)
    for i in range(7):
        step = zero.clone()
        step[i] = 1e-6
        numeric = (moved_residuals(residual, step).value
                   - moved_residuals(residual, -step).value) / 2e-6
        agree = (numeric - J[..., i]).abs() < 1e-5
        assert agree.double().mean() >= least_share, f'column {i}'
    assert (J.abs().amax(1) > 0.1).all(), 'a column is zero'


@pytest.mark.parametrize('residual_of', [observed_point_residual, free_space_residual])
def test_jacobian_of_the_residuals_at_points(residual_of):
    points, field = sphere_points(), sphere_field(1, torch.float64)

    def residual(poses):
        distance, gradient, part = union_distance(SPHERES, field, poses, points)
        return residual_of(distance, points[None], gradient, part)

    value = moved_residuals(residual, torch.zeros(7, dtype=torch.float64)).value
    # Free space is violated by depth alone, an observed point by either side.
    assert (value.max() > 0.01) == (residual_of is observed_point_residual)
    assert value.min() < -0.01 and 0.3 < (value < 0).double().mean() < 0.7
    check_motion_jacobian(residual, 1.0)


def test_jacobian_of_the_surface_residual():
    """Free space is tabulated on a grid, so single samples lie on a kink."""
    g = torch.Generator().manual_seed(0)
    cloud = sphere_points(4000).float()
    observation = in_double(observe(cloud[cloud[:, 0] < 0.1].numpy(), 100, g))
    surface = (CENTRES[:, None] + 0.2 * unit_directions(400, g).view(2, -1, 3))[None].double()

    def residual(poses):
        return surface_residual(observation, poses, surface, torch.ones(1, 2), 0.7)

    found = moved_residuals(residual, torch.zeros(7, dtype=torch.float64))
    outside, _ = free_distance(observation, found.points)
    torch.testing.assert_close(found.value, 0.7 * outside)
    assert found.part[0].tolist() == [0] * 200 + [1] * 200
    check_motion_jacobian(residual, 0.97)


def test_layout_jacobian_of_a_residual_follows_the_code():
    """A code that shifts the base's sphere changes the distances by the layout Jacobian."""
    points, state = sphere_points(), sphere_state(1, torch.float64)
    poses = part_poses(SPHERES, state)

    def residual(z):
        field = SPHERES.with_layout(sphere_field(1, torch.float64), z[None], state.q)
        distance, gradient, part = union_distance(SPHERES, field, poses, points)
        return observed_point_residual(distance, points[None], gradient, part)

    zero = torch.zeros(3, dtype=torch.float64)
    J = residual(zero).layout_jacobian(SPHERES, sphere_field(1, torch.float64), poses)
    J = J @ SPHERES.layout_derivative(zero[None], state.q)
    for i in range(3):
        step = zero.clone()
        step[i] = 1e-6
        numeric = (residual(step).value - residual(-step).value) / 2e-6
        torch.testing.assert_close(J[..., i], numeric, atol=1e-6, rtol=1e-6)


def autograd_quadratic(cost, x):
    """Half the gradient and half the Hessian of a cost at x (n)."""
    return (torch.autograd.functional.jacobian(cost, x) / 2,
            torch.autograd.functional.hessian(cost, x) / 2)


def test_pose_prior_is_the_quadratic_of_its_precision():
    g = torch.Generator().manual_seed(0)
    root, motion = torch.randn(7, 7, generator=g), torch.randn(7, generator=g)
    precision, variance = root @ root.T, 0.3

    def cost(x):
        return pose_prior(x[None], precision[None], variance).cost[0]

    assert cost(motion).item() == pytest.approx(0.3 * float(motion @ precision @ motion), rel=1e-5)
    term = pose_prior(motion[None], precision[None], variance)
    gradient, hessian = autograd_quadratic(cost, motion)
    torch.testing.assert_close(term.gradient[0], gradient)
    torch.testing.assert_close(term.hessian[0], hessian)


def test_code_prior_is_a_standard_normal():
    offset, variance = torch.tensor([1.0, -2.0, 0.5]), 0.3

    def cost(x):
        return code_prior(x[None], variance).cost[0]

    assert cost(offset).item() == pytest.approx(0.3 * 5.25)
    term = code_prior(offset[None], variance)
    gradient, hessian = autograd_quadratic(cost, offset)
    torch.testing.assert_close(term.gradient[0], gradient)
    torch.testing.assert_close(term.hessian, hessian)


def test_robust_term_has_the_gradient_of_geman_and_mcclure():
    """Linear residuals J x - c: the gradient against autograd, the cost at chosen residuals."""
    g = torch.Generator().manual_seed(0)
    J, c = torch.randn(40, 3, generator=g), torch.randn(40, generator=g)
    weight, width, x = torch.rand(40, generator=g), 0.5, torch.randn(3, generator=g)

    def cost(x):
        r = J @ x - c
        return (weight * r.square() / (1 + r.square() / width ** 2)).sum()

    term = robust_term((J @ x - c)[None], J[None], weight, width)
    torch.testing.assert_close(term.cost[0], cost(x))
    gradient, _ = autograd_quadratic(cost, x)
    torch.testing.assert_close(term.gradient[0], gradient)
    # At a residual of one width the cost is half of the squared residual, the weight a quarter.
    one = robust_term(torch.tensor([[0.5]]), torch.tensor([[[2.0]]]), torch.ones(1), 0.5)
    assert one.cost.item() == pytest.approx(0.125)
    assert one.hessian.item() == pytest.approx(0.25 * 4)


def test_fit_score_adds_point_distance_intrusion_and_surface_outside():
    """Hand-worked for spheres: points 0.05 off the surface, free points 0.1 deep inside."""
    g = torch.Generator().manual_seed(0)
    state, field = sphere_state(), sphere_field()
    poses = part_poses(SPHERES, state)
    ways = unit_directions(60, g)
    at = CENTRES[0] + torch.cat([0.25 * ways[:40], 0.1 * ways[40:]])
    points = transform_points(poses[0, :1], at[None])[0]
    surface = (CENTRES[:, None] + 0.2 * unit_directions(64, g).view(2, -1, 3))[None]
    observation = observe(sphere_points(4000).float().numpy(), 100, g)
    observation = replace(observation, points=points[:40], empty=points[40:])
    problem = Problem(SPHERES, field, observation, surface)
    outside, _ = free_distance(observation, transform_points(poses, surface))
    score, residual = fit_score(problem, state)
    expected = 0.05 + 0.08 + 0.5 * outside.clamp_max(0.08).mean()
    assert residual.item() == pytest.approx(0.05, abs=1e-5)
    assert score.item() == pytest.approx(expected.item(), abs=1e-5)
    score, residual = fit_score(problem, state, FitScoreConfig(clip=0.02, surface_weight=0.0))
    assert (score.item(), residual.item()) == pytest.approx((0.04, 0.02), abs=1e-5)


def test_surface_of_a_missing_part_neither_pulls_nor_counts():
    """Its box has no meaning: samples there say nothing about where the object is."""
    g = torch.Generator().manual_seed(0)
    state, field = sphere_state(), sphere_field()
    poses = part_poses(SPHERES, state)
    observation = observe(sphere_points(4000).float().numpy(), 100, g)
    surface = (CENTRES[:, None] + 0.2 * unit_directions(64, g).view(2, -1, 3))[None]
    surface[:, 1] += 0.5  # beside the silhouette
    residuals = {}
    for log_odds in (-1.0, 1.0):
        exists = torch.tensor([[torch.inf, log_odds]])
        found = surface_residual(observation, poses, surface, exists, 0.7)
        residuals[log_odds] = found.value[:, 32:].abs().max() + found.factor[:, 32:].max()
    assert residuals[-1.0] == 0 < residuals[1.0]

    scores = [fit_score(Problem(SPHERES, replace(field, exists=torch.tensor([[torch.inf, -1.0]])),
                                observation, at), state)[0]
              for at in (surface, surface + torch.tensor([0.0, 0.3])[:, None, None])]
    torch.testing.assert_close(*scores)


class BoxFaces(SphereShape):
    """A shape with its surface wherever it is asked: samples stay where they start."""

    def query(self, field, points):
        return 0 * points.sum(-1)


HALF = torch.tensor([0.1, 0.2, 0.4])


def box_samples(n=14000):
    """Samples relative to the centres of boxes (2, n, 3), in half sizes."""
    field = replace(sphere_field(), half=HALF.expand(1, 2, 3))
    x, _ = surface_samples(BoxFaces(), field, n, torch.Generator().manual_seed(0))
    return ((x - field.centre[:, :, None]) / HALF)[0]


def test_half_of_the_samples_start_on_faces_by_their_area():
    on_faces = box_samples()[:, :7000]
    fixed = (on_faces.abs() > 1 - 1e-5)
    assert (fixed.sum(-1) == 1).all() and on_faces.abs().max() < 1 + 1e-5
    shares = fixed.float().mean((0, 1)).tolist()
    # Faces across x, y and z have areas of 0.08, 0.04 and 0.02.
    assert shares == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=0.015)
    assert (on_faces[fixed] > 0).float().mean().item() == pytest.approx(0.5, abs=0.02)
    free = on_faces[~fixed]
    assert free.mean().item() == pytest.approx(0.0, abs=0.02)
    assert free.square().mean().item() == pytest.approx(1 / 3, abs=0.01)


def test_half_of_the_samples_start_on_edges():
    on_edges = box_samples()[:, 7000:]
    fixed = (on_edges.abs() > 1 - 1e-5)
    assert (fixed.sum(-1) == 2).all()
    assert (~fixed).float().mean((0, 1)).tolist() == pytest.approx([1 / 3] * 3, abs=0.015)


def test_samples_are_projected_onto_the_surface():
    field = sphere_field()
    x, normal = surface_samples(SPHERES, field, 50, torch.Generator().manual_seed(0))
    away = x - field.centre[:, :, None]
    assert away.norm(dim=-1).flatten().tolist() == pytest.approx([0.2] * 100, abs=1e-5)
    torch.testing.assert_close(normal, away / 0.2, atol=1e-4, rtol=0)
    called = []

    def run(function, *args):
        called.append(function)
        return function(*args)

    again, _ = surface_samples(SPHERES, field, 50, torch.Generator().manual_seed(0), run)
    assert torch.equal(again, x) and len(called) == 1
