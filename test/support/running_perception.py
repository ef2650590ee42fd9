"""A perception node in the test's process that spins on a thread, and a recorder beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import rclpy
from rclpy.executors import Executor
from spinning import spinning

from kinediff3d_ros.nodes import perception
from kinediff3d_ros.nodes.running import make_executor
from kinediff3d_ros.tools.processes import private_graph
from kinediff3d_ros.tools.recorder import Recorder


@contextmanager
def running_perception(parameters: Mapping[str, object], *arguments: str,
                       ) -> Iterator[tuple[perception.PerceptionNode, Executor, Recorder]]:
    """The node with parameters, in a graph of its own; started unless ``autostart`` is false.

    Args:
        arguments: further ROS arguments.
    """
    domain = private_graph()
    values = (x for k, v in parameters.items() for x in ('-p', f'{k}:={v}'))
    rclpy.init(args=['--ros-args', *values, *arguments], domain_id=domain)
    node = perception.PerceptionNode()
    node.autostart()
    executor = make_executor()
    executor.add_node(node)
    with Recorder(domain) as recorder:
        with spinning(executor):
            yield node, executor, recorder
        node.close()
        node.destroy_node()
    rclpy.try_shutdown()
