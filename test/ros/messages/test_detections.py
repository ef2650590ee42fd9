"""Detections: 2D from messages, 3D from estimates."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from estimates import laptop_estimate

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import (  # noqa: E402
    Detection2D,
    Detection2DArray,
    ObjectHypothesisWithPose,
)

from kinediff3d_core.inference.uncertainty import part_covariances
from kinediff3d_core.objects.bounding_box import bounding_box
from kinediff3d_core.observation.image_boxes import DetectedBox, ImageBox
from kinediff3d_ros.messages.detections import (
    UNKNOWN_ROTATION,
    array_header,
    boxes_from_detections,
    detection_from_estimate,
)
from kinediff3d_ros.messages.poses import matrix_from_pose

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')


def detection(*classes: tuple[str, float]) -> Detection2D:
    message = Detection2D(header=HEADER, id='4')
    message.bbox.center.position.x, message.bbox.center.position.y = 100.5, 60.0
    message.bbox.center.theta = 0.3
    message.bbox.size_x, message.bbox.size_y = 40.0, 20.0
    for name, score in classes:
        hypothesis = ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, score
        message.results.append(hypothesis)
    return message


def test_a_box_has_its_most_probable_class() -> None:
    box = ImageBox(100.5, 60.0, 40.0, 20.0, 0.3)
    assert boxes_from_detections([detection(('73', math.nan), ('63', 0.7)), detection()]) == [
        DetectedBox(box, '63', 0.7, '4'), DetectedBox(box, '', 1.0, '4')]


def test_an_array_without_a_stamp_has_that_of_its_detections() -> None:
    assert array_header(Detection2DArray(detections=[detection()])) == HEADER
    assert array_header(Detection2DArray()) == Header()
    other = Header(stamp=Time(sec=13), frame_id='colour')
    assert array_header(Detection2DArray(header=other, detections=[detection()])) == other


def test_an_estimate_is_a_detection() -> None:
    value = laptop_estimate(1.2)
    message = detection_from_estimate(value, HEADER, 'mine', value.points)
    assert message.header == HEADER and message.id == 'mine'
    result, = message.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('laptop', 0.9)
    np.testing.assert_allclose(matrix_from_pose(result.pose.pose), value.T_camera_base, atol=1e-9)
    np.testing.assert_array_equal(np.reshape(result.pose.covariance, (6, 6)),
                                  part_covariances(value)['base'])
    box = bounding_box(value.T_camera_base, value.parts, value.points)
    np.testing.assert_allclose(matrix_from_pose(message.bbox.center), box.T_camera_box, atol=1e-9)
    size = message.bbox.size
    np.testing.assert_allclose((size.x, size.y, size.z), box.size)


def test_a_part_that_is_not_present_is_not_in_the_box() -> None:
    value = laptop_estimate(1.2)
    value = replace(value, joints=(replace(value.joints[0], probability=0.1),))
    size = detection_from_estimate(value, HEADER, 'mine', value.points).bbox.size
    np.testing.assert_allclose((size.x, size.y, size.z), (0.22, 0.33, 0.02), atol=1e-9)


def test_with_auto_there_is_a_hypothesis_for_each_category() -> None:
    value = replace(laptop_estimate(1.2), confidence=0.6, categories={
        'box': 0.05, 'stapler': 0.15, 'laptop': 0.8})
    results = detection_from_estimate(value, HEADER, 'object', value.points).results
    assert [r.hypothesis.class_id for r in results] == ['laptop', 'stapler', 'box']
    np.testing.assert_allclose([r.hypothesis.score for r in results],
                               (0.6, 0.6 * 0.15 / 0.8, 0.6 * 0.05 / 0.8))
    own, other = (np.reshape(r.pose.covariance, (6, 6)) for r in results[:2])
    np.testing.assert_array_equal(own, value.covariance)
    np.testing.assert_array_equal(other[:3, :3], own[:3, :3])
    np.testing.assert_array_equal(other[3:, 3:], UNKNOWN_ROTATION * np.eye(3))
    assert results[1].pose.pose == results[0].pose.pose
