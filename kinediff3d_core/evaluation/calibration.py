"""Calibration: predicted standard deviations compared with actual errors.

    kinediff3d evaluate --category laptop --count 200 --no-mesh --records laptop.jsonl
    python -m kinediff3d_core.evaluation.calibration laptop.jsonl --out docs/images/calibration.png

``--inflate`` writes the measured covariance scale beside the weights. Its views must have another
seed than the test views.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.evaluation.program import Parser, run
from kinediff3d_core.io.files import write_text
from kinediff3d_core.networks.checkpoints import (
    COVARIANCE_SCALE,
    SHIPPED,
    CovarianceScale,
    folder_of,
    load_covariance_scale,
)
from kinediff3d_core.objects.estimate import ArticulatedEstimate

Array = np.ndarray[Any, Any]

PAIRS = {'rot_std_deg': ('rot_err_deg', 'rotation [°]'),
         'trans_std_m': ('trans_err_m', 'translation [m]'),
         'joint_state_std': ('joint_state_err', 'joint state [° or m]')}
"""Predicted standard deviation -> the error that it predicts, and the title of both."""

RIGHT = {'rot_std_deg': 0.8, 'trans_std_m': 0.8, 'joint_state_std': 0.67}
"""Median of error / standard deviation where predictions are right: 0.67 for a normal error of one
dimension, about 0.8 for errors of several."""

GOOD = (5.0, 0.05)
"""An estimate is right below these errors of rotation (deg) and translation (m)."""


def predicted_errors(estimate: ArticulatedEstimate) -> dict[str, float]:
    """The errors that an estimate predicts of itself, under the names of :data:`PAIRS`.

    rot_std_deg and trans_std_m are the roots of the traces of the base pose's covariance, the
    root mean square error if it is right; joint_state_std (deg or m) is the mean over joints.
    """
    covariance = np.asarray(estimate.covariance, dtype=np.float64)
    joints = [j.std if j.joint_type == 'prismatic' else np.degrees(j.std)
              for j in estimate.joints]
    return {'confidence': estimate.confidence,
            'rot_std_deg': float(np.degrees(np.sqrt(np.trace(covariance[3:, 3:])))),
            'trans_std_m': float(np.sqrt(np.trace(covariance[:3, :3]))),
            'joint_state_std': float(np.mean(joints)) if joints else float('nan')}


@dataclass(frozen=True)
class Calibration:
    """Comparison of n predicted standard deviations with actual errors.

    Attributes:
        rank: Spearman's correlation; 1 if predictions always rank errors correctly.
        ratio: median of error / standard deviation. It is about 0.8 for normal errors of three
            dimensions that are predicted correctly (a chi of three degrees over the root of three
            has the median 0.89, of one degree 0.67).
        within: shares of errors within one, two and three standard deviations.
    """

    n: int
    rank: float
    ratio: float
    within: tuple[float, float, float]


def calibration(std: Array, error: Array) -> Calibration:
    """Compare predicted standard deviations (n) with errors (n).

    NaN is left out: of an estimate that has none of the true joints, no joint has an error.

    Raises:
        ValueError: shapes differ, or fewer than three pairs.
    """
    if std.shape != error.shape or std.ndim != 1:
        raise ValueError(f'as many standard deviations as errors are needed, got {std.shape} and '
                         f'{error.shape}')
    std, error = _finite(std, error)
    if len(error) < 3:
        raise ValueError('three or more pairs of standard deviations and errors are needed, got '
                         f'{len(error)}')
    from scipy.stats import spearmanr

    ratio = error / np.maximum(std, 1e-12)
    rank = float(spearmanr(std, error).statistic)
    return Calibration(len(error), rank, float(np.median(ratio)),
                       (float((ratio <= 1).mean()), float((ratio <= 2).mean()),
                        float((ratio <= 3).mean())))


def _finite(std: Array, error: Array) -> tuple[Array, Array]:
    """The pairs of which both values are finite."""
    known = np.isfinite(std) & np.isfinite(error)
    return std[known], error[known]


def measured_covariance_scale(columns: dict[str, Array], before: CovarianceScale,
                              ) -> CovarianceScale:
    """The covariance scale with which the median error / standard deviation is right.

    Args:
        columns: of estimates that were made with the scale ``before``.
    """
    trans, rot, joint = (
        round(old * calibration(columns[name], columns[PAIRS[name][0]]).ratio / RIGHT[name], 2)
        for name, old in (('trans_std_m', before.translation), ('rot_std_deg', before.rotation),
                          ('joint_state_std', before.joint)))
    return CovarianceScale(trans, rot, joint)


def reliability(confidence: Array, right: Array, bins: int = 5) -> list[tuple[float, float, int]]:
    """Mean confidence, share that is right, and number of views, of equally filled bins."""
    order = np.argsort(confidence, kind='stable')
    return [(float(confidence[b].mean()), float(right[b].mean()), len(b))
            for b in np.array_split(order, bins) if len(b)]


def read_records(path: Path, category: str | None = None) -> dict[str, Array]:
    """Columns of the estimates (of one category, if named) that ``evaluate --records`` wrote.

    Raises:
        ValueError: no such file, or not records with predicted standard deviations.
    """
    wanted = ['confidence', *(x for pair in PAIRS.items() for x in (pair[0], pair[1][0]))]
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line]
        rows = [line['metrics'] for line in lines
                if line['metrics'] is not None and category in (None, line['category'])]
        columns = {name: np.array([row[name] for row in rows], dtype=np.float64)
                   for name in wanted}
    except OSError as error:
        raise ValueError(f'{path} cannot be read: {error.strerror}') from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path} is not what "kinediff3d evaluate --records" writes '
                         f'({error!r})') from error
    if len(columns['confidence']) < 10:
        raise ValueError(f'{path} holds {len(columns["confidence"])} estimates; at least 10 are '
                         'needed, evaluate more views')
    return columns


def _right(columns: dict[str, Array]) -> Array:
    """Whether each estimate is right, (n,)."""
    good: Array = (columns['rot_err_deg'] <= GOOD[0]) & (columns['trans_err_m'] <= GOOD[1])
    return good


def table(columns: dict[str, Array]) -> str:
    """Calibration of every pair, and reliability of the confidence, as Markdown."""
    lines = ['| | n | rank correlation | median error / standard deviation '
             '| within 1, 2, 3 standard deviations |',
             '|---|---|---|---|---|']
    for name, (error, title) in PAIRS.items():
        c = calibration(columns[name], columns[error])
        lines.append(f'| {title} | {c.n} | {c.rank:.2f} | {c.ratio:.2f} | '
                     + ', '.join(f'{100 * w:.0f} %' for w in c.within) + ' |')
    lines += ['', f'| confidence | right within {GOOD[0]:g}° and {100 * GOOD[1]:g} cm | n |',
              '|---|---|---|']
    lines += [f'| {c:.2f} | {100 * share:.0f} % | {n} |'
              for c, share, n in reliability(columns['confidence'], _right(columns))]
    return '\n'.join(lines)


def draw(columns: dict[str, Array], out: Path, title: str = '') -> Path:
    """Write the plot: one panel a pair, and the reliability of the confidence."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(13, 3.5), dpi=90, layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 4)
    for panel, (name, (error, label)) in zip(axes, PAIRS.items(), strict=False):
        x, y = (np.maximum(v, 1e-5) for v in _finite(columns[name], columns[error]))
        diagonal = np.array([min(x.min(), y.min()), max(x.max(), y.max())])
        panel.plot(diagonal, diagonal, color='0.6', lw=1, label='error = standard deviation')
        panel.loglog(x, y, '.', ms=4, alpha=0.5)
        fifths = np.array_split(np.argsort(x), 5)
        panel.plot([np.median(x[b]) for b in fifths], [np.median(y[b]) for b in fifths], 'o-',
                   color='C1', label='median of a fifth')
        panel.set(title=label, xlabel='predicted standard deviation', ylabel='actual error')
        panel.xaxis.set_minor_formatter(NullFormatter())  # They overlap within one decade.
    axes[0].legend(fontsize=8)
    bins = reliability(columns['confidence'], _right(columns))
    axes[3].plot([0, 1], [0, 1], color='0.6', lw=1)
    axes[3].plot([c for c, _, _ in bins], [share for _, share, _ in bins], 'o-', color='C1')
    axes[3].set(title='confidence', xlabel='mean confidence of a fifth', xlim=(0, 1.02),
                ylabel=f'share within {GOOD[0]:g}° and {100 * GOOD[1]:g} cm', ylim=(0, 1.02))
    if title:
        figure.suptitle(title)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out)
    return out


def report(options: argparse.Namespace) -> None:
    """Print the table, draw the plot, and write the covariance scale with --inflate."""
    columns = read_records(options.records, options.category)
    if options.inflate:
        if options.category is None:
            raise ValueError('--inflate needs --category')
        before = load_covariance_scale(options.category, options.weights)
        scale = asdict(measured_covariance_scale(columns, before))
        path = folder_of(options.category, options.weights) / COVARIANCE_SCALE
        write_text(path, json.dumps(scale) + '\n')
        print(f'{path}: {scale}')
    print(table(columns))
    if options.out is not None:
        draw(columns, options.out, options.title)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print; returns the exit status."""
    parser = Parser('calibration', 'Compare predicted uncertainty with actual errors.')
    parser.add_argument('records', type=Path, help='written by kinediff3d evaluate --records')
    parser.add_argument('--category', help='use only its views (default: all)')
    parser.add_argument('--out', type=Path, help='write the plot here (PNG)')
    parser.add_argument('--title', default='')
    parser.add_argument('--inflate', action='store_true',
                        help='write the factor that standard deviations need beside the weights')
    parser.add_argument('--weights', type=Path, default=SHIPPED, metavar='DIR',
                        help='that made the records (default: the shipped ones)')
    return run(parser, report, arguments)


if __name__ == '__main__':
    sys.exit(main())
