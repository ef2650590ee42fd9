"""Start a node, spin it, and end it cleanly on SIGINT or SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions


class ClosingNode(Protocol):
    """A node with something to end before it is destroyed."""

    def close(self) -> None: ...

    def destroy_node(self) -> None: ...


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
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while stop.running:
            executor.spin_once(timeout_sec=0.25)
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
