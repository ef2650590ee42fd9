"""The relay of robot_description, beside a stand-in for robot_state_publisher.

robot_state_publisher is C++ and has no wheel. The stand-in does what its source does: it starts
with a description, publishes the one in use, and refuses one that it cannot parse.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

import rclpy  # noqa: E402
from rcl_interfaces.msg import SetParametersResult  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from kinediff3d_ros.nodes.description_relay import DescriptionRelay
from kinediff3d_ros.tools.processes import private_graph
from kinediff3d_ros.tools.recorder import Recorder

pytestmark = pytest.mark.ros

LIMIT = 60.0
"""Longest wait for a message on a busy machine, s."""

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
EMPTY = '<robot name="laptop"><link name="laptop"/></robot>'


def version(number: int) -> str:
    return f'<robot name="laptop"><link name="laptop_base_{number}"/></robot>'


class Spinning:
    """A node on a thread of its own."""

    def __init__(self, node: Node) -> None:
        self.node, self._executor = node, SingleThreadedExecutor()
        self._executor.add_node(node)
        self._thread = threading.Thread(target=self._executor.spin)
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(LIMIT)
        self.node.destroy_node()


class StatePublisher(Node):
    """Stands in for robot_state_publisher.

    Attributes:
        received: every description that was offered to it.
    """

    def __init__(self) -> None:
        super().__init__('robot_state_publisher', namespace='/laptop')
        self.received: list[str] = []
        self.declare_parameter('robot_description', EMPTY)
        self.used = self.create_publisher(
            String, 'robot_state_publisher/robot_description', LATCHED)
        self.used.publish(String(data=EMPTY))
        self.add_on_set_parameters_callback(self._check)
        self.add_post_set_parameters_callback(
            lambda given: self.used.publish(String(data=given[0].value)))

    def _check(self, given: list) -> SetParametersResult:
        self.received.append(given[0].value)
        valid = '<link' in given[0].value
        return SetParametersResult(successful=valid, reason='' if valid else 'no link')


class Bench:
    """The relay, the stand-in when there is one, and what the stand-in uses."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._relay = Spinning(DescriptionRelay())
        self._state_publisher: Spinning | None = None
        self._description = recorder.node.create_publisher(
            String, '/laptop/robot_description', LATCHED)
        self._used = recorder.subscribe(
            String, '/laptop/robot_state_publisher/robot_description', LATCHED)

    def start(self) -> StatePublisher:
        node = StatePublisher()
        self._state_publisher = Spinning(node)
        return node

    def kill(self) -> None:
        self._state_publisher.close()

    def close(self) -> None:
        self._state_publisher.close()
        self._relay.close()

    def publish(self, text: str) -> None:
        self._description.publish(String(data=text))

    def wait_until_used(self, text: str) -> None:
        self.wait(lambda: self._used.messages and self._used.messages[-1].data == text, text)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        self.recorder.wait_for(condition, LIMIT, what)


@pytest.fixture
def bench() -> Iterator[Bench]:
    domain = private_graph()
    rclpy.init(domain_id=domain, args=['--ros-args', '-r', 'description_relay:__ns:=/laptop'])
    with Recorder(domain) as recorder:
        bench = Bench(recorder)
        yield bench
        bench.close()
    rclpy.shutdown()


def test_every_version_is_used_by_a_publisher_that_comes_late_or_again(bench: Bench) -> None:
    bench.publish(version(1))
    first = bench.start()
    bench.wait_until_used(version(1))
    bench.publish(version(2))
    bench.wait_until_used(version(2))
    assert list(dict.fromkeys(first.received)) == [version(1), version(2)]
    # Started again, it has its first description, and gets the newest without a new message.
    bench.kill()
    again = bench.start()
    bench.wait(lambda: again.received, 'an offer')
    bench.wait_until_used(version(2))
    assert set(again.received) == {version(2)}


def test_a_refused_version_is_offered_once_and_the_next_one_is_used(
        bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    state_publisher = bench.start()
    bench.publish('<robot/>')
    bench.wait(lambda: state_publisher.received, 'an offer')
    bench.publish(version(3))
    bench.wait_until_used(version(3))
    assert state_publisher.received.count('<robot/>') == 1
    assert 'refuses the robot_description: no link' in capfd.readouterr().err
