"""The topic ``collision_object``: the parts of all objects, for the planning scene of MoveIt.

This module needs moveit_msgs. ``kinediff3d_ros.nodes.optional_outputs`` imports it where that is
installed.
"""

from __future__ import annotations

import time

from moveit_msgs.msg import CollisionObject
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.objects.urdf import link_name
from kinediff3d_ros.messages import collision_objects
from kinediff3d_ros.messages.poses import present_parts
from kinediff3d_ros.nodes import endpoints
from kinediff3d_ros.nodes.output_context import OutputContext
from kinediff3d_ros.scene.planning_scene import (
    MoveLimits,
    Operation,
    PlannerWorld,
    ScenePart,
    is_planned,
)

KEPT_MESSAGES = 100
"""Messages that the transport keeps for a slow planner. Chosen: more than all parts of some
objects, which are added or removed at once; all are needed."""

REMOVAL_TIMEOUT = 1.0
"""Time that the end of the node waits until planners have its last messages, s. Chosen."""


class CollisionObjectPublisher:
    """The publisher that the objects of a node share.

    Raises:
        ValueError: an override of the topic's quality of service cannot be used.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.publisher: Publisher = endpoints.publisher(
            node, CollisionObject, 'collision_object', QoSProfile(depth=KEPT_MESSAGES))

    def output(self, context: OutputContext, name: str) -> PlanningSceneOutput:
        """Return the output of one object."""
        return PlanningSceneOutput(context, self.publisher, name)

    def close(self) -> None:
        """Wait until planners have the last messages: nothing else removes parts from them."""
        self.publisher.wait_for_all_acked(Duration(seconds=REMOVAL_TIMEOUT))
        self._node.destroy_publisher(self.publisher)


class PlanningSceneOutput:
    """Publishes the parts of one object as collision objects while there are subscribers.

    The context's worker makes their shapes, because that takes up to some tenths of a second. It
    does so without subscribers, too: one that joins would wait for descriptions in work.
    Everything is called with ``context.lock`` held, and the worker takes it to publish.
    """

    def __init__(self, context: OutputContext, publisher: Publisher, name: str) -> None:
        self._context, self._publisher, self._name = context, publisher, name
        self._world = PlannerWorld()
        self._header = Header()
        self._generation = 0
        self._forget()

    def _forget(self) -> None:
        self._generation += 1
        self._estimate: ArticulatedEstimate | None = None
        self._shapes: dict[str, collision_objects.PartShape] = {}
        self._outdated, self._triangles = True, 0

    def update(self, estimate: ArticulatedEstimate, header: Header, shape_changed: bool) -> None:
        """Publish what planners do not have yet of an estimate in the header's frame."""
        self._estimate, self._header = estimate, header
        self._outdated |= shape_changed
        self.refresh()

    def refresh(self) -> None:
        """Publish what planners do not have yet, also without a new frame."""
        if self._estimate is None:
            return
        triangles = self._context.parameters().planning_triangles
        if self._outdated or triangles != self._triangles:
            self._outdated, self._triangles = False, triangles
            estimate, generation = self._estimate, self._generation
            self._context.worker.submit(
                lambda: self._shape(estimate, triangles, generation), (self._name, 'shapes'))
        self._publish()

    def clear(self) -> None:
        """Remove all parts from the planners."""
        self._forget()
        for part in self._world.clear():
            self._publisher.publish(collision_objects.removed(self._id(part), self._header))

    def _id(self, part: str) -> str:
        return link_name(self._name, part)

    def _shape(self, estimate: ArticulatedEstimate, triangles: int, generation: int) -> None:
        """Make the shapes of an estimate and publish them; on the worker."""
        if generation != self._generation:
            return
        shapes = collision_objects.part_shapes(estimate, triangles)
        with self._context.lock:
            if generation == self._generation:
                self._shapes = shapes
                self._publish()

    def _publish(self) -> None:
        now = self._context.parameters()
        limits = MoveLimits(1.0 / now.planning_rate, now.planning_motion,
                            self._context.config.collision_objects_period)
        parts = self._parts(now.planning_parts)
        changes = self._world.update(parts, self._publisher.get_subscription_count(), limits,
                                     time.monotonic())
        for name, operation in changes.items():
            self._publisher.publish(self._message(name, operation, parts.get(name)))

    def _parts(self, planned: str) -> dict[str, ScenePart]:
        """The parts that planners should have, of which the shape is known."""
        return {part.name: ScenePart(self._header.frame_id, part.T_camera_part,
                                     self._shapes[part.name].corners, self._shapes[part.name])
                for part in present_parts(self._estimate)
                if part.mesh is not None and part.name in self._shapes
                and is_planned(planned, self._name, part.name)}

    def _message(self, name: str, operation: Operation, part: ScenePart | None) -> CollisionObject:
        if part is None:
            return collision_objects.removed(self._id(name), self._header)
        if operation is Operation.MOVE:
            return collision_objects.moved(self._id(name), self._header, part.T_frame_part)
        return collision_objects.added(self._id(name), self._header, part.T_frame_part,
                                       self._shapes[name], self._estimate.category)
