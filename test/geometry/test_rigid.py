"""Rigid motions by the axioms of their groups, in float64."""

import math

import numpy as np
import pytest
import roma
import torch
from scipy.spatial.transform import Rotation
from transforms import normal, random_transforms

from kinediff3d_core.geometry.rigid import (
    cross_matrix,
    cross_vector,
    invert_transform,
    rotate_covariance,
    rotation_angle,
    rotation_from_6d,
    rotation_from_vector,
    rotation_to_6d,
    shift_covariance,
    to_part_frames,
    transform_points,
    vector_from_rotation,
)

BATCHES = [(), (5,), (2, 3)]


def random_vectors(*batch, seed=0, least=0.0, most=math.pi):
    """Rotation vectors (..., 3) with angles between ``least`` and ``most``."""
    share = torch.rand(*batch, 1, generator=torch.Generator().manual_seed(seed),
                       dtype=torch.float64)
    return torch.nn.functional.normalize(normal(*batch, 3, seed=seed), dim=-1) * (
        least + (most - least) * share)


@pytest.mark.parametrize('batch', BATCHES)
def test_transforms_are_a_group(batch):
    a, b, c = (random_transforms(*batch, seed=s) for s in range(3))
    eye = torch.eye(4, dtype=torch.float64).expand(*batch, 4, 4)
    torch.testing.assert_close(a @ invert_transform(a), eye, rtol=0, atol=1e-12)
    torch.testing.assert_close(invert_transform(a) @ a, eye, rtol=0, atol=1e-12)
    torch.testing.assert_close(invert_transform(invert_transform(a)), a)
    torch.testing.assert_close(invert_transform(a @ b), invert_transform(b) @ invert_transform(a))
    torch.testing.assert_close((a @ b) @ c, a @ (b @ c))


@pytest.mark.parametrize('batch', BATCHES)
def test_transforms_act_on_points(batch):
    a, b = (random_transforms(*batch, seed=s) for s in range(2))
    p = normal(*batch, 7, 3, seed=9)
    torch.testing.assert_close(transform_points(a @ b, p),
                               transform_points(a, transform_points(b, p)))
    homogeneous = torch.cat([p, torch.ones_like(p[..., :1])], dim=-1)
    torch.testing.assert_close(transform_points(a, p),
                               (a @ homogeneous.transpose(-1, -2)).transpose(-1, -2)[..., :3])


def test_points_in_part_frames_are_those_of_the_inverse_transforms():
    poses, points = random_transforms(2, 3), normal(2, 7, 3, seed=5)
    own = to_part_frames(points, poses)
    assert own.shape == (2, 3, 7, 3)
    torch.testing.assert_close(own, transform_points(invert_transform(poses), points[:, None]))
    torch.testing.assert_close(to_part_frames(points[0], poses)[0], own[0])


def test_6d_rotation_round_trip_and_orthonormality():
    R = random_transforms(20)[:, :3, :3]
    torch.testing.assert_close(rotation_from_6d(rotation_to_6d(R)), R)
    noisy = rotation_from_6d(rotation_to_6d(R) + 0.3)
    torch.testing.assert_close(noisy.transpose(1, 2) @ noisy,
                               torch.eye(3, dtype=torch.float64).expand(20, 3, 3))
    torch.testing.assert_close(torch.linalg.det(noisy), torch.ones(20, dtype=torch.float64))


@pytest.mark.parametrize('batch', BATCHES)
def test_cross_matrix_and_its_inverse(batch):
    v, w = normal(*batch, 3), normal(*batch, 3, seed=1)
    M = cross_matrix(v)
    assert M.shape == (*batch, 3, 3)
    torch.testing.assert_close((M @ w[..., None])[..., 0], torch.linalg.cross(v, w))
    torch.testing.assert_close(cross_vector(M), v)
    symmetric = normal(*batch, 3, 3)
    symmetric = symmetric + symmetric.transpose(-1, -2)
    torch.testing.assert_close(cross_vector(M + symmetric), v)


@pytest.mark.parametrize('batch', BATCHES)
def test_exponential_is_that_of_the_matrix(batch):
    v = random_vectors(*batch, most=6.0)
    R = rotation_from_vector(v)
    torch.testing.assert_close(R, torch.linalg.matrix_exp(cross_matrix(v)))
    torch.testing.assert_close(rotation_from_vector(-v), R.transpose(-1, -2))


def test_rotation_from_vector_is_that_of_roma():
    v = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    v[:50] *= 1e-7
    v[0] = 0
    torch.testing.assert_close(rotation_from_vector(v), roma.rotvec_to_rotmat(v), atol=1e-7,
                               rtol=0)


@pytest.mark.parametrize('batch', BATCHES)
def test_logarithm_inverts_the_exponential(batch):
    v = random_vectors(*batch, most=3.1)
    torch.testing.assert_close(vector_from_rotation(rotation_from_vector(v)), v, atol=1e-12,
                               rtol=1e-9)
    R = rotation_from_6d(normal(*batch, 6, seed=3))
    torch.testing.assert_close(rotation_from_vector(vector_from_rotation(R)), R)


def test_logarithm_of_small_turns():
    for angle in (0.0, 1e-9, 1e-7, 1e-5):
        v = torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64) * angle
        torch.testing.assert_close(vector_from_rotation(rotation_from_vector(v)), v,
                                   atol=1e-15, rtol=1e-6)


def test_small_steps_have_a_finite_gradient():
    v = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (rotation_from_vector(v)[2, 1] * 3).backward()
    torch.testing.assert_close(v.grad, torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize('angle', [0.0, 1e-9, 1e-4, 1.0, 3.0, math.pi - 1e-7, math.pi])
def test_angle_between_rotations_is_accurate_from_zero_to_half_a_turn(angle):
    axis = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3
    Ra = rotation_from_6d(normal(6))
    Rb = Ra @ rotation_from_vector(axis * angle)
    assert float(rotation_angle(Ra, Rb)) == pytest.approx(angle, abs=1e-13)
    assert float(rotation_angle(Rb.numpy(), Ra.numpy())) == pytest.approx(angle, abs=1e-13)


def test_angle_is_a_metric_that_rotations_leave_unchanged():
    a, b, c = (rotation_from_6d(normal(4, 6, seed=s)) for s in range(3))
    torch.testing.assert_close(rotation_angle(c @ a, c @ b), rotation_angle(a, b))
    assert (rotation_angle(a, c) <= rotation_angle(a, b) + rotation_angle(b, c) + 1e-12).all()
    assert rotation_angle(a, b[0]).shape == (4,)
    torch.testing.assert_close(rotation_angle(a, b),
                               vector_from_rotation(a.transpose(1, 2) @ b).norm(dim=-1))


def test_numpy_arrays_give_what_tensors_give():
    T, p = random_transforms(4), normal(4, 6, 3, seed=2)
    R, other = T[:, :3, :3], random_transforms(4, seed=7)[:, :3, :3]
    for function, args in ((transform_points, (T, p)), (rotation_angle, (R, other)),
                           (cross_matrix, (p,)), (cross_vector, (R,))):
        found = function(*(x.numpy() for x in args))
        assert isinstance(found, np.ndarray)
        np.testing.assert_allclose(found, function(*args).numpy(), rtol=0, atol=1e-14)
    want = Rotation.from_matrix(R.numpy()).inv() * Rotation.from_matrix(other.numpy())
    np.testing.assert_allclose(rotation_angle(R.numpy(), other.numpy()), want.magnitude())


def motions(count, J=1):
    """Small random motions (N, 6 + J) with a full covariance."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 6 + J)) @ rng.normal(size=(6 + J, 6 + J))


def test_covariance_of_motions_about_another_point():
    """A rotation phi about the first point moves the second by phi x arm."""
    arm = np.array([0.3, -0.5, 0.2])
    steps = motions(50)
    shifted = steps.copy()
    shifted[:, :3] += np.cross(steps[:, 3:6], arm)
    covariance, want = np.cov(steps.T), np.cov(shifted.T)
    found = shift_covariance(covariance, arm)
    np.testing.assert_allclose(found, want, atol=1e-12)
    np.testing.assert_allclose(shift_covariance(found, -arm), covariance, atol=1e-12)


def test_covariance_about_the_axes_of_another_frame():
    R = rotation_from_6d(normal(6)).numpy()
    steps = motions(50, J=0)
    turned = np.concatenate([steps[:, :3] @ R.T, steps[:, 3:] @ R.T], axis=1)
    np.testing.assert_allclose(rotate_covariance(np.cov(steps.T), R), np.cov(turned.T),
                               atol=1e-12)
