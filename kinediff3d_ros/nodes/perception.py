"""Perception node: depth or cloud in; TF, joint states, meshes and URDFs of the objects out."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from kinediff3d_ros.nodes import endpoints, parameters
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.inputs import Inputs
from kinediff3d_ros.nodes.running import run_node
from kinediff3d_ros.nodes.scene_host import NodeSceneHost
from kinediff3d_ros.scene import memory
from kinediff3d_ros.scene.config import SceneConfig
from kinediff3d_ros.scene.input_watch import check_input
from kinediff3d_ros.scene.models import Models
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.scene.scene import Scene


class PerceptionNode(LifecycleNode):
    """Estimates and tracks articulated objects (docs/ros.md).

    Configuring loads the weights, activating subscribes. Callbacks pair messages to frames and
    hand them to the scene's threads, which do all the work.

    Args:
        options: as those of ``LifecycleNode``.

    Attributes:
        config, scene_config: settings that are no ROS parameters, read by each transition.

    Raises:
        ValueError: a parameter's value cannot be used; the message names it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('perception', **options)
        self.config, self.scene_config = NodeConfig(), SceneConfig()
        self._host: NodeSceneHost | None = None
        parameters.declare(self, PerceptionParameters, lambda: self._host is not None)
        self._settings = parameters.read(self, PerceptionParameters)
        self.add_post_set_parameters_callback(lambda _: self._update_parameters())
        self._inputs: Inputs | None = None
        self._scene: Scene | None = None
        self._watchdog = self._service = None
        self._fault = ''

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so.

        Raises:
            ValueError: the configuration cannot be used; one line that says why.
        """
        if self._settings.autostart and (
                self.trigger_configure() != TransitionCallbackReturn.SUCCESS
                or self.trigger_activate() != TransitionCallbackReturn.SUCCESS):
            raise ValueError(self._fault)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the weights, create publishers and the service."""
        try:
            self._configure()
        except (ValueError, OSError) as error:
            self._clean_up()
            return self._fail('configure', error)
        return TransitionCallbackReturn.SUCCESS

    def _fail(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        self._fault = str(error)
        if not self._settings.autostart:
            self.get_logger().error(f'cannot {transition}: {error}')
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        self._settings = now = parameters.read(self, PerceptionParameters)
        now.check()
        torch.set_num_threads(now.threads or max(1, (os.cpu_count() or 2) // 2))
        begin = time.perf_counter()
        models = Models(sorted(now.categories()), now.preset, now.device, now.weights,
                        self.get_logger().warning, self.scene_config.mesh_cells)
        self.get_logger().info(f'weights of {", ".join(models.categories)} loaded on '
                               f'{models.device} in {time.perf_counter() - begin:.1f} s')
        self._host = NodeSceneHost(self, lambda: self._settings, models, self.config)
        self._host.open()
        self._watchdog = self.create_timer(self.config.watch_period, self._watch, clock=Clock(
            clock_type=ClockType.STEADY_TIME))
        self._service = endpoints.late_service(self, Trigger, 'estimate', self._on_estimate)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera."""
        self._host.enter('waiting', 'no input yet')
        self._scene = Scene(self._host.models, self._host, self._host.listed, self.scene_config)
        self._scene.limit_rate(self._settings.max_rate)
        try:
            self._inputs = Inputs(self, self._host, self._scene.submit, self.config)
        except ValueError as error:
            self._deactivate()
            return self._fail('activate', error)
        self.get_logger().info(f'waiting for {self._inputs.topic}')
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Withdraw what is shown and unsubscribe."""
        self._deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the memory."""
        self._clean_up()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and clean up."""
        self._deactivate()
        self._clean_up()
        return TransitionCallbackReturn.SUCCESS

    def _deactivate(self) -> bool:
        """Return whether the scene's threads have ended: one may be inside a full estimate."""
        if self._inputs is not None:
            self._inputs.close()
        scene, self._inputs, self._scene = self._scene, None, None
        if scene is None:
            return True
        scene.close()
        ended = scene.join(self.config.join_timeout)
        self._host.enter('inactive', 'not active')
        return ended

    def _clean_up(self) -> None:
        if self._watchdog is not None:
            self.destroy_timer(self._watchdog)
        if self._service is not None:
            self.destroy_service(self._service)
        if self._host is not None:
            self._host.close()
        self._host = self._watchdog = self._service = None
        gc.collect()
        torch.cuda.empty_cache()

    def close(self) -> None:
        """Withdraw what is shown and end the threads, which may finish their frame."""
        if not self._deactivate():
            # torch must not be unloaded while a thread is inside it.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def _on_estimate(self, response: Trigger.Response, send: Callable[[], None]) -> None:
        """Answer with full estimates of the next frame, when they are made."""
        if self._scene is None:
            response.message = 'the node is not active'
            send()
            return
        request = self._scene.request_estimates()

        def answer() -> None:
            response.success, response.message = request.success, request.message
            send()

        request.when_answered(answer)

    def _update_parameters(self) -> None:
        self._settings = parameters.read(self, PerceptionParameters)
        if self._scene is not None:
            self._scene.limit_rate(self._settings.max_rate)

    def _watch(self) -> None:
        """Check the input, send markers again, and publish diagnostics."""
        if self._scene is not None and self._inputs is not None:
            self._scene.expire_requests()
            check_input(self._scene, self._host, self._inputs.status())
            self._scene.refresh()
        self._host.report_regularly()


def _make() -> PerceptionNode:
    node = PerceptionNode()
    node.autostart()
    return node


def main(args: list[str] | None = None) -> int:
    """Entry point of ``perception_node``."""
    memory.configure_heap()
    return run_node(_make, args)


if __name__ == '__main__':
    sys.exit(main())
