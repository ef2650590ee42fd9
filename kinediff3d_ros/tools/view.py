"""The live scene of a perception node in a browser.

The page shows what RViz shows with ``config/perception.rviz``, on machines without RViz or
without a screen. Its address is ``http://127.0.0.1:8080`` by default.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.signals import SignalHandlerOptions
from rclpy.validate_namespace import validate_namespace
from rclpy.validate_topic_name import validate_topic_name

from kinediff3d_ros.nodes.running import StopRequest, make_executor, spin
from kinediff3d_ros.tools.browser_panel import BrowserPanel
from kinediff3d_ros.tools.browser_scene import BrowserScene
from kinediff3d_ros.tools.browser_server import serve, url_of
from kinediff3d_ros.tools.screen_capture import CaptureOptions, ScreenCapture
from kinediff3d_ros.tools.view_connections import graph_in_words
from kinediff3d_ros.tools.view_node import ViewNode, ViewTopics

FRAME_TIMEOUT = 30.0
"""Seconds to wait for cloud, joints and poses of one stamp before a picture is taken anyway.
Chosen."""

RENDER_TIMEOUT = 30.0
"""Seconds for a browser to deliver a picture. Chosen for a browser without a GPU."""


@dataclass(frozen=True)
class ViewOptions:
    """Options of ``kinediff3d view``.

    Attributes:
        host, port: address to listen on.
        z_up: the z axis of the fixed frame points upward; otherwise the frame is optical.
        topics: where the view looks.
        seconds: end after this time; None serves until Ctrl-C.
        capture: pictures to take; the command ends with the last one.
    """

    host: str = '127.0.0.1'
    port: int = 8080
    z_up: bool = False
    topics: ViewTopics = ViewTopics()
    seconds: float | None = None
    capture: CaptureOptions | None = None


def run_view(options: ViewOptions) -> None:
    """Serve the page until the time is over, the last picture is taken, or a signal comes.

    Raises:
        ValueError: the page cannot be served, or the folder of the pictures does not exist.
    """
    server = serve(options.host, options.port)
    try:
        with _stop_request() as stop:
            _serve(server, options, stop)
    finally:
        server.stop()


def _serve(server: Any, options: ViewOptions, stop: StopRequest) -> None:
    """Fill the page from the topics."""
    _check_names(options.topics)
    scene, panel = BrowserScene(server, options.z_up), BrowserPanel(server)
    capture = None if options.capture is None else ScreenCapture(
        lambda width, height: first_browser(server, width, height) if scene.aimed else None,
        options.capture)
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = ViewNode(scene, panel, options.topics)
    stop.constructed = True
    executor = make_executor()
    executor.add_node(node)
    print(f'the scene is at {url_of(server)}\nit listens in {graph_in_words(node)}', flush=True)
    end = None if options.seconds is None else time.monotonic() + options.seconds

    def running() -> bool:
        if capture is not None and _captured(capture, node):
            return False
        return stop.running and (end is None or time.monotonic() < end)

    try:
        spin(executor, running)
    finally:
        node.close()
        executor.shutdown()
        node.destroy_node()


def _check_names(topics: ViewTopics) -> None:
    """Raise ValueError for names that ROS refuses."""
    try:
        if topics.namespace:
            validate_namespace('/' + topics.namespace.strip('/'))
        if topics.image:
            validate_topic_name(topics.image)
    except NameValidationException as error:
        raise ValueError(' '.join(str(error).split('\n')[:2])) from error


def _captured(capture: ScreenCapture, node: ViewNode) -> bool:
    """Take a picture if one is due and the scene is of one stamp; whether it was the last one."""
    late = capture.overdue() if node.caption else None
    if late is not None and (node.place_latest_frame() or late > FRAME_TIMEOUT):
        capture.take(node.caption)
    return capture.done


@contextmanager
def _stop_request() -> Iterator[StopRequest]:
    """Notice SIGINT and SIGTERM; the handlers of before come back with the end of the block."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield StopRequest()
    except KeyboardInterrupt:  # before the node was constructed
        pass
    finally:
        rclpy.try_shutdown()
        for number, handler in before.items():
            signal.signal(number, handler)


def first_browser(server: Any, width: int, height: int) -> np.ndarray | None:
    """What the first browser shows on white, (H, W, 3) uint8; None without a browser."""
    clients = list(server.get_clients().values())
    if not clients:
        return None
    try:
        pixels = clients[0].get_render(height, width, transport_format='png',
                                       timeout=RENDER_TIMEOUT)
    except (TimeoutError, RuntimeError):  # the page was closed
        return None
    alpha = pixels[..., 3:] / 255.0
    return np.asarray(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
