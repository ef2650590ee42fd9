"""The live scene of a perception node in a browser.

The page shows what RViz shows with ``config/perception.rviz``, on machines without RViz or
without a screen. Its address is ``http://127.0.0.1:8080`` by default.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import rclpy

from kinediff3d_ros.nodes.running import make_executor, spin
from kinediff3d_ros.tools.browser_scene import BrowserScene
from kinediff3d_ros.tools.screen_capture import CaptureOptions, ScreenCapture
from kinediff3d_ros.tools.view_node import ViewNode

FRAME_TIMEOUT = 30.0
"""Seconds to wait for cloud, joints and poses of one stamp before a picture is taken anyway.
Chosen."""


@dataclass(frozen=True)
class ViewOptions:
    """Options of ``kinediff3d view``.

    Attributes:
        host, port, z_up: as in :class:`BrowserScene`.
        namespace, fixed_frame: as in :class:`ViewNode`.
        seconds: end after this time; None serves until Ctrl-C.
        capture: pictures to take; the command ends with the last one.
    """

    host: str = '127.0.0.1'
    port: int = 8080
    z_up: bool = False
    namespace: str = ''
    fixed_frame: str = ''
    seconds: float | None = None
    capture: CaptureOptions | None = None


def run_view(options: ViewOptions) -> None:
    """Serve the page.

    Raises:
        ValueError: the page cannot be served, or the folder of the pictures does not exist.
    """
    scene = BrowserScene(options.host, options.port, options.z_up)
    try:
        capture = None if options.capture is None else ScreenCapture(scene, options.capture)
        print(f'the scene is at {scene.url}', flush=True)
        _serve(scene, options, capture)
    finally:
        scene.close()


def _serve(scene: BrowserScene, options: ViewOptions, capture: ScreenCapture | None) -> None:
    """Fill the scene from the topics until the time is over or the last picture is taken."""
    rclpy.init()
    node = ViewNode(scene, options.namespace, options.fixed_frame)
    executor = make_executor()
    executor.add_node(node)
    end = None if options.seconds is None else time.monotonic() + options.seconds

    def running() -> bool:
        late = None if capture is None else capture.overdue()
        if capture is not None and late is not None and (
                node.place_latest_frame() or late > FRAME_TIMEOUT):
            capture.take()
            if capture.done:
                return False
        return end is None or time.monotonic() < end

    try:
        spin(executor, running)
    except KeyboardInterrupt:
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
