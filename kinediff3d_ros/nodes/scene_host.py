"""Services of the perception node for its scene: objects, camera pose, logs, diagnostics."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import PointCloud2
from tf2_ros import TransformBroadcaster
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from kinediff3d_ros.nodes import endpoints
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.detections_output import DetectionsOutput
from kinediff3d_ros.nodes.diagnostics_output import DiagnosticsOutput, Task
from kinediff3d_ros.nodes.optional_outputs import collision_object_publisher
from kinediff3d_ros.nodes.output_context import OutputContext
from kinediff3d_ros.nodes.outputs import ObjectOutputs
from kinediff3d_ros.nodes.points_output import PointsOutput
from kinediff3d_ros.nodes.transforms import Transforms
from kinediff3d_ros.scene.detected_objects import DetectedObjects
from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.scene.health import Health
from kinediff3d_ros.scene.models import Models
from kinediff3d_ros.scene.object_names import object_name
from kinediff3d_ros.scene.parameters import PerceptionParameters, object_categories
from kinediff3d_ros.scene.priority import lower_priority
from kinediff3d_ros.scene.scene_object import SceneObject
from kinediff3d_ros.scene.scene_objects import first_line
from kinediff3d_ros.scene.throttle import Throttle
from kinediff3d_ros.scene.worker import NewestItemWorker


class NodeSceneHost:
    """A ``SceneHost`` (``kinediff3d_ros.scene.scene_host``) of a configured node.

    Args:
        parameters: returns the present parameters.

    Attributes:
        lock: as ``SceneHost.lock``.
        models: pipelines of the categories.
        listed: category of mask ids, from the parameter ``objects``.
        detected: finds objects in the boxes of a detector.
        transforms: TF, listened to with ``fixed_frame`` or ``register_depth``.
    """

    def __init__(self, node: Node, parameters: Callable[[], PerceptionParameters], models: Models,
                 config: NodeConfig) -> None:
        self._node, self._parameters, self._config = node, parameters, config
        self.models, self.lock = models, threading.RLock()
        self.listed = object_categories(parameters().objects)
        self.detected = DetectedObjects(models.categories, lambda text: self.log('input', text))
        self.health = Health('inactive', 'not active')
        self.objects: dict[int, SceneObject] = {}
        self._throttle = Throttle(config.log_period)
        self._publishers: list[Publisher] = []
        self.transforms = Transforms(config.transform_timeout)
        self._collision_objects = None

    def open(self) -> None:
        """Create publishers, the only object where there is one, and the TF listener.

        Raises:
            ValueError: an override of a topic's quality of service, or a name in
                ``planning_parts``, cannot be used.
        """
        self._worker: NewestItemWorker[Callable[[], None]] = NewestItemWorker(
            _run_with_low_priority, self._on_worker_error, 'description')
        self.parameters.check_live()
        tf = TransformBroadcaster(self._node)
        self._publishers.append(tf.pub_tf)
        for kind, topic in ((MarkerArray, 'markers'), (PointCloud2, 'points_used'),
                            (Detection3DArray, 'detections')):
            self._publishers.append(endpoints.publisher(self._node, kind, topic))
        markers, points, detections = self._publishers[-3:]
        self._diagnostics = DiagnosticsOutput(self._node, self._tasks, lambda: self.models.device)
        self._publishers.append(self._diagnostics.publisher)
        if self.parameters.planning_scene:
            self._collision_objects = collision_object_publisher(
                self._node, lambda text: self.log('warning', text))
        self._context = OutputContext(
            self._node, self.lock, tf, markers, PointsOutput(points, self._config.max_points),
            DetectionsOutput(detections), self._worker, self._parameters,
            lambda text: self.log('warning', text), self._config,
            self._collision_objects.output if self._collision_objects else None)
        if self.parameters.instances == 'one':
            self.make_object(0)
        if self.parameters.fixed_frame or self.parameters.register_depth:
            self.transforms.listen(self._node)

    def close(self) -> None:
        """Destroy all objects and publishers; the worker may finish, but publishes nothing."""
        self._worker.close()
        with self.lock:
            for number in list(self.objects):
                self.remove_object(number)
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._publishers.clear()
        if self._collision_objects is not None:
            self._collision_objects.close()
        self.transforms.close()

    @property
    def parameters(self) -> PerceptionParameters:
        """The present parameters."""
        return self._parameters()

    def make_object(self, number: int, category: str = '') -> SceneObject | None:
        """Return the object of a mask id, made if it is new; None beyond ``max_objects``.

        Number 0 is the only object; its name has no id.

        Args:
            category: of a new object, by a detector.
        """
        if number in self.objects:
            return self.objects[number]
        now = self.parameters
        if len(self.objects) >= now.max_objects:
            # Without the id: a segmenter may give a new one to each frame.
            self.log('objects', f'there are max_objects = {now.max_objects} already; other mask '
                     'ids are ignored until one is lost')
            return None
        if number == 0:
            category = now.category
        category = category or self.listed.get(number, now.category)
        outputs = ObjectOutputs(
            self._context, object_name(now.object_name, category, number), category)
        health = Health('waiting', 'not seen yet') if number else self.health
        obj = self.objects[number] = SceneObject(number, outputs, health)
        return obj

    def remove_object(self, number: int) -> None:
        """Remove an object and destroy its publishers; on the executor's thread."""
        self.objects.pop(number).publisher.close()

    def camera_pose(self, header: FrameHeader) -> np.ndarray | None:
        """Return T_fixed_camera (4, 4) at a header's stamp; None without ``fixed_frame``."""
        frame = self.parameters.fixed_frame
        return self.transforms.look_up(frame, header, 'fixed_frame') if frame else None

    def end_frame(self, header: FrameHeader, late: bool) -> None:
        """Publish the detections of a frame; see ``SceneHost``."""
        self._context.detections.end_frame(header.nanoseconds, late)

    def age(self, header: FrameHeader) -> float:
        """Return the time since a header's stamp by the node's clock, s."""
        return 1e-9 * (self._node.get_clock().now().nanoseconds - header.nanoseconds)

    def log(self, state: str, message: str) -> None:
        """Log a message at the level of a state, the same text once per ``log_period``."""
        if self._throttle.lets_through(message):
            if state in ('error', 'bad_input'):
                self._node.get_logger().error(message)
            elif state in ('lost', 'tracking_lost'):
                self._node.get_logger().info(message)
            else:
                self._node.get_logger().warning(message)

    def _on_worker_error(self, error: Exception) -> None:
        self.health.count('errors')
        self.log('error', f'describing an object failed: {first_line(error)}')

    def enter(self, state: str, message: str) -> None:
        """Set the state of the node and of all objects, and publish diagnostics."""
        with self.lock:
            for health in (self.health, *(o.health for o in list(self.objects.values()))):
                health.enter(state, message)
            self._diagnostics.publish()

    def report(self) -> None:
        """Publish diagnostics if a state has changed."""
        with self.lock:
            self._diagnostics.publish_changes()

    def report_regularly(self) -> None:
        """Publish diagnostics."""
        with self.lock:
            self._diagnostics.publish()

    def _tasks(self) -> list[Task]:
        """One task per object, and one of the node if it may have several."""
        objects = list(self.objects.values())
        node = [] if any(o.number == 0 for o in objects) else [
            Task('objects', self.health, ','.join(self.models.categories))]
        return [*node, *(Task(o.name, o.health, o.category) for o in objects)]


def _run_with_low_priority(work: Callable[[], None]) -> None:
    """Run what the node's worker does beside tracking and full estimates."""
    lower_priority()
    work()
