"""Several processes train one network; one process can resume their training."""

import pytest
import torch
from two_processes import torchrun

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
