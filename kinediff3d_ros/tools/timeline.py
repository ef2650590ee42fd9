"""The picture of a replayed recording: joint positions, residual and computing time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from kinediff3d_core.objects.urdf import default_object_name, joint_name
from kinediff3d_ros.tools.joint_positions import DISPLAY_UNITS
from kinediff3d_ros.tools.replay_frames import RecordedPositions, ReplayResult

KIND_COLOURS = {'full': 'tab:orange', 'tracked': 'tab:blue'}


def draw_timeline(results: list[ReplayResult], truth: list[RecordedPositions], out: Path,
                  title: str) -> None:
    """Write the picture as a PNG; a red line marks a frame without an estimate.

    Args:
        truth: recorded joint positions, drawn beside the estimates. Joints have the category's own
            names, or those of an object with the category's name.
    """
    start = results[0].frame.header.seconds
    joint_types = {j.name: j.joint_type for r in results if r.estimate is not None
                   for j in r.estimate.joints}
    rows = len(joint_types) + 2
    figure = Figure(figsize=(9, 1.2 + 1.8 * rows), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for ax, (name, joint_type) in zip(axes, joint_types.items(), strict=False):
        _draw_joint(ax, name, joint_type, results, truth, start)
    _draw_residual(axes[-2], results, start)
    _draw_milliseconds(axes[-1], results, start)
    for ax in axes:
        ax.grid(alpha=0.3)
        ax.tick_params(labelsize=7)
        for result in results:
            if result.kind == 'none':
                ax.axvline(result.frame.header.seconds - start, color='tab:red', lw=0.6, alpha=0.4)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    canvas.print_png(str(out))  # type: ignore[no-untyped-call]


def _draw_joint(ax: Any, name: str, joint_type: str, results: list[ReplayResult],
                truth: list[RecordedPositions], start: float) -> None:
    """Positions of one joint with their standard deviations."""
    unit, factor = DISPLAY_UNITS[joint_type]
    prefixed = {joint_name(default_object_name(r.estimate.category), name)
                for r in results if r.estimate is not None}
    recorded = [(1e-9 * m.nanoseconds - start, factor * q) for m in truth
                for n, q in m.positions.items() if n == name or n in prefixed]
    if recorded:
        ax.plot(*zip(*recorded, strict=True), color='0.6', lw=1.2, label='recorded')
    for kind, colour in KIND_COLOURS.items():
        points = [(r.frame.header.seconds - start, factor * j.position, factor * j.std)
                  for r in results if r.kind == kind and r.estimate is not None
                  for j in r.estimate.joints if j.name == name]
        if points:
            times, positions, stds = zip(*points, strict=True)
            ax.errorbar(times, positions, stds, fmt='.', color=colour, ms=4, lw=0.8,
                        label=kind)
    ax.set_ylabel(f'{name}, {unit}', fontsize=8)
    ax.legend(fontsize=7, loc='upper right')


def _draw_residual(ax: Any, results: list[ReplayResult], start: float) -> None:
    residuals = [(r.frame.header.seconds - start, 1e3 * r.estimate.residual) for r in results
                 if r.estimate is not None]
    if residuals:
        ax.plot(*zip(*residuals, strict=True), '.-', color='tab:green', ms=4, lw=0.8)
    ax.set_ylabel('residual, mm', fontsize=8)


def _draw_milliseconds(ax: Any, results: list[ReplayResult], start: float) -> None:
    times = [(r.frame.header.seconds - start, r.milliseconds) for r in results if r.milliseconds]
    if times:  # frames without the object take none
        ax.plot(*zip(*times, strict=True), '.', color='0.4', ms=4)
        ax.set_yscale('log')
    ax.set_ylabel('time per frame, ms', fontsize=8)
    ax.set_xlabel('s', fontsize=8)
