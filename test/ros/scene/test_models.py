"""The pipelines of a scene: which are loaded, and what happens when GPU memory runs out."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from kinediff3d_core.inference.presets import PRESETS, Preset
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.scene import models

LIMIT = 30.0


class OnePipeline(models.Pipeline):
    """Its model is its device, and so is its estimate; a cloud of one point needs much memory."""

    def __init__(self, model: str, preset: Preset) -> None:
        self.model, self.preset, self.used = model, preset, False
        OnePipeline.made.append(self)

    made: list[OnePipeline] = []

    def infer(self, cloud, mesh, seed=0):
        self.used = True
        if len(cloud) == 1 and (self.model != 'cpu' or seed == 9):
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')
        return self.model


def on_devices(monkeypatch: pytest.MonkeyPatch) -> list[OnePipeline]:
    """Let models load pipelines as on a machine with a GPU; the list of those that are made."""
    monkeypatch.setattr(OnePipeline, 'made', [])
    monkeypatch.setattr(models, 'Pipeline', OnePipeline)
    monkeypatch.setattr(models, 'load_pipeline', lambda category, preset, device, weights:
                        OnePipeline(device, PRESETS[preset]))
    return OnePipeline.made


def test_out_of_gpu_memory_continues_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = on_devices(monkeypatch)
    warnings: list[str] = []
    value = models.Models(['laptop'], 'fast', 'cuda', '', warnings.append, mesh_cells=40)
    assert value.infer('laptop', np.zeros((2, 3)), 0) == 'cuda' and not warnings
    assert value.infer('laptop', np.zeros((1, 3)), 0) == 'cpu'
    assert len(warnings) == 1 and 'cuda is out of memory' in warnings[0] and value.device == 'cpu'
    assert [(p.model, p.preset.cells) for p in loaded if p.used] == [('cuda', 40), ('cpu', 40)]
    # On the CPU there is nothing to fall back to.
    with pytest.raises(torch.OutOfMemoryError):
        value.infer('laptop', np.zeros((1, 3)), 9)


def test_two_threads_that_run_out_of_gpu_memory_move_to_the_cpu_once(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracking thread moves the pipelines while the estimating thread uses them."""
    on_devices(monkeypatch)
    warnings: list[str] = []
    value = models.Models(['laptop'], 'fast', 'cuda', '', warnings.append)
    proceed, loading, seen = threading.Event(), threading.Event(), list[str]()
    load = models.load_pipeline

    def slow_load(*arguments):
        loading.set()
        assert proceed.wait(LIMIT)
        return load(*arguments)

    def estimate() -> None:
        seen.append(value.infer('laptop', np.zeros((1, 3)), 0))

    monkeypatch.setattr(models, 'load_pipeline', slow_load)
    threads = [threading.Thread(target=estimate) for _ in range(2)]
    threads[0].start()
    assert loading.wait(LIMIT)
    # Meanwhile the pipelines on the GPU are still there.
    assert value.categories == ('laptop',) and value.device == 'cuda'
    assert value.infer('laptop', np.zeros((2, 3)), 0) == 'cuda'
    threads[1].start()
    proceed.set()
    for thread in threads:
        thread.join(LIMIT)
    value.fall_back(torch.OutOfMemoryError('CUDA out of memory'))
    assert seen == ['cpu', 'cpu'] and len(warnings) == 1


def test_auto_does_not_change_the_presets_that_its_pipelines_share(
        monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may estimate or track by one of them meanwhile."""
    value = models.Models(['auto'], 'fast', 'cpu', '', print, mesh_cells=40)
    before = {name: value._loaded.of(name).preset for name in value.categories}
    assert {p.cells for p in before.values()} == {40}
    seen = []

    def infer(self, cloud, mesh, seed):
        seen.append({name: value._loaded.of(name).preset for name in value.categories} == before)
        raise NoEstimate('nothing')

    monkeypatch.setattr(models.Pipeline, 'infer', infer)
    with pytest.raises(NoEstimate):
        value.infer('auto', np.random.default_rng(0).uniform(0.5, 0.6, (200, 3)), 0)
    assert len(seen) == len(before) and all(seen)


def test_auto_loads_all_categories_with_weights() -> None:
    value = models.Models(['auto'], 'fast', 'cpu', '', print)
    assert value.categories == tuple(trained_categories()) and len(value.categories) > 1
    with pytest.raises(NoEstimate, match='20 points on the object, at least 100'):
        value.infer('auto', np.full((20, 3), 0.5, dtype=np.float32), 0)
