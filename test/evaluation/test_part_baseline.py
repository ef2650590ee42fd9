"""The part-centric baseline: motions from votes, joints from motions, and the trained heads."""

import json

import numpy as np
import pytest
import roma
import torch

from kinediff3d_core import Pipeline
from kinediff3d_core.cli.main import main
from kinediff3d_core.data.samples import view_rays
from kinediff3d_core.evaluation.baselines import baseline
from kinediff3d_core.evaluation.part_baseline import (
    Matches,
    RansacConfig,
    estimate_from_votes,
    fit_poses,
    joint_between,
    ransac_inliers,
)
from kinediff3d_core.geometry.kinematics import Joint, joint_units
from kinediff3d_core.geometry.rigid import make_transform, to_part_frames, transform_points
from kinediff3d_core.networks.part_coordinates import PointVotes
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import CATEGORIES, get_category
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.simulation.families import held_out_generator, sample_instances
from kinediff3d_core.simulation.render import trace
from kinediff3d_core.simulation.views import posed_corners, sample_views


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_ransac_finds_a_motion_among_outliers():
    g = generator()
    T = make_transform(roma.random_rotmat(generator=g), torch.tensor([0.3, -0.2, 1.5]))
    source = torch.rand(200, 3, generator=g) - 0.5
    target = transform_points(T, source) + 0.002 * torch.randn(200, 3, generator=g)
    target[:80] += 1.0 + torch.rand(80, 3, generator=g)
    matches = Matches(source, target)
    inliers = ransac_inliers(matches, g)
    assert torch.equal(inliers, torch.arange(200) >= 80)
    found = fit_poses((), {0: matches[inliers]}, 0)[0]
    torch.testing.assert_close(found, T, atol=2e-3, rtol=0)
    assert ransac_inliers(matches, g, RansacConfig(hypotheses=1, inlier=1e-9)).all()


@pytest.mark.parametrize('kind', ['revolute', 'prismatic'])
def test_joints_keep_their_axes_in_both_frames(kind):
    """Points near a line hardly tell a rotation about it, here a wrong one; the joint does."""
    g, angle = generator(), 0.7 if kind == 'revolute' else 0.0
    joint = Joint('lid_joint', kind, 0, 1, (0.0, -1.0, 0.0), -3.0, 3.0)
    axis = torch.tensor(joint.axis)
    T = make_transform(roma.random_rotmat(generator=g), torch.tensor([0.1, 0.2, 1.0]))
    T_child = T @ make_transform(roma.rotvec_to_rotmat(angle * axis), torch.tensor([0.3, 0.0, 0]))
    base, line = torch.rand(60, 3, generator=g) - 0.5, torch.zeros(40, 3)
    line[:, 0] = torch.linspace(-0.5, 0.5, 40)
    near = line + torch.tensor([0.0, 0.01, 0.01]) * torch.randn(40, 3, generator=g)
    twist = make_transform(roma.rotvec_to_rotmat(torch.tensor([0.5, 0.0, 0.0])), torch.zeros(3))
    matches = {0: Matches(base, transform_points(T, base)),
               1: Matches(near, transform_points(T_child @ twist, near))}
    alone, together = (fit_poses((joint,), matches, rounds)[1] for rounds in (0, 100))
    error = [roma.rotmat_geodesic_distance(x[:3, :3], T_child[:3, :3]) for x in (alone, together)]
    assert error[0] == pytest.approx(0.5, abs=0.05) and error[1] < 0.02


def test_a_joint_is_that_of_its_two_poses():
    axis, pivot = torch.tensor([0.0, -1.0, 0.0]), torch.tensor([0.1, 0.0, 0.2])
    for angle in (-1.0, 0.3, 3.0):
        T = make_transform(roma.rotvec_to_rotmat(angle * axis), pivot)
        q, origin, direction = joint_between(T, axis, None)
        assert float(q) == pytest.approx(angle, abs=1e-5)
        torch.testing.assert_close(origin, pivot)
        torch.testing.assert_close(direction, axis)
    # A turn about another axis has no share in the angle.
    tilted = T @ make_transform(roma.rotvec_to_rotmat(torch.tensor([0.1, 0.0, 0.0])),
                                torch.zeros(3))
    assert float(joint_between(tilted, axis, None)[0]) == pytest.approx(3.0, abs=1e-5)
    T = make_transform(torch.eye(3), pivot + 0.4 * axis)
    q, origin, direction = joint_between(T, axis, pivot)
    assert float(q) == pytest.approx(0.4) and torch.equal(origin, pivot)
    torch.testing.assert_close(direction, axis)


class View:
    """Exact points of a procedural object, canonical units, and the votes that are right."""

    def __init__(self, name, seed=0):
        self.category = c = get_category(name)
        g = held_out_generator(seed)
        one = sample_instances(name, 1, g)
        q, T = sample_views(one, g)
        poses = one.part_poses(q, T)
        rays = view_rays(posed_corners(one, q, T), 64)
        depth, part = trace(one, poses, rays)
        seen = part[0] >= 0
        self.label = part[0, seen]
        self.points = (rays[0] * depth[0, :, None])[seen] / c.scale
        self.exists, self.T = one.exists[0], poses[0]
        self.origin, self.axis, self.q = one.origin[0], one.axis[0], q[0]
        canonical = poses.clone()
        canonical[..., :3, 3] /= c.scale
        coordinates = to_part_frames(self.points, canonical)[0].transpose(0, 1)
        sliding = [i for i, j in enumerate(c.joints) if j.joint_type == 'prismatic']
        logits = torch.nn.functional.one_hot(self.label, len(c.parts)).float()
        rest = one.origin[:, sliding].expand(len(logits), -1, 3) / c.scale
        self.votes = PointVotes(logits, coordinates, rest)
        unit = joint_units(c.joints, c.scale)
        self.typical = State(canonical[0, 0], 0 * self.q + 0.5 / unit, self.origin / c.scale,
                             self.axis)

    def estimate(self):
        return estimate_from_votes(self.category, self.points, self.votes, self.typical,
                                   generator())


@pytest.mark.parametrize('name', CATEGORIES)
def test_exact_votes_give_the_true_object(name):
    view = View(name)
    counts = view.label.bincount(minlength=len(view.category.parts))
    estimate = view.estimate()
    poses = {p.name: p.T_camera_part for p in estimate.parts}
    joints = {j.name: j for j in estimate.joints}
    checked = 0
    for k, part in enumerate(view.category.parts):
        if counts[k] < RansacConfig().least_points:
            continue
        checked += 1
        T = poses[part]
        angle = roma.rotmat_geodesic_distance(torch.from_numpy(T[:3, :3]).float(),
                                              view.T[k, :3, :3])
        assert torch.rad2deg(angle) < 0.1
        np.testing.assert_allclose(T[:3, 3], view.T[k, :3, 3], atol=1e-3)
        if k:
            joint = joints[view.category.joints[k - 1].name]
            assert joint.position == pytest.approx(float(view.q[k - 1]), abs=1e-3)
            np.testing.assert_allclose(joint.origin, view.origin[k - 1], atol=1e-3)
            np.testing.assert_allclose(joint.axis, view.axis[k - 1], atol=2e-3)
    assert checked >= 2
    assert np.isnan(estimate.covariance).all() and np.isnan(estimate.confidence)
    assert all(p.mesh is None for p in estimate.parts)


def relabelled(view, label):
    logits = torch.nn.functional.one_hot(label, len(view.category.parts)).float()
    view.votes = PointVotes(logits, view.votes.coordinates, view.votes.rest)
    return view


def test_a_part_without_points_is_at_the_typical_position():
    view = View('laptop')
    estimate = relabelled(view, 0 * view.label).estimate()
    assert estimate.joints[0].position == pytest.approx(0.5)
    relative = np.linalg.inv(estimate.T_camera_base) @ estimate.parts[1].T_camera_part
    np.testing.assert_allclose(relative[:3, 3], view.origin[0], atol=1e-3)
    np.testing.assert_allclose(relative[0, 0], np.cos(0.5), atol=1e-3)


def test_an_optional_part_without_points_is_left_out():
    view = View('drawer', seed=1)
    estimate = relabelled(view, 0 * view.label).estimate()
    assert [p.name for p in estimate.parts] == ['base', 'drawer_0']
    assert [j.name for j in estimate.joints] == ['drawer_0_joint']
    assert estimate.joints[0].position == pytest.approx(0.5)


def test_no_base_is_no_estimate():
    view = View('laptop')
    with pytest.raises(NoEstimate, match='fewer than 3 points are on its base'):
        relabelled(view, 0 * view.label + 1).estimate()


def test_evaluate_scores_the_trained_head_without_shapes(tmp_path):
    out, records = tmp_path / 'ancsh.json', tmp_path / 'records.jsonl'
    assert main(['evaluate', '--category', 'laptop', '--peer', 'ancsh', '--count', '2',
                 '--json', str(out), '--records', str(records)]) == 0
    summary = json.loads(out.read_text())['laptop']
    assert summary['rot_err_deg']['n'] == 2 and summary['rot_err_deg']['median'] < 20
    assert not [name for name in summary if 'cd_' in name or name.startswith('confidence')]
    first, second = (json.loads(line)['metrics'] for line in records.read_text().splitlines())
    assert first['rot_err_deg'] != second['rot_err_deg']


def test_a_baseline_without_its_network_says_how_to_train_it(tmp_path):
    pipeline = Pipeline.load('laptop')
    with pytest.raises(ValueError, match='kinediff3d train parts --category laptop'):
        baseline('ancsh', pipeline, tmp_path)
    assert baseline('score', pipeline, tmp_path).__name__ == 'score'


def test_a_head_of_another_pose_network_is_refused():
    pipeline = Pipeline.load('laptop')
    assert baseline('ancsh', pipeline, None)
    with torch.no_grad():
        pipeline.pose.encoder.place.bias += 0.1
    with pytest.raises(ValueError, match='trained with another pose network'):
        baseline('ancsh', pipeline, None)
