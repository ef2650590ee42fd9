"""The ROS node that fills a page from the topics of a perception node."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage
from tf2_ros import Buffer, TransformException, TransformListener
from visualization_msgs.msg import MarkerArray

from kinediff3d_ros.messages import clouds, poses
from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.nodes.endpoints import InputSubscription
from kinediff3d_ros.tools.browser_panel import BrowserPanel
from kinediff3d_ros.tools.browser_scene import BrowserScene
from kinediff3d_ros.tools.camera_image import CameraImage
from kinediff3d_ros.tools.stamped_clouds import StampedClouds
from kinediff3d_ros.tools.view_connections import Listened, connections_html
from kinediff3d_ros.tools.view_objects import ViewObjects

POSE_RATE = 15.0
"""Updates of all poses in one second, Hz. Chosen."""

PANEL_RATE = 4.0
"""Updates of states, labels and controls in one second, Hz. Chosen."""

DISCOVERY_PERIOD = 1.0
"""Seconds between two searches for new objects. Chosen."""

CLOUD = 'points_used'


class _TransformListener(TransformListener):
    """Counts the messages that it takes."""

    def __init__(self, buffer: Buffer, node: Node) -> None:
        self.listened = Listened('/tf', TFMessage)
        super().__init__(buffer, node)

    def callback(self, data: TFMessage) -> None:
        self.listened.messages += 1
        super().callback(data)


@dataclass(frozen=True)
class ViewTopics:
    """Where the view looks.

    Attributes:
        namespace: of the perception node.
        fixed_frame: frame of the scene; '' takes the frame of the first cloud.
        image: topic of the image beside the scene; '' takes the depth image of the node.
    """

    namespace: str = ''
    fixed_frame: str = ''
    image: str = ''


class ViewNode(Node):
    """Shows the markers, clouds, joints, states and TF frames of a perception node on a page.

    Its timers and subscriptions run on one thread, which alone uses scene and panel.

    Args:
        options: of ``rclpy.node.Node``.
    """

    def __init__(self, scene: BrowserScene, panel: BrowserPanel, topics: ViewTopics | None = None,
                 **options: Any) -> None:
        topics = topics or ViewTopics()
        super().__init__('kinediff3d_view', namespace=topics.namespace or None, **options)
        self._scene, self._panel, self._fixed = scene, panel, topics.fixed_frame
        self._clouds, self._image = StampedClouds(), CameraImage(self, topics.image)
        self._objects = ViewObjects(self, panel, self._on_contact)
        self._buffer = Buffer()
        self._listener = _TransformListener(self._buffer, self)
        self._listened = [self._listener.listened]
        self._listen(MarkerArray, 'markers', self._on_markers)
        self._listen(PointCloud2, CLOUD, self._on_cloud)
        self._listen(DiagnosticArray, '/diagnostics', self._objects.on_diagnostics)
        self.create_timer(1.0 / POSE_RATE, self._place)
        self.create_timer(1.0 / PANEL_RATE, self._update_panel)
        self.create_timer(DISCOVERY_PERIOD, self._discover)
        self._discover()

    def _listen(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        """Subscribe to a topic and count its messages."""
        listened = Listened(self.resolve_topic_name(topic), kind)
        self._listened.append(listened)

        def on_message(message: Any) -> None:
            listened.messages += 1
            callback(message)
        listened.subscription = InputSubscription(self, kind, topic, on_message)

    def _discover(self) -> None:
        """Follow objects and images that come and go; say what is missing."""
        if self._objects.discover():  # the memory of objects that are gone is freed
            self._buffer.clear()
            self._scene.forget_removed()
        self._image.discover(self.resolve_topic_name('markers'))
        if self._scene.is_empty:
            self._panel.show_missing(
                connections_html(self, self._listened, self._unknown_poses()))

    def _unknown_poses(self) -> str:
        """Which frames TF does not connect with the fixed frame; '' if there are none."""
        unknown = sorted({item.frame for item in self._scene.items.values()
                          if self._frame_pose(item.frame) is None})
        return f'TF has no transform from {self._fixed or "a cloud"} to {", ".join(unknown)}.' \
            if unknown else ''

    def _on_markers(self, array: MarkerArray) -> None:
        self._scene.show_markers(array)
        if not self._scene.items:
            self._clouds.clear()

    def _on_cloud(self, cloud: PointCloud2) -> None:
        self._fixed = self._fixed or cloud.header.frame_id
        if self._clouds.add(cloud, nanoseconds_from_time(cloud.header.stamp), time.monotonic()):
            self._buffer.clear()  # it takes no transforms older than those that it has

    def _on_contact(self, name: str, part: str, contact: PoseStamped) -> None:
        self._scene.show_contact(name, part, contact.header.frame_id,
                                 poses.matrix_from_pose(contact.pose))

    def _place(self) -> None:
        """Show the newest cloud with poses of its stamp, and everything at that stamp."""
        now = time.monotonic()
        cloud = self._clouds.choose(self._has_poses, now)
        stamp = self._clouds.stamp(now)
        with self._scene.atomic():
            if cloud is not None:
                self._scene.show_cloud(CLOUD, clouds.points_from_cloud(cloud),
                                       cloud.header.frame_id)
            self._scene.place(lambda frame: self._frame_pose(frame, stamp), self._panel.hidden)
            if not self._scene.is_empty:
                self._panel.show_missing('')

    def _update_panel(self) -> None:
        """Update labels, states, controls and the image."""
        stamp = self._clouds.stamp(time.monotonic())
        self._scene.label(self._objects.labels(self._scene.parts, stamp))
        self._objects.update_panel(stamp)
        picture = self._image.picture()
        if picture is not None:
            self._panel.show_image(picture, self._image.topic)

    def place_latest_frame(self) -> bool:
        """Show the newest frame; whether cloud, poses and joint states are all of its stamp."""
        self._place()
        self._update_panel()
        stamp = self._clouds.stamp(time.monotonic())
        return stamp is not None and self._clouds.up_to_date and self._has_poses(stamp) \
            and bool(self._scene.parts) and self._objects.are_at(stamp)

    @property
    def caption(self) -> str:
        """The joint positions that are shown, in one line."""
        return self._objects.caption(self._clouds.stamp(time.monotonic()))

    def close(self) -> None:
        """Remove the ghosts that were commanded from the page."""
        self._objects.close()

    def _has_poses(self, stamp: int) -> bool:
        """Whether TF knows the frames of all items at a stamp (ns)."""
        return all(self._pose_at(frame, Time(nanoseconds=stamp)) is not None
                   for frame in {item.frame for item in self._scene.items.values()})

    def _frame_pose(self, frame: str, stamp: int | None = None) -> np.ndarray | None:
        """T_fixed_frame (4, 4) at a stamp (ns) or else the newest; None if TF knows none."""
        at_stamp = None if stamp is None else self._pose_at(frame, Time(nanoseconds=stamp))
        return self._pose_at(frame, Time()) if at_stamp is None else at_stamp

    def _pose_at(self, frame: str, at: Time) -> np.ndarray | None:
        if frame == self._fixed:
            return np.eye(4)
        try:
            return poses.matrix_from_transform(
                self._buffer.lookup_transform(self._fixed, frame, at))
        except TransformException:
            return None
