"""The demo's messages: input images, estimates and truth, matched by their stamps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import Image, JointState, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh, PartEstimate
from kinediff3d_core.objects.urdf import default_object_name, joint_name, link_name
from kinediff3d_ros.messages import clouds, images, poses
from kinediff3d_ros.tools.recorder import Recorder, stamp_key

FRAMES_HELD = 300
"""Images and clouds in memory, as bytes: a minute at 5 Hz, 0.6 MB an image. Chosen."""

MARKERS_HELD = 60
"""Marker arrays in memory, as bytes. Chosen."""

Stamp = tuple[int, int]
"""Seconds and nanoseconds since the epoch."""


@dataclass(frozen=True)
class Sample:
    """One estimate and the truth at the stamp of its image.

    Attributes:
        stamp: s since the epoch.
        positions, true_positions: (K-1,) rad or m, NaN for joints that the object lacks.
        T_camera_base, true_T_camera_base: (4, 4).
        latency: s from the stamp to the arrival of the joint state.
    """

    stamp: float
    positions: np.ndarray
    true_positions: np.ndarray
    T_camera_base: np.ndarray
    true_T_camera_base: np.ndarray
    latency: float


class DemoRecording:
    """The recorded topics of the demo's graph."""

    def __init__(self, recorder: Recorder, category: Category) -> None:
        self.category = category
        self.depth = recorder.subscribe(Image, '/camera/depth/image_rect', keep=FRAMES_HELD,
                                        raw=True)
        self.mask = recorder.subscribe(Image, '/camera/mask', keep=FRAMES_HELD, raw=True)
        self.true_joints = recorder.subscribe(JointState, '/camera/truth/joint_states', 100)
        self.true_pose = recorder.subscribe(PoseStamped, '/camera/truth/pose', 100)
        self.object_name = default_object_name(category.name)
        self.joints = recorder.subscribe(JointState, f'/{self.object_name}/joint_states', 100)
        self.tf = recorder.subscribe(TFMessage, '/tf', 100)
        self.points = recorder.subscribe(PointCloud2, '/points_used', keep=FRAMES_HELD, raw=True)
        self.markers = recorder.subscribe(MarkerArray, '/markers', keep=MARKERS_HELD, raw=True)
        self.diagnostics = recorder.subscribe(DiagnosticArray, '/diagnostics')

    def status(self) -> dict[str, str]:
        """Values and ``message`` of the object's newest diagnostics; empty before the first."""
        for _, array in reversed(list(self.diagnostics.entries)):
            for status in array.status:
                if status.hardware_id == self.object_name:
                    return {**{v.key: v.value for v in status.values}, 'message': status.message}
        return {}

    def processed_frames(self) -> int:
        """Frames that the node has processed, with an estimate or without one."""
        status = self.status()
        return sum(int(status.get(key, 0)) for key in ('estimates', 'no_estimates'))

    def first_image_time(self) -> float:
        """When the camera is known to have sent an image, s since the epoch.

        The truth and the estimate are discovered independently; the earlier one counts.
        """
        stamps = [seconds(stamp_key(m)) for m in self.joints.messages[:1]]
        return min([self.true_joints.entries[0][0], *stamps])

    def motion_begin(self) -> Stamp | None:
        """Stamp of the first state that differs from the one at the start; None before it."""
        messages = self.true_joints.messages
        return next((stamp_key(m) for m in messages if m.position != messages[0].position), None)

    def samples(self) -> list[Sample]:
        """Estimates with a known truth, from the beginning of the motion."""
        true_positions = self._true_positions()
        true_poses = {stamp_key(m): poses.matrix_from_pose(m.pose)
                      for m in self.true_pose.messages}
        base_poses = self._base_poses()
        estimated = [joint_name(self.object_name, j.name) for j in self.category.joints]
        begin = self.motion_begin() or (0, 0)
        samples = []
        for arrival, message in list(self.joints.entries):
            key = stamp_key(message)
            if begin <= key in true_positions and key in true_poses and key in base_poses:
                samples.append(Sample(
                    seconds(key), ordered_positions(message, estimated), true_positions[key],
                    base_poses[key], true_poses[key], arrival - seconds(key)))
        return samples

    def truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Stamps (N,), s since the epoch, ascending, and true positions (N, K-1)."""
        positions = self._true_positions()
        stamps = sorted(positions)
        return (np.array([seconds(stamp) for stamp in stamps]),
                np.array([positions[stamp] for stamp in stamps]))

    def complete_frames(self) -> list[Stamp]:
        """Stamps whose image, mask, points, truth and estimate with meshes are in memory."""
        stamps = [{stamp_key(m) for m in log.messages}
                  for log in (self.depth, self.mask, self.points, self.true_joints, self.joints)]
        first_mesh = min((stamp_key(a.markers[0]) for a in self.markers.messages
                          if any(_is_mesh(m) for m in a.markers)), default=None)
        if first_mesh is None:
            return []
        return sorted(s for s in set.intersection(*stamps, set(self._base_poses()))
                      if s >= first_mesh)

    def depth_at(self, stamp: Stamp) -> np.ndarray:
        """Depth image (H, W), m."""
        return images.depth_from_image(_message_at(self.depth.messages, stamp))

    def mask_at(self, stamp: Stamp) -> np.ndarray:
        """Mask (H, W) of the object."""
        return images.mask_from_image(_message_at(self.mask.messages, stamp))

    def true_positions_at(self, stamp: Stamp) -> np.ndarray:
        """True positions (K-1,), as in :class:`Sample`."""
        return ordered_positions(_message_at(self.true_joints.messages, stamp),
                                 self._true_joint_names())

    def estimate_at(self, stamp: Stamp) -> ArticulatedEstimate:
        """The estimate, rebuilt from the published messages: what no topic has is zero."""
        transforms = next(m for m in self.tf.messages if stamp_key(m.transforms[0]) == stamp)
        part_poses = {t.child_frame_id: poses.matrix_from_transform(t)
                      for t in transforms.transforms}
        markers = {(m.ns, m.id): m for a in self.markers.messages
                   if stamp_key(a.markers[0]) <= stamp for m in a.markers}
        meshes = {self.category.parts[m.id]: _mesh_from_marker(m)
                  for m in markers.values() if _is_mesh(m)}
        frames = {name: link_name(self.object_name, name) for name in self.category.parts}
        parts = tuple(PartEstimate(name, part_poses[frame], meshes.get(name))
                      for name, frame in frames.items() if frame in part_poses)
        joints = self._joints(_message_at(self.joints.messages, stamp), [
            m for m in markers.values()
            if m.type == Marker.ARROW and m.action == Marker.ADD])
        points = clouds.points_from_cloud(_message_at(self.points.messages, stamp))
        return ArticulatedEstimate(self.category.name, parts, joints, np.zeros((6, 6)), 0.0, 1.0,
                                   (), np.zeros(0), points)

    def _joints(self, state: JointState, arrows: Sequence[Marker]) -> tuple[JointEstimate, ...]:
        """Joints that have a position and the arrow of their axis."""
        positions = dict(zip(state.name, state.position, strict=True))
        axes = {m.id: np.array([[p.x, p.y, p.z] for p in m.points]) for m in arrows}
        joints = []
        for i, joint in enumerate(self.category.joints):
            name = joint_name(self.object_name, joint.name)
            if name in positions and i in axes:
                start, end = axes[i]
                joints.append(JointEstimate(
                    joint.name, joint.joint_type, self.category.parts[joint.parent],
                    self.category.parts[joint.child], (start + end) / 2,
                    (end - start) / np.linalg.norm(end - start), positions[name],
                    joint.lower, joint.upper, 0.0))
        return tuple(joints)

    def _true_positions(self) -> dict[Stamp, np.ndarray]:
        return {stamp_key(m): ordered_positions(m, self._true_joint_names())
                for m in self.true_joints.messages}

    def _true_joint_names(self) -> list[str]:
        """Names of the simulated camera: the category's own."""
        return [j.name for j in self.category.joints]

    def _base_poses(self) -> dict[Stamp, np.ndarray]:
        base = link_name(self.object_name, self.category.parts[0])
        return {stamp_key(t): poses.matrix_from_transform(t)
                for m in self.tf.messages for t in m.transforms if t.child_frame_id == base}


def seconds(stamp: Stamp) -> float:
    """A stamp as seconds since the epoch."""
    return stamp[0] + 1e-9 * stamp[1]


def ordered_positions(message: JointState, joints: Sequence[str]) -> np.ndarray:
    """Positions (J,) of joints by name, NaN for those that the message lacks."""
    positions = dict(zip(message.name, message.position, strict=True))
    return np.array([positions.get(name, np.nan) for name in joints])


def _is_mesh(marker: Marker) -> bool:
    return bool(marker.type == Marker.TRIANGLE_LIST and marker.action == Marker.ADD)


def _mesh_from_marker(marker: Marker) -> Mesh:
    """Mesh of a TRIANGLE_LIST; equal corners of its triangles become one vertex."""
    corners = np.array([[p.x, p.y, p.z] for p in marker.points])
    vertices, index = np.unique(corners, axis=0, return_inverse=True)
    return Mesh(vertices, index.reshape(-1, 3))


def _message_at(messages: Sequence[Any], stamp: Stamp) -> Any:
    return next(m for m in messages if stamp_key(m) == stamp)
