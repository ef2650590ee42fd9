"""The topic ``/diagnostics``: the state of a node and of each of its objects.

Topic, period and names are those of ``diagnostic_updater`` with its parameter ``use_fqn``, so that
``diagnostic_aggregator`` and its viewers can use them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from std_msgs.msg import Header

from kinediff3d_ros.messages.diagnostics import diagnostic_status
from kinediff3d_ros.nodes import endpoints
from kinediff3d_ros.scene.health import Health


@dataclass(frozen=True)
class Task:
    """What one status is about.

    Attributes:
        name: of the object, or ``objects`` for the node.
    """

    name: str
    health: Health
    category: str


class DiagnosticsOutput:
    """Publishes the statuses of all tasks of a node, under the lock of its scene's host.

    The name of a status is ``<fully qualified name of the node>: <task>``.

    Args:
        tasks: returns the present tasks.
        device: returns the torch device in use.

    Attributes:
        publisher: of the topic.

    Raises:
        ValueError: an override of the topic's quality of service cannot be used.
    """

    def __init__(self, node: Node, tasks: Callable[[], Sequence[Task]],
                 device: Callable[[], str]) -> None:
        self._node, self._tasks, self._device = node, tasks, device
        self.publisher = endpoints.publisher(node, DiagnosticArray, '/diagnostics')
        self._reported: dict[str, tuple[str, str]] = {}

    def publish(self) -> None:
        """Publish all statuses."""
        self._publish(self._tasks())

    def publish_changes(self) -> None:
        """Publish all statuses if a task is new, has ended, or has another state or warning."""
        tasks = self._tasks()
        if {t.name: (t.health.state, t.health.warning) for t in tasks} != self._reported:
            self._publish(tasks)

    def _publish(self, tasks: Sequence[Task]) -> None:
        self._reported = {}
        statuses = [self._status(task) for task in tasks]
        self.publisher.publish(DiagnosticArray(
            header=Header(stamp=self._node.get_clock().now().to_msg()), status=statuses))

    def _status(self, task: Task) -> DiagnosticStatus:
        values = task.health.values(category=task.category, device=self._device())
        state = str(values['state'])
        self._reported[task.name] = state, str(values.get('warning', ''))
        return diagnostic_status(f'{self._node.get_fully_qualified_name()}: {task.name}',
                                 task.name, state, task.health.message, values)
