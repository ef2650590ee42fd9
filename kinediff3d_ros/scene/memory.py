"""Settings of the C heap (glibc) that keep the memory of a long-running node constant."""

from __future__ import annotations

import ctypes

M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Parameter numbers of glibc's mallopt (malloc.h)."""

LARGE = 4 << 20
"""Blocks of this size or more, bytes, are returned to the system when they are freed. A lower
threshold makes tracking slower, which works with blocks of about 1 MiB. Chosen."""

_libc = ctypes.CDLL(None)


def configure_heap() -> None:
    """Use one heap for all threads, and keep large blocks out of it. Call it before threads start.

    By default glibc has one heap per thread: memory that tracking frees is then not available to
    full estimates, and the other way round. It also raises its threshold for large blocks with
    each one that is freed, unless the threshold is set. Large blocks on the heap leave holes that
    small blocks fill, so the heap grows for a long time.
    """
    if hasattr(_libc, 'mallopt'):
        _libc.mallopt(M_ARENA_MAX, 1)
        _libc.mallopt(M_MMAP_THRESHOLD, LARGE)


def trim_heap() -> None:
    """Return free pages to the system, also those between blocks in use.

    For the end of work that has needed much memory. Takes some milliseconds.
    """
    if hasattr(_libc, 'malloc_trim'):
        _libc.malloc_trim(0)
