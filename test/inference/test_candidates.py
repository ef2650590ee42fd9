"""Which candidate is chosen, with confidences that the test sets."""

from dataclasses import replace

import numpy as np
import pytest
from estimates import laptop_estimate

from kinediff3d_core.inference.candidates import CandidateConfig, choose_candidate
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.observation.segmentation import Candidate

SCORES = 0.16, 0.08, 0.04, 0.02, 0.001


def choose(*confidences, **options):
    """The choice among candidates of these confidences; None has no estimate."""
    def infer(cloud):
        confidence = confidences[round(float(cloud.points[0, 0]))]
        if confidence is None:
            raise NoEstimate(f'not {cloud.points[0, 0]:.0f}')
        return replace(laptop_estimate(), confidence=confidence)

    found = [Candidate(ObjectCloud(np.full((1, 3), float(i))), score)
             for i, score in enumerate(SCORES[:len(confidences)])]
    return choose_candidate(infer, found, 0.3, **options)


@pytest.mark.parametrize(('confidences', 'index', 'tried'), [
    ((0.9, 0.9), 0, 1),  # no other can have a greater product
    ((0.4, 0.9), 1, 2),
    ((0.4, 0.7), 0, 2),
    ((0.2, 0.31, 0.9), 2, 3),  # a refused one is not taken, however large it is
    ((None, 0.2, 0.8, 0.9), 2, 3),
    ((0.2, 0.31, 0.3, 0.2, 0.9), 1, 3),
    ((0.1, 0.25), 1, 2),  # all are refused: the one that comes nearest
    ((None, None, None, None, 0.9), None, None),  # far too small
])
def test_greatest_product_of_what_is_not_refused(confidences, index, tried):
    if index is None:
        with pytest.raises(NoEstimate, match='not 0'):
            choose(*confidences)
        return
    choice = choose(*confidences)
    assert (choice.index, choice.estimate.confidence) == (index, confidences[index])
    assert choice.tried == tried


def test_number_of_estimates_is_bounded():
    with pytest.raises(NoEstimate, match='not 0'):
        choose(None, None, None, 0.9, config=CandidateConfig(most=3))
    assert choose(None, None, 0.9, config=CandidateConfig(most=3)).index == 2
