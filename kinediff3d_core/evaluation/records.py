"""Scores of test views: records and summaries, as files and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np

from kinediff3d_core.evaluation.summary import Summary, statistics, summarise
from kinediff3d_core.evaluation.visibility import THIRDS, thirds
from kinediff3d_core.io.files import write_text
from kinediff3d_core.objects.category import CATEGORIES

BY_VISIBILITY = ('cd_w', 'rot_err_deg', 'trans_err_m', 'joint_state_err')
"""Metrics that summaries also have for each third of the views by visibility."""


@dataclass(frozen=True)
class Record:
    """The scores of one sample; ``metrics`` is None where there was no estimate."""

    index: int
    name: str
    metrics: dict[str, float] | None
    reason: str = ''
    visibility: float = nan
    category: str = ''

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values, as files of records have it."""
        metrics = self.metrics and {name: float(value) for name, value in self.metrics.items()}
        return {'category': self.category, 'index': self.index, 'object': self.name,
                'metrics': metrics, 'reason': self.reason, 'visibility': float(self.visibility)}

    @staticmethod
    def from_dict(r: Mapping[str, Any]) -> Record:
        """The record of :meth:`to_dict`.

        Raises:
            KeyError: an entry is missing.
        """
        return Record(r['index'], r['object'], r['metrics'], r['reason'], r['visibility'],
                      r['category'])


def units(category: str) -> dict[str, str]:
    """Units of metrics for tables, by the metric's name."""
    joints = CATEGORIES[category].joints if category in CATEGORIES else ()
    slides = bool(joints) and all(j.joint_type == 'prismatic' for j in joints)
    return {'rot_err_deg': '°', 'trans_err_m': 'm', 'axis_err_deg': '°', 'axis_pos_err_m': 'm',
            'joint_state_err': 'm' if slides else '°'}


def table(category: str, summary: Mapping[str, Mapping[str, float]]) -> str:
    """The summary of a category as text; metrics of other papers in a table of their own."""
    unit = units(category)
    rows = [name for name in summary if not name.endswith('_third')]
    wide = max((len(name) for name in rows), default=6)
    lines = _block(category, [name for name in rows if '/' not in name], summary, unit, wide)
    published = [name for name in rows if '/' in name]
    if published:
        lines += _block(f'as {published[0].split("/")[0]} defines', published, summary, unit, wide)
    split = [name for name in ('visibility', *BY_VISIBILITY, 'failure_rate')
            if any(f'{name}_{third}_third' in summary for third in THIRDS)]
    if split:
        lines.append(f'{"means by visibility":<{wide}}  {"unit":>5}  '
                     + ' '.join(f'{third:>9}' for third in THIRDS))
    for name in split:
        means = [summary.get(f'{name}_{third}_third', {}).get('mean', nan) for third in THIRDS]
        lines.append(f'{name:<{wide}}  {_unit(name, unit):>5}  '
                     + ' '.join(f'{m:9.4g}' for m in means))
    return '\n'.join(lines)


def _block(title: str, names: Sequence[str], summary: Mapping[str, Mapping[str, float]],
           unit: Mapping[str, str], wide: int) -> list[str]:
    """The lines of a table with one row a metric."""
    return [f'{title:<{wide}}  {"unit":>5}  {"mean":>9} {"median":>9} {"std":>9} {"n":>5}',
            *(f'{name:<{wide}}  {_unit(name, unit):>5}  {v["mean"]:9.4g} {v["median"]:9.4g} '
              f'{v["std"]:9.4g} {int(v["n"]):5d}' for name in names for v in (summary[name],))]


def _unit(name: str, unit: Mapping[str, str]) -> str:
    """The unit of a metric; that of other papers' metrics is at the end of their names."""
    if '/' in name:
        return '°' if name.endswith('err_deg') else 'm' if name.endswith('err_m') else ''
    return unit.get(name, 's' if name.startswith('seconds') else '/1000' if 'cd_' in name else '')


def write_summaries(path: Path, summaries: Mapping[str, Summary]) -> None:
    """Write ``{category: {metric: {mean, median, std, n}}}``, complete or not at all."""
    write_text(path, json.dumps(summaries, indent=1, allow_nan=False) + '\n')


def origin_path(summaries: Path) -> Path:
    """Path of the file with the command and machine that made a file of summaries."""
    return summaries.with_name(f'{summaries.stem}.meta.json')


def write_origin(summaries: Path, origin: Mapping[str, Any]) -> None:
    """Write the command, settings and machine beside a file of summaries."""
    write_text(origin_path(summaries), json.dumps(origin, indent=1) + '\n')


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write one JSON line a sample; figures have six digits."""
    def short(value: float) -> float:
        return float(f'{value:.6g}')

    lines = []
    for r in records:
        metrics = r.metrics and {name: short(value) for name, value in r.metrics.items()}
        lines.append(json.dumps(replace(r, metrics=metrics, visibility=short(r.visibility))
                                .to_dict()) + '\n')
    write_text(path, ''.join(lines))


def read_all_records(path: Path) -> dict[str, list[Record]]:
    """Records that :func:`write_records` wrote, in order, by category.

    Raises:
        ValueError: a line that is not a record.
    """
    out: dict[str, list[Record]] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            record = Record.from_dict(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path}, line {number}: not a record of "kinediff3d evaluate '
                             '--records"') from error
        out.setdefault(record.category, []).append(record)
    return out


def summary_of(records: Sequence[Record]) -> Summary:
    """Mean, median, standard deviation and count of every metric.

    ``visibility``, ``failure_rate`` and the metrics of :data:`BY_VISIBILITY` come also for each
    third of the views by visibility, as ``<metric>_<worst|middle|best>_third``.
    """
    out = summarise([r.metrics for r in records])
    seen = np.array([r.visibility for r in records])
    if np.isfinite(seen).any():
        out['visibility'] = statistics(seen[np.isfinite(seen)])
    for third, index in thirds(seen).items():
        part = {'visibility': statistics(seen[index]),
                **summarise([records[i].metrics for i in index])}
        out.update({f'{name}_{third}_third': part[name]
                    for name in ('visibility', *BY_VISIBILITY, 'failure_rate') if name in part})
    return out
