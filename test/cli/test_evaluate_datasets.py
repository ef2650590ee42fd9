"""``kinediff3d evaluate --dataset``."""

import json
from math import degrees

import pytest

from kinediff3d_core.cli.main import main
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.evaluation.worst_views import write_inputs


@pytest.fixture
def root(tmp_path):
    """Three frames of one laptop: one without a mask, one with a broken truth."""
    sample = procedural_samples('laptop', seed=1, shapes=False)(1)
    truth = {'category': 'laptop', 'joints': [degrees(sample.truth.positions[0])], 'unit': 'deg'}
    for name in ('first', 'second', 'third'):
        write_inputs(tmp_path / name, sample)
        (tmp_path / name / 'truth.json').write_text(json.dumps(truth))
    (tmp_path / 'second' / 'mask.png').unlink()
    (tmp_path / 'third' / 'truth.json').write_text('{')
    return tmp_path


def test_a_data_set_is_scored(root, capsys):
    out, records = (root / name for name in ('out.json', 'r.jsonl'))
    assert main(['evaluate', '--dataset', 'frames', '--root', root, '--no-mesh', '--json', out,
                 '--records', records]) == 0
    printed = capsys.readouterr()
    assert 'joint_state_err' in printed.out and 'rot_err_deg' not in printed.out
    lines = [line for line in printed.err.splitlines() if line.startswith('kinediff3d: ')]
    assert len(lines) == 4 and 'third/truth.json is not JSON' in lines[0]
    assert lines[1] == 'kinediff3d: skipped view second: there is no mask'
    assert lines[3] == 'kinediff3d: 1 views scored, 1 skipped, 1 left out'
    (summary,) = json.loads(out.read_text()).values()
    assert summary['joint_state_err']['mean'] < 3 and summary['joint_state_err']['n'] == 1
    (record,) = records.read_text().splitlines()
    assert json.loads(record)['object'] == 'first' and len(json.loads(record)['notes']) == 1
    assert json.loads((root / 'out.meta.json').read_text())['source'] == 'frames all'


@pytest.mark.parametrize(('arguments', 'reason'), [
    (['--dataset', 'frames'], 'needs --root'),
    (['--root', '.'], 'belong to --dataset'),
    (['--dataset', 'nyu', '--root', '.'], "unknown data set 'nyu'; known: frames"),
    (['--dataset', 'frames', '--root', '{root}', '--category', 'box'],
     'frames all has laptop, no box'),
    (['--dataset', 'frames', '--root', '{root}', '--split', 'val'], "unknown split 'val'"),
    (['--dataset', 'frames', '--source', 'procedural'], 'not allowed with')])
def test_unusable_options_end_in_one_line(arguments, reason, root, capsys):
    try:
        status = main(['evaluate', *(a.format(root=root) for a in arguments)])
    except SystemExit as error:
        status = error.code
    message = capsys.readouterr().err
    assert status == 2 and reason in message and len(message.splitlines()) == 1
