"""Ablations: every variant differs from what is shipped; what is measured stays measured."""

from __future__ import annotations

import json

from kinediff3d_core.evaluation import ablations
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.observation.instances import InstanceConfig
from kinediff3d_core.tracking.config import DEFAULT


def test_every_variant_differs_from_what_is_shipped() -> None:
    for variants, shipped in ((ablations.TRACKING, DEFAULT), (ablations.EXCHANGE, DEFAULT),
                              (ablations.SEGMENTATION, InstanceConfig()),
                              ({n: f(Preset()) for n, f in ablations.INFERENCE.items()},
                               Preset())):
        assert variants['as shipped'] == shipped
        others = [v for name, v in variants.items() if name != 'as shipped']
        assert others and shipped not in others and len(set(map(repr, others))) == len(others)


def row(table: str, variant: str) -> list[str]:
    line = next(line for line in table.splitlines() if line.startswith(f'| {variant} '))
    return [cell.strip() for cell in line.strip('|').split('|')]


def test_the_change_of_full_estimates_is_paired() -> None:
    """One view without an estimate by the variant: the change is that of the two others."""
    def record(rotation: float, category: str, joint: float) -> dict[str, object]:
        return {'category': category, 'rot_err_deg': rotation, 'joint_state_err': joint,
                'joint_state_std': joint}

    table = ablations.inference_table({
        'as shipped': [record(1.0, 'laptop', 2.0), record(2.0, 'laptop', 4.0),
                       record(30.0, 'drawer', 0.01)],
        'less': [record(2.0, 'laptop', 3.0), {'category': 'laptop'},
                 record(34.0, 'drawer', 0.03)]})
    assert row(table, 'as shipped')[1:7] == ['11.00', '2.00', '–', '3.00', '10.0', '1 of 3']
    # Changes of 1 and 4: 2.5 on average, with a standard error of 1.5 / sqrt(2).
    assert row(table, 'less')[1:7] == ['18.00', '18.00', '+2.50 ± 1.06', '3.00', '30.0', '2 of 3']


def test_tracking_errors_are_in_centimetres_with_their_standard_error() -> None:
    records = [{'median': 0.01, 'mean': 0.02, 'p95': 0.05, 'lost': 1, 'seconds': 0.02},
               {'median': 0.03, 'mean': 0.02, 'p95': 0.05, 'lost': 2, 'seconds': 0.04}]
    assert row(ablations.tracking_table({'as shipped': records}), 'as shipped')[1:] == [
        '2.00 ± 0.71', '2.00 ± 0.00', '5.00 ± 0.00', '3', '30.0']


def test_what_the_file_holds_is_not_measured_again(tmp_path, capsys, monkeypatch) -> None:
    done = [{'median': 0.01, 'mean': 0.01, 'p95': 0.01, 'lost': 0, 'seconds': 0.01}]
    file = tmp_path / 'ablations.json'
    file.write_text(json.dumps({'tracking': {n: done for n in ablations.TRACKING
                                             if n != 'never uncertain'}}))
    measured = []

    def measure(config, cabinets, seed, progress):
        measured.append((config, cabinets, seed))
        return done

    monkeypatch.setattr(ablations, 'measure_tracking', measure)
    assert ablations.main(['--kinds', 'tracking', '--cabinets', '1', '--json', str(file)]) == 0
    assert measured == [(ablations.TRACKING['never uncertain'], 1, 0)]
    assert set(json.loads(file.read_text())['tracking']) == set(ablations.TRACKING)
    assert 'never uncertain' in capsys.readouterr().out
