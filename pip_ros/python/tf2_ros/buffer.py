"""The tree of transforms over the last seconds, and lookups in it.

A frame has one parent at a time. For every child frame, the buffer stores either one static
transform or a history sorted by stamp. A lookup goes from both frames towards the root up to the
first common frame. It evaluates each transform at the requested time. Between two stamps, the
translation is interpolated linearly and the rotation spherically. It never extrapolates.

Quaternions are x, y, z, w. Stamps are integer nanoseconds. Time 0 means the latest time at which
the whole chain is known.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from threading import Condition
from time import monotonic
from typing import Any, Protocol

import numpy as np
import transforms3d
from builtin_interfaces.msg import Time as TimeMsg
from geometry_msgs.msg import TransformStamped
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.time import Time

from tf2_ros.exceptions import (
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)

DEFAULT_CACHE_SECONDS = 10.0


@dataclass(frozen=True)
class Sample:
    """T_parent_child at one time: ``p_parent = rotation(p_child) + translation``."""

    stamp: int
    parent: str
    translation: np.ndarray
    quaternion: np.ndarray

    def matrix(self) -> np.ndarray:
        """Return T_parent_child, (4, 4)."""
        x, y, z, w = self.quaternion
        rotation = transforms3d.quaternions.quat2mat((w, x, y, z))
        return transforms3d.affines.compose(self.translation, rotation, np.ones(3))


def stamp_of(sample: Sample) -> int:
    """Return the stamp of a sample: the sort key."""
    return sample.stamp


class Track(Protocol):
    """Pose of a child frame relative to its parent, over time."""

    def at(self, stamp: int) -> Sample: ...

    def latest(self) -> Sample: ...


class StaticTrack:
    """One transform that is valid at every time; its stamp counts as 0."""

    def __init__(self, sample: Sample) -> None:
        self.sample = Sample(0, sample.parent, sample.translation, sample.quaternion)

    def at(self, stamp: int) -> Sample:
        return self.sample

    def latest(self) -> Sample:
        return self.sample


class MovingTrack:
    """A history of samples, oldest first, no longer than ``span`` nanoseconds."""

    def __init__(self, span: int) -> None:
        self.span = span
        self.samples: list[Sample] = []

    def insert(self, sample: Sample) -> bool:
        """Remove samples older than the span and add one. Return False if it is too old itself."""
        if self.samples:
            # As in ROS 2, the latest stamp so far decides: a new sample can then still be
            # interpolated with the one before it, whatever the time between them.
            oldest = self.samples[-1].stamp - self.span
            del self.samples[: bisect_left(self.samples, oldest, key=stamp_of)]
            if sample.stamp < oldest:
                return False
        i = bisect_left(self.samples, sample.stamp, key=stamp_of)
        if i < len(self.samples) and self.samples[i].stamp == sample.stamp:
            self.samples[i] = sample
        else:
            self.samples.insert(i, sample)
        return True

    def latest(self) -> Sample:
        return self.samples[-1]

    def at(self, stamp: int) -> Sample:
        """Interpolate between the samples before and after ``stamp``.

        Raises:
            ExtrapolationException: ``stamp`` is outside the history.
        """
        first, last = self.samples[0].stamp, self.samples[-1].stamp
        if stamp < first:
            raise ExtrapolationException(
                f'Lookup would require extrapolation into the past: asked for {seconds(stamp)}, '
                f'the earliest transform is at {seconds(first)}'
            )
        if stamp > last:
            raise ExtrapolationException(
                f'Lookup would require extrapolation into the future: asked for {seconds(stamp)}, '
                f'the latest transform is at {seconds(last)}'
            )
        i = bisect_left(self.samples, stamp, key=stamp_of)
        after = self.samples[i]
        if after.stamp == stamp:
            return after
        before = self.samples[i - 1]
        if before.parent != after.parent:
            return before
        return interpolate(before, after, stamp)


class Buffer:
    """Stores transforms and returns the pose of one frame in another at a given time.

    All methods may be called from any thread.

    Args:
        cache_time: length of the history; default: 10 s.
        node: when its clock jumps back in time, the buffer is emptied (simulation, replayed
            bags).
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        if cache_time is None:
            cache_time = Duration(seconds=DEFAULT_CACHE_SECONDS)
        self._span: int = cache_time.nanoseconds
        self._tracks: dict[str, Track] = {}
        self._frames: set[str] = set()
        self._changed = Condition()
        self._jump_handle: Any = None
        if node is not None:
            threshold = JumpThreshold(
                min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
            )
            self._jump_handle = node.get_clock().create_jump_callback(
                threshold, post_callback=self._clear_after_jump
            )

    def _clear_after_jump(self, jump: object) -> None:
        get_logger('tf2_buffer').warning('The clock jumped back: all transforms are removed')
        self.clear()

    def clear(self) -> None:
        """Remove all transforms except static ones; the names of the frames stay known."""
        with self._changed:
            for child in [c for c, t in self._tracks.items() if isinstance(t, MovingTrack)]:
                del self._tracks[child]

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that is valid at its stamp; a malformed one is logged and ignored."""
        self._store(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that is valid at every time; it replaces older ones of the child."""
        self._store(transform, authority, static=True)

    def _store(self, transform: TransformStamped, authority: str, static: bool) -> None:
        parent = transform.header.frame_id.removeprefix('/')
        child = transform.child_frame_id.removeprefix('/')
        t, q = transform.transform.translation, transform.transform.rotation
        quaternion = np.array([q.x, q.y, q.z, q.w])
        length = np.linalg.norm(quaternion)
        sample = Sample(
            nanoseconds(transform.header.stamp),
            parent,
            np.array([t.x, t.y, t.z]),
            quaternion / length if length > 0.0 else quaternion,
        )
        fault = malformed(sample, child)
        if fault is None:
            with self._changed:
                fault = self._insert(sample, child, static)
                self._changed.notify_all()
        if fault is not None:
            get_logger('tf2_buffer').warning(
                f'Ignoring the transform {parent!r} -> {child!r} from {authority!r}: {fault}'
            )

    def _insert(self, sample: Sample, child: str, static: bool) -> str | None:
        self._frames.update((sample.parent, child))
        if static:
            self._tracks[child] = StaticTrack(sample)
            return None
        track = self._tracks.get(child)
        if not isinstance(track, MovingTrack):
            track = self._tracks[child] = MovingTrack(self._span)
        if not track.insert(sample):
            return f'its stamp {seconds(sample.stamp)} is older than the history of the buffer'
        return None

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time | TimeMsg,
        timeout: Duration = Duration(),  # noqa: B008 (immutable; signature of ROS 2)
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Return whether ``lookup_transform`` succeeds within ``timeout``.

        Returns:
            A bool; with ``return_debug_tuple`` also the reason for a False.
        """
        try:
            self.lookup_transform(target_frame, source_frame, time, timeout)
        except TransformException as error:
            return (False, str(error)) if return_debug_tuple else False
        return (True, '') if return_debug_tuple else True

    def lookup_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time | TimeMsg,
        timeout: Duration = Duration(),  # noqa: B008 (immutable; signature of ROS 2)
    ) -> TransformStamped:
        """Return T_target_source, which maps coordinates in source to coordinates in target.

        Args:
            target_frame: frame of the result, the message's ``frame_id``.
            source_frame: frame of the data, the message's ``child_frame_id``.
            time: requested time; 0 for the latest time at which the chain is known.
            timeout: longest wait for the transform (wall clock). The caller must not be the
                thread that delivers the transforms.

        Raises:
            InvalidArgumentException: a frame name is empty or starts with a slash.
            LookupException: a frame is unknown.
            ConnectivityException: the frames are in different trees.
            ExtrapolationException: the time is outside the history.
        """
        deadline = monotonic() + timeout.nanoseconds * 1e-9
        with self._changed:
            while True:
                try:
                    return self._lookup(target_frame, source_frame, nanoseconds(time))
                except TransformException:
                    if not self._changed.wait(max(0.0, deadline - monotonic())):
                        raise

    def _lookup(self, target: str, source: str, stamp: int) -> TransformStamped:
        if target == source:
            if stamp == 0 and target in self._tracks:
                stamp = self._tracks[target].latest().stamp
            return message(target, source, stamp, np.eye(4))
        for name in (target, source):
            self._check(name)
        if stamp == 0:
            stamp = self._latest_common_time(target, source)
        up_source, source_fault = self._walk(source, stamp, until={target})
        up_target, target_fault = self._walk(target, stamp, until=set(up_source))
        for frame, T_frame_source in up_source.items():
            if frame in up_target:
                T_target_source = np.linalg.inv(up_target[frame]) @ T_frame_source
                return message(target, source, stamp, T_target_source)
        fault = source_fault or target_fault
        if fault is not None:
            raise ExtrapolationException(f'{fault}, from {source!r} to {target!r}') from fault
        raise ConnectivityException(
            f'{target!r} and {source!r} are not part of the same tree of frames'
        )

    def _check(self, frame: str) -> None:
        if not frame or frame.startswith('/'):
            raise InvalidArgumentException(
                f'{frame!r} is not a frame name: it must not be empty or start with a slash'
            )
        if frame not in self._frames:
            raise LookupException(f'the frame {frame!r} does not exist')

    def _walk(
        self, frame: str, stamp: int, until: set[str]
    ) -> tuple[dict[str, np.ndarray], ExtrapolationException | None]:
        """Go from ``frame`` to the root, or to the first frame of ``until``.

        Returns:
            T_ancestor_frame by ancestor, nearest first, ``frame`` itself included; and the
            error that ended the walk early, if there was one.
        """
        found = {frame: np.eye(4)}
        T_ancestor_frame = found[frame]
        while frame in self._tracks and frame not in until:
            try:
                sample = self._tracks[frame].at(stamp)
            except ExtrapolationException as fault:
                return found, fault
            frame = sample.parent
            if frame in found:
                raise LookupException(f'the tree of frames contains a loop through {frame!r}')
            T_ancestor_frame = sample.matrix() @ T_ancestor_frame
            found[frame] = T_ancestor_frame
        return found, None

    def _latest_common_time(self, target: str, source: str) -> int:
        """Return the newest stamp at which every link between two frames is known.

        Raises:
            ConnectivityException: no chain connects the frames.
        """
        up_source = self._latest_stamps(source, until={target})
        up_target = self._latest_stamps(target, until=set(up_source))
        for frame, stamps in up_source.items():
            if frame in up_target:
                moving = [stamp for stamp in stamps + up_target[frame] if stamp != 0]
                return min(moving, default=0)
        raise ConnectivityException(
            f'{target!r} and {source!r} are not part of the same tree of frames'
        )

    def _latest_stamps(self, frame: str, until: set[str]) -> dict[str, list[int]]:
        """Return, for each ancestor, the latest stamps of the links up to it."""
        found: dict[str, list[int]] = {frame: []}
        stamps: list[int] = []
        while frame in self._tracks and frame not in until:
            sample = self._tracks[frame].latest()
            frame = sample.parent
            if frame in found:
                raise LookupException(f'the tree of frames contains a loop through {frame!r}')
            stamps = [*stamps, sample.stamp]
            found[frame] = stamps
        return found


def interpolate(before: Sample, after: Sample, stamp: int) -> Sample:
    """Interpolate two samples: translation linearly, rotation along the shorter arc."""
    ratio = (stamp - before.stamp) / (after.stamp - before.stamp)
    q0, q1 = before.quaternion, after.quaternion
    cosine = float(q0 @ q1)
    if cosine < 0.0:
        q1, cosine = -q1, -cosine
    angle = math.acos(min(cosine, 1.0))
    if angle < 1e-8:
        quaternion = (1.0 - ratio) * q0 + ratio * q1
    else:
        quaternion = math.sin((1.0 - ratio) * angle) * q0 + math.sin(ratio * angle) * q1
    quaternion /= np.linalg.norm(quaternion)
    translation = (1.0 - ratio) * before.translation + ratio * after.translation
    return Sample(stamp, before.parent, translation, quaternion)


def malformed(sample: Sample, child: str) -> str | None:
    """Return the fault of a transform, or None."""
    if not sample.parent or not child:
        return 'both frame ids must be set'
    if sample.parent == child:
        return 'a frame cannot be its own parent'
    if not np.isfinite(sample.translation).all() or not np.isfinite(sample.quaternion).all():
        return 'it contains values that are not finite'
    if not sample.quaternion.any():
        return 'the quaternion is zero'
    return None


def message(target: str, source: str, stamp: int, T_target_source: np.ndarray) -> TransformStamped:
    """Return T_target_source as a stamped message."""
    result = TransformStamped()
    result.header.stamp = Time(nanoseconds=stamp).to_msg()
    result.header.frame_id = target
    result.child_frame_id = source
    x, y, z = T_target_source[:3, 3].tolist()
    w, qx, qy, qz = transforms3d.quaternions.mat2quat(T_target_source[:3, :3]).tolist()
    result.transform.translation.x, result.transform.translation.y = x, y
    result.transform.translation.z = z
    result.transform.rotation.x, result.transform.rotation.y = qx, qy
    result.transform.rotation.z, result.transform.rotation.w = qz, w
    return result


def nanoseconds(time: Time | TimeMsg) -> int:
    """Return an rclpy time or a time message in nanoseconds."""
    if isinstance(time, TimeMsg):
        return int(time.sec) * 1_000_000_000 + int(time.nanosec)
    return int(time.nanoseconds)


def seconds(stamp: int) -> str:
    """Return nanoseconds as text in seconds, with nine decimals."""
    return f'{stamp // 1_000_000_000}.{stamp % 1_000_000_000:09d} s'
