"""Transforms between frames from the TF of a recording; like tf2's buffer, without ROS."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.messages.headers import NANOSECONDS, nanoseconds_from_time
from kinediff3d_ros.scene.frames import FrameHeader

HISTORY = 10 * NANOSECONDS
"""How long moving transforms are kept, ns: as in tf2's buffer."""


class _Sample(NamedTuple):
    """The pose of a child frame in its parent at one time: translation and quaternion xyzw."""

    stamp: int
    parent: str
    pose: tuple[float, ...]

    def matrix(self) -> np.ndarray:
        """T_parent_child (4, 4)."""
        T = np.eye(4)
        T[:3, :3] = Rotation.from_quat(self.pose[3:]).as_matrix()
        T[:3, 3] = self.pose[:3]
        return T


class RecordedTransforms:
    """The tree of frames over the last seconds, and look-ups at the stamp of an input."""

    def __init__(self) -> None:
        self._static: dict[str, _Sample] = {}
        self._moving: dict[str, list[_Sample]] = {}

    def add(self, transforms: Iterable[Any], static: bool) -> None:
        """Add the transforms of a TFMessage; those that are no rigid motion are left out."""
        for transform in transforms:
            t, q = transform.transform.translation, transform.transform.rotation
            pose = (t.x, t.y, t.z, q.x, q.y, q.z, q.w)
            if not np.isfinite(pose).all() or not any(pose[3:]):
                continue
            child = transform.child_frame_id.removeprefix('/')
            sample = _Sample(nanoseconds_from_time(transform.header.stamp),
                             transform.header.frame_id.removeprefix('/'), pose)
            if static:
                self._static[child] = sample
                continue
            history = self._moving.setdefault(child, [])
            insort(history, sample)
            del history[:bisect_left(history, (history[-1].stamp - HISTORY,))]

    def look_up(self, frame_id: str, header: FrameHeader, what: str) -> np.ndarray:
        """T (4, 4) from a header's frame to another frame, at the header's stamp.

        Args:
            what: the other frame is, for the message.

        Raises:
            NoEstimate: the transform is not in the recording.
        """
        source = self._ancestors(header.frame_id.removeprefix('/'), header.nanoseconds)
        target = self._ancestors(frame_id.removeprefix('/'), header.nanoseconds)
        common = next((frame for frame in source if frame in target), None)
        if common is None:
            raise NoEstimate(f'the pose of {header.frame_id} in {what} {frame_id} is not known at '
                             'the stamp of the image: the recorded /tf and /tf_static do not '
                             'connect these frames then')
        return np.asarray(np.linalg.inv(target[common]) @ source[common])

    def _ancestors(self, frame: str, stamp: int) -> dict[str, np.ndarray]:
        """T_ancestor_frame by ancestor, the frame itself first."""
        found = {frame: np.eye(4)}
        while (sample := self._at(frame, stamp)) is not None and sample.parent not in found:
            found[sample.parent] = sample.matrix() @ found[frame]
            frame = sample.parent
        return found

    def _at(self, child: str, stamp: int) -> _Sample | None:
        """The pose of a frame in its parent, interpolated; None where it is not known."""
        if child in self._static:
            return self._static[child]
        history = self._moving.get(child, [])
        i = bisect_left(history, (stamp,))
        if i < len(history) and history[i].stamp == stamp:
            return history[i]
        if i in (0, len(history)):
            return None  # never extrapolated
        before, after = history[i - 1], history[i]
        if before.parent != after.parent:
            return before
        share = (stamp - before.stamp) / (after.stamp - before.stamp)
        rotations = Rotation.from_quat([before.pose[3:], after.pose[3:]])
        quaternion = Slerp([0, 1], rotations)(share).as_quat()
        translation = (1 - share) * np.array(before.pose[:3]) + share * np.array(after.pose[:3])
        return _Sample(stamp, before.parent, (*translation, *quaternion))
