"""The ROS node that fills a browser scene from the topics of a perception node."""

from __future__ import annotations

from functools import partial
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException, ElementTree
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import String
from tf2_ros import Buffer, TransformException, TransformListener
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_ros.messages import clouds, poses
from kinediff3d_ros.nodes.endpoints import InputSubscription
from kinediff3d_ros.tools.browser_scene import BrowserScene
from kinediff3d_ros.tools.recorder import stamp_key

POSE_RATE = 15.0
"""Updates of all poses in one second, Hz. Chosen."""

DISCOVERY_PERIOD = 1.0
"""Seconds between two searches for new objects. Chosen."""


class ViewNode(Node):
    """Shows the markers, clouds, joints and TF frames of a perception node in a scene.

    Args:
        namespace: of the perception node.
        fixed_frame: frame of the scene; '' takes the frame of the first cloud.
        options: of ``rclpy.node.Node``.
    """

    def __init__(self, scene: BrowserScene, namespace: str = '', fixed_frame: str = '',
                 **options: Any) -> None:
        super().__init__('kinediff3d_view', namespace=namespace or None, **options)
        self.scene, self._fixed = scene, fixed_frame
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self.create_subscription(MarkerArray, 'markers', self._on_markers, 10)
        InputSubscription(self, PointCloud2, 'points_used', self._on_cloud)
        self._joint_types: dict[str, dict[str, str]] = {}
        self._stamps: dict[str, tuple[int, int]] = {}
        self.create_timer(1.0 / POSE_RATE, lambda: self.scene.place(self._frame_pose))
        self.create_timer(DISCOVERY_PERIOD, self._find_objects)
        self._find_objects()

    def _find_objects(self) -> None:
        """Subscribe to the topics of each object: those beside a ``joint_states_stddev``.

        A robot has the others, too.
        """
        namespace = self.get_namespace().rstrip('/') + '/'
        for topic, types in self.get_topic_names_and_types():
            prefix = topic.removesuffix('joint_states_stddev')
            if prefix in self._joint_types or prefix == topic \
                    or not topic.startswith(namespace) \
                    or prefix.removeprefix(namespace).count('/') > 1 \
                    or 'sensor_msgs/msg/JointState' not in types:
                continue
            self._joint_types[prefix] = {}
            self.create_subscription(JointState, f'{prefix}joint_states',
                                     partial(self._on_joints, prefix), 10)
            self.create_subscription(
                String, f'{prefix}robot_description', partial(self._on_description, prefix),
                QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def _on_markers(self, array: MarkerArray) -> None:
        for marker in array.markers:
            if marker.action == Marker.ADD:
                self.scene.show_frame(marker.header.frame_id)
        self.scene.show_markers(array)

    def _on_cloud(self, cloud: PointCloud2) -> None:
        frame = cloud.header.frame_id
        self._fixed = self._fixed or frame
        points = clouds.points_from_cloud(cloud)
        self._stamps['points_used'] = stamp_key(cloud)
        self.scene.show_cloud('points_used', points, frame)
        T = self._frame_pose(frame)
        if T is not None:
            self.scene.aim(points @ T[:3, :3].T + T[:3, 3])

    def _on_joints(self, prefix: str, state: JointState) -> None:
        self._stamps[prefix] = stamp_key(state)
        self.scene.show_joints(prefix, dict(zip(state.name, state.position, strict=False)),
                               self._joint_types[prefix])

    def _on_description(self, prefix: str, description: String) -> None:
        """Read the joint types from the URDF: a JointState does not have them."""
        try:
            root = ElementTree.fromstring(description.data, forbid_dtd=True)
        except (ParseError, DefusedXmlException):
            return
        self._joint_types[prefix] = {j.get('name', ''): j.get('type', '')
                                     for j in root.iter('joint')}

    def place_latest_frame(self) -> bool:
        """Place all items at the stamp of the newest cloud.

        Returns:
            False, and nothing is placed, if there is no marker, if clouds and joint states are
            not all of one stamp, or if TF does not know a pose at that stamp.
        """
        has_markers = any(name.startswith('/markers/') for name in self.scene.items)
        if not has_markers or len(set(self._stamps.values())) != 1:
            return False
        second, nanosecond = next(iter(self._stamps.values()))
        at = Time(seconds=second, nanoseconds=nanosecond)
        if any(self._frame_pose(item.frame, at) is None for item in self.scene.items.values()):
            return False
        self.scene.place(lambda frame: self._frame_pose(frame, at))
        return True

    def _frame_pose(self, frame: str, at: Time | None = None) -> np.ndarray | None:
        """T_fixed_frame (4, 4) at a time, by default the newest; None if TF does not know it."""
        if frame == self._fixed:
            return np.eye(4)
        try:
            return poses.matrix_from_transform(
                self._buffer.lookup_transform(self._fixed, frame, at or Time()))
        except TransformException:
            return None
