"""What a view says about an object's parts: a prior over sets, and fronts."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from kinediff3d_core.inference import part_evidence as module
from kinediff3d_core.inference.hypotheses import Hypotheses
from kinediff3d_core.inference.part_evidence import PartEvidence, part_evidence
from kinediff3d_core.inference.presets import PartSetConfig, Preset
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import get_category

DRAWER = get_category('drawer')
PRESET = replace(Preset(), part_sets=PartSetConfig(uniform=0.0))
T = PRESET.hypothesis.weight_temperature


def hypotheses(*log_odds):
    """With these log-odds of the second to fourth drawer each."""
    n = len(log_odds)
    odds = torch.tensor([[math.inf, math.inf, *row] for row in log_odds])
    box, of_joints, empty = torch.zeros(n, 5, 3), torch.zeros(n, 4, 3), torch.zeros(n, 0)
    return Hypotheses(torch.zeros(n, 1), Field(box, box, empty, empty, empty, of_joints, odds),
                      State(torch.eye(4).expand(n, 4, 4), torch.zeros(n, 4), of_joints, of_joints))


@pytest.fixture
def evidence(monkeypatch):
    """Of hypotheses, in a view that shows an open drawer."""
    monkeypatch.setattr(module, 'stands_out', lambda *_: True)
    return lambda found, preset=PRESET: part_evidence(model(), preset, found, 'fronts')


def model(category=DRAWER, log_odds=()):
    shape = SimpleNamespace(decode=lambda z, q: hypotheses(*log_odds).field)
    return SimpleNamespace(category=category, shape=shape)


def test_the_prior_is_that_of_the_networks(evidence):
    found = evidence(hypotheses([math.log(3), -9.0, -20.0]))
    assert found.prior.tolist() == pytest.approx([0.25, 0.75, 0, 0], abs=1e-3)


def test_a_share_of_the_prior_is_uniform(evidence):
    preset = replace(PRESET, part_sets=replace(PRESET.part_sets, uniform=0.5))
    found = evidence(hypotheses([50.0, 50.0, -50.0]), preset)
    assert found.prior.tolist() == pytest.approx([0.125, 0.125, 0.625, 0.125])


def test_samples_are_fitted_with_sets_that_the_networks_find_likely(evidence):
    assert evidence(hypotheses([0.3, -50.0, -50.0])).fitted == (0, 1)
    assert evidence(hypotheses([2.0, -5.0, -50.0])).fitted == (1,)


def test_without_the_front_of_an_open_drawer_the_networks_decide(evidence, monkeypatch):
    found = hypotheses([0.3, -50.0, -50.0])
    assert evidence(found) is not None
    monkeypatch.setattr(module, 'stands_out', lambda *_: False)
    assert evidence(found) is None
    assert part_evidence(model(), PRESET, found, None) is None
    # Objects that all have the same parts have no sets to choose from.
    monkeypatch.setattr(module, 'stands_out', lambda *_: True)
    assert part_evidence(model(get_category('laptop')), PRESET, found, 'fronts') is None


def test_scores_count_the_prior_the_fronts_and_the_shape(monkeypatch):
    monkeypatch.setattr(module, 'mismatch', lambda *_: torch.tensor([0.0, 2.0]))
    found = hypotheses([-5.0, -5.0, -5.0], [5.0, -5.0, -5.0])
    prior = torch.tensor([0.2, 0.8, 0.0, 0.0])
    score = PartEvidence(prior, 'fronts', ()).score(model(), PRESET, found)
    assert score.tolist() == pytest.approx([
        -T * math.log(0.2), -T * math.log(0.8) + 2 * PRESET.fronts.weight])
    # The refined shapes have one drawer, with probabilities of 3/4 for the first hypothesis.
    own = model(log_odds=([-math.log(3), -50.0, -50.0], [-50.0, -50.0, -50.0]))
    final = PartEvidence(prior, 'fronts', ()).final_score(own, PRESET, found)
    assert (final - score).tolist() == pytest.approx([-T * math.log(0.75), 50 * T], rel=1e-4)


def test_states_with_a_drawer_at_each_face_are_likely_without_any_sample(monkeypatch):
    monkeypatch.setattr(module, 'mismatch', lambda *_: torch.tensor([0.0, 50.0]))
    share = torch.tensor([0.01, 0.4])
    found, even = hypotheses([0.0] * 3), torch.ones(4) / 4
    seen = PartEvidence(even, 'fronts', ()).sample_share(model(), PRESET, found, share)
    assert seen.tolist() == pytest.approx([0.505, 0.2])
