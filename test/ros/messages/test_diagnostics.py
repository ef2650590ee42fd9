"""Diagnostic statuses."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402

from kinediff3d_ros.messages import diagnostics
from kinediff3d_ros.scene.health import STATES

pytestmark = pytest.mark.ros


def test_diagnostics_are_readable_text() -> None:
    status = diagnostics.diagnostic_status(
        'perception: laptop', 'laptop', 'waiting', 'no estimate',
        {'residual_m': 0.00123456789, 'frames': 7})
    assert {v.key: v.value for v in status.values} == {'residual_m': '0.00123457', 'frames': '7'}
    assert (status.level, status.message) == (b'\x01', 'no estimate')


def test_every_state_has_a_level() -> None:
    assert set(diagnostics.LEVELS) == set(STATES)
    assert diagnostics.LEVELS['bad_input'] == DiagnosticStatus.ERROR
    assert diagnostics.LEVELS['no_estimate'] == DiagnosticStatus.WARN
    assert diagnostics.LEVELS['lost'] == DiagnosticStatus.STALE
