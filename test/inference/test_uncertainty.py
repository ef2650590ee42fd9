"""Confidence and covariance against hand-worked values and sampled motions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import roma
import torch
from estimates import laptop_estimate
from tracking_scenes import rotation

from kinediff3d_core.geometry.rigid import make_transform, shift_covariance
from kinediff3d_core.inference.presets import ConfidenceConfig
from kinediff3d_core.inference.refinement import move
from kinediff3d_core.inference.uncertainty import (
    accuracy_probability,
    axis_covariances,
    fit_confidence,
    part_covariances,
    path_covariance,
    transform_estimate,
)
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.contact import contacts
from kinediff3d_core.objects.opening import opening_path


def test_confidence_is_the_probability_of_5_degrees_and_5_cm():
    estimate = laptop_estimate()
    joint = estimate.joints[0]

    def probability(metres, radians, joint_std):
        covariance = np.diag([metres ** 2] * 3 + [radians ** 2] * 3)
        return accuracy_probability(replace(estimate, covariance=covariance,
                                    joints=(replace(joint, std=joint_std),)))

    for share, expected in ((0.02, 1.0), (1.0, 0.683), (0.5, 0.954), (10.0, 0.08)):
        turned = share * math.radians(5)
        for std in ((share * 0.05, 1e-6, 0.0), (1e-6, turned, 0.0), (1e-6, 1e-6, turned)):
            assert probability(*std) == pytest.approx(expected, abs=0.003)
    assert fit_confidence(0.0) == 1.0
    assert fit_confidence(0.004) > 0.97 and fit_confidence(0.05) < 0.1


def test_shifted_covariance_agrees_with_sampled_motions():
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
    moved = move(many, steps, centre)
    drift = moved.T_camera_base[:, :3, 3] - base.T_camera_base[0, :3, 3]
    found = torch.from_numpy(shift_covariance((root @ root.T).numpy(), (
        base.T_camera_base[0, :3, 3] - centre).numpy())[:3, :3]).float()
    measured = drift.T @ drift / len(steps)
    assert (found - measured).norm() < 0.05 * measured.norm()
    assert (found - (root @ root.T)[:3, :3]).norm() > 0.2 * measured.norm()


def test_fit_confidence_falls_with_the_squared_residual():
    assert fit_confidence(0.03) == pytest.approx(math.exp(-1))
    assert fit_confidence(0.06) == pytest.approx(math.exp(-4))
    assert fit_confidence(0.01, ConfidenceConfig(residual_scale=0.01)) == pytest.approx(
        math.exp(-1))


def test_a_rotation_about_another_point_translates_the_origin():
    """A rotation of 0.1 rad standard deviation about z, seen two units along x: 0.2 in y."""
    covariance = np.zeros((6, 6))
    covariance[5, 5] = 0.01
    found = shift_covariance(covariance, np.array([2.0, 0.0, 0.0]))
    assert found[1, 1] == pytest.approx(0.04) and found[1, 5] == pytest.approx(0.02)
    assert found[0, 0] == found[2, 2] == 0 and found[5, 5] == pytest.approx(0.01)


def test_covariances_follow_levers_and_joints():
    estimate = laptop_estimate()
    base, joint = estimate.parts[0].name, estimate.joints[0]
    sure = replace(estimate, covariance=np.diag([0, 0, 0, 0, 0, 1e-4]).astype(float),
                   joints=(replace(joint, std=0.0),))
    found = part_covariances(sure)
    arm = (estimate.parts[1].T_camera_part - estimate.parts[0].T_camera_part)[:2, 3]
    assert found[joint.child][:2, :2] == pytest.approx(
        1e-4 * np.outer((-arm[1], arm[0]), (-arm[1], arm[0])))
    loose = replace(estimate, covariance=np.zeros((6, 6)), joints=(replace(joint, std=0.1),))
    child = part_covariances(loose)[joint.child]
    axis = estimate.parts[0].T_camera_part[:3, :3] @ joint.axis
    assert child[3:, 3:] == pytest.approx(0.01 * np.outer(axis, axis))
    assert part_covariances(loose)[base] == pytest.approx(np.zeros((6, 6)))
    T = np.eye(4)
    T[:3, :3] = rotation(2, 90.0)
    turned = transform_estimate(replace(estimate, covariance=np.diag([1., 2., 3., 4., 5., 6.])), T)
    assert np.diag(turned.covariance) == pytest.approx([2, 1, 3, 5, 4, 6])
    assert turned.parts[1].T_camera_part == pytest.approx(T @ estimate.parts[1].T_camera_part)


DRAWS = 600
"""Sampled estimates. A variance of as many has a standard deviation of 6 %."""


def perturbed(estimate, root, rng):
    """The estimate with errors of its base's pose, about the camera's axes, and of its joint."""
    step = root @ rng.normal(size=6)
    turn = roma.rotvec_to_rotmat(torch.from_numpy(step[3:])).numpy()
    T = estimate.T_camera_base.copy()
    T[:3, :3], T[:3, 3] = turn @ T[:3, :3], T[:3, 3] + step[:3]
    joint = estimate.joints[0]
    q = joint.position + joint.std * rng.normal()
    poses = estimate.part_poses_at(np.array([q]))
    return replace(estimate, parts=tuple(replace(p, T_camera_part=T @ poses[p.name])
                                         for p in estimate.parts),
                   joints=(replace(joint, position=q),))


def pose_errors(poses, truth):
    """Errors (N, 6), translation and rotation vector about the camera's axes."""
    turned = torch.from_numpy(poses[:, :3, :3] @ truth[:3, :3].T)
    return np.concatenate([poses[:, :3, 3] - truth[:3, 3],
                           roma.rotmat_to_rotvec(turned).numpy()], axis=1)


def test_covariances_of_axis_and_path_agree_with_sampled_estimates():
    """Base poses and joint positions are drawn; axes and ends of paths follow."""
    rng = np.random.default_rng(3)
    root = 0.004 * rng.normal(size=(6, 6))
    estimate = replace(laptop_estimate(1.2), covariance=root @ root.T)
    contact, joint = contacts(estimate)[0], estimate.joints[0]
    end = opening_path(estimate, contact, 0.2, 2)[-1]
    axis = np.eye(4)
    axis[:3, 3] = joint.origin
    ends, axes = [], []
    for _ in range(DRAWS):
        drawn = perturbed(estimate, root, rng)
        ends.append(opening_path(drawn, contact, 0.2, 2)[-1])
        axes.append(drawn.T_camera_base @ axis)
    for found, errors in (
            (path_covariance(estimate, joint, end), pose_errors(np.array(ends), end)),
            (axis_covariances(estimate)['lid_joint'],
             pose_errors(np.array(axes), estimate.T_camera_base @ axis))):
        measured = errors.T @ errors / DRAWS
        scale = np.sqrt(np.outer(np.diag(found), np.diag(found)))
        np.testing.assert_allclose(measured / scale, found / scale, atol=0.2)
    # The lever from the base to the contact counts, the present joint error does not.
    assert np.abs(path_covariance(estimate, joint, end) - estimate.covariance).max() > 1e-6
    certain = replace(joint, std=0.0)
    np.testing.assert_array_equal(path_covariance(estimate, certain, end),
                                  path_covariance(estimate, joint, end))
