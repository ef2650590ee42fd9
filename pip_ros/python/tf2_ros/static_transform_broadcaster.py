"""Publishes transforms that never change on ``/tf_static``."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.transform_broadcaster import as_list


class StaticTransformBroadcaster:
    """Sends transforms that hold at every time, to late subscribers too.

    The topic keeps one message, so each message repeats everything that was sent before; a
    child frame sent again takes the place of its older transform.

    Args:
        node: the node that publishes.
        qos: a profile or a history depth; transient-local with depth 1 when left out.
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
