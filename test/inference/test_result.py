"""The published estimate against hand-worked values: units, modes, missing parts, covariance."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cabinets import CABINET, SCALE, X

from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.inference.hypotheses import RefinedHypotheses
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.inference.result import build_estimate, pose_covariance
from kinediff3d_core.inference.uncertainty import accuracy_probability, fit_confidence
from kinediff3d_core.networks.score import State

PRESET = Preset()


def model_of(covariance_scale=(1.0,) * 8):
    """A category's model without networks."""
    return SimpleNamespace(
        category=CABINET, shape=SimpleNamespace(category=CABINET),
        units=joint_units(CABINET.joints, SCALE),
        covariance_scale=torch.tensor(covariance_scale))


def states(*positions):
    """States (H) two units in front of the camera that differ in their joint positions."""
    h = len(positions)
    T = torch.eye(4).repeat(h, 1, 1)
    T[:, 2, 3] = 2.0
    origin = torch.tensor([[0.2, 0.0, 0.4], [0.2, 0.0, -0.4]]).expand(h, 2, 3)
    return State(T, torch.tensor(positions), origin, torch.tensor(X).mul(2).expand(h, 2, 3))


def refined_of(state, score, exists=(math.inf, 2.0, 3.0), information=1e9, log_support=0.0):
    h = len(score)
    return RefinedHypotheses(
        torch.arange(2.0 * h).view(h, 2), SimpleNamespace(exists=torch.tensor([exists] * h)),
        state, torch.tensor(score), torch.linspace(0.01, 0.02, h),
        information * torch.eye(8).repeat(h, 1, 1), torch.full((h,), log_support))


VIEW = SimpleNamespace(observation=SimpleNamespace(centroid=torch.tensor([0.0, 0.0, 2.0])),
                       points=torch.tensor([[0.1, 0.2, 2.0], [0.0, 0.0, 2.2]]))


def test_the_best_hypothesis_is_published_in_metres():
    refined = refined_of(states([0.1, 0.2], [0.6, 0.8]), [0.004, 0.003])
    estimate = build_estimate(model_of(), PRESET, refined, VIEW)
    assert estimate.latent.tolist() == [2.0, 3.0]
    assert estimate.residual == pytest.approx(0.01)
    np.testing.assert_allclose(estimate.points, [[0.05, 0.1, 1.0], [0.0, 0.0, 1.1]], rtol=1e-6)
    base, top, low = (p.T_camera_part[:3, 3].tolist() for p in estimate.parts)
    assert base == pytest.approx([0, 0, 1.0])
    assert top == pytest.approx([0.1 + 0.3, 0, 1.2]) and low == pytest.approx([0.1 + 0.4, 0, 0.8])
    first, second = estimate.joints
    assert (first.position, second.position) == (pytest.approx(0.3), pytest.approx(0.4))
    assert first.origin == pytest.approx([0.1, 0.0, 0.2]) and first.axis == pytest.approx(X)
    assert (first.lower, first.upper, second.upper) == (0.0, 0.6, 0.4)
    assert first.probability == pytest.approx(1 / (1 + math.exp(-2)))


def test_modes_are_in_metres_and_weighted_by_score():
    refined = refined_of(states([0.1, 0.2], [0.6, 0.8]), [0.004, 0.003])
    first, second = build_estimate(model_of(), PRESET, refined, VIEW).modes
    assert first.positions == pytest.approx([0.3, 0.4])
    assert second.positions == pytest.approx([0.05, 0.1])
    assert (first.residual, second.residual) == (pytest.approx(0.01), pytest.approx(0.005))
    assert first.T_camera_base[:3, 3] == pytest.approx([0, 0, 1])
    temperature = PRESET.hypothesis.weight_temperature
    assert first.weight / second.weight == pytest.approx(math.exp(0.001 / temperature), rel=1e-5)


def test_confidence_is_the_product_of_mode_fit_accuracy_and_support():
    """Two modes with one score; the base's position has a standard deviation of 4 cm."""
    refined = refined_of(states([0.1, 0.2], [0.6, 0.8]), [0.003, 0.003], log_support=math.log(0.7))
    model = model_of((4e4,) * 3 + (1.0,) * 5)
    estimate = build_estimate(model, PRESET, refined, VIEW)
    accuracy = accuracy_probability(estimate)
    fit = fit_confidence(float(refined.residual[refined.best]))
    assert 0.1 < accuracy < 0.9 and fit < 0.9
    assert estimate.support == pytest.approx(0.7)
    assert estimate.confidence == pytest.approx(0.5 * fit * accuracy * 0.7)


@pytest.mark.parametrize('log_odds', [-2.0, 0.0])
def test_parts_that_are_not_likely_are_left_out_with_their_joints(log_odds):
    refined = refined_of(states([0.6, 0.8]), [0.003], (math.inf, log_odds, 1.0))
    estimate = build_estimate(model_of(), PRESET, refined, VIEW)
    assert [p.name for p in estimate.parts] == ['base', 'low']
    assert [j.name for j in estimate.joints] == ['low_joint']
    assert estimate.modes[0].positions == pytest.approx([0.4])


def joint_std(refined, samples=None, preset=PRESET):
    return build_estimate(model_of(), preset, refined, VIEW, samples).joints[0].std


def test_standard_deviation_of_a_joint_is_that_of_its_mode():
    """Hypotheses at 0.4, 0.4 and 0.5 are one mode, and so is the best one's own; units are m."""
    mode = states([0.4, 0.4], [0.4, 0.4], [0.5, 0.4], [0.9, 0.4])
    std = joint_std(refined_of(mode, [0.002, 0.001, 0.003, 0.003]))
    assert std == pytest.approx(SCALE * math.sqrt(0.01 / 3), rel=1e-3)


def test_standard_deviation_includes_what_the_residuals_leave():
    config = PRESET.uncertainty
    refined = refined_of(states([0.4, 0.4]), [0.001], information=1e4)
    variance = config.correlated_points * (0.01 ** 2 + config.min_residual ** 2) / 1e4
    assert joint_std(refined) == pytest.approx(SCALE * math.sqrt(variance), rel=1e-3)


def test_samples_of_the_score_model_add_a_share_of_their_second_moment():
    refined = refined_of(states([0.4, 0.4]), [0.001])
    # The last one is beyond two mode sizes of 0.25.
    samples = states([0.6, 0.4], [0.2, 0.4], [0.91, 0.4])
    expected = SCALE * math.sqrt(PRESET.uncertainty.drawn_share * 0.04)
    assert joint_std(refined, samples) == pytest.approx(expected, rel=1e-3)
    none = replace(PRESET, uncertainty=replace(PRESET.uncertainty, drawn_share=0.0))
    assert joint_std(refined, samples, none) == pytest.approx(joint_std(refined), rel=1e-3)


def test_covariance_of_the_base_is_carried_from_the_centroid_and_scaled():
    """Turns of 0.1 rad about z move an origin two units along x by 0.2 along y."""
    motions = torch.diag(torch.tensor([0.01, 0.0, 0.0, 0.0, 0.0, 0.01, 0.04, 0.09]))
    T, centre = torch.eye(4), torch.tensor([-1.0, 0.0, 0.0])
    T[0, 3] = 1.0
    factors = (2.0, 3.0, 1.0, 1.0, 1.0, 5.0, 7.0, 11.0)
    covariance, std = pose_covariance(model_of(factors), motions, T, centre)
    expected = np.zeros((6, 6))
    expected[0, 0] = 0.01 * (2 * SCALE) ** 2
    expected[1, 1] = 0.04 * (3 * SCALE) ** 2
    expected[5, 5] = 0.01 * 5 ** 2
    expected[1, 5] = expected[5, 1] = 0.02 * 3 * SCALE * 5
    np.testing.assert_allclose(covariance, expected, atol=1e-8)
    # Positions of joints stay in canonical units.
    assert std == pytest.approx([0.2 * 7, 0.3 * 11])
