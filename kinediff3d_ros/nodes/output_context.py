"""Node, publishers and parameters that the outputs of all objects share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.publisher import Publisher
from tf2_ros import TransformBroadcaster

from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.detections_output import DetectionsOutput
from kinediff3d_ros.nodes.points_output import PointsOutput
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.scene.worker import NewestItemWorker


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
