"""Outputs whose messages need not be installed: the one place that looks for their packages."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rclpy.node import Node

if TYPE_CHECKING:
    from kinediff3d_ros.nodes.planning_scene_output import CollisionObjectPublisher


def collision_object_publisher(node: Node,
                               warn: Callable[[str], None]) -> CollisionObjectPublisher | None:
    """The publisher of the planning scene; None, with a warning, without moveit_msgs.

    Raises:
        ValueError: an override of the topic's quality of service cannot be used.
    """
    if find_spec('moveit_msgs') is None:
        warn('planning_scene needs moveit_msgs, which is not installed; there is no '
             'collision_object: sudo apt install ros-$ROS_DISTRO-moveit-msgs')
        return None
    from kinediff3d_ros.nodes.planning_scene_output import CollisionObjectPublisher
    return CollisionObjectPublisher(node)
