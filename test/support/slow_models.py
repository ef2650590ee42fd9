"""Models for tests of threads: they take milliseconds, may be cancelled, and fail at times."""

from __future__ import annotations

import random
import threading
import time

from instant_models import InstantModels

from kinediff3d_core.inference.cancellation import check_cancelled
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.tracking.reinitialization import TrackingLost


class SlowModels(InstantModels):
    """In place of ``kinediff3d_ros.scene.models.Models``.

    Attributes:
        fault_share: share of the calls that raise an exception.
        most: largest number of full estimates that were made at a time.
    """

    def __init__(self, categories=('laptop',)) -> None:
        super().__init__(categories)
        self.reinitialization_interval = 0.0
        self.before_tracking = self._track_slowly
        self.fault_share = 0.1
        self.random = random.Random(0)
        self.at_work: list[str] = []
        self.most = 0

    def infer(self, category, cloud, seed):
        self.at_work.append(threading.current_thread().name)
        self.most = max(self.most, len(self.at_work))
        try:
            for _ in range(self.random.randrange(8)):
                check_cancelled()
                time.sleep(0.001)
            self._fail(NoEstimate('hidden'))
            return super().infer(category, cloud, seed)
        finally:
            self.at_work.pop()

    def tracker(self, *arguments):
        tracker = super().tracker(*arguments)
        self._fail(RuntimeError('no tracker'))
        return tracker

    def _track_slowly(self) -> None:
        time.sleep(0.002)
        self._fail(TrackingLost('gone'))

    def _fail(self, *errors: Exception) -> None:
        """Raise one of these or an unexpected error now and then."""
        if self.random.random() < self.fault_share:
            raise self.random.choice([*errors, RuntimeError('unexpected')])
