"""Statistics over views."""

import math

import pytest

from kinediff3d_core.evaluation.summary import summarise


def test_summary_counts_failures_and_leaves_missing_ones_out_of_means():
    good = {'rot_err_deg': 1.0, 'cd_w': 2.0}
    bad = {'rot_err_deg': 41.0, 'cd_w': math.nan}
    out = summarise([good, bad, None, good])
    assert out['failure_rate'] == {'mean': 0.5, 'median': 0.5, 'std': 0.5, 'n': 4}
    assert out['rot_err_deg']['n'] == 3
    assert out['rot_err_deg']['mean'] == pytest.approx(43 / 3)
    assert out['cd_w'] == {'mean': 2.0, 'median': 2.0, 'std': 0.0, 'n': 2}
    assert summarise([None])['failure_rate']['mean'] == 1.0
