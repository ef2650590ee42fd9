"""CameraInfo messages: to intrinsics, and from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.calibration import (
    Calibration,
    CameraMatrices,
    calibration_from_matrices,
)

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo
    from std_msgs.msg import Header


def calibration_from_info(info: CameraInfo, image_size: tuple[int, int] = (0, 0),
                          ) -> Calibration:
    """Camera of the depth image: P where it is set, else K with its distortion; binning and ROI.

    Args:
        image_size: width and height of its images; they count where the message has no size.

    Raises:
        ValueError: both are zero (an uncalibrated camera), not finite, or not of a camera.
    """
    roi, binning = info.roi, (info.binning_x, info.binning_y)
    size = info.width, info.height
    if not all(size):
        size = image_size[0] * max(binning[0], 1), image_size[1] * max(binning[1], 1)
    return calibration_from_matrices(CameraMatrices(
        info.k, info.p, size, binning,
        (roi.x_offset, roi.y_offset, roi.width, roi.height), info.distortion_model, info.d))


def info_from_intrinsics(intrinsics: Intrinsics, header: Header) -> CameraInfo:
    """CameraInfo of a rectified camera without distortion."""
    from sensor_msgs.msg import CameraInfo

    i = intrinsics
    fx, fy, cx, cy = float(i.fx), float(i.fy), float(i.cx), float(i.cy)
    return CameraInfo(
        header=header, width=i.width, height=i.height, distortion_model='plumb_bob', d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0])
