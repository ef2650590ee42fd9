"""One object of a scene: what is known of it, and who asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from std_msgs.msg import Header

from kinediff3d_core.objects.estimate import Mesh
from kinediff3d_core.observation.cloud import ObjectCloud
from kinediff3d_core.tracking.tracker import Tracker
from kinediff3d_ros.nodes.outputs import ObjectOutputs
from kinediff3d_ros.scene.health import Health


@dataclass(frozen=True)
class View:
    """One object in one frame.

    Attributes:
        seconds: the frame's stamp. begin: ``time.perf_counter()`` when work on it began.
        epoch: how often time has started anew.
        spent: wall time of the stages so far.
    """

    header: Header
    seconds: float
    cloud: ObjectCloud
    T_fixed_camera: np.ndarray | None
    begin: float
    epoch: int
    spent: dict[str, float]


class Demand:
    """A call of the ``estimate`` service: what the next full estimates say.

    Args:
        limit: seconds within which it is answered.
    """

    def __init__(self, limit: float) -> None:
        self.success, self.message = False, ''
        self._limit, self._end = limit, time.monotonic() + limit
        self._answered = False
        self._open: set[int] | None = None
        self._lines: list[str] = []
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    def when_answered(self, listener: Callable[[], None]) -> None:
        """Call it once there is an answer, on the thread that has it; at once if there is."""
        with self._lock:
            if self._answered:
                listener()
            else:
                self._listeners.append(listener)

    def expect(self, numbers: set[int]) -> None:
        """Which objects will answer."""
        with self._lock:
            self._open = numbers
            self._conclude()

    def answer(self, number: int, success: bool, line: str) -> None:
        with self._lock:
            self.success |= success
            self._lines.append(line)
            if self._open is not None:
                self._open.discard(number)
                self._conclude()

    def expire(self) -> bool:
        """Answer with what is there if time is up; whether it is answered."""
        if time.monotonic() > self._end:
            self.give_up(f'no answer within {self._limit:g} s')
        return self._answered

    def give_up(self, reason: str) -> None:
        """Answer with what is there, the reason if that is nothing; the first answer stays."""
        with self._lock:
            if not self._answered:
                self._answered = True
                self.message = '; '.join(self._lines) or reason
                for listener in self._listeners:
                    listener()

    def _conclude(self) -> None:
        if not self._open:
            self.give_up('no object in sight')


class SceneObject:
    """One object: its outputs, its trackers and what is due.

    Attributes:
        sought: its category, or ``auto``.
        tracker: follows it; candidate: a newer one that has to show that it is better.
        tracking: held while its trackers work.
        demand: who asked for its next full estimate.
        looked: when it last got a full estimate. seen: when it was last in a frame (monotonic).
        published: stamp of the last output, s.
        bare: shown without meshes. new_shape: the next output has other meshes than the last.
        meshes: of the last full estimate that made them; shape_due: when to make them again.
    """

    def __init__(self, number: int, outputs: ObjectOutputs, health: Health) -> None:
        self.number, self.outputs, self.health = number, outputs, health
        self.sought = outputs.category
        self.tracker: Tracker | None = None
        self.candidate: Tracker | None = None
        self.demand: Demand | None = None
        self.tracking = threading.RLock()
        self.looked = self.published = -float('inf')
        self.bare = False
        self.seen = time.monotonic()
        self.forget()

    @property
    def name(self) -> str:
        return self.outputs.name

    @property
    def category(self) -> str:
        """What it is; ``auto`` as long as that is not known."""
        return self.outputs.category

    def forget(self) -> None:
        """The object has gone out of sight: nothing of it is shown any more."""
        self.outputs.take_back()
        self.shape_due = 0.0
        self.meshes: dict[str, Mesh | None] = {}
        self.new_shape = True
