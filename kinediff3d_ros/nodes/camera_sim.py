"""Simulated depth camera that watches a procedural object whose joint moves."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import Header

from kinediff3d_core.distributed.threads import set_threads
from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedScene
from kinediff3d_ros.messages import camera_info, images, poses
from kinediff3d_ros.nodes import endpoints, parameters
from kinediff3d_ros.nodes.running import run_node
from kinediff3d_ros.scene.parameters import CameraSimParameters

KEPT_MESSAGES = 10
"""Messages of a topic that the transport keeps for slow subscribers. Chosen: with two, a machine
with more to do than cores lost the masks of a fifth of the images (``kinediff3d demo``)."""


class _Closed(Exception):
    """The node was closed before all joint states were rendered."""


class CameraSimNode(Node):
    """Publishes depth, camera_info, mask and the truth, all with the same stamp (docs/ros.md).

    Until all joint states are rendered, it publishes the first one.

    Raises:
        ValueError: a parameter's value cannot be used; the message names it.
    """

    def __init__(self) -> None:
        super().__init__('camera_sim')
        parameters.declare(self, CameraSimParameters)
        p = self._settings = parameters.read(self, CameraSimParameters)
        set_threads(1)
        self._intrinsics = Intrinsics(p.focal_length, p.focal_length, (p.width - 1) / 2,
                                      (p.height - 1) / 2, p.width, p.height)
        scene = SimulatedScene.sample(p.category, p.seed, p.instance, self._intrinsics, p.states)
        still = SimulatedCamera(replace(scene, positions=scene.positions[:1]), p.table, p.noise)
        self._joint_index = {scene.instances.category.joints[i].name: i for i in scene.joints}

        qos = QoSProfile(depth=KEPT_MESSAGES)
        self._depth = endpoints.publisher(self, Image, 'depth/image_rect', qos)
        self._info = endpoints.publisher(self, CameraInfo, 'depth/camera_info', qos)
        self._mask = endpoints.publisher(self, Image, 'mask', qos) if p.publish_mask else None
        # A comparison needs the truth of every frame, and these messages are small.
        self._joints = endpoints.publisher(self, JointState, 'truth/joint_states', 100)
        self._pose = endpoints.publisher(self, PoseStamped, 'truth/pose', 100)
        self._current = still, self.get_clock().now()
        self._closed = threading.Event()
        self._renderer = threading.Thread(target=self._render, args=(scene,))
        self._renderer.start()
        self._timer = self.create_timer(1.0 / p.rate, self._publish)
        self.add_post_set_parameters_callback(lambda _: self._update_rate())
        self.get_logger().info(f'publishing a {p.category} on {self._depth.topic_name} at '
                               f'{p.rate:g} Hz')

    def _render(self, scene: SimulatedScene) -> None:
        p = self._settings
        try:
            camera = SimulatedCamera(scene, p.table, p.noise, self._log_progress)
        except _Closed:
            return
        self._current = camera, self.get_clock().now()

    def _log_progress(self, done: int, total: int) -> None:
        if self._closed.is_set():
            raise _Closed
        self.get_logger().info(f'rendered {done} of {total} joint states')

    def _update_rate(self) -> None:
        self._timer.timer_period_ns = int(1e9 / self.get_parameter('rate').value)
        # Otherwise the events executor waits for the end of the old period.
        self._timer.reset()

    def _publish(self) -> None:
        now, (camera, begin) = self.get_clock().now(), self._current
        phase = (now - begin).nanoseconds * 1e-9 / self._settings.sweep_period
        frame = camera.frame(phase)
        header = Header(stamp=now.to_msg(), frame_id=self._settings.frame_id)
        if self._settings.encoding == '16UC1':
            pixels = np.round(frame.depth * 1000.0).astype(np.uint16)
        else:
            pixels = frame.depth.astype(np.float32)
        # The image is published last: its subscribers have the other messages by then.
        self._info.publish(camera_info.info_from_intrinsics(self._intrinsics, header))
        if self._mask is not None:
            self._mask.publish(images.image_from_pixels(
                frame.mask.astype(np.uint8), 'mono8', header))
        self._joints.publish(JointState(header=header, name=list(self._joint_index), position=[
            float(frame.positions[i]) for i in self._joint_index.values()]))
        self._pose.publish(PoseStamped(header=header, pose=poses.pose_from_matrix(
            frame.T_camera_base)))
        self._depth.publish(images.image_from_pixels(pixels, self._settings.encoding, header))

    def close(self) -> None:
        """Stop the renderer and wait for its end."""
        self._closed.set()
        self._renderer.join()


def main(args: list[str] | None = None) -> int:
    """Entry point of ``camera_sim_node``."""
    return run_node(CameraSimNode, args)


if __name__ == '__main__':
    sys.exit(main())
