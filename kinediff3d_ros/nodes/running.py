"""Start a node, spin it, and end it cleanly on SIGINT or SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.context import Context
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions


class ClosingNode(Protocol):
    """A node with something to end before it is destroyed."""

    def close(self) -> None: ...

    def destroy_node(self) -> None: ...


def make_executor(context: Context | None = None) -> Executor:
    """Executor of a node with many topics.

    rclpy's own looks through all of them, in Python, for every message: at thirty images a second
    a fifth of a core, and what else runs in the process waits for the interpreter meanwhile. The
    one that is driven by events is in rclpy since Jazzy's 7.1.4.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        return SingleThreadedExecutor(context=context)
    return EventsExecutor(context=context)


class StopRequest:
    """SIGINT and SIGTERM: break off what is being set up, let end what is already running.

    rclpy's own handlers shut the context down under a callback that is about to publish; here it
    stays valid until the node has taken back what it showed.
    """

    def __init__(self) -> None:
        self.made = False
        self.running = True
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.running = False
        if not self.made:
            raise KeyboardInterrupt


def spin(executor: Executor, going: Callable[[], bool]) -> None:
    """Spin while ``going()``; a request that rcl refuses does not end the node.

    A lifecycle transition that does not fit the present state is such a request: rclpy lets rcl's
    error through to whoever spins.
    """
    while going():
        try:
            executor.spin_once(timeout_sec=0.25)
        except RCLError as error:
            get_logger('kinediff3d').error(str(error))


def run_node(make: Callable[[], Any], args: list[str] | None) -> int:
    """Run the node that ``make`` makes, a ``ClosingNode``, until a signal arrives.

    Returns:
        exit status: 0 after a signal, 2 with one line if the configuration cannot be used.
    """
    stop = StopRequest()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node: ClosingNode = make()
        stop.made = True
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
    return 0
