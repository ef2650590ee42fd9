"""The service ``estimate``: its calls wait on a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger

from kinediff3d_ros.nodes.running import spin
from kinediff3d_ros.scene.estimate_requests import EstimateRequest


class EstimateService:
    """Answers calls one after the other, each when its full estimates are made.

    The answer comes seconds after the call, from frames that the node's executor receives
    meanwhile. Of Jazzy's executors, EventsExecutor takes no coroutine as a service's callback, and
    SingleThreadedExecutor runs no timer while one waits. Here the callback simply waits, in an
    executor and a thread of its own, and so for a node of its own: rclpy adds whole nodes to
    executors. The node's name begins with an underscore, which hides it from ``ros2 node list``.

    Args:
        node: whose namespace and remappings the service has.
        request: returns a request to wait for, or a text that says why there can be none. It is
            called on the service's thread.
    """

    def __init__(self, node: Node, request: Callable[[], EstimateRequest | str]) -> None:
        self._request = request
        self._node = Node(f'_{node.get_name()}_estimate', namespace=node.get_namespace(),
                          context=node.context, use_global_arguments=False, enable_rosout=False,
                          start_parameter_services=False)
        self._node.create_service(Trigger, node.resolve_service_name('estimate'), self._answer)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name='estimate service', daemon=True)
        self._closing = threading.Event()
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Destroy the service.

        Args:
            timeout: time to wait for the answer to the last call, s; the scene gives it when it
                is closed.
        """
        self._closing.set()
        self._executor.wake()
        self._thread.join(timeout)
        self._executor.shutdown(timeout)
        self._node.destroy_node()

    def _spin(self) -> None:
        spin(self._executor, lambda: not self._closing.is_set())

    def _answer(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        request = self._request()
        if isinstance(request, str):
            response.message = request
            return response
        request.wait()
        response.success, response.message = request.success, request.message
        return response
