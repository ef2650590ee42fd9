"""The tree of transforms over the last seconds, and lookups in it.

A frame has one parent at a time. For every child frame the buffer keeps either one static
transform or a history sorted by stamp. A lookup walks from both frames towards the root, takes
each transform at the asked time (linear in translation, spherical in rotation between the two
stamps around it) and joins the two walks at their first common frame. It never extrapolates.

Quaternions are x, y, z, w; stamps are integer nanoseconds; time 0 asks for the latest time at
which the whole chain is known.
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
    """Return a sample's stamp, to sort by."""
    return sample.stamp


class Track(Protocol):
    """Where a child frame is, relative to its parent, over time."""

    def at(self, stamp: int) -> Sample: ...

    def latest(self) -> Sample: ...


class StaticTrack:
    """One transform that holds at every time; its stamp counts as 0."""

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
        """Drop samples past the span and add one; False if it is itself too old."""
        if self.samples:
            # As upstream, by the latest stamp so far: a new sample can still be blended with
            # the one before it, however long ago that was.
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
        """Interpolate between the neighbours of ``stamp``.

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
    """Keeps transforms and answers where one frame is in another at a time.

    All methods may be called from any thread.

    Args:
        cache_time: how much of the past to keep; 10 s when left out.
        node: its clock is watched, and a jump back in time empties the buffer (simulation,
            replayed bags).
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
        get_logger('tf2_buffer').warning('The clock jumped back: all transforms are dropped')
        self.clear()

    def clear(self) -> None:
        """Forget every transform; the frames' names stay known."""
        with self._changed:
            for child in [c for c, t in self._tracks.items() if isinstance(t, MovingTrack)]:
                del self._tracks[child]

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at its stamp; a malformed one is logged and left out."""
        self._store(transform, authority, static=False)

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Add a transform that holds at every time, in place of the child's older ones."""
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
            return f'its stamp {seconds(sample.stamp)} is older than the buffer reaches'
        return None

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time | TimeMsg,
        timeout: Duration = Duration(),  # noqa: B008 (immutable; upstream's signature)
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Tell whether ``lookup_transform`` would succeed, waiting up to ``timeout`` for it.

        Returns:
            A bool; with ``return_debug_tuple`` the bool and the reason against it.
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
        timeout: Duration = Duration(),  # noqa: B008 (immutable; upstream's signature)
    ) -> TransformStamped:
        """Return T_target_source: it takes coordinates in source to coordinates in target.

        Args:
            target_frame: frame of the result, the message's ``frame_id``.
            source_frame: frame of the data, the message's ``child_frame_id``.
            time: when; 0 for the latest time at which the chain is known.
            timeout: how long to wait (wall clock) for the transform to become known. The caller
                must not be the thread that delivers the transforms.

        Raises:
            InvalidArgumentException: a frame name is empty or starts with a slash.
            LookupException: a frame was never heard of.
            ConnectivityException: the frames are in separate trees.
            ExtrapolationException: the time is outside what is known.
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
                f'{frame!r} is no frame name: it must not be empty nor start with a slash'
            )
        if frame not in self._frames:
            raise LookupException(f'the frame {frame!r} does not exist')

    def _walk(
        self, frame: str, stamp: int, until: set[str]
    ) -> tuple[dict[str, np.ndarray], ExtrapolationException | None]:
        """Climb from ``frame`` to the root, or to the first frame of ``until``.

        Returns:
            T_ancestor_frame by ancestor, nearest first and ``frame`` itself included; and what
            ended the climb early, if anything did.
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
                raise LookupException(f'the tree of frames runs in a circle through {frame!r}')
            T_ancestor_frame = sample.matrix() @ T_ancestor_frame
            found[frame] = T_ancestor_frame
        return found, None

    def _latest_common_time(self, target: str, source: str) -> int:
        """Return the newest stamp at which every link between two frames is known.

        Raises:
            ConnectivityException: nothing joins the frames.
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
        """Return by ancestor the latest stamps of the links that lead up to it."""
        found: dict[str, list[int]] = {frame: []}
        stamps: list[int] = []
        while frame in self._tracks and frame not in until:
            sample = self._tracks[frame].latest()
            frame = sample.parent
            if frame in found:
                raise LookupException(f'the tree of frames runs in a circle through {frame!r}')
            stamps = [*stamps, sample.stamp]
            found[frame] = stamps
        return found


def interpolate(before: Sample, after: Sample, stamp: int) -> Sample:
    """Blend two samples: translation on a line, rotation along the shorter arc."""
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
    """Say what is wrong with a transform, or None."""
    if not sample.parent or not child:
        return 'both frame ids must be set'
    if sample.parent == child:
        return 'a frame cannot be its own parent'
    if not np.isfinite(sample.translation).all() or not np.isfinite(sample.quaternion).all():
        return 'it holds values that are not finite'
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
    """Write nanoseconds as seconds, to the nanosecond."""
    return f'{stamp // 1_000_000_000}.{stamp % 1_000_000_000:09d} s'
