"""Detections: boxes of a 2D detector from messages, and estimates as 3D detections."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from kinediff3d_core.objects.bounding_box import bounding_box
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_core.observation.image_boxes import DetectedBox, ImageBox

if TYPE_CHECKING:  # messages of a recording have the same fields, and need no ROS
    from std_msgs.msg import Header
    from vision_msgs.msg import (
        Detection2D,
        Detection2DArray,
        Detection3D,
        ObjectHypothesisWithPose,
    )

UNKNOWN_ROTATION = math.pi ** 2
"""Variance about each axis of a rotation that is not known, rad²: a standard deviation of half a
turn."""


def boxes_from_detections(detections: Iterable[Detection2D]) -> list[DetectedBox]:
    """The boxes of an array's detections, each with its most probable class.

    One without a hypothesis has no class, and the score 1.
    """
    return [_box(detection) for detection in detections]


def array_header(array: Detection2DArray) -> Header:
    """Header of an array; of its first detection, if the array itself has no stamp."""
    stamp = array.header.stamp
    if array.detections and not (stamp.sec or stamp.nanosec):
        return array.detections[0].header
    return array.header


def _box(detection: Detection2D) -> DetectedBox:
    at, box = detection.bbox.center, detection.bbox
    best = max((h.hypothesis for h in detection.results), default=None,
               key=lambda h: -math.inf if math.isnan(h.score) else h.score)
    return DetectedBox(
        ImageBox(at.position.x, at.position.y, box.size_x, box.size_y, at.theta),
        '' if best is None else best.class_id, 1.0 if best is None else best.score, detection.id)


def detection_from_estimate(estimate: ArticulatedEstimate, header: Header, name: str,
                            points: np.ndarray) -> Detection3D:
    """An object as a detection: classes, pose with covariance, box, and its name as the id.

    The first hypothesis is the estimate's category, and its score is the confidence. With
    ``category: auto`` the other categories follow: their scores are in proportion to the weights
    of the categories. Their poses say where the object is; the rotation has
    :data:`UNKNOWN_ROTATION`, because the base of another category has other axes.

    Args:
        header: of the image.
        points: (N, 3) measured on the object, camera frame, m, for an object without meshes.
    """
    from vision_msgs.msg import Detection3D

    from kinediff3d_ros.messages.poses import pose_from_matrix, present_parts

    box = bounding_box(estimate.T_camera_base, present_parts(estimate), points)
    message = Detection3D(header=header, id=name, results=_hypotheses(estimate))
    message.bbox.center = pose_from_matrix(box.T_camera_box)
    message.bbox.size.x, message.bbox.size.y, message.bbox.size.z = map(float, box.size)
    return message


def _hypotheses(estimate: ArticulatedEstimate) -> list[ObjectHypothesisWithPose]:
    covariance = np.array(estimate.covariance, np.float64)
    found = [_hypothesis(estimate, estimate.category, estimate.confidence, covariance)]
    own = estimate.categories.get(estimate.category, 0.0)
    if own > 0:
        covariance = covariance.copy()
        covariance[3:, :] = covariance[:, 3:] = 0.0
        covariance[3:, 3:] = UNKNOWN_ROTATION * np.eye(3)
        others = sorted(estimate.categories.items(), key=lambda item: -item[1])
        found += [_hypothesis(estimate, category, estimate.confidence * weight / own, covariance)
                  for category, weight in others if category != estimate.category]
    return found


def _hypothesis(estimate: ArticulatedEstimate, category: str, score: float,
                covariance: np.ndarray) -> ObjectHypothesisWithPose:
    from vision_msgs.msg import ObjectHypothesisWithPose

    from kinediff3d_ros.messages.poses import pose_from_matrix

    message = ObjectHypothesisWithPose()
    message.hypothesis.class_id, message.hypothesis.score = category, float(score)
    message.pose.pose = pose_from_matrix(estimate.T_camera_base)
    message.pose.covariance = covariance.ravel()
    return message
