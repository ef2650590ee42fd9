"""What a view says about an object's parts: a prior over sets, and the posterior of a fit."""

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
PRESET = replace(Preset(), part_sets=PartSetConfig(uniform=0.0, forgotten=0.0))
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


def test_earlier_views_multiply_the_prior_and_are_forgotten_a_little():
    even = hypotheses([0.0, -50.0, -50.0])
    found = part_evidence(model(), PRESET, even, None, (0.2, 0.8, 0.0, 0.0))
    assert found.prior.tolist() == pytest.approx([0.2, 0.8, 0, 0])
    preset = replace(PRESET, part_sets=replace(PRESET.part_sets, forgotten=0.4))
    found = part_evidence(model(), preset, even, None, (1.0, 0.0, 0.0, 0.0))
    assert found.prior.tolist() == pytest.approx([0.875, 0.125, 0, 0])
    # Those of another category have no meaning.
    found = part_evidence(model(), PRESET, even, None, (0.9, 0.1))
    assert found.prior[:2].tolist() == pytest.approx([0.5, 0.5])


def test_samples_are_fitted_with_sets_that_the_networks_or_earlier_views_find_likely():
    found = part_evidence(model(), PRESET, hypotheses([0.3, -50.0, -50.0]), None)
    assert found.fitted == (0, 1)
    found = part_evidence(model(), PRESET, hypotheses([2.0, -5.0, -50.0]), None)
    assert found.fitted == (1,)
    known = (0.0001, 0.0001, 0.9997, 0.0001)
    found = part_evidence(model(), PRESET, hypotheses([2.0, -5.0, -50.0]), None, known)
    assert found.fitted == (1, 2) and found.prior.argmax() == 2


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


def test_the_posterior_is_the_prior_by_the_fit_of_each_set():
    """The best hypothesis of each set counts. A fitted set of which none is left explains the view
    worse; of a set that was not fitted, nothing is known."""
    prior = torch.tensor([0.1, 0.2, 0.3, 0.4])
    evidence = PartEvidence(prior, None, (1, 2))
    found = hypotheses([-1.0, -1.0, -1.0], [1.0, -1.0, -1.0], [1.0, -1.0, -1.0])
    fit = torch.tensor([0.010, 0.010 + T * math.log(2), 0.5])
    score = fit + evidence.score(model(), PRESET, found)
    posterior = evidence.posterior(model(), PRESET, found, score)
    dropped = math.exp(-PRESET.part_sets.dropped)
    expected = torch.tensor([0.1, 0.2 / 2, 0.3 * dropped, 0.4])
    assert posterior == pytest.approx((expected / expected.sum()).tolist(), rel=1e-4)


def test_one_view_makes_no_set_less_likely_than_by_a_factor():
    evidence = PartEvidence(torch.tensor([0.5, 0.5, 0.0, 0.0]), None, (0, 1))
    found = hypotheses([-1.0, -1.0, -1.0], [1.0, -1.0, -1.0])
    score = torch.tensor([0.010, 0.5]) + evidence.score(model(), PRESET, found)
    one, two, *_ = evidence.posterior(model(), PRESET, found, score)
    assert math.log(one / two) == pytest.approx(PRESET.part_sets.dropped, rel=1e-4)
