"""``evaluate`` and ``import`` in two processes, and continued, give what one process gives."""

import json
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from estimates import laptop_estimate
from open3d_or_skip import import_open3d
from safetensors import safe_open
from two_processes import environment, run_two

from kinediff3d_core.cli import main
from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.category_file import read_category

EVALUATE = ('evaluate', '--category', 'laptop', '--count', '5', '--no-mesh', '--peer',
            'regression')
KILLED = '''
import os, signal, sys
from kinediff3d_core.cli import main
from kinediff3d_core.distributed.journal import Journal
append = Journal.append
def append_and_die(journal, index, entry):
    append(journal, index, entry)
    if len(journal.entries) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
Journal.append = append_and_die
main.main(sys.argv[1:])
'''


IMPORT = ('import', '--category', 'laptop', '--variants', '1', '--views', '1', '--skip-bad')


@pytest.fixture(autouse=True)
def one_thread():
    """The sums of one thread, as in the other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def outputs(folder):
    return '--records', str(folder / 'r.jsonl'), '--json', str(folder / 's.json')


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """Outputs of two processes that continued an evaluation and imported objects.

    The evaluation is one that was killed after three of five records.
    """
    folder = tmp_path_factory.mktemp('shared')
    for name in ('a', 'c', 'd'):
        write_urdf(laptop_estimate(), folder / 'objects' / f'laptop_{name}')
    (folder / 'objects' / 'laptop_b').mkdir()
    (folder / 'objects' / 'laptop_b' / 'object.urdf').write_text('<robot')
    killed = subprocess.run([sys.executable, '-c', KILLED, *EVALUATE, *outputs(folder)],
                            env=environment(), stderr=subprocess.PIPE)
    assert killed.returncode == -signal.SIGKILL
    shutil.copytree(folder / 'r.jsonl.unfinished', folder / 'killed')
    return folder, list(zip(*run_two((*EVALUATE, *outputs(folder)), (
        *IMPORT, folder / 'objects', '--out', folder / 'data')), strict=True))


def written(folder):
    """Records, summary and origin; times and the command are left out."""
    records = [json.loads(line) for line in (folder / 'r.jsonl').read_text().splitlines()]
    for record in records:
        record['metrics'] = {k: v for k, v in record['metrics'].items() if 'seconds' not in k}
    summary = {k: v for k, v in json.loads((folder / 's.json').read_text())['laptop'].items()
               if 'seconds' not in k}
    origin = json.loads((folder / 's.meta.json').read_text())
    origin.pop('command')
    return records, summary, origin


def table(text):
    return [line for line in text.splitlines() if not line.startswith('seconds')]


def test_two_processes_continue_the_evaluation_of_one_that_was_killed(shared, tmp_path, capsys):
    two, (((status, text, _), (other_status, other_text, _)), _) = shared
    assert main.main([*EVALUATE, *outputs(tmp_path)]) == 0
    assert (status, other_status) == (0, 0) and len(table(text)) > 5
    assert table(text) == table(capsys.readouterr().out) and other_text == ''
    assert written(two) == written(tmp_path)
    assert not (two / 'r.jsonl.unfinished').exists()
    lines = (two / 'killed' / 'laptop.0.jsonl').read_text().splitlines()[1:]
    before = [json.loads(line)['entry']['metrics']['seconds'] for line in lines]
    after = [json.loads(line)['metrics']['seconds']
             for line in (two / 'r.jsonl').read_text().splitlines()]
    assert len(before) == 3 and after[:3] == pytest.approx(before, rel=1e-5)  # not made again


def test_a_run_with_other_options_does_not_continue(shared, tmp_path, capsys):
    shutil.copytree(shared[0] / 'killed', tmp_path / 'r.jsonl.unfinished')
    assert main.main([*EVALUATE, *outputs(tmp_path), '--seed', '1']) == 2
    assert 'other options (seed: 0 there, 1 now)' in capsys.readouterr().err


def imported(folder):
    """Tensors and notes of the files in a folder; the library writes notes in any order."""
    found = {}
    for path in folder.glob('*.safetensors'):
        with safe_open(str(path), framework='pt') as file:
            found[path.name] = file.metadata(), {k: file.get_tensor(k).tolist()
                                                 for k in sorted(file.keys())}
    return found


def test_two_processes_import_what_one_does_and_only_once(shared, tmp_path, capsys):
    import_open3d()
    two, (_, ((status, text, skipped), (_, other_text, other_skipped))) = shared
    own = (*IMPORT, str(two / 'objects'), '--out', str(tmp_path))
    assert status == main.main(own) == 0
    alone = capsys.readouterr()
    assert text.replace(str(two / 'data'), str(tmp_path)) == alone.out and other_text == ''
    assert '3 samples of 3 objects' in text
    assert 'skipped' not in skipped and other_skipped == alone.err  # b is the second one
    files = imported(two / 'data')
    assert len(files) == 3 and files == imported(tmp_path)
    assert read_category(two / 'data' / 'category.yaml') == get_category('laptop')

    (tmp_path / 'laptop_c_0.safetensors').unlink()
    times = {p: p.stat().st_mtime_ns for p in tmp_path.glob('*.safetensors')}
    assert main.main(own) == 0
    assert capsys.readouterr().out == alone.out
    assert times == {p: p.stat().st_mtime_ns for p in times}
    assert files == imported(tmp_path)
