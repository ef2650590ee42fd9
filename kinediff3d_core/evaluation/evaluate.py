"""Runs a pipeline over test views and scores its estimates (docs/evaluation.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from kinediff3d_core.distributed.journal import Journal
from kinediff3d_core.distributed.ranks import ALONE, Ranks
from kinediff3d_core.evaluation.calibration import predicted_errors
from kinediff3d_core.evaluation.data_units import in_data_unit
from kinediff3d_core.evaluation.pose_metrics import mode_metrics, pose_metrics
from kinediff3d_core.evaluation.published_metrics import Protocol
from kinediff3d_core.evaluation.records import Record
from kinediff3d_core.evaluation.samples import Sample, Samples, UnusableView
from kinediff3d_core.evaluation.shape_metrics import (
    SAMPLES,
    ShapeComparison,
    generated_shape,
    generation_metrics,
    shape_metrics,
)
from kinediff3d_core.evaluation.symmetry import equivalents, nearest
from kinediff3d_core.evaluation.worst_views import described, remove_view, worst_views, write_view
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate

if TYPE_CHECKING:
    from kinediff3d_core.inference.pipeline import Pipeline
    from kinediff3d_core.inference.view import PreparedView

Method = Callable[['Pipeline', Sample, bool, int], ArticulatedEstimate]
"""Estimate of a sample, with meshes or without, for a seed; may raise :class:`NoEstimate`."""


def infer(pipeline: Pipeline, sample: Sample, mesh: bool, seed: int) -> ArticulatedEstimate:
    """The pipeline's own estimate; the method that is scored by default."""
    return pipeline.infer(depth=sample.depth, intrinsics=sample.intrinsics, mask=sample.mask,
                          mesh=mesh, seed=seed)


def prepared_view(pipeline: Pipeline, sample: Sample, seed: int,
                  ) -> tuple[torch.Generator, PreparedView]:
    """The seeded generator of a baseline, and a sample as the networks see it."""
    generator = torch.Generator(pipeline.device).manual_seed(seed)
    return generator, pipeline.prepare_view(generator, depth=sample.depth,
                                            intrinsics=sample.intrinsics, mask=sample.mask)


@dataclass(frozen=True)
class EvaluationConfig:
    """How views are estimated and scored."""

    count: int
    """Views: samples 0 to count - 1."""
    seed: int = 0
    """Of the estimates and of the points drawn on surfaces."""
    points: int = SAMPLES
    """Points drawn on a surface for one Chamfer distance."""
    method: Method = infer
    """What is scored: the pipeline, or one of :mod:`kinediff3d_core.evaluation.baselines`."""
    protocol: Protocol | None = None
    """Metrics of another paper beside ours; None adds none."""
    pictures: Path | None = None
    """Folder for the worst estimates by rotation error, with their inputs; None writes none."""
    worst: int = 3
    """Number of these estimates."""


def evaluate(pipeline: Pipeline, samples: Samples, config: EvaluationConfig, ranks: Ranks = ALONE,
             journal: Journal | None = None,
             progress: Callable[[int], object] | None = None) -> list[Record]:
    """Score the first views, each by one of the ranks.

    Args:
        ranks: the processes that share the views.
        journal: records of this run so far, which are not made again, and where further ones go.
        progress: is called with the number of this rank's views that are done.

    Returns:
        the records of all ranks, in the order of the views.

    Raises:
        ValueError: the number of views is not positive.
    """
    if config.count < 1:
        raise ValueError(f'the number of samples must be positive, got {config.count}')
    own = ranks.share(range(config.count))
    done = {} if journal is None else {i: journal.entries[i] for i in own if i in journal.entries}
    if progress is not None:
        progress(len(done))
    for record in score_samples(pipeline, samples, [i for i in own if i not in done], config):
        done[record.index] = record.to_dict()
        if journal is not None:
            journal.append(record.index, done[record.index])
        if progress is not None:
            progress(len(done))
    gathered = [Record.from_dict(entry) for part in ranks.gather(json.dumps(list(done.values())))
                for entry in json.loads(part)]
    records = sorted(gathered, key=lambda r: r.index)
    if config.pictures is not None:
        _draw_worst(pipeline, samples, config, records, ranks)
    return records


def score_samples(pipeline: Pipeline, samples: Samples, indices: Sequence[int],
                  config: EvaluationConfig) -> Iterator[Record]:
    """Yield the scores of samples, one after the other."""
    first = True
    for index in indices:
        try:
            sample = samples(index)
        except UnusableView as error:
            yield Record(index, error.name, None, str(error), category=pipeline.category.name,
                         skipped=True)
            continue
        if first:  # The first call of a process sets things up. It is not timed.
            score(pipeline, sample, replace(config, points=100))
            first = False
        yield score(pipeline, sample, config)[0]


def _draw_worst(pipeline: Pipeline, samples: Samples, config: EvaluationConfig,
                records: Sequence[Record], ranks: Ranks) -> None:
    """Draw the worst estimates, which are made again: a record may be of an earlier process."""
    assert config.pictures is not None
    if ranks.first:
        for place in range(1, config.worst + 1):
            remove_view(config.pictures / f'worst_{place}')
    ranks.wait()
    for place, index in ranks.share(worst_views(records, config.worst)):
        sample = samples(index)
        estimate = config.method(pipeline, sample, True, config.seed)
        record = next(r for r in records if r.index == index)
        write_view(config.pictures / f'worst_{place}', sample, estimate, described(record))
    ranks.wait()


def score(pipeline: Pipeline, sample: Sample, config: EvaluationConfig,
          ) -> tuple[Record, ArticulatedEstimate | None]:
    """Estimate one sample and compare it with the truth; shapes too where the truth has them."""
    started = time.perf_counter()
    record = Record(sample.index, sample.name, None, '', sample.visibility, sample.truth.category,
                    sample.notes)
    try:
        estimate = config.method(pipeline, sample, sample.truth.surfaces is not None, config.seed)
    except NoEstimate as reason:
        return replace(record, reason=str(reason)), None
    seconds = time.perf_counter() - started
    metrics = compare(pipeline, estimate, sample, config.seed, config.points)
    if config.protocol is not None:
        metrics |= config.protocol(estimate, nearest(estimate, sample.truth))
    if sample.metres != 1:
        metrics = in_data_unit(metrics, sample.metres, estimate.joints)
    metrics['seconds'] = seconds
    metrics.update({f'seconds_{stage}': t for stage, t in estimate.seconds.items()})
    return replace(record, metrics=metrics), estimate


def compare(pipeline: Pipeline, estimate: ArticulatedEstimate, sample: Sample, seed: int = 0,
            points: int = SAMPLES) -> dict[str, float]:
    """All metrics of an estimate; those of shapes where it has meshes and the truth has surfaces
    and positions.

    Of equally true readings (:func:`equivalents`) the nearest one counts. The metrics include
    the errors that the estimate itself predicts (:func:`predicted_errors`).
    """
    readings = equivalents(sample.truth)
    truth = nearest(estimate, sample.truth)
    metrics = (pose_metrics(estimate, truth) | mode_metrics(estimate, readings)
               | predicted_errors(estimate))
    if truth.surfaces is None or not np.isfinite(truth.positions).all() \
            or any(part.mesh is None for part in estimate.parts):
        return metrics
    rng = np.random.default_rng([seed, sample.index])
    metrics.update(shape_metrics(estimate, truth, rng, points))
    wanted = dict(zip(truth.joint_names, sample.generate_at.tolist(), strict=True))
    # Joints that the object does not have keep their estimated positions.
    generated = pipeline.generate(estimate, [wanted.get(j.name, j.position)
                                             for j in estimate.joints])
    names = [p.name for p in estimate.parts]
    comparison = ShapeComparison(truth, sample.generate_at, rng, points)
    decoded = generation_metrics(dict(zip(names, generated.decoder, strict=True)), estimate,
                                 comparison)
    chain = comparison.whole(generated_shape(dict(zip(names, generated.chain, strict=True)),
                                             estimate, truth, sample.generate_at),
                             to_surface=False)
    metrics.update({f'gen_{name}': value for name, value in decoded.items()})
    metrics.update({f'gen_chain_{name}': value for name, value in chain.items()})
    return metrics
