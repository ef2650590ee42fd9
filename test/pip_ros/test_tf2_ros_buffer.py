"""``tf2_ros.Buffer``: storage, lookup, interpolation and errors."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

import tf2_ros  # noqa: E402
import tf_transformations as tft  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.time import Time  # noqa: E402
from transform_messages import (  # noqa: E402
    about_z,
    matrix_of,
    stamped,
    translation_of,
    yaw_of,
)


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
