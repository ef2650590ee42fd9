"""Time of each stage, memory, and accuracy of each preset."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kinediff3d_core.evaluation.evaluate import compare, infer
from kinediff3d_core.evaluation.records import Record, summary_of
from kinediff3d_core.evaluation.samples import Sample, procedural_samples
from kinediff3d_core.evaluation.summary import Summary
from kinediff3d_core.evaluation.tracked_sequences import track_object
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.objects.contact import contact_candidates
from kinediff3d_core.objects.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.tracking.config import DEFAULT, TrackingConfig

SHOWN = ('rot_err_deg', 'trans_err_m', 'joint_state_err', 'axis_err_deg', 'axis_pos_err_m',
         'cd_w', 'cd_l1_w_surface', 'gen_cd_w', 'failure_rate')
"""Metrics in the printed table; the JSON has all metrics."""

TRACKED = 8
"""Largest number of objects on which tracking is measured."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """Presets and views that are timed."""

    category: str
    """Of the procedural test views."""
    presets: Sequence[str]
    """In this order. Memory only grows, so that the smaller preset must be first."""
    count: int
    """Views."""
    seed: int = 0
    """Of the views and of the estimates."""
    device: str = 'cpu'
    """A device of torch."""
    mesh: bool = True
    """Extract and score meshes, too."""
    weights: Path | None = None
    """Folder of the networks; None uses the shipped ones."""


@dataclass(frozen=True)
class TimedPreset:
    """Times and estimates of one preset.

    Attributes:
        estimates: one of each view; None where there is no estimate.
        figures: what the benchmark's result has of a preset, without the accuracy.
    """

    pipeline: Pipeline
    estimates: list[ArticulatedEstimate | None]
    figures: dict[str, Any]


def benchmark(config: BenchmarkConfig, progress: Callable[[str, int], None] | None = None,
              ) -> dict[str, Any]:
    """Time presets on the same procedural test views, then score their estimates.

    Args:
        progress: is called with the preset and the number of views done.

    Returns:
        ``{'machine': ..., 'presets': {name: {'seconds': {stage: {'p50', 'p95', 'mean'}},
        'frames_per_s', 'resident_mib', 'accuracy': summary}}, 'speedup': {name: ...},
        'tracking': ...}``. The stage ``total`` is the wall time of ``infer``. ``contacts``, with
        meshes, is that of the contacts of all moving parts, which are not part of it.
        ``tracking`` is the result of :func:`tracking` with the first preset.
    """
    if config.count < 1:
        raise ValueError(f'the number of views must be positive, got {config.count}')
    samples = procedural_samples(config.category, config.seed, shapes=False)
    views = [samples(i) for i in range(config.count)]
    out: dict[str, Any] = {
        'machine': machine(config.device), 'category': config.category, 'count': config.count,
        'seed': config.seed, 'presets': {}}
    timed: dict[str, TimedPreset] = {}
    for preset in config.presets:
        timed[preset] = _time_preset(config, preset, views, progress)
        out['presets'][preset] = timed[preset].figures
        if preset == config.presets[0]:
            out['tracking'] = tracking(timed[preset].pipeline, config.seed,
                                       objects=min(config.count, TRACKED))
    for preset, accuracy in _accuracy(config, timed).items():
        out['presets'][preset]['accuracy'] = accuracy
    first = out['presets'][config.presets[0]]['seconds']['total']['p50']
    out['speedup'] = {f'{config.presets[0]} over {name}': r['seconds']['total']['p50'] / first
                      for name, r in list(out['presets'].items())[1:]}
    return out


def _time_preset(config: BenchmarkConfig, preset: str, views: Sequence[Sample],
                 progress: Callable[[str, int], None] | None) -> TimedPreset:
    """Time one preset on all views, after views that are not timed.

    Memory is the process's resident peak after the last view.
    """
    pipeline = Pipeline.load(config.category, preset=preset, device=config.device,
                             weights=config.weights)
    on_gpu = pipeline.device.type == 'cuda'
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(pipeline.device)
    # On a GPU a computation that has run twice is replayed as a graph.
    for view in [*views, *views] if on_gpu else views[:1]:
        estimate_or_none(pipeline, view, config.mesh, config.seed)
    estimates: list[ArticulatedEstimate | None] = []
    times: dict[str, list[float]] = {}
    for i, view in enumerate(views):
        started = time.perf_counter()
        estimate = estimate_or_none(pipeline, view, config.mesh, config.seed)
        total = time.perf_counter() - started
        estimates.append(estimate)
        for stage, seconds in (estimate.seconds if estimate else {}).items():
            times.setdefault(stage, []).append(seconds)
        times.setdefault('total', []).append(total)
        if config.mesh and estimate is not None:
            started = time.perf_counter()
            contact_candidates(estimate)
            times.setdefault('contacts', []).append(time.perf_counter() - started)
        if progress is not None:
            progress(preset, i + 1)
    figures: dict[str, Any] = {
        'seconds': {stage: _points(t) for stage, t in times.items()},
        'frames_per_s': float(1 / np.median(times['total'])), 'resident_mib': resident_mib()}
    if on_gpu:
        figures['device_mib'] = torch.cuda.max_memory_allocated(pipeline.device) / 2**20
    return TimedPreset(pipeline, estimates, figures)


def _accuracy(config: BenchmarkConfig, timed: Mapping[str, TimedPreset]) -> dict[str, Summary]:
    """Summary of the metrics of each preset's estimates."""
    samples = procedural_samples(config.category, config.seed, shapes=config.mesh)
    records: dict[str, list[Record]] = {preset: [] for preset in timed}
    for i in range(config.count):
        sample = samples(i)
        for preset, result in timed.items():
            estimate = result.estimates[i]
            metrics = None if estimate is None else compare(result.pipeline, estimate, sample,
                                                            config.seed)
            records[preset].append(Record(i, sample.name, metrics))
    return {preset: summary_of(r) for preset, r in records.items()}


def tracking(pipeline: Pipeline, seed: int = 0, frames: int = 300, objects: int = 1,
             config: TrackingConfig = DEFAULT) -> dict[str, Any]:
    """Time the tracker on test objects whose joints open and close before the camera.

    A sequence has 30 frames a second. Joints move once over their range and back: those of every
    other object, the first among them, start fully open, the others closed. The time of a frame is
    that of its cloud and its fit. Full estimates are not timed: neither those of lost objects,
    which are counted, nor those beside the tracking.

    Returns:
        ``{'seconds': {'p50', 'p95', 'mean'}, 'frames_per_s', 'lost', 'objects',
        'joint_state_err'}``, the last the median over objects of their median over frames and
        joints, deg or m; None where nothing was tracked.
    """
    times: list[float] = []
    errors: list[float] = []
    lost = 0
    for instance in range(objects):
        tracked = track_object(pipeline, instance, seed, frames, config)
        times += tracked.seconds
        lost += tracked.lost
        errors += [float(np.median(tracked.errors))] if tracked.errors else []
    return {'seconds': _points(times), 'lost': lost, 'objects': objects,
            'frames_per_s': float(1 / np.median(times)) if times else None,
            'joint_state_err': float(np.median(errors)) if errors else None}


def _points(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {}
    return {'p50': float(np.percentile(seconds, 50)), 'p95': float(np.percentile(seconds, 95)),
            'mean': float(np.mean(seconds))}


def estimate_or_none(pipeline: Pipeline, view: Sample, mesh: bool, seed: int,
                     ) -> ArticulatedEstimate | None:
    """The estimate of a view, or None."""
    try:
        return infer(pipeline, view, mesh, seed)
    except NoEstimate:
        return None


def resident_mib() -> float:
    """Largest resident size of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == 'darwin' else 2**10)


def machine(device: str) -> dict[str, Any]:
    """The machine on which the figures are measured."""
    out: dict[str, Any] = {'device': device, 'python': platform.python_version(),
                           'torch': torch.__version__, 'threads': torch.get_num_threads(),
                           'processor': platform.processor() or platform.machine()}
    if device.startswith('cuda'):
        out['gpu'] = torch.cuda.get_device_name(torch.device(device))
    return out


def table(result: Mapping[str, Any]) -> str:
    """The result as text, one column a preset."""
    presets: Mapping[str, Any] = result['presets']
    stages = list(dict.fromkeys(s for r in presets.values() for s in r['seconds']))
    rows: list[tuple[str, list[str]]] = []
    for stage in stages:
        for point in ('p50', 'p95'):
            cells = [f'{1000 * r["seconds"][stage][point]:.1f}' if stage in r['seconds'] else '-'
                     for r in presets.values()]
            rows.append((f'{stage} {point} [ms]', cells))
    rows.append(('frames/s', [f'{r["frames_per_s"]:.2f}' for r in presets.values()]))
    rows.append(('peak resident [MiB]', [f'{r["resident_mib"]:.0f}' for r in presets.values()]))
    if any('device_mib' in r for r in presets.values()):
        rows.append(('device memory [MiB]', [f'{r.get("device_mib", 0):.0f}'
                                             for r in presets.values()]))
    for name in SHOWN:
        summaries: list[Summary] = [r['accuracy'] for r in presets.values()]
        if any(name in s for s in summaries):
            rows.append((f'{name} mean', [f'{s[name]["mean"]:.4g}' if name in s else '-'
                                          for s in summaries]))
    wide = max(len(r[0]) for r in rows)
    m = result['machine']
    lines = [f'{result["category"]}, {result["count"]} views, {m.get("gpu", m["device"])}, '
             f'{m["threads"]} threads, torch {m["torch"]}',
             f'{"":<{wide}}' + ''.join(f'{name:>12}' for name in presets)]
    lines += [f'{name:<{wide}}' + ''.join(f'{c:>12}' for c in cells) for name, cells in rows]
    lines += [f'{name}: {ratio:.1f} times faster' for name, ratio in result['speedup'].items()]
    t = result['tracking']
    if t['seconds']:
        lines.append(f'tracking: {1000 * t["seconds"]["p50"]:.1f} ms a frame (p95 '
                     f'{1000 * t["seconds"]["p95"]:.1f}), {t["frames_per_s"]:.0f} frames/s, lost '
                     f'{t["lost"]} times, joint error {t["joint_state_err"]:.3g} (median of '
                     f'{t["objects"]} objects)')
    return '\n'.join(lines)
