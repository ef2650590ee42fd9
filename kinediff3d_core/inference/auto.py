"""``category: auto``: every category is tried, the one that explains the cloud best is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.inference import residuals
from kinediff3d_core.inference.pipeline import Generated, Pipeline, cloud_of
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.category_file import add_own_categories
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud

AUTO = 'auto'
FINALISTS = 3
"""Categories that get the whole optimisation after one round for all."""
REACH = 0.08
"""Distances beyond this share of the cloud's extent say no more than 'far'."""
TEMPERATURE = 0.003
"""Difference of misfits that makes a category e times less likely."""


class AutoPipeline:
    """Pipelines of several categories, used as one. Not thread-safe: one call at a time.

        estimate = AutoPipeline.load().infer(depth=depth, intrinsics=intrinsics, mask=mask)
        print(estimate.category, estimate.categories)
    """

    def __init__(self, pipelines: Mapping[str, Pipeline]) -> None:
        self.pipelines = dict(pipelines)

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
            the estimate by the category with the least :func:`misfit`, whose ``categories`` hold
            the weight of each.

        Raises:
            ValueError: input of a wrong shape or kind.
            NoEstimate: no category explains the view; the message has the reason of the last.
        """
        cloud = cloud_of(points, depth, intrinsics, mask)  # once, not for every category
        first, reasons = [], []
        for name, pipeline in self.pipelines.items():
            usual = pipeline.preset
            pipeline.preset = replace(usual, rounds=1)
            try:
                quick = pipeline.infer(cloud, mesh=False, seed=seed)
                first.append((misfit(pipeline, quick, cloud.others), name))
            except NoEstimate as reason:
                reasons.append(reason)
            finally:
                pipeline.preset = usual
        found: dict[str, tuple[float, ArticulatedEstimate]] = {}
        for _, name in sorted(first)[:FINALISTS]:
            try:
                estimate = self.pipelines[name].infer(cloud, mesh=mesh, seed=seed)
                found[name] = misfit(self.pipelines[name], estimate, cloud.others), estimate
            except NoEstimate as reason:
                reasons.append(reason)
        if not found:
            raise NoEstimate(f'no category explains the cloud; {reasons[-1]}')
        told = {name: value for value, name in first} | {n: found[n][0] for n in found}
        weight = np.exp((min(told.values()) - np.array(list(told.values()))) / TEMPERATURE)
        shares = dict(zip(told, (weight / weight.sum()).tolist(), strict=True))
        best = min(found, key=lambda name: found[name][0])
        return replace(found[best][1], categories={n: shares.get(n, 0.0) for n in self.pipelines},
                       confidence=found[best][1].confidence * shares[best])

    def generate(self, estimate: ArticulatedEstimate, positions: Sequence[float]) -> Generated:
        """As :meth:`Pipeline.generate`, by the estimate's category."""
        if estimate.category not in self.pipelines:
            raise ValueError(f'no weights of category {estimate.category!r}; loaded: '
                             f'{", ".join(self.pipelines)}')
        return self.pipelines[estimate.category].generate(estimate, positions)


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
def misfit(pipeline: Pipeline, estimate: ArticulatedEstimate, others: np.ndarray) -> float:
    """How badly an estimate explains its points, as a share of their extent.

    :func:`refinement.fit_score` at one reach for all categories, whatever their scales.

    Args:
        others: (M, 3) points off the object (:class:`ObjectCloud`), m.
    """
    points = np.asarray(estimate.points, dtype=np.float64)
    extent = float(np.linalg.norm(np.subtract(*np.percentile(points, (97, 3), axis=0))))
    extent /= pipeline.category.scale
    generator = torch.Generator(pipeline.device).manual_seed(0)
    field, state = pipeline.decode_estimate(estimate)
    view = pipeline.prepare_view(generator, ObjectCloud(points, others))
    surface, _ = residuals.surface_samples(pipeline.shape, field, pipeline.preset.surface[-1],
                                        generator)
    score, _ = residuals.fit_score(pipeline.shape, field, state, view.seen, surface,
                                   REACH * extent)
    return float(score[0]) / extent
