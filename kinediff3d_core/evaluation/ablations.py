"""What each heuristic gives: the same views and sequences with it and without it.

    python -m kinediff3d_core.evaluation.ablations --json docs/results/ablations.json

Heuristics of a full estimate are measured on procedural test views of every category, those of
tracking on cabinets whose drawers open and close, those of the segmentation on simulated scenes
and, with ``--frames``, on real ones. What the file already holds is not measured
again, so that a stopped run can continue. The tables go into docs/method.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from kinediff3d_core.evaluation.evaluate import EvaluationConfig, score
from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.evaluation.segmentation import (
    Frame,
    frame_summary,
    measure_frame,
    measure_scene,
    read_frames,
    scene_summary,
    scenes,
)
from kinediff3d_core.evaluation.summary import failed
from kinediff3d_core.evaluation.tracked_sequences import (
    RATE,
    TrackedSequence,
    moving_object,
    track_frames,
    track_object,
)
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.presets import Preset
from kinediff3d_core.io.files import write_text
from kinediff3d_core.networks.checkpoints import trained_categories
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.observation.instances import InstanceConfig
from kinediff3d_core.simulation.tabletop import SceneView
from kinediff3d_core.tracking.config import DEFAULT, TrackingConfig
from kinediff3d_core.tracking.sequence_tracker import SequenceTracker

INFERENCE: dict[str, Callable[[Preset], Preset]] = {
    'as shipped': lambda p: p,
    'DDIM starts from all of the noise': lambda p: replace(
        p, sampling=replace(p.sampling, ddim_start=1.0)),
    'ranking without the share of samples': lambda p: replace(
        p, hypothesis=replace(p.hypothesis, score_temperature=0.0)),
    'prior without a floor': lambda p: replace(
        p, hypothesis=replace(p.hypothesis, prior_floor=(0.0, 0.0, 0.0))),
    'covariance without the samples': lambda p: replace(
        p, uncertainty=replace(p.uncertainty, drawn_share=0.0)),
}
"""Presets in which one heuristic of a full estimate is off, by what is missing."""

TRACKING: dict[str, TrackingConfig] = {
    'as shipped': DEFAULT,
    'joint limits are not merged': replace(
        DEFAULT, joint_limits=replace(DEFAULT.joint_limits, merge_share=0.0)),
    'limits merged without a bound': replace(
        DEFAULT, joint_limits=replace(DEFAULT.joint_limits, merge_bounded=False)),
    'never uncertain': replace(
        DEFAULT, quality=replace(DEFAULT.quality, uncertain_growth=math.inf)),
}
"""Tracking configurations in which one heuristic is off."""

EXCHANGE: dict[str, TrackingConfig] = {
    'as shipped': DEFAULT,
    'lost by its motion alone': replace(
        DEFAULT, quality=replace(DEFAULT.quality, lost_growth=math.inf)),
}
"""Tracking configurations in which a heuristic that declares an object lost is off."""

_FOUND = InstanceConfig()
SEGMENTATION: dict[str, InstanceConfig] = {
    'as shipped': _FOUND,
    'planes without a warp': replace(_FOUND, plane=replace(_FOUND.plane, warp_degrees=())),
    'warps of degree 2 alone': replace(_FOUND, plane=replace(_FOUND.plane, warp_degrees=(2,))),
    'planes fitted to all near points': replace(_FOUND, plane=replace(_FOUND.plane, exact=1.0)),
    'supports need not surround anything': replace(
        _FOUND, support=replace(_FOUND.support, corners=0)),
    'faces of objects may be supports': replace(
        _FOUND, support=replace(_FOUND.support, face_size=0.0)),
    'margins are no border': replace(
        _FOUND, support=replace(_FOUND.support, picture_share=math.inf)),
    'the camera may be held in any way': replace(
        _FOUND, support=replace(_FOUND.support, upright=-1.0)),
    'bodies of supports are instances': replace(_FOUND, beside=-math.inf),
    'gaps are not bridged': replace(_FOUND, bridge=0.0),
    'not split at two thicknesses': replace(_FOUND, core=math.inf),
    'not split at 3 cm': replace(_FOUND, core_height=math.inf),
    'arms are not separated': replace(_FOUND, arm=None),
    'low parts are left on the support': replace(_FOUND, low_part=None),
    'pixels beside the grid are not compared': replace(_FOUND, low=0.0),
}
"""Configurations of the segmentation in which one heuristic is off."""

FRAMES = 300
"""Frames of a tracked sequence: ten seconds at 30 Hz. Chosen, as for ``benchmark``."""

BEFORE, AFTER = 30, 90
"""Frames before and after an exchange of the object. Chosen."""

Records = list[dict[str, Any]]
"""One dictionary a view or cabinet; figures that do not apply are missing."""


def measure_views(change: Callable[[Preset], Preset], views: int, seed: int,
                  progress: Callable[[], object]) -> Records:
    """Errors of full estimates, without meshes, of the first views of every category.

    Args:
        change: makes the preset from the default one.
        views: of each category.
    """
    records: Records = []
    config = EvaluationConfig(views, seed)
    for name in trained_categories():
        loaded = Pipeline.load(name)
        pipeline = Pipeline(loaded.model, change(loaded.preset))
        samples = procedural_samples(name, seed, shapes=False)
        for i in range(views):
            record, _ = score(pipeline, samples(i), config)
            records.append({'category': name, **(record.metrics or {})})
            progress()
    return records


def measure_tracking(config: TrackingConfig, cabinets: int, seed: int,
                     progress: Callable[[], object]) -> Records:
    """Joint errors (m) and lost tracks of cabinets, every other one closed at first."""
    pipeline = Pipeline.load('drawer')
    records: Records = []
    for instance in range(cabinets):
        records.append(_tracking_record(
            track_object(pipeline, instance, seed, FRAMES, config)))
        progress()
    return records


def measure_exchange(config: TrackingConfig, cabinets: int, seed: int,
                     progress: Callable[[], object]) -> Records:
    """As :func:`measure_tracking`, after another cabinet has taken the place of the first one.

    The camera's view of the scene changes with it, as in a scene that is cut.
    """
    pipeline = Pipeline.load('drawer')
    records: Records = []
    for instance in range(cabinets):
        sequence = SequenceTracker(pipeline, mesh=False, seed=seed, config=config)
        track_frames(sequence, moving_object(pipeline.category, instance, seed, BEFORE))
        records.append(_tracking_record(track_frames(
            sequence, moving_object(pipeline.category, instance + 1, seed, AFTER),
            BEFORE / RATE)))
        progress()
    return records


def measure_segmentation(config: InstanceConfig, views: Iterable[SceneView],
                         frames: Iterable[Frame], progress: Callable[[], object]) -> Records:
    """One record with what is found in all scenes and frames.

    Args:
        progress: called after each scene.
    """
    scenes: Records = []
    for view in views:
        scenes.append(measure_scene(view, config))
        progress()
    return [{'scenes': scenes, 'frames': [measure_frame(f, config) for f in frames]}]


def _tracking_record(tracked: TrackedSequence) -> dict[str, Any]:
    errors = tracked.errors or [math.nan]
    return {'median': float(np.median(errors)), 'mean': float(np.mean(errors)),
            'p95': float(np.percentile(errors, 95)), 'lost': tracked.lost,
            'seconds': float(np.median(tracked.seconds or [math.nan]))}


def inference_table(results: Mapping[str, Records]) -> str:
    """Errors by variant, and the paired change of the mean rotation error with its standard error.

    The last column is the rank correlation of a joint's standard deviation and its error, mean
    over the categories: how well the uncertainty tells good estimates from bad ones.
    """
    shipped = results['as shipped']
    head = ['variant', 'rot [°], mean', 'median', 'change of the mean', 'revolute joints [°]',
            'prismatic joints [mm]', 'failures', 'rank correlation']
    rows = []
    for name, records in results.items():
        rotation = np.array([r.get('rot_err_deg', np.nan) for r in records])
        before = np.array([r.get('rot_err_deg', np.nan) for r in shipped])
        change = (rotation - before)[np.isfinite(rotation - before)]
        error = change.std() / max(len(change), 1) ** 0.5
        rows.append([
            name, f'{np.nanmean(rotation):.2f}', f'{np.nanmedian(rotation):.2f}',
            f'{change.mean():+.2f} ± {error:.2f}' if name != 'as shipped' else '–',
            f'{_joint_error(records, "revolute"):.2f}',
            f'{1000 * _joint_error(records, "prismatic"):.1f}',
            f'{sum(failed(r if "rot_err_deg" in r else None) for r in records)} of {len(records)}',
            f'{_rank_correlation(records):.2f}'])
    return markdown_table(head, rows)


def tracking_table(results: Mapping[str, Records]) -> str:
    """Joint errors of tracked cabinets by variant: means over cabinets, with standard errors."""
    head = ['variant', 'joint error [cm], median', 'mean', '95th percentile', 'tracks lost',
            'frame [ms]']
    rows = []
    for name, records in results.items():
        cells = []
        for key in ('median', 'mean', 'p95'):
            values = 100 * np.array([r[key] for r in records])
            cells.append(f'{values.mean():.2f} ± {values.std() / len(values) ** 0.5:.2f}')
        rows.append([name, *cells, str(sum(r['lost'] for r in records)),
                     f'{1000 * np.mean([r["seconds"] for r in records]):.1f}'])
    return markdown_table(head, rows)


def _joint_error(records: Records, joint_type: str) -> float:
    """Mean joint state error over the views of categories with joints of that type, deg or m."""
    return float(np.nanmean([
        r.get('joint_state_err', np.nan) for r in records
        if get_category(r['category']).joints[0].joint_type == joint_type]))


def _rank_correlation(records: Records) -> float:
    """Spearman correlation of joint standard deviation and error, mean over categories."""
    found = []
    for name in dict.fromkeys(r['category'] for r in records):
        mine = [r for r in records if r['category'] == name and 'joint_state_err' in r]
        if len(mine) > 2:
            found.append(spearmanr([r['joint_state_std'] for r in mine],
                                   [r['joint_state_err'] for r in mine]).statistic)
    return float(np.nanmean(found)) if found else math.nan


def segmentation_table(results: Mapping[str, Records]) -> str:
    """What is found in scenes by variant, and the overlap in frames where there are any.

    A record has the measurements of all scenes and frames.
    """
    head = ['variant', 'objects found', 'IoU of the best candidate', 'clutter found',
            'false candidates a scene', 'frames: IoU of the chosen one', 'of the best one']
    rows = []
    for name, (record,) in results.items():
        s, f = scene_summary(record['scenes']), record['frames']
        frames = frame_summary(f) if f else {'chosen_iou': math.nan, 'best_iou': math.nan}
        rows.append([name, f'{100 * s["objects_found"]:.1f} %', f'{s["objects_iou"]:.3f}',
                     f'{100 * s["clutter_found"]:.0f} %', f'{s["false_a_scene"]:.2f}',
                     f'{frames["chosen_iou"]:.2f}', f'{frames["best_iou"]:.2f}'])
    return markdown_table(head, rows)


KINDS: dict[str, Callable[[Mapping[str, Records]], str]] = {
    'inference': inference_table, 'tracking': tracking_table, 'exchange': tracking_table,
    'segmentation': segmentation_table}
"""The kinds of ablations, and the table of each."""


@lru_cache(maxsize=1)
def _scenes(seed: int, count: int) -> tuple[SceneView, ...]:
    return tuple(scenes(seed, count))


def _segmentation(options: argparse.Namespace, config: InstanceConfig,
                  progress: Callable[[], object]) -> Records:
    frames = read_frames(options.frames) if options.frames else []
    return measure_segmentation(config, _scenes(options.seed, options.scenes), frames, progress)


def measure(options: argparse.Namespace) -> None:
    """Measure what the file does not hold yet, write it after each variant, print the tables."""
    results: dict[str, dict[str, Records]] = {kind: {} for kind in KINDS}
    if options.json is not None and options.json.exists():
        results |= json.loads(options.json.read_text())
    works: list[tuple[str, str, int, Callable[[Callable[[], object]], Records]]] = [
        *(('inference', name, options.views * len(trained_categories()),
           partial(measure_views, change, options.views, options.seed))
          for name, change in INFERENCE.items()),
        *(('tracking', name, options.cabinets,
           partial(measure_tracking, config, options.cabinets, options.seed))
          for name, config in TRACKING.items()),
        *(('exchange', name, options.cabinets,
           partial(measure_exchange, config, options.cabinets, options.seed))
          for name, config in EXCHANGE.items()),
        *(('segmentation', name, options.scenes, partial(_segmentation, options, config))
          for name, config in SEGMENTATION.items())]
    for kind, name, count, work in works:
        wanted = not options.only or name in ('as shipped', *options.only)
        if kind not in options.kinds or not wanted or name in results[kind]:
            continue
        with tqdm(total=count, desc=name, disable=None) as bar:
            results[kind][name] = work(bar.update)
        if options.json is not None:
            write_text(options.json, json.dumps(results, indent=1) + '\n')
    for kind, table in KINDS.items():
        if results[kind]:
            print(table(results[kind]), end='\n\n')


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = Parser('ablations', 'Errors with each heuristic switched off.')
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=list(KINDS))
    parser.add_argument('--only', nargs='+', metavar='VARIANT',
                        help='variants to measure, beside the shipped one (default all)')
    parser.add_argument('--views', type=int, default=13, help='views a category (default 13)')
    parser.add_argument('--cabinets', type=int, default=8, help='tracked cabinets (default 8)')
    parser.add_argument('--scenes', type=int, default=60,
                        help='scenes for the segmentation (default 60)')
    parser.add_argument('--frames', type=Path, metavar='DIR',
                        help='frames for the segmentation, as for its own program')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', type=Path, metavar='F', help='results; continued if it exists')
    return run(parser, measure, arguments)


if __name__ == '__main__':
    sys.exit(main())
