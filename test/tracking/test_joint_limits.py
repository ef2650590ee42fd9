"""Lower limits of sliding joints: learning from frames, and the mean over full estimates."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tracking_scenes import state_of

from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.tracking.config import (
    DEFAULT,
    JointLimitConfig,
    ReinitializationConfig,
)
from kinediff3d_core.tracking.joint_limits import JointLimits, shift_origins
from kinediff3d_core.tracking.reinitialization import select_tracker
from kinediff3d_core.tracking.tracker import Tracker

X = (1.0, 0.0, 0.0)
JOINTS = (Joint('top', 'prismatic', 0, 1, X, 0.1, 0.6), Joint('door', 'revolute', 0, 2, X, 0, 3),
          Joint('low', 'prismatic', 0, 3, X, 0.1, 0.6), Joint('gone', 'prismatic', 0, 4, X, 0, 1))
UNITS = torch.tensor([0.5, 1.0, 0.5, 0.5])
"""Sliding joints have a lower limit of 0.2 canonical units; the last one is not on the object."""
CERTAIN, UNCERTAIN = torch.eye(10) * 1e-4, torch.eye(10) * 0.02


def limits_of(state, **config) -> JointLimits:
    return JointLimits(JOINTS, UNITS, [0, 1, 2], state, JointLimitConfig(**config))


def places_of(state) -> list[float]:
    """Places of the parts along x, which no change of limits moves."""
    return (state.q + state.origin[..., 0])[0].tolist()


def test_a_joint_observed_beyond_its_limit_moves_the_limit_half_way():
    state = state_of([0.1, -1.0, 0.3, -0.5])
    learned = limits_of(state).apply(state, CERTAIN)
    assert learned.origin[0, :, 0].tolist() == pytest.approx([-0.05, 0, 0, 0])
    assert learned.q[0].tolist() == pytest.approx([0.2, -1.0, 0.3, -0.5])


@pytest.mark.parametrize(('covariance', 'rate'), [(UNCERTAIN, 0.5), (CERTAIN, 0.0)])
def test_limits_do_not_learn_from_uncertain_joints_or_if_turned_off(covariance, rate):
    state = state_of([0.1, 0.0, 0.3, 0.5])
    same = limits_of(state, learning_rate=rate).apply(state, covariance)
    assert (same.origin == 0).all()
    assert same.q[0].tolist() == pytest.approx([0.2, 0.0, 0.3, 0.5])


def test_limits_learn_up_to_the_standard_deviation_of_the_config():
    state = state_of([0.1, 0.0, 0.3, 0.5])
    for std, learns in ((0.099, True), (0.101, False)):
        origin = limits_of(state).apply(state, torch.eye(10) * std ** 2).origin
        assert bool((origin != 0).any()) == learns


def merge_twice(**config):
    """Positions of the first joint after a second and a third estimate 0.06 further in."""
    mean, found = state_of([0.4, 0.0, 0.4, 0.5]), []
    limits = limits_of(mean, **config)
    for _ in range(2):
        other = state_of([0.46, 0.0, 0.4, 0.9])
        before = mean
        mean = limits.merge(mean, limits_of(other), other)
        assert places_of(mean) == pytest.approx(places_of(before))
        assert mean.q[0, 1:].tolist() == pytest.approx([0.0, 0.4, 0.5])
        found.append(float(mean.q[0, 0]))
    return found


def test_limits_move_halfway_to_those_of_each_full_estimate():
    assert merge_twice() == pytest.approx([0.43, 0.445])
    assert merge_twice(merge_share=0.0) == pytest.approx([0.4, 0.4])


@pytest.mark.parametrize(('own', 'others'), [([0, 2], [2]), ([2], [0, 2])])
def test_limits_of_another_set_of_joints_are_not_averaged(own, others):
    """The second of three drawers is not the second of four."""
    state, other = state_of([0.4, 0.0, 0.4, 0.5]), state_of([0.5, 0.0, 0.5, 0.5])
    first, second = (JointLimits(JOINTS, UNITS, present, s, JointLimitConfig())
                     for present, s in ((own, state), (others, other)))
    assert first.merge(state, second, other).q[0].tolist() == pytest.approx([0.4, 0, 0.4, 0.5])


@pytest.mark.parametrize(('bounded', 'expected'), [(True, 0.38), (False, 0.35)])
def test_an_average_does_not_exclude_observed_positions(bounded, expected):
    """The joint was observed 0.02 from its limit, which another estimate has 0.1 further out."""
    own, other = state_of([0.4, 0.0, 0.4, 0.5]), state_of([0.3, 0.0, 0.4, 0.5])
    limits = limits_of(own, merge_bounded=bounded)
    limits.apply(state_of([0.22, 0.0, 0.4, 0.5]), CERTAIN)
    limits.apply(state_of([0.2, 0.0, 0.4, 0.5]), UNCERTAIN)
    assert float(limits.merge(own, limits_of(other), other).q[0, 0]) == pytest.approx(expected)


@pytest.mark.parametrize(('bounded', 'expected'), [(True, 0.37), (False, 0.31)])
def test_what_another_tracker_has_observed_bounds_later_averages(bounded, expected):
    """It has observed 0.05 from its limit, which is 0.03 by the first one's and 0.04 by both."""
    own, other, last = (state_of([q, 0.0, 0.4, 0.5]) for q in (0.4, 0.42, 0.21))
    limits, others = limits_of(own, merge_bounded=bounded), limits_of(other)
    others.apply(state_of([0.25, 0.0, 0.4, 0.5]), CERTAIN)
    mean = limits.merge(own, others, other)
    assert float(mean.q[0, 0]) == pytest.approx(0.41)
    assert float(limits.merge(mean, limits_of(last), last).q[0, 0]) == pytest.approx(expected)


def test_the_description_changes_once_an_origin_has_moved_by_5_mm():
    state = state_of([0.4, 0.0, 0.4, 0.5])
    limits = limits_of(state)
    steps = [torch.tensor([[0.0, 0.0, x, 0.0]]) for x in (0.009, 0.011, 0.02, 0.022)]
    changed = [limits.description_changed(shift_origins(state, step), 0.5) for step in steps]
    assert changed == [False, True, False, True]
    limits = limits_of(state, described_change=0.25)
    moved = shift_origins(state, torch.tensor([[0.0, 0.0, 0.5, 0.0]]))
    assert not limits.description_changed(moved, 0.5) and limits.description_changed(moved, 0.51)


def test_a_tracked_drawer_shows_where_it_is_closed(cabinet):
    """It closes 15 mm further in than the full estimate allows."""
    pipeline, estimate, cloud = cabinet
    tracker = Tracker(pipeline, estimate, 0.0)
    start = estimate.joints[0].position
    path = [*np.linspace(start, -0.015, 12), *[-0.015] * 8, *np.linspace(-0.015, 0.2, 12)]
    descriptions, answers = 0, []
    for i, position in enumerate(path):
        answers.append(tracker.track(cloud(position), 0.1 * (i + 1)))
        descriptions += tracker.description_changed()
    closed = answers[19].joints[0]
    assert closed.position == pytest.approx(0.0, abs=0.002)
    moved = (estimate.joints[0].origin - closed.origin) @ closed.axis
    assert moved == pytest.approx(0.015, abs=0.005) and 1 <= descriptions <= 4
    assert answers[-1].joints[0].position == pytest.approx(0.215, abs=0.008)
    # The kinematic chain puts the part where it is observed.
    T = answers[-1].part_poses_at(np.array([answers[-1].joints[0].position]))
    child = answers[-1].T_camera_base @ T[closed.child]
    np.testing.assert_allclose(child, answers[-1].parts[1].T_camera_part, atol=1e-4)


def better(ratio: float) -> ReinitializationConfig:
    """With inf every full estimate replaces the track, with 0 none does."""
    return replace(DEFAULT.reinitialization, better_score_ratio=ratio)


def test_each_full_estimate_moves_the_closed_position_halfway_to_its_own(cabinet):
    """The second one, which wins, has it 30 mm further in; the third explains no more."""
    pipeline, estimate, cloud = cabinet
    position = estimate.joints[0].position
    first, here = Tracker(pipeline, estimate, 0.0), cloud(position)
    for by, wins, mean in ((0.03, True, 0.015), (0.0, False, 0.0075)):
        other = tracker_with_limits_further_in(pipeline, estimate, first.seconds, by)
        shared = {id(x): x for x in (pipeline, pipeline.graphs)}
        alone = copy.deepcopy(other if wins else first, shared)
        winner, answer = select_tracker(first, other, here, first.seconds + 0.1,
                                        config=better(math.inf if wins else 0.0))
        assert winner is (other if wins else first)
        assert answer.joints[0].position == pytest.approx(position + mean, abs=0.004)
        # The part is where the winner has it without the other one, and near its true place.
        np.testing.assert_allclose(answer.parts[1].T_camera_part, alone.track(
            here, winner.seconds).parts[1].T_camera_part, atol=1e-6)
        np.testing.assert_allclose(answer.parts[1].T_camera_part[:3, 3],
                                   estimate.parts[1].T_camera_part[:3, 3], atol=0.005)
        placed = answer.T_camera_base @ answer.part_poses_at(
            np.array([answer.joints[0].position]))[answer.joints[0].child]
        np.testing.assert_allclose(placed, answer.parts[1].T_camera_part, atol=1e-4)
        first = winner


@pytest.mark.parametrize('wins', [True, False])
def test_no_full_estimate_excludes_where_the_drawer_was_tracked(cabinet, wins):
    """The drawer goes in to 10 mm and out; another full estimate has it closed at 40 mm."""
    pipeline, estimate, cloud = cabinet
    position = estimate.joints[0].position
    first = Tracker(pipeline, estimate, 0.0)
    path = np.linspace(position, 0.01, 10)
    for i, at in enumerate([*path, *path[::-1], *[position] * 15]):
        first.track(cloud(at), 0.1 * (i + 1))
    other = tracker_with_limits_further_in(pipeline, estimate, first.seconds, -0.04)
    winner, answer = select_tracker(first, other, cloud(position), first.seconds + 0.1,
                                    config=better(math.inf if wins else 0.0))
    assert winner is (other if wins else first)
    assert answer.joints[0].position == pytest.approx(position - 0.01, abs=0.004)


def tracker_with_limits_further_in(pipeline, estimate, seconds: float, by: float) -> Tracker:
    """A tracker of the estimate with the limits of all its joints further in, m."""
    tracker = Tracker(pipeline, estimate, seconds)
    names = [j.name for j in pipeline.category.joints]
    step = torch.zeros_like(tracker._state.q)
    step[0, [names.index(j.name) for j in estimate.joints]] = by / pipeline.category.scale
    tracker._state = shift_origins(tracker._state, step)
    return tracker
