"""Pictures of camera images, and which image is shown."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from std_msgs.msg import Header  # noqa: E402

from kinediff3d_ros.messages.images import image_from_pixels  # noqa: E402
from kinediff3d_ros.tools.camera_picture import (  # noqa: E402
    NO_DEPTH,
    image_to_show,
    picture_of,
)


@pytest.mark.parametrize('pixels, encoding', (
    (np.uint16([[0, 500, 3000]]), '16UC1'), (np.float32([[np.nan, 0.5, 3.0]]), '32FC1')))
def test_near_depth_is_yellow_and_far_depth_violet(pixels, encoding: str) -> None:
    none, near, far = picture_of(image_from_pixels(pixels, encoding, Header()))[0].astype(int)
    assert tuple(none) == NO_DEPTH
    assert near[1] > near[2] + 100 and far[2] > far[1] + 50


@pytest.mark.parametrize('encoding, pixel', (
    ('rgb8', (1, 2, 3)), ('bgr8', (3, 2, 1)), ('rgba8', (1, 2, 3, 255)), ('bgra8', (3, 2, 1, 0))))
def test_colours_keep_their_order(encoding: str, pixel) -> None:
    picture = picture_of(image_from_pixels(np.full((2, 2, len(pixel)), pixel, np.uint8), encoding,
                                           Header()))
    assert picture.shape == (2, 2, 3) and tuple(picture[0, 0]) == (1, 2, 3)


def test_large_images_are_thinned_and_grey_ones_shown() -> None:
    picture = picture_of(image_from_pixels(np.full((720, 1280), 7, np.uint8), 'mono8', Header()))
    assert picture.shape == (180, 320, 3) and (picture == 7).all()


def test_other_images_are_refused() -> None:
    image = image_from_pixels(np.zeros((2, 2, 2), np.uint8), '8UC2', Header())
    with pytest.raises(ValueError, match="encoding '8UC2'; need depth"):
        picture_of(image)
    image = image_from_pixels(np.zeros((2, 2, 3), np.uint8), 'rgb8', Header())
    image.data = image.data[:5]
    with pytest.raises(ValueError, match='image cannot be read'):
        picture_of(image)
    assert picture_of(image_from_pixels(np.zeros((2, 2), np.uint16), '16UC1',
                                        Header())).max() == max(NO_DEPTH), 'nothing measured'


def test_the_depth_image_is_shown() -> None:
    assert image_to_show([]) == ''
    assert image_to_show(['/sam/mask', '/camera/depth/image_rect']) == '/camera/depth/image_rect'
    assert image_to_show(['/mask', '/front/range']) == '/front/range'
    assert image_to_show(['/depth/mask', '/depth/image']) == '/depth/image'
