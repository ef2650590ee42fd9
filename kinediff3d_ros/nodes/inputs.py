"""Subscriptions of the perception node: messages paired to frames, each used once, in order."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from kinediff3d_ros.messages.headers import nanoseconds_from_time
from kinediff3d_ros.nodes import endpoints
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.frames import cloud_frame, depth_frame
from kinediff3d_ros.scene.frames import NANOSECONDS, Frame
from kinediff3d_ros.scene.input_watch import InputStatus
from kinediff3d_ros.scene.pairing import StampPairing
from kinediff3d_ros.scene.scene_host import SceneHost
from kinediff3d_ros.scene.stamps import StampGate


class Inputs:
    """Subscriptions of depth, calibration and mask, or of clouds.

    Args:
        host: its health counts the frames.
        submit: takes each complete frame; called on the executor's thread.

    Attributes:
        topic: that of the geometry.

    Raises:
        ValueError: an override of a topic's quality of service cannot be used.
    """

    def __init__(self, node: Node, host: SceneHost, submit: Callable[[Frame], None],
                 config: NodeConfig) -> None:
        self._node, self._host, self._submit, self._config = node, host, submit, config
        self._info: CameraInfo | None = None
        self._gate = StampGate()
        self._refusal = ''
        self._last_message = self._waiting_since = time.monotonic()
        self._pairing: StampPairing[Image, Image] = StampPairing(
            int(host.parameters.sync_slop * NANOSECONDS))
        self._count()
        self._subscriptions = self._subscribe()
        self.topic = self._subscriptions[0].topic_name

    def close(self) -> None:
        """Unsubscribe; images that still wait for a mask count as unpaired."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._pairing.discard()
        self._count()

    def status(self) -> InputStatus:
        """Return the state of the input for :func:`check_input`."""
        silence = time.monotonic() - self._last_message
        stopped = silence > self._config.input_timeout
        return InputStatus(self.topic, silence, stopped, self._problem(stopped))

    def _problem(self, stopped: bool) -> str | None:
        """What is missing or wrong, if no frame has been usable for ``input_timeout``."""
        if stopped:
            return f'no message on {self.topic}: ' + (
                'it has a publisher, so check that its QoS matches'
                if self._node.count_publishers(self.topic) else 'it has no publisher')
        if time.monotonic() - self._waiting_since <= self._config.input_timeout:
            return None
        now = self._host.parameters
        if now.input == 'depth' and self._info is None:
            return (f'depth images arrive on {self.topic} but there is no camera_info on '
                    f'{self._subscriptions[1].topic_name}')
        if self._refusal in ('frames_future', 'frames_stale'):
            return (f'the stamps on {self.topic} are ' + (
                f'more than max_future = {now.max_future:g} s ahead of the node\'s clock'
                if self._refusal == 'frames_future' else f'older than max_age = {now.max_age:g} s')
                + '; synchronise the clocks, or set use_sim_time for recorded data')
        if now.input == 'depth' and self._mask_wanted():
            return (f'depth images arrive but no mask on {self._subscriptions[2].topic_name} has '
                    f'the stamp of one (within sync_slop = {now.sync_slop:g} s)')
        return f'the stamps of {self.topic} do not advance'

    def _subscribe(self) -> list[Subscription]:
        def subscribe(kind: type, topic: str, callback: Callable) -> Subscription:
            return endpoints.subscription(self._node, kind, topic, callback,
                                          qos_profile_sensor_data)

        if self._host.parameters.input == 'points':
            return [subscribe(PointCloud2, 'points', self._on_points)]
        inputs = [subscribe(Image, 'depth/image_rect', self._on_depth),
                  subscribe(CameraInfo, 'depth/camera_info', self._on_info)]
        if self._host.parameters.mask_mode != 'ignored':
            inputs.append(subscribe(Image, 'mask', self._on_mask))
        return inputs

    def _on_points(self, cloud: PointCloud2) -> None:
        self._received()
        self._use(cloud_frame(cloud))

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_depth(self, image: Image) -> None:
        self._received()
        if self._mask_wanted():
            self._use_pair(self._pairing.add_first(
                nanoseconds_from_time(image.header.stamp), image))
        else:
            self._use_image(image)

    def _on_mask(self, mask: Image) -> None:
        self._use_pair(self._pairing.add_second(nanoseconds_from_time(mask.header.stamp), mask))

    def _mask_wanted(self) -> bool:
        """Whether a depth image waits for its mask."""
        now = self._host.parameters
        return now.mask_mode == 'required' or now.instances != 'one' or (
            now.mask_mode == 'auto'
            and self._node.count_publishers(self._subscriptions[2].topic_name) > 0)

    def _received(self) -> None:
        if time.monotonic() - self._last_message > self._config.input_timeout:
            self._waiting_since = time.monotonic()
        self._last_message = time.monotonic()
        self._host.health.count('frames_received')

    def _use_pair(self, pair: tuple[Image, Image] | None) -> None:
        self._count()
        if pair is not None:
            self._use_image(*pair)

    def _use_image(self, image: Image, mask: Image | None = None) -> None:
        if self._info is None:
            self._host.health.count('frames_uncalibrated')
        else:
            self._use(depth_frame(image, self._info, mask))

    def _use(self, frame: Frame) -> None:
        """Submit a frame unless its stamp is refused."""
        now = self._host.parameters
        refusal = self._gate.refusal(frame.header.nanoseconds,
                                     self._node.get_clock().now().nanoseconds,
                                     now.max_age, now.max_future)
        self._count()
        if refusal is not None:
            self._refusal = refusal
            self._host.health.count(refusal)
            return
        self._waiting_since = time.monotonic()
        self._submit(frame)

    def _count(self) -> None:
        self._host.health.set_count('frames_unpaired', self._pairing.unpaired)
        self._host.health.set_count('clock_resets', self._gate.resets)
