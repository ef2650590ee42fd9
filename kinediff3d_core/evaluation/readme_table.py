"""The README's table of accuracy: our means beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from pathlib import Path
from textwrap import fill

from kinediff3d_core.evaluation.markdown import markdown_table
from kinediff3d_core.evaluation.paper_figures import PUBLISHED
from kinediff3d_core.evaluation.records import units
from kinediff3d_core.evaluation.summary_files import Summaries
from kinediff3d_core.io.files import write_text

BEGIN = '<!-- accuracy: written by kinediff3d_core.evaluation.results -->'
END = '<!-- end of accuracy -->'

COLUMNS = {'cd_w': 'CD-w', 'rot_err_deg': 'rotation, °', 'trans_err_m': 'translation, mm',
           'joint_state_err': 'joint state'}
SOURCES = ('procedural', 'third-party')

WIDTH = 120
"""Columns of the README."""


def accuracy(procedural: Summaries, objects: Summaries) -> str:
    """One row a category: means on procedural objects / third-party objects / the paper's.

    Below the table, it names every metric whose mean is larger than the paper's.
    """
    rows, behind = [], []
    for category in dict.fromkeys([*procedural, *objects]):
        row = [category]
        for metric, title in COLUMNS.items():
            paper = PUBLISHED[category][1].get(metric, nan) if category in PUBLISHED else nan
            ours = [_mean(s.get(category, {}), metric) for s in (procedural, objects)]
            row.append(' / '.join([*(_shown(x, metric, category) for x in ours),
                                   _shown(paper, metric, category, exact=True)]))
            worse = [name for name, x in zip(SOURCES, ours, strict=True) if x > paper]
            if worse:
                behind.append(f'{category} {title.split(",")[0]} ({", ".join(worse)})')
        rows.append(row)
    said = f'Behind the paper: {"; ".join(behind)}.' if behind else \
        'No mean is behind the paper\'s.'
    return markdown_table(['', *COLUMNS.values()], rows) + '\n\n' + fill(said, WIDTH)


def write_accuracy(readme: Path, procedural: Summaries, objects: Summaries) -> None:
    """Write the table between its two marks in a file.

    Raises:
        ValueError: the file has not the two marks.
    """
    text = readme.read_text()
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f'{readme} needs the lines {BEGIN!r} and {END!r} around its table')
    write_text(readme, f'{before}{BEGIN}\n{accuracy(procedural, objects)}\n{END}{after}')


def _mean(summary: Mapping[str, Mapping[str, float]], metric: str) -> float:
    return summary[metric]['mean'] if metric in summary else nan


def _shown(value: float, metric: str, category: str, exact: bool = False) -> str:
    """A mean with two digits, or exactly as the paper prints it; lengths in mm."""
    unit = units(category).get(metric, '')
    value = 1000 * value if unit == 'm' else value
    if isnan(value):
        return '–'
    digits = 0 if value >= 10 else 1 if value >= 1 else 2
    mark = {'m': ' mm', '°': '°'}[unit] if metric == 'joint_state_err' else ''
    return (f'{value:.4g}' if exact else f'{value:.{digits}f}') + mark
