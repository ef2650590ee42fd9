"""Pairing of two message streams by their stamps."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

First = TypeVar('First')
Second = TypeVar('Second')


class StampPairing(Generic[First, Second]):
    """Pairs each first message with the second message whose stamp is nearest, within a slop.

    Args:
        slop: largest difference of the stamps, ns.
        depth: how many messages of each kind may wait; the oldest is discarded.

    Attributes:
        unpaired: number of first messages that were discarded without a pair.
    """

    def __init__(self, slop: int, depth: int = 10) -> None:
        self._slop = slop
        self._first: deque[tuple[int, First]] = deque()
        self._second: deque[tuple[int, Second]] = deque()
        self._depth = depth
        self.unpaired = 0

    def add_first(self, stamp: int, message: First) -> tuple[First, Second] | None:
        """Add a message; return the pair that it completes, if any."""
        self._first.append((stamp, message))
        if len(self._first) > self._depth:
            self._first.popleft()
            self.unpaired += 1
        return self._pair()

    def add_second(self, stamp: int, message: Second) -> tuple[First, Second] | None:
        """Add a message; return the pair that it completes, if any."""
        self._second.append((stamp, message))
        if len(self._second) > self._depth:
            self._second.popleft()
        return self._pair()

    def discard(self) -> None:
        """Discard what waits; first messages count as unpaired."""
        self.unpaired += len(self._first)
        self._first.clear()
        self._second.clear()

    def _pair(self) -> tuple[First, Second] | None:
        """Return the newest pair, if any, and discard all older messages."""
        for stamp, first in reversed(self._first):
            nearest = min(self._second, key=lambda entry: abs(entry[0] - stamp), default=None)
            if nearest is None or abs(nearest[0] - stamp) > self._slop:
                continue
            self.unpaired += sum(t < stamp for t, _ in self._first)
            self._first = deque(entry for entry in self._first if entry[0] > stamp)
            self._second = deque(entry for entry in self._second if entry[0] > nearest[0])
            return first, nearest[1]
        return None
