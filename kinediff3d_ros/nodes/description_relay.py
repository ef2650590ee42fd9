"""Give each new robot_description of an object to robot_state_publisher, as its parameter."""

from __future__ import annotations

import sys
import time

from rcl_interfaces.srv import SetParameters
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_msgs.msg import String

from kinediff3d_ros.nodes.running import run_node

RETRY_PERIOD = 0.5
"""Time between attempts while robot_state_publisher is not there, s. Chosen."""

ANSWER_TIMEOUT = 2.0
"""After this time without an effect, the parameter is set again, s. Chosen: robot_state_publisher
answers in milliseconds, but DDS may lose the answer of a service that has just been found."""


class DescriptionRelay(Node):
    """Keeps ``robot_state_publisher`` in this node's namespace on the topic ``robot_description``.

    robot_state_publisher reads a URDF only from its parameter. It publishes the one that it uses,
    transient-local, here on ``robot_state_publisher/robot_description``. The parameter is set
    whenever the two differ: for a new version, and after robot_state_publisher was started again.
    A version that it refuses is reported once and not sent again. All callbacks run on the
    executor's thread.
    """

    def __init__(self) -> None:
        super().__init__('description_relay')
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._wanted = self._used = self._refused = ''
        self._answer: Future | None = None
        self._due = 0.0
        self.create_subscription(String, 'robot_description', self._on_wanted, latched)
        self.create_subscription(String, 'robot_state_publisher/robot_description',
                                 self._on_used, latched)
        self._client = self.create_client(SetParameters, 'robot_state_publisher/set_parameters')
        self.create_timer(RETRY_PERIOD, self._relay, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """There are no threads to end."""

    def _on_wanted(self, description: String) -> None:
        self._wanted, self._due = description.data, 0.0
        self._relay()

    def _on_used(self, description: String) -> None:
        # Only this topic says what is used: an answer may be older than a new start.
        self._used, self._due = description.data, 0.0
        if self._used == self._wanted:
            self.get_logger().info('robot_state_publisher uses a new robot_description')
        self._relay()

    def _relay(self) -> None:
        """Set the parameter, if that is due."""
        if (self._wanted in ('', self._used, self._refused) or time.monotonic() < self._due
                or not self._client.service_is_ready()):
            return
        if self._answer is not None:
            self._client.remove_pending_request(self._answer)
        sent = self._wanted
        self._answer = self._client.call_async(SetParameters.Request(parameters=[
            Parameter('robot_description', value=sent).to_parameter_msg()]))
        self._due = time.monotonic() + ANSWER_TIMEOUT
        self._answer.add_done_callback(lambda future: self._on_answer(sent, future))

    def _on_answer(self, sent: str, answer: Future) -> None:
        result = answer.result().results[0]
        if not result.successful:
            self._refused = sent
            self.get_logger().error(
                f'robot_state_publisher refuses the robot_description: {result.reason}')


def main(args: list[str] | None = None) -> int:
    """Entry point of ``description_relay_node``."""
    return run_node(DescriptionRelay, args)


if __name__ == '__main__':
    sys.exit(main())
