"""Refusal of estimates by their confidence."""

from dataclasses import replace

import pytest
from estimates import laptop_estimate

from kinediff3d_core.inference.presets import PRESETS
from kinediff3d_core.inference.refusal import MIN_CONFIDENCE, require_confidence
from kinediff3d_core.objects.estimate import NoEstimate


def of(confidence, **more):
    return replace(laptop_estimate(), confidence=confidence, **more)


def test_an_estimate_is_an_answer_from_the_threshold_on():
    least = of(MIN_CONFIDENCE)
    assert require_confidence(least) is least
    assert require_confidence(of(0.0), 0.0).confidence == 0.0
    with pytest.raises(NoEstimate) as refusal:
        require_confidence(of(MIN_CONFIDENCE - 1e-6))
    assert str(refusal.value).endswith(f'below the threshold of {MIN_CONFIDENCE:g} '
                                       '(min_confidence)')


def test_the_threshold_has_one_home():
    assert {p.confidence.min_confidence for p in PRESETS.values()} == {MIN_CONFIDENCE}


def test_none_of_the_categories_is_said_with_the_nearest_one():
    with pytest.raises(NoEstimate) as refusal:
        require_confidence(of(0.125, categories={'box': 0.3, 'laptop': 0.7}), 0.4)
    assert str(refusal.value) == (
        'none of the 2 categories; the nearest is laptop (70 %): the confidence of 0.125 is below '
        'the threshold of 0.4 (min_confidence)')
