"""Frames from the messages of depth images, calibrations and masks, paired by their stamps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Union

from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.nodes.frames import (
    BoxMask,
    CalibratedMask,
    Mask,
    TransformLookup,
    depth_frame,
    registered_frame,
)
from kinediff3d_ros.scene.frames import NANOSECONDS, Frame
from kinediff3d_ros.scene.pairing import QUEUE, CalibrationPairing, StampPairing

if TYPE_CHECKING:  # messages of a recording have the same fields, and need no ROS
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image

DepthImage = Union['Image', 'CompressedImage']


class FrameAssembly:
    """Pairs messages to frames; the same for a running node and for a recording.

    A depth image, and a mask with a camera of its own, get the camera_info of their stamp
    (:class:`CalibrationPairing`); a depth image gets the mask of the nearest stamp
    (:class:`StampPairing`).

    With ``initialize``, every depth image is a frame of its own at once, and is kept for a mask
    that may still come; both together are then a frame that initializes objects.

    Args:
        sync_slop: largest difference between the stamps of a depth image and its mask, s.
        mask_wanted: whether a depth image waits for a mask; asked for each.
        transforms: of the mask's camera, to which the depth images are registered; None if the
            masks are in the pixels of the depth images.
        early: most depth images that wait for the first camera_info.
        queue: most depth images, and masks, that wait for each other.
        initialize: see the class.
    """

    def __init__(self, sync_slop: float, mask_wanted: Callable[[], bool],
                 transforms: TransformLookup | None = None, early: int = 0,
                 queue: int = QUEUE, initialize: bool = False) -> None:
        self._mask_wanted, self._transforms = mask_wanted, transforms
        self._initialize = initialize
        self._depths: CalibrationPairing[DepthImage, CameraInfo] = CalibrationPairing(early)
        self._masks: CalibrationPairing[Mask, CameraInfo] = CalibrationPairing(early)
        self._pairing: StampPairing[tuple[DepthImage, CameraInfo], Mask | CalibratedMask] = \
            StampPairing(int(sync_slop * NANOSECONDS), queue)

    @property
    def calibrated(self) -> bool:
        """Whether there has been a camera_info of the depth images."""
        return self._depths.calibrated

    @property
    def mask_calibrated(self) -> bool:
        """Whether there has been a camera_info of the masks, if one is needed."""
        return self._transforms is None or self._masks.calibrated

    @property
    def uncalibrated(self) -> int:
        """Number of depth images that were discarded because there was no camera_info."""
        return self._depths.uncalibrated

    @property
    def unpaired(self) -> int:
        """Number of depth images that were discarded unused, without a mask."""
        return 0 if self._initialize else self._pairing.unpaired

    def discard(self) -> None:
        """Discard what waits; depth images count as unpaired."""
        self._pairing.discard()

    def add_depth(self, image: DepthImage) -> list[Frame]:
        """Add a depth image; return the frames that it completes."""
        return self._use_depths(self._depths.add_first(_stamp(image), image))

    def add_info(self, info: CameraInfo) -> list[Frame]:
        """Add a camera_info of depth images; return the frames that it completes."""
        return self._use_depths(self._depths.add_second(_stamp(info), info))

    def add_mask(self, mask: Mask) -> list[Frame]:
        """Add a mask; return the frames that it completes."""
        if self._transforms is None:
            return self._frames([self._pairing.add_second(_stamp(mask), mask)])
        return self._use_masks(self._masks.add_first(_stamp(mask), mask))

    def add_mask_info(self, info: CameraInfo) -> list[Frame]:
        """Add a camera_info of masks; return the frames that it completes."""
        return self._use_masks(self._masks.add_second(_stamp(info), info))

    def release_late(self) -> list[Frame]:
        """Frames of images that have waited for their own camera_info since the last call."""
        return self._use_depths(self._depths.release_late()) + \
            self._use_masks(self._masks.release_late())

    def _use_depths(self, pairs: Iterable[tuple[DepthImage, CameraInfo]]) -> list[Frame]:
        found = []
        for image, info in pairs:
            if self._initialize:
                paired = self._frames([self._pairing.add_first(_stamp(image), (image, info))])
                found += [depth_frame(image, info), *paired]
            elif self._mask_wanted():
                found += self._frames([self._pairing.add_first(_stamp(image), (image, info))])
            else:
                found.append(depth_frame(image, info))
        return found

    def _use_masks(self, pairs: Iterable[tuple[Mask, CameraInfo]]) -> list[Frame]:
        return self._frames(self._pairing.add_second(_stamp(mask), CalibratedMask(mask, info))
                            for mask, info in pairs)

    def _frames(self, pairs: Iterable[tuple[tuple[DepthImage, CameraInfo],
                                            Mask | CalibratedMask] | None]) -> list[Frame]:
        frames = [registered_frame(image, info, mask, self._transforms)
                  if isinstance(mask, CalibratedMask) and self._transforms is not None
                  else depth_frame(image, info, mask)
                  for (image, info), mask in filter(None, pairs)]
        return [replace(frame, initializes=self._initialize) for frame in frames]


def _stamp(message: DepthImage | CameraInfo | BoxMask) -> int:
    return nanoseconds_from_time(message.header.stamp)
