"""Messages become the arrays of a frame."""

import numpy as np
from std_msgs.msg import Header

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_ros.messages.camera_info import info_from_intrinsics
from kinediff3d_ros.messages.images import image_from_pixels
from kinediff3d_ros.nodes.frames import depth_frame

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
