"""Perception node: depth or cloud in; TF, joint states, meshes and URDFs of the objects out."""

from __future__ import annotations

import gc
import sys
import time
from typing import Any

import torch
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from kinediff3d_core.distributed.threads import set_threads
from kinediff3d_ros.nodes import parameters
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.estimate_service import EstimateService
from kinediff3d_ros.nodes.inputs import Inputs
from kinediff3d_ros.nodes.running import run_node
from kinediff3d_ros.nodes.scene_host import NodeSceneHost
from kinediff3d_ros.scene import memory
from kinediff3d_ros.scene.config import SceneConfig
from kinediff3d_ros.scene.estimate_requests import EstimateRequest
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
        self._watchdog = self._service = self._ended = None
        self._fault = ''

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so.

        Raises:
            ValueError: the configuration cannot be used; one line that says why.
        """
        if self._settings.autostart and (
                self.trigger_configure() != TransitionCallbackReturn.SUCCESS
                or self.trigger_activate() != TransitionCallbackReturn.SUCCESS):
            self.close()
            raise ValueError(self._fault)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the weights, create publishers and the service."""
        try:
            self._configure()
        except Exception as error:
            self._clean_up()
            return self._fail('configure', error)
        return TransitionCallbackReturn.SUCCESS

    def _fail(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        kind = '' if isinstance(error, (ValueError, OSError)) else f'{type(error).__name__}: '
        self._fault = f'{kind}{error}'
        if not self._settings.autostart:
            self.get_logger().error(f'cannot {transition}: {self._fault}')
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        self._settings = now = parameters.read(self, PerceptionParameters)
        now.check()
        set_threads(now.threads)
        begin = time.perf_counter()
        models = Models(sorted(now.categories()), now.preset, now.device, now.weights,
                        self.get_logger().warning, self.scene_config.mesh_cells)
        self.get_logger().info(f'weights of {", ".join(models.categories)} loaded on '
                               f'{models.device} in {time.perf_counter() - begin:.1f} s')
        self._host = NodeSceneHost(self, lambda: self._settings, models, self.config)
        self._host.open()
        self._watchdog = self.create_timer(self.config.watch_period, self._watch, clock=Clock(
            clock_type=ClockType.STEADY_TIME))
        self._service = EstimateService(self, self._request_estimates)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera."""
        try:
            if not self._threads_end(self.config.join_timeout):
                raise ValueError('the last full estimate has not ended yet; activate again')
            self._host.enter('waiting', 'no input yet')
            self._scene = Scene(self._host.models, self._host, self._host.listed,
                                self.scene_config)
            self._scene.refresh()
            self._inputs = Inputs(self, self._host, self._scene.submit, self.config)
        except Exception as error:
            self._deactivate()
            return self._fail('activate', error)
        self.get_logger().info(f'waiting for {self._inputs.topic}')
        return super().on_activate(state)

    def _threads_end(self, timeout: float) -> bool:
        """Whether the threads of the last activation end within a time, s."""
        if self._ended is not None and self._ended.join(timeout):
            self._ended = None  # It holds the models and objects in memory.
        return self._ended is None

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
        return self.on_cleanup(state)

    def _deactivate(self) -> None:
        """Withdraw what is shown; a full estimate in work is interrupted before its next step."""
        if self._inputs is not None:
            self._inputs.close()
        scene, self._inputs, self._scene = self._scene, None, None
        if scene is None:
            return
        self._ended = scene
        scene.close()
        self._threads_end(self.config.join_timeout)
        self._host.enter('inactive', 'not active')

    def _clean_up(self) -> None:
        if self._watchdog is not None:
            self.destroy_timer(self._watchdog)
        if self._service is not None:
            self._service.close(self.config.join_timeout)
        if self._host is not None:
            self._host.close()
        self._host = self._watchdog = self._service = None
        gc.collect()
        torch.cuda.empty_cache()

    def close(self) -> None:
        """Withdraw what is shown and end the threads: torch must not be unloaded under them."""
        self._deactivate()
        if not self._threads_end(self.config.shutdown_timeout):
            self.get_logger().error('a full estimate does not end; the process may crash now')
        self._clean_up()

    def _request_estimates(self) -> EstimateRequest | str:
        """Request full estimates of the next frame; on the thread of the service."""
        scene = self._scene
        return 'the node is not active' if scene is None else scene.request_estimates()

    def _update_parameters(self) -> None:
        self._settings = parameters.read(self, PerceptionParameters)
        if self._scene is not None:
            self._scene.refresh()

    def _watch(self) -> None:
        """Check the input, send what is due, and publish diagnostics."""
        if self._scene is not None and self._inputs is not None:
            check_input(self._scene, self._host, self._inputs.check())
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
