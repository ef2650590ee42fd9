"""Calls of the service ``estimate``: they wait for a frame, then for its full estimates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class EstimateRequest:
    """One request for full estimates of all objects in the next frame; for several threads.

    Args:
        timeout: time after which it is answered with the results so far, s.

    Attributes:
        success: whether an object was estimated. message: a line per object, or why there is none.
    """

    def __init__(self, timeout: float) -> None:
        self.success, self.message = False, ''
        self._timeout, self._end = timeout, time.monotonic() + timeout
        self._answered = False
        self._expected: set[int] | None = None
        self._finished: set[int] = set()
        self._lines: list[str] = []
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    def when_answered(self, listener: Callable[[], None]) -> None:
        """Call the listener once there is an answer, on the thread that completes it; immediately
        if there is one already."""
        with self._lock:
            if self._answered:
                listener()
            else:
                self._listeners.append(listener)

    def expect(self, numbers: set[int]) -> None:
        """Set the objects (mask ids) whose results complete the answer."""
        with self._lock:
            self._expected = set(numbers)
            self._finish_if_complete()

    def add_result(self, number: int, success: bool, line: str) -> None:
        """Add the result of one object, also before :meth:`expect`."""
        with self._lock:
            self.success |= success
            self._lines.append(line)
            self._finished.add(number)
            self._finish_if_complete()

    def expire(self) -> bool:
        """Answer with the results so far if the time is up; return whether it is answered."""
        if time.monotonic() > self._end:
            self.finish(f'no answer within {self._timeout:g} s')
        return self._answered

    def finish(self, reason: str) -> None:
        """Answer with the results so far, or with the reason if there are none.

        Only the first answer counts.
        """
        with self._lock:
            if not self._answered:
                self._answered = True
                self.message = '; '.join(self._lines) or reason
                for listener in self._listeners:
                    listener()

    def _finish_if_complete(self) -> None:
        if self._expected is not None and self._expected <= self._finished:
            self.finish('no object in the frame')


class EstimateRequests:
    """The requests of a scene; for several threads.

    Args:
        timeout: of each request, s.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._waiting: EstimateRequest | None = None
        self._open: list[EstimateRequest] = []
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """Whether a request waits for the next frame."""
        return self._waiting is not None

    def add(self) -> EstimateRequest:
        """Return the request that the next frame will serve; all callers until then share it."""
        with self._lock:
            if self._waiting is None:
                self._waiting = EstimateRequest(self._timeout)
                self._open.append(self._waiting)
            return self._waiting

    def take(self) -> EstimateRequest | None:
        """Return the request that waits for a frame, if any; the next call makes a new one."""
        with self._lock:
            request, self._waiting = self._waiting, None
            return request

    def expire(self) -> None:
        """Answer the requests whose time is up."""
        with self._lock:
            requests = list(self._open)
        # Without the lock: answering sends the response of a service.
        answered = [r for r in requests if r.expire()]
        with self._lock:
            self._open = [r for r in self._open if r not in answered]
            if self._waiting in answered:
                self._waiting = None

    def finish_all(self, reason: str) -> None:
        """Answer all requests."""
        with self._lock:
            requests, self._open, self._waiting = self._open, [], None
        for request in requests:
            request.finish(reason)
