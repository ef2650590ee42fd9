"""The policy: uncertain and lost objects, re-initialization, and which track is kept."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.tracking.config import DEFAULT, QualityConfig, ReinitializationConfig
from kinediff3d_core.tracking.crop import SurfaceEvidence
from kinediff3d_core.tracking.reinitialization import (
    TrackingLost,
    TrackQuality,
    ViewMonitor,
    reinitialization_due,
    select_tracker,
)

X = (1.0, 0.0, 0.0)
JOINTS = (Joint('lid', 'revolute', 0, 1, X, 0.0, 2.0), Joint('tray', 'prismatic', 0, 2, X, 0, 0.5),
          Joint('gone', 'revolute', 0, 3, X, 0.0, 2.0))
STILL = torch.zeros(9)


def quality_after(*scores: float, residual: float = 1.0, **config) -> TrackQuality:
    quality = TrackQuality(JOINTS, 0.5, residual, QualityConfig(**config))
    for score in scores:
        quality.judge(STILL, score)
    return quality


def test_growth_is_measured_from_the_best_score_so_far():
    assert not quality_after().started
    quality = quality_after(0.01, 0.005, 0.008)
    assert quality.started
    # 1 at 2.2 times the best score plus 0.012.
    assert quality.growth(0.005) == 0
    assert quality.growth(2.2 * 0.005 + 0.012) == pytest.approx(1.0)
    assert quality.growth(0.014) == pytest.approx(0.5)


def test_the_first_score_is_compared_with_the_full_estimate():
    assert quality_after(residual=1.0).growth(0.02) == 0
    assert quality_after(residual=0.002).growth(0.004) == 0
    assert quality_after(residual=0.002).growth(0.0044 * 2 + 0.012) == pytest.approx(1.0)
    with pytest.raises(TrackingLost, match='no longer explained: residual of 11.0 mm'):
        quality_after(residual=0.002).judge(STILL, 0.022)


@pytest.mark.parametrize(('missing', 'area', 'expected'), [
    (0.10, 0.20, False), (0.24, 0.20, False), (0.26, 0.20, True), (0.10, 0.16, False),
    (0.10, 0.14, True), (0.00, 0.40, False)])
def test_a_part_is_missing_where_less_of_the_object_is_seen_than_before(missing, area, expected):
    quality = quality_after()
    for _ in range(3):
        quality.judge(STILL, 0.005, SurfaceEvidence(missing=0.1, area=0.2))
    assert quality.part_missing(SurfaceEvidence(missing=missing, area=area)) == expected


def test_no_part_is_missing_in_the_first_frame_or_with_masks():
    quality = quality_after()
    assert not quality.part_missing(SurfaceEvidence())
    quality.judge(STILL, 0.005, SurfaceEvidence(missing=0.5, area=0.2))
    assert not quality.part_missing(SurfaceEvidence(missing=0.5, area=0.2))


@pytest.mark.parametrize(('score', 'uncertain'), [(0.0139, False), (0.0141, True)])
def test_half_of_the_growth_makes_an_object_uncertain(score, uncertain):
    quality = quality_after(0.005, score)
    assert quality.uncertain == uncertain
    assert not quality_after(0.005, score, uncertain_growth=math.inf).uncertain
    quality.judge(STILL, 0.005)
    assert not quality.uncertain


def test_growth_loses_the_object():
    quality_after(0.005, 0.0229)
    quality_after(0.005, 0.0231, lost_growth=math.inf)
    with pytest.raises(TrackingLost, match='no longer explained'):
        quality_after(0.005, 0.0231)


@pytest.mark.parametrize(('index', 'limit', 'message'), [
    (0, 0.6, 'moved by 0 degrees and 0.30 m'), (2, 0.6, 'moved by'),
    (3, math.radians(50), 'moved by 50 degrees and 0.00 m'), (5, math.radians(50), 'moved by'),
    (6, math.radians(60), 'lid jumped'), (7, 0.4, 'tray jumped')])
@pytest.mark.parametrize('sign', [1, -1])
def test_large_motions_lose_the_object(index, limit, message, sign):
    motion = torch.zeros(9)
    motion[index] = 0.999 * limit * sign
    quality_after().judge(motion, 0.005)
    motion[index] = 1.001 * limit * sign
    with pytest.raises(TrackingLost, match=message):
        quality_after().judge(motion, 0.005)


@pytest.mark.parametrize(('config', 'index'), [
    ('max_translation', 1), ('max_rotation', 4), ('max_revolute', 6), ('max_prismatic', 7)])
def test_motions_up_to_the_limit_are_tracked(config, index):
    motion = torch.zeros(9)
    motion[index] = 0.5
    quality_after(**{config: 0.5}).judge(motion, 0.005)
    with pytest.raises(TrackingLost):
        quality_after(**{config: 0.25}).judge(motion, 0.005)


def test_growth_up_to_the_limits_is_tracked_and_certain():
    # Growth of exactly one half and exactly 1, at 1.5 and 2 times the best score.
    exact = {'growth_ratio': 2.0, 'growth_offset': 0.0}
    assert not quality_after(1.0, 1.5, residual=9.0, **exact).uncertain
    assert quality_after(1.0, 2.0, residual=9.0, **exact).uncertain


FRONT = torch.tensor([1.0, 0.0, 0.0])


def seen_from(degrees: float) -> torch.Tensor:
    return torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees)), 0.0])


@pytest.mark.parametrize(('degrees', 'q', 'changed'), [
    (0, (1.0, 0.5, 1.0), False), (29, (1.0, 0.5, 1.0), False), (31, (1.0, 0.5, 1.0), True),
    (180, (1.0, 0.5, 1.0), True),
    (0, (1.49, 0.5, 1.0), False), (0, (1.5, 0.5, 1.0), False),
    (0, (1.51, 0.5, 1.0), True), (0, (0.49, 0.5, 1.0), True),
    (0, (1.0, 0.61, 1.0), False), (0, (1.0, 0.63, 1.0), True), (0, (1.0, 0.37, 1.0), True),
    (0, (1.0, 0.5, 2.0), False)])
def test_a_view_changes_with_direction_and_joints(degrees, q, changed):
    """The lid's range is 2 rad, the tray's 1 canonical unit; the third joint is missing."""
    monitor = ViewMonitor(JOINTS, torch.tensor([1.0, 0.5, 1.0]), [0, 1])
    monitor.mark(FRONT, torch.tensor([1.0, 0.5, 1.0]))
    assert monitor.changed(seen_from(degrees), torch.tensor(q)) == changed
    monitor.mark(seen_from(degrees), torch.tensor(q))
    assert not monitor.changed(seen_from(degrees), torch.tensor(q))


def test_motions_are_shares_of_the_range_between_both_limits():
    joints = (Joint('lid', 'revolute', 0, 1, X, -1.0, 1.0),
              Joint('arm', 'revolute', 0, 2, X, 1.0, 2.0))
    monitor = ViewMonitor(joints, torch.ones(2), [0, 1])
    monitor.mark(FRONT, torch.tensor([0.0, 1.0]))
    for q, changed in (((0.49, 1.0), False), ((0.51, 1.0), True), ((0.0, 1.24), False),
                       ((0.0, 1.26), True)):
        assert monitor.changed(FRONT, torch.tensor(q)) == changed


def test_a_view_at_the_limits_is_no_other_view():
    config = ReinitializationConfig(view_angle=math.pi / 2, view_revolute=0.25)
    monitor, q = ViewMonitor(JOINTS, torch.ones(3), [0], config), torch.tensor([1.0, 0.0, 0.0])
    monitor.mark(FRONT, q)
    assert not monitor.changed(torch.tensor([0.0, 1.0, 0.0]), q)
    assert monitor.changed(torch.tensor([-0.01, 1.0, 0.0]), q)


class FakeTracker:
    """Gives its score in every frame; loses the object with score None."""

    def __init__(self, score: float | None, interval: float = 2.0) -> None:
        self.score, self.reinitialization_interval = score, interval
        self.uncertain = self.view_changed = False
        self.frames: list[float] = []

    def track(self, cloud, seconds, T_fixed_camera=None):
        self.frames.append(seconds)
        if self.score is None:
            raise TrackingLost('gone')
        return self.score

    def merge_limits(self, other):
        return self.score, other.score


@pytest.mark.parametrize(('uncertain', 'view_changed', 'elapsed', 'period', 'due'), [
    (False, False, 99.0, 0.0, False), (True, False, 2.1, 0.0, True), (False, True, 2.1, 0.0, True),
    (True, True, 2.0, 0.0, False), (False, False, 5.1, 5.0, True), (True, True, 1.1, 1.0, True),
    (False, False, 5.0, 5.0, False)])
def test_when_another_full_estimate_is_due(uncertain, view_changed, elapsed, period, due):
    tracker = FakeTracker(1.0)
    tracker.uncertain, tracker.view_changed = uncertain, view_changed
    assert reinitialization_due(tracker, elapsed, period) == due


@pytest.mark.parametrize(('score', 'wins'), [(0.94, True), (0.95, True), (0.96, False)])
def test_a_full_estimate_wins_if_it_explains_the_frame_better_by_5_percent(score, wins):
    tracker, candidate = FakeTracker(1.0, 8.0), FakeTracker(score)
    winner, estimate = select_tracker(tracker, candidate, np.zeros((0, 3)), 3.0)
    assert winner is (candidate if wins else tracker)
    assert estimate == ((score, 1.0) if wins else (1.0, score))
    # Both have tracked the frame, once.
    assert tracker.frames == candidate.frames == [3.0]
    assert winner.reinitialization_interval == (8.0 if wins else 16.0)


@pytest.mark.parametrize(('score', 'wins'), [(0.0189, True), (0.0191, False)])
def test_scores_are_compared_by_their_ratio(score, wins):
    tracker, candidate = FakeTracker(0.02), FakeTracker(score)
    winner, _ = select_tracker(tracker, candidate, np.zeros((0, 3)), 3.0)
    assert winner is (candidate if wins else tracker)


def test_without_a_candidate_the_tracker_continues():
    tracker = FakeTracker(1.0)
    assert select_tracker(tracker, None, np.zeros((0, 3)), 1.0) == (tracker, 1.0)
    assert tracker.reinitialization_interval == 2.0


def test_a_lost_tracker_leaves_the_frame_to_the_other_one():
    tracker, lost = FakeTracker(1.0), FakeTracker(None)
    assert select_tracker(tracker, lost, np.zeros((0, 3)), 1.0) == (tracker, 1.0)
    assert tracker.reinitialization_interval == 4.0 and tracker.frames == [1.0]
    candidate = FakeTracker(9.0)
    assert select_tracker(lost, candidate, np.zeros((0, 3)), 2.0) == (candidate, 9.0)
    assert candidate.reinitialization_interval == 2.0
    with pytest.raises(TrackingLost):
        select_tracker(lost, FakeTracker(None), np.zeros((0, 3)), 3.0)


def test_the_interval_doubles_while_full_estimates_explain_no_more():
    tracker, intervals = FakeTracker(1.0), []
    config = replace(DEFAULT.reinitialization, better_score_ratio=0.0)
    for i in range(1, 6):
        intervals.append(tracker.reinitialization_interval)
        assert select_tracker(tracker, FakeTracker(1.0), np.zeros((0, 3)), 0.1 * i,
                              config=config)[0] is tracker
    assert intervals == [2.0, 4.0, 8.0, 16.0, 24.0]
    candidate = FakeTracker(1.0)
    config = replace(DEFAULT.reinitialization, better_score_ratio=10.0)
    assert select_tracker(tracker, candidate, np.zeros((0, 3)), 0.6, config=config)[0] is candidate
    assert candidate.reinitialization_interval == 24.0
