"""Suggestions for names that are not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

ALIKE = 0.6
"""Least similarity of a suggested name, 0 to 1, as difflib measures it. Chosen: its default."""


def did_you_mean(name: object, known: Iterable[object], alike: float = ALIKE) -> str:
    """`` (did you mean laptop?)`` where a known name is like the given one, else nothing.

    Args:
        alike: least similarity of a suggested name, 0 to 1.
    """
    names = {str(k).lower(): str(k) for k in known}
    found = get_close_matches(str(name).lower(), names, 1, alike)
    return f' (did you mean {names[found[0]]}?)' if found else ''


def unknown(what: str, name: object, known: Iterable[object]) -> str:
    """The message about an unknown name: what it may have meant, and the known names.

    Args:
        what: it names, such as ``category``.
    """
    names = [str(k) for k in known]
    return f'unknown {what} {name!r}{did_you_mean(name, names)}; known: {", ".join(names)}'
