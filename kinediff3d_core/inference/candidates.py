"""Which of the things that segmentation proposes is the object, by an estimate of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kinediff3d_core.inference.refusal import MIN_CONFIDENCE
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.observation.segmentation import Candidate


@dataclass(frozen=True)
class CandidateConfig:
    """Which candidates are estimated."""

    most: int = 6
    """So many get an estimate, at most. Chosen: it bounds the time where all are refused."""
    least_score: float = 0.05
    """Least score of segmentation, as a share of the best one's: what is smaller, or farther from
    the image's centre, is not what the camera was pointed at. Chosen: on real frames the object
    has 0.12 or more (``evaluation.unmasked_frames``)."""


CONFIG = CandidateConfig()


@dataclass(frozen=True)
class Choice:
    """The candidate that was chosen.

    Attributes:
        index: its number, from 0 on. estimate: of it, which may be one that is refused.
        tried: number of candidates that got an estimate.
    """

    index: int
    estimate: ArticulatedEstimate
    tried: int


def choose_candidate(infer: Callable[[ObjectCloud], ArticulatedEstimate],
                     candidates: Sequence[Candidate], least: float = MIN_CONFIDENCE,
                     config: CandidateConfig = CONFIG) -> Choice:
    """The candidate with the greatest product of confidence and score, among those that are not
    refused; if all are, the one among these.

    Candidates are estimated in the order of their scores, and no more once none of the others can
    have a greater product: mostly the first one alone.

    Args:
        infer: gives the estimate of a cloud, or raises ``NoEstimate``.
        candidates: at least one, best first.
        least: confidence from which on an estimate is not refused.

    Raises:
        NoEstimate: no candidate has an estimate; the message is that of the first one.
    """
    reasons: list[NoEstimate] = []
    chosen: tuple[int, ArticulatedEstimate] | None = None
    best = False, 0.0  # whether it is accepted, and its product
    tried = 0
    for i, candidate in enumerate(candidates[:config.most]):
        if candidate.score < max(config.least_score * candidates[0].score,
                                 best[1] if best[0] else 0.0):
            break
        tried += 1
        try:
            estimate = infer(candidate.cloud)
        except NoEstimate as reason:
            reasons.append(reason)
            continue
        value = estimate.confidence >= least, estimate.confidence * candidate.score
        if chosen is None or value > best:
            best, chosen = value, (i, estimate)
    if chosen is None:
        raise reasons[0]
    return Choice(*chosen, tried)
