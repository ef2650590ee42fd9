"""Limits how often the same text is logged."""

from __future__ import annotations

import threading
import time


class Throttle:
    """Lets each text through once per period; different texts do not affect each other.

    Args:
        period: s.
        remembered: texts whose last time is kept; the oldest is forgotten first.
    """

    def __init__(self, period: float, remembered: int = 32) -> None:
        self._period, self._remembered = period, remembered
        self._last_time: dict[str, float] = {}
        self._lock = threading.Lock()

    def lets_through(self, text: str) -> bool:
        """Return whether the text may be logged now, and remember it if so."""
        now = time.monotonic()
        with self._lock:
            if now - self._last_time.get(text, -float('inf')) < self._period:
                return False
            self._last_time.pop(text, None)
            self._last_time[text] = now
            while len(self._last_time) > self._remembered:
                self._last_time.pop(next(iter(self._last_time)))
            return True
