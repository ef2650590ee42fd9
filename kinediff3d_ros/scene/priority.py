"""Priority of a thread."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

NICE = 10
"""Niceness of threads whose results nobody waits for. Chosen: on a busy core they get about a
tenth of what tracking gets."""


def lower_priority() -> None:
    """Let the other threads of this and other processes run before the calling thread.

    Linux has a priority per thread; elsewhere nothing happens.
    """
    thread = threading.get_native_id()
    with suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread) < NICE:
            os.setpriority(os.PRIO_PROCESS, thread, NICE)
