"""Records of opened objects: as numbers for a file and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SUCCESS = 0.8
"""An object is opened if its joint has made at least this share of its way to the upper limit."""


@dataclass(frozen=True)
class Record:
    """One trial.

    Attributes:
        number: of the object.
        opened: share of the true joint's way from the start to its upper limit.
        reason: why the trial ended.
        events: one line each.
    """

    number: int
    opened: float
    reason: str
    events: tuple[str, ...]

    @property
    def success(self) -> bool:
        """Whether the object counts as opened."""
        return self.opened >= SUCCESS

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """The record of :meth:`to_dict`."""
        return cls(**{**values, 'events': tuple(values['events'])})


def summarize(records: Mapping[str, Iterable[Record]]) -> dict[str, Any]:
    """By category: number of objects, share of opened ones, mean opened share, all records."""
    summary = {}
    for category, found in records.items():
        listed = sorted(found, key=lambda r: r.number)
        summary[category] = {
            'n': len(listed),
            'success': float(np.mean([r.success for r in listed])) if listed else float('nan'),
            'opened': float(np.mean([r.opened for r in listed])) if listed else float('nan'),
            'records': [r.to_dict() for r in listed]}
    return summary


def table(summary: Mapping[str, Any]) -> str:
    """A Markdown table with one row a category."""
    rows = ['| category | opened by 80 % | mean share of the way |', '|---|---|---|']
    for category, values in summary.items():
        rows.append(f'| {category} | {round(values["success"] * values["n"])} of {values["n"]} | '
                    f'{100 * values["opened"]:.0f} % |')
    return '\n'.join(rows)
