"""Several processes train one network; one process can resume their training."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from kinediff3d_core.distributed.ranks import Ranks, first_rank, joined
from kinediff3d_core.training.config import TrainingConfig
from kinediff3d_core.training.run import train

SMALL = {'batch': 4, 'refresh': 1, 'fill': 8}
SCRIPT = '''
import os, sys
from pathlib import Path
import torch
from kinediff3d_core.training.config import TrainingConfig
from kinediff3d_core.distributed.ranks import Ranks
from kinediff3d_core.training.run import train
torch.set_num_threads(1)
Ranks.first = True  # every rank writes, each into a folder of its own
train(['pose'], ['laptop'], Path(sys.argv[1]) / os.environ['RANK'],
      TrainingConfig(steps=100_000, seconds=4, batch=4, refresh=1, fill=8))
'''


def torchrun(folder, script, *arguments):
    """Two processes on this machine, by torch's launcher."""
    file = folder / 'script.py'
    file.write_text(script)
    root = str(Path(__file__).parents[2])
    env = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '',
           'PYTHONPATH': os.pathsep.join([root, os.environ.get('PYTHONPATH', '')])}
    return subprocess.run([sys.executable, '-m', 'torch.distributed.run', '--standalone',
                           '--nproc-per-node', '2', str(file), *map(str, arguments)], env=env,
                          capture_output=True, text=True, timeout=240)


@pytest.fixture(scope='module')
def two(tmp_path_factory):
    """The folder and the checkpoints of two processes that trained together."""
    folder = tmp_path_factory.mktemp('two')
    done = torchrun(folder, SCRIPT, folder)
    assert done.returncode == 0, done.stderr
    saved = [torch.load(folder / rank / 'laptop' / 'pose.checkpoint', weights_only=True)
             for rank in '01']
    return folder, saved


def test_ranks_end_at_the_same_step_with_the_same_network(two):
    _, (a, b) = two
    assert a['step'] == b['step'] >= 1 and a['spent'] == b['spent'] >= 4
    for group in ('module', 'average'):
        assert a[group].keys() == b[group].keys()
        assert all(torch.equal(a[group][k], b[group][k]) for k in a[group])
    moments = [s['optimizer']['state'] for s in (a, b)]
    assert all(torch.equal(m, moments[1][i]['exp_avg']) for i, m in
               ((i, x['exp_avg']) for i, x in moments[0].items()))


def test_gradients_of_every_rank_are_used(two, tmp_path):
    """Rank 0's data alone give another network than both ranks' data."""
    _, (both, _) = two
    train(['pose'], ['laptop'], tmp_path, TrainingConfig(steps=both['step'], **SMALL))
    alone = torch.load(tmp_path / 'laptop' / 'pose.checkpoint', weights_only=True)
    assert not torch.allclose(alone['module']['network.mean'], both['module']['network.mean'])


def test_one_process_resumes_the_training_of_two(two):
    folder, (saved, _) = two
    train(['pose'], ['laptop'], folder / '0',
          TrainingConfig(steps=saved['step'] + 2, **SMALL))
    after = torch.load(folder / '0' / 'laptop' / 'pose.checkpoint', weights_only=True)
    assert after['step'] == saved['step'] + 2
    assert set(after['module']) == set(saved['module'])


AVERAGE = '''
import json, sys
import torch
from pathlib import Path
from torch import nn
from kinediff3d_core.distributed.ranks import joined
with joined(torch.device('cpu')) as ranks:
    a = torch.full((2, 3), float(ranks.rank))
    b = torch.tensor(10.0 + ranks.rank)
    ranks.average([a, b])
    net = nn.Linear(2, 2)
    ranks.copy_from_first(net)
    ranks.require_equal(7, 'steps')
    try:
        ranks.require_equal(ranks.rank, 'steps')
        reason = ''
    except ValueError as error:
        reason = str(error)
    weight = net.weight.detach().flatten().tolist()
    Path(sys.argv[1], f'{ranks.rank}.json').write_text(json.dumps(
        [ranks.size, a.tolist(), b.item(), reason, weight]))
'''


def test_ranks_average_tensors_and_compare_numbers(tmp_path):
    done = torchrun(tmp_path, AVERAGE, tmp_path)
    assert done.returncode == 0, done.stderr
    one, other = (json.loads((tmp_path / f'{r}.json').read_text()) for r in '01')
    assert one == other
    assert one[:3] == [2, [[0.5] * 3] * 2, 10.5] and 'different steps [0, 1]' in one[3]


def test_one_process_needs_no_launcher():
    with joined(torch.device('cpu')) as ranks:
        assert ranks == Ranks(0, 1, torch.device('cpu')) and ranks.first and first_rank()
        x = torch.ones(2)
        ranks.average([x])
        ranks.copy_from_first(nn.Linear(2, 2))
        ranks.require_equal(3, 'steps')
        ranks.wait()
        assert torch.equal(x, torch.ones(2))


def test_two_processes_on_one_gpu_are_refused(monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(ValueError, match='use cuda'), joined(torch.device('cuda', 1)):
        pass
