"""Decides by its stamp whether a frame is used."""

from __future__ import annotations

CLOCK_RESET = 1_000_000_000
"""A stamp that is older than the last one by this or more (ns) is a clock reset, not a frame out
of order. Chosen."""


class StampGate:
    """Accepts each frame once, in order, and only with a stamp that fits the node's clock.

    Attributes:
        resets: number of clock resets (a bag that loops, a simulation that restarts).
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self.resets = 0

    def refusal(self, stamp: int, now: int, max_age: float, max_future: float) -> str | None:
        """Return why a frame is refused, as the name of its counter; None accepts it.

        Args:
            stamp, now: ns; ``now`` is 0 while a simulated clock has not started.
            max_age: s; 0 accepts any age.
            max_future: how far a stamp may be ahead of ``now``, s.
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
