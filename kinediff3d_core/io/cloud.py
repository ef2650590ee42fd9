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
AXES_IN_WORDS = {'optical': 'z forward and y down', 'opengl': 'y up and z backward',
                 'ros': 'x forward and z up'}
IN_VIEW = 60.0
"""Angle from the optical axis within which a camera sees points, degrees. Chosen: the widest mode
of the Azure Kinect."""
SEEN = 0.5
"""Least share of the points of a view that are within that angle. Chosen."""
SAMPLE = 4096
"""About how many points of a cloud are looked at. Chosen: bounds time."""


class OtherAxes(ValueError):
    """Points that are not in a camera's optical axes.

    Attributes:
        likely: key of :data:`CAMERA_AXES` in which they would be, or None.
    """

    def __init__(self, message: str, likely: str | None) -> None:
        super().__init__(message)
        self.likely = likely


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


def require_optical_axes(points: Array) -> None:
    """Refuse points (N, 3) that are not in the axes of a camera's optical frame.

    Raises:
        OtherAxes: most are beside or behind the camera.
    """
    some = finite_points(points[::max(1, len(points) // SAMPLE)])
    if not len(some):
        return
    seen = {name: _seen(some @ np.array(axes, dtype=np.float32).T)
            for name, axes in CAMERA_AXES.items()}
    best = max(seen, key=seen.__getitem__)
    behind = float((some[:, 2] <= 0).mean())
    if seen['optical'] >= SEEN or max(seen[best], behind) < SEEN:
        return
    off, what = (behind, 'behind the camera (z <= 0)') if behind > SEEN else \
        (1 - seen['optical'], 'beside the view')
    likely = best if seen[best] >= SEEN else None
    guess = '' if likely is None else f', they likely have {AXES_IN_WORDS[likely]}'
    raise OtherAxes(f'{100 * off:.0f} % of the points are {what}: they must be in axes with '
                    f'{AXES_IN_WORDS["optical"]}{guess}', likely)


def _seen(points: Array) -> float:
    """Share of the points (N, 3), optical axes, that a camera with a wide lens sees."""
    beside = np.hypot(points[:, 0], points[:, 1])
    return float((beside < np.tan(np.radians(IN_VIEW)) * points[:, 2]).mean())
