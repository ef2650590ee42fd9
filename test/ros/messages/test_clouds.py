"""Point clouds: round trip, row padding, byte order, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from sensor_msgs.msg import PointCloud2, PointField  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_ros.messages import clouds

pytestmark = pytest.mark.ros

HEADER = Header(stamp=Time(sec=12, nanosec=34), frame_id='camera')


def test_cloud_round_trip() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    cloud = clouds.cloud_from_points(points, HEADER)
    assert cloud.header == HEADER and cloud.width == 50
    np.testing.assert_array_equal(clouds.points_from_cloud(cloud), points)


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('kind', [np.float32, np.float64])
def test_organised_cloud_with_padding_colour_and_holes(kind: type, big: bool) -> None:
    """An organised cloud as cameras send it: colour between, padded rows, NaN where blind."""
    order = '>' if big else '<'
    plain = np.dtype(kind)
    dtype = np.dtype({'names': ['rgb', 'x', 'y', 'z'],
                      'formats': [f'{order}f4', *[plain.newbyteorder(order)] * 3],
                      'offsets': [0, 8, 8 + plain.itemsize, 8 + 2 * plain.itemsize],
                      'itemsize': 40})
    points = np.arange(18, dtype=kind).reshape(2, 3, 3)
    points[0, 1, 2] = np.nan
    table = np.zeros((2, 3), dtype)
    for i, name in enumerate('xyz'):
        table[name] = points[..., i]
    number = PointField.FLOAT32 if kind is np.float32 else PointField.FLOAT64
    fields = [PointField(name=n, offset=dtype.fields[n][1], count=1,
                         datatype=PointField.FLOAT32 if n == 'rgb' else number)
              for n in dtype.names]
    cloud = PointCloud2(header=HEADER, height=2, width=3, fields=fields, is_bigendian=big,
                        point_step=40, row_step=128, is_dense=False,
                        data=b''.join(row.tobytes() + bytes(8) for row in table))
    expected = points.reshape(-1, 3)[[0, 2, 3, 4, 5]]
    np.testing.assert_array_equal(clouds.points_from_cloud(cloud), expected)


def test_clouds_without_coordinates_or_data_are_refused() -> None:
    cloud = clouds.cloud_from_points(np.ones((4, 3)), HEADER)
    cloud.data = cloud.data[:20]
    with pytest.raises(ValueError, match='holds 20 bytes'):
        clouds.points_from_cloud(cloud)
    cloud.fields = cloud.fields[:2]
    with pytest.raises(ValueError, match='fields x, y, z; it has x, y'):
        clouds.points_from_cloud(cloud)


def organised(width: int, height: int, padding: int) -> PointCloud2:
    """Points 0, 1, 2, ... with bytes of 0xff after each row."""
    points = np.arange(3 * width * height, dtype=np.float32).reshape(height, width, 3)
    cloud = clouds.cloud_from_points(points.reshape(-1, 3), HEADER)
    cloud.height, cloud.width = height, width
    cloud.row_step = 12 * width + padding
    cloud.data = b''.join(row.tobytes() + b'\xff' * padding for row in points)
    return cloud


@pytest.mark.parametrize('padding', [0, 4, 12, 13])
@pytest.mark.parametrize(('width', 'height'), [(5, 3), (1, 4), (7, 1)])
def test_row_padding_of_organised_clouds_is_left_out(width: int, height: int, padding: int,
                                                     ) -> None:
    points = clouds.points_from_cloud(organised(width, height, padding))
    np.testing.assert_array_equal(points.ravel(), np.arange(3 * width * height))


def test_fields_beyond_the_point_are_refused_and_their_count_does_not_matter() -> None:
    cloud = organised(5, 3, 0)
    for field in cloud.fields:
        field.count = 0
    assert len(clouds.points_from_cloud(cloud)) == 15
    cloud.fields[2].offset = 9
    with pytest.raises(ValueError, match='fields beyond its point_step of 12 bytes'):
        clouds.points_from_cloud(cloud)


def test_a_cloud_of_no_point_has_none() -> None:
    assert clouds.points_from_cloud(organised(0, 1, 0)).shape == (0, 3)


def test_the_last_row_may_lack_its_padding() -> None:
    cloud = organised(5, 3, 4)
    cloud.data = cloud.data[:-4]
    points = clouds.points_from_cloud(cloud)
    np.testing.assert_array_equal(points.ravel(), np.arange(45))
    cloud.data = cloud.data[:-1]
    with pytest.raises(ValueError, match='holds 187 bytes; its header says 188'):
        clouds.points_from_cloud(cloud)


def test_a_row_step_that_is_too_small_is_refused() -> None:
    cloud = organised(5, 3, 0)
    cloud.row_step -= 1
    with pytest.raises(ValueError, match='a row_step of 59; its rows have 60 bytes'):
        clouds.points_from_cloud(cloud)
    # A single row needs no row_step; some drivers leave it zero.
    cloud = organised(5, 1, 0)
    cloud.row_step = 0
    assert len(clouds.points_from_cloud(cloud)) == 5


@pytest.mark.parametrize('missing', [1, 60, 150])
def test_an_organised_cloud_with_too_few_bytes_is_refused(missing: int) -> None:
    cloud = organised(5, 3, 0)
    cloud.data = cloud.data[:-missing]
    with pytest.raises(ValueError, match=f'holds {180 - missing} bytes; its header says 180'):
        clouds.points_from_cloud(cloud)


def test_a_single_row_may_lack_its_padding() -> None:
    cloud = organised(5, 1, 0)
    cloud.row_step = 100
    assert len(clouds.points_from_cloud(cloud)) == 5


def test_bytes_after_the_last_row_are_ignored() -> None:
    cloud = organised(5, 3, 4)
    cloud.data = bytes(cloud.data) + bytes(100)
    assert len(clouds.points_from_cloud(cloud)) == 15


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('axis', [0, 1, 2])
def test_points_that_are_not_finite_are_left_out(value: float, axis: int) -> None:
    points = np.ones((4, 3), np.float32)
    points[2, axis] = value
    assert len(clouds.points_from_cloud(clouds.cloud_from_points(points, HEADER))) == 3


def test_integer_coordinates_are_refused() -> None:
    cloud = clouds.cloud_from_points(np.ones((4, 3)), HEADER)
    cloud.fields[2].datatype = PointField.INT32
    with pytest.raises(ValueError, match='floating point fields'):
        clouds.points_from_cloud(cloud)
