"""Predicted uncertainty against actual errors."""

import json
import shutil

import numpy as np
import pytest
from estimates import laptop_estimate

from kinediff3d_core import Pipeline
from kinediff3d_core.evaluation import calibration as C
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.networks.checkpoints import SHIPPED, load_covariance_scale
from kinediff3d_core.tracking.tracker import Tracker


def test_errors_with_the_predicted_standard_deviation_are_calibrated():
    rng = np.random.default_rng(0)
    std = np.exp(rng.normal(size=20000))
    good = C.calibration(std, np.abs(rng.normal(size=20000)) * std)
    assert good.ratio == pytest.approx(0.674, abs=0.02)
    assert good.within == pytest.approx((0.683, 0.954, 0.997), abs=0.01)
    assert good.rank > 0.6
    shuffled = C.calibration(std, rng.permutation(std))
    assert abs(shuffled.rank) < 0.03


def test_estimates_without_a_true_joint_do_not_count():
    std, error = np.array([1.0, 1.0, np.nan, 1.0, 1.0]), np.array([0.5, 0.5, 0.5, np.nan, 2.0])
    found = C.calibration(std, error)
    assert (found.n, found.ratio) == (3, 0.5) and found.within[0] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match='three or more pairs .* got 2'):
        C.calibration(std, np.where(error > 1, np.nan, error))


def test_reliability_of_a_confidence_that_is_the_chance_to_be_right():
    rng = np.random.default_rng(1)
    confidence = rng.random(5000)
    for mean, share, n in C.reliability(confidence, rng.random(5000) < confidence):
        assert n == 1000
        assert share == pytest.approx(mean, abs=0.05)


def test_predicted_is_in_degrees_and_metres():
    estimate = laptop_estimate()
    predicted, covariance = C.predicted_errors(estimate), estimate.covariance
    assert predicted['joint_state_std'] == pytest.approx(np.degrees(0.02))
    assert predicted['trans_std_m'] == pytest.approx(np.sqrt(np.trace(covariance[:3, :3])))
    assert predicted['rot_std_deg'] == pytest.approx(
        np.degrees(np.sqrt(np.trace(covariance[3:, 3:]))))


def test_the_measured_covariance_scale_makes_predictions_right(tmp_path, monkeypatch, capsys):
    """Standard deviations 3, 2 and 1 times too small are right after one --inflate."""
    rng = np.random.default_rng(3)
    weights = tmp_path / 'weights'
    (weights / 'laptop').mkdir(parents=True)

    def measure() -> None:
        scale = load_covariance_scale('laptop', weights)
        rows = []
        for _ in range(4000):
            error = {'trans_err_m': np.linalg.norm(rng.normal(0, 0.03, 2)),
                     'rot_err_deg': np.linalg.norm(rng.normal(0, 2.0, 2)),
                     'joint_state_err': abs(rng.normal(0, 1.0))}
            rows.append({'category': 'laptop', 'metrics': {
                **{k: float(v) for k, v in error.items()}, 'confidence': 0.9,
                'trans_std_m': 0.01 * 2 ** 0.5 * scale.translation,
                'rot_std_deg': 2 ** 0.5 * scale.rotation, 'joint_state_std': scale.joint}})
        (tmp_path / 'r.jsonl').write_text(''.join(json.dumps(r) + '\n' for r in rows))

    arguments = ['calibration', str(tmp_path / 'r.jsonl'), '--category', 'laptop', '--inflate',
                 '--weights', str(weights)]
    monkeypatch.setattr('sys.argv', arguments)
    for _ in range(2):
        measure()
        assert C.main() == 0
        found = load_covariance_scale('laptop', weights)
        assert found.translation == pytest.approx(3.0, rel=0.1)
        assert found.rotation == pytest.approx(2.0, rel=0.1)
        assert found.joint == pytest.approx(1.0, rel=0.1)
    monkeypatch.setattr('sys.argv', [a for a in arguments if a not in ('--category', 'laptop')])
    assert C.main() == 2
    assert '--category' in capsys.readouterr().err


@pytest.mark.parametrize('text', ['[1]', '{"translation": -1}', '{"speed": 2}', 'no',
                                  '{"joint": "x"}', '{"rotation": NaN}'])
def test_an_unusable_covariance_scale_is_named(tmp_path, text):
    (tmp_path / 'covariance_scale.json').write_text(text)
    with pytest.raises(ValueError, match='covariance_scale.json'):
        load_covariance_scale('laptop', tmp_path)


def test_the_covariance_scale_reaches_estimates_and_tracking(tmp_path):
    shutil.copytree(SHIPPED / 'laptop', tmp_path / 'laptop')
    sample = procedural_samples('laptop', shapes=False)(0)
    cloud = backproject(sample.depth, sample.intrinsics, sample.mask)
    stds = []
    for text in ('{}', '{"translation": 3.0, "rotation": 2.0, "joint": 4.0}'):
        (tmp_path / 'laptop' / 'covariance_scale.json').write_text(text)
        pipeline = Pipeline.load('laptop', weights=tmp_path)
        estimate = pipeline.infer(points=cloud, mesh=False)
        tracked = Tracker(pipeline, estimate, 0.0).track(cloud, 0.1)
        stds.append([[np.sqrt(np.trace(e.covariance[:3, :3])),
                         np.sqrt(np.trace(e.covariance[3:, 3:])), e.joints[0].std]
                        for e in (estimate, tracked)])
    assert np.allclose(np.divide(stds[1], stds[0]), [3.0, 2.0, 4.0], rtol=1e-4)


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
