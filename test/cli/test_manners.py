"""What every command does alike: threads, version, suggestions, outputs, the end of a pipe."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from estimates import laptop_estimate
from own_objects import crate_file, laptop_folder

from kinediff3d_core.cli import main
from kinediff3d_core.inference import auto
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.io.estimate import write_estimate
from kinediff3d_core.objects.category import CATEGORIES
from kinediff3d_core.objects.estimate import NoEstimate

WITH_TORCH = ('infer', 'generate', 'evaluate', 'benchmark', 'train', 'import', 'replay')


@pytest.fixture(autouse=True)
def as_before():
    """Remove the categories and threads that a test sets."""
    categories, threads = dict(CATEGORIES), torch.get_num_threads()
    yield
    CATEGORIES.clear()
    CATEGORIES.update(categories)
    torch.set_num_threads(threads)


def ended(capsys, *arguments):
    """Exit status and lines of the errors of a command."""
    capsys.readouterr()
    try:
        status = main.main([str(a) for a in arguments])
    except SystemExit as stop:
        status = stop.code
    return status, capsys.readouterr().err.strip().splitlines()


def refused(capsys, *arguments):
    status, lines = ended(capsys, *arguments)
    assert status == 2 and len(lines) == 1 and len(lines[0]) <= 300, (status, lines)
    return lines[0]


@pytest.mark.parametrize('command', WITH_TORCH)
def test_every_command_with_torch_has_threads(command, capsys):
    with pytest.raises(SystemExit):
        main.main([command, '--help'])
    assert '--threads N' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='2'):
        main.main([command, '--threads', '100000'])
    assert 'argument --threads: 100000 is more than 256' in capsys.readouterr().err


def test_threads_are_set_before_a_command_runs(tmp_path, monkeypatch):
    from kinediff3d_core.training import run

    seen = []
    monkeypatch.setattr(run, 'train', lambda *_: seen.append(torch.get_num_threads()))
    arguments = ['train', 'pose', '--category', 'laptop', '--out', str(tmp_path)]
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    assert main.main(arguments) == main.main([*arguments, '--threads', '3']) == 0
    assert seen == [2, 3]


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main.main(['--version'])
    name, version = capsys.readouterr().out.split()
    assert stop.value.code == 0 and name == 'kinediff3d' and version


@pytest.mark.parametrize(('arguments', 'meant'), [
    (('infre',), 'infer'), (('infer', '--category', 'x', '--out', 'o', '--depht', 'd'), '--depth'),
    (('benchmark', '--category', 'labtop'), 'laptop'),
    (('infer', '--category', 'auot', '--out', 'o', '--depth', 'd'), 'auto'),
    (('evaluate', '--dataset', 'partnt', '--root', '.'), 'partnet'),
    (('evaluate', '--preset', 'papr'), 'paper'), (('evaluate', '--peer', 'regresion'),
                                                  'regression'),
    (('demo', '--category', 'labtop'), 'laptop'),
    (('train', 'shap', '--category', 'laptop'), 'shape'),
    (('demo', '--secnds', '3'), '--seconds'), (('demo', '--seconds=3', '--categry=box'),
                                               '--category')])
def test_unknown_names_get_a_suggestion(arguments, meant, capsys):
    assert f'(did you mean {meant}?)' in refused(capsys, *arguments)


@pytest.mark.parametrize('lines', [1, 100_000])
def test_a_closed_pipe_is_silent(lines):
    """Also where the output is so short that it is only written at the end."""
    code = ('import sys, types\nfrom kinediff3d_core.cli import main\n'
            'def run(options):\n'
            '    sys.stdin.read()\n'
            f'    print("x\\n" * {lines})\n    return 0\n'
            'def add(commands):\n    commands.add_parser("say").set_defaults(run=run)\n'
            'main.entry_points = lambda group: [types.SimpleNamespace(name="say", '
            'load=lambda: add)]\nsys.exit(main.main(["say"]))')
    process = subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    process.stdout.close()
    _, errors = process.communicate(b'')
    assert (process.returncode, errors) == (141, b'')


class Answers:
    """A pipeline that gives an estimate, or raises what it is given."""

    def __init__(self, error=None):
        self.error = error

    def infer(self, *_, **__):
        if self.error is not None:
            raise self.error
        return laptop_estimate()

    def with_meshes(self, estimate):
        return estimate


@pytest.fixture
def infer(tmp_path, monkeypatch, capsys):
    """Runs ``infer`` with a pipeline that ends in an error, or in an estimate."""
    np.save(tmp_path / 'cloud.npy', laptop_estimate().points.astype(np.float32))

    def run(error=None, out='out', *more):
        monkeypatch.setattr(auto, 'load_pipeline', lambda *_: Answers(error))
        return ended(capsys, 'infer', '--points', tmp_path / 'cloud.npy', '--category', 'laptop',
                     '--out', tmp_path / out, *more)
    return run


def test_results_of_infer_are_never_mixed_or_stale(infer, tmp_path):
    out = tmp_path / 'out'
    assert infer()[0] == 0
    first = {p.relative_to(out) for p in out.rglob('*')}
    assert {'estimate.json', 'object.urdf', 'meshes', 'preview.png'} <= {str(p) for p in first}
    assert infer()[0] == 0 and {p.relative_to(out) for p in out.rglob('*')} == first
    status, lines = infer(OSError('disk'))
    assert status == 2 and {p.relative_to(out) for p in out.rglob('*')} == first
    status, lines = infer(NoEstimate('too few points'))
    assert status == 1 and lines == ['kinediff3d: no estimate: too few points']
    assert not out.exists()


def test_outputs_that_cannot_be_written_fail_before_the_work(infer, tmp_path, capsys):
    (tmp_path / 'file').write_text('mine')
    never = AssertionError('it has worked')
    for status, lines in (infer(never, 'file'), infer(never, 'file/out')):
        assert status == 2 and len(lines) == 1 and 'file' in lines[0]
    write_estimate(laptop_estimate(), tmp_path / 'theirs')
    assert 'not of an earlier run' in infer(never, 'theirs')[1][0]
    inside = tmp_path / 'file' / 'x'
    for arguments in (('evaluate', '--json', inside), ('evaluate', '--records', inside),
                      ('evaluate', '--pictures', inside), ('benchmark', '--json', inside),
                      ('train', 'pose', '--category', 'laptop', '--out', inside),
                      ('import', laptop_folder(tmp_path / 'a'), '--category', 'laptop', '--out',
                       inside),
                      ('replay', tmp_path, '--category', 'laptop', '--out', inside),
                      ('view', '--strip', inside), ('demo', '--out', inside),
                      ('generate', '--truth', '0/0', '--positions', 1, '--out', inside)):
        assert f'{inside} cannot be written: {tmp_path / "file"} is not' in refused(
            capsys, *arguments)
    assert (tmp_path / 'file').read_text() == 'mine'


def test_generate_finds_the_weights_of_an_own_category(tmp_path, monkeypatch, capsys):
    weights = tmp_path / 'runs'
    (weights / 'crate').mkdir(parents=True)
    crate_file(tmp_path).rename(weights / 'crate' / 'category.yaml')
    write_estimate(laptop_estimate(), tmp_path / 'estimate', weights)
    file = tmp_path / 'estimate' / 'estimate.json'
    file.write_text(json.dumps({**json.loads(file.read_text()), 'category': 'crate'}))
    loaded = []

    def load(category, **options):
        loaded.append((category, options['weights']))
        raise ValueError('enough')

    monkeypatch.setattr(Pipeline, 'load', load)
    command = ('generate', '--estimate', file, '--positions', 1, '--out', tmp_path / 'states')
    assert 'enough' in refused(capsys, *command)
    assert loaded == [('crate', weights)]
    shutil.rmtree(weights)
    assert f'with the weights in {weights}, which is no folder here: give --weights' in refused(
        capsys, *command)


def test_a_category_without_a_family_is_refused_at_once(tmp_path, capsys):
    from kinediff3d_core.objects.category_file import add_category, read_category

    data = tmp_path / 'data'
    data.mkdir()
    crate = read_category(crate_file(tmp_path))
    shutil.copy(tmp_path / 'crate.yaml', data / 'category.yaml')
    assert "no procedural family for category 'crate'" in refused(
        capsys, 'train', 'all', '--data', data, '--procedural', 0.5, '--out', tmp_path / 'runs')
    add_category(crate)
    for arguments in (('train', 'shape', '--out', tmp_path / 'runs'), ('benchmark',),
                      ('generate', '--truth', '0/0', '--positions', 1, '--out', tmp_path / 'o'),
                      ('evaluate',)):
        assert 'no procedural family' in refused(capsys, *arguments, '--category', 'crate')
    assert not (tmp_path / 'runs').exists() and not (tmp_path / 'o').exists()


def test_an_object_in_a_likely_wrong_unit_is_warned_of(tmp_path, capsys):
    folder = laptop_folder(tmp_path)
    base = ('import', folder, '--category', 'laptop', '--variants', 1, '--views', 1, '--out')
    status, lines = ended(capsys, *base, tmp_path / 'a', '--metres-per-unit', 4)
    assert status == 0 and any('warning' in x and '--metres-per-unit' in x for x in lines), lines
    status, lines = ended(capsys, *base, tmp_path / 'b')
    assert status == 0 and not any('warning' in x for x in lines), lines


def test_ctrl_c_in_evaluate_says_where_the_records_are(tmp_path, monkeypatch, capsys):
    from kinediff3d_core.cli import evaluate

    def interrupted(*_):
        (tmp_path / 'a.json.unfinished').mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, '_score', interrupted)
    status, lines = ended(capsys, 'evaluate', '--category', 'laptop', '--json',
                          tmp_path / 'a.json')
    assert status == 130
    assert lines == [f'kinediff3d: interrupted: finished views are in {tmp_path}/'
                     'a.json.unfinished; the same command continues']
