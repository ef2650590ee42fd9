"""The last line of a replay."""

from __future__ import annotations

import json
from dataclasses import asdict

from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.tools.replay_frames import ReplayFrame, ReplayResult
from kinediff3d_ros.tools.replay_outcome import ReplayOutcome, outcome_of


def results(*reasons: str) -> list[ReplayResult]:
    """Results without an estimate, for the reasons, after a tracked one."""
    frame = ReplayFrame(FrameHeader(0, ''), 0, None)
    return [ReplayResult(frame, 'tracked', None, '', 1.0)] + [
        ReplayResult(frame, 'none', None, reason, 1.0) for reason in reasons]


def test_the_most_frequent_reason_is_said_whatever_its_numbers() -> None:
    outcome = outcome_of(results('the mask is empty', 'only 12 points', 'only 7.5 points'))
    assert str(outcome) == ('4 frames: 0 full estimates, 1 tracked, 3 without an estimate '
                            '(2 times: only 12 points)')
    assert str(outcome_of(results('no ' * 500))).endswith('no)')
    assert len(str(outcome_of(results('no ' * 500), 'x' * 500))) < 400
    assert str(outcome_of(results(), '3 depth images have no mask')) == (
        '1 frames: 0 full estimates, 1 tracked, 0 without an estimate; '
        '3 depth images have no mask')


def test_an_outcome_is_read_back() -> None:
    outcome = outcome_of(results('a', 'b', 'b'), 'unused', ['cut short'])
    assert ReplayOutcome(**json.loads(json.dumps(asdict(outcome)))) == outcome
