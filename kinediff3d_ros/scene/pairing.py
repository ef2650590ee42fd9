"""Pairing of two message streams by their stamps."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

First = TypeVar('First')
Second = TypeVar('Second')


class StampPairing(Generic[First, Second]):
    """Gives each first message the second one whose stamp is nearest, within a slop.

    Args:
        slop: largest difference of the stamps, ns.
        depth: messages of each kind that may wait.
    """

    def __init__(self, slop: int, depth: int = 10) -> None:
        self._slop = slop
        self._first: deque[tuple[int, First]] = deque()
        self._second: deque[tuple[int, Second]] = deque()
        self._depth = depth
        self.unpaired = 0

    def add_first(self, stamp: int, message: First) -> tuple[First, Second] | None:
        """Add a message; the pair that it completes, if any."""
        self._first.append((stamp, message))
        if len(self._first) > self._depth:
            self._first.popleft()
            self.unpaired += 1
        return self._pair()

    def add_second(self, stamp: int, message: Second) -> tuple[First, Second] | None:
        """Add a message; the pair that it completes, if any."""
        self._second.append((stamp, message))
        if len(self._second) > self._depth:
            self._second.popleft()
        return self._pair()

    def _pair(self) -> tuple[First, Second] | None:
        """The newest pair there is; what is older than it is let go."""
        for stamp, first in reversed(self._first):
            gap, at, second = min(
                ((abs(t - stamp), t, s) for t, s in self._second),
                key=lambda candidate: candidate[0], default=(self._slop + 1, 0, None))
            if gap <= self._slop and second is not None:
                self.unpaired += sum(t < stamp for t, _ in self._first)
                self._first = deque(entry for entry in self._first if entry[0] > stamp)
                self._second = deque(entry for entry in self._second if entry[0] > at)
                return first, second
        return None
