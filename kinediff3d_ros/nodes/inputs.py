"""What a perception node listens to: messages put together to frames, in order and once each."""

from __future__ import annotations

import time
from collections.abc import Callable

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from kinediff3d_ros.nodes import endpoints
from kinediff3d_ros.nodes.parameters import PerceptionParameters
from kinediff3d_ros.scene.frames import CloudFrame, DepthFrame
from kinediff3d_ros.scene.health import Health
from kinediff3d_ros.scene.pairing import StampPairing
from kinediff3d_ros.scene.stamps import StampGate

PATIENCE = 2.0
"""Seconds without the wanted input after which it is said what is missing."""


class Inputs:
    """Subscriptions of depth, calibration and mask, or of clouds.

    Args:
        settings: the present parameters.
        offer: takes each complete frame; called on the executor's thread.
        health: counts what becomes of frames.

    Attributes:
        topic: where the geometry comes from.

    Raises:
        ValueError: an override of a topic's quality of service cannot be used.
    """

    def __init__(self, node: Node, settings: Callable[[], PerceptionParameters],
                 offer: Callable[[DepthFrame | CloudFrame], None], health: Health) -> None:
        self._node, self._settings, self._offer, self._health = node, settings, offer, health
        self._info: CameraInfo | None = None
        self._gate = StampGate()
        self._refused = ''
        self._heard = self._waiting_since = time.monotonic()
        self._pairing: StampPairing[Image, Image] = StampPairing(int(settings().sync_slop * 1e9))
        self._subscriptions = self._subscribe()
        self.topic = self._subscriptions[0].topic_name

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    @property
    def unpaired(self) -> int:
        return self._pairing.unpaired

    @property
    def resets(self) -> int:
        return self._gate.resets

    @property
    def silence(self) -> float:
        """Seconds since the last message with geometry."""
        return time.monotonic() - self._heard

    def complaint(self) -> str | None:
        """What is missing or wrong, if no frame has come through for a while."""
        if self.silence > PATIENCE:
            return f'no message on {self.topic}: ' + (
                'it has a publisher, so check that its QoS matches'
                if self._node.count_publishers(self.topic) else 'nobody publishes it')
        if time.monotonic() - self._waiting_since <= PATIENCE:
            return None
        now = self._settings()
        if now.input == 'depth' and self._info is None:
            return (f'depth images arrive on {self.topic} but there is no camera_info on '
                    f'{self._subscriptions[1].topic_name}')
        if self._refused in ('frames_future', 'frames_stale'):
            return (f'the stamps on {self.topic} are ' + (
                f'more than max_future = {now.max_future:g} s ahead of the node\'s clock'
                if self._refused == 'frames_future' else f'older than max_age = {now.max_age:g} s')
                + '; synchronise the clocks, or set use_sim_time for recorded data')
        if now.input == 'depth' and self._wants_mask():
            return (f'depth images arrive but no mask on {self._subscriptions[2].topic_name} has '
                    f'the stamp of one (within sync_slop = {now.sync_slop:g} s)')
        return f'the stamps of {self.topic} do not advance'

    def _subscribe(self) -> list[Subscription]:
        def subscribe(kind: type, topic: str, callback: Callable) -> Subscription:
            return endpoints.subscription(self._node, kind, topic, callback,
                                          qos_profile_sensor_data)

        if self._settings().input == 'points':
            return [subscribe(PointCloud2, 'points', self._on_points)]
        inputs = [subscribe(Image, 'depth/image_rect', self._on_depth),
                  subscribe(CameraInfo, 'depth/camera_info', self._on_info)]
        if self._settings().mask_mode != 'ignored':
            inputs.append(subscribe(Image, 'mask', self._on_mask))
        return inputs

    def _on_points(self, cloud: PointCloud2) -> None:
        self._received()
        self._take(CloudFrame(cloud))

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_depth(self, image: Image) -> None:
        self._received()
        if self._wants_mask():
            self._take_pair(self._pairing.add_first(nanoseconds(image.header.stamp), image))
        else:
            self._take_image(image)

    def _on_mask(self, mask: Image) -> None:
        self._take_pair(self._pairing.add_second(nanoseconds(mask.header.stamp), mask))

    def _wants_mask(self) -> bool:
        now = self._settings()
        return now.mask_mode == 'required' or now.instances != 'one' or (
            now.mask_mode == 'auto'
            and self._node.count_publishers(self._subscriptions[2].topic_name) > 0)

    def _received(self) -> None:
        if self.silence > PATIENCE:
            self._waiting_since = time.monotonic()
        self._heard = time.monotonic()
        self._health.count('frames_received')

    def _take_pair(self, pair: tuple[Image, Image] | None) -> None:
        if pair is not None:
            self._take_image(*pair)

    def _take_image(self, image: Image, mask: Image | None = None) -> None:
        if self._info is not None:
            self._take(DepthFrame(image, self._info, mask))

    def _take(self, frame: DepthFrame | CloudFrame) -> None:
        """Hand a frame on, unless its stamp speaks against it."""
        now = self._settings()
        refused = self._gate.refusal(nanoseconds(frame.header.stamp),
                                     self._node.get_clock().now().nanoseconds,
                                     now.max_age, now.max_future)
        if refused is not None:
            self._refused = refused
            self._health.count(refused)
            return
        self._waiting_since = time.monotonic()
        self._offer(frame)


def nanoseconds(stamp: Time) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec
