"""Tables of an RBO sequence: camera, poses of the links and of the camera, joint states."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.io.calibration import CameraMatrices, calibration_from_matrices
from kinediff3d_core.io.files import checked_file

Array = np.ndarray[Any, Any]

CHAIN = ('map', 'AsusXtionCameraFrame', 'camera_link', 'camera_rgb_frame',
         'camera_rgb_optical_frame')
"""Frames from the world to the camera, one below the other."""
LATE = 0.5
"""Largest time between an image and the nearest pose, s. Chosen: longer gaps are lost tracks."""
MOVING_LATE = 0.05
"""The same that is not noted, s. Chosen: 1.5 images."""
CAMERA_INFO = ('camera_depth_registered_camera_info.csv', 'camera_rgb_camera_info.csv')
DISTORTION = 1e-6
"""Coefficients of lens distortion up to this are none. Chosen."""


@dataclass(frozen=True)
class Track:
    """Poses or values over time.

    Attributes:
        times: (N,) s, ascending.
        values: (N, ...) of these times.
    """

    times: Array
    values: Array

    def nearest(self, time: float) -> tuple[Any, float]:
        """The value that is nearest in time, and the time between them, s."""
        after = int(np.searchsorted(self.times, time))
        near = min((i for i in (after - 1, after) if 0 <= i < len(self.times)),
                   key=lambda i: abs(float(self.times[i]) - time))
        return self.values[near], abs(float(self.times[near]) - time)


@dataclass(frozen=True)
class Recording:
    """The tables of a sequence.

    Attributes:
        bodies: T_map_body (N, 4, 4) by marker id.
        frames: poses (N, 4, 4) of a frame of :data:`CHAIN` in the one above, by its name.
        states: joint positions (N,) by the joint's name, rad or m; empty without the file.
        notes: what looks wrong.
    """

    intrinsics: Intrinsics
    bodies: Mapping[int, Track]
    frames: Mapping[str, Track]
    states: Mapping[str, Track]
    notes: tuple[str, ...]

    def camera(self, time: float) -> tuple[Array, float]:
        """T_map_camera (4, 4), and the time to the nearest pose of the moving camera, s."""
        T, late = np.eye(4), 0.0
        for frame in CHAIN[1:]:
            pose, apart = self.frames[frame].nearest(time)
            T = T @ pose
            if frame == CHAIN[1]:  # The others are constant and come at a low rate.
                late = apart
        return T, late


def read_recording(folder: Path) -> Recording:
    """The tables of a sequence.

    Raises:
        ValueError: a table that is missing, damaged or without a frame of the camera; one line
            that names it.
    """
    intrinsics, notes = _read_intrinsics(folder)
    frames = _read_frames(folder / 'tf.csv')
    missing = [f for f in CHAIN[1:] if f not in frames]
    if missing:
        raise ValueError(f'{folder / "tf.csv"} has no transform to {missing[0]} from the frame '
                         f'above it in {" -> ".join(CHAIN)}')
    found = sorted(folder.glob('*_joint_states.csv'))
    return Recording(intrinsics, _read_bodies(folder / 'rb_poses_array.csv'), frames,
                     _read_states(found[0]) if found else {}, tuple(notes))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file by the names of its columns."""
    file = checked_file(path, 'table')
    try:
        with file.open(encoding='utf-8', newline='') as stream:
            yield from csv.DictReader(stream)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path} is no CSV file: {error}') from error


def _read_intrinsics(folder: Path) -> tuple[Intrinsics, list[str]]:
    path = next((folder / name for name in CAMERA_INFO if (folder / name).is_file()),
                folder / CAMERA_INFO[-1])
    row = next(_rows(path), None)
    try:
        if row is None:
            raise ValueError('it has no row')
        k = [float(row[f'field.K{i}']) for i in range(9)]
        size = int(float(row['field.width'])), int(float(row['field.height']))
        distortion = [float(row.get(f'field.D{i}') or 0) for i in range(5)]
        found = calibration_from_matrices(CameraMatrices(k, None, size)).intrinsics
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{path} holds no camera info: {error}') from error
    bent = max(map(abs, distortion)) > DISTORTION
    return found, [f'lens distortion {distortion} is not undone'] if bent else []


def _read_bodies(path: Path) -> dict[int, Track]:
    """T_map_body of each rigid body by its id; slots are not in the order of the ids."""
    found: dict[int, list[tuple[float, list[float]]]] = {}
    for row in _rows(path):
        for k in range(len(row)):
            slot = f'field.markers{k}.'
            if f'{slot}id' not in row:
                break
            if row[f'{slot}id']:
                try:
                    time = float(row['%time']) / 1e9
                    pose = [float(row[f'{slot}pose.{kind}.{axis}']) for kind, axes in (
                        ('position', 'xyz'), ('orientation', 'xyzw')) for axis in axes]
                    found.setdefault(int(row[f'{slot}id']), []).append((time, pose))
                except (KeyError, TypeError, ValueError) as error:
                    raise ValueError(f'{path} has a row without a pose: {error}') from error
    return {body: _track(poses, path) for body, poses in found.items()}


def _read_frames(path: Path) -> dict[str, Track]:
    """Poses of the frames of the camera's chain in those above them."""
    prefix = 'field.transforms0.'
    found: dict[str, list[tuple[float, list[float]]]] = {}
    for row in _rows(path):
        try:
            parent, child = (row[prefix + key].strip().lstrip('/') for key in (
                'header.frame_id', 'child_frame_id'))
            if (parent, child) not in zip(CHAIN, CHAIN[1:], strict=False):
                continue
            pose = [float(row[f'{prefix}transform.{kind}.{axis}']) for kind, axes in (
                ('translation', 'xyz'), ('rotation', 'xyzw')) for axis in axes]
            found.setdefault(child, []).append((float(row[f'{prefix}header.stamp']) / 1e9, pose))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path} has a row without a transform: {error}') from error
    return {child: _track(poses, path) for child, poses in found.items()}


def _read_states(path: Path) -> dict[str, Track]:
    """Positions of the joints by their names."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in _rows(path):
        try:
            for k in range(len(row)):
                if not row.get(f'field.name{k}'):
                    break
                found.setdefault(row[f'field.name{k}'], []).append(
                    (float(row['field.header.stamp']) / 1e9, float(row[f'field.position{k}'])))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path} has a row without a joint state: {error}') from error
    out = {}
    for name, rows in found.items():
        times, values = np.array(sorted(rows)).T
        out[name] = Track(times, values)
    return out


def _track(rows: list[tuple[float, list[float]]], path: Path) -> Track:
    """Poses (N, 4, 4) over time of positions and xyzw quaternions; those of no length left out."""
    times = np.array([time for time, _ in rows])
    values = np.array([pose for _, pose in rows])
    good = np.isfinite(values).all(-1) & (np.linalg.norm(values[:, 3:], axis=-1) > 0)
    order = np.flatnonzero(good)[np.argsort(times[good], kind='stable')]
    if not len(order):
        raise ValueError(f'{path} has a body or frame without any valid pose')
    T = np.tile(np.eye(4), (len(order), 1, 1))
    T[:, :3, :3] = Rotation.from_quat(values[order, 3:]).as_matrix()
    T[:, :3, 3] = values[order, :3]
    return Track(times[order], T)
