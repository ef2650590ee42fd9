"""An executor that spins on a thread while a test works."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from instant_models import LIMIT
from rclpy.executors import Executor

from kinediff3d_ros.nodes.running import spin


@contextmanager
def spinning(executor: Executor) -> Iterator[threading.Thread]:
    """Spin as the nodes do, on a thread of its own; the executor is shut down with the block."""
    closing = threading.Event()
    thread = threading.Thread(target=spin, args=(executor, lambda: not closing.is_set()),
                              daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        closing.set()
        thread.join(LIMIT)
        executor.shutdown()
