"""The topics of one object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String

from kinediff3d_core.inference.auto import AUTO
from kinediff3d_core.inference.uncertainty import transform_estimate
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.messages import detections, markers, planning, poses
from kinediff3d_ros.nodes import endpoints
from kinediff3d_ros.nodes.description_output import DescriptionOutput
from kinediff3d_ros.nodes.frames import header_message
from kinediff3d_ros.nodes.marker_output import MarkerOutput
from kinediff3d_ros.nodes.output_context import OutputContext
from kinediff3d_ros.nodes.planning_output import PlanningOutput
from kinediff3d_ros.scene.description import DescriptionFiles, default_directory
from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.scene.object_names import topic_prefix


class ObjectOutputs:
    """An ``ObjectPublisher`` (``kinediff3d_ros.scene.object_publisher``) with ROS topics.

    Args:
        name: of the object (``kinediff3d_ros.scene.object_names``).
        category: ``auto`` until :meth:`set_category` is called.

    Raises:
        ValueError: an override of a topic's quality of service cannot be used.
    """

    def __init__(self, context: OutputContext, name: str, category: str) -> None:
        self._context, self.name, self.category = context, name, category
        self._prefix = topic_prefix(context.node.get_namespace(), name)
        self._publishers: list[Publisher] = []
        try:
            self._open(category)
        except ValueError:
            self._destroy(0)  # The node may try again with each frame.
            raise

    def _open(self, category: str) -> None:
        """Create the publishers, then the subscription."""
        context, name = self._context, self.name
        self._joint_states = self._publisher(JointState, 'joint_states')
        self._standard_deviations = self._publisher(JointState, 'joint_states_stddev')
        description = self._publisher(String, 'robot_description', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        directory = Path(context.parameters().description_dir or default_directory())
        self._description = DescriptionOutput(context, description, name, DescriptionFiles(
            directory.expanduser(), f'{context.node.get_namespace()}/{self._prefix}', name))
        self._independent = len(self._publishers)
        self._markers = MarkerOutput(context, name)
        self._planning: PlanningOutput | None = None
        make = context.planner_output
        self._planning_scene = None if make is None else make(context, name)
        self.clear()
        if category != AUTO:
            self.set_category(category)
        self._command = endpoints.InputSubscription(
            context.node, JointState, self._prefix + 'joint_command', self._on_command)

    def set_category(self, category: str) -> None:
        """Withdraw what is shown; use the topics of a category's parts and joints from now on.

        Raises:
            ValueError: as the class.
        """
        self.clear()
        self._markers.forget_command()
        self._destroy(self._independent)
        self.category = category
        self._planning = PlanningOutput(self._publisher, get_category(category))

    @property
    def warning(self) -> str:
        """Why the newest description could not be written; '' while there is no reason."""
        return self._description.warning

    def close(self) -> None:
        """Destroy all publishers and the subscription."""
        self._description.close()
        self._destroy(0)
        self._command.close()

    def publish(self, estimate: ArticulatedEstimate, header: FrameHeader, points: np.ndarray,
                T_fixed_camera: np.ndarray | None, shape_changed: bool) -> None:
        """Publish all messages about one frame, with its stamp; see ``ObjectPublisher``."""
        parameters, stamped = self._context.parameters(), header_message(header)
        parent, in_camera = stamped, estimate
        if T_fixed_camera is not None:
            parent = Header(stamp=stamped.stamp, frame_id=parameters.fixed_frame)
            estimate = transform_estimate(estimate, T_fixed_camera)
        if parameters.publish_tf != 'none':
            self._context.tf.sendTransform(poses.transforms(
                estimate, parent, self.name, base_only=parameters.publish_tf == 'base'))
        self._joint_states.publish(poses.joint_state(estimate, stamped, self.name))
        if self._standard_deviations.get_subscription_count():
            self._standard_deviations.publish(
                planning.joint_standard_deviations(estimate, stamped, self.name))
        if self._planning is not None:
            self._planning.publish(estimate, parent, shape_changed, parameters.opening_target)
        self._markers.show(estimate, stamped, shape_changed)
        self._context.points.publish(self.name, points, stamped)
        self._context.detections.add(self.name, lambda: detections.detection_from_estimate(
            in_camera, stamped, self.name, points))
        # Before the description: the same worker makes both, and that one takes longer.
        if self._planning_scene is not None:
            self._planning_scene.update(estimate, parent, shape_changed)
        self._description.update(estimate, header, shape_changed)

    def prepare(self, estimate: ArticulatedEstimate) -> None:
        """Compute contacts and the markers' corners before they are published; on any thread."""
        output = self._planning  # The executor may replace it meanwhile.
        if output is not None:
            output.prepare(estimate)
        for part in estimate.parts:
            if part.mesh is not None:
                markers.corners(part.mesh, self._context.parameters().marker_triangles)

    def refresh(self) -> None:
        """Send what is due without a new frame."""
        self._markers.refresh()
        if self._planning_scene is not None:
            self._planning_scene.refresh()

    def clear(self) -> None:
        """Delete markers and collision objects; the next estimate is that of a new object."""
        self._markers.clear()
        self._context.points.remove(self.name)
        self._context.detections.remove(self.name)
        if self._planning is not None:
            self._planning.clear()
        if self._planning_scene is not None:
            self._planning_scene.clear()
        self._description.clear()

    def _publisher(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> Publisher:
        publisher = endpoints.publisher(self._context.node, kind, self._prefix + topic, qos)
        self._publishers.append(publisher)
        return publisher

    def _destroy(self, first: int) -> None:
        """Destroy the publishers from an index on."""
        for publisher in self._publishers[first:]:
            self._context.node.destroy_publisher(publisher)
        del self._publishers[first:]

    def _on_command(self, command: JointState) -> None:
        try:
            # The scene's threads publish and withdraw the estimate that the ghost is made of.
            with self._context.lock:
                self._markers.command(command)
        except ValueError as error:
            self._context.warn(str(error))
