"""The pipelines of a scene: which are loaded, and what happens when GPU memory runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kinediff3d_core.inference.presets import PRESETS
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.scene import models


def test_out_of_gpu_memory_continues_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class OnePipeline(models.Pipeline):
        def __init__(self, device: str) -> None:
            self.device, self.preset = device, PRESETS['fast']

        def infer(self, cloud, mesh, seed=0):
            if len(cloud) == 1 and (self.device != 'cpu' or seed == 9):
                raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')
            return self.device

    loaded = []

    def load(category, preset, device, weights) -> OnePipeline:
        loaded.append(OnePipeline(device))
        return loaded[-1]

    monkeypatch.setattr(models, 'load_pipeline', load)
    warnings: list[str] = []
    value = models.Models(['laptop'], 'fast', 'cuda', '', warnings.append, mesh_cells=40)
    assert value.infer('laptop', np.zeros((2, 3)), False, 0) == 'cuda' and not warnings
    assert value.infer('laptop', np.zeros((1, 3)), False, 0) == 'cpu'
    assert len(warnings) == 1 and 'cuda is out of memory' in warnings[0] and value.device == 'cpu'
    assert [p.preset.cells for p in loaded] == [40, 40]
    # On the CPU there is nothing to fall back to.
    with pytest.raises(torch.OutOfMemoryError):
        value.infer('laptop', np.zeros((1, 3)), False, 9)


def test_auto_loads_all_categories_with_weights() -> None:
    value = models.Models(['auto'], 'fast', 'cpu', '', print)
    assert value.categories == tuple(trained_categories()) and len(value.categories) > 1
    with pytest.raises(NoEstimate, match='20 points on the object, at least 100'):
        value.infer('auto', np.full((20, 3), 0.5, dtype=np.float32), False, 0)
