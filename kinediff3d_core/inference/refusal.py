"""Refusal of full estimates that are too uncertain to be an answer."""

from __future__ import annotations

from kinediff3d_core.inference.presets import ConfidenceConfig
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate

MIN_CONFIDENCE = ConfidenceConfig().min_confidence
"""Least confidence of an answer where none is given."""


def require_confidence(estimate: ArticulatedEstimate, least: float = MIN_CONFIDENCE,
                       ) -> ArticulatedEstimate:
    """The estimate itself, if its confidence is not below ``least``; 0 takes every estimate.

    It is for full estimates. A tracked object is judged by
    :class:`~kinediff3d_core.tracking.reinitialization.TrackQuality`.

    Raises:
        NoEstimate: the confidence is lower; the message names both and, with category ``auto``,
            the category that fits best.
    """
    if estimate.confidence >= least:
        return estimate
    reason = (f'the confidence of {estimate.confidence:.3f} is below the threshold of {least:g} '
              '(min_confidence)')
    if estimate.categories:
        share = estimate.categories[estimate.category]
        reason = (f'none of the {len(estimate.categories)} categories; the nearest is '
                  f'{estimate.category} ({100 * share:.0f} %): {reason}')
    raise NoEstimate(reason)
