"""``cv_bridge``: images to arrays and back."""

from __future__ import annotations

import math
from array import array

import numpy as np
import pytest

pytest.importorskip('rclpy')

from cv_bridge import CvBridge, CvBridgeError  # noqa: E402
from installed_ros import ROS_INSTALLED, pip_ros_only  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

ENCODINGS = [
    ('16UC1', np.uint16, 1),
    ('32FC1', np.float32, 1),
    ('mono8', np.uint8, 1),
    ('8UC1', np.uint8, 1),
    ('mono16', np.uint16, 1),
    ('rgb8', np.uint8, 3),
    ('bgr8', np.uint8, 3),
]


def picture(dtype: type, channels: int) -> np.ndarray:
    """A 4x6 image whose values all differ and, for 16 bits, use both bytes."""
    shape = (4, 6) if channels == 1 else (4, 6, channels)
    count = math.prod(shape)
    step = 1 if dtype is np.uint8 else 257.5 if dtype is np.float32 else 1001
    return (np.arange(count) * step).astype(dtype).reshape(shape)


@pytest.mark.parametrize(('encoding', 'dtype', 'channels'), ENCODINGS)
def test_images_are_unchanged_by_serialization(encoding, dtype, channels) -> None:
    image, header = picture(dtype, channels), Header(frame_id='camera')
    message = CvBridge().cv2_to_imgmsg(image, encoding, header)
    assert (message.height, message.width, message.encoding) == (4, 6, encoding)
    assert message.step == 6 * channels * np.dtype(dtype).itemsize
    received = deserialize_message(serialize_message(message), Image)
    assert received.header == header
    read = CvBridge().imgmsg_to_cv2(received)
    assert read.dtype == dtype and read.dtype.isnative
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('padding', [0, 12])
@pytest.mark.parametrize(('encoding', 'dtype', 'channels'), ENCODINGS)
def test_images_of_either_endianness_and_step_are_read(
    encoding, dtype, channels, padding, order
) -> None:
    if ROS_INSTALLED and order == '>' and np.dtype(dtype).itemsize > 1:
        pytest.skip('the ROS 2 package needs NumPy < 2')
    image = picture(dtype, channels)
    stored = image.astype(np.dtype(dtype).newbyteorder(order))
    message = Image(height=4, width=6, encoding=encoding, is_bigendian=int(order == '>'))
    message.step = 6 * channels * stored.itemsize + padding
    message.data = array('B', b''.join(row.tobytes() + b'\xff' * padding for row in stored))
    read = CvBridge().imgmsg_to_cv2(message)
    assert read.flags.c_contiguous and read.dtype.isnative
    np.testing.assert_array_equal(read, image)


def test_the_array_is_a_copy() -> None:
    message = CvBridge().cv2_to_imgmsg(picture(np.uint16, 1), '16UC1')
    before = bytes(message.data)
    first = CvBridge().imgmsg_to_cv2(message)
    if not ROS_INSTALLED:
        first += 1
        assert bytes(message.data) == before


def test_passthrough_gives_the_encoding_of_the_type() -> None:
    for dtype, channels, name in [
        (np.uint16, 1, '16UC1'),
        (np.float32, 1, '32FC1'),
        (np.uint8, 1, '8UC1'),
        (np.uint8, 3, '8UC3'),
    ]:
        assert CvBridge().cv2_to_imgmsg(picture(dtype, channels)).encoding == name


def test_colours_are_reordered() -> None:
    image = picture(np.uint8, 3)
    message = CvBridge().cv2_to_imgmsg(image, 'rgb8')
    swapped = CvBridge().imgmsg_to_cv2(message, 'bgr8')
    np.testing.assert_array_equal(swapped, image[:, :, ::-1])
    np.testing.assert_array_equal(CvBridge().imgmsg_to_cv2(message, 'rgb8'), image)


def test_grey_has_the_luma_weights_of_rec_601() -> None:
    primaries = np.zeros((1, 3, 3), np.uint8)
    primaries[0, [0, 1, 2], [0, 1, 2]] = 255
    grey = CvBridge().imgmsg_to_cv2(CvBridge().cv2_to_imgmsg(primaries, 'rgb8'), 'mono8')
    assert grey.tolist() == [[76, 150, 29]]
    colour = CvBridge().imgmsg_to_cv2(CvBridge().cv2_to_imgmsg(grey, 'mono8'), 'bgr8')
    assert colour.tolist() == [[[76] * 3, [150] * 3, [29] * 3]]


@pytest.mark.parametrize(
    ('encoding', 'desired'), [('16UC1', 'mono16'), ('mono8', '8UC1'), ('8UC1', 'mono8')]
)
def test_encodings_of_the_same_type_are_interchangeable(encoding, desired) -> None:
    image = picture(np.uint8 if '8' in encoding else np.uint16, 1)
    message = CvBridge().cv2_to_imgmsg(image, encoding)
    np.testing.assert_array_equal(CvBridge().imgmsg_to_cv2(message, desired), image)


@pytest.mark.parametrize('encoding', ['nonsense', '17UC1', ''])
def test_unknown_encodings_are_refused(encoding) -> None:
    message = CvBridge().cv2_to_imgmsg(picture(np.uint8, 1), 'mono8')
    message.encoding = encoding
    with pytest.raises(CvBridgeError):
        CvBridge().imgmsg_to_cv2(message)


def test_an_encoding_that_does_not_match_the_array_is_refused() -> None:
    for image, encoding in [
        (picture(np.uint16, 1), '32FC1'),
        (picture(np.uint8, 1), 'rgb8'),
        (picture(np.float32, 1), 'mono16'),
    ]:
        with pytest.raises(CvBridgeError):
            CvBridge().cv2_to_imgmsg(image, encoding)
    with pytest.raises(TypeError):
        CvBridge().cv2_to_imgmsg([[1, 2]], 'mono8')


def test_images_shorter_than_their_declared_size_are_refused() -> None:
    message = CvBridge().cv2_to_imgmsg(picture(np.uint16, 1), '16UC1')
    message.height = 5
    with pytest.raises(TypeError):  # CvBridgeError is one
        CvBridge().imgmsg_to_cv2(message)


@pip_ros_only
def test_rows_shorter_than_their_declared_width_are_refused() -> None:
    message = CvBridge().cv2_to_imgmsg(picture(np.uint16, 1), '16UC1')
    message.width = 7
    with pytest.raises(CvBridgeError):
        CvBridge().imgmsg_to_cv2(message)
