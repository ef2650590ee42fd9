"""Processes that average tensors and exchange texts; one process alone does without them."""

import json

import pytest
import torch
from torch import nn
from two_processes import torchrun

from kinediff3d_core.distributed.ranks import Ranks, first_rank, joined

EXCHANGE = '''
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
    texts = [ranks.gather('é' * 3 * ranks.rank), ranks.gather(''), ranks.total(ranks.rank + 4)]
    Path(sys.argv[1], f'{ranks.rank}.json').write_text(json.dumps(
        [ranks.size, a.tolist(), b.item(), reason, weight, texts, ranks.share(range(5))]))
'''


def test_ranks_average_tensors_compare_numbers_and_exchange_texts(tmp_path):
    done = torchrun(tmp_path, EXCHANGE, tmp_path)
    assert done.returncode == 0, done.stderr
    one, other = (json.loads((tmp_path / f'{r}.json').read_text()) for r in '01')
    assert one[:-1] == other[:-1]
    assert one[-2] == [['', 'ééé'], ['', ''], 9] and (one[-1], other[-1]) == ([0, 2, 4], [1, 3])
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
        assert ranks.share(range(3)) == [0, 1, 2] and ranks.gather('a') == ['a']


def test_two_processes_on_one_gpu_are_refused(monkeypatch):
    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(ValueError, match='use cuda'), joined(torch.device('cuda', 1)):
        pass


def test_a_process_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setenv('WORLD_SIZE', '2')
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(ValueError, match='1 are visible'), joined(torch.device('cuda')):
        pass
