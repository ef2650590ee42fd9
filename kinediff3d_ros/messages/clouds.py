"""PointCloud2 messages: to points (N, 3), and from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kinediff3d_core.io.cloud import finite_points
from kinediff3d_core.io.files import listed

if TYPE_CHECKING:
    from sensor_msgs.msg import PointCloud2
    from std_msgs.msg import Header

_TYPES = {7: 'f4', 8: 'f8'}
"""NumPy's types of PointField.FLOAT32 and FLOAT64, without their byte order."""


def points_from_cloud(cloud: PointCloud2) -> np.ndarray:
    """Points (N, 3) float32 in metres; those that are not finite are left out.

    Raises:
        ValueError: no x, y, z fields of a floating type, or data shorter than the header says.
    """
    fields = {f.name: f for f in cloud.fields}
    for name in 'xyz':
        if name not in fields or fields[name].datatype not in _TYPES:
            raise ValueError(f'point cloud needs floating point fields x, y, z; it has '
                             f'{listed(fields) or "no fields"}')
    # A single row needs no row_step; some drivers leave it zero.
    row = cloud.width * cloud.point_step
    step = cloud.row_step if cloud.height > 1 else row
    if step < row:
        raise ValueError(f'point cloud has a row_step of {cloud.row_step}; its rows have {row} '
                         'bytes')
    # Some drivers leave out the padding of the last row.
    needed = step * (cloud.height - 1) + row if cloud.height else 0
    if len(cloud.data) < needed:
        raise ValueError(f'point cloud holds {len(cloud.data)} bytes; its header says {needed}')
    order = '>' if cloud.is_bigendian else '<'
    coordinates = [fields[name] for name in 'xyz']
    try:
        record = np.dtype({'names': list('xyz'), 'offsets': [f.offset for f in coordinates],
                           'formats': [order + _TYPES[f.datatype] for f in coordinates],
                           'itemsize': cloud.point_step})
    except ValueError as error:
        raise ValueError(f'point cloud has fields beyond its point_step of {cloud.point_step} '
                         'bytes') from error
    table = np.ndarray((cloud.height, cloud.width), record, np.frombuffer(cloud.data, np.uint8),
                       strides=(step, cloud.point_step))
    points = np.stack([table[name].astype(np.float32) for name in 'xyz'], axis=-1)
    return finite_points(points.reshape(-1, 3))


def cloud_from_points(points: np.ndarray, header: Header) -> PointCloud2:
    """PointCloud2 with x, y, z (float32, m) of points (N, 3)."""
    from sensor_msgs_py import point_cloud2

    cloud = point_cloud2.create_cloud_xyz32(header, np.ascontiguousarray(points, np.float32))
    cloud.is_dense = True
    return cloud
