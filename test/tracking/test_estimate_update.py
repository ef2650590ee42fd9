"""Changes of an estimate while its object is tracked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kinediff3d_core.inference.uncertainty import accuracy_probability, fit_confidence
from kinediff3d_core.tracking.estimate_update import EstimateUpdate, TrackedState


@pytest.fixture(scope='module')
def drawer(cabinet):
    """Pipeline, estimate, and the tracked state of the estimate itself."""
    pipeline, estimate, _ = cabinet
    _, state = pipeline.decode_estimate(estimate)
    joints = len(pipeline.category.joints)
    return pipeline, estimate, TrackedState(
        state, torch.zeros(1, 6 + joints), 1e-5 * torch.eye(6 + joints), torch.zeros(3),
        estimate.residual / pipeline.category.scale)


def test_the_state_of_the_estimate_gives_the_estimate(drawer):
    pipeline, estimate, tracked = drawer
    points = np.ones((4, 3))
    same = EstimateUpdate(pipeline, estimate).with_state(estimate, tracked, points)
    for part, expected in zip(same.parts, estimate.parts, strict=True):
        np.testing.assert_allclose(part.T_camera_part, expected.T_camera_part, atol=1e-4)
    joint = same.joints[0]
    assert joint.position == pytest.approx(estimate.joints[0].position, abs=1e-5)
    assert joint.origin == pytest.approx(estimate.joints[0].origin, abs=1e-5)
    assert same.residual == pytest.approx(estimate.residual)
    assert same.points is points and same.seconds == {} and joint.velocity == 0.0
    mode, = same.modes
    assert (mode.weight, mode.residual) == (1.0, same.residual)
    assert mode.positions.tolist() == [joint.position]
    assert mode.T_camera_base.tolist() == same.T_camera_base.tolist()


def test_velocities_and_standard_deviations_are_metres(drawer):
    pipeline, estimate, tracked = drawer
    scale = pipeline.category.scale
    moving = replace(tracked, velocity=torch.full_like(tracked.velocity, 0.5))
    found = EstimateUpdate(pipeline, estimate).with_state(estimate, moving, np.ones((4, 3)))
    assert found.joints[0].velocity == pytest.approx(0.5 * scale)
    i = [j.name for j in pipeline.category.joints].index(estimate.joints[0].name)
    covariance, std = pipeline.pose_covariance(
        tracked.covariance, tracked.state.T_camera_base[0], tracked.centre)
    assert found.joints[0].std == pytest.approx(std[i] * scale)
    assert found.covariance == pytest.approx(covariance)


def test_confidence_in_the_mode_stays_while_fit_and_accuracy_change(drawer):
    pipeline, estimate, tracked = drawer
    update = EstimateUpdate(pipeline, estimate)
    found = update.with_state(estimate, replace(tracked, residual=0.02), np.ones((4, 3)))
    mode = estimate.confidence / (fit_confidence(estimate.residual / pipeline.category.scale)
                                  * accuracy_probability(estimate))
    expected = mode * fit_confidence(0.02) * accuracy_probability(found)
    assert found.confidence == pytest.approx(min(1.0, expected))
    overconfident = replace(estimate, confidence=50.0)
    assert EstimateUpdate(pipeline, overconfident).with_state(
        estimate, tracked, np.ones((4, 3))).confidence == 1.0


def test_only_joints_change_with_their_limits(drawer):
    pipeline, estimate, tracked = drawer
    state, scale = tracked.state, pipeline.category.scale
    shifted = replace(state, q=state.q + 0.1, origin=state.origin - 0.1)
    found = EstimateUpdate(pipeline, estimate).with_joints(estimate, shifted)
    before, after = estimate.joints[0], found.joints[0]
    assert after.position - before.position == pytest.approx(0.1 * scale, abs=1e-5)
    assert after.origin - before.origin == pytest.approx(np.full(3, -0.1 * scale), abs=1e-5)
    assert found.parts is estimate.parts and found.covariance is estimate.covariance
