"""One frame of a sequence as the tracker fits it: with the object's cloud, or with none yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from kinediff3d_core.inference import refinement
from kinediff3d_core.networks.score import State
from kinediff3d_core.observation.cloud import DepthView, ObjectCloud
from kinediff3d_core.observation.free_space import Observation
from kinediff3d_core.tracking.crop import NO_EVIDENCE, Crop, SurfaceEvidence
from kinediff3d_core.tracking.fit import Fit, FrameFit


@dataclass(frozen=True)
class ObservedCloud:
    """The points on the object, and their observation, canonical units."""

    crop: Crop
    observation: Observation

    @property
    def cloud(self) -> ObjectCloud:
        """The points, m."""
        return self.crop.cloud


class FrameView(Protocol):
    """One frame. Its attribute ``gap`` is the time since the frame before, s."""

    gap: float

    def around(self, states: State) -> ObservedCloud:
        """What is observed of an object that is in one of the states (H)."""

    def fit(self, start: State, iterations: int, prior: refinement.Prior,
            ) -> tuple[Fit, ObservedCloud]:
        """Refined hypotheses, and what they were fitted to."""

    def evidence(self, state: State, observed: ObservedCloud) -> SurfaceEvidence:
        """What the frame shows where the surface of a state (1) is that was fitted to a cloud;
        all 0 where a mask says where the object is."""


class MaskedFrame:
    """A frame whose mask gives the object's cloud."""

    def __init__(self, fit: FrameFit, cloud: ObjectCloud, gap: float) -> None:
        self._fit, self._cloud, self.gap = fit, cloud, gap

    @cached_property
    def _observed(self) -> ObservedCloud:
        return ObservedCloud(Crop(self._cloud, stride=1), self._fit.observe(self._cloud))

    def around(self, states: State) -> ObservedCloud:
        return self._observed

    def fit(self, start: State, iterations: int, prior: refinement.Prior,
            ) -> tuple[Fit, ObservedCloud]:
        observed = self._observed
        return self._fit.refine(start, observed.observation, iterations, prior), observed

    def evidence(self, state: State, observed: ObservedCloud) -> SurfaceEvidence:
        return NO_EVIDENCE


class CroppedFrame:
    """A frame without a mask: the cloud is cropped around the predicted surface, fitted, and
    tightened around the fitted one, so that what is beside it does not stay in the fit."""

    def __init__(self, fit: FrameFit, view: DepthView, gap: float) -> None:
        self._fit, self._view, self.gap = fit, view, gap

    def around(self, states: State) -> ObservedCloud:
        return self._observed(self._fit.crop(self._view, states, self.gap))

    def fit(self, start: State, iterations: int, prior: refinement.Prior,
            ) -> tuple[Fit, ObservedCloud]:
        wide = self.around(start)
        coarse = self._fit.refine(start, wide.observation, iterations, prior)
        observed = self._observed(self._fit.tighten(wide.crop, coarse.state))
        return self._fit.refine(coarse.state, observed.observation, iterations, prior), observed

    def evidence(self, state: State, observed: ObservedCloud) -> SurfaceEvidence:
        return self._fit.evidence(self._view, state, observed.crop)

    def _observed(self, crop: Crop) -> ObservedCloud:
        return ObservedCloud(crop, self._fit.observe(crop.cloud))
