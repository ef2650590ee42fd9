"""Node, publishers and parameters that the outputs of all objects share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.detections_output import DetectionsOutput
from kinediff3d_ros.nodes.points_output import PointsOutput
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.scene.worker import NewestItemWorker


class PlannerOutput(Protocol):
    """Publishes one object to planners. ``PlanningSceneOutput`` does; it needs moveit_msgs."""

    def update(self, estimate: ArticulatedEstimate, header: Header, shape_changed: bool) -> None:
        """Publish what planners do not have yet of an estimate in the header's frame."""

    def refresh(self) -> None:
        """Publish what planners do not have yet, also without a new frame."""

    def clear(self) -> None:
        """Remove the object from the planners."""


@dataclass(frozen=True)
class OutputContext:
    """Node, shared publishers and settings.

    Attributes:
        lock: of the scene's host; commands of users hold it, as everything that is published.
        tf: sends the transforms of all objects.
        markers: publishes the markers of all objects.
        points: publishes the points of all objects.
        detections: publishes all objects of a frame as detections.
        parameters: returns the present parameters.
        worker: runs what takes long, the newest of each object.
        warn: logs why a ``joint_command`` is refused or a description cannot be written.
        planner_output: returns the output of a new object, by its name; None without
            ``planning_scene``.
    """

    node: Node
    lock: threading.RLock
    tf: TransformBroadcaster
    markers: Publisher
    points: PointsOutput
    detections: DetectionsOutput
    worker: NewestItemWorker[Callable[[], None]]
    parameters: Callable[[], PerceptionParameters]
    warn: Callable[[str], None]
    config: NodeConfig
    planner_output: Callable[[OutputContext, str], PlannerOutput] | None = None
