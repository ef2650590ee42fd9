"""CPU threads of torch: set here for commands, programs and nodes alike.

Threads of OpenMP that have nothing to do wait in a busy loop. Where another process needs the same
core, they take it from the threads that have work: an estimate of 0.37 s took 22 s beside two busy
processes on two cores. So idle threads sleep, and half of the cores are left free.
"""

from __future__ import annotations

import os
import sys

WAIT_POLICY = 'OMP_WAIT_POLICY'
"""Environment variable that says how idle threads wait. OpenMP reads it when it is loaded."""
THREADS = 'OMP_NUM_THREADS'
"""Environment variable with the number of threads; torchrun sets it, too."""
SHARE = 0.5
"""Share of the cores that torch uses. Chosen: beside one busy process a core, a run then gets more
than half of its quiet speed, and cores are free for a camera driver or a second run."""


def sleep_when_idle() -> None:
    """Let idle threads of OpenMP sleep, unless the environment says otherwise.

    It has an effect only before torch is imported.
    """
    os.environ.setdefault(WAIT_POLICY, 'PASSIVE')


def default_threads() -> int:
    """Threads of torch where no number is given: ``OMP_NUM_THREADS``, else half of the cores that
    this process may use, at least one."""
    given = os.environ.get(THREADS, '').split(',')[0].strip()
    if given.isdecimal() and int(given) > 0:
        return int(given)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else \
        os.cpu_count() or 1
    return max(1, int(SHARE * cores))


def set_threads(count: int | None = None) -> None:
    """Let torch use a number of CPU threads; None or 0 means :func:`default_threads`.

    Torch is not imported here: where it is not yet, it finds the number in the environment.
    """
    threads = count or default_threads()
    if 'torch' in sys.modules:
        sys.modules['torch'].set_num_threads(threads)
    else:
        os.environ[THREADS] = str(threads)
