"""One frame of a sequence as the tracker fits it: with the object's cloud, or with none yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from kinediff3d_core.inference import refinement
from kinediff3d_core.networks.score import State
from kinediff3d_core.observation.cloud import DepthView, ObjectCloud
from kinediff3d_core.observation.free_space import Observation
from kinediff3d_core.tracking.fit import Fit, FrameFit


@dataclass(frozen=True)
class ObservedCloud:
    """A cloud of the object, m, and its observation, canonical units."""

    cloud: ObjectCloud
    observation: Observation


class FrameView(Protocol):
    """One frame. Its attribute ``gap`` is the time since the frame before, s."""

    gap: float

    def around(self, states: State) -> ObservedCloud:
        """What is observed of an object that is in one of the states (H)."""

    def fit(self, start: State, iterations: int, prior: refinement.Prior,
            ) -> tuple[Fit, ObservedCloud]:
        """Refined hypotheses, and what they were fitted to."""

    def seen_through(self, state: State) -> float:
        """Share of the surface of a fitted state (1) behind which the frame shows something: the
        object is not there. 0 where a mask says where it is."""


class MaskedFrame:
    """A frame whose mask gives the object's cloud."""

    def __init__(self, fit: FrameFit, cloud: ObjectCloud, gap: float) -> None:
        self._fit, self._cloud, self.gap = fit, cloud, gap

    @cached_property
    def _observed(self) -> ObservedCloud:
        return ObservedCloud(self._cloud, self._fit.observe(self._cloud))

    def around(self, states: State) -> ObservedCloud:
        return self._observed

    def fit(self, start: State, iterations: int, prior: refinement.Prior,
            ) -> tuple[Fit, ObservedCloud]:
        observed = self._observed
        return self._fit.refine(start, observed.observation, iterations, prior), observed

    def seen_through(self, state: State) -> float:
        return 0.0


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
        observed = self._observed(self._fit.tighten(wide.cloud, coarse.state))
        return self._fit.refine(coarse.state, observed.observation, iterations, prior), observed

    def seen_through(self, state: State) -> float:
        return self._fit.seen_through(self._view, state)

    def _observed(self, cloud: ObjectCloud) -> ObservedCloud:
        return ObservedCloud(cloud, self._fit.observe(cloud))
