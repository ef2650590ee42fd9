"""PointCloud2 messages to NumPy arrays and back.

Functions, arguments and results are those of ROS 2's module of the same name. This module also
removes padding at the end of rows (``row_step``), and it reads a big-endian message without
changing it.
"""

from __future__ import annotations

import array
import sys
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.recfunctions import structured_to_unstructured, unstructured_to_structured
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

SCALARS = {
    PointField.INT8: np.dtype(np.int8),
    PointField.UINT8: np.dtype(np.uint8),
    PointField.INT16: np.dtype(np.int16),
    PointField.UINT16: np.dtype(np.uint16),
    PointField.INT32: np.dtype(np.int32),
    PointField.UINT32: np.dtype(np.uint32),
    PointField.FLOAT32: np.dtype(np.float32),
    PointField.FLOAT64: np.dtype(np.float64),
}
"""NumPy type of each ``PointField.datatype``, in the machine's byte order."""


def dtype_from_fields(fields: Iterable[PointField], point_step: int | None = None) -> np.dtype:
    """Return the structured type of one point.

    A field with ``count`` n > 1 becomes n columns ``name_0`` … ``name_<n-1>``. A field without a
    name is called ``unnamed_field_<position>``.

    Args:
        fields: the message's fields.
        point_step: bytes from point to point; default: the end of the last field.

    Raises:
        AssertionError: a field has count 0, or two columns have the same name.
    """
    names: list[str] = []
    formats: list[np.dtype] = []
    offsets: list[int] = []
    for position, field in enumerate(fields):
        scalar = SCALARS[field.datatype]
        name = field.name or f'unnamed_field_{position}'
        if field.count == 0:
            raise AssertionError(f'the field {name!r} has count 0')
        for i in range(field.count):
            names.append(name if field.count == 1 else f'{name}_{i}')
            formats.append(scalar)
            offsets.append(field.offset + i * scalar.itemsize)
    if len(set(names)) != len(names):
        raise AssertionError(f'field names must differ, got {names}')
    layout: dict[str, object] = {'names': names, 'formats': formats, 'offsets': offsets}
    if point_step is not None:
        layout['itemsize'] = point_step
    return np.dtype(layout)  # type: ignore[call-overload]


def read_points(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Read a message into a structured array in the machine's byte order.

    Args:
        cloud: the message.
        field_names: columns to read, in this order; default: all.
        skip_nans: leave out points with a NaN in a column that is read. As in ROS 2, a cloud with
            ``is_dense`` is not checked.
        uvs: indices of the points to read, row by row.
        reshape_organized_cloud: shape the result ``(width, height)`` (the order of ROS 2, without
            transposing) if the cloud has more than one row.

    Returns:
        (N,) structured array; (width, height) with ``reshape_organized_cloud``.

    Raises:
        AssertionError: not a PointCloud2, or a column is not in the cloud.
        TypeError: the data is shorter than the size that the message declares.
    """
    if not isinstance(cloud, PointCloud2):
        raise AssertionError(f'expected a PointCloud2, got {type(cloud).__name__}')
    native = dtype_from_fields(cloud.fields, cloud.point_step)
    stored = native.newbyteorder('>' if cloud.is_bigendian else '<')
    points = rows(cloud).view(stored).reshape(-1)
    if field_names is not None:
        missing = [name for name in field_names if name not in (native.names or ())]
        if missing:
            raise AssertionError(f'the cloud has {native.names}, not {missing}')
        points = points[list(field_names)]
    if bool(cloud.is_bigendian) != (sys.byteorder == 'big'):
        points = points.astype(points.dtype.newbyteorder('='))
    if skip_nans and not cloud.is_dense:
        keep = np.ones(len(points), dtype=bool)
        for name in points.dtype.names or ():
            keep &= ~np.isnan(points[name])
        points = points[keep]
    if uvs is not None:
        points = points[uvs if isinstance(uvs, np.ndarray) else np.fromiter(uvs, int)]
    if reshape_organized_cloud and cloud.height > 1:
        points = points.reshape(cloud.width, cloud.height)
    return points


def rows(cloud: PointCloud2) -> np.ndarray:
    """Return the bytes of all rows without padding: (height, width * point_step) uint8.

    Raises:
        TypeError: the data is shorter than the rows, or a row is shorter than its points.
    """
    packed = cloud.width * cloud.point_step
    step = packed if cloud.height <= 1 or cloud.row_step == 0 else cloud.row_step
    needed = step * (cloud.height - 1) + packed if cloud.height else 0
    data = np.frombuffer(cloud.data, dtype=np.uint8)
    if step < packed or data.size < needed:
        raise TypeError(
            f'a cloud of {cloud.width}x{cloud.height} points of {cloud.point_step} bytes with '
            f'row_step {cloud.row_step} does not fit into {data.size} bytes'
        )
    view = np.lib.stride_tricks.as_strided(
        data, (cloud.height, packed), (step, 1), writeable=False
    )
    return np.ascontiguousarray(view)


def read_points_numpy(
    cloud: PointCloud2,
    field_names: Sequence[str] | None = None,
    skip_nans: bool = False,
    uvs: Iterable[int] | None = None,
    reshape_organized_cloud: bool = False,
) -> np.ndarray:
    """Read columns of the same type into a plain array, (N, columns).

    The arguments are those of ``read_points``.

    Raises:
        AssertionError: the columns differ in type.
    """
    columns = [f for f in cloud.fields if field_names is None or f.name in field_names]
    if len({f.datatype for f in columns}) > 1:
        raise AssertionError('the fields differ in type; use read_points')
    points = read_points(cloud, field_names, skip_nans, uvs, reshape_organized_cloud)
    return structured_to_unstructured(points)


def create_cloud(
    header: Header,
    fields: Sequence[PointField],
    points: np.ndarray | Iterable[Sequence[float]],
    point_step: int | None = None,
) -> PointCloud2:
    """Write points into a message.

    Args:
        header: stamp and frame.
        fields: columns.
        points: structured array of exactly these columns; plain array with the columns on its
            last axis, all of one type; or an iterable of rows. One axis of points gives a
            cloud with one row. Two axes ``(width, height)`` give an organised cloud.
        point_step: bytes from point to point; default: the end of the last field.

    Raises:
        AssertionError: the columns of the array are not those of ``fields``.
    """
    dtype = dtype_from_fields(fields, point_step)
    if not isinstance(points, np.ndarray):
        points = np.array([tuple(row) for row in points], dtype=dtype)
    elif points.dtype.names is None:
        if len({f.datatype for f in fields}) > 1:
            raise AssertionError('fields of different types need a structured array')
        points = unstructured_to_structured(points, dtype=dtype)
    elif points.dtype != dtype:
        raise AssertionError(f'the fields define {dtype}, the array has {points.dtype}')
    if points.ndim > 2:
        raise AssertionError(f'points must have one or two axes, got shape {points.shape}')
    width = points.shape[0]
    cloud = PointCloud2(
        header=header,
        height=points.shape[1] if points.ndim == 2 else 1,
        width=width,
        fields=list(fields),
        is_bigendian=sys.byteorder == 'big',
        point_step=dtype.itemsize,
        row_step=dtype.itemsize * width,
        is_dense=False,
    )
    cloud.data = array.array('B', points.tobytes())
    return cloud


def create_cloud_xyz32(header: Header, points: np.ndarray | Iterable) -> PointCloud2:
    """Write (N, 3) points into a message with the 32-bit fields x, y and z."""
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate('xyz')
    ]
    return create_cloud(header, fields, points)
