"""One input frame, from messages to the points on each object."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import ObjectCloud, object_cloud
from kinediff3d_core.observation.segmentation import object_in_cloud, segment_object
from kinediff3d_ros.messages.camera_info import intrinsics_from_info
from kinediff3d_ros.messages.clouds import points_from_cloud
from kinediff3d_ros.messages.images import depth_from_image, instances_from_image
from kinediff3d_ros.nodes.parameters import PerceptionParameters


@dataclass(frozen=True)
class DepthFrame:
    """A depth image with the camera's calibration and, where there is one, its mask."""

    image: Image
    info: CameraInfo
    mask: Image | None = None

    @property
    def header(self) -> Header:
        """Header of the image; a camera_info's frame stands in for one that is not set."""
        frame = self.image.header.frame_id or self.info.header.frame_id
        return Header(stamp=self.image.header.stamp, frame_id=frame)


@dataclass(frozen=True)
class CloudFrame:
    """A point cloud in the camera's optical frame."""

    cloud: PointCloud2

    @property
    def header(self) -> Header:
        return self.cloud.header


@dataclass(frozen=True)
class Sight:
    """What one frame shows.

    Attributes:
        header: of the input.
        clouds: mask id to the measured points on that object and beside it, or why there are
            none; the only object of a frame without ids has id 0.
        seconds: wall time of the stages ``convert`` and ``segment``.
    """

    header: Header
    clouds: dict[int, ObjectCloud | NoEstimate]
    seconds: dict[str, float]


def observe(frame: DepthFrame | CloudFrame, parameters: PerceptionParameters,
            listed: Collection[int] = (), stride: int = 1) -> Sight:
    """Convert the messages and find the objects in them.

    Args:
        listed: mask ids that may be objects, with ``instances: listed``.
        stride: finding an object without a mask looks at every so many pixels only.

    Raises:
        ValueError: the messages cannot be used; the message says which and why.
    """
    if not frame.header.frame_id:
        raise ValueError('the input has no frame_id: nothing says which camera it belongs to')
    begin = time.perf_counter()
    now = parameters
    if isinstance(frame, CloudFrame):
        points = points_from_cloud(frame.cloud)
        converted = time.perf_counter()
        clouds = {0: _or_reason(lambda: _object_points(points, now))}
    else:
        depth, ids, intrinsics = _images(frame)
        converted = time.perf_counter()
        if now.instances != 'one':
            if ids is None:
                raise ValueError('several objects need a mask of instance ids')
            numbers = np.flatnonzero(np.bincount(ids.ravel()))
            clouds = {int(i): _or_reason(partial(_masked_points, depth, ids == i, intrinsics, now))
                      for i in numbers if i and (now.instances == 'each' or i in listed)}
        elif ids is not None:
            mask = ids != 0 if now.mask_id == 0 else ids == now.mask_id
            clouds = {0: _or_reason(lambda: _masked_points(depth, mask, intrinsics, now))}
        else:
            clouds = {0: _or_reason(lambda: _found_points(depth, intrinsics, now, stride))}
    return Sight(frame.header, clouds, {
        'convert': converted - begin, 'segment': time.perf_counter() - converted})


def _or_reason(find: Callable[[], ObjectCloud]) -> ObjectCloud | NoEstimate:
    try:
        return find()
    except NoEstimate as reason:
        return reason


def _images(frame: DepthFrame) -> tuple[np.ndarray, np.ndarray | None, Intrinsics]:
    """Depth (H, W) m, the ids (H, W) if there is a mask, and the intrinsics, of one size."""
    depth = depth_from_image(frame.image)
    intrinsics = intrinsics_from_info(frame.info)
    size = (intrinsics.height, intrinsics.width)
    if depth.shape != size:
        raise ValueError(f'depth image is {_size(depth.shape)} but camera_info says '
                         f'{_size(size)}; publish the matching camera_info')
    if frame.mask is None:
        return depth, None, intrinsics
    ids = instances_from_image(frame.mask)
    if ids.shape != size:
        raise ValueError(f'mask is {_size(ids.shape)} but the depth image is {_size(size)}')
    return depth, ids, intrinsics


def _measured(depth: np.ndarray, parameters: PerceptionParameters) -> np.ndarray:
    """Pixels (H, W) that have a measurement within max_depth."""
    measured = depth > 0
    if parameters.max_depth > 0:
        measured &= depth <= parameters.max_depth
    if not measured.any():
        raise NoEstimate('the depth image holds no measurement: every pixel is zero, NaN or '
                         'beyond max_depth')
    return measured


def _masked_points(depth: np.ndarray, mask: np.ndarray, intrinsics: Intrinsics,
                   parameters: PerceptionParameters) -> ObjectCloud:
    measured = _measured(depth, parameters)
    if not mask.any():
        raise NoEstimate(f'the mask has no pixel of id {parameters.mask_id}'
                         if parameters.mask_id else 'the mask is empty')
    return _require_points(object_cloud(depth, intrinsics, mask & measured), parameters)


def _found_points(depth: np.ndarray, intrinsics: Intrinsics, parameters: PerceptionParameters,
                  stride: int) -> ObjectCloud:
    """Points of the object that stands on a support, or in front of nothing."""
    depth = np.where(_measured(depth, parameters), depth, np.float32(0))[::stride, ::stride]
    if stride > 1:
        i = intrinsics
        intrinsics = Intrinsics(i.fx / stride, i.fy / stride, i.cx / stride, i.cy / stride,
                                depth.shape[1], depth.shape[0])
    cloud = object_cloud(depth, intrinsics, segment_object(depth, intrinsics))
    return _require_points(cloud, parameters)


def _object_points(points: np.ndarray, parameters: PerceptionParameters) -> ObjectCloud:
    if parameters.max_depth > 0:
        points = points[points[:, 2] <= parameters.max_depth]
    if not len(points):
        raise NoEstimate('the point cloud holds no finite point within max_depth')
    cloud = object_in_cloud(points) if parameters.segment_points else ObjectCloud(points)
    return _require_points(cloud, parameters)


def _require_points(cloud: ObjectCloud, parameters: PerceptionParameters) -> ObjectCloud:
    if len(cloud) < parameters.min_points:
        raise NoEstimate(f'only {len(cloud)} valid points on the object; need '
                         f'{parameters.min_points} (parameter min_points)')
    return cloud


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]} x {shape[0]} pixels'
