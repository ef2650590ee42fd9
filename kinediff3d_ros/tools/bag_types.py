"""Types of recorded messages that rosbags does not bring along: boxes of a detector."""

from __future__ import annotations

from typing import Any

DETECTIONS = 'vision_msgs/msg/Detection2DArray'
"""Type of the boxes of a detector."""

VISION = {
    'ObjectHypothesis': 'string class_id\nfloat64 score',
    'ObjectHypothesisWithPose': 'vision_msgs/ObjectHypothesis hypothesis\n'
                                'geometry_msgs/PoseWithCovariance pose',
    'Point2D': 'float64 x\nfloat64 y',
    'Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'Detection2D': 'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
                   'vision_msgs/BoundingBox2D bbox\nstring id',
    'Detection2DArray': 'std_msgs/Header header\nvision_msgs/Detection2D[] detections'}
"""Fields of the messages of vision_msgs 4 (Humble to Jazzy)."""


def register_vision_types(store: Any) -> None:
    """Add the types to a typestore of rosbags."""
    from rosbags.typesys import get_types_from_msg

    for name, fields in VISION.items():
        store.register(get_types_from_msg(fields, f'vision_msgs/msg/{name}'))
