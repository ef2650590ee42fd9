"""Predicted uncertainty against actual errors."""

import json

import numpy as np
import pytest
from estimates import laptop_estimate

from kinediff3d_core.evaluation import calibration as C


def test_errors_drawn_with_the_predicted_deviation_are_calibrated():
    rng = np.random.default_rng(0)
    deviation = np.exp(rng.normal(size=20000))
    good = C.calibration(deviation, np.abs(rng.normal(size=20000)) * deviation)
    assert good.ratio == pytest.approx(0.674, abs=0.02)
    assert good.within == pytest.approx((0.683, 0.954, 0.997), abs=0.01)
    assert good.rank > 0.6
    shuffled = C.calibration(deviation, rng.permutation(deviation))
    assert abs(shuffled.rank) < 0.03


def test_reliability_of_a_confidence_that_is_the_chance_to_be_right():
    rng = np.random.default_rng(1)
    confidence = rng.random(5000)
    for told, share, n in C.reliability(confidence, rng.random(5000) < confidence):
        assert n == 1000
        assert share == pytest.approx(told, abs=0.05)


def test_predicted_is_in_degrees_and_metres():
    estimate = laptop_estimate()
    told, covariance = C.predicted(estimate), estimate.covariance
    assert told['joint_state_std'] == pytest.approx(np.degrees(0.02))
    assert told['trans_std_m'] == pytest.approx(np.sqrt(np.trace(covariance[:3, :3])))
    assert told['rot_std_deg'] == pytest.approx(
        np.degrees(np.sqrt(np.trace(covariance[3:, 3:]))))


def _records(path, n):
    names = ['confidence', *C.PAIRS, *(error for error, _ in C.PAIRS.values())]
    rng = np.random.default_rng(2)
    rows = [{'category': 'laptop', 'metrics': dict.fromkeys(names, float(rng.random()))}
            for _ in range(n)] + [{'category': 'laptop', 'metrics': None},
                                  {'category': 'box', 'metrics': dict.fromkeys(names, 9.0)}]
    path.write_text(''.join(json.dumps(r) + '\n' for r in rows))


def test_page_and_plot_of_records(tmp_path, monkeypatch, capsys):
    _records(tmp_path / 'r.jsonl', 30)
    out = tmp_path / 'plots' / 'c.png'
    monkeypatch.setattr('sys.argv', ['calibration', str(tmp_path / 'r.jsonl'), '--out', str(out),
                                     '--category', 'laptop'])
    assert C.main() == 0
    assert '| rotation [°] | 30 |' in capsys.readouterr().out
    assert out.read_bytes().startswith(b'\x89PNG')


@pytest.mark.parametrize(('text', 'complaint'), [
    (None, 'cannot be read'), ('{}', 'is not what'), ('nothing', 'is not what'),
    ('', 'holds 0 estimates')])
def test_records_that_are_none_end_with_one_line(tmp_path, monkeypatch, capsys, text, complaint):
    path = tmp_path / 'r.jsonl'
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr('sys.argv', ['calibration', str(path)])
    assert C.main() == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count('\n') == 1
