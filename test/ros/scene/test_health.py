"""State, counters and measurements of an object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from estimates import laptop_estimate

from kinediff3d_ros.scene.health import FRAMES, RESULTS, Health


def test_measurements_are_forgotten_without_an_estimate() -> None:
    health = Health()
    health.last = {'residual_m': 0.001}
    health.enter('estimate', 'seen')
    assert health.values()['residual_m'] == 0.001
    health.enter('no_estimate', 'hidden')
    assert 'residual_m' not in health.values()
    assert (health.state, health.message) == ('no_estimate', 'hidden')


def test_values_are_state_counters_and_measurements() -> None:
    health = Health('estimate')
    health.count('tracked')
    health.count('tracked')
    health.set_count('frames_unpaired', 7)
    covariance = np.diag([1.0, 4.0, 2.0, 0.01, 0.09, 0.04]) * 1e-4
    estimate = replace(laptop_estimate(1.0), covariance=covariance,
                       categories={'laptop': 0.7, 'box': 0.3})
    health.measured(estimate, 500, '1.5', 0.25, {'track': 0.002})
    values = health.values(category='laptop')
    assert set(FRAMES + RESULTS) <= set(values)
    assert (values['state'], values['category']) == ('estimate', 'laptop')
    assert (values['tracked'], values['frames_unpaired'], values['estimates']) == (2, 7, 0)
    assert values['position_std_m'] == pytest.approx(0.02)
    assert values['rotation_std_rad'] == pytest.approx(0.003)
    assert (values['residual_m'], values['confidence'], values['modes']) == (0.001, 0.9, 1)
    assert (values['category_confidence'], values['lid_joint_std']) == (0.7, 0.02)
    assert (values['points'], values['stamp'], values['age_ms']) == (500, '1.5', 250.0)
    assert values['track_ms'] == pytest.approx(2.0)
    health.measured(replace(estimate, categories={}), 500, '1.5', 0.25, {})
    assert 'category_confidence' not in health.values()
