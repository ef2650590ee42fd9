"""Calls replayed from CUDA graphs give the results of direct calls."""

import threading
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.inference import cuda_graphs
from kinediff3d_core.inference.cuda_graphs import LIMIT, Graphs
from kinediff3d_core.inference.pipeline import Pipeline


@dataclass(frozen=True)
class Pair:
    a: Tensor
    b: tuple[Tensor, float]


def added(pair: Pair, factor: float) -> Pair:
    return Pair(pair.a + factor * pair.b[0], (pair.a, pair.b[1]))


def a_pair(n: int) -> Pair:
    return Pair(torch.ones(n), (torch.arange(float(n)), 2.0))


def powers(matrix: Tensor) -> Tensor:
    """Needs memory for what it computes on the way."""
    for _ in range(5):
        matrix = matrix @ matrix / matrix.norm()
    return torch.nan_to_num(matrix)


class Recorded:
    """Replaces a captured graph: runs the function, and records the tensors of each replay."""

    made: list['Recorded'] = []

    def __init__(self, function, args, pool):
        self.function, self.args, self.pool, self.given = function, args, pool, []
        Recorded.made.append(self)

    def replay(self, tensors):
        self.given.append([t.tolist() for t in tensors])
        return self.function(*self.args)


@pytest.fixture
def on_gpu(monkeypatch) -> Graphs:
    """Graphs as on a GPU, without the capture itself."""
    monkeypatch.setattr(cuda_graphs, '_Graph', Recorded)
    monkeypatch.setattr(torch.cuda, 'graph_pool_handle', lambda: (0, 0))
    Recorded.made = []
    return Graphs(torch.device('cuda'))


def test_without_a_gpu_calls_run_directly(monkeypatch):
    monkeypatch.setattr(cuda_graphs, '_Graph', None)
    run = Graphs(torch.device('cpu'))
    for _ in range(3):
        assert run(added, a_pair(3), 2.0).a.tolist() == [1, 3, 5]


def test_the_second_call_is_captured_and_replayed_with_the_tensors_given(on_gpu):
    on_gpu(added, a_pair(3), 2.0)
    assert not Recorded.made
    for _ in range(2):
        on_gpu(added, a_pair(3), 2.0)
    on_gpu(added, Pair(torch.zeros(3), (torch.zeros(3), 2.0)), 2.0)
    graph, = Recorded.made
    assert graph.pool == (0, 0)
    assert graph.given == [[[1, 1, 1], [0, 1, 2]]] * 2 + [[[0, 0, 0], [0, 0, 0]]]


@pytest.mark.parametrize('other', [
    (added, a_pair(4), 2.0), (added, a_pair(3), 3.0),
    (added, Pair(torch.ones(3), (torch.arange(3), 2.0)), 2.0),
    (added, Pair(torch.ones(3), (torch.arange(3.0), 1.0)), 2.0)])
def test_other_shapes_types_and_constants_are_other_graphs(on_gpu, other):
    for _ in range(2):
        on_gpu(added, a_pair(3), 2.0)
        on_gpu(*other)
    assert len(Recorded.made) == 2


def test_the_least_recently_used_graph_is_dropped(on_gpu):
    for n in (1, 1, *range(2, LIMIT + 1), 1, LIMIT + 1):
        on_gpu(added, a_pair(n), 2.0)
    on_gpu(added, a_pair(1), 2.0)
    assert len(Recorded.made) == 1 and len(Recorded.made[0].given) == 3
    on_gpu(added, a_pair(2), 2.0)
    assert len(Recorded.made) == 1


def test_a_call_that_cannot_be_captured_runs_directly_and_logs_once(on_gpu, monkeypatch, caplog):
    def refuse(*_):
        raise RuntimeError('operation not permitted when stream is capturing')

    monkeypatch.setattr(cuda_graphs, '_Graph', refuse)
    for _ in range(4):
        assert on_gpu(added, a_pair(3), 2.0).a.tolist() == [1, 3, 5]
    assert len(caplog.records) == 1 and 'added' in caplog.text and 'not permitted' in caplog.text


def test_an_out_of_memory_error_is_raised(on_gpu, monkeypatch):
    def refuse(*_):
        raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(cuda_graphs, '_Graph', refuse)
    on_gpu(added, a_pair(3), 2.0)
    with pytest.raises(torch.OutOfMemoryError):
        on_gpu(added, a_pair(3), 2.0)


def test_two_threads_never_replay_at_the_same_time(on_gpu, monkeypatch):
    """Both replays write to the same memory: a second one waits for the results of the first."""
    inside, at_once, first, proceed = [], [], threading.Event(), threading.Event()

    class Held(Recorded):
        def replay(self, tensors):
            inside.append(self)
            at_once.append(len(inside))
            if not first.is_set():
                first.set()
                proceed.wait(10.0)
            inside.pop()
            return super().replay(tensors)

    monkeypatch.setattr(cuda_graphs, '_Graph', Held)
    for n in (3, 4):  # two graphs, which share one pool
        on_gpu(added, a_pair(n), 2.0)
    threads = [threading.Thread(target=on_gpu, args=(added, a_pair(n), 2.0)) for n in (3, 4)]
    threads[0].start()
    assert first.wait(10.0)
    threads[1].start()
    threads[1].join(0.2)
    assert threads[1].is_alive(), 'it has replayed beside the first'
    proceed.set()
    for thread in threads:
        thread.join(10.0)
    assert at_once == [1, 1]


def test_each_thread_gets_its_own_results():
    """On a GPU by replays of two graphs that share their memory; elsewhere by direct calls."""
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    run, wrong = Graphs(device), []

    def call(n):
        given = torch.full((n, n), 1.0 / n, device=device)
        for i in range(100):
            found = run(powers, given * i)
            if not torch.allclose(found, powers(given * i)):
                wrong.append((n, i))

    threads = [threading.Thread(target=call, args=(n,)) for n in (64, 65)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
        assert not thread.is_alive()
    assert not wrong


def test_threads_share_the_graphs(on_gpu):
    """Calls of new shapes from several threads: no graph is lost, and none is captured twice."""
    errors = []

    def call(seed):
        try:
            for i in range(150):
                n = (i * 7 + seed) % (LIMIT + 20) + 1
                assert on_gpu(added, a_pair(n), 2.0).a.shape == (n,)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert not errors and len(on_gpu._graphs) == LIMIT


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
def test_replayed_estimates_equal_direct_ones():
    view = procedural_samples('laptop', 0)(0)
    pipeline = Pipeline.load('laptop', device='cuda')

    def answer():
        return pipeline.infer(depth=view.depth, intrinsics=view.intrinsics,
                              mask=view.mask, mesh=False)

    called = answer()
    replayed = [answer() for _ in range(3)][-1]
    assert any(g is not None for g in pipeline.graphs._graphs.values())
    assert replayed.joints[0].position == pytest.approx(called.joints[0].position, abs=1e-3)
    assert replayed.T_camera_base == pytest.approx(called.T_camera_base, abs=1e-3)
