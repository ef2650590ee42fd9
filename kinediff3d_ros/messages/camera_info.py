"""CameraInfo messages: to intrinsics, and from them."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from kinediff3d_core.geometry.camera import Intrinsics


def intrinsics_from_info(info: CameraInfo) -> Intrinsics:
    """Intrinsics of the rectified image: P where it is set, else K; binning and ROI applied.

    Raises:
        ValueError: both are zero (an uncalibrated camera), or not finite.
    """
    fx, fy, cx, cy = info.p[0], info.p[5], info.p[2], info.p[6]
    if not (fx > 0 and fy > 0):
        fx, fy, cx, cy = info.k[0], info.k[4], info.k[2], info.k[5]
    if not (fx > 0 and fy > 0):
        raise ValueError('camera_info carries no calibration: the focal lengths in K and P are '
                         f'{info.k[0]:g} and {info.p[0]:g}')
    width, height = info.width, info.height
    if info.roi.width and info.roi.height:
        cx, cy = cx - info.roi.x_offset, cy - info.roi.y_offset
        width, height = info.roi.width, info.roi.height
    bin_x, bin_y = max(info.binning_x, 1), max(info.binning_y, 1)
    return Intrinsics(float(fx / bin_x), float(fy / bin_y), float(cx / bin_x), float(cy / bin_y),
                      int(width // bin_x), int(height // bin_y))


def info_from_intrinsics(intrinsics: Intrinsics, header: Header) -> CameraInfo:
    """CameraInfo of a rectified camera without distortion."""
    i = intrinsics
    fx, fy, cx, cy = float(i.fx), float(i.fy), float(i.cx), float(i.cy)
    return CameraInfo(
        header=header, width=i.width, height=i.height, distortion_model='plumb_bob', d=[0.0] * 5,
        k=[fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        r=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        p=[fx, 0.0, cx, 0.0, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0])
