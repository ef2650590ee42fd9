"""PointCloud2 messages: to points (N, 3), and from them."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from kinediff3d_core.io.cloud import finite_points


def points_from_cloud(cloud: PointCloud2) -> np.ndarray:
    """Points (N, 3) float32 in metres; those that are not finite are left out.

    Raises:
        ValueError: no x, y, z fields of a floating type, or data shorter than the header says.
    """
    types = {f.name: f.datatype for f in cloud.fields}
    for name in ('x', 'y', 'z'):
        if types.get(name) not in (PointField.FLOAT32, PointField.FLOAT64):
            raise ValueError(f'point cloud needs floating point fields x, y, z; it has '
                             f'{", ".join(types) or "no fields"}')
    row = cloud.width * cloud.point_step
    if cloud.row_step < row and cloud.height > 1:
        raise ValueError(f'point cloud has a row_step of {cloud.row_step}; its rows have {row} '
                         'bytes')
    padded = cloud.height > 1 and cloud.row_step > row
    needed = (cloud.row_step if padded else row) * (cloud.height - 1) + row if cloud.height else 0
    if len(cloud.data) < needed:
        raise ValueError(f'point cloud holds {len(cloud.data)} bytes; its header says {needed}')
    if padded:
        cloud = _without_row_padding(cloud, row)
    table = point_cloud2.read_points(cloud, field_names=('x', 'y', 'z'))
    return finite_points(np.stack([table[n].astype(np.float32) for n in 'xyz'], axis=-1))


def _without_row_padding(cloud: PointCloud2, row: int) -> PointCloud2:
    rows = np.zeros(cloud.row_step * cloud.height, np.uint8)
    # Some drivers leave out the padding of the last row.
    data = np.frombuffer(cloud.data, np.uint8)[:len(rows)]
    rows[:len(data)] = data
    packed = PointCloud2(header=cloud.header, height=cloud.height, width=cloud.width,
                         fields=cloud.fields, is_bigendian=cloud.is_bigendian,
                         point_step=cloud.point_step, row_step=row, is_dense=cloud.is_dense)
    packed.data = rows.reshape(cloud.height, cloud.row_step)[:, :row].tobytes()
    return packed


def cloud_from_points(points: np.ndarray, header: Header) -> PointCloud2:
    """PointCloud2 with x, y, z (float32, m) of points (N, 3)."""
    cloud = point_cloud2.create_cloud_xyz32(header, np.ascontiguousarray(points, np.float32))
    cloud.is_dense = True
    return cloud
