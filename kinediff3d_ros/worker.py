"""A worker thread that always takes the newest item and never dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar('Item')


class NewestItemWorker(Generic[Item]):
    """Runs ``work(item)`` on its own thread, on the newest item only.

    The mailbox has one slot: an item that is still waiting when the next arrives is dropped and
    counted. An exception in ``work`` goes to ``on_error`` and the thread lives on.
    """

    def __init__(self, work: Callable[[Item], None],
                 on_error: Callable[[Exception], None]) -> None:
        self._work, self._on_error = work, on_error
        self._changed = threading.Condition()
        self._slot: list[Item] = []
        self._stopping = False
        self._dropped = 0
        self.min_period = 0.0
        self._thread = threading.Thread(target=self._run, name='inference', daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Items that were replaced before their turn."""
        return self._dropped

    @property
    def stopping(self) -> bool:
        return self._stopping

    def offer(self, item: Item) -> None:
        """Put the item into the slot, in place of one that still waits there."""
        with self._changed:
            self._dropped += len(self._slot)
            self._slot = [item]
            self._changed.notify()

    def close(self) -> None:
        """Take nothing more; the item in work, if any, is the last."""
        with self._changed:
            self._stopping = True
            self._slot = []
            self._changed.notify()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` s after ``close``; whether the thread has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        earliest = 0.0
        while True:
            with self._changed:
                while not self._stopping:
                    wait = earliest - time.monotonic()
                    if self._slot and wait <= 0:
                        break
                    self._changed.wait(wait if self._slot and wait > 0 else None)
                if self._stopping:
                    return
                item = self._slot.pop()
            earliest = time.monotonic() + self.min_period
            try:
                self._work(item)
            except Exception as error:
                self._on_error(error)
