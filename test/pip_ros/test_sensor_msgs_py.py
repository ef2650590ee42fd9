"""``sensor_msgs_py.point_cloud2``: point clouds to arrays and back."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

pytest.importorskip('rclpy')

from installed_ros import ROS_INSTALLED, pip_ros_only  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from sensor_msgs.msg import PointCloud2, PointField  # noqa: E402
from sensor_msgs_py import point_cloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

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
