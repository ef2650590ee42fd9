"""Start a node, spin it, and end it cleanly on SIGINT or SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import rclpy
from rclpy.context import Context
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions

from kinediff3d_ros.scene.throttle import Throttle

FAULT_PERIOD = 10.0
"""Time for which the same fault of a callback is not logged again, s. Chosen."""


class ClosingNode(Protocol):
    """A node with threads to end before it is destroyed."""

    def close(self) -> None: ...

    def destroy_node(self) -> None: ...


def make_executor(context: Context | None = None) -> Executor:
    """Return an executor for a node with many topics: driven by events where rclpy has that.

    rclpy's SingleThreadedExecutor checks all topics in Python for every message. At thirty images
    per second that takes a fifth of a core, and other threads of the process wait for the
    interpreter meanwhile. The EventsExecutor exists since rclpy 7.1.4 (Jazzy).
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor(context=context)
    return EventsExecutor(context=context)


class StopRequest:
    """SIGINT and SIGTERM: interrupt a node's construction, or end its spinning.

    rclpy's own handlers shut the context down while a callback may still publish. Here it stays
    valid until the node has withdrawn what it has published.
    """

    def __init__(self) -> None:
        self.constructed = False
        self.running = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.running = False
        if not self.constructed:
            raise KeyboardInterrupt


def spin(executor: Executor, running: Callable[[], bool]) -> None:
    """Spin while ``running()``; log an exception of a callback, which does not end the node.

    Each is one line, and the same one is logged once per :data:`FAULT_PERIOD`. rcl's own errors
    are among them, as that of a lifecycle transition that does not fit the present state.
    """
    throttle = Throttle(FAULT_PERIOD)
    while running() and executor.context.ok():
        try:
            executor.spin_once(timeout_sec=0.25)
        except ExternalShutdownException:
            return
        except Exception as error:
            line = _describe(error)
            if throttle.lets_through(line):
                get_logger('kinediff3d').error(line)


def _describe(error: Exception) -> str:
    """Type, first line and place of an exception, as one line."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    first = f'{type(error).__name__}: {error}'.split('\n')[0]
    return f'a callback failed: {first} ({Path(at.filename).name}, line {at.lineno})'


def run_node(make: Callable[[], Any], args: list[str] | None) -> int:
    """Run the node that ``make`` returns, a ``ClosingNode``, until a signal arrives.

    Returns:
        exit status: 0 after a signal, 2 with one line if the configuration cannot be used.
    """
    stop = StopRequest()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node: ClosingNode = make()
        stop.constructed = True
    except KeyboardInterrupt:
        rclpy.try_shutdown()
        return 0
    except (ValueError, OSError, InvalidParameterTypeException,
            InvalidParameterValueException) as error:
        get_logger('kinediff3d').fatal(str(error))
        rclpy.try_shutdown()
        return 2
    executor = make_executor()
    executor.add_node(node)
    try:
        spin(executor, lambda: stop.running)
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    _exit_beside_threads(0)
    return 0


def _exit_beside_threads(status: int) -> None:
    """End the process at once if a thread is still at work, which may be a description.

    Python's own end unloads libraries under such a thread: a crash, or a lock that nobody frees.
    """
    if any(thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
