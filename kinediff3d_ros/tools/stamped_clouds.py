"""Clouds that wait until the poses of their stamp are known, to be shown together with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

KEPT_CLOUDS = 30
"""Clouds that wait at most. Chosen: those of ``POSE_WAIT`` at 60 Hz, 4 MB."""

POSE_WAIT = 0.5
"""Seconds for which a cloud waits for poses of its stamp. An object that gets a full estimate has
none meanwhile, and the others move on. Chosen."""

STOPPED = 2.0
"""Seconds after the arrival of the last cloud after which the newest poses are shown. Chosen."""

CLOCK_RESET = 10**9
"""A stamp that is older than the last one by this many nanoseconds means that time has restarted,
as in the perception node (docs/ros.md, "Stamps")."""


@dataclass(frozen=True)
class StampedCloud:
    """A cloud: its message, its stamp (ns) and its time of arrival (monotonic, s)."""

    message: Any
    stamp: int
    arrival: float


class StampedClouds:
    """Chooses the newest cloud with poses of its stamp."""

    def __init__(self) -> None:
        self._waiting: deque[StampedCloud] = deque(maxlen=KEPT_CLOUDS)
        self._shown: StampedCloud | None = None

    def add(self, message: Any, stamp: int, now: float) -> bool:
        """Take a cloud that has arrived; one older than what is shown is dropped.

        Returns:
            Whether time has restarted: all older stamps count no more.
        """
        restarted = self._shown is not None and stamp <= self._shown.stamp - CLOCK_RESET
        if restarted:
            self.clear()
        if self._shown is None or stamp >= self._shown.stamp:
            self._waiting.append(StampedCloud(message, stamp, now))
        return restarted

    def choose(self, has_poses: Callable[[int], bool], now: float) -> Any:
        """Message of the cloud that is to be shown next; None without a better one than before.

        Args:
            has_poses: whether all poses of a stamp are known.
        """
        chosen = next((c for c in reversed(self._waiting)
                       if now - c.arrival >= POSE_WAIT or has_poses(c.stamp)), None)
        if chosen is None:
            return None
        while self._waiting.popleft() is not chosen:
            pass
        self._shown = chosen
        return chosen.message

    def stamp(self, now: float) -> int | None:
        """Stamp (ns) at which everything is shown; None, the newest poses, without clouds."""
        if self._shown is None or now - self._shown.arrival > STOPPED:
            return None
        return self._shown.stamp

    @property
    def up_to_date(self) -> bool:
        """Whether the newest cloud is shown."""
        return self._shown is not None and not self._waiting

    def clear(self) -> None:
        """Forget all clouds."""
        self._waiting.clear()
        self._shown = None
