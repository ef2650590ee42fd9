"""The topic ``points_used``: the measured points on all objects of a node."""

from __future__ import annotations

import numpy as np
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from kinediff3d_ros.messages.clouds import cloud_from_points
from kinediff3d_ros.messages.headers import nanoseconds_from_time


class PointsOutput:
    """Publishes the points of all objects of one frame as one cloud.

    Objects of a frame are published one after the other. Each publication has the points of
    those before it in the same frame, too, so that the last one has all.

    Args:
        max_points: in a cloud; more are thinned.
    """

    def __init__(self, publisher: Publisher, max_points: int) -> None:
        self._publisher, self._max_points = publisher, max_points
        self._newest: dict[str, tuple[int, np.ndarray]] = {}

    def publish(self, object_name: str, points: np.ndarray, header: Header) -> None:
        """Publish the points (N, 3) of an object, m, if there is a subscriber."""
        if not self._publisher.get_subscription_count():
            return
        stamp = nanoseconds_from_time(header.stamp)
        self._newest[object_name] = stamp, points
        cloud = np.concatenate([p for at, p in self._newest.values() if at == stamp])
        step = max(1, -(-len(cloud) // self._max_points))
        self._publisher.publish(cloud_from_points(cloud[::step], header))

    def remove(self, object_name: str) -> None:
        """Forget the points of an object that is not shown any more."""
        self._newest.pop(object_name, None)
