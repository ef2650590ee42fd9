"""What an evaluation says about views that it could not score, and about what is inferred."""

from __future__ import annotations

from collections.abc import Sequence

from kinediff3d_core.evaluation.records import Record


def scored(records: Sequence[Record]) -> list[Record]:
    """The records of views that could be read."""
    return [r for r in records if not r.skipped]


def remarks(records: Sequence[Record]) -> list[str]:
    """One line for each reason to skip views and each note on views, with the number of views."""
    lines = []
    for reason, names in _grouped([(r.reason, r.name) for r in records if r.skipped]).items():
        views = f'view {names[0]}' if len(names) == 1 else \
            f'{len(names)} views, the first {names[0]}'
        lines.append(f'skipped {views}: {reason}')
    for note, names in _grouped([(n, r.name) for r in records for n in r.notes]).items():
        lines.append(f'note on {len(names)} view{"s" * (len(names) > 1)}: {note}')
    return lines


def _grouped(entries: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for text, name in entries:
        out.setdefault(text, []).append(name)
    return out
