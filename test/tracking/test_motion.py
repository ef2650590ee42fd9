"""Motion models: what they predict, how certain they are, and when a base moves."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tracking_scenes import rotation, state_of

from kinediff3d_core.geometry.rigid import make_transform
from kinediff3d_core.tracking.config import MotionConfig
from kinediff3d_core.tracking.motion import MotionModel

CENTRE = torch.tensor([0.1, -0.2, 0.3])
STATE = state_of([0.5, 1.0])


def model(*velocity: float, moves: bool = True) -> MotionModel:
    made = MotionModel(2, CENTRE)
    made.velocity = torch.tensor([velocity or (0.0,) * 8])
    made.base_moves = moves
    return made


def test_a_moving_base_is_predicted_at_constant_velocity():
    predicted = model(0.3, 0, 0, 0, 0, 1.0, 0.5, -1.0).predict(STATE, 0.2)
    assert predicted.q.tolist() == [pytest.approx([0.6, 0.8])]
    turned = torch.from_numpy(rotation(2, math.degrees(0.2))).float()
    assert torch.allclose(predicted.T_camera_base[0, :3, :3], turned, atol=1e-6)
    centre = predicted.T_camera_base[0, :3, :3] @ CENTRE + predicted.T_camera_base[0, :3, 3]
    assert (centre - CENTRE).tolist() == pytest.approx([0.06, 0, 1], abs=1e-6)


def test_velocities_hold_for_the_configured_time():
    predicted = model(1.0, 0, 0, 0, 0, 0, 1.0, 0).predict(STATE, 5.0)
    assert predicted.T_camera_base[0, 0, 3] == pytest.approx(0.3)
    assert predicted.q[0, 0] == pytest.approx(0.8)


def test_a_still_base_is_predicted_with_and_without_motion():
    predicted = model(0.3, 0, 0, 0, 0, 1.0, 0.5, -1.0, moves=False).predict(STATE, 0.2)
    assert predicted.q.tolist() == [pytest.approx([0.6, 0.8])] * 2
    assert torch.equal(predicted.T_camera_base[1], STATE.T_camera_base[0])
    assert not torch.allclose(predicted.T_camera_base[0], STATE.T_camera_base[0], atol=0.01)


@pytest.mark.parametrize(('gap', 'time'), [(0.01, 1 / 30), (0.1, 0.1), (2.0, 0.3)])
def test_predictions_get_less_certain_with_time(gap, time):
    made = model(moves=False)
    predicted = made.predict(STATE, gap)
    prior = made.prior(predicted, gap)
    assert torch.equal(prior.mean.q, predicted.q)
    for precision, base in zip(prior.precision, ([0.15] * 3 + [0.3] * 3, [0.01] * 3 + [0.02] * 3),
                               strict=True):
        std = torch.tensor([*base, 3.0, 3.0]) * time
        assert torch.allclose(precision, torch.diag(std ** -2), rtol=1e-5)
    assert len(made.prior(predicted[:1], gap).precision) == 1


@pytest.mark.parametrize(('scores', 'index'), [
    ([0.98, 1.0], 1), ([0.96, 1.0], 0), ([1.2, 1.0], 1), ([5.0], 0)])
def test_a_base_moves_if_that_explains_the_frame_better_by_3_percent(scores, index):
    made = model(moves=index == 1)
    assert made.select(torch.tensor(scores)) == index
    assert made.base_moves == (index == 0)


def test_velocity_is_a_low_pass_filter_of_motion():
    made = model()
    after = replace(STATE, q=STATE.q + torch.tensor([[0.1, -0.2]]))
    made.update(STATE, after, 0.25)
    share = 1 - math.exp(-1)
    assert made.velocity[0, 6:].tolist() == pytest.approx([0.4 * share, -0.8 * share])
    assert made.velocity[0, :6].abs().max() < 1e-6
    made.update(STATE, after, 0.25)
    assert made.velocity[0, 6] == pytest.approx(0.4 * (1 - math.exp(-2)))


def test_a_turn_about_the_centre_is_no_translation():
    made = model(0, 0, 0, 0, 0, 0.7, 0, 0)
    after = made.predict(STATE, 0.1)
    step = made.step(STATE, after)[0]
    assert step.tolist() == pytest.approx([0, 0, 0, 0, 0, 0.07, 0, 0], abs=1e-6)


@pytest.mark.parametrize(('velocity', 'moves'), [
    ((0.031, 0, 0, 0, 0, 0), True), ((0.029, 0, 0, 0, 0, 0.059), False),
    ((0, 0, 0, 0, 0.061, 0), True)])
def test_a_slow_base_stands_still_again(velocity, moves):
    made = model(*velocity, 9.0, 9.0)
    made.update(STATE, made.predict(STATE, 0.1), 0.1)
    assert made.base_moves == moves
    still = model(*velocity, 9.0, 9.0, moves=False)
    still.update(STATE, made.predict(STATE, 0.1), 0.1)
    assert not still.base_moves


def test_all_bases_move_if_configured():
    made = MotionModel(2, CENTRE, MotionConfig(moving_score_ratio=math.inf))
    assert made.select(torch.tensor([2.0, 1.0])) == 0 and made.base_moves


def test_prediction_does_not_depend_on_the_camera_frame():
    T = make_transform(torch.from_numpy(rotation(0, 40.0) @ rotation(1, 20.0)).float(),
                       torch.tensor([0.3, -0.1, 0.2]))
    velocity = (0.3, -0.2, 0.1, 0.5, -0.4, 0.9, 0.5, -1.0)
    made, other = model(*velocity), model(*velocity)
    first = other.change_camera(made.predict(STATE, 0.2), T)
    other = model(*velocity)
    second = other.predict(other.change_camera(STATE, T), 0.2)
    assert torch.allclose(first.T_camera_base, second.T_camera_base, atol=1e-6)
    assert torch.equal(first.q, second.q)
    assert other.velocity[0, 6:].tolist() == made.velocity[0, 6:].tolist()


def test_equal_scores_let_a_base_move_where_that_has_to_explain_no_more():
    made = MotionModel(2, CENTRE, MotionConfig(moving_score_ratio=1.0))
    assert made.select(torch.tensor([1.0, 1.0])) == 0 and made.base_moves


def test_a_base_without_any_velocity_stands_still():
    made = MotionModel(2, CENTRE, MotionConfig(still_speed=0.0, still_turn_rate=0.0))
    made.base_moves = True
    made.update(STATE, STATE, 0.1)
    assert not made.base_moves


def test_the_shortest_gap_is_a_frame_of_30_a_second():
    assert MotionConfig().min_gap == pytest.approx(0.0333, abs=1e-4)
