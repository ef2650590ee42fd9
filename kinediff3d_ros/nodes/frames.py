"""Frames of a scene from messages; the scene's thread converts the messages."""

from __future__ import annotations

from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from kinediff3d_ros.messages.camera_info import intrinsics_from_info
from kinediff3d_ros.messages.clouds import points_from_cloud
from kinediff3d_ros.messages.headers import header_from_stamp, nanoseconds_from_time
from kinediff3d_ros.messages.images import depth_from_image, instances_from_image
from kinediff3d_ros.scene.frames import DepthArrays, Frame, FrameHeader


def depth_frame(image: Image, info: CameraInfo, mask: Image | None = None) -> Frame:
    """Frame of a depth image, its calibration and, where there is one, its mask.

    Its stamp is that of the image; an image without frame_id has that of the camera_info.
    """
    def convert() -> DepthArrays:
        return DepthArrays(depth_from_image(image), intrinsics_from_info(info),
                           None if mask is None else instances_from_image(mask))

    frame_id = image.header.frame_id or info.header.frame_id
    return Frame(FrameHeader(nanoseconds_from_time(image.header.stamp), frame_id), convert)


def cloud_frame(cloud: PointCloud2) -> Frame:
    """Frame of a point cloud in the camera's optical frame."""
    header = FrameHeader(nanoseconds_from_time(cloud.header.stamp), cloud.header.frame_id)
    return Frame(header, lambda: points_from_cloud(cloud))


def header_message(header: FrameHeader) -> Header:
    """Header of the messages about a frame."""
    return header_from_stamp(header.nanoseconds, header.frame_id)
