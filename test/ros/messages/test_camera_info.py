"""Camera calibration: round trip, P before K, binning and region of interest."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from sensor_msgs.msg import CameraInfo  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_ros.messages import camera_info

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')


def test_intrinsics_round_trip_and_prefer_the_rectified_ones() -> None:
    intrinsics = Intrinsics(600.0, 610.0, 319.5, 239.5, 640, 480)
    info = camera_info.info_from_intrinsics(intrinsics, HEADER)
    assert camera_info.calibration_from_info(info).intrinsics == intrinsics
    info.k[0] = 500.0
    assert camera_info.calibration_from_info(info).intrinsics.fx == 600.0
    info.p = np.zeros(12)
    assert camera_info.calibration_from_info(info).intrinsics.fx == 500.0


def test_binning_and_region_of_interest_move_the_intrinsics() -> None:
    info = camera_info.info_from_intrinsics(Intrinsics(600, 600, 320, 240, 640, 480), HEADER)
    info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = 100, 40, 320, 240
    info.binning_x = info.binning_y = 2
    got = camera_info.calibration_from_info(info).intrinsics
    assert got == Intrinsics(300, 300, 110, 100, 160, 120)


def test_uncalibrated_camera_is_refused() -> None:
    with pytest.raises(ValueError, match='no calibration'):
        camera_info.calibration_from_info(CameraInfo(width=640, height=480))
