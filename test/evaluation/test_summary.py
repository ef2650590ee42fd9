"""Statistics over views."""

import math

import pytest

from kinediff3d_core.evaluation.summary import failed, summarise


def test_summary_counts_failures_and_leaves_missing_ones_out_of_means():
    good = {'rot_err_deg': 1.0, 'cd_w': 2.0}
    bad = {'rot_err_deg': 41.0, 'cd_w': math.nan}
    out = summarise([good, bad, None, good])
    assert out['failure_rate'] == {'mean': 0.5, 'median': 0.5, 'std': 0.5, 'n': 4}
    assert out['rot_err_deg']['n'] == 3
    assert out['rot_err_deg']['mean'] == pytest.approx(43 / 3)
    assert out['cd_w'] == {'mean': 2.0, 'median': 2.0, 'std': 0.0, 'n': 2}
    assert summarise([None])['failure_rate']['mean'] == 1.0


def test_a_failure_is_a_rotation_error_above_twenty_degrees():
    assert not failed({'rot_err_deg': 20.0}) and failed({'rot_err_deg': 20.001})
    assert failed(None) and failed({'rot_err_deg': math.nan})


def test_views_of_unknown_rotation_are_not_failures():
    unknown = {'rot_err_deg': math.nan, 'rot_err_modes_deg': math.nan, 'joint_state_err': 2.0}
    wrong = {'rot_err_deg': 30.0, 'rot_err_modes_deg': 30.0, 'joint_state_err': 4.0}
    out = summarise([unknown, wrong, unknown, None])
    assert out['failure_rate']['mean'] == 1.0 and out['failure_rate']['n'] == 2
    assert out['failure_rate_modes']['n'] == 2 and out['joint_state_err']['mean'] == 8 / 3
    assert 'failure_rate' not in summarise([unknown])


def test_failures_in_every_mode_have_the_same_bound():
    records = [{'rot_err_deg': 90.0, 'rot_err_modes_deg': x} for x in (20.0, 20.1, 5.0)]
    assert summarise(records)['failure_rate_modes']['mean'] == pytest.approx(1 / 3)
