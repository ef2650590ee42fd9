"""Messages become the arrays of a frame."""

import numpy as np
import pytest
from std_msgs.msg import Header

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.observation.image_boxes import ImageBox
from kinediff3d_ros.messages.camera_info import info_from_intrinsics
from kinediff3d_ros.messages.images import image_from_pixels
from kinediff3d_ros.nodes.frames import BoxMask, depth_frame
from kinediff3d_ros.scene.detected_objects import MarkedObjects

HEADER = Header(frame_id='camera')


def test_raw_images_are_undistorted_and_rectified_ones_are_not() -> None:
    """A calibration with P is of rectified images, also where it has a distortion."""
    depth = np.full((80, 100), 900, np.uint16)
    depth[20:60, 30:70] = 500
    ids = (depth == 500).astype(np.uint16) * 3
    info = info_from_intrinsics(Intrinsics(80.0, 80.0, 49.5, 39.5, 100, 80), HEADER)
    info.d = [-0.3, 0.1, 0.0, 0.0, 0.0]
    images = (image_from_pixels(depth, '16UC1', HEADER), info,
              image_from_pixels(ids, '16UC1', HEADER))
    rectified = depth_frame(*images).convert()
    np.testing.assert_array_equal(rectified.depth, depth / np.float32(1000))
    info.p = np.zeros(12)
    raw = depth_frame(*images).convert()
    assert raw.instances.sum() > ids.sum() and set(np.unique(raw.instances)) == {0, 3}
    np.testing.assert_array_equal(raw.depth == np.float32(0.5), raw.instances == 3)


def test_boxes_are_a_mask_in_the_pixels_of_the_raw_image() -> None:
    depth = np.full((80, 100), 900, np.uint16)
    depth[20:60, 30:70] = 500
    info = info_from_intrinsics(Intrinsics(80.0, 80.0, 49.5, 39.5, 100, 80), HEADER)
    image = image_from_pixels(depth, '16UC1', HEADER)
    marked = MarkedObjects({3: ImageBox(50.0, 40.0, 40.0, 40.0)}, {3: 'box'})
    arrays = depth_frame(image, info, BoxMask(HEADER, marked)).convert()
    np.testing.assert_array_equal(arrays.instances, (depth == 500) * 3)
    assert arrays.boxed and arrays.categories == {3: 'box'}
    info.d, info.p = [-0.3, 0.1, 0.0, 0.0, 0.0], np.zeros(12)
    arrays = depth_frame(image, info, BoxMask(HEADER, marked)).convert()
    np.testing.assert_array_equal(arrays.depth == np.float32(0.5), arrays.instances == 3)
    none = depth_frame(image, info, BoxMask(HEADER, MarkedObjects())).convert()
    assert not none.instances.any()


def test_boxes_of_another_camera_are_refused_by_name() -> None:
    info = info_from_intrinsics(Intrinsics(80.0, 80.0, 49.5, 39.5, 100, 80), HEADER)
    image = image_from_pixels(np.full((80, 100), 900, np.uint16), '16UC1', HEADER)
    mask = BoxMask(Header(frame_id='colour'), MarkedObjects())
    with pytest.raises(ValueError, match="detections_2d is in frame 'colour' .*register_depth"):
        depth_frame(image, info, mask).convert()
