"""How ``category: auto`` chooses, with pipelines whose answers are set by the test."""

import math
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from estimates import laptop_estimate

from kinediff3d_core.inference import auto
from kinediff3d_core.inference.auto import AutoConfig, AutoPipeline, load_pipeline, misfit
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud

CLOUD = ObjectCloud(np.random.default_rng(0).uniform(0.5, 0.6, (200, 3)).astype(np.float32))


@dataclass
class FakePipeline:
    """Answers with its own confidence, or says why not; ``model`` holds its answers."""

    model: SimpleNamespace
    preset: Preset = Preset()

    def infer(self, cloud, mesh, seed):
        self.model.calls.append((self.preset.rounds, mesh, seed))
        if self.preset.rounds in self.model.refuses:
            raise NoEstimate(f'{self.model.name} {self.preset.rounds}')
        return replace(laptop_estimate(), category=self.model.name, confidence=0.8,
                       support=self.model.support)

    def generate(self, estimate, positions):
        return self.model.name, positions


@pytest.fixture
def auto_of(monkeypatch):
    """An auto pipeline of misfits by category; the models have refusals by round and support."""
    def make(refuses=(), **misfits):
        models = {name: SimpleNamespace(name=name, calls=[], support=1.0,
                                        refuses=dict(refuses).get(name, ())) for name in misfits}
        monkeypatch.setattr(auto, 'Pipeline', FakePipeline)
        monkeypatch.setattr(auto, 'misfit', lambda pipeline, *_: misfits[pipeline.model.name])
        config = AutoConfig(finalists=2, temperature=0.01)
        return AutoPipeline({name: FakePipeline(m) for name, m in models.items()}, config), models

    return make


def test_categories_are_weighted_by_their_misfits(auto_of):
    pipeline, models = auto_of(box=0.03, laptop=0.01, stapler=0.02)
    estimate = pipeline.infer(CLOUD, seed=3)
    shares = np.array([math.exp(-2), 1.0, math.exp(-1)])
    assert estimate.category == 'laptop'
    assert list(estimate.categories) == ['box', 'laptop', 'stapler']
    assert list(estimate.categories.values()) == pytest.approx(shares / shares.sum())
    assert estimate.confidence == pytest.approx(0.8 / shares.sum())
    # One round for all, without meshes; everything for the two that fit best.
    rounds = Preset().rounds
    assert models['box'].calls == [(1, False, 3)]
    assert models['laptop'].calls == models['stapler'].calls == [(1, False, 3), (rounds, True, 3)]


def test_a_category_that_the_image_contradicts_loses_its_weight(auto_of):
    """As scissors whose table a box's lid would cover; a support of 0 has no logarithm."""
    pipeline, models = auto_of(box=0.01, laptop=0.01, stapler=0.02)
    models['box'].support, models['laptop'].support = 0.1, 0.0
    estimate = pipeline.infer(CLOUD)
    shares = np.array([0.1, 0.0, math.exp(-1)])
    assert estimate.category == 'stapler'
    assert list(estimate.categories.values()) == pytest.approx(shares / shares.sum(), abs=1e-6)
    assert not models['laptop'].calls[1:]


def test_a_category_without_estimate_has_no_weight(auto_of):
    pipeline, _ = auto_of((('box', (1,)), ('laptop', (Preset().rounds,))),
                          box=0.03, laptop=0.01, stapler=0.02)
    estimate = pipeline.infer(CLOUD)
    # The laptop explains the view after a round, but has no final estimate.
    assert estimate.category == 'stapler' and estimate.categories['box'] == 0.0
    assert estimate.categories['laptop'] == pytest.approx(1 / (1 + math.exp(-1)))


def test_without_any_estimate_the_last_reason_is_given(auto_of):
    pipeline, _ = auto_of((('box', (1,)), ('laptop', (4,))), box=0.03, laptop=0.01)
    with pytest.raises(NoEstimate, match='no category explains the cloud; laptop 4'):
        pipeline.infer(CLOUD)


def test_states_are_generated_by_the_category_of_the_estimate(auto_of):
    pipeline, _ = auto_of(box=0.03, laptop=0.01)
    assert pipeline.generate(laptop_estimate(), [1.0]) == ('laptop', [1.0])
    with pytest.raises(ValueError, match="no weights of category 'cutter'; loaded: box, laptop"):
        pipeline.generate(replace(laptop_estimate(), category='cutter'), [1.0])


def test_misfit_is_the_fit_score_in_extents_of_the_cloud(monkeypatch):
    """Points 0.4 m apart along x: two canonical units of 0.2 m."""
    clips, pipeline = [], SimpleNamespace(
        category=SimpleNamespace(scale=0.2), device='cpu', shape=None, preset=Preset(),
        decode_estimate=lambda estimate: (None, None),
        prepare_view=lambda generator, cloud: SimpleNamespace(observation=cloud))

    def fit_score(problem, state, config):
        clips.append(config.clip)
        return torch.tensor([0.03]), None

    monkeypatch.setattr(auto, 'fit_score', fit_score)
    monkeypatch.setattr(auto, 'surface_samples', lambda *_: (None, None))
    points = np.zeros((101, 3))
    points[:, 0] = np.linspace(0.0, 0.4 / 0.94, 101)  # from the 3rd to the 97th percentile: 0.4
    estimate = replace(laptop_estimate(), points=points)
    assert misfit(pipeline, estimate, np.zeros((0, 3)), clip=0.1) == pytest.approx(0.015)
    assert clips == [pytest.approx(0.2)]


def test_the_pipeline_of_a_category_is_loaded_by_its_name(monkeypatch, tmp_path):
    loaded, own = [], []
    monkeypatch.setattr(auto.Pipeline, 'load', lambda *given: loaded.append(given) or 'one')
    monkeypatch.setattr(AutoPipeline, 'load', lambda *given: loaded.append(given) or 'all')
    monkeypatch.setattr(auto, 'add_own_categories', own.append)
    assert load_pipeline('box', 'paper', 'cpu') == 'one' and load_pipeline('auto') == 'all'
    assert loaded == [('box', 'paper', 'cpu', None), ('fast', 'cpu', None)] and not own
    load_pipeline('box', weights=tmp_path)
    assert own == [tmp_path] and loaded[-1] == ('box', 'fast', 'cpu', tmp_path)
