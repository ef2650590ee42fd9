"""Pairing of message streams by their stamps: images with masks, images with calibrations."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from kinediff3d_ros.scene.stamps import CLOCK_RESET

KEPT_CALIBRATIONS = 30
"""Calibrations that are kept for images that arrive later. Chosen: one second of a fast camera."""

QUEUE = 30
"""Messages of each kind that wait for their pair. Chosen: masks of a network come up to two
seconds late at 15 Hz; 30 depth images of 640 x 480 take 18 to 37 MB."""

First = TypeVar('First')
Second = TypeVar('Second')


class StampPairing(Generic[First, Second]):
    """Pairs each first message with the second message whose stamp is nearest, within a slop.

    A first message that is older by ``CLOCK_RESET`` than the one before it says that time has
    restarted: what waits and is so much newer than it is discarded.

    Args:
        slop: largest difference of the stamps, ns.
        depth: how many messages of each kind may wait; the oldest is discarded.

    Attributes:
        unpaired: number of first messages that were discarded without a pair.
    """

    def __init__(self, slop: int, depth: int = QUEUE) -> None:
        self._slop = slop
        self._first: deque[tuple[int, First]] = deque()
        self._second: deque[tuple[int, Second]] = deque()
        self._depth, self._last = depth, 0
        self.unpaired = 0

    def add_first(self, stamp: int, message: First) -> tuple[First, Second] | None:
        """Add a message; return the pair that it completes, if any."""
        if stamp + CLOCK_RESET <= self._last:
            self._forget_after(stamp + CLOCK_RESET)
        self._last = stamp
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

    def _forget_after(self, stamp: int) -> None:
        """Discard what waits with that stamp or a later one."""
        waiting = len(self._first)
        self._first = deque(entry for entry in self._first if entry[0] < stamp)
        self._second = deque(entry for entry in self._second if entry[0] < stamp)
        self.unpaired += waiting - len(self._first)

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


class CalibrationPairing(Generic[First, Second]):
    """Gives each image (first) the calibration (second) with its own stamp, where there is one.

    Drivers stamp both alike, or they do not. Once an image and a calibration had the same stamp,
    an image waits for its own calibration, at most until the next image, a newer calibration, or
    :meth:`release_late`. If its own does not come, and where stamps never agree, the image gets
    the newest calibration that is not newer than the image, or else the newest one; the next image
    does not wait.

    Args:
        early: most images that wait for the first calibration; older ones are discarded.
        depth: how many calibrations are kept.

    Attributes:
        uncalibrated: number of images that were discarded because there was no calibration.
    """

    def __init__(self, early: int = 0, depth: int = KEPT_CALIBRATIONS) -> None:
        self._early = early
        self._waiting: deque[tuple[int, First]] = deque()
        self._stamps: deque[int] = deque(maxlen=depth)
        self._calibrations: deque[tuple[int, Second]] = deque(maxlen=depth)
        self._stamped_alike = False
        self._waited: list[int] = []
        self.uncalibrated = 0

    @property
    def calibrated(self) -> bool:
        """Whether there has been a calibration."""
        return bool(self._calibrations)

    def add_first(self, stamp: int, image: First) -> list[tuple[First, Second]]:
        """Add an image; return the pairs that it completes, oldest first."""
        pairs = self._release() if self._calibrations else []
        self._stamps.append(stamp)
        self._waiting.append((stamp, image))
        if self._own(stamp):
            self._stamped_alike = True
            return pairs + self._release()
        if self._calibrations and not self._stamped_alike:
            return pairs + self._release()
        if not self._calibrations and len(self._waiting) > self._early:
            self._waiting.popleft()
            self.uncalibrated += 1
        return pairs

    def add_second(self, stamp: int, calibration: Second) -> list[tuple[First, Second]]:
        """Add a calibration; return the pairs that it completes, oldest first."""
        first = not self._calibrations
        self._calibrations.append((stamp, calibration))
        self._stamped_alike |= stamp in self._stamps
        if first or any(stamp >= waiting for waiting, _ in self._waiting):
            return self._release()
        return []

    def release_late(self) -> list[tuple[First, Second]]:
        """Pairs of images that have waited since the last call; for a source that pauses."""
        waiting = [stamp for stamp, _ in self._waiting]
        late = bool(self._calibrations) and waiting == self._waited
        self._waited = waiting
        return self._release() if late else []

    def _release(self) -> list[tuple[First, Second]]:
        """Pairs of all images that wait."""
        pairs = []
        for stamp, image in self._waiting:
            own = self._own(stamp)
            self._stamped_alike &= bool(own)
            pairs.append((image, (own or self._not_newer(stamp))[-1]))
        self._waiting.clear()
        return pairs

    def _own(self, stamp: int) -> list[Second]:
        """Calibrations with an image's stamp."""
        return [c for t, c in self._calibrations if t == stamp]

    def _not_newer(self, stamp: int) -> list[Second]:
        """Calibrations that are not newer than an image; all if there are none."""
        return ([c for t, c in self._calibrations if t <= stamp]
                or [c for _, c in self._calibrations])
