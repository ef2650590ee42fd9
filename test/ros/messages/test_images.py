"""Depth images and masks: units, byte order, row padding, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_ros.messages import images

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')


def image(pixels: np.ndarray, encoding: str, pad: int = 0, big: bool = False) -> Image:
    """An image message written by hand, with row padding and either byte order."""
    order = '>' if big else '<'
    data = pixels.astype(pixels.dtype.newbyteorder(order))
    rows = [row.tobytes() + b'\xff' * pad for row in data]
    return Image(header=HEADER, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
                 is_bigendian=big, step=len(rows[0]), data=b''.join(rows))


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('pad', [0, 8])
def test_depth_in_millimetres_becomes_metres(pad: int, big: bool) -> None:
    pixels = np.arange(1, 13, dtype=np.uint16).reshape(3, 4) * 321
    depth = images.depth_from_image(image(pixels, '16UC1', pad, big))
    np.testing.assert_allclose(depth, pixels * 0.001, rtol=1e-6)
    assert depth.dtype == np.float32


@pytest.mark.parametrize('big', [False, True])
def test_depth_in_metres_keeps_what_is_measured(big: bool) -> None:
    pixels = np.array([[1.5, np.nan, np.inf], [-1.0, 0.0, 2.25]], np.float32)
    depth = images.depth_from_image(image(pixels, '32FC1', 4, big))
    np.testing.assert_array_equal(depth, [[1.5, 0, 0], [0, 0, 2.25]])


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', '16SC1', '64FC1', 'mono8', ''])
def test_other_depth_encodings_are_refused_by_name(encoding: str) -> None:
    with pytest.raises(ValueError, match=f"encoding '{encoding}'"):
        images.depth_from_image(
            Image(height=2, width=2, encoding=encoding, step=16, data=bytes(32)))


def test_images_that_do_not_fit_their_header_are_refused() -> None:
    good = image(np.ones((3, 4), np.uint16), '16UC1')
    with pytest.raises(ValueError, match='holds 10 bytes'):
        images.depth_from_image(Image(height=3, width=4, encoding='16UC1', step=8,
                                      data=bytes(10)))
    good.step = 6
    with pytest.raises(ValueError, match='step 6'):
        images.depth_from_image(good)
    with pytest.raises(ValueError, match='empty'):
        images.depth_from_image(Image(encoding='16UC1'))


@pytest.mark.parametrize(('change', 'match'), [
    ({'data': bytes(23)}, 'holds 23 bytes; its header says 24 .step 8 x height 3'),
    ({'step': 9, 'data': bytes(27)}, 'step 9, which does not fit 4 pixels'),
    ({'step': 7}, 'step 7'), ({'width': 0}, 'empty: 0 x 3'), ({'height': 0}, 'empty: 4 x 0')])
def test_sizes_that_do_not_fit_are_refused(change: dict, match: str) -> None:
    fields = {'height': 3, 'width': 4, 'encoding': '16UC1', 'step': 8, 'data': bytes(24)}
    assert images.depth_from_image(Image(**fields)).shape == (3, 4)
    with pytest.raises(ValueError, match=match):
        images.depth_from_image(Image(**{**fields, **change}))


def test_a_step_that_is_not_set_is_that_of_the_pixels() -> None:
    message = Image(height=2, width=2, encoding='16UC1', data=bytes([1, 0] * 4))
    assert images.depth_from_image(message).shape == (2, 2)


def test_masks_pick_an_instance() -> None:
    ids = np.array([[0, 1, 2], [300, 2, 0]], np.uint16)
    np.testing.assert_array_equal(images.instances_from_image(image(ids, 'mono16')), ids)
    np.testing.assert_array_equal(images.mask_from_image(image(ids, 'mono16')), ids != 0)
    np.testing.assert_array_equal(images.mask_from_image(image(ids, 'mono16', 2, True), 300),
                                  ids == 300)
    small = (ids % 256).astype(np.uint8)
    np.testing.assert_array_equal(images.mask_from_image(image(small, 'mono8', 1), 2),
                                  small == 2)
    with pytest.raises(ValueError, match="encoding 'rgb8'"):
        images.mask_from_image(Image(height=1, width=1, encoding='rgb8', step=3,
                                     data=bytes(3)))


def test_image_round_trip() -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    message = images.image_from_pixels(pixels, '16UC1', HEADER)
    assert message.header == HEADER
    np.testing.assert_allclose(images.depth_from_image(message), pixels * 0.001, rtol=1e-6)
