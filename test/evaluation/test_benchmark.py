"""The benchmark's tracked sequence."""

from __future__ import annotations

import pytest

from kinediff3d_core import Pipeline
from kinediff3d_core.evaluation.benchmark import tracking


def test_benchmark_times_the_tracker_and_measures_its_errors():
    """Sixteen frames of a lid that closes and opens: none lost, joints right within 3 degrees."""
    result = tracking(Pipeline.load('laptop'), frames=16)
    assert result['lost'] == 0 and 0 < result['seconds']['p50'] <= result['seconds']['p95']
    assert result['frames_per_s'] == pytest.approx(1 / result['seconds']['p50'])
    assert result['joint_state_err'] < 3.0
