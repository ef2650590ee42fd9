"""The service ``estimate``: it answers later, while the node's own executor goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from spinning import spinning  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from kinediff3d_ros.nodes.estimate_service import EstimateService
from kinediff3d_ros.nodes.running import make_executor
from kinediff3d_ros.scene.estimate_requests import EstimateRequest, EstimateRequests
from kinediff3d_ros.tools.processes import private_graph
from kinediff3d_ros.tools.recorder import Recorder

pytestmark = pytest.mark.ros

LIMIT = 30.0
"""Seconds that a test waits for anything."""


class Bench(NamedTuple):
    """A node that spins, with a timer that counts, and its service.

    ``answers`` are what the service returns to its calls: requests or reasons.
    """

    service: EstimateService
    recorder: Recorder
    answers: list[EstimateRequest | str]
    ticks: list[None]

    def call(self) -> object:
        client = self.recorder.node.create_client(Trigger, '/robot/look')
        assert client.wait_for_service(LIMIT)
        return client.call_async(Trigger.Request())

    def wait(self, condition: Callable[[], object]) -> None:
        self.recorder.wait_for(condition, LIMIT, 'answer')


@pytest.fixture(params=[SingleThreadedExecutor, make_executor])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    domain, answers, ticks = private_graph(), [], []
    context = Context()
    context.init(domain_id=domain)
    node = Node('perception', context=context, namespace='robot',
                cli_args=['--ros-args', '-r', 'estimate:=look'])
    executor = request.param(context=context)
    node.create_timer(0.02, lambda: ticks.append(None))
    service = EstimateService(node, lambda: answers[0] if len(answers) == 1 else answers.pop(0))
    executor.add_node(node)
    with spinning(executor), Recorder(domain) as recorder:
        yield Bench(service, recorder, answers, ticks)
    service.close(LIMIT)
    assert not any(t.name == 'estimate service' for t in threading.enumerate())
    node.destroy_node()
    context.try_shutdown()


def test_an_answer_comes_later_from_another_thread_while_timers_run(bench: Bench) -> None:
    """The service has the node's namespace and remappings."""
    request = EstimateRequest(LIMIT)
    bench.answers.append(request)
    future = bench.call()
    begin = len(bench.ticks)
    end = time.monotonic() + LIMIT
    while len(bench.ticks) < begin + 10 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(bench.ticks) >= begin + 10 and not future.done()
    request.expect({1})
    request.add_result(1, True, 'one: good')
    bench.wait(future.done)
    assert (future.result().success, future.result().message) == (True, 'one: good')


def test_a_second_call_does_not_take_the_answer_of_the_first(bench: Bench) -> None:
    first, second = EstimateRequest(LIMIT), EstimateRequest(LIMIT)
    bench.answers.extend([first, second])
    futures = [bench.call(), bench.call()]
    second.finish('second')
    first.finish('first')
    bench.wait(lambda: all(f.done() for f in futures))
    assert sorted(f.result().message for f in futures) == ['first', 'second']


def test_an_answer_before_the_objects_are_known_is_not_lost(bench: Bench) -> None:
    """The full estimate may end before the frame that it is of has been looked through."""
    request = EstimateRequest(LIMIT)
    request.add_result(1, True, 'one: good')
    request.expect({1})
    bench.answers.append(request)
    future = bench.call()
    bench.wait(future.done)
    assert future.result().message == 'one: good'


def test_calls_that_cannot_be_served_are_answered_at_once(bench: Bench) -> None:
    requests = EstimateRequests(LIMIT)
    requests.close('the node has been deactivated')
    bench.answers.extend(['the node is not active', requests.add()])
    for expected in ('the node is not active', 'the node has been deactivated'):
        future = bench.call()
        bench.wait(future.done)
        assert (future.result().success, future.result().message) == (False, expected)
