"""Interrupts a full estimate between its steps, from another thread.

    request = threading.Event()
    with cancellable(request):
        estimate = pipeline.infer(cloud)   # raises Cancelled soon after request.set()

The stages of the pipeline and the loops in them call :func:`check_cancelled`. The request holds
for the calling thread alone, so that other threads may use the same pipeline's networks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_request: ContextVar[threading.Event | None] = ContextVar('cancellation request', default=None)


class Cancelled(Exception):
    """The work was interrupted on request and has no result."""


@contextmanager
def cancellable(request: threading.Event) -> Iterator[None]:
    """Let the work inside, on this thread, be interrupted by setting ``request``."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def check_cancelled() -> None:
    """Do nothing, unless the work of this thread is to be interrupted.

    Raises:
        Cancelled: the request of the enclosing :func:`cancellable` is set.
    """
    request = _request.get()
    if request is not None and request.is_set():
        raise Cancelled('interrupted on request')
