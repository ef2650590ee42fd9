"""Calls of the service ``estimate``: they wait for a frame, then for its full estimates."""

from __future__ import annotations

import threading


class EstimateRequest:
    """One request for full estimates of all objects in the next frame; for several threads.

    Args:
        timeout: time after which :meth:`wait` answers with the results so far, s.

    Attributes:
        success: whether an object was estimated. message: a line per object, or why there is none.
    """

    def __init__(self, timeout: float) -> None:
        self.success, self.message = False, ''
        self._timeout = timeout
        self._answered = threading.Event()
        self._expected: set[int] | None = None
        self._finished: set[int] = set()
        self._lines: list[str] = []
        self._lock = threading.RLock()

    @property
    def answered(self) -> bool:
        """Whether there is an answer, which does not change any more."""
        return self._answered.is_set()

    def wait(self) -> None:
        """Return once there is an answer, which is that the time is up after ``timeout``."""
        if not self._answered.wait(self._timeout):
            self.finish(f'no answer within {self._timeout:g} s')

    def expect(self, numbers: set[int]) -> None:
        """Set the objects (mask ids) whose results complete the answer."""
        with self._lock:
            self._expected = set(numbers)
            self._finish_if_complete()

    def add_result(self, number: int, success: bool, line: str) -> None:
        """Add the result of one object, also before :meth:`expect`; ignored after the answer."""
        with self._lock:
            if self.answered:
                return
            self.success |= success
            self._lines.append(line)
            self._finished.add(number)
            self._finish_if_complete()

    def finish(self, reason: str) -> None:
        """Answer with the results so far, or with the reason if there are none.

        Only the first answer counts.
        """
        with self._lock:
            if not self.answered:
                self.message = '; '.join(self._lines) or reason
                self._answered.set()

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
        self._closed = ''
        self._lock = threading.Lock()

    @property
    def waiting(self) -> bool:
        """Whether a request waits for the next frame."""
        waiting = self._waiting
        return waiting is not None and not waiting.answered

    def add(self) -> EstimateRequest:
        """Return the request that the next frame will serve; all callers until then share it."""
        with self._lock:
            self._open = [r for r in self._open if not r.answered]
            if self._waiting is None or self._waiting.answered:
                self._waiting = EstimateRequest(self._timeout)
                self._open.append(self._waiting)
            if self._closed:
                self._waiting.finish(self._closed)
            return self._waiting

    def take(self) -> EstimateRequest | None:
        """Return the request that waits for a frame, if any; the next call makes a new one."""
        with self._lock:
            request, self._waiting = self._waiting, None
            return None if request is None or request.answered else request

    def close(self, reason: str) -> None:
        """Answer all requests with a reason, those that are still to come included."""
        with self._lock:
            self._closed = reason
            for request in self._open:
                request.finish(reason)
