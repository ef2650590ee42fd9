"""Files of ``kinediff3d evaluate --json``: summaries by category."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Summaries = Mapping[str, Mapping[str, Mapping[str, float]]]
"""``{category: {metric: {mean, median, std, n}}}``, as ``evaluate --json`` writes it."""


def read_summaries(folder: Path, names: Iterable[str]) -> dict[str, Summaries]:
    """The named files of summaries that exist in a folder, without outdated Chamfer distances.

    Raises:
        ValueError: no such folder, or a file that is not what ``evaluate --json`` writes.
    """
    if not folder.is_dir():
        raise ValueError(f'{folder} is not a folder')
    out: dict[str, Summaries] = {}
    for name in names:
        path = folder / f'{name}.json'
        if not path.is_file():
            continue
        try:
            content = json.loads(path.read_text())
            good = all({'mean', 'median', 'std', 'n'} <= set(stats)
                       for summary in content.values() for stats in summary.values())
        except (ValueError, AttributeError, TypeError):
            good = False
        if not good:
            raise ValueError(f'{path} is not a summary of "kinediff3d evaluate --json"')
        out[name] = {category: in_current_units(summary) for category, summary in content.items()}
    return out


def in_current_units(summary: Mapping[str, Any]) -> dict[str, Any]:
    """A summary, or the metrics of a record, without Chamfer distances in an outdated unit."""
    old = _outdated(summary)
    return {metric: value for metric, value in summary.items() if not (old and 'cd_' in metric)}


def has_outdated_units(path: Path) -> bool:
    """Whether a file of summaries has Chamfer distances in the unit of an older version."""
    return any(_outdated(summary) for summary in json.loads(path.read_text()).values())


def _outdated(summary: Mapping[str, Any]) -> bool:
    """Older versions had mean plain distances as ``cd_*``, and no ``cd_l1_*``."""
    return 'cd_w' in summary and 'cd_l1_w' not in summary
