"""Which frames may be worked on, by their stamps."""

from __future__ import annotations

CLOCK_RESET = 1_000_000_000
"""A stamp that is this much older than the last one (ns) means that time started anew."""


class StampGate:
    """Lets each frame through once, in order, and none that the clock contradicts.

    Attributes:
        resets: how often time started anew (a bag that loops, a simulation that restarts).
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self.resets = 0

    def refusal(self, stamp: int, now: int, max_age: float, max_future: float) -> str | None:
        """Why a frame is not to be used, as the name of its counter; None if it is.

        Args:
            stamp, now: ns; ``now`` is 0 while a simulated clock has not started.
            max_age: s; 0 takes any age.
            max_future: s that a stamp may be ahead of ``now``.
        """
        if now > 0:
            ahead = 1e-9 * (stamp - now)
            if ahead > max_future:
                return 'frames_future'
            if max_age > 0 and -ahead > max_age:
                return 'frames_stale'
        if self._last is not None:
            if stamp == self._last:
                return 'frames_repeated'
            if self._last - CLOCK_RESET < stamp < self._last:
                return 'frames_out_of_order'
            self.resets += stamp < self._last
        self._last = stamp
        return None
