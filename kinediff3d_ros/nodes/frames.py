"""Frames of a scene from messages; the scene's thread converts the messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kinediff3d_core.geometry.registration import register_depth
from kinediff3d_ros.messages.camera_info import calibration_from_info
from kinediff3d_ros.messages.clouds import points_from_cloud
from kinediff3d_ros.messages.headers import header_from_stamp, nanoseconds_from_time
from kinediff3d_ros.messages.images import depth_from_image, instances_from_image
from kinediff3d_ros.scene.frames import DepthArrays, Frame, FrameHeader

if TYPE_CHECKING:  # messages of a recording have the same fields, and need no ROS
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
    from std_msgs.msg import Header

REMEDIES = {
    'camera_info': 'remap depth/camera_info to the calibration of the depth image',
    'mask': "register the depth image to the mask's camera (depth_image_proc register_node), or "
            'set register_depth and mask/camera_info',
    'mask/camera_info': 'remap mask/camera_info to the calibration of the camera of the mask',
}
"""What to do about a message that is in another camera's frame."""


def depth_frame(image: Image | CompressedImage, info: CameraInfo, mask: Image | None = None,
                ) -> Frame:
    """Frame of a depth image, its calibration and, where there is one, its mask.

    Its stamp is that of the image. All messages must be in one camera frame; a message without a
    frame_id is taken to be.
    """
    header = _depth_header(image, info)

    def convert() -> DepthArrays:
        _require_frame('camera_info', info.header, header.frame_id)
        if mask is not None:
            _require_frame('mask', mask.header, header.frame_id)
        depth = depth_from_image(image)
        camera = calibration_from_info(info, depth.shape[::-1])
        return DepthArrays(camera.rectify(depth), camera.intrinsics,
                           None if mask is None else camera.rectify(instances_from_image(mask)))

    return Frame(header, convert)


class TransformLookup(Protocol):
    """Transforms between frames, live (``transforms.py`` beside this) or recorded."""

    def look_up(self, frame_id: str, header: FrameHeader, what: str) -> np.ndarray:
        """T (4, 4) from a header's frame to another, or NoEstimate."""


@dataclass(frozen=True)
class CalibratedMask:
    """A mask and the calibration of its camera, which is not the depth camera."""

    image: Image
    info: CameraInfo


def registered_frame(image: Image | CompressedImage, info: CameraInfo, mask: CalibratedMask,
                     transforms: TransformLookup) -> Frame:
    """Frame of a depth image that is registered to the camera of the mask.

    Its stamp is that of the depth image; its coordinate frame is that of the mask.
    """
    source = _depth_header(image, info)
    frame_id = mask.image.header.frame_id or mask.info.header.frame_id

    def convert() -> DepthArrays:
        _require_frame('camera_info', info.header, source.frame_id)
        _require_frame('mask/camera_info', mask.info.header, frame_id)
        instances = instances_from_image(mask.image)
        mask_camera = calibration_from_info(mask.info, instances.shape[::-1])
        target = mask_camera.intrinsics
        if instances.shape != (target.height, target.width):
            raise ValueError(f'mask is {instances.shape[::-1]} but its camera_info is for '
                             f'{(target.width, target.height)} (width, height)')
        depth = depth_from_image(image)
        camera = calibration_from_info(info, depth.shape[::-1])
        depth = camera.rectify(depth)
        T_mask_depth = transforms.look_up(frame_id, source, "the mask's frame")
        return DepthArrays(register_depth(depth, camera.intrinsics, target, T_mask_depth),
                           target, mask_camera.rectify(instances))

    return Frame(FrameHeader(source.nanoseconds, frame_id), convert)


def _depth_header(image: Image | CompressedImage, info: CameraInfo) -> FrameHeader:
    """Header of a depth image; one without frame_id has that of the camera_info."""
    return FrameHeader(nanoseconds_from_time(image.header.stamp),
                       image.header.frame_id or info.header.frame_id)


def _require_frame(what: str, header: Header, frame_id: str) -> None:
    """Check that a message is in a camera's frame, or has no frame_id.

    Raises:
        ValueError: another frame; the message says what to do.
    """
    if header.frame_id not in ('', frame_id):
        image = 'mask' if what == 'mask/camera_info' else 'depth image'
        raise ValueError(f'{what} is in frame {header.frame_id!r} but the {image} is in '
                         f'{frame_id!r}; {REMEDIES[what]}')


def cloud_frame(cloud: PointCloud2) -> Frame:
    """Frame of a point cloud in the camera's optical frame."""
    header = FrameHeader(nanoseconds_from_time(cloud.header.stamp), cloud.header.frame_id)
    return Frame(header, lambda: points_from_cloud(cloud))


def header_message(header: FrameHeader) -> Header:
    """Header of the messages about a frame."""
    return header_from_stamp(header.nanoseconds, header.frame_id)
