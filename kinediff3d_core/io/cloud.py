"""Point clouds: which points count, and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kinediff3d_core.io.files import Array, checked_file, listed, read_npy, read_npz_one, shortened
from kinediff3d_core.io.pcd import pcd_points
from kinediff3d_core.io.ply import ply_points
from kinediff3d_core.io.point_table import AXES, MAX_POINTS

CLOUD_KINDS = '.ply, .pcd, .npy or .npz'
NAMES = ('points', 'xyz', 'cloud', 'pcd', 'arr_0')
"""Names of the array in a ``.npz`` file of several."""
UNITS = {'m': 1.0, 'cm': 0.01, 'mm': 0.001, 'inch': 0.0254}
"""Metres of a unit of length by its name."""
CAMERA_AXES = {'optical': ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
               'opengl': ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
               'ros': ((0, -1, 0), (0, 0, -1), (1, 0, 0))}
"""Optical x, y and z (right, down, forward) in other axes: opengl is y up and z backward, ros is x
forward, y left and z up."""
BEHIND = 0.5
"""Least share of points with z <= 0 of a cloud that is in other axes. Chosen."""


def read_cloud(path: Path | str, unit: str = 'm', axes: str = 'optical') -> Array:
    """Points (N, 3) float32 in metres, optical axes, of a PLY, PCD or NumPy file.

    Points with a coordinate that is not finite are left out.

    Args:
        unit: of the file, a key of :data:`UNITS`. axes: of the file, of :data:`CAMERA_AXES`.

    Raises:
        ValueError: missing, of another kind, damaged or empty.
    """
    file = checked_file(path, 'cloud')
    kind = file.suffix.lower()
    readers: dict[str, Callable[[Path], Array]] = {
        '.ply': lambda f: ply_points(f.read_bytes()), '.pcd': lambda f: pcd_points(f.read_bytes()),
        '.npy': lambda f: read_npy(f, 'cloud'), '.npz': lambda f: read_npz_one(f, 'cloud', NAMES)}
    if kind not in readers:
        raise ValueError(f'{file}: unknown kind of cloud {kind!r}; expected {CLOUD_KINDS}')
    try:
        finite = finite_points(_table(readers[kind](file)))
    except (ValueError, MemoryError) as error:
        reason = shortened(error, 230)
        raise ValueError(reason if reason.startswith(str(file)[:40]) else f'{file}: {reason}'
                         ) from error
    if not len(finite):
        raise ValueError(f'{file}: the cloud has no finite point')
    if (unit, axes) == ('m', 'optical'):
        return finite
    turned = UNITS[unit] * np.array(CAMERA_AXES[axes], dtype=np.float32)
    return np.asarray(finite @ turned.T)


def _table(points: Array) -> Array:
    """Points (N, 3) of an array (N, C), (H, W, C), or of records with the fields x, y, z."""
    names = points.dtype.names
    if names is not None:
        if not set(AXES) <= set(names):
            raise ValueError(f'no x, y, z among its fields ({listed(names)})')
        points = np.stack([points[axis].ravel() for axis in AXES], axis=-1)
    if points.ndim == 3:
        points = points.reshape(-1, points.shape[-1])
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in 'fiu':
        raise ValueError(f'a cloud is (N, 3) numbers, this is {points.dtype} of shape '
                         f'{points.shape}')
    if len(points) > MAX_POINTS:
        raise ValueError(f'{len(points)} points are more than {MAX_POINTS}')
    if points.shape[0] == 3 and points.shape[1] > 4:
        raise ValueError(f'a cloud is (N, 3) numbers, this is {points.shape}; transpose it')
    return np.asarray(points[:, :3])


def finite_points(points: Array) -> Array:
    """The points (M, 3) float32 of (N, 3) that have no coordinate that is not finite."""
    with np.errstate(over='ignore', invalid='ignore'):
        cloud = np.asarray(points, dtype=np.float32)
    x, y, z = np.isfinite(cloud).T
    keep = x & y & z
    return cloud if keep.all() else np.asarray(cloud[keep])


def require_in_front(points: Array) -> None:
    """Refuse points (N, 3) that are mostly behind the camera, z <= 0.

    Raises:
        ValueError: it names the option for other axes.
    """
    behind = float((points[:, 2] <= 0).mean())
    if behind > BEHIND:
        raise ValueError(f'{100 * behind:.0f} % of the points are behind the camera (z <= 0); if '
                         'y is up and z backward, give --points-axes opengl; if x is '
                         'forward, ros')
