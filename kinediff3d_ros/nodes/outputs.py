"""The topics of one object."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Header, String
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.inference.auto import AUTO
from kinediff3d_core.inference.uncertainty import transform_estimate
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.contact import contacts
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_ros.messages import clouds, markers, planning, poses
from kinediff3d_ros.nodes import endpoints
from kinediff3d_ros.nodes.parameters import PerceptionParameters
from kinediff3d_ros.scene.description import DescriptionFiles, default_directory

MARKERS_AGAIN = 5.0
"""Seconds after which markers are sent again, for viewers that missed them."""

POINTS_SHOWN = 10_000
"""Most points of ``points_used``: a megabyte with every frame fills the transport's buffers, and
joint states come late."""


class ObjectOutputs:
    """Publishes what is known of one object, and takes it back.

    Args:
        name: of the object: ``<name>/<part>`` are its frames, ``<name>`` its markers' namespace;
            '' takes the category.
        prefix: of its topics; '' or '<name>/'.
        category: what it is; with ``auto`` :meth:`become` says so later.
        tf, markers: shared by all objects of the node.
        settings: the present parameters.
        refused: is told why a ``joint_command`` is not shown.

    Attributes:
        name, category: the present ones.

    Raises:
        OSError: the description's directory cannot be made.
        ValueError: an override of a topic's quality of service cannot be used.
    """

    def __init__(self, node: Node, name: str, prefix: str, category: str,
                 tf: TransformBroadcaster, markers: Publisher,
                 settings: Callable[[], PerceptionParameters],
                 refused: Callable[[str], None]) -> None:
        self._node, self._given, self._prefix = node, name, prefix
        self._settings, self._refused = settings, refused
        self._tf, self._markers = tf, markers
        self._own: list[Publisher] = []
        self._joint_states = self._publisher(JointState, 'joint_states')
        self._deviations = self._publisher(JointState, 'joint_states_stddev')
        self._points = self._publisher(PointCloud2, 'points_used')
        self._description = self._publisher(String, 'robot_description', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self._common = len(self._own)
        self._command = endpoints.subscription(node, JointState, prefix + 'joint_command',
                                               self._on_command)
        self._ghost_at: JointState | None = None
        self.category, self.name = category, name or category
        self._forget()
        if category != AUTO:
            self.become(category)

    def become(self, category: str) -> None:
        """Take names and topics of a category's parts and joints, in place of the last one's.

        Raises:
            OSError, ValueError: as the class.
        """
        self.take_back()
        self._drop(self._common)
        self.category, self.name, self._ghost_at = category, self._given or category, None
        spec = get_category(category)
        self._poses = {p: self._publisher(PoseWithCovarianceStamped, f'pose/{p}')
                       for p in spec.parts}
        self._axes = {j.name: self._publisher(PoseStamped, f'axis/{j.name}') for j in spec.joints}
        self._contact_poses = {p: self._publisher(PoseStamped, f'interaction/{p}')
                               for p in (spec.parts[j.child] for j in spec.joints)}
        self._files = DescriptionFiles(Path(
            self._settings().description_dir or default_directory()).expanduser(), self.name)

    def close(self) -> None:
        self._drop(0)
        self._node.destroy_subscription(self._command)

    def _publisher(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> Publisher:
        self._own.append(endpoints.publisher(self._node, kind, self._prefix + topic, qos))
        return self._own[-1]

    def _drop(self, kept: int) -> None:
        """Destroy all publishers but the first ones."""
        for publisher in self._own[kept:]:
            self._node.destroy_publisher(publisher)
        del self._own[kept:]

    def publish(self, estimate: ArticulatedEstimate, header: Header, cloud: np.ndarray,
                T_fixed_camera: np.ndarray | None, new_shape: bool) -> None:
        """Publish everything about one frame, with the stamp of its header.

        Args:
            header: of the input.
            cloud: (N, 3) measured points on the object, camera frame.
            T_fixed_camera: (4, 4) pose of the camera under ``fixed_frame``, if that is set.
            new_shape: the estimate's meshes or joints' origins are not those of the last one.
        """
        now, fixed = self._settings(), header
        if T_fixed_camera is not None:
            fixed = Header(stamp=header.stamp, frame_id=now.fixed_frame)
            estimate = transform_estimate(estimate, T_fixed_camera)
        self._newest = estimate
        if now.publish_tf != 'none':
            self._tf.sendTransform(poses.transforms(
                estimate, fixed, self.name, base_only=now.publish_tf == 'base'))
        self._joint_states.publish(poses.joint_state(estimate, header))
        if self._deviations.get_subscription_count():
            self._deviations.publish(planning.joint_deviations(estimate, header))
        if new_shape:
            self._contacts = None
        for publishers, messages in (
                (self._poses, lambda: planning.part_poses(estimate, fixed)),
                (self._axes, lambda: planning.joint_axes(estimate, fixed)),
                (self._contact_poses,
                 lambda: planning.interactions(estimate, self._contacts_of(estimate), fixed))):
            if any(p.get_subscription_count() for p in publishers.values()):
                for key, message in messages().items():
                    publishers[key].publish(message)
        self._show(estimate, header, new_shape)
        if self._points.get_subscription_count():
            some = cloud[::-(-len(cloud) // POINTS_SHOWN)]
            self._points.publish(clouds.cloud_from_points(some, header))
        self._undescribed |= new_shape
        if self._undescribed and now.publish_meshes:
            self._describe(estimate, header)

    def prepare(self, estimate: ArticulatedEstimate) -> None:
        """Do beforehand, on any thread, what the estimate's meshes need before they are shown."""
        for part in estimate.parts:
            if part.mesh is not None:
                markers.corners(part.mesh, self._settings().marker_triangles)

    def take_back(self) -> None:
        """Delete the markers; the next estimate counts as the object's appearance."""
        self._delete(self._shown)
        self._forget()

    def _forget(self) -> None:
        self._newest: ArticulatedEstimate | None = None
        self._shown: dict[tuple[str, int], str] = {}
        self._array, self._meshes, self._viewers = MarkerArray(), list[Mesh | None](), 0
        self._contacts: dict[str, np.ndarray] | None = None
        self._markers_due = self._description_due = 0.0
        self._undescribed = False

    def _contacts_of(self, estimate: ArticulatedEstimate) -> dict[str, np.ndarray]:
        if self._contacts is None:
            self._contacts = {c.part: c.T_part_contact for c in contacts(estimate)}
        return self._contacts

    def _show(self, estimate: ArticulatedEstimate, header: Header, new_shape: bool) -> None:
        """Markers when the shape or a viewer is new, and now and then; they follow their frames
        by TF. Axes may have moved without the meshes, and then go out alone."""
        now, viewers = time.monotonic(), self._markers.get_subscription_count()
        meshes = [part.mesh for part in estimate.parts]
        whole = viewers > self._viewers or now >= self._markers_due or meshes != self._meshes
        self._viewers = viewers
        if new_shape or not self._array.markers:
            self._array = markers.markers(estimate, header.stamp, self.name,
                                              self._settings().marker_triangles)
        elif not whole:
            return
        if not whole:
            axes = [m for m in self._array.markers if m.type == Marker.ARROW]
            self._markers.publish(MarkerArray(markers=[*axes, *self._ghost()]))
            return
        self._markers_due, self._meshes = now + MARKERS_AGAIN, meshes
        for marker in self._array.markers:
            marker.header.stamp = header.stamp
        array = MarkerArray(markers=[*self._array.markers, *self._ghost()])
        self._shown = markers.delete_what_is_gone(array, self._shown, header.stamp)
        self._markers.publish(array)

    def _delete(self, keys: dict[tuple[str, int], str]) -> None:
        if keys:
            self._markers.publish(markers.deleted_markers(
                keys, self._node.get_clock().now().to_msg()))

    def _describe(self, estimate: ArticulatedEstimate, header: Header) -> None:
        now, period = time.monotonic(), self._settings().description_period
        if now < self._description_due:
            return
        self._description_due = now + period if period > 0 else float('inf')
        self._undescribed = False
        stamp = header.stamp
        self._description.publish(String(data=self._files.write(
            estimate, f'{stamp.sec}-{stamp.nanosec:09d}')))

    # --- the ghost ------------------------------------------------------------------------------

    def _on_command(self, command: JointState) -> None:
        """Show the object at commanded positions; a command without names hides it again."""
        estimate = self._newest
        try:
            if estimate is None:
                raise ValueError(f'joint_command came while {self.name} is not seen')
            planning.commanded_positions(estimate, command)
        except ValueError as error:
            self._refused(str(error))
            return
        self._ghost_at = command if command.name else None
        ghosts = {k: f for k, f in self._shown.items() if k[0] == f'{self.name}/ghost'}
        if self._ghost_at is None:
            self._delete(ghosts)
            self._shown = {k: f for k, f in self._shown.items() if k not in ghosts}
        elif ghost := self._ghost():
            array = MarkerArray(markers=ghost)
            self._markers.publish(array)
            self._shown |= markers.marker_keys(array)

    def _ghost(self) -> list[Marker]:
        if self._ghost_at is None:
            return []
        meshes = [m for m in self._array.markers if m.type == Marker.TRIANGLE_LIST]
        try:
            positions = planning.commanded_positions(self._newest, self._ghost_at)
        except ValueError:
            return []  # Another full estimate gave the object fewer joints.
        return planning.ghost(self._newest, positions, meshes, self.name)
