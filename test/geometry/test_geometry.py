"""Rigid transforms and kinematic trees, by their laws, in float64."""

import math

import numpy as np
import pytest
import roma
import torch

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.geometry.kinematics import Joint, forward_kinematics, joint_transform
from kinediff3d_core.geometry.rigid import (
    invert_transform,
    make_transform,
    rotation_from_6d,
    rotation_from_vector,
    rotation_to_6d,
    transform_points,
)
from kinediff3d_core.observation.cloud import ObjectCloud, object_cloud

torch.set_default_dtype(torch.float32)


def random_transforms(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    R = rotation_from_6d(torch.randn(n, 6, generator=g, dtype=torch.float64))
    return make_transform(R, torch.randn(n, 3, generator=g, dtype=torch.float64))


def test_transform_axioms():
    a, b, c = (random_transforms(5, s) for s in range(3))
    eye = torch.eye(4, dtype=torch.float64).expand(5, 4, 4)
    torch.testing.assert_close(a @ invert_transform(a), eye, rtol=0, atol=1e-12)
    torch.testing.assert_close((a @ b) @ c, a @ (b @ c))
    p = torch.randn(5, 7, 3, dtype=torch.float64)
    torch.testing.assert_close(transform_points(a @ b, p),
                               transform_points(a, transform_points(b, p)))


def test_6d_rotation_round_trip_and_orthonormality():
    R = random_transforms(20)[:, :3, :3]
    torch.testing.assert_close(rotation_from_6d(rotation_to_6d(R)), R)
    noisy = rotation_from_6d(rotation_to_6d(R) + 0.3)
    torch.testing.assert_close(noisy.transpose(1, 2) @ noisy,
                               torch.eye(3, dtype=torch.float64).expand(20, 3, 3))
    torch.testing.assert_close(torch.linalg.det(noisy), torch.ones(20, dtype=torch.float64))


def test_revolute_joint_is_the_pivot_formula():
    """Child poses are T_camera_base @ [R(d, q), l - R(d, q) l] for points of the base frame."""
    joint = Joint('j', 'revolute', 0, 1, (0.0, -1.0, 0.0), 0.0, 2.0)
    T = random_transforms(1)
    q = torch.tensor([[0.7]], dtype=torch.float64)
    pivot = torch.tensor([[[-0.1, 0.02, 0.03]]], dtype=torch.float64)
    d = torch.tensor([[[0.0, -1.0, 0.0]]], dtype=torch.float64)
    child = forward_kinematics((joint,), T, q, pivot, d)[:, 1]
    p_closed = torch.randn(1, 9, 3, dtype=torch.float64)  # points of the child in the base frame
    R = joint_transform('revolute', d[:, 0], q[:, 0])[:, :3, :3]
    offset = pivot[:, 0] - (R @ pivot[:, 0, :, None])[..., 0]
    moved = (p_closed @ R.transpose(1, 2)) + offset[:, None]
    torch.testing.assert_close(transform_points(child, p_closed - pivot[:, 0]),
                               transform_points(T, moved))


def test_positive_lid_rotation_opens_upwards():
    joint = Joint('lid', 'revolute', 0, 1, (0.0, -1.0, 0.0), 0.0, 3.0)
    T = torch.eye(4)[None]
    poses = forward_kinematics((joint,), T, torch.tensor([[math.pi / 2]]), torch.zeros(1, 1, 3),
                               torch.tensor([[[0.0, -1.0, 0.0]]]))
    front_edge = transform_points(poses[:, 1], torch.tensor([[[0.2, 0.0, 0.0]]]))
    torch.testing.assert_close(front_edge, torch.tensor([[[0.0, 0.0, 0.2]]]), atol=1e-6, rtol=0)


def test_forward_kinematics_velocity_matches_autograd():
    """dp/dq is a x (p - pivot) for revolute and a for prismatic joints, on a three-part chain."""
    joints = (Joint('a', 'revolute', 0, 1, (0, 0, 1), -3, 3),
              Joint('b', 'prismatic', 1, 2, (1, 0, 0), 0, 1))
    T = random_transforms(1)
    origin = torch.randn(1, 2, 3, dtype=torch.float64)
    axis = torch.nn.functional.normalize(torch.randn(1, 2, 3, dtype=torch.float64), dim=-1)
    q = torch.tensor([[0.4, 0.3]], dtype=torch.float64)
    local = torch.randn(1, 1, 3, dtype=torch.float64)

    def tip(x):
        return transform_points(forward_kinematics(joints, T, x, origin, axis)[:, 2], local)[0, 0]

    J = torch.autograd.functional.jacobian(tip, q)[:, 0]
    poses = forward_kinematics(joints, T, q, origin, axis)
    a = poses[0, 0, :3, :3] @ axis[0, 0]
    expected = torch.stack([torch.linalg.cross(a, tip(q) - poses[0, 1, :3, 3]),
                            poses[0, 1, :3, :3] @ axis[0, 1]], dim=1)
    torch.testing.assert_close(J, expected)


def test_joints_name_what_is_wrong():
    with pytest.raises(ValueError, match="'screw'"):
        Joint('j', 'screw', 0, 1, (0, 0, 1), 0, 1)
    with pytest.raises(ValueError, match='before its child'):
        Joint('j', 'revolute', 1, 1, (0, 0, 1), 0, 1)


def test_backprojection_projects_back():
    camera = Intrinsics(50.0, 60.0, 7.5, 4.5, 16, 10)
    depth = np.random.default_rng(0).uniform(0.5, 2.0, (10, 16)).astype(np.float32)
    depth[0, 0], depth[1, 1], depth[2, 2] = 0, np.nan, np.inf
    p = backproject(depth, camera)
    assert p.shape == (10 * 16 - 3, 3)
    u = p[:, 0] / p[:, 2] * camera.fx + camera.cx
    v = p[:, 1] / p[:, 2] * camera.fy + camera.cy
    np.testing.assert_allclose(depth[v.round().astype(int), u.round().astype(int)], p[:, 2])
    np.testing.assert_allclose(u, u.round(), atol=1e-3)


def test_object_cloud_is_the_object_and_what_is_beside_it():
    camera = Intrinsics(50.0, 50.0, 39.5, 29.5, 80, 60)
    depth, mask = np.full((60, 80), 2.0, np.float32), np.zeros((60, 80), bool)
    mask[10:22, 10:26] = True
    depth[10:22, 10:26] = 1.0
    depth[::2, :5] = np.nan
    cloud = object_cloud(depth, camera, mask)
    np.testing.assert_array_equal(cloud.points, backproject(depth, camera, mask))
    assert len(cloud) == 12 * 16 and (cloud.others[:, 2] == 2.0).all()
    u = cloud.others[:, 0] / cloud.others[:, 2] * 50 + 39.5
    v = cloud.others[:, 1] / cloud.others[:, 2] * 50 + 29.5
    # To the image's edge, and as far as the mask is wide from its middle.
    assert u.min() < 4 and v.min() < 3 and 29 <= u.max() <= 32 and 27 <= v.max() <= 30
    assert len(cloud.others) > 60
    nothing = object_cloud(depth, camera, np.zeros_like(mask))
    assert len(nothing) == len(nothing.others) == 0
    bare = ObjectCloud.of(cloud.points)
    assert bare.points is cloud.points and len(bare.others) == 0 and ObjectCloud.of(bare) is bare


@pytest.mark.parametrize('shape', [(16, 10), (9, 16)])
def test_backprojection_names_a_size_mismatch(shape):
    with pytest.raises(ValueError, match=r'depth image is .* camera info says \(16, 10\)'):
        backproject(np.ones(shape, np.float32), Intrinsics(50, 50, 8, 5, 16, 10))


def test_intrinsics_refuse_nonsense():
    with pytest.raises(ValueError, match='positive, finite'):
        Intrinsics(0.0, 600.0, 320.0, 240.0, 640, 480)
    with pytest.raises(ValueError, match='positive, finite'):
        Intrinsics(float('nan'), 600.0, 320.0, 240.0, 640, 480)


def test_rotation_from_vector_is_that_of_roma():
    v = torch.randn(200, 3, generator=torch.Generator().manual_seed(0))
    v[:50] *= 1e-7
    v[0] = 0
    torch.testing.assert_close(rotation_from_vector(v), roma.rotvec_to_rotmat(v), atol=1e-7,
                               rtol=0)
