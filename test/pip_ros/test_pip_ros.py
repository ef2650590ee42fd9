"""The packages of pip_ros/ behave like the ROS 2 packages of the same names.

Where ROS 2 is installed, the same tests run on the ROS 2 packages. Tests of behaviour that only
pip_ros has are marked ``pip_ros_only``.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import uuid
from array import array
from collections.abc import Iterator
from importlib import metadata

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

import tf2_ros  # noqa: E402
import tf_transformations as tft  # noqa: E402
from cv_bridge import CvBridge, CvBridgeError  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from rclpy.time import Time  # noqa: E402
from sensor_msgs.msg import Image, PointCloud2, PointField  # noqa: E402
from sensor_msgs_py import point_cloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

try:
    metadata.distribution('kinediff3d-pip-ros')
    ROS_INSTALLED = False
except metadata.PackageNotFoundError:
    ROS_INSTALLED = True
pip_ros_only = pytest.mark.skipif(ROS_INSTALLED, reason='ROS 2 leaves this to the caller')


def stamped(
    parent: str,
    child: str,
    seconds: float,
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0),
    quaternion: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0),
) -> TransformStamped:
    """Return T_parent_child as a message."""
    message = TransformStamped()
    message.header.stamp = Time(seconds=seconds).to_msg()
    message.header.frame_id = parent
    message.child_frame_id = child
    t, r = message.transform.translation, message.transform.rotation
    # By default, a message accepts any type and serializes a value that is no float wrongly.
    t.x, t.y, t.z = map(float, translation)
    r.x, r.y, r.z, r.w = map(float, quaternion)
    return message


def about_z(angle: float) -> tuple[float, ...]:
    return (0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))


def translation_of(message: TransformStamped) -> list[float]:
    t = message.transform.translation
    return [t.x, t.y, t.z]


def matrix_of(message: TransformStamped) -> np.ndarray:
    r = message.transform.rotation
    matrix = tft.quaternion_matrix([r.x, r.y, r.z, r.w])
    matrix[:3, 3] = translation_of(message)
    return matrix


def yaw_of(message: TransformStamped) -> float:
    r = message.transform.rotation
    assert r.x == pytest.approx(0.0, abs=1e-12) and r.y == pytest.approx(0.0, abs=1e-12)
    return math.remainder(2 * math.atan2(r.z, r.w), math.tau)


# --- tf2_msgs ------------------------------------------------------------------------------


def test_tf_message_is_unchanged_by_serialization() -> None:
    sent = TFMessage(transforms=[stamped('a', 'b', 1.5, (1, 2, 3)), stamped('b', 'c', 2.5)])
    received = deserialize_message(serialize_message(sent), TFMessage)
    assert received == sent


def test_tf_message_is_serialized_as_a_plain_sequence() -> None:
    """CDR of one transform, byte by byte: header, length 1, stamp, two strings, seven doubles."""
    data = bytes(serialize_message(TFMessage(transforms=[stamped('a', 'b', 3.0, (1, 0, 0))])))
    order = 'little' if data[1] == 1 else 'big'
    words = [int.from_bytes(data[i : i + 4], order) for i in range(4, 20, 4)]
    assert words == [1, 3, 0, 2]  # one transform; 3 s, 0 ns; 'a' and its terminating zero
    assert data[20:22] == b'a\0'
    assert np.frombuffer(data[-56:], '<f8' if order == 'little' else '>f8').tolist() == [
        *(1.0, 0.0, 0.0),
        *(0.0, 0.0, 0.0, 1.0),
    ]


# --- tf2_ros: the buffer -------------------------------------------------------------------


@pytest.fixture
def buffer() -> tf2_ros.Buffer:
    """A body moves and rotates in the world from 10 s to 12 s. A camera is fixed to the body."""
    buffer = tf2_ros.Buffer()
    buffer.set_transform(stamped('world', 'body', 10.0, (0, 0, 0), about_z(0.0)), 'test')
    buffer.set_transform(stamped('world', 'body', 12.0, (2, 4, 0), about_z(math.pi / 2)), 'test')
    buffer.set_transform_static(stamped('body', 'camera', 0.0, (1, 0, 0)), 'test')
    buffer.set_transform_static(stamped('world', 'table', 0.0, (0, 0, 0.5)), 'test')
    return buffer


@pytest.mark.parametrize(
    ('seconds', 'translation', 'yaw'),
    [(10.0, (0, 0, 0), 0.0), (10.5, (0.5, 1, 0), math.pi / 8), (12.0, (2, 4, 0), math.pi / 2)],
)
def test_lookup_interpolates_between_stamps(buffer, seconds, translation, yaw) -> None:
    found = buffer.lookup_transform('world', 'body', Time(seconds=seconds))
    assert translation_of(found) == pytest.approx(translation)
    assert yaw_of(found) == pytest.approx(yaw)
    assert (found.header.frame_id, found.child_frame_id) == ('world', 'body')
    assert Time.from_msg(found.header.stamp).nanoseconds == int(seconds * 1e9)


def test_lookup_composes_a_chain_and_its_inverse(buffer) -> None:
    # At 11 s the body is at (1, 2), rotated by 45°. The camera is one metre in front of it.
    camera = buffer.lookup_transform('world', 'camera', Time(seconds=11))
    ahead = math.sqrt(0.5)
    assert translation_of(camera) == pytest.approx([1 + ahead, 2 + ahead, 0.0])
    back = buffer.lookup_transform('camera', 'world', Time(seconds=11))
    assert matrix_of(back) @ matrix_of(camera) == pytest.approx(np.eye(4), abs=1e-12)
    # Across the common parent: the table in the frame of the camera.
    table = buffer.lookup_transform('camera', 'table', Time(seconds=11))
    T_world_table = tft.translation_matrix([0, 0, 0.5])
    assert matrix_of(table) == pytest.approx(matrix_of(back) @ T_world_table, abs=1e-12)


def test_time_zero_means_the_latest_time_of_the_whole_chain(buffer) -> None:
    buffer.set_transform(stamped('camera', 'object', 10.0, (0, 0, 1)), 'test')
    buffer.set_transform(stamped('camera', 'object', 11.0, (0, 0, 3)), 'test')
    found = buffer.lookup_transform('world', 'object', Time())
    assert found.header.stamp.sec == 11
    ahead = math.sqrt(0.5)
    assert translation_of(found) == pytest.approx([1 + ahead, 2 + ahead, 3])


def test_static_transforms_are_valid_at_every_time_and_have_no_latest_time(buffer) -> None:
    for seconds in (1, 11, 1000):
        found = buffer.lookup_transform('body', 'camera', Time(seconds=seconds))
        assert translation_of(found) == [1, 0, 0]
        assert found.header.stamp.sec == seconds
    assert buffer.lookup_transform('body', 'camera', Time()).header.stamp.sec == 0


def test_rotation_takes_the_shorter_arc() -> None:
    buffer = tf2_ros.Buffer()
    buffer.set_transform(stamped('a', 'b', 1.0, quaternion=about_z(0.2)), 'test')
    negated = tuple(-v for v in about_z(0.6))
    buffer.set_transform(stamped('a', 'b', 2.0, quaternion=negated), 'test')
    found = buffer.lookup_transform('a', 'b', Time(seconds=1.25))
    assert yaw_of(found) == pytest.approx(0.3)


def test_a_frame_has_the_identity_transform_to_itself() -> None:
    found = tf2_ros.Buffer().lookup_transform('unknown', 'unknown', Time(seconds=3))
    assert matrix_of(found) == pytest.approx(np.eye(4))
    assert found.header.stamp.sec == 3


@pytest.mark.parametrize(
    ('target', 'source', 'seconds', 'error'),
    [
        ('world', 'body', 9.0, tf2_ros.ExtrapolationException),
        ('world', 'body', 12.5, tf2_ros.ExtrapolationException),
        ('world', 'camera', 12.5, tf2_ros.ExtrapolationException),
        ('table', 'camera', 12.5, tf2_ros.ExtrapolationException),
        ('world', 'nowhere', 11.0, tf2_ros.LookupException),
        ('nowhere', 'world', 0.0, tf2_ros.LookupException),
        ('world', 'island', 11.0, tf2_ros.ConnectivityException),
        ('world', 'island', 0.0, tf2_ros.ConnectivityException),
        ('', 'world', 11.0, tf2_ros.InvalidArgumentException),
        ('/world', 'body', 11.0, tf2_ros.InvalidArgumentException),
    ],
)
def test_lookup_of_a_missing_transform_raises(buffer, target, source, seconds, error) -> None:
    buffer.set_transform_static(stamped('sea', 'island', 0.0), 'test')
    with pytest.raises(error) as raised:
        buffer.lookup_transform(target, source, Time(seconds=seconds))
    assert isinstance(raised.value, tf2_ros.TransformException)
    assert not buffer.can_transform(target, source, Time(seconds=seconds))
    possible, reason = buffer.can_transform(
        target, source, Time(seconds=seconds), return_debug_tuple=True
    )
    assert not possible and reason


def test_a_single_sample_is_valid_only_at_its_stamp() -> None:
    buffer = tf2_ros.Buffer()
    buffer.set_transform(stamped('a', 'b', 5.0), 'test')
    assert buffer.can_transform('a', 'b', Time(seconds=5))
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform('a', 'b', Time(seconds=5.001))


def test_samples_may_arrive_out_of_order_and_old_samples_are_removed() -> None:
    buffer = tf2_ros.Buffer(cache_time=Duration(seconds=2))
    for seconds in (10.0, 11.0, 10.5):
        buffer.set_transform(stamped('a', 'b', seconds, (seconds, 0, 0)), 'test')
    found = buffer.lookup_transform('a', 'b', Time(seconds=10.75))
    assert translation_of(found)[0] == pytest.approx(10.75)
    buffer.set_transform(stamped('a', 'b', 12.8, (12.8, 0, 0)), 'test')
    buffer.set_transform(stamped('a', 'b', 12.9, (12.9, 0, 0)), 'test')
    assert not buffer.can_transform('a', 'b', Time(seconds=10.2))
    assert buffer.can_transform('a', 'b', Time(seconds=11))
    buffer.set_transform(stamped('a', 'b', 3.0), 'test')  # older than the history of the buffer
    assert not buffer.can_transform('a', 'b', Time(seconds=3))


@pytest.mark.parametrize(
    'bad',
    [
        stamped('world', 'bad', 11.0, (math.nan, 0, 0)),
        stamped('world', 'bad', 11.0, quaternion=(0.0, 0.0, 0.0, 0.0)),
        stamped('world', 'bad', 11.0, (math.inf, 0, 0), (0.0, 0.0, math.nan, 1.0)),
        stamped('', 'bad', 11.0),
        stamped('bad', 'bad', 11.0),
    ],
)
def test_malformed_transforms_are_ignored(buffer, bad) -> None:
    buffer.set_transform(bad, 'test')
    assert not buffer.can_transform('world', 'bad', Time(seconds=11))


def test_quaternions_of_any_length_are_normalized(buffer) -> None:
    twice = tuple(2 * v for v in about_z(0.3))
    buffer.set_transform_static(stamped('world', 'turned', 0.0, quaternion=twice), 'test')
    found = buffer.lookup_transform('world', 'turned', Time(seconds=1))
    assert yaw_of(found) == pytest.approx(0.3)
    assert found.transform.rotation.w == pytest.approx(math.cos(0.15))


def test_a_leading_slash_is_removed_when_a_transform_is_stored(buffer) -> None:
    buffer.set_transform_static(stamped('/world', '/shelf', 0.0, (0, 1, 0)), 'test')
    assert translation_of(buffer.lookup_transform('world', 'shelf', Time())) == [0, 1, 0]


def test_a_loop_of_frames_raises_an_error() -> None:
    buffer = tf2_ros.Buffer()
    buffer.set_transform_static(stamped('a', 'b', 0.0), 'test')
    buffer.set_transform_static(stamped('b', 'a', 0.0), 'test')
    buffer.set_transform_static(stamped('c', 'd', 0.0), 'test')
    with pytest.raises(tf2_ros.LookupException):
        buffer.lookup_transform('d', 'b', Time(seconds=1))


def test_lookup_waits_for_a_transform_until_it_arrives(buffer) -> None:
    late = stamped('world', 'body', 13.0, (3, 6, 0), about_z(math.pi / 2))
    timer = threading.Timer(0.2, buffer.set_transform, (late, 'test'))
    timer.start()
    begin = time.monotonic()
    found = buffer.lookup_transform('world', 'body', Time(seconds=12.5), Duration(seconds=10))
    assert 0.1 < time.monotonic() - begin < 5
    assert translation_of(found) == pytest.approx([2.5, 5, 0])
    timer.join()


def test_lookup_raises_after_its_timeout(buffer) -> None:
    begin = time.monotonic()
    with pytest.raises(tf2_ros.ExtrapolationException):
        buffer.lookup_transform('world', 'body', Time(seconds=99), Duration(seconds=0.3))
    assert 0.25 < time.monotonic() - begin < 3


# --- tf2_ros: over topics ------------------------------------------------------------------


@pytest.fixture
def nodes(monkeypatch) -> Iterator[tuple]:
    """Two spinning nodes of one context, in their own namespace."""
    monkeypatch.setitem(os.environ, 'ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    context = rclpy.Context()
    rclpy.init(context=context)
    name = f'test_{uuid.uuid4().hex[:8]}'
    # /tf is absolute in tf2_ros, so the topics are remapped into the namespace.
    remaps = ['--ros-args', '-r', f'/tf:=/{name}/tf', '-r', f'/tf_static:=/{name}/tf_static']
    pair = [rclpy.create_node(n, context=context, cli_args=remaps) for n in ('sender', 'receiver')]
    executor = SingleThreadedExecutor(context=context)
    for node in pair:
        executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield tuple(pair)
    executor.shutdown()
    thread.join(timeout=10)
    for node in pair:
        node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.ros
def test_broadcasts_reach_the_buffer(nodes) -> None:
    sender, receiver = nodes
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, receiver)
    broadcaster = tf2_ros.TransformBroadcaster(sender)
    deadline = time.monotonic() + 20
    while not buffer.can_transform('a', 'b', Time(seconds=1.5)):
        assert time.monotonic() < deadline, 'no transform arrived'
        broadcaster.sendTransform([stamped('a', 'b', 1.0), stamped('a', 'b', 2.0, (4, 0, 0))])
        broadcaster.sendTransform(stamped('b', 'c', 1.5, (0, 1, 0)))
        time.sleep(0.05)
    found = buffer.lookup_transform('a', 'c', Time(seconds=1.5), Duration(seconds=10))
    assert translation_of(found) == pytest.approx([2, 1, 0])
    listener.unregister()


@pytest.mark.ros
def test_static_broadcasts_reach_late_listeners(nodes) -> None:
    sender, receiver = nodes
    broadcaster = tf2_ros.StaticTransformBroadcaster(sender)
    broadcaster.sendTransform(stamped('a', 'b', 0.0, (1, 0, 0)))
    broadcaster.sendTransform(stamped('a', 'c', 0.0, (0, 1, 0)))
    time.sleep(0.2)
    buffer = tf2_ros.Buffer()
    listener = tf2_ros.TransformListener(buffer, receiver)
    found = buffer.lookup_transform('b', 'c', Time(), Duration(seconds=20))
    assert translation_of(found) == pytest.approx([-1, 1, 0])
    listener.unregister()


# --- sensor_msgs_py ------------------------------------------------------------------------

XYZ = ('x', 'y', 'z')


def fields(**columns: tuple[int, int]) -> list[PointField]:
    """Return fields from ``name=(offset, datatype)``."""
    return [
        PointField(name=name, offset=offset, datatype=datatype, count=1)
        for name, (offset, datatype) in columns.items()
    ]


def padded_cloud(order: str, row_padding: int) -> tuple[PointCloud2, np.ndarray]:
    """A 3x2 cloud with gaps between and after the fields, a colour, and padded rows."""
    layout = np.dtype(
        {
            'names': ['x', 'y', 'z', 'rgb'],
            'formats': [f'{order}f4', f'{order}f4', f'{order}f4', f'{order}u4'],
            'offsets': [0, 4, 8, 16],
            'itemsize': 24,
        }
    )
    points = np.zeros((2, 3), layout)
    for i, name in enumerate(XYZ):
        points[name] = np.arange(6).reshape(2, 3) + 10 * i
    points['rgb'] = 0x00112233
    data = b''.join(row.tobytes() + b'\xff' * row_padding for row in points)
    f32, u32 = PointField.FLOAT32, PointField.UINT32
    cloud = PointCloud2(
        height=2,
        width=3,
        fields=fields(x=(0, f32), y=(4, f32), z=(8, f32), rgb=(16, u32)),
        is_bigendian=order == '>',
        point_step=24,
        row_step=3 * 24 + row_padding,
        is_dense=True,
    )
    cloud.data = array('B', data)
    return cloud, np.stack([points[n].ravel().astype(np.float32) for n in XYZ], 1)


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('padding', [0, pytest.param(16, marks=pip_ros_only)])
def test_clouds_of_either_endianness_and_padding_are_read(order, padding) -> None:
    cloud, expected = padded_cloud(order, padding)
    before = bytes(cloud.data)
    points = point_cloud2.read_points(cloud)
    assert points.dtype.names == ('x', 'y', 'z', 'rgb')
    assert points['x'].tolist() == [0, 1, 2, 3, 4, 5]
    assert points['rgb'].tolist() == [0x00112233] * 6
    if not ROS_INSTALLED:
        assert bytes(cloud.data) == before
    cloud, expected = padded_cloud(order, padding)
    xyz = point_cloud2.read_points_numpy(cloud, field_names=XYZ)
    assert xyz.dtype == np.float32
    np.testing.assert_array_equal(xyz, expected)


def test_xyz32_clouds_are_unchanged_by_serialization() -> None:
    points = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    header = Header(frame_id='camera')
    cloud = point_cloud2.create_cloud_xyz32(header, points)
    assert (cloud.width, cloud.height, cloud.point_step, cloud.row_step) == (100, 1, 12, 1200)
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        (name, 4 * i, PointField.FLOAT32, 1) for i, name in enumerate('xyz')
    ]
    received = deserialize_message(serialize_message(cloud), PointCloud2)
    assert received.header == header
    np.testing.assert_array_equal(point_cloud2.read_points_numpy(received), points)


def test_float64_arrays_and_lists_become_float32() -> None:
    rows = [(0.1, 0.2, 0.3), (1.0, 2.0, 3.0)]
    for points in (rows, np.array(rows)):
        cloud = point_cloud2.create_cloud_xyz32(Header(), points)
        read = point_cloud2.read_points_numpy(cloud)
        np.testing.assert_array_equal(read, np.array(rows, np.float32))


def test_structured_points_keep_their_types() -> None:
    columns = fields(
        x=(0, PointField.FLOAT64), label=(8, PointField.UINT8), n=(10, PointField.INT16)
    )
    rows = [(0.5, 255, -3), (1.5, 7, 300)]
    cloud = point_cloud2.create_cloud(Header(), columns, rows)
    read = point_cloud2.read_points(cloud)
    assert read.tolist() == rows
    again = point_cloud2.create_cloud(Header(), columns, read)
    assert again == cloud
    with pytest.raises(AssertionError):
        point_cloud2.read_points_numpy(cloud)
    assert point_cloud2.read_points_numpy(cloud, ['x']).tolist() == [[0.5], [1.5]]


def test_nans_are_skipped_if_the_cloud_is_not_dense() -> None:
    points = np.array([[0, 0, 1], [np.nan, 0, 1], [0, 0, 2]], np.float32)
    cloud = point_cloud2.create_cloud_xyz32(Header(), points)
    assert len(point_cloud2.read_points(cloud)) == 3
    assert point_cloud2.read_points_numpy(cloud, skip_nans=True)[:, 2].tolist() == [1, 2]
    assert len(point_cloud2.read_points(cloud, ['y', 'z'], skip_nans=True)) == 3
    cloud.is_dense = True
    assert len(point_cloud2.read_points(cloud, skip_nans=True)) == 3


def test_uvs_select_points_and_columns_keep_the_requested_order() -> None:
    cloud, expected = padded_cloud('<', 0)
    picked = point_cloud2.read_points_numpy(cloud, ['x', 'y', 'z'], uvs=[4, 1])
    np.testing.assert_array_equal(picked, expected[[4, 1]])
    assert point_cloud2.read_points(cloud, ['z', 'x']).dtype.names == ('z', 'x')


def test_a_missing_field_is_refused() -> None:
    cloud, _ = padded_cloud('<', 0)
    with pytest.raises(AssertionError):
        point_cloud2.read_points(cloud, ['intensity'])


@pytest.mark.parametrize('cut', [1, 100])
def test_truncated_clouds_are_refused(cut) -> None:
    cloud, _ = padded_cloud('<', 0)
    cloud.data = cloud.data[:-cut]
    with pytest.raises(TypeError):
        point_cloud2.read_points(cloud)


def test_empty_clouds_are_read() -> None:
    cloud = point_cloud2.create_cloud_xyz32(Header(), np.zeros((0, 3), np.float32))
    assert point_cloud2.read_points_numpy(cloud).shape == (0, 3)


# --- cv_bridge -----------------------------------------------------------------------------

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


# --- tf_transformations --------------------------------------------------------------------


def test_w_is_the_last_component_of_quaternions() -> None:
    assert tft.quaternion_from_euler(0, 0, math.pi / 2) == pytest.approx(about_z(math.pi / 2))
    assert tft.quaternion_about_axis(0.4, (0, 0, 1)) == pytest.approx(about_z(0.4))
    matrix = tft.quaternion_matrix(about_z(math.pi / 2))
    expected = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert matrix == pytest.approx(np.array(expected), abs=1e-12)
    assert tft.quaternion_from_matrix(matrix) == pytest.approx(about_z(math.pi / 2))


@pytest.mark.parametrize('seed', range(20))
def test_rotations_round_trip(seed) -> None:
    rng = np.random.default_rng(seed)
    q = tft.unit_vector(rng.normal(size=4))
    q *= math.copysign(1.0, q[3])
    matrix = tft.quaternion_matrix(q)
    assert matrix[:3, :3] @ matrix[:3, :3].T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    matrix[:3, 3] = rng.normal(size=3)  # has no effect on the rotation of the transform
    assert tft.quaternion_from_matrix(matrix) == pytest.approx(q)
    for axes in ('sxyz', 'rzyx', 'szxz'):
        angles = tft.euler_from_quaternion(q, axes)
        assert tft.is_same_transform(tft.euler_matrix(*angles, axes), tft.quaternion_matrix(q))


def test_products_and_inverses_are_those_of_the_matrices() -> None:
    rng = np.random.default_rng(3)
    a, b = tft.unit_vector(rng.normal(size=(2, 4)), axis=1)
    product = tft.quaternion_matrix(tft.quaternion_multiply(a, b))
    assert product == pytest.approx(tft.quaternion_matrix(a) @ tft.quaternion_matrix(b))
    one = tft.quaternion_multiply(a, tft.quaternion_inverse(a))
    assert one == pytest.approx((0, 0, 0, 1), abs=1e-12)
    # Not of unit length. The product is worked out by hand from the rules of i, j and k.
    assert tft.quaternion_multiply([1, -2, 3, 4], [-5, 6, 7, 8]) == pytest.approx(
        (-44, -14, 48, 28)
    )


def test_slerp_has_constant_angular_speed() -> None:
    for fraction in (0.0, 0.25, 0.5, 1.0):
        q = tft.quaternion_slerp(about_z(0.2), about_z(1.0), fraction)
        assert q == pytest.approx(about_z(0.2 + 0.8 * fraction))


def test_rotation_about_a_point_does_not_move_the_point() -> None:
    matrix = tft.rotation_matrix(0.7, [0, 0, 1], point=[1, 2, 3])
    assert matrix @ [1, 2, 3, 1] == pytest.approx([1, 2, 3, 1])
    assert matrix[:3, :3] == pytest.approx(tft.quaternion_matrix(about_z(0.7))[:3, :3])


def test_matrices_concatenate_from_left_to_right() -> None:
    move, turn = tft.translation_matrix([1, 0, 0]), tft.rotation_matrix(math.pi / 2, [0, 0, 1])
    both = tft.concatenate_matrices(move, turn)
    assert tft.translation_from_matrix(both) == pytest.approx([1, 0, 0])
    assert both @ [1, 0, 0, 1] == pytest.approx([1, 1, 0, 1])
    assert tft.inverse_matrix(both) @ both == pytest.approx(np.eye(4))


@pip_ros_only
def test_opencv_is_not_loaded() -> None:
    for name in ('cv_bridge', 'tf2_ros', 'sensor_msgs_py', 'tf_transformations'):
        assert 'site-packages' in str(sys.modules[name].__file__)
    assert 'cv2' not in sys.modules
