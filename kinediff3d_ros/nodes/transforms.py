"""Transforms between frames, from TF."""

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


class Transforms:
    """Looks up transforms at the stamp of an input, in a node's TF.

    Args:
        timeout: how long a look-up waits for the transform, s.
    """

    def __init__(self, timeout: float = 0.0) -> None:
        self._timeout = timeout
        self._buffer = Buffer()
        self._listener: TransformListener | None = None

    def listen(self, node: Node) -> None:
        """Subscribe to TF."""
        self._listener = TransformListener(self._buffer, node)

    def forget(self) -> None:
        """Forget what moves, as when time has restarted: the buffer takes none older by 10 s than
        its newest ones, and interpolates between them and later ones."""
        self._buffer.clear()

    def look_up(self, frame_id: str, header: FrameHeader, what: str) -> np.ndarray:
        """Return T (4, 4) from a header's frame to another frame, at the header's stamp.

        Args:
            what: the other frame is, for the message.

        Raises:
            NoEstimate: the transform is not known.
        """
        try:
            return poses.matrix_from_transform(self._buffer.lookup_transform(
                frame_id, header.frame_id,
                Time(nanoseconds=header.nanoseconds, clock_type=ClockType.ROS_TIME),
                Duration(seconds=self._timeout)))
        except TransformException as error:
            raise NoEstimate(f'the pose of {header.frame_id} in {what} {frame_id} is not known at '
                             f'the stamp of the image: {error}') from error

    def close(self) -> None:
        """Unsubscribe from TF."""
        if self._listener is not None:
            self._listener.unregister()
