"""Subscriptions of the perception node: messages paired to frames, each used once, in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray

from kinediff3d_ros.messages.detections import array_header, boxes_from_detections
from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.messages.images import depth_topic, depth_type
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.endpoints import InputSubscription
from kinediff3d_ros.nodes.frame_assembly import FrameAssembly
from kinediff3d_ros.nodes.frames import BoxMask, Mask, cloud_frame
from kinediff3d_ros.nodes.scene_host import NodeSceneHost
from kinediff3d_ros.scene.frames import Frame
from kinediff3d_ros.scene.input_watch import InputStatus
from kinediff3d_ros.scene.stamps import StampGate

GEOMETRY, INFO, MASK, MASK_INFO = 'geometry', 'info', 'mask', 'mask_info'
"""Names of the subscriptions."""


class Inputs:
    """Subscriptions of depth, calibrations and mask, or of clouds.

    Args:
        host: its health counts the frames.
        submit: takes each complete frame; called on the executor's thread.

    Attributes:
        topic: that of the geometry.

    Raises:
        ValueError: an override of a topic's quality of service cannot be used.
    """

    def __init__(self, node: Node, host: NodeSceneHost, submit: Callable[[Frame], None],
                 config: NodeConfig) -> None:
        self._node, self._host, self._submit, self._config = node, host, submit, config
        now = host.parameters
        self._gate = StampGate()
        self._refusal = ''
        self._last_message = self._waiting_since = time.monotonic()
        self._frames = FrameAssembly(now.sync_slop, self._mask_wanted,
                                     host.transforms if now.register_depth else None,
                                     queue=now.mask_queue,
                                     initialize=now.mask_mode == 'initialize')
        self._count()
        self._subscriptions: dict[str, InputSubscription] = {}
        try:
            self._subscribe()
        except ValueError:
            self.close()
            raise
        self.topic = next(iter(self._subscriptions.values())).topic

    def close(self) -> None:
        """Unsubscribe; images that still wait for a mask count as unpaired."""
        for subscription in self._subscriptions.values():
            subscription.close()
        self._frames.discard()
        self._count()

    def check(self) -> InputStatus:
        """Use images that wait in vain; return the state of the input. Called regularly."""
        self._use_all(self._frames.release_late())
        silence = time.monotonic() - self._last_message
        stopped = silence > self._config.input_timeout
        return InputStatus(self.topic, silence, stopped, self._problem(stopped))

    def _problem(self, stopped: bool) -> str | None:
        """What is missing or wrong, if no frame has been usable for ``input_timeout``."""
        if stopped:
            return f'no message on {self.topic}: ' + (
                'it has a publisher, so check that its QoS matches'
                if self._subscriptions[GEOMETRY].count_publishers() else 'it has no publisher')
        if time.monotonic() - self._waiting_since <= self._config.input_timeout:
            return None
        now = self._host.parameters
        if now.input == 'depth' and not self._frames.calibrated:
            return (f'depth images arrive on {self.topic} but there is no camera_info on '
                    f'{self._subscriptions[INFO].topic}')
        if self._refusal in ('frames_future', 'frames_stale'):
            return (f'the stamps on {self.topic} are ' + (
                f'more than max_future = {now.max_future:g} s ahead of the node\'s clock'
                if self._refusal == 'frames_future' else f'older than max_age = {now.max_age:g} s')
                + '; synchronise the clocks, or set use_sim_time for recorded data')
        if now.input == 'depth' and not self._frames.mask_calibrated:
            return (f'depth images arrive but there is no camera_info of the mask on '
                    f'{self._subscriptions[MASK_INFO].topic}')
        if now.input == 'depth' and self._mask_wanted():
            what = 'mask' if now.mask_source == 'image' else 'detection'
            return (f'depth images arrive but no {what} on {self._subscriptions[MASK].topic} has '
                    f'the stamp of one (within sync_slop = {now.sync_slop:g} s)')
        return f'the stamps of {self.topic} do not advance'

    def _subscribe(self) -> None:
        now = self._host.parameters
        if now.input == 'points':
            self._add(GEOMETRY, PointCloud2, 'points', self._on_points)
            return
        topic = depth_topic(self._node.resolve_topic_name('depth/image_rect'), now.depth_transport)
        self._add(GEOMETRY, depth_type(topic), topic, self._on_depth)
        self._add(INFO, CameraInfo, 'depth/camera_info',
                  lambda info: self._use_all(self._frames.add_info(info)))
        if now.mask_mode != 'ignored':
            self._subscribe_mask(now.mask_source)
        if now.register_depth:
            self._add(MASK_INFO, CameraInfo, 'mask/camera_info',
                      lambda info: self._use_all(self._frames.add_mask_info(info)))

    def _subscribe_mask(self, source: str) -> None:
        if source == 'image':
            self._add(MASK, Image, 'mask', self._on_mask)
        elif source == 'detections':
            self._add(MASK, Detection2DArray, 'detections_2d', lambda array: self._on_detections(
                array_header(array), array.detections))
        else:
            self._add(MASK, Detection2D, 'detections_2d', lambda detection: self._on_detections(
                detection.header, [detection]))

    def _add(self, name: str, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        self._subscriptions[name] = InputSubscription(self._node, kind, topic, callback)

    def _on_points(self, cloud: PointCloud2) -> None:
        self._received()
        self._use(cloud_frame(cloud))

    def _on_depth(self, image: Any) -> None:
        self._received()
        self._use_all(self._frames.add_depth(image))

    def _on_detections(self, header: Header, detections: Iterable[Detection2D]) -> None:
        self._on_mask(BoxMask(header, self._host.detected.select(
            boxes_from_detections(detections), self._host.parameters)))

    def _on_mask(self, mask: Mask) -> None:
        """Use a mask, or the boxes in place of one; say so if no image can have its stamp."""
        limit = self._host.parameters.max_future
        now = self._node.get_clock().now().nanoseconds
        if now > 0 and 1e-9 * (nanoseconds_from_time(mask.header.stamp) - now) > limit:
            self._host.log('input', f'the stamps on {self._subscriptions[MASK].topic} are more '
                           f'than max_future = {limit:g} s ahead of the node\'s clock')
        self._use_all(self._frames.add_mask(mask))

    def _mask_wanted(self) -> bool:
        """Whether a depth image waits for its mask."""
        now = self._host.parameters
        return now.mask_mode == 'required' or now.instances == 'listed' or now.register_depth or (
            now.mask_mode == 'auto' and self._subscriptions[MASK].count_publishers() > 0)

    def _received(self) -> None:
        if time.monotonic() - self._last_message > self._config.input_timeout:
            self._waiting_since = time.monotonic()
        self._last_message = time.monotonic()
        self._host.health.count('frames_received')

    def _use_all(self, frames: Iterable[Frame]) -> None:
        self._count()
        for frame in frames:
            self._use(frame)

    def _use(self, frame: Frame) -> None:
        """Submit a frame unless its stamp is refused.

        One that initializes has a stamp that was accepted before.
        """
        now = self._host.parameters
        if frame.initializes:
            self._submit(frame)
            return
        resets = self._gate.resets
        refusal = self._gate.refusal(frame.header.nanoseconds,
                                     self._node.get_clock().now().nanoseconds,
                                     now.max_age, now.max_future)
        if self._gate.resets > resets:
            self._host.transforms.forget()
        self._count()
        if refusal is not None:
            self._refusal = refusal
            self._host.health.count(refusal)
            return
        self._waiting_since = time.monotonic()
        self._submit(frame)

    def _count(self) -> None:
        self._host.health.set_count('frames_unpaired', self._frames.unpaired)
        self._host.health.set_count('frames_uncalibrated', self._frames.uncalibrated)
        self._host.health.set_count('clock_resets', self._gate.resets)
