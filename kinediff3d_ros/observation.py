"""One input frame, from messages to an estimate: convert, find the object, infer."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from kinediff3d_core.estimate import ArticulatedEstimate, NoEstimate
from kinediff3d_core.geometry import Intrinsics, backproject
from kinediff3d_core.pipeline import Pipeline
from kinediff3d_core.segmentation import segment_cloud, segment_object
from kinediff3d_ros.conversions import (
    depth_from_image,
    intrinsics_from_info,
    mask_from_image,
    points_from_cloud,
)
from kinediff3d_ros.parameters import PerceptionParameters


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
class Observed:
    """What one frame gave.

    Attributes:
        estimate: its ``seconds`` also have the stages ``convert`` and ``segment``.
        cloud: (N, 3) every measured point on the object, camera frame, m.
    """

    estimate: ArticulatedEstimate
    cloud: np.ndarray


def observe(pipeline: Pipeline, frame: DepthFrame | CloudFrame,
            parameters: PerceptionParameters, mesh: bool) -> Observed:
    """Convert the messages, find the object in them and estimate it, with meshes if wanted.

    Raises:
        ValueError: the messages cannot be used; the message says which and why.
        NoEstimate: the view shows too little of the object.
    """
    if not frame.header.frame_id:
        raise ValueError('the input has no frame_id: nothing says which camera it belongs to')
    begin = time.perf_counter()
    now = parameters
    if isinstance(frame, CloudFrame):
        points = points_from_cloud(frame.cloud)
        converted = time.perf_counter()
        cloud = _object_points(points, now)
        segmented = time.perf_counter()
        estimate = pipeline.infer(cloud, mesh=mesh, seed=now.seed)
    else:
        depth, mask, intrinsics = _images(frame, now)
        converted = time.perf_counter()
        mask = _object_pixels(depth, mask, intrinsics, now)
        cloud = backproject(depth, intrinsics, mask)
        _require_points(len(cloud), now)
        segmented = time.perf_counter()
        estimate = pipeline.infer(depth=depth, intrinsics=intrinsics, mask=mask, mesh=mesh,
                                  seed=now.seed)
    seconds = {'convert': converted - begin, 'segment': segmented - converted}
    return Observed(dataclasses.replace(estimate, seconds={**seconds, **estimate.seconds}), cloud)


def _images(frame: DepthFrame, parameters: PerceptionParameters,
            ) -> tuple[np.ndarray, np.ndarray | None, Intrinsics]:
    """Depth (H, W) m, the given mask (H, W) if there is one, and the intrinsics, of one size."""
    depth = depth_from_image(frame.image)
    intrinsics = intrinsics_from_info(frame.info)
    size = (intrinsics.height, intrinsics.width)
    if depth.shape != size:
        raise ValueError(f'depth image is {_size(depth.shape)} but camera_info says '
                         f'{_size(size)}; publish the matching camera_info')
    if frame.mask is None:
        return depth, None, intrinsics
    mask = mask_from_image(frame.mask, parameters.mask_id)
    if mask.shape != size:
        raise ValueError(f'mask is {_size(mask.shape)} but the depth image is {_size(size)}')
    return depth, mask, intrinsics


def _object_pixels(depth: np.ndarray, mask: np.ndarray | None, intrinsics: Intrinsics,
                   parameters: PerceptionParameters) -> np.ndarray:
    """Pixels (H, W) of the object that have a measurement."""
    measured = depth > 0
    if parameters.max_depth > 0:
        measured &= depth <= parameters.max_depth
    if not measured.any():
        raise NoEstimate('the depth image holds no measurement: every pixel is zero, NaN or '
                         'beyond max_depth')
    if mask is None:
        return segment_object(np.where(measured, depth, np.float32(0)), intrinsics) & measured
    if not mask.any():
        raise NoEstimate(f'the mask has no pixel of id {parameters.mask_id}'
                         if parameters.mask_id else 'the mask is empty')
    return mask & measured


def _object_points(points: np.ndarray, parameters: PerceptionParameters) -> np.ndarray:
    if parameters.max_depth > 0:
        points = points[points[:, 2] <= parameters.max_depth]
    if not len(points):
        raise NoEstimate('the point cloud holds no finite point within max_depth')
    if parameters.segment_points:
        points = points[segment_cloud(points)]
    _require_points(len(points), parameters)
    return points


def _require_points(count: int, parameters: PerceptionParameters) -> None:
    if count < parameters.min_points:
        raise NoEstimate(f'only {count} valid points on the object; need {parameters.min_points} '
                         '(parameter min_points)')


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]} x {shape[0]} pixels'
