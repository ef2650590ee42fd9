"""Perception node: depth or cloud in; TF, joint state, meshes and URDF of the object out."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from builtin_interfaces.msg import Time as TimeMessage
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from std_msgs.msg import Header, String
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import MarkerArray

from kinediff3d_core.estimate import ArticulatedEstimate, Mesh, NoEstimate
from kinediff3d_core.pipeline import Pipeline
from kinediff3d_ros import conversions, parameters
from kinediff3d_ros.description import DescriptionFiles, default_directory
from kinediff3d_ros.health import LEVELS, Health, Throttle
from kinediff3d_ros.observation import CloudFrame, DepthFrame, Observed, observe
from kinediff3d_ros.pairing import StampPairing
from kinediff3d_ros.parameters import PerceptionParameters
from kinediff3d_ros.running import run_node
from kinediff3d_ros.worker import NewestItemWorker

PATIENCE = 2.0
"""Seconds without the wanted input after which it is said what is missing."""

CLOCK_RESET = 1_000_000_000
"""A stamp that is this much older than the last one (ns) means that time started anew."""


class PerceptionNode(Node):
    """Estimates one articulated object from the newest frame (docs/ros.md).

    Callbacks only put messages together and leave them with the worker; everything that takes
    time happens on the worker's thread.

    Raises:
        ValueError: a parameter's value cannot be used; the message names it.
    """

    def __init__(self) -> None:
        super().__init__('perception')
        parameters.declare(self, PerceptionParameters)
        self._settings = parameters.read(self, PerceptionParameters)
        self._object = self._settings.object_name or self._settings.category
        if not re.fullmatch(r'[A-Za-z0-9_\-]+(/[A-Za-z0-9_\-]+)*', self._object):
            raise ValueError(f"parameter 'object_name' is {self._object!r}; use letters, digits, "
                             '_ and -')
        torch.set_num_threads(self._settings.threads or max(1, (os.cpu_count() or 2) // 2))
        begin = time.perf_counter()
        device = self._settings.device
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self._pipeline = Pipeline.load(
            self._settings.category, self._settings.preset, device,
            Path(self._settings.weights) if self._settings.weights else None)
        self.get_logger().info(f'{self._settings.category} weights loaded on {device} in '
                               f'{time.perf_counter() - begin:.1f} s')

        self._health, self._throttle = Health(), Throttle(10.0)
        self._outputs = threading.RLock()
        self._shown: dict[tuple[str, int], str] = {}
        self._last_stamp: int | None = None
        self._meshes: dict[str, Mesh | None] = {}
        self._mesh_due = self._description_due = 0.0
        self._info: CameraInfo | None = None
        self._waiting_since = self._heard = time.monotonic()
        self._pairing: StampPairing[Image, Image] = StampPairing(
            int(self._settings.sync_slop * 1e9))

        self._tf = TransformBroadcaster(self)
        self._joint_states = self.create_publisher(JointState, 'joint_states', 10)
        self._markers = self.create_publisher(MarkerArray, 'markers', 10)
        self._points_used = self.create_publisher(PointCloud2, 'points_used', 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, 'diagnostics', 10)
        self._description = self.create_publisher(String, 'robot_description', QoSProfile(
            depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        self._files = DescriptionFiles(
            Path(self._settings.description_dir or default_directory()).expanduser(),
            self._object)

        self._worker: NewestItemWorker[DepthFrame | CloudFrame] = NewestItemWorker(
            self._process, self._on_error)
        self._take_live_parameters()
        self.add_post_set_parameters_callback(lambda _: self._take_live_parameters())
        self._inputs = self._subscribe()
        self.create_timer(1.0, self._watch)
        self.get_logger().info(f'waiting for {self._inputs[0].topic_name}')

    # --- inputs ---------------------------------------------------------------------------------

    def _subscribe(self) -> list[Subscription]:
        def subscribe(kind: type, topic: str, callback: Callable) -> Subscription:
            return self.create_subscription(
                kind, topic, callback, qos_profile_sensor_data,
                qos_overriding_options=QoSOverridingOptions.with_default_policies())

        if self._settings.input == 'points':
            return [subscribe(PointCloud2, 'points', self._on_points)]
        inputs = [subscribe(Image, 'depth/image_rect', self._on_depth),
                  subscribe(CameraInfo, 'depth/camera_info', self._on_info)]
        if self._settings.mask_mode != 'ignored':
            inputs.append(subscribe(Image, 'mask', self._on_mask))
        return inputs

    def _on_points(self, cloud: PointCloud2) -> None:
        self._received()
        self._offer(CloudFrame(cloud))

    def _on_info(self, info: CameraInfo) -> None:
        self._info = info

    def _on_depth(self, image: Image) -> None:
        self._received()
        if self._wants_mask():
            self._offer_pair(self._pairing.add_first(_nanoseconds(image.header.stamp), image))
        else:
            self._offer_image(image)

    def _on_mask(self, mask: Image) -> None:
        self._offer_pair(self._pairing.add_second(_nanoseconds(mask.header.stamp), mask))

    def _wants_mask(self) -> bool:
        mode = self._settings.mask_mode
        return mode == 'required' or (mode == 'auto' and self.count_publishers(
            self._inputs[2].topic_name) > 0)

    def _received(self) -> None:
        now = time.monotonic()
        if now - self._heard > PATIENCE:
            self._waiting_since = now
        self._heard = now
        self._health.count('frames_received')

    def _offer_pair(self, pair: tuple[Image, Image] | None) -> None:
        if pair is not None:
            self._offer_image(*pair)

    def _offer_image(self, image: Image, mask: Image | None = None) -> None:
        if self._info is not None:
            self._offer(DepthFrame(image, self._info, mask))

    def _offer(self, frame: DepthFrame | CloudFrame) -> None:
        """Leave a frame with the worker, unless its stamp has been there or is overtaken."""
        stamp = _nanoseconds(frame.header.stamp)
        if self._last_stamp is not None and (
                self._last_stamp - CLOCK_RESET < stamp <= self._last_stamp):
            self._health.count('frames_repeated')
            return
        self._last_stamp = stamp
        self._waiting_since = time.monotonic()
        self._worker.offer(frame)

    # --- the worker's thread --------------------------------------------------------------------

    def _process(self, frame: DepthFrame | CloudFrame) -> None:
        begin = time.perf_counter()
        now = self._settings
        try:
            mesh = now.publish_meshes and time.monotonic() >= self._mesh_due
            seen = observe(self._pipeline, frame, now, mesh)
            confidence = seen.estimate.confidence
            if confidence < now.min_confidence:
                raise NoEstimate(f'confidence {confidence:.2f} is below min_confidence '
                                 f'{now.min_confidence:.2f}')
        except NoEstimate as reason:
            self._health.count('no_estimates')
            self._lose('no_estimate', f'no estimate: {reason}')
        except ValueError as reason:
            self._health.count('bad_inputs')
            self._lose('bad_input', str(reason))
        else:
            with self._outputs:
                if not self._worker.stopping:
                    seen = self._with_meshes(seen, mesh)
                    self._publish(seen, frame.header, time.perf_counter() - begin)
                    if mesh:
                        self._describe(seen.estimate, frame.header.stamp)

    def _publish(self, seen: Observed, header: Header, seconds: float) -> None:
        estimate, now = seen.estimate, self._settings
        begin = time.perf_counter()
        if now.publish_tf != 'none':
            self._tf.sendTransform(conversions.transforms(
                estimate, header, self._object, base_only=now.publish_tf == 'base'))
        self._joint_states.publish(conversions.joint_state(estimate, header))
        array = conversions.markers(estimate, header.stamp, self._object, now.marker_triangles)
        shown = conversions.marker_keys(array)
        gone = {key: frame_id for key, frame_id in self._shown.items() if key not in shown}
        array.markers += conversions.deleted_markers(gone, header.stamp).markers
        self._markers.publish(array)
        self._shown = shown
        self._points_used.publish(conversions.cloud_from_points(seen.cloud, header))
        self._health.count('estimates')
        self._health.enter('estimate', f'{self._object} seen')
        clock = self.get_clock()
        age = 1e-9 * (clock.now() - Time.from_msg(header.stamp, clock.clock_type)).nanoseconds
        self._health.measured(seen, f'{header.stamp.sec}.{header.stamp.nanosec:09d}', age, {
            **estimate.seconds, 'publish': time.perf_counter() - begin, 'frame': seconds})
        self._report()

    def _with_meshes(self, seen: Observed, fresh: bool) -> Observed:
        """Keep fresh meshes; give an estimate without its own the last ones, moved along."""
        estimate = seen.estimate
        if fresh:
            self._meshes = {part.name: part.mesh for part in estimate.parts}
            self._mesh_due = time.monotonic() + self._settings.mesh_period
            return seen
        if not self._settings.publish_meshes:
            return seen
        parts = tuple(replace(part, mesh=self._meshes.get(part.name)) for part in estimate.parts)
        return replace(seen, estimate=replace(estimate, parts=parts))

    def _describe(self, estimate: ArticulatedEstimate, stamp: TimeMessage) -> None:
        now = time.monotonic()
        if now < self._description_due:
            return
        period = self._settings.description_period
        self._description_due = now + period if period > 0 else float('inf')
        urdf = self._files.write(estimate, f'{stamp.sec}-{stamp.nanosec:09d}')
        self._description.publish(String(data=urdf))

    def _lose(self, state: str, message: str) -> None:
        """Say that there is no estimate and take away what was shown."""
        with self._outputs:
            if self._worker.stopping:
                return
            self._take_back()
            self._health.enter(state, message)
            if self._throttle.lets_through(message):
                if state in ('no_estimate', 'waiting', 'stale'):
                    self.get_logger().warning(message)
                else:
                    self.get_logger().error(message)
            self._report()

    def _take_back(self) -> None:
        if self._shown:
            self._markers.publish(conversions.deleted_markers(
                self._shown, self.get_clock().now().to_msg()))
        self._shown = {}
        self._mesh_due = self._description_due = 0.0

    def _on_error(self, error: Exception) -> None:
        if self._worker.stopping:
            return
        self._health.count('errors')
        self._lose('error', f'frame failed: {type(error).__name__}: {error}'.split('\n')[0])

    # --- state ----------------------------------------------------------------------------------

    def _take_live_parameters(self) -> None:
        self._settings = parameters.read(self, PerceptionParameters)
        rate = self._settings.max_rate
        self._worker.min_period = 1.0 / rate if rate > 0 else 0.0

    def _watch(self) -> None:
        """Once per second: say what is missing, notice that the input has stopped, report."""
        now = time.monotonic()
        silence, topic = now - self._heard, self._inputs[0].topic_name
        if self._health.state == 'waiting' and silence > PATIENCE:
            why = ('nobody publishes it' if not self.count_publishers(topic) else
                   'it has a publisher, so check that its QoS matches')
            self._wait_for(f'no message on {topic}: {why}')
        elif self._health.state not in ('waiting', 'stale') and (
                silence > self._settings.lost_after):
            self._lose('stale', f'no more messages on {topic}')
        elif silence < PATIENCE and now - self._waiting_since > PATIENCE:
            self._wait_for(self._missing())
        self._report()

    def _missing(self) -> str:
        if self._settings.input == 'depth' and self._info is None:
            return (f'depth images arrive on {self._inputs[0].topic_name} but there is no '
                    f'camera_info on {self._inputs[1].topic_name}')
        if self._settings.input == 'depth' and self._wants_mask():
            return (f'depth images arrive but no mask on {self._inputs[2].topic_name} has the '
                    f'stamp of one (within sync_slop = {self._settings.sync_slop:g} s)')
        return f'the stamps of {self._inputs[0].topic_name} do not advance'

    def _wait_for(self, message: str) -> None:
        if self._health.state != 'waiting':
            self._lose('waiting', message)
            return
        self._health.enter('waiting', message)
        if self._throttle.lets_through(message):
            self.get_logger().warning(message)

    def _report(self) -> None:
        health = self._health
        health.counts['frames_dropped'] = self._worker.dropped
        health.counts['frames_unpaired'] = self._pairing.unpaired
        self._diagnostics.publish(conversions.diagnostics(
            f'{self.get_fully_qualified_name()[1:]}: {self._object}', self._object,
            LEVELS[health.state], health.message,
            health.values(category=self._settings.category), self.get_clock().now().to_msg()))

    def close(self) -> None:
        """Take back what is shown and end the worker, which may finish its frame."""
        with self._outputs:
            self._take_back()
            self._worker.close()
        if not self._worker.join(timeout=4.0):
            # torch must not be torn down under a thread that is inside it.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)


def _nanoseconds(stamp: TimeMessage) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def main(args: list[str] | None = None) -> int:
    """Entry point of ``perception_node``."""
    return run_node(PerceptionNode, args)


if __name__ == '__main__':
    sys.exit(main())
