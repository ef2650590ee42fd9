"""Keep a node that runs for hours as small as in its first minute (glibc)."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Of glibc's mallopt."""

LARGE = 4 << 20
"""Bytes from which on a block is given back to the system when it is freed."""

_libc = ctypes.CDLL(None)


def settle_heap() -> None:
    """One heap for all threads, and none of a full estimate's large blocks in it.

    With one heap a thread, which is the default, what tracking and full estimates free in turn is
    kept twice. Large blocks would leave holes that small ones fill, so that the heap grows for a
    long time, because glibc raises its threshold with each large block that is freed, unless it is
    set. A lower one costs speed: tracking works with blocks of about 1 MiB. Call it before threads
    start.
    """
    if hasattr(_libc, 'mallopt'):
        _libc.mallopt(M_ARENA_MAX, 1)
        _libc.mallopt(M_MMAP_THRESHOLD, LARGE)


def trim_heap() -> None:
    """Give free pages back to the system, also those between blocks that are in use: after work
    that has needed much. Takes some milliseconds."""
    if hasattr(_libc, 'malloc_trim'):
        _libc.malloc_trim(0)
