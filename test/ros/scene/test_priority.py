"""Threads of low priority."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from kinediff3d_ros.scene.priority import NICE, lower_priority


@pytest.mark.skipif(sys.platform != 'linux', reason='Linux has a priority per thread')
def test_the_priority_of_one_thread_is_lowered() -> None:
    found, before = [], os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def work() -> None:
        for _ in range(2):
            lower_priority()
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [max(NICE, before)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
