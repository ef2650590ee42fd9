"""Frames of a scene from messages; the scene's thread converts the messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Union

import numpy as np

from kinediff3d_core.geometry.registration import register_depth
from kinediff3d_core.io.calibration import Calibration
from kinediff3d_core.observation.image_boxes import instance_ids
from kinediff3d_ros.messages.camera_info import calibration_from_info
from kinediff3d_ros.messages.clouds import points_from_cloud
from kinediff3d_ros.messages.headers import header_from_stamp, nanoseconds_from_time
from kinediff3d_ros.messages.images import depth_from_image, instances_from_image
from kinediff3d_ros.scene.detected_objects import MarkedObjects
from kinediff3d_ros.scene.frames import DepthArrays, Frame, FrameHeader

if TYPE_CHECKING:  # messages of a recording have the same fields, and need no ROS
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
    from std_msgs.msg import Header

_REGISTER = ("register the depth image to the mask's camera (depth_image_proc register_node), or "
             'set register_depth and mask/camera_info')
REMEDIES = {
    'camera_info': 'remap depth/camera_info to the calibration of the depth image',
    'mask': _REGISTER,
    'detections_2d': _REGISTER,
    'mask/camera_info': 'remap mask/camera_info to the calibration of the camera of the mask',
}
"""What to do about a message that is in another camera's frame."""


@dataclass(frozen=True)
class BoxMask:
    """The objects that a detector has marked with boxes, in place of a mask's image."""

    header: Header
    marked: MarkedObjects


Mask = Union['Image', BoxMask]


def depth_frame(image: Image | CompressedImage, info: CameraInfo, mask: Mask | None = None,
                ) -> Frame:
    """Frame of a depth image, its calibration and, where there is one, its mask.

    Its stamp is that of the image. All messages must be in one camera frame; a message without a
    frame_id is taken to be.
    """
    header = _depth_header(image, info)

    def convert() -> DepthArrays:
        _require_frame('camera_info', info.header, header.frame_id)
        if mask is not None:
            _require_frame('detections_2d' if isinstance(mask, BoxMask) else 'mask', mask.header,
                           header.frame_id)
        depth = depth_from_image(image)
        camera = calibration_from_info(info, depth.shape[::-1])
        if mask is None:
            return DepthArrays(camera.rectify(depth), camera.intrinsics)
        return _masked(camera.rectify(depth), camera, mask)

    return Frame(header, convert)


class TransformLookup(Protocol):
    """Transforms between frames, live (``transforms.py`` beside this) or recorded."""

    def look_up(self, frame_id: str, header: FrameHeader, what: str) -> np.ndarray:
        """T (4, 4) from a header's frame to another, or NoEstimate."""


@dataclass(frozen=True)
class CalibratedMask:
    """A mask and the calibration of its camera, which is not the depth camera."""

    image: Mask
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
        mask_camera = _mask_calibration(mask)
        target = mask_camera.intrinsics
        depth = depth_from_image(image)
        camera = calibration_from_info(info, depth.shape[::-1])
        depth = camera.rectify(depth)
        T_mask_depth = transforms.look_up(frame_id, source, "the mask's frame")
        return _masked(register_depth(depth, camera.intrinsics, target, T_mask_depth),
                       mask_camera, mask.image)

    return Frame(FrameHeader(source.nanoseconds, frame_id), convert)


def _mask_calibration(mask: CalibratedMask) -> Calibration:
    """Calibration of the mask's camera.

    Raises:
        ValueError: it is not that of the mask's image, or has no size, which boxes need.
    """
    boxes = isinstance(mask.image, BoxMask)
    size = (0, 0) if boxes else (mask.image.width, mask.image.height)
    found = calibration_from_info(mask.info, size)
    expected = found.intrinsics.width, found.intrinsics.height
    if boxes and not all(expected):
        raise ValueError('mask/camera_info has no width and height, which boxes need')
    if not boxes and size != expected:
        raise ValueError(f'mask is {size} but its camera_info is for {expected} (width, height)')
    return found


def _masked(depth: np.ndarray, camera: Calibration, mask: Mask) -> DepthArrays:
    """Depth (H, W) of a rectified image, and the mask, which is in the pixels of the raw image."""
    if not isinstance(mask, BoxMask):
        return DepthArrays(depth, camera.intrinsics, camera.rectify(instances_from_image(mask)))
    height, width = depth.shape
    ids = camera.rectify(instance_ids(mask.marked.boxes, (height, width)))
    return DepthArrays(depth, camera.intrinsics, ids, True, mask.marked.categories)


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
