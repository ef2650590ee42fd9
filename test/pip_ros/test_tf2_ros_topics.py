"""``tf2_ros`` broadcasters and listeners over topics."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator

import pytest

pytest.importorskip('rclpy')

import rclpy  # noqa: E402
import tf2_ros  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.time import Time  # noqa: E402
from transform_messages import stamped, translation_of  # noqa: E402


@pytest.fixture
def nodes(monkeypatch) -> Iterator[tuple]:
    """Two spinning nodes of one context, in their own namespace."""
    monkeypatch.setitem(os.environ, 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    context = rclpy.Context()
    rclpy.init(context=context)
    name = f'test_{uuid.uuid4().hex[:8]}'
    # /tf is absolute in tf2_ros, so the topics are remapped into the namespace.
    remaps = ['--ros-args', '-r', f'/tf:=/{name}/tf', '-r', f'/tf_static:=/{name}/tf_static']
    pair = [rclpy.create_node(n, context=context, cli_args=remaps) for n in ('sender', 'receiver')]
    executor = SingleThreadedExecutor(context=context)
    for node in pair:
        executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield tuple(pair)
    executor.shutdown()
    thread.join(timeout=10)
    for node in pair:
        node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.ros
def test_broadcasts_reach_the_buffer(nodes) -> None:
    sender, receiver = nodes
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, receiver)
    broadcaster = tf2_ros.TransformBroadcaster(sender)
    deadline = time.monotonic() + 20
    while not buffer.can_transform('a', 'b', Time(seconds=1.5), Duration(seconds=0.05)):
        assert time.monotonic() < deadline, 'no transform arrived'
        broadcaster.sendTransform([stamped('a', 'b', 1.0), stamped('a', 'b', 2.0, (4, 0, 0))])
        broadcaster.sendTransform(stamped('b', 'c', 1.5, (0, 1, 0)))
    found = buffer.lookup_transform('a', 'c', Time(seconds=1.5), Duration(seconds=10))
    assert translation_of(found) == pytest.approx([2, 1, 0])
    listener.unregister()


@pytest.mark.ros
def test_static_broadcasts_reach_late_listeners(nodes) -> None:
    sender, receiver = nodes
    broadcaster = tf2_ros.StaticTransformBroadcaster(sender)
    broadcaster.sendTransform(stamped('a', 'b', 0.0, (1, 0, 0)))
    broadcaster.sendTransform(stamped('a', 'c', 0.0, (0, 1, 0)))
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, receiver)
    found = buffer.lookup_transform('b', 'c', Time(), Duration(seconds=20))
    assert translation_of(found) == pytest.approx([-1, 1, 0])
    listener.unregister()
