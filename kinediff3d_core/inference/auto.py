"""``category: auto``: estimates of all categories, of which the one with the best fit is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.inference.decoding import Generated
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.residuals import Problem, fit_score, surface_samples
from kinediff3d_core.inference.view import cloud_of
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.category_file import add_own_categories
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud

AUTO = 'auto'
"""The category name for which commands and nodes try all categories."""


@dataclass(frozen=True)
class AutoConfig:
    """How the category is chosen."""

    finalists: int = 3
    """Categories that get the whole optimisation after one round for all. Chosen."""
    clip: float = 0.08
    """Share of the cloud's extent at which distances are clipped. Chosen."""
    temperature: float = 0.003
    """Difference of misfits that makes a category's weight e times smaller. Chosen."""


LEAST_SUPPORT = 1e-12
"""Bounds the logarithm of a support."""

CONFIG = AutoConfig()
"""The configuration where none is given."""


class AutoPipeline:
    """Pipelines of several categories, used as one. Not thread-safe: one call at a time.

        estimate = AutoPipeline.load().infer(depth=depth, intrinsics=intrinsics, mask=mask)
        print(estimate.category, estimate.categories)
    """

    def __init__(self, pipelines: Mapping[str, Pipeline], config: AutoConfig = CONFIG) -> None:
        self.pipelines, self.config = dict(pipelines), config

    @classmethod
    def load(cls, preset: str = 'fast', device: str = 'cpu', weights: Path | None = None,
             ) -> AutoPipeline:
        """All categories with weights.

        Args:
            weights: folder with one folder a category; None takes the shipped ones.

        Raises:
            ValueError: no category has weights there, or as :meth:`Pipeline.load`.
        """
        names = trained_categories(weights)
        if not names:
            raise ValueError(f'no category has weights in {weights}; it must hold one folder a '
                             'category')
        return cls({name: Pipeline.load(name, preset, device, weights) for name in names})

    def infer(self, points: np.ndarray | ObjectCloud | None = None, *,
              depth: np.ndarray | None = None, intrinsics: Intrinsics | None = None,
              mask: np.ndarray | None = None, mesh: bool = True,
              seed: int = 0) -> ArticulatedEstimate:
        """Estimate the object in one view, and what it is; as :meth:`Pipeline.infer`.

        Returns:
            the estimate by the category with the greatest weight, by :func:`misfit` and support,
            whose ``categories`` hold the weight of each.

        Raises:
            ValueError: input of a wrong shape or kind.
            NoEstimate: no category explains the view; the message has the reason of the last.
        """
        cloud = cloud_of(points, depth, intrinsics, mask)  # once, not for every category
        quick = {name: Pipeline(p.model, replace(p.preset, rounds=1))
                 for name, p in self.pipelines.items()}
        first, reasons = self._estimates(quick, cloud, False, seed)
        order = sorted((self._cost(*answer), name) for name, answer in first.items())
        finalists = {name: self.pipelines[name] for _, name in order[:self.config.finalists]}
        final, more_reasons = self._estimates(finalists, cloud, mesh, seed)
        if not final:
            raise NoEstimate(f'no category explains the cloud; {(reasons + more_reasons)[-1]}')
        weights = self._weights(first | final)
        best = max(final, key=weights.__getitem__)
        estimate = final[best][1]
        return replace(estimate, categories={n: weights.get(n, 0.0) for n in self.pipelines},
                       confidence=estimate.confidence * weights[best])

    def _estimates(self, pipelines: Mapping[str, Pipeline], cloud: ObjectCloud, mesh: bool,
                   seed: int) -> tuple[dict[str, tuple[float, ArticulatedEstimate]],
                                       list[NoEstimate]]:
        """Misfit and estimate by category, and the reasons of those without an estimate."""
        found: dict[str, tuple[float, ArticulatedEstimate]] = {}
        reasons = []
        for name, pipeline in pipelines.items():
            try:
                estimate = pipeline.infer(cloud, mesh=mesh, seed=seed)
                found[name] = (misfit(pipeline, estimate, cloud.others, self.config.clip),
                               estimate)
            except NoEstimate as reason:
                reasons.append(reason)
        return found, reasons

    def _weights(self, found: Mapping[str, tuple[float, ArticulatedEstimate]]) -> dict[str, float]:
        """Weight of each category by its misfit and its support; they sum to one."""
        values = np.array([self._cost(*answer) for answer in found.values()])
        weight = np.exp((values.min() - values) / self.config.temperature)
        return dict(zip(found, (weight / weight.sum()).tolist(), strict=True))

    def _cost(self, value: float, estimate: ArticulatedEstimate) -> float:
        """A misfit to which an estimate's support is added."""
        return value - self.config.temperature * math.log(max(estimate.support, LEAST_SUPPORT))

    def with_meshes(self, estimate: ArticulatedEstimate) -> ArticulatedEstimate:
        """As :meth:`Pipeline.with_meshes`, by the estimate's category."""
        return self._pipeline_of(estimate).with_meshes(estimate)

    def generate(self, estimate: ArticulatedEstimate, positions: Sequence[float]) -> Generated:
        """As :meth:`Pipeline.generate`, by the estimate's category."""
        return self._pipeline_of(estimate).generate(estimate, positions)

    def _pipeline_of(self, estimate: ArticulatedEstimate) -> Pipeline:
        """The pipeline of an estimate's category.

        Raises:
            ValueError: the category has no weights here.
        """
        if estimate.category not in self.pipelines:
            raise ValueError(f'no weights of category {estimate.category!r}; loaded: '
                             f'{", ".join(self.pipelines)}')
        return self.pipelines[estimate.category]


def load_pipeline(category: str, preset: str = 'fast', device: str = 'cpu',
                  weights: Path | None = None) -> Pipeline | AutoPipeline:
    """The pipeline of a category, or with ``auto`` of all that have weights.

    Args:
        category: one that ships, or one of your own whose file lies beside its weights.
        weights: folder with the networks, or with one folder a category (``auto`` needs that);
            None takes the shipped ones.
    """
    if weights is not None:
        add_own_categories(weights)
    if category == AUTO:
        return AutoPipeline.load(preset, device, weights)
    return Pipeline.load(category, preset, device, weights)


@torch.no_grad()
def misfit(pipeline: Pipeline, estimate: ArticulatedEstimate, others: np.ndarray,
           clip: float = CONFIG.clip) -> float:
    """How badly an estimate explains its points, as a share of their extent.

    The fit score with distances clipped at the same share of the extent for all categories,
    whatever their scales.

    Args:
        others: (M, 3) points off the object (:class:`ObjectCloud`), m.
        clip: share of the extent.
    """
    points = np.asarray(estimate.points, dtype=np.float64)
    extent = float(np.linalg.norm(np.subtract(*np.percentile(points, (97, 3), axis=0))))
    extent /= pipeline.category.scale
    generator = torch.Generator(pipeline.device).manual_seed(0)
    field, state = pipeline.decode_estimate(estimate)
    view = pipeline.prepare_view(generator, ObjectCloud(points, others))
    surface, _ = surface_samples(pipeline.shape, field, pipeline.preset.surface[-1], generator)
    score, _ = fit_score(Problem(pipeline.shape, field, view.observation, surface), state,
                         replace(pipeline.preset.score, clip=clip * extent))
    return float(score[0]) / extent
