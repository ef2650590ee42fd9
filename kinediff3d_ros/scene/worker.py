"""A worker thread that processes the newest item of each key and survives exceptions."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Item = TypeVar('Item')


class NewestItemWorker(Generic[Item]):
    """Runs ``work(item)`` on its own thread, on the newest item of each key only.

    There is one slot per key. A newer item replaces one that still waits in its slot and takes its
    place in the order. An exception in ``work`` goes to ``on_error``; the thread continues, also
    if that raises one, which is logged.

    Attributes:
        busy: whether an item is in work.
        keys: those of the items that wait or are in work.
        min_period: least time from the start of one item to the start of the next, s.
    """

    def __init__(self, work: Callable[[Item], None],
                 on_error: Callable[[Exception], None], name: str = 'inference') -> None:
        self._work, self._on_error = work, on_error
        self._changed = threading.Condition()
        self._slots: dict[Hashable, Item] = {}
        self._stopping = False
        self._in_work: list[Hashable] = []
        self.busy = False
        self.min_period = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item, key: Hashable = None) -> Item | None:
        """Put the item into the slot of its key; return the item that it replaces, if any.

        After ``close`` it returns the item itself, which is not processed.
        """
        with self._changed:
            if self._stopping:
                return item
            replaced = self._slots.get(key)
            self._slots[key] = item
            self._changed.notify()
        return replaced

    @property
    def keys(self) -> set[Hashable]:
        with self._changed:
            return {*self._slots, *self._in_work}

    def close(self) -> list[Item]:
        """Discard and return what waits; after the item in work, if any, none is worked on."""
        with self._changed:
            self._stopping = True
            waiting = list(self._slots.values())
            self._slots.clear()
            self._changed.notify()
        return waiting

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` s after ``close``; return whether the thread has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        earliest = 0.0
        while True:
            with self._changed:
                while not self._stopping:
                    wait = earliest - time.monotonic()
                    if self._slots and wait <= 0:
                        break
                    self._changed.wait(wait if self._slots and wait > 0 else None)
                if self._stopping:
                    return
                key = next(iter(self._slots))
                item = self._slots.pop(key)
                self.busy, self._in_work = True, [key]
            earliest = time.monotonic() + self.min_period
            try:
                self._work(item)
            except Exception as error:
                self._report(error)
            del item  # It is not kept in memory until the next one comes.
            self.busy, self._in_work = False, []

    def _report(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:
            logging.getLogger(__name__).exception('the error %r could not be reported', error)
