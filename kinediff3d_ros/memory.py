"""Keep a node that runs for hours as small as in its first minute (glibc)."""

from __future__ import annotations

import ctypes

M_ARENA_MAX = -8
"""Of glibc's mallopt."""

_libc = ctypes.CDLL(None)


def share_one_heap() -> None:
    """One heap for all threads.

    With one a thread, which is the default, what tracking and full estimates free in turn is kept
    twice. Call it before threads start.
    """
    if hasattr(_libc, 'mallopt'):
        _libc.mallopt(M_ARENA_MAX, 1)
