"""The camera image that a perception node uses, or a given one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from rclpy.node import Node, NodeNameNonExistentError

from kinediff3d_ros.messages.images import COMPRESSED, depth_type
from kinediff3d_ros.nodes.endpoints import InputSubscription
from kinediff3d_ros.tools.camera_picture import image_to_show, picture_of

PICTURE_PERIOD = 0.5
"""Least seconds between two pictures. Chosen."""


class CameraImage:
    """Keeps the newest image of a topic and makes pictures of it.

    Args:
        node: that subscribes.
        topic: '' takes the depth image of the perception node.

    Attributes:
        topic: resolved name; '' while none is known.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._node, self.topic = node, ''
        self._given, self._newest, self._next = bool(topic), None, 0.0
        self._input: InputSubscription | None = None
        if topic:
            self._subscribe(node.resolve_topic_name(topic))

    def discover(self, markers: str) -> None:
        """Follow the depth image of the node that publishes ``markers``, a resolved name."""
        topic = '' if self._given else image_to_show(_images_used(self._node, markers))
        if topic and topic != self.topic:
            self._subscribe(topic)

    def _subscribe(self, topic: str) -> None:
        if self._input is not None:
            self._input.close()
        self.topic = topic
        self._input = InputSubscription(self._node, depth_type(topic), topic, self._on_image)

    def _on_image(self, image: Any) -> None:
        self._newest = image

    def picture(self) -> np.ndarray | None:
        """A picture (H, W, 3) uint8 of a new image; None if none has come or it is too early.

        Raises:
            ValueError: the image cannot be shown.
        """
        if self._newest is None or time.monotonic() < self._next:
            return None
        image, self._newest = self._newest, None
        self._next = time.monotonic() + PICTURE_PERIOD
        return picture_of(image)


def _images_used(node: Node, markers: str) -> list[str]:
    """Topics of the images to which the publishers of markers subscribe."""
    topics = []
    for publisher in node.get_publishers_info_by_topic(markers):
        try:
            used = node.get_subscriber_names_and_types_by_node(publisher.node_name,
                                                               publisher.node_namespace)
        except NodeNameNonExistentError:
            continue  # it has just ended
        topics += [topic for topic, types in used if 'sensor_msgs/msg/Image' in types
                   or topic.endswith(f'/{COMPRESSED}')]
    return topics
