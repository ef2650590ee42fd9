"""Perception node: depth or cloud in; TF, joint states, meshes and URDFs of the objects out."""

from __future__ import annotations

import gc
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.time import Time
from rclpy.timer import Timer
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from tf2_ros import Buffer, TransformBroadcaster, TransformException, TransformListener
from visualization_msgs.msg import MarkerArray

from kinediff3d_core.inference.auto import AUTO
from kinediff3d_core.objects.estimate import NoEstimate
from kinediff3d_ros.messages import diagnostics, poses
from kinediff3d_ros.nodes import endpoints, parameters
from kinediff3d_ros.nodes.inputs import PATIENCE, Inputs
from kinediff3d_ros.nodes.outputs import ObjectOutputs
from kinediff3d_ros.nodes.parameters import PerceptionParameters
from kinediff3d_ros.nodes.running import run_node
from kinediff3d_ros.scene import memory
from kinediff3d_ros.scene.health import LEVELS, Health, Throttle
from kinediff3d_ros.scene.models import Models
from kinediff3d_ros.scene.scene import Scene
from kinediff3d_ros.scene.scene_object import SceneObject

TF_LIMIT = 0.2
"""Seconds that a frame waits for the transform of a moving camera."""


class PerceptionNode(LifecycleNode):
    """Estimates and tracks articulated objects (docs/ros.md).

    Unconfigured it only has parameters; configuring loads the weights, activating subscribes.
    Callbacks put messages together and leave them with the scene's threads, where everything
    that takes time happens.

    Args:
        options: as those of ``LifecycleNode``.

    Raises:
        ValueError: a parameter's value cannot be used; the message names it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__('perception', **options)
        self._configured = False
        parameters.declare(self, PerceptionParameters, lambda: self._configured)
        self._settings = parameters.read(self, PerceptionParameters)
        self.add_post_set_parameters_callback(lambda _: self._take_live_parameters())
        self._health, self._throttle = Health('inactive', 'not active'), Throttle(10.0)
        self._models: Models | None = None
        self._inputs: Inputs | None = None
        self._scene: Scene | None = None
        self._objects: dict[int, SceneObject] = {}
        self._buffer: Buffer | None = None
        self._publishers_of_all: list[Publisher] = []
        self._watchdogs: list[Timer] = []
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

    # --- transitions ----------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the weights."""
        try:
            self._configure()
        except (ValueError, OSError) as error:
            self._clean_up()
            return self._refused('configure', error)
        return TransitionCallbackReturn.SUCCESS

    def _refused(self, what: str, error: Exception) -> TransitionCallbackReturn:
        self._fault = str(error)
        if not self._settings.autostart:
            self.get_logger().error(f'cannot {what}: {error}')
        return TransitionCallbackReturn.FAILURE

    def _configure(self) -> None:
        self._settings = now = parameters.read(self, PerceptionParameters)
        self._health = Health('inactive', 'not active')
        if now.object_name and not re.fullmatch(r'[A-Za-z0-9_\-]+(/[A-Za-z0-9_\-]+)*',
                                                now.object_name):
            raise ValueError(f"parameter 'object_name' is {now.object_name!r}; use letters, "
                             'digits, _ and -')
        self._listed = parameters.object_categories(now.objects)
        if now.instances != 'one' and (now.input == 'points' or now.mask_mode == 'ignored'):
            raise ValueError(f"parameter 'instances' is {now.instances!r}, which needs depth "
                             'images with a mask of instance ids')
        torch.set_num_threads(now.threads or max(1, (os.cpu_count() or 2) // 2))
        begin = time.perf_counter()
        categories = set(self._listed.values()) if now.instances != 'one' else set()
        if now.instances != 'listed':
            categories.add(now.category)
        if AUTO in categories and now.instances != 'one':
            raise ValueError(f"category 'auto' needs parameter 'instances' to be 'one', and it is "
                             f'{now.instances!r}; map mask ids to categories')
        self._models = Models(sorted(categories), now.preset, now.device, now.weights,
                              self.get_logger().warning)
        self.get_logger().info(
            f'{", ".join(self._models.categories)} weights loaded on {self._models.device} in '
            f'{time.perf_counter() - begin:.1f} s')
        self._tf = TransformBroadcaster(self)
        self._markers = endpoints.publisher(self, MarkerArray, 'markers')
        self._diagnostics = endpoints.publisher(self, DiagnosticArray, 'diagnostics')
        self._publishers_of_all = [self._tf.pub_tf, self._markers, self._diagnostics]
        if now.instances == 'one':
            self._make_object(0)
        if now.fixed_frame:
            self._buffer = Buffer()
            self._listener = TransformListener(self._buffer, self)
        self._watchdogs = [self.create_timer(1.0, self._watch, clock=Clock(
            clock_type=ClockType.STEADY_TIME))]
        self._service = endpoints.late_service(self, Trigger, 'estimate', self._on_estimate)
        self._configured = True

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Listen to the camera."""
        self._health.enter('waiting', 'no input yet')
        self._scene = Scene(
            self._models, lambda: self._settings, self._make_object, set(self._listed),
            self._camera_pose, self._health, self._say, self._report, self._age)
        self._scene.objects.update(self._objects)
        self._scene.limit_rate(self._settings.max_rate)
        try:
            self._inputs = Inputs(self, lambda: self._settings, self._scene.offer, self._health)
        except ValueError as error:
            self._deactivate()
            return self._refused('activate', error)
        self.get_logger().info(f'waiting for {self._inputs.topic}')
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Take back what is shown, stop listening."""
        self._deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give the memory back."""
        self._clean_up()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._deactivate()
        self._clean_up()
        return TransitionCallbackReturn.SUCCESS

    def _deactivate(self) -> bool:
        """Whether the scene's threads have ended: one may still be inside an inference."""
        if self._inputs is not None:
            self._inputs.close()
        scene, self._inputs, self._scene = self._scene, None, None
        if scene is None:
            return True
        scene.close()
        for one in self._objects.values():
            one.tracker = one.candidate = None
        self._health.enter('inactive', 'not active')
        self._report()
        return scene.join(timeout=4.0)

    def _clean_up(self) -> None:
        for one in self._objects.values():
            one.outputs.close()
        self._objects.clear()
        for timer in self._watchdogs:
            self.destroy_timer(timer)
        for publisher in self._publishers_of_all:
            self.destroy_publisher(publisher)
        if self._configured:
            self.destroy_service(self._service)
        if self._buffer is not None:
            self._listener.unregister()
        self._models = self._buffer = None
        self._publishers_of_all, self._watchdogs, self._configured = [], [], False
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Take back what is shown and end the threads, which may finish their frame."""
        if not self._deactivate():
            # torch must not be torn down under a thread that is inside it.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    # --- objects --------------------------------------------------------------------------------

    def _make_object(self, number: int) -> SceneObject | None:
        """The object of a mask id; 0 is the only one, with names and topics without an id."""
        if number in self._objects:
            return self._objects[number]
        now = self._settings
        if len(self._objects) >= now.max_objects:
            self._say('objects', f'mask id {number} is left out: there are max_objects = '
                      f'{now.max_objects} already')
            return None
        category = self._listed.get(number, now.category) if number else now.category
        name = now.object_name
        if number:
            name = '/'.join(x for x in (now.object_name, f'{category}_{number}') if x)
        # Topics allow no hyphen.
        prefix = f'{name.replace("-", "_")}/' if number else ''
        outputs = ObjectOutputs(self, name, prefix, category, self._tf, self._markers,
                                lambda: self._settings, self.get_logger().warning)
        health = Health('waiting', 'not seen yet') if number else self._health
        one = self._objects[number] = SceneObject(number, outputs, health)
        return one

    def _camera_pose(self, header: Header) -> np.ndarray | None:
        if self._buffer is None:
            return None
        frame = self._settings.fixed_frame
        try:
            return poses.matrix_from_transform(self._buffer.lookup_transform(
                frame, header.frame_id, Time.from_msg(header.stamp), Duration(seconds=TF_LIMIT)))
        except TransformException as error:
            raise NoEstimate(f'where {header.frame_id} is in fixed_frame {frame} at the image\'s '
                             f'stamp is not known: {error}') from error

    # --- the service ----------------------------------------------------------------------------

    def _on_estimate(self, response: Trigger.Response, send: Callable[[], None]) -> None:
        """Make full estimates of the next frame and say what they are."""
        if self._scene is None:
            response.message = 'the node is not active'
            send()
            return
        demand = self._scene.demand()

        def answer() -> None:
            response.success, response.message = demand.success, demand.message
            send()

        demand.when_answered(answer)

    # --- state ----------------------------------------------------------------------------------

    def _take_live_parameters(self) -> None:
        self._settings = parameters.read(self, PerceptionParameters)
        if self._scene is not None:
            self._scene.limit_rate(self._settings.max_rate)

    def _watch(self) -> None:
        """Once per second: say what is missing, notice that the input has stopped, report."""
        scene, inputs = self._scene, self._inputs
        if scene is not None and inputs is not None:
            scene.expire_demands()
            complaint, silence = inputs.complaint(), inputs.silence
            if self._health.state in ('waiting', 'stale'):
                if complaint and self._health.state == 'waiting':
                    self._health.enter('waiting', complaint)
                    self._say('waiting', complaint)
                elif complaint and silence < PATIENCE:
                    scene.lose_all('waiting', complaint)
            elif silence > self._settings.lost_after:
                scene.lose_all('stale', f'no more messages on {inputs.topic}')
            elif complaint and silence < PATIENCE:
                scene.lose_all('waiting', complaint)
            else:
                scene.lose_absent()
        self._report()

    def _say(self, state: str, message: str) -> None:
        if self._throttle.lets_through(message):
            if state in ('error', 'bad_input'):
                self.get_logger().error(message)
            elif state in ('lost', 'tracking_lost'):
                self.get_logger().info(message)
            else:
                self.get_logger().warning(message)

    def _age(self, header: Header) -> float:
        clock = self.get_clock()
        age = clock.now() - Time.from_msg(header.stamp, clock.clock_type)
        return 1e-9 * age.nanoseconds

    def _report(self) -> None:
        if not self._configured:
            return
        health, name = self._health, self.get_fully_qualified_name()[1:]
        if self._inputs is not None:
            health.counts['frames_unpaired'] = self._inputs.unpaired
            health.counts['clock_resets'] = self._inputs.resets

        def status(what: str, one: Health, category: str) -> DiagnosticStatus:
            return diagnostics.diagnostic_status(
                f'{name}: {what}', what, LEVELS[one.state], one.message,
                one.values(category=category, device=self._models.device))

        objects = list(self._objects.values())
        self._diagnostics.publish(DiagnosticArray(
            header=Header(stamp=self.get_clock().now().to_msg()),
            status=[*([] if 0 in self._objects else [status(
                'objects', health, ','.join(self._models.categories))]),
                *(status(o.name, o.health, o.category) for o in objects)]))


def _make() -> PerceptionNode:
    node = PerceptionNode()
    node.autostart()
    return node


def main(args: list[str] | None = None) -> int:
    """Entry point of ``perception_node``."""
    memory.settle_heap()
    return run_node(_make, args)


if __name__ == '__main__':
    sys.exit(main())
