"""Transform messages, and their content as numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tf_transformations as tft
from geometry_msgs.msg import TransformStamped
from rclpy.time import Time


def stamped(
    parent: str,
    child: str,
    seconds: float,
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0),
    quaternion: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0),
) -> TransformStamped:
    """Return T_parent_child as a message."""
    message = TransformStamped()
    message.header.stamp = Time(seconds=seconds).to_msg()
    message.header.frame_id = parent
    message.child_frame_id = child
    t, r = message.transform.translation, message.transform.rotation
    # By default, a message accepts any type and serializes a value that is no float wrongly.
    t.x, t.y, t.z = map(float, translation)
    r.x, r.y, r.z, r.w = map(float, quaternion)
    return message


def about_z(angle: float) -> tuple[float, ...]:
    return (0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))


def translation_of(message: TransformStamped) -> list[float]:
    t = message.transform.translation
    return [t.x, t.y, t.z]


def matrix_of(message: TransformStamped) -> np.ndarray:
    r = message.transform.rotation
    matrix = tft.quaternion_matrix([r.x, r.y, r.z, r.w])
    matrix[:3, 3] = translation_of(message)
    return matrix


def yaw_of(message: TransformStamped) -> float:
    r = message.transform.rotation
    assert r.x == pytest.approx(0.0, abs=1e-12) and r.y == pytest.approx(0.0, abs=1e-12)
    return math.remainder(2 * math.atan2(r.z, r.w), math.tau)
