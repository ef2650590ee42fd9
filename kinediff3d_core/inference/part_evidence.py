"""What a view says about which parts an object has, beside the fit: which drawers, which doors.

More parts always explain a cloud a little better, so the fit alone does not decide. Where fronts
of open drawers are seen, these and a prior over the sets of parts that the category allows count,
too. Closed fronts say little: without an open one, the networks decide which parts there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.inference.fronts import Fronts, mismatch, stands_out
from kinediff3d_core.inference.hypotheses import Hypotheses
from kinediff3d_core.inference.model import CategoryModel
from kinediff3d_core.inference.part_sets import (
    log_probability,
    set_index,
    set_probabilities,
)
from kinediff3d_core.inference.presets import Preset


@dataclass(frozen=True)
class PartEvidence:
    """Evidence about the parts of one object; sets as in ``Category.possible_sets``.

    Attributes:
        prior: (S) probabilities of the sets before the view is fitted.
        fronts: of drawers.
        fitted: indices of the sets with which the samples are fitted.
    """

    prior: Tensor
    fronts: Fronts
    fitted: tuple[int, ...]

    def score(self, model: CategoryModel, preset: Preset, found: Hypotheses) -> Tensor:
        """What it adds to the fit scores (H) of hypotheses."""
        index = set_index(found.field.exists, model.category)
        score = -preset.hypothesis.weight_temperature * self.prior.to(index.device).log()[index]
        unpaired = mismatch(model.shape, found.field, found.state, self.fronts, preset.fronts)
        return score + preset.fronts.weight * unpaired.to(score)

    def final_score(self, model: CategoryModel, preset: Preset, found: Hypotheses) -> Tensor:
        """As :meth:`score`, of refined hypotheses: whether the code's own shape has these parts
        counts, too."""
        own = model.shape.decode(found.z, found.state.q).exists
        unlikely = -log_probability(own, found.field.exists > 0)
        return (self.score(model, preset, found)
                + preset.hypothesis.weight_temperature * unlikely)

    def sample_share(self, model: CategoryModel, preset: Preset, found: Hypotheses, share: Tensor,
                     ) -> Tensor:
        """Prior probabilities (H) of the states by the score model's shares of samples (H).

        The fronts are the other half of the prior: states with a drawer at each face are likely,
        even if no sample lies there.
        """
        unpaired = mismatch(model.shape, found.field, found.state, self.fronts, preset.fronts)
        return (share + torch.exp(-unpaired)) / 2


def part_evidence(model: CategoryModel, preset: Preset, found: Hypotheses,
                  fronts: Fronts | None) -> PartEvidence | None:
    """The evidence before a view is fitted; None where no front of an open drawer is seen.

    Args:
        found: hypotheses with the parts that their codes have, the likeliest first.
    """
    category, config = model.category, preset.part_sets
    if fronts is None or not category.optional_parts or not stands_out(
            category, fronts, found.state[:1].to('cpu'), found.field[:1], preset.fronts):
        return None
    own = set_probabilities(found.field.exists, category, config.uniform)
    fitted = own >= config.likely * own.max()
    fitted[own.argmax()] = True
    return PartEvidence(own, fronts, tuple(torch.nonzero(fitted)[:, 0].tolist()))
