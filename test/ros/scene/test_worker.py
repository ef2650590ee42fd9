"""The worker thread: the newest item of each key, exceptions, rate, end."""

from __future__ import annotations

import threading
import time

from kinediff3d_ros.scene.worker import NewestItemWorker

LIMIT = 10.0


class Slow:
    """Work that waits for ``gate`` and records its items."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def __call__(self, item: int) -> None:
        self.seen.append(item)
        self.started.release()
        if item < 0:
            raise RuntimeError(f'item {item}')
        assert self.gate.acquire(timeout=LIMIT)


def test_only_the_newest_item_is_processed_and_replaced_ones_are_returned() -> None:
    work, errors = Slow(), []
    worker: NewestItemWorker[int] = NewestItemWorker(work, errors.append)
    worker.submit(0)
    assert work.started.acquire(timeout=LIMIT)
    assert [worker.submit(item) for item in range(1, 8)] == [None, 1, 2, 3, 4, 5, 6]
    work.gate.release()
    assert work.started.acquire(timeout=LIMIT)
    work.gate.release()
    worker.close()
    assert worker.join(LIMIT)
    assert (work.seen, errors) == ([0, 7], [])


def test_what_waits_at_the_end_is_returned() -> None:
    work = Slow()
    worker: NewestItemWorker[int] = NewestItemWorker(work, print)
    worker.submit(0, 'a')
    assert work.started.acquire(timeout=LIMIT)
    for item, key in ((1, 'a'), (2, 'b'), (3, 'a')):
        worker.submit(item, key)
    assert worker.close() == [3, 2]
    work.gate.release()
    assert worker.join(LIMIT) and work.seen == [0]


def test_an_exception_does_not_end_the_thread() -> None:
    work, errors = Slow(), []
    worker: NewestItemWorker[int] = NewestItemWorker(work, errors.append)
    for item in (-1, -2, 3):
        worker.submit(item)
        assert work.started.acquire(timeout=LIMIT)
    work.gate.release()
    worker.close()
    assert worker.join(LIMIT)
    assert work.seen == [-1, -2, 3] and [str(e) for e in errors] == ['item -1', 'item -2']


def test_the_rate_is_limited_and_the_newest_item_is_next() -> None:
    times, seen, done = [], [], threading.Event()

    def work(item: int) -> None:
        times.append(time.monotonic())
        seen.append(item)
        if len(seen) == 2:
            done.set()

    worker: NewestItemWorker[int] = NewestItemWorker(work, lambda e: None)
    worker.min_period = 0.3
    worker.submit(0)
    end = time.monotonic() + LIMIT
    while not seen and time.monotonic() < end:
        time.sleep(0.001)
    for item in range(1, 5):
        worker.submit(item)
    assert done.wait(LIMIT)
    worker.close()
    assert worker.join(LIMIT)
    assert seen == [0, 4] and times[1] - times[0] >= 0.29


def test_an_error_that_cannot_be_reported_does_not_end_the_thread(caplog) -> None:
    work = Slow()

    def fail(error: Exception) -> None:
        raise ValueError('no publisher')

    worker: NewestItemWorker[int] = NewestItemWorker(work, fail)
    for item in (-1, 2):
        worker.submit(item)
        assert work.started.acquire(timeout=LIMIT)
    work.gate.release()
    assert worker.close() == [] and worker.join(LIMIT)
    assert work.seen == [-1, 2] and 'could not be reported' in caplog.text


def test_an_item_after_the_end_is_returned() -> None:
    worker: NewestItemWorker[int] = NewestItemWorker(Slow(), print)
    assert worker.close() == [] and worker.submit(3) == 3 and worker.join(LIMIT)


def test_closing_discards_waiting_items() -> None:
    work = Slow()
    worker: NewestItemWorker[int] = NewestItemWorker(work, lambda e: None)
    worker.submit(0)
    assert work.started.acquire(timeout=LIMIT)
    worker.submit(1)
    worker.close()
    assert not worker.join(0.05)
    work.gate.release()
    assert worker.join(LIMIT) and work.seen == [0]


def test_each_key_has_a_slot_in_the_order_of_arrival() -> None:
    work = Slow()
    worker: NewestItemWorker[int] = NewestItemWorker(work, lambda e: None)
    worker.submit(0)
    assert work.started.acquire(timeout=LIMIT) and worker.busy
    assert [worker.submit(item, key) for item, key in ((1, 'a'), (2, 'b'), (3, 'a'))] == [
        None, None, 1]
    for _ in range(2):
        work.gate.release()
        assert work.started.acquire(timeout=LIMIT)
    work.gate.release()
    worker.close()
    assert worker.join(LIMIT) and work.seen == [0, 3, 2] and not worker.busy
