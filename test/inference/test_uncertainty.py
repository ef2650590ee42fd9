"""Covariances of parts follow from the base's and the joints'."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from estimates import laptop_estimate
from tracking_scenes import rotation

from kinediff3d_core.inference.uncertainty import part_covariances, transform_estimate


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
