"""The pipeline with its shipped weights on held-out views, and the optimisation by its laws."""

import math
from dataclasses import replace

import numpy as np
import pytest
import roma
import torch
from scipy.spatial import cKDTree

from kinediff3d_core import Intrinsics, NoEstimate, Pipeline
from kinediff3d_core.evaluation.pose_metrics import angle_deg
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.geometry.kinematics import motion_jacobian
from kinediff3d_core.geometry.rigid import make_transform, shift_covariance, transform_points
from kinediff3d_core.inference import refinement, residuals
from kinediff3d_core.inference.hypotheses import (
    PLAUSIBLE,
    cluster_modes,
    cover_modes,
    select_distinct,
)
from kinediff3d_core.inference.uncertainty import (
    accuracy_probability,
    fit_confidence,
)
from kinediff3d_core.networks.kavae import pack_layout
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.observation.cloud import object_cloud
from kinediff3d_core.observation.free_space import free_distance, observe
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.render import render_depth
from kinediff3d_core.simulation.sensor import apply_sensor
from kinediff3d_core.simulation.views import TEST_CAMERA, sample_views

VIEWS = 6


@pytest.fixture(scope='module')
def pipeline():
    return Pipeline.load('laptop')


@pytest.fixture(scope='module')
def views():
    """Depth (VIEWS, H, W), mask, q, T_camera_base of held-out laptops, and the share (VIEWS, 2) of
    each part in the object's pixels."""
    generator = held_out_generator(77)
    laptops = sample_instances('laptop', 16, generator)
    q, T = sample_views(laptops, generator)
    laptops, q, T = laptops[torch.arange(VIEWS)], q[:VIEWS], T[:VIEWS]
    depth, part = render_depth(laptops, q, T, TEST_CAMERA)
    depth, mask = apply_sensor(depth, part, generator)
    pixels = torch.stack([(part == k).flatten(1).sum(1) for k in range(2)], dim=1)
    return depth.numpy(), mask.numpy(), q, T, (pixels / pixels.sum(1, keepdim=True)).numpy()


@pytest.fixture(scope='module')
def estimates(pipeline, views):
    depth, mask, *_ = views
    return [pipeline.infer(depth=depth[i], intrinsics=TEST_CAMERA, mask=mask[i])
            for i in range(VIEWS)]


def test_held_out_laptops_are_found(estimates, views):
    _, _, q, T, shares = views
    rotation = [angle_deg(e.T_camera_base[:3, :3].T @ T[i, :3, :3].double().numpy())
                for i, e in enumerate(estimates)]
    joint = [abs(math.degrees(e.joints[0].position - float(q[i, 0])))
             for i, e in enumerate(estimates)]
    shift = [np.linalg.norm(e.T_camera_base[:3, 3] - T[i, :3, 3].numpy())
             for i, e in enumerate(estimates)]
    # From behind, the lid may hide the base but for an edge, and with it how far it is open.
    told = shares.min(1) > 0.2
    assert told.sum() >= VIEWS - 2
    assert np.median(rotation) < 3.0 and max(np.array(rotation)[told]) < 20.0
    assert np.median(joint) < 3.0
    assert np.median(shift) < 0.02


def test_an_estimate_says_how_sure_it_is(estimates, views):
    # One of the views shows no base but its back edge, one none at all.
    T, shares = views[3:]

    def off(T_camera_base, i):
        return angle_deg(T_camera_base[:3, :3].T @ T[i, :3, :3].double().numpy())

    error = np.array([off(e.T_camera_base, i) for i, e in enumerate(estimates)])
    nearest = np.array([min(off(m.T_camera_base, i) for m in e.modes)
                        for i, e in enumerate(estimates)])
    told = np.array([math.degrees(math.sqrt(np.trace(e.covariance[3:, 3:]))) for e in estimates])
    assert (nearest < 3 * told + 1.0).all()
    sure = np.array([e.confidence for e in estimates])
    assert sure[error > 10].max(initial=0.0) < 0.6 and sure[shares.min(1) > 0.2].min() > 0.9
    assert sure[shares.min(1) == 0].max() < 0.6


def test_an_estimate_is_whole(estimates):
    for e in estimates:
        assert [p.name for p in e.parts] == ['base', 'lid']
        assert np.isfinite(e.covariance).all() and (np.linalg.eigvalsh(e.covariance) > 0).all()
        assert sum(m.weight for m in e.modes) == pytest.approx(1.0)
        assert 0 <= e.confidence <= 1 and e.residual < 0.005
        np.testing.assert_allclose(np.linalg.norm(e.joints[0].axis), 1.0)
        # The lid's frame sits at the pivot.
        pivot = e.T_camera_base[:3, :3] @ e.joints[0].origin + e.T_camera_base[:3, 3]
        np.testing.assert_allclose(e.parts[1].T_camera_part[:3, 3], pivot, atol=1e-4)


def states_about(degrees, positions):
    """Laptops turned about the camera's axis by ``degrees``, at joint ``positions``."""
    turn = torch.zeros(len(degrees), 3)
    turn[:, 2] = torch.deg2rad(torch.tensor(degrees))
    return State(make_transform(roma.rotvec_to_rotmat(turn), torch.zeros(len(degrees), 3)),
                 torch.tensor(positions)[:, None], torch.zeros(len(degrees), 1, 3),
                 torch.tensor([0.0, -1.0, 0.0]).expand(len(degrees), 1, 3))


def test_every_mode_that_may_be_right_goes_on():
    # Two of one mode; a half turn; another joint state; a quarter turn that explains too little.
    state = states_about([0.0, 6.0, 180.0, 0.0, 90.0], [1.0, 1.0, 1.0, 2.0, 1.0])
    score = torch.tensor([0.004, 0.003, 0.009, 0.010, 0.003 + 1.1 * PLAUSIBLE])
    assert cluster_modes(state) == [[0, 1], [2], [3], [4]]
    assert select_distinct(state, score, 2, 4.0).tolist() == [1, 2, 3]
    # More places than modes: the next best that differ, however badly they fit_confidence.
    assert select_distinct(state, score, 4, 4.0).tolist() == [1, 0, 2, 3]
    assert select_distinct(state, score, 5, 8.0).tolist() == [1, 2, 3, 4]


def test_what_is_decoded_has_all_of_the_larger_modes():
    state = states_about([0.0, 1.0, 2.0, 3.0, 180.0, 90.0, 181.0], [1.0] * 7)
    assert cover_modes(state, 4).tolist() == [0, 4, 1, 2]
    assert sorted(cover_modes(state, 7).tolist()) == list(range(7))
    assert cover_modes(state, 30).shape == (7,)


def test_what_looks_the_same_from_both_ends_has_two_modes():
    view = procedural_samples('box', seed=0, shapes=False)(103)
    e = Pipeline.load('box').infer(depth=view.depth, intrinsics=view.intrinsics, mask=view.mask,
                                   mesh=False)
    truth = view.truth.T_camera_part[0][:3, :3]
    error = [angle_deg(m.T_camera_base[:3, :3].T @ truth) for m in e.modes]
    assert len(e.modes) == 2 and min(error) < 5 and max(error) > 170
    assert min(m.weight for m in e.modes) > 0.1 and e.confidence < 0.9


def test_meshes_are_watertight_and_lie_on_the_cloud(estimates):
    trimesh = pytest.importorskip('trimesh')
    for e in estimates[:3]:
        vertices = []
        for part in e.parts:
            assert trimesh.Trimesh(part.mesh.vertices, part.mesh.faces).is_watertight
            T = part.T_camera_part
            vertices.append(part.mesh.vertices @ T[:3, :3].T + T[:3, 3])
        nearest, _ = cKDTree(np.concatenate(vertices)).query(e.points)
        assert np.median(nearest) < 0.004


def test_the_same_seed_gives_the_same_estimate(pipeline, views, estimates):
    depth, mask, *_ = views
    again = pipeline.infer(depth=depth[0], intrinsics=TEST_CAMERA, mask=mask[0])
    np.testing.assert_array_equal(again.T_camera_base, estimates[0].T_camera_base)
    assert again.joints[0].position == estimates[0].joints[0].position


def test_a_cloud_does_as_well_as_a_depth_image(pipeline, views, estimates):
    depth, mask, *_ = views
    cloud = backproject(depth[1], TEST_CAMERA, mask[1])
    e = pipeline.infer(cloud, mesh=False)
    np.testing.assert_allclose(e.T_camera_base, estimates[1].T_camera_base, atol=1e-6)
    assert e.parts[0].mesh is None


def test_hopeless_views_are_said_to_be_hopeless(pipeline):
    rng = np.random.default_rng(0)
    with pytest.raises(NoEstimate, match='40 points on the object'):
        pipeline.infer(rng.normal(0, 0.05, (40, 3)) + [0, 0, 1])
    with pytest.raises(NoEstimate, match='0 points'):
        pipeline.infer(np.full((500, 3), np.nan))
    wall = np.concatenate([rng.uniform(-2, 2, (5000, 2)), rng.normal(3, 0.5, (5000, 1))], axis=1)
    with pytest.raises(NoEstimate, match='no pose of a laptop explains'):
        pipeline.infer(wall)


def test_bad_input_is_named(pipeline, views):
    depth, mask, *_ = views
    with pytest.raises(ValueError, match=r'points must be \(N, 3\), got \(5, 2\)'):
        pipeline.infer(np.zeros((5, 2)))
    with pytest.raises(ValueError, match='either points or depth'):
        pipeline.infer()
    with pytest.raises(ValueError, match='needs intrinsics'):
        pipeline.infer(depth=depth[0])
    with pytest.raises(ValueError, match='camera info says'):
        pipeline.infer(depth=depth[0], intrinsics=Intrinsics(600, 600, 160, 120, 320, 240),
                       mask=mask[0])
    with pytest.raises(ValueError, match="unknown category 'lptop'; known: box, "):
        Pipeline.load('lptop')
    with pytest.raises(ValueError, match="unknown preset 'quick'"):
        Pipeline.load('laptop', preset='quick')
    with pytest.raises(ValueError, match='device'):
        Pipeline.load('laptop', device='tpu9')


def test_generated_states_agree_with_the_chain(pipeline, estimates):
    made = pipeline.generate(estimates[0], [math.radians(100)])
    decoded, chained = (np.concatenate([m.vertices for m in way])
                        for way in (made.decoder, made.chain))
    nearest, _ = cKDTree(chained).query(decoded)
    assert nearest.mean() < 0.004
    with pytest.raises(ValueError, match='1 finite joint position'):
        pipeline.generate(estimates[0], [0.1, 0.2])
    with pytest.raises(ValueError, match='1 finite joint position'):
        pipeline.generate(estimates[0], [float('nan')])


def some_state(net, h=2):
    T = torch.eye(4).repeat(h, 1, 1)
    T[:, 2, 3] = 3.0
    origin = net.decode(torch.zeros(h, net.config.latent), torch.ones(h, 1)).origin
    return State(T, torch.full((h, 1), 1.2), origin, net.axis.expand(h, -1, 3))


def test_jacobian_is_that_of_finite_differences(pipeline):
    """d distance / d (rho, phi, q) of points that stand still, at a random pose."""
    net = pipeline.shape
    state = some_state(net, 1)
    field = net.decode(torch.zeros(1, net.config.latent), state.q)
    g = torch.Generator().manual_seed(0)
    points = torch.randn(200, 3, generator=g) * 0.3 + torch.tensor([0.0, 0.0, 3.2])
    centre = points.mean(0)

    def distance(step):
        poses = residuals.part_poses(net, refinement.move(state, step, centre))
        return residuals.union_distance(net, field, poses, points)

    d, gradient, part = distance(torch.zeros(1, 7))
    J = -motion_jacobian(net.category.joints, residuals.part_poses(net, state), state.axis,
                         centre, points[None], gradient, part)
    for i in range(7):
        step = torch.zeros(1, 7)
        step[0, i] = 1e-3
        ahead, _, part_ahead = distance(step)
        behind, _, part_behind = distance(-step)
        same = (part_ahead == part) & (part_behind == part)
        numeric = (ahead - behind)[same] / 2e-3
        error = (numeric - J[..., i][same]).abs()
        assert error.median() < 0.01 and error.quantile(0.9) < 0.1, f'column {i}'


def test_layout_jacobian_is_that_of_finite_differences(pipeline):
    """d distance / d (box centres, log half sizes, pivots) of points that stand still."""
    net = pipeline.shape
    state = some_state(net, 1)
    field = net.decode(torch.zeros(1, net.config.latent), state.q)
    g = torch.Generator().manual_seed(0)
    surface, _ = residuals.surface_samples(net, field, 150, g)
    poses = residuals.part_poses(net, state)
    points = transform_points(poses, surface).flatten(1, 2)[0]
    points = points + 0.02 * torch.randn(points.shape, generator=g)
    layout = pack_layout(field.centre, field.half, field.origin)

    def distance(x):
        boxes, origin = x.split([12, 3], dim=1)
        centre, log_half = boxes.view(1, 2, 2, 3).unbind(1)
        moved = replace(field, centre=centre, half=log_half.exp(), origin=origin[:, None])
        return residuals.union_distance(net, moved, residuals.part_poses(
            net, replace(state, origin=moved.origin)), points)

    d, gradient, part = distance(layout)
    J = -residuals.layout_jacobian(net, field, poses, points[None], gradient, part)
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


def test_free_space_gradient_is_that_of_finite_differences():
    g = torch.Generator().manual_seed(0)
    cloud = torch.rand(4000, 3, generator=g) * torch.tensor([0.5, 0.3, 0.1]) + torch.tensor(
        [0.0, 0.0, 2.0])
    seen = observe(cloud.numpy(), 100, g)
    inside, _ = free_distance(seen, cloud[:500])
    assert inside.max() < 0.02
    p = torch.rand(400, 3, generator=g) * 0.6 + torch.tensor([-0.1, -0.1, 1.8])
    value, gradient = free_distance(seen, p)
    assert (value > 0.05).any()
    for axis in range(3):
        step = torch.zeros(3)
        step[axis] = 1e-3
        numeric = (free_distance(seen, p + step)[0]
                   - free_distance(seen, p - step)[0]) / 2e-3
        error = (numeric - gradient[:, axis]).abs()
        assert error.median() < 2e-3  # cells' borders have kinks


def test_what_could_not_be_seen_is_not_missed():
    """Something stands before the space at the right of a plate: there the plate may go on, but
    not before it, and not where nothing was measured."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(9000, 3, generator=g) * torch.tensor([0.4, 0.4, 0.0])
    plate, screen = x + torch.tensor([-0.4, -0.2, 2.0]), x + torch.tensor([0.01, -0.2, 1.9])
    seen = observe(plate.numpy(), 100, g, screen.numpy())
    alone = observe(plate.numpy(), 100, g)

    def outside(seen, *at):
        distance, gradient = free_distance(seen, torch.tensor([at]))
        assert (distance > 0) == (gradient.abs().amax() > 0)
        return float(distance)

    behind, before, aside = (0.15, 0.0, 2.0), (0.14, 0.0, 1.85), (-0.2, 0.3, 2.0)
    assert outside(seen, *behind) == 0 and outside(alone, *behind) > 0.1
    assert outside(seen, *before) == outside(alone, *before) > 0.1
    assert outside(seen, *aside) == outside(alone, *aside) > 0.05
    # What the mask has missed is not in front of itself.
    missed = observe(plate.numpy(), 100, g, (plate + torch.tensor([0.4, 0.0, 0.0])).numpy())
    assert outside(missed, *behind) == 0


def test_surface_before_what_was_measured_stands_in_free_space():
    """A step: a near plate on the left, a far one on the right. Before the far one nothing may be:
    the way out is back to it, or aside to the near one."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(9000, 3, generator=g) * torch.tensor([0.4, 0.4, 0.0])
    near, far = x + torch.tensor([-0.4, -0.2, 1.6]), x + torch.tensor([0.0, -0.2, 2.0])
    seen = observe(torch.cat([near, far]).numpy(), 100, g)

    def free(*at):
        distance, gradient = free_distance(seen, torch.tensor([at]))
        return float(distance), gradient[0].tolist()

    for hidden in ((-0.2, 0.0, 1.61), (-0.2, 0.0, 1.9), (0.2, 0.0, 2.1), (0.2, 0.0, 1.985)):
        assert free(*hidden) == (0.0, [0.0, 0.0, 0.0])
    distance, gradient = free(0.25, 0.0, 1.9)  # a tenth before the far one
    assert distance == pytest.approx(0.08, abs=1e-3) and gradient == [0.0, 0.0, -1.0]
    distance, gradient = free(0.05, 0.0, 1.75)  # a step to the right of the near one
    assert distance == pytest.approx(0.05, abs=0.03) and gradient[0] > 0.8
    assert abs(gradient[1]) < 0.1


def test_a_leg_that_the_mask_has_missed_is_found():
    """The masks of these eyeglasses have lost a leg; the depth images have it."""
    pipeline, errors = Pipeline.load('eyeglasses'), {True: [], False: []}
    sample = procedural_samples('eyeglasses', 0, shapes=False)
    for view in (sample(98), sample(124)):
        for others, found in errors.items():
            cloud = object_cloud(view.depth, view.intrinsics, view.mask)
            e = pipeline.infer(cloud if others else cloud.points, mesh=False)
            found.append(max(abs(j.position - q) for j, q in zip(
                e.joints, view.truth.positions, strict=True)))
    assert np.degrees(errors[True]).max() < 15 < 25 < np.degrees(errors[False]).min()


def test_a_motion_is_the_step_that_leads_there(pipeline):
    step = torch.tensor([[0.1, -0.2, 0.3, 0.4, 0.2, -0.5, 0.3],
                         [0.0, 0.1, 0.0, 0.0, 0.0, 1.0, -0.2]])
    centre = torch.tensor([0.3, 0.1, 1.5])
    start = some_state(pipeline.shape, 2)
    found = refinement.motion(start, refinement.move(start, step, centre), centre)
    torch.testing.assert_close(found, step, atol=1e-5, rtol=1e-4)


def test_a_prior_holds_what_the_points_leave_open(pipeline):
    """A cloud of the base's upper face alone: it may slide, and the lid may be anywhere."""
    net, g = pipeline.shape, torch.Generator().manual_seed(0)
    truth = some_state(net, 1)
    field = net.decode(torch.zeros(1, net.config.latent), truth.q)
    surface, normals = residuals.surface_samples(net, field, 2000, g)
    top = (normals[0, 0, :, 2] > 0.99) & (surface[0, 0, :, :2].abs() < 0.1).all(-1)
    cloud = transform_points(residuals.part_poses(net, truth)[0, :1], surface[0, 0, top][None])[0]
    seen = observe(cloud.numpy(), 200, g)
    seen.maps[:seen.others.numel()] = 0  # no outline
    # Along the face, across it (both in the base's axes), and the lid.
    R = truth.T_camera_base[0, :3, :3]
    step = torch.cat([R @ torch.tensor([0.03, 0.0, 0.01]), torch.zeros(3), torch.tensor([0.2])])
    moved = refinement.move(truth, step[None], seen.centroid)
    loose, _ = refinement.descend_sdf(net, field, moved, seen, surface[:, :, :64], 15, 0.05)
    prior = refinement.Prior(truth, torch.eye(7)[None] / 0.01 ** 2)
    held, _ = refinement.descend_sdf(net, field, moved, seen, surface[:, :, :64], 15, 0.05, prior)

    def away(state):
        found = refinement.motion(truth, state, seen.centroid)[0]
        return (R.T @ found[:3]).abs().tolist(), float(found[6].abs())

    assert away(loose)[0][0] > 0.02 and away(loose)[0][2] < 0.004 and away(loose)[1] > 0.1
    assert max(away(held)[0]) < 0.004 and away(held)[1] < 0.02


def test_confidence_is_the_chance_that_no_part_is_off_by_5_degrees_or_5_cm(estimates):
    joint = estimates[0].joints[0]

    def chance(metres, radians, joint_std):
        covariance = np.diag([metres ** 2] * 3 + [radians ** 2] * 3)
        return accuracy_probability(replace(estimates[0], covariance=covariance,
                                    joints=(replace(joint, std=joint_std),)))

    for share, expected in ((0.02, 1.0), (1.0, 0.683), (0.5, 0.954), (10.0, 0.08)):
        turned = share * math.radians(5)
        for told in ((share * 0.05, 1e-6, 0.0), (1e-6, turned, 0.0), (1e-6, 1e-6, turned)):
            assert chance(*told) == pytest.approx(expected, abs=0.003)
    assert fit_confidence(0.0) == 1.0
    assert fit_confidence(0.004) > 0.97 and fit_confidence(0.05) < 0.1


def test_covariance_about_the_base_is_that_of_its_origin():
    """Against many small motions about another point."""
    g = torch.Generator().manual_seed(0)
    turn = roma.rotvec_to_rotmat(torch.tensor([[1.0, -2.0, 0.5]]))
    base = State(make_transform(turn, torch.tensor([[0.2, -0.1, 1.3]])),
                 torch.zeros(1, 1), torch.zeros(1, 1, 3), torch.tensor([[[0.0, -1.0, 0.0]]]))
    centre = torch.tensor([0.0, 0.1, 1.5])
    root = 0.01 * torch.randn(7, 7, generator=g)
    steps = torch.randn(20_000, 7, generator=g) @ root.T
    many = State(*(getattr(base, f).expand(len(steps), *getattr(base, f).shape[1:])
                   for f in ('T_camera_base', 'q', 'origin', 'axis')))
    moved = refinement.move(many, steps, centre)
    drift = moved.T_camera_base[:, :3, 3] - base.T_camera_base[0, :3, 3]
    found = torch.from_numpy(shift_covariance((root @ root.T).numpy(), (
        base.T_camera_base[0, :3, 3] - centre).numpy())[:3, :3]).float()
    measured = drift.T @ drift / len(steps)
    assert (found - measured).norm() < 0.05 * measured.norm()
    assert (found - (root @ root.T)[:3, :3]).norm() > 0.2 * measured.norm()


@pytest.mark.parametrize('way', ['sdf', 'chamfer'])
def test_descent_brings_a_moved_object_back(pipeline, way):
    """Points on the decoded surface, pose and joint turned by some degrees: error falls."""
    net = pipeline.shape
    g = torch.Generator().manual_seed(0)
    truth = some_state(net, 3)
    field = net.decode(torch.zeros(3, net.config.latent), truth.q)
    surface, normals = residuals.surface_samples(net, field, 400, g)
    # A camera that looks down on the object from the front: x of the base comes towards it.
    tilt = torch.eye(4)
    c, s = math.cos(0.6), math.sin(0.6)
    tilt[:3, :3] = torch.tensor([[0.0, 1.0, 0.0], [s, 0.0, -c], [-c, 0.0, -s]])
    truth = State(truth.T_camera_base @ tilt, truth.q, truth.origin, truth.axis)
    poses = residuals.part_poses(net, truth)
    y = transform_points(poses, surface)
    facing = ((poses[..., :3, :3] @ normals.transpose(-1, -2)).transpose(-1, -2) * y).sum(-1) < 0
    cloud = y[0][facing[0]]
    seen = observe(cloud.numpy(), 300, g)
    step = torch.tensor([0.02, -0.01, 0.02, 0.05, 0.04, -0.05, 0.08])
    moved = refinement.move(truth, step.repeat(3, 1), seen.centroid)
    before = (moved.T_camera_base - truth.T_camera_base).abs().amax()
    if way == 'sdf':
        after, information = refinement.descend_sdf(net, field, moved, seen, surface[:, :, :64],
                                                    15, 0.05)
        assert (torch.linalg.eigvalsh(information) > -1e-3).all()
    else:
        after = refinement.descend_chamfer(net, field, moved, seen, surface, normals, 80)
    assert (after.T_camera_base - truth.T_camera_base).abs().amax() < 0.5 * before
    assert (after.q - truth.q).abs().max() < 0.04


def test_joint_limits_hold():
    class Net:
        category = get_category('laptop')

    state = State(torch.eye(4)[None], torch.tensor([[9.0]]), torch.zeros(1, 1, 3),
                  torch.zeros(1, 1, 3))
    assert refinement.limit_joints(Net(), state).q.item() == pytest.approx(math.pi)
