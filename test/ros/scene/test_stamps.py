"""Which frames are used, by their stamps."""

from __future__ import annotations

from kinediff3d_ros.scene.stamps import StampGate

S = 1_000_000_000


def test_each_frame_is_accepted_once_and_in_order() -> None:
    gate = StampGate()
    assert gate.refusal(10 * S, 0, 1.0, 0.5) is None  # the clock has not started
    assert gate.refusal(10 * S, 10 * S, 1.0, 0.5) == 'frames_repeated'
    assert gate.refusal(9 * S + 1, 10 * S, 1.0, 0.5) == 'frames_out_of_order'
    assert gate.resets == 0 and gate.refusal(2 * S, 2 * S, 0.0, 0.5) is None
    assert gate.resets == 1


def test_stamps_must_fit_the_clock() -> None:
    gate = StampGate()
    assert gate.refusal(11 * S, 10 * S, 1.0, 0.5) == 'frames_future'
    assert gate.refusal(11 * S, 13 * S, 1.0, 0.5) == 'frames_stale'
    assert gate.refusal(11 * S, 13 * S, 0.0, 0.5) is None
    assert gate.refusal(12 * S, 12 * S - S // 2, 1.0, 0.5) is None  # limits are inclusive
    assert gate.refusal(13 * S, 14 * S, 1.0, 0.5) is None


def test_a_stamp_one_second_older_is_a_clock_reset() -> None:
    gate = StampGate()
    for stamp in (10 * S, 9 * S):
        assert gate.refusal(stamp, 0, 0.0, 0.0) is None
    assert gate.resets == 1
    # Later stamps are compared with the new time.
    assert gate.refusal(9 * S, 0, 0.0, 0.0) == 'frames_repeated'
    assert gate.refusal(9 * S + 1, 0, 0.0, 0.0) is None and gate.resets == 1
    # One nanosecond after a clock that has not started counts as started.
    assert gate.refusal(20 * S, 1, 0.0, 0.0) == 'frames_future'
