"""What the pipeline does between its stages, with stages whose answers are set by the test."""

import math
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from estimates import laptop_estimate
from spheres import SphereShape, sphere_field
from states import states_about

from kinediff3d_core.inference import pipeline as module
from kinediff3d_core.inference.hypotheses import RefinedHypotheses
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.presets import HypothesisConfig, Preset
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import Mesh, NoEstimate

MAX_RESIDUAL = 0.0625
PRESET = Preset(hypothesis=HypothesisConfig(score_temperature=0.005, max_residual=MAX_RESIDUAL))
MESH = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
SAMPLES = states_about([0.0, 0.0, 0.0, 120.0], [0.0] * 4)
"""Three samples around the first hypothesis, one around the second."""


@pytest.fixture
def infer(monkeypatch):
    """Estimates of two hypotheses with given scores and residuals; and what was built of them."""
    made = SimpleNamespace(refined=None, fields=[])

    def part_meshes(model, preset, field):
        made.fields.append(field)
        return MESH, MESH

    def build_estimate(model, preset, refined, view, samples):
        made.refined = refined
        return laptop_estimate()

    def answer(scores, residuals=(0.01, 0.02), mesh=False, log_support=(0.0, 0.0)):
        field = sphere_field(2)
        field = replace(field, centre=field.centre + torch.tensor([0.0, 1.0]).view(2, 1, 1))
        refined = RefinedHypotheses(torch.zeros(2, 3), field,
                                    states_about([0.0, 120.0], [0.0, 0.0]), torch.tensor(scores),
                                    torch.tensor(residuals), torch.zeros(2, 7, 7),
                                    torch.tensor(log_support))
        monkeypatch.setattr(module, 'refine_hypotheses', lambda *_: refined)
        model = SimpleNamespace(
            category=get_category('laptop'), device=torch.device('cpu'), shape=SphereShape(),
            pose=None, latent=None, units=torch.ones(1), graphs=None)
        return Pipeline(model, PRESET).infer(np.zeros((200, 3)), mesh=mesh), made

    monkeypatch.setattr(module, 'cloud_of', lambda *_: None)
    monkeypatch.setattr(module, 'prepare_view', lambda *_: SimpleNamespace(network_clouds=None))
    monkeypatch.setattr(module, 'sample_states', lambda *_: SAMPLES)
    monkeypatch.setattr(module, 'initial_hypotheses', lambda *_: (None, None))
    monkeypatch.setattr(module.decoding, 'part_meshes', part_meshes)
    monkeypatch.setattr(module.result, 'build_estimate', build_estimate)
    return answer


def test_scores_fall_with_the_share_of_samples_around_a_hypothesis(infer):
    _, made = infer([0.010, 0.006])
    assert made.refined.score.tolist() == pytest.approx(
        [0.010 - 0.005 * math.log(3.5 / 5), 0.006 - 0.005 * math.log(1.5 / 5)], rel=1e-4)
    # The second one explains the cloud better, but has fewer samples.
    assert made.refined.best == 0


def test_a_hypothesis_that_the_image_contradicts_is_ranked_below_a_worse_fit(infer):
    _, made = infer([0.001, 0.006], log_support=(-4.0, 0.0))
    assert made.refined.score.tolist() == pytest.approx(
        [0.021 - 0.005 * math.log(3.5 / 5), 0.006 - 0.005 * math.log(1.5 / 5)], rel=1e-4)
    assert made.refined.best == 1


def test_stages_are_timed_and_meshes_left_out_where_they_are_not_wanted(infer):
    start = time.perf_counter()
    estimate, made = infer([0.01, 0.02])
    assert list(estimate.seconds) == ['cloud', 'pose', 'shape', 'refine', 'mesh']
    assert 0 < sum(estimate.seconds.values()) < time.perf_counter() - start
    assert not made.fields
    for part, expected in zip(estimate.parts, laptop_estimate().parts, strict=True):
        np.testing.assert_array_equal(part.mesh.vertices, expected.mesh.vertices)


def test_meshes_are_those_of_the_best_hypothesis(infer):
    estimate, made = infer([0.02, 0.01], mesh=True)
    field, = made.fields
    assert field.centre.tolist() == (sphere_field().centre + 1.0).tolist()
    assert [part.mesh for part in estimate.parts] == [MESH, MESH]


def test_a_best_hypothesis_that_does_not_explain_the_cloud_is_refused(infer):
    infer([0.01, 0.05], (MAX_RESIDUAL, 1.0))
    with pytest.raises(NoEstimate, match=r'mean distance 20 mm'):  # 0.08 units of 0.25 m
        infer([0.01, 0.05], (0.08, 0.0))
