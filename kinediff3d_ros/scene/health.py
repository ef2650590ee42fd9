"""State, counters and last measurements of a perception node and its objects."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from kinediff3d_core.objects.estimate import ArticulatedEstimate

STATES = ('inactive', 'waiting', 'estimate', 'no_estimate', 'bad_input', 'error', 'stale', 'lost')
"""States of a node or an object; ``kinediff3d_ros.messages.diagnostics`` has their levels."""

FRAMES = ('frames_received', 'frames_dropped', 'frames_unpaired', 'frames_uncalibrated',
          'frames_repeated', 'frames_out_of_order', 'frames_future', 'frames_stale',
          'clock_resets', 'bad_inputs', 'errors')
"""Counters of the input."""

RESULTS = ('estimates', 'tracked', 'full_estimates', 'tracking_lost', 'no_estimates')
"""Counters of an object: all estimates, those by tracking, full estimates, and failures."""


@dataclass
class Health:
    """State and counters of a perception node or one of its objects; for several threads.

    Attributes:
        state: one of ``STATES``.
        message: one line about it. warning: one line about what is wrong beside it, or ''.
        counts: by name, ``FRAMES`` and ``RESULTS``.
        last: residual, confidence, latency and milliseconds per stage of the last frame.
    """

    state: str = 'waiting'
    message: str = 'no input yet'
    warning: str = ''
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FRAMES + RESULTS, 0))
    last: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def count(self, name: str) -> None:
        """Add one to a counter."""
        with self._lock:
            self.counts[name] += 1

    def set_count(self, name: str, value: int) -> None:
        """Set a counter that is kept elsewhere."""
        with self._lock:
            self.counts[name] = value

    def enter(self, state: str, message: str, warning: str = '') -> None:
        """Set the state; measurements of the last frame stay only with an estimate."""
        with self._lock:
            self.state, self.warning = state, warning
            self.message = '; '.join(filter(None, (message, warning)))
            if state != 'estimate':
                self.last = {}

    def measured(self, estimate: ArticulatedEstimate, points: int, stamp: str, age: float,
                 seconds: dict[str, float]) -> None:
        """Store the measurements of one estimate.

        Args:
            points: number of points measured on the object.
            stamp: of the input, as text.
            age: time from the input's stamp to now, s.
            seconds: wall time per stage, s.
        """
        std = np.sqrt(np.diagonal(estimate.covariance).clip(0))
        with self._lock:
            self.last = {
                'stamp': stamp, 'residual_m': float(estimate.residual),
                'confidence': float(estimate.confidence), 'modes': len(estimate.modes),
                **({'category_confidence': float(estimate.categories[estimate.category])}
                   if estimate.categories else {}),
                'position_std_m': float(std[:3].max()),
                'rotation_std_rad': float(std[3:].max()),
                **{f'{j.name}_std': float(j.std) for j in estimate.joints},
                'points': points, 'age_ms': 1e3 * age,
                **{f'{stage}_ms': 1e3 * s for stage, s in seconds.items()}}

    def values(self, **more: object) -> dict[str, object]:
        """Return state, counters and measurements, for a diagnostics message."""
        with self._lock:
            return {'state': self.state, **({'warning': self.warning} if self.warning else {}),
                    **more, **self.counts, **self.last}
