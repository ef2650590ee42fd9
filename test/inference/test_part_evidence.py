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
from kinediff3d_core.objects.category import get_category

DRAWER = get_category('drawer')
PRESET = replace(Preset(), part_sets=PartSetConfig(uniform=0.0))
T = PRESET.hypothesis.weight_temperature


def hypotheses(*log_odds):
    """With these log-odds of the second to fourth drawer each."""
    certain = [[math.inf, math.inf, *row] for row in log_odds]
    return Hypotheses(torch.zeros(len(certain), 1),
                      SimpleNamespace(exists=torch.tensor(certain)),
                      SimpleNamespace(q=torch.zeros(len(certain), 4)))


def model(category=DRAWER, log_odds=()):
    shape = SimpleNamespace(decode=lambda z, q: hypotheses(*log_odds).field)
    return SimpleNamespace(category=category, shape=shape)


def test_the_prior_is_that_of_the_networks():
    found = part_evidence(model(), PRESET, hypotheses([math.log(3), -9.0, -20.0]), None)
    assert found.prior.tolist() == pytest.approx([0.25, 0.75, 0, 0], abs=1e-3)


def test_a_share_of_the_prior_is_uniform():
    preset = replace(PRESET, part_sets=replace(PRESET.part_sets, uniform=0.5))
    found = part_evidence(model(), preset, hypotheses([50.0, 50.0, -50.0]), None)
    assert found.prior.tolist() == pytest.approx([0.125, 0.125, 0.625, 0.125])


def test_samples_are_fitted_with_sets_that_the_networks_find_likely():
    found = part_evidence(model(), PRESET, hypotheses([0.3, -50.0, -50.0]), None)
    assert found.fitted == (0, 1)
    found = part_evidence(model(), PRESET, hypotheses([2.0, -5.0, -50.0]), None)
    assert found.fitted == (1,)


def test_objects_that_all_have_the_same_parts_need_no_evidence():
    assert part_evidence(model(get_category('laptop')), PRESET, None, None) is None


def test_scores_count_the_prior_the_fronts_and_the_shape(monkeypatch):
    monkeypatch.setattr(module, 'mismatch', lambda *_: torch.tensor([0.0, 2.0]))
    found = hypotheses([-5.0, -5.0, -5.0], [5.0, -5.0, -5.0])
    prior = torch.tensor([0.2, 0.8, 0.0, 0.0])
    plain = PartEvidence(prior, None, ()).score(model(), PRESET, found)
    assert plain.tolist() == pytest.approx([-T * math.log(0.2), -T * math.log(0.8)])
    both = PartEvidence(prior, 'fronts', ()).score(model(), PRESET, found)
    assert (both - plain).tolist() == pytest.approx([0.0, 2 * PRESET.fronts.weight])
    # The refined shapes have one drawer, with probabilities of 3/4 for the first hypothesis.
    own = model(log_odds=([-math.log(3), -50.0, -50.0], [-50.0, -50.0, -50.0]))
    final = PartEvidence(prior, None, ()).final_score(own, PRESET, found)
    assert (final - plain).tolist() == pytest.approx([-T * math.log(0.75), 50 * T], rel=1e-4)


def test_states_with_a_drawer_at_each_face_are_likely_without_any_sample(monkeypatch):
    monkeypatch.setattr(module, 'mismatch', lambda *_: torch.tensor([0.0, 50.0]))
    share = torch.tensor([0.01, 0.4])
    found, even = hypotheses([0.0] * 3), torch.ones(4) / 4
    seen = PartEvidence(even, 'fronts', ()).sample_share(model(), PRESET, found, share)
    assert seen.tolist() == pytest.approx([0.505, 0.2])
    assert PartEvidence(even, None, ()).sample_share(model(), PRESET, found, share) is share
