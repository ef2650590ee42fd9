"""Pose of a moving camera, from TF."""

from __future__ import annotations

import numpy as np
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.messages import poses
from kinediff3d_ros.scene.frames import FrameHeader


class CameraPose:
    """Looks up the camera in a frame that does not move.

    Args:
        timeout: how long a look-up waits for the transform, s.
    """

    def __init__(self, node: Node, fixed_frame: str, timeout: float) -> None:
        self._fixed_frame, self._timeout = fixed_frame, timeout
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)

    def look_up(self, header: FrameHeader) -> np.ndarray:
        """Return T_fixed_camera (4, 4) of a header's frame at its stamp.

        Raises:
            NoEstimate: the transform is not known.
        """
        try:
            return poses.matrix_from_transform(self._buffer.lookup_transform(
                self._fixed_frame, header.frame_id,
                Time(nanoseconds=header.nanoseconds, clock_type=ClockType.ROS_TIME),
                Duration(seconds=self._timeout)))
        except TransformException as error:
            raise NoEstimate(
                f'the pose of {header.frame_id} in fixed_frame {self._fixed_frame} is not known '
                f'at the stamp of the image: {error}') from error

    def close(self) -> None:
        """Unsubscribe from TF."""
        self._listener.unregister()
