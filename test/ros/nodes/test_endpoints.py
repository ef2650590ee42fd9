"""Input subscriptions over real DDS: as reliable as the publishers, whoever comes first."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

import rclpy  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.publisher import Publisher  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

from kinediff3d_ros.messages import images
from kinediff3d_ros.nodes import endpoints
from kinediff3d_ros.nodes.endpoints import InputSubscription
from kinediff3d_ros.nodes.running import make_executor
from kinediff3d_ros.tools.processes import private_graph
from kinediff3d_ros.tools.recorder import Recorder

pytestmark = pytest.mark.ros

LIMIT = 30.0
"""Seconds that a test waits for anything."""


class Bench:
    """A node with input subscriptions, in a thread, and a node with publishers."""

    def __init__(self, recorder: Recorder, node: Node) -> None:
        self.recorder, self.node = recorder, node
        self.received: list[Image] = []

    def publisher(self, topic: str, reliable: bool) -> Publisher:
        return self.recorder.node.create_publisher(Image, topic, QoSProfile(
            depth=5, reliability=ReliabilityPolicy.RELIABLE if reliable
            else ReliabilityPolicy.BEST_EFFORT))

    def subscribe(self, topic: str) -> InputSubscription:
        return InputSubscription(self.node, Image, topic, self.received.append)

    def discovered(self, subscription: InputSubscription, number: int = 1) -> None:
        """Wait until the subscribing node knows the publishers."""
        self.wait(lambda: subscription.count_publishers() == number, 'publisher')

    def wait(self, condition, what: str):
        return self.recorder.wait_for(condition, LIMIT, what)

    def reliability(self, topic: str) -> list[str]:
        """Of the subscriptions, as DDS reports it."""
        return [e.qos_profile.reliability.name for e in
                self.recorder.node.get_subscriptions_info_by_topic(topic)]

    def arrives(self, publisher: Publisher) -> None:
        """An image that is published until it arrives, which a match takes."""
        self.received.clear()

        def publish() -> bool:
            publisher.publish(Image())
            return bool(self.received)

        self.wait(publish, 'image')


@pytest.fixture(scope='module')
def graph() -> Iterator[tuple[Recorder, Node]]:
    domain = private_graph()
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node('inputs', context=context, automatically_declare_parameters_from_overrides=False,
                parameter_overrides=[Parameter(
                    'qos_overrides./fixed.subscription.reliability', value='reliable')])
    executor = make_executor(context)
    executor.add_node(node)
    closing = threading.Event()

    def spin() -> None:
        while not closing.is_set():
            executor.spin_once(timeout_sec=0.1)

    thread = threading.Thread(target=spin)
    thread.start()
    with Recorder(domain) as recorder:
        yield recorder, node
    closing.set()
    thread.join(LIMIT)
    executor.shutdown()
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def bench(graph: tuple[Recorder, Node], monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(endpoints, 'CHECK_PERIOD', 0.1)
    return Bench(*graph)


@pytest.mark.parametrize('reliable', [True, False])
def test_a_subscription_after_its_publisher(bench: Bench, reliable: bool) -> None:
    topic = f'/after_{reliable}'.lower()
    publisher = bench.publisher(topic, reliable)
    bench.wait(lambda: bench.node.count_publishers(topic), 'publisher')
    subscription = bench.subscribe(topic)
    bench.arrives(publisher)
    assert bench.reliability(topic) == ['RELIABLE' if reliable else 'BEST_EFFORT']
    subscription.close()


@pytest.mark.parametrize('reliable', [True, False])
def test_a_subscription_before_its_publisher(bench: Bench, reliable: bool) -> None:
    """BEST_AVAILABLE alone resolves to reliable then, which matches no best-effort publisher."""
    topic = f'/before_{reliable}'.lower()
    subscription = bench.subscribe(topic)
    bench.wait(lambda: bench.reliability(topic) == ['RELIABLE'], 'subscription')
    publisher = bench.publisher(topic, reliable)
    bench.arrives(publisher)
    assert bench.reliability(topic) == ['RELIABLE' if reliable else 'BEST_EFFORT']
    subscription.close()


def test_a_publisher_with_another_reliability_takes_over(bench: Bench) -> None:
    """A best-effort driver is replaced by a reliable one; both together are best effort."""
    best_effort = bench.publisher('/other', reliable=False)
    subscription = bench.subscribe('/other')
    bench.arrives(best_effort)
    reliable = bench.publisher('/other', reliable=True)
    bench.discovered(subscription, 2)
    bench.arrives(reliable)
    assert bench.reliability('/other') == ['BEST_EFFORT']
    bench.recorder.node.destroy_publisher(best_effort)
    bench.wait(lambda: bench.reliability('/other') == ['RELIABLE'], 'new subscription')
    bench.arrives(reliable)
    subscription.close()
    bench.wait(lambda: not bench.reliability('/other'), 'end of the subscription')


def test_an_override_is_kept(bench: Bench) -> None:
    """A subscription that must be reliable does not match a best-effort publisher."""
    publisher = bench.publisher('/fixed', reliable=False)
    subscription = bench.subscribe('/fixed')
    bench.discovered(subscription)
    bench.wait(lambda: bench.reliability('/fixed') == ['RELIABLE'], 'subscription')
    other = bench.publisher('/free', reliable=False)
    free = bench.subscribe('/free')
    bench.arrives(other)  # by now the first would have been checked, too
    publisher.publish(Image())
    assert bench.reliability('/fixed') == ['RELIABLE'] and not publisher.get_subscription_count()
    name = 'qos_overrides.{}.subscription.reliability'
    assert [bench.node.get_parameter(name.format(t)).value for t in ('/fixed', '/free')] == [
        'reliable', 'best_available']
    subscription.close()
    free.close()


def test_large_images_arrive(bench: Bench) -> None:
    """Sixty images of 614 kB from a reliable publisher; best effort loses some of them."""
    publisher = bench.publisher('/large', reliable=True)
    subscription = bench.subscribe('/large')
    bench.arrives(publisher)
    image = images.image_from_pixels(np.zeros((480, 640), np.uint16), '16UC1', Image().header)

    def stamps() -> list[int]:
        return [m.header.stamp.sec for m in list(bench.received) if m.data]

    for i in range(60):
        image.header.stamp.sec = i + 1
        publisher.publish(image)
        # Both sides keep the last five: no more are on the way.
        bench.wait(lambda i=i: len(stamps()) > i - 3, 'image')
    bench.wait(lambda: len(stamps()) == 60, 'every image')
    assert stamps() == list(range(1, 61))
    subscription.close()
