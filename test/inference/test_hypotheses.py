"""Clustering, selection and the sample prior, on hand-made states."""

import math
from dataclasses import replace

import pytest
import torch
from states import states_about

from kinediff3d_core.inference.hypotheses import (
    cluster_modes,
    cover_modes,
    mode_leaders,
    mode_weights,
    sample_prior,
    sample_share,
    samples_within,
    second_moment,
    select_distinct,
)
from kinediff3d_core.inference.presets import HypothesisConfig

CONFIG = HypothesisConfig()


def test_the_best_hypothesis_of_each_plausible_mode_is_selected():
    # Two of one mode; a half turn; another joint state; a quarter turn that explains too little.
    state = states_about([0.0, 6.0, 180.0, 0.0, 90.0], [1.0, 1.0, 1.0, 2.0, 1.0])
    score = torch.tensor([0.004, 0.003, 0.009, 0.010, 0.003 + 1.1 * CONFIG.max_score_gap])
    assert cluster_modes(state, CONFIG) == [[0, 1], [2], [3], [4]]
    assert select_distinct(state, score, 2, 4.0, CONFIG).tolist() == [1, 2, 3]
    # More places than modes: the next best that differ, however badly they fit.
    assert select_distinct(state, score, 4, 4.0, CONFIG).tolist() == [1, 0, 2, 3]
    assert select_distinct(state, score, 5, 8.0, CONFIG).tolist() == [1, 2, 3, 4]


def test_the_decoded_samples_cover_the_larger_modes():
    state = states_about([0.0, 1.0, 2.0, 3.0, 180.0, 90.0, 181.0], [1.0] * 7)
    assert cover_modes(state, 4, CONFIG).tolist() == [0, 4, 1, 2]
    assert sorted(cover_modes(state, 7, CONFIG).tolist()) == list(range(7))
    assert cover_modes(state, 30, CONFIG).shape == (7,)


def near_states(*positions):
    """States that differ in the joint's position alone."""
    return states_about([0.0] * len(positions), list(positions))


def test_states_within_a_mode_size_share_a_mode():
    at_limit = states_about([0.0, 14.9, 15.1, 0.0, 0.0], [0.0, 0.0, 0.0, 0.249, 0.251])
    assert cluster_modes(at_limit, CONFIG) == [[0, 1, 3], [2], [4]]
    near = samples_within(at_limit[torch.tensor([0])], at_limit, 0.5, CONFIG)
    assert near.tolist() == [[True, False, False, False, False]]


def test_sample_share_counts_the_samples_around_a_hypothesis():
    samples = near_states(0.0, 0.1, 0.4, 1.5)
    state = near_states(0.0, 3.0)
    assert sample_share(state, samples, CONFIG).tolist() == pytest.approx([3.5 / 5, 0.5 / 5])


def test_second_moment_of_joint_motions():
    state, samples = near_states(0.0, 1.0), near_states(0.1, 0.3, 1.2)
    near = torch.tensor([[True, True, False], [False, False, True]])
    moment = second_moment(state, samples, near, torch.zeros(3))
    expected = torch.zeros(2, 7, 7)
    expected[0, 6, 6], expected[1, 6, 6] = (0.01 + 0.09) / 2, 0.04
    torch.testing.assert_close(moment, expected)


def test_sample_prior_is_weighted_by_the_share_of_samples():
    samples, floor = near_states(0.1, 0.2, 2.0, 2.0), (0.02, 0.04, 0.02)
    prior = sample_prior(near_states(0.0, 5.0), samples, torch.zeros(3), CONFIG)
    assert prior.mean.q[:, 0].tolist() == pytest.approx([0.15, 5.0])
    # Half of the samples lie there; their variance about the mean is 0.05^2.
    std = [floor[0]] * 3 + [floor[1]] * 3 + [(0.05 ** 2 + floor[2] ** 2) ** 0.5]
    torch.testing.assert_close(prior.precision[0], torch.diag(0.5 / torch.tensor(std) ** 2))
    assert not prior.precision[1].any()


def test_the_prior_keeps_the_correlations_of_the_samples():
    """Samples turned by +-2 degrees whose joint is at +-0.1: both move together."""
    samples = states_about([2.0, -2.0], [0.1, -0.1])
    state, centre = states_about([0.0], [0.0]), torch.zeros(3)
    covariance = torch.linalg.inv(sample_prior(state, samples, centre, CONFIG).precision[0])
    turn = torch.deg2rad(torch.tensor(2.0)).item()
    assert covariance[5, 6].item() == pytest.approx(0.1 * turn, rel=1e-2)
    assert covariance[6, 6].item() == pytest.approx(0.01 + 0.02 ** 2, rel=1e-2)


def test_modes_are_led_by_their_best_hypothesis_and_weighted_by_score():
    state = near_states(0.0, 0.1, 2.0, 2.1)
    score = torch.tensor([0.002, 0.001, 0.007, 0.006])
    assert mode_leaders(state, score, CONFIG) == [1, 3]
    weights = mode_weights(score[[1, 3]], CONFIG)
    assert weights[0] / weights[1] == pytest.approx(math.e)
    assert sum(weights) == pytest.approx(1.0)


def test_selected_hypotheses_are_apart_in_rotation_or_joint():
    state = states_about([0.0, 3.0, 5.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.04, 0.06])
    score = 0.001 * torch.arange(5.0)
    assert select_distinct(state, score, 3, 4.0, CONFIG).tolist() == [0, 2, 4]
    config = replace(CONFIG, joint_per_degree=0.009)
    assert select_distinct(state, score, 3, 4.0, config).tolist() == [0, 2, 3]
    only = replace(CONFIG, max_modes=1)
    apart = near_states(0.0, 1.0, 2.0)
    assert select_distinct(apart, score[:3], 1, 4.0, only).tolist() == [0]
    assert select_distinct(apart, score[:3], 1, 4.0, CONFIG).tolist() == [0, 1, 2]


def test_states_that_are_the_same_share_a_mode_of_any_size():
    same = near_states(0.5, 0.5)
    assert cluster_modes(same, replace(CONFIG, mode_rotation=0.0, mode_joint=0.0)) == [[0, 1]]


def test_the_selection_stops_at_the_number_of_places():
    state = near_states(0.0, 1.0, 2.0, 3.0)
    only = replace(CONFIG, max_modes=1)
    score = 0.001 * torch.arange(4.0)
    for keep in (1, 2, 3):
        assert select_distinct(state, score, keep, 4.0, only).tolist() == list(range(keep))
