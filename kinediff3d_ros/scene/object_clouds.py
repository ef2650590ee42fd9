"""The points on each object of a frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from kinediff3d_core.geometry.camera import require_size
from kinediff3d_core.io.cloud import require_optical_axes
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_core.observation.cloud import (
    DepthView,
    ObjectCloud,
    filter_cloud,
    object_cloud,
)
from kinediff3d_core.observation.mask_outliers import is_box, object_in_mask
from kinediff3d_core.observation.segmentation import Candidate, cloud_view, image_candidates
from kinediff3d_ros.scene.frames import DepthArrays, Frame
from kinediff3d_ros.scene.parameters import PerceptionParameters


@dataclass(frozen=True)
class UnmaskedView(DepthView):
    """An image without a mask of the only object: tracking finds its points.

    Attributes:
        min_points: fewest points on the object.
    """

    min_points: int

    def candidates(self) -> list[Candidate]:
        """The things that may be the object, where it cannot be tracked; best first.

        Raises:
            NoEstimate: there is none.
        """
        return self._segmented

    @cached_property
    def _segmented(self) -> list[Candidate]:
        found = image_candidates(self)
        large = [one for one in found if len(one.cloud) >= self.min_points]
        if not large:
            _require_count(max(len(one.cloud) for one in found), self.min_points)
        return large


@dataclass(frozen=True)
class BoxedView(UnmaskedView):
    """An image in which the box around a tracked object is known.

    Attributes:
        mask: (H, W) bool, the pixels of the box with a measurement.
        boxed: as in :func:`object_in_mask`.
    """

    mask: np.ndarray
    boxed: bool

    def candidates(self) -> list[Candidate]:
        """The thing in the box."""
        return [Candidate(_require_points(object_in_mask(self, self.mask, self.boxed),
                                          self.min_points))]


@dataclass(frozen=True)
class FrameClouds:
    """The objects of one frame.

    Attributes:
        clouds: mask id to the measured points on that object and beside it, or why there are
            none; the only object of a frame without ids has id 0. The whole image in a frame
            without a mask whose objects are tracked, or which has one object; so is a cloud of a
            whole scene.
        seconds: wall time of the stages ``convert`` and ``segment``, s.
        unsegmented: the whole image, in which there may be further objects; None where a mask
            says which there are.
        categories: of mask ids, as a detector says.
    """

    clouds: dict[int, ObjectCloud | DepthView | NoEstimate]
    seconds: dict[str, float]
    unsegmented: DepthView | None = None
    categories: Mapping[int, str] = field(default_factory=dict)


def find_object_clouds(frame: Frame, parameters: PerceptionParameters,
                       listed: Collection[int] = (), tracked: Collection[int] = (),
                       lost: Collection[int] = ()) -> FrameClouds:
    """Convert a frame and find the points on each object in it.

    Args:
        listed: mask ids that may be objects, with ``instances: listed``.
        tracked: ids of the objects that are tracked. A frame without a mask shows these, with
            ``mask_mode: initialize`` or ``instances: each``. Their masks are used as they are:
            tracking has no time for :func:`object_in_mask`. Only of a bounding box, which
            shows other surfaces always, tracking finds the points (:class:`BoxedView`).
        lost: ids of objects that are tracked again if that succeeds. A frame without a mask shows
            these, too; where there is a mask, they are as new ones.

    Raises:
        ValueError: the input cannot be used; the message says why.
        NoEstimate: an image without a mask, and without a measurement.
    """
    if not frame.header.frame_id:
        raise ValueError('the input has no frame_id, so its camera frame is unknown')
    begin = time.perf_counter()
    arrays = frame.convert()
    if isinstance(arrays, DepthArrays):
        require_size(arrays.depth, arrays.intrinsics, arrays.instances)
    converted = time.perf_counter()
    clouds: dict[int, ObjectCloud | DepthView | NoEstimate]
    unsegmented = None
    if not isinstance(arrays, DepthArrays):
        clouds = {0: _or_reason(partial(_cloud_view, arrays, parameters, 0 in tracked))}
    elif parameters.mask_mode == 'initialize' and arrays.instances is None:
        clouds = dict.fromkeys([*tracked, *lost], _whole_image(arrays, parameters))
    elif parameters.instances == 'each' and arrays.instances is None:
        unsegmented = _whole_image(arrays, parameters)
        clouds = dict.fromkeys([*tracked, *lost], unsegmented)
    elif parameters.instances != 'one':
        clouds = _each_instance(arrays, parameters, listed, tracked)
    elif arrays.instances is not None:
        wanted = parameters.mask_id
        mask = arrays.instances != 0 if wanted == 0 else arrays.instances == wanted
        clouds = {0: _or_reason(partial(_masked_points, arrays, mask, parameters, 0 in tracked))}
    else:
        clouds = {0: _or_reason(partial(_unmasked_view, arrays, parameters, 0 in tracked))}
    return FrameClouds(clouds, {
        'convert': converted - begin, 'segment': time.perf_counter() - converted}, unsegmented,
        arrays.categories if isinstance(arrays, DepthArrays) else {})


def _each_instance(arrays: DepthArrays, parameters: PerceptionParameters,
                   listed: Collection[int], tracked: Collection[int],
                   ) -> dict[int, ObjectCloud | DepthView | NoEstimate]:
    """The cloud of every instance id, or of those that are listed."""
    ids = arrays.instances
    if ids is None:
        raise ValueError('several objects need a mask of instance ids')
    present = np.flatnonzero(np.bincount(ids.ravel()))
    return {int(i): _or_reason(partial(_masked_points, arrays, ids == i, parameters, i in tracked))
            for i in present if i and (parameters.instances == 'each' or i in listed)}


def _or_reason(find: Callable[[], ObjectCloud | DepthView],
               ) -> ObjectCloud | DepthView | NoEstimate:
    """Return the cloud, or the reason why there is none: other objects may have one."""
    try:
        return find()
    except NoEstimate as reason:
        return reason


def _measured(depth: np.ndarray, parameters: PerceptionParameters) -> np.ndarray:
    """Pixels (H, W) that have a measurement within max_depth."""
    measured = depth > 0
    if parameters.max_depth > 0:
        measured &= depth <= parameters.max_depth
    if not measured.any():
        raise NoEstimate('the depth image holds no measurement: every pixel is zero, NaN or '
                         'beyond max_depth')
    return measured


def _masked_points(arrays: DepthArrays, mask: np.ndarray, parameters: PerceptionParameters,
                   tracked: bool) -> ObjectCloud | DepthView:
    """Points on a mask (H, W) bool; a tracked object's mask is used as it is, or is a box."""
    measured = _measured(arrays.depth, parameters)
    if not mask.any():
        what = f'id {parameters.mask_id}' if parameters.mask_id else 'the object'
        raise NoEstimate(f'no detection of {what} has a pixel of the image' if arrays.boxed
                         else f'the mask has no pixel of {what}' if parameters.mask_id
                         else 'the mask is empty')
    boxed = arrays.boxed or is_box(mask)
    mask = mask & measured
    _require_count(np.count_nonzero(mask), parameters.min_points)
    if tracked and not boxed:
        return _require_points(object_cloud(arrays.depth, arrays.intrinsics, mask),
                               parameters.min_points)
    depth = np.where(measured, arrays.depth, np.float32(0))
    view = BoxedView(depth, arrays.intrinsics, parameters.min_points, mask, boxed)
    return view if tracked else view.candidates()[0].cloud


def _unmasked_view(arrays: DepthArrays, parameters: PerceptionParameters, tracked: bool,
                   ) -> UnmaskedView:
    """The image in which segmentation, or tracking, finds the object.

    Raises:
        NoEstimate: nothing is measured; or the object is tracked, and nothing stands out any more:
            tracking could take a wall behind the object for the object.
    """
    image = _whole_image(arrays, parameters)
    view = UnmaskedView(image.depth, image.intrinsics, parameters.min_points)
    if tracked:
        view.candidates()
    return view


def _whole_image(arrays: DepthArrays, parameters: PerceptionParameters) -> DepthView:
    """The image without measurements beyond max_depth."""
    measured = _measured(arrays.depth, parameters)
    return DepthView(np.where(measured, arrays.depth, np.float32(0)), arrays.intrinsics)


def _cloud_view(points: np.ndarray, parameters: PerceptionParameters, tracked: bool,
                ) -> ObjectCloud | UnmaskedView:
    """Points (N, 3) of the object, or those of the whole scene as an image without a mask."""
    if parameters.max_depth > 0:
        points = points[points[:, 2] <= parameters.max_depth]
    if not len(points):
        raise NoEstimate('the point cloud holds no finite point within max_depth')
    try:
        require_optical_axes(points)
    except ValueError as error:
        raise NoEstimate(str(error)) from error
    if parameters.segment_points:
        view = cloud_view(points)
        return _unmasked_view(DepthArrays(view.depth, view.intrinsics), parameters, tracked)
    return _require_points(ObjectCloud(points), parameters.min_points)


def _require_points(raw: ObjectCloud, least: int) -> ObjectCloud:
    """The filtered cloud; tracking and inference do not filter it again."""
    cloud = filter_cloud(raw)
    _require_count(len(cloud), least)
    return cloud


def _require_count(points: int, least: int) -> None:
    if points < least:
        raise NoEstimate(f'only {points} valid points on the object; need {least} (parameter '
                         'min_points)')
