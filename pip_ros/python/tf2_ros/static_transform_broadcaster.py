"""Publishes transforms that never change, on ``/tf_static``."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.transform_broadcaster import as_list


class StaticTransformBroadcaster:
    """Publishes transforms that are valid at every time, also for late subscribers.

    The topic keeps one message, so each message contains all earlier transforms. A new transform
    of a child frame replaces the older one.

    Args:
        node: the node that publishes.
        qos: a profile or a history depth; default: transient-local, depth 1.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        if qos is None:
            qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, '/tf_static', qos)
        self._by_child: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several, together with all earlier ones."""
        self._by_child.update((t.child_frame_id, t) for t in as_list(transform))
        self.pub_tf.publish(TFMessage(transforms=list(self._by_child.values())))
