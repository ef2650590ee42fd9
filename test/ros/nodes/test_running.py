"""Spinning of a node: what an exception in a callback does, in both executors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from spinning import spinning  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from kinediff3d_ros.nodes import running
from kinediff3d_ros.nodes.running import make_executor, spin
from kinediff3d_ros.tools.processes import private_graph

pytestmark = pytest.mark.ros

LIMIT = 30.0
"""Seconds that a test waits for anything."""


@pytest.fixture
def context() -> Iterator[Context]:
    value = Context()
    value.init(domain_id=private_graph())
    yield value
    value.try_shutdown()


class Lines:
    """In place of a logger: keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.parametrize('executor_of', [SingleThreadedExecutor, make_executor])
def test_an_exception_in_a_callback_is_one_line_and_the_node_goes_on(
        context: Context, executor_of: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    logger, ticks = Lines(), []
    monkeypatch.setattr(running, 'get_logger', lambda _: logger)
    node, executor = Node('faulty', context=context), executor_of(context=context)

    def fail(*_: object) -> None:
        raise RuntimeError('broken\nin two lines')

    def tick() -> None:
        ticks.append(None)
        if len(ticks) % 2:
            fail()

    node.create_timer(0.02, tick)
    node.create_subscription(String, 'text', fail, 10)
    node.create_service(Trigger, 'ask', fail)
    publisher = node.create_publisher(String, 'text', 10)
    client = node.create_client(Trigger, 'ask')
    executor.add_node(node)
    with spinning(executor) as thread:
        assert client.wait_for_service(LIMIT)
        end = time.monotonic() + LIMIT
        for count in (5, 10):
            publisher.publish(String(data='a'))
            client.call_async(Trigger.Request())
            while len(ticks) < count and time.monotonic() < end:
                time.sleep(0.01)
        assert len(ticks) >= 10 and thread.is_alive()
    node.destroy_node()
    # The same fault again and again is one line.
    line, = logger.lines
    assert line.startswith('a callback failed: RuntimeError: broken (test_running.py, line ')
    assert '\n' not in line


@pytest.mark.parametrize('executor_of', [SingleThreadedExecutor, make_executor])
def test_spinning_ends_with_its_context(context: Context, executor_of: Callable) -> None:
    """Otherwise it would spin for ever, as fast as it can."""
    node, executor = Node('alone', context=context), executor_of(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=spin, args=(executor, lambda: True), daemon=True)
    thread.start()
    time.sleep(0.1)
    context.try_shutdown()
    thread.join(LIMIT)
    assert not thread.is_alive()
    executor.shutdown()
    node.destroy_node()


def test_a_process_ends_beside_a_thread_that_is_still_at_work() -> None:
    """Python's own end, which calls what is registered with atexit, would unload its libraries."""
    program = """
import atexit, os, signal, threading, time
from rclpy.node import Node
from kinediff3d_ros.nodes.running import run_node

class Busy(Node):
    def __init__(self):
        super().__init__('busy')
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        self.create_timer(0.01, lambda: os.kill(os.getpid(), signal.SIGINT))
    def close(self):
        print('closed')

atexit.register(print, 'unloaded')
raise SystemExit(run_node(Busy, None))
"""
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(private_graph())}
    ended = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                           timeout=LIMIT, env=environment)
    assert (ended.returncode, ended.stdout) == (0, 'closed\n'), ended.stderr
