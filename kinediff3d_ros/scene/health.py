"""What a perception node counts and says about itself."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from kinediff3d_core.objects.estimate import ArticulatedEstimate

LEVELS = {
    'inactive': DiagnosticStatus.OK,
    'waiting': DiagnosticStatus.WARN,
    'estimate': DiagnosticStatus.OK,
    'no_estimate': DiagnosticStatus.WARN,
    'bad_input': DiagnosticStatus.ERROR,
    'error': DiagnosticStatus.ERROR,
    'stale': DiagnosticStatus.STALE,
    'lost': DiagnosticStatus.STALE,
}

FRAMES = ('frames_received', 'frames_dropped', 'frames_unpaired', 'frames_repeated',
          'frames_out_of_order', 'frames_future', 'frames_stale', 'clock_resets', 'bad_inputs',
          'errors')
"""What is counted of the input."""

ANSWERS = ('estimates', 'tracked', 'full_estimates', 'tracking_lost', 'no_estimates')
"""What is counted of an object: answers in all, those by tracking, and what became of the rest."""


@dataclass
class Health:
    """State and counters of a perception node or one of its objects; for several threads.

    Attributes:
        state: one of ``LEVELS``.
        message: one line about it.
        counts: frames by what became of them, and errors.
        last: residual, confidence, latency and milliseconds per stage of the last frame.
    """

    state: str = 'waiting'
    message: str = 'no input yet'
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FRAMES + ANSWERS, 0))
    last: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        with self._lock:
            self.counts[name] += 1

    def enter(self, state: str, message: str) -> None:
        """Take up a state; what the last frame measured is forgotten unless it was an estimate."""
        with self._lock:
            self.state, self.message = state, message
            if state != 'estimate':
                self.last = {}

    def measured(self, estimate: ArticulatedEstimate, points: int, stamp: str, age: float,
                 seconds: dict[str, float]) -> None:
        """Take over what one estimate measured.

        Args:
            points: how many were measured on the object.
            age: s from the input's stamp to now.
            seconds: wall time per stage.
        """
        spread = np.sqrt(np.diagonal(estimate.covariance).clip(0))
        with self._lock:
            self.last = {
                'stamp': stamp, 'residual_m': float(estimate.residual),
                'confidence': float(estimate.confidence), 'modes': len(estimate.modes),
                **({'category_confidence': float(estimate.categories[estimate.category])}
                   if estimate.categories else {}),
                'position_std_m': float(spread[:3].max()),
                'rotation_std_rad': float(spread[3:].max()),
                **{f'{j.name}_std': float(j.std) for j in estimate.joints},
                'points': points, 'age_ms': 1e3 * age,
                **{f'{stage}_ms': 1e3 * s for stage, s in seconds.items()}}

    def values(self, **more: object) -> dict[str, object]:
        """Everything, for a diagnostics message."""
        with self._lock:
            return {'state': self.state, **more, **self.counts, **self.last}


class Throttle:
    """Lets a text through once per period; other texts do not hold it back.

    Args:
        period: s.
    """

    def __init__(self, period: float, remembered: int = 32) -> None:
        self._period, self._remembered = period, remembered
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def lets_through(self, text: str) -> bool:
        now = time.monotonic()
        with self._lock:
            if now - self._said.get(text, -self._period) < self._period:
                return False
            self._said.pop(text, None)
            self._said[text] = now
            while len(self._said) > self._remembered:
                self._said.pop(next(iter(self._said)))
            return True
