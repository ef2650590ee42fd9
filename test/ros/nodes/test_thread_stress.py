"""The node changes its state while messages and calls arrive from four threads, over DDS."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from deadlines import run_within
from instant_models import LIMIT
from slow_models import SlowModels

pytest.importorskip('rclpy', reason='needs ROS 2')

from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402
from spinning import spinning  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_ros.messages import camera_info, images
from kinediff3d_ros.nodes import perception, running
from kinediff3d_ros.nodes.running import make_executor
from kinediff3d_ros.tools.processes import private_graph
from kinediff3d_ros.tools.recorder import Recorder

pytestmark = pytest.mark.ros

CAMERA = Intrinsics(60.0, 60.0, 31.5, 23.5, 64, 48)
ACTIVATIONS = 8
ACTIVE = 0.15
"""Seconds from an activation to the deactivation."""
DEADLINE = 90.0
"""Seconds for all; a quiet core needs a twentieth of them."""


class Bench:
    """The node on its executor, and a second node that sends and calls."""

    def __init__(self, node: perception.PerceptionNode, recorder: Recorder) -> None:
        self.node, self.recorder = node, recorder
        create = recorder.node.create_publisher
        self.depth, self.mask = (create(Image, t, 10) for t in ('/depth/image_rect', '/mask'))
        self.info = create(CameraInfo, '/depth/camera_info', 10)
        self.commands = [create(JointState, f'/laptop_{i}/joint_command', 10) for i in (1, 2)]
        client = recorder.node.create_client
        self.change = client(ChangeState, '/perception/change_state')
        self.set = client(SetParameters, '/perception/set_parameters')
        self.ask = client(Trigger, '/estimate')
        self.asked: list = []
        self.closing = threading.Event()

    def call(self, client, request):
        assert client.wait_for_service(LIMIT)
        future = client.call_async(request)
        self.recorder.wait_for(future.done, LIMIT, 'answer')
        return future.result()

    def transition(self, number: int) -> None:
        assert self.call(self.change, ChangeState.Request(
            transition=Transition(id=number))).success

    def show(self, chance: random.Random) -> None:
        stamp = self.recorder.node.get_clock().now().to_msg()
        header = Header(stamp=stamp, frame_id='camera')
        depth, mask = np.zeros((48, 64), np.float32), np.zeros((48, 64), np.uint8)
        for i in range(chance.randrange(4)):
            at = np.s_[8:40, 4 + 20 * i:20 + 20 * i]
            depth[at], mask[at] = 1.0 + chance.random(), i + chance.choice([1, 1, 100])
        self.info.publish(camera_info.info_from_intrinsics(CAMERA, header))
        if chance.random() < 0.9:
            self.mask.publish(images.image_from_pixels(mask, 'mono8', header))
        if chance.random() < 0.05:
            depth = depth[:, :32]
        self.depth.publish(images.image_from_pixels(depth, '32FC1', header))
        time.sleep(0.005)

    def command(self, chance: random.Random) -> None:
        for publisher in self.commands:
            publisher.publish(JointState(name=['laptop_1_lid_joint'][:chance.randrange(2)],
                                         position=[1.0][:chance.randrange(2)]))
        time.sleep(0.01)

    def request(self, chance: random.Random) -> None:
        if self.ask.service_is_ready():
            self.asked.append(self.ask.call_async(Trigger.Request()))
        time.sleep(0.05)

    def set_parameters(self, chance: random.Random) -> None:
        self.call(self.set, SetParameters.Request(parameters=[
            Parameter(k, value=v).to_parameter_msg() for k, v in {
                'tracking': chance.random() < 0.8, 'publish_meshes': chance.random() < 0.8,
                'max_rate': chance.choice([0.0, 100.0])}.items()]))

    def repeat(self, act: Callable[[random.Random], None], seed: int) -> None:
        chance = random.Random(seed)
        while not self.closing.is_set():
            act(chance)

    def run(self) -> None:
        acts = (self.show, self.command, self.request, self.set_parameters)
        threads = [threading.Thread(target=self.repeat, args=(act, i), daemon=True)
                   for i, act in enumerate(acts)]
        for thread in threads:
            thread.start()
        try:
            for i in range(ACTIVATIONS):
                if i % 4 == 0:
                    self.transition(Transition.TRANSITION_CONFIGURE)
                self.transition(Transition.TRANSITION_ACTIVATE)
                time.sleep(ACTIVE)
                self.transition(Transition.TRANSITION_DEACTIVATE)
                if i % 4 == 3:
                    self.transition(Transition.TRANSITION_CLEANUP)
        finally:
            self.closing.set()
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive()


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> SlowModels:
    value = SlowModels()
    monkeypatch.setattr(perception, 'Models', lambda *_: value)
    return value


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is logged of exceptions in callbacks."""
    lines: list[str] = []

    class Logger:
        error = staticmethod(lines.append)

    monkeypatch.setattr(running, 'get_logger', lambda _: Logger)
    return lines


@pytest.fixture
def bench(models: SlowModels, faults: list[str], tmp_path: Path) -> Iterator[Bench]:
    domain, context = private_graph(), Context()
    context.init(domain_id=domain)
    node = perception.PerceptionNode(context=context, cli_args=[
        '--ros-args', '-p', 'autostart:=false', '-p', 'instances:=each', '-p', 'lost_after:=0.3',
        '-p', f'description_dir:={tmp_path}', '--log-level', 'fatal'])
    executor = make_executor(context)
    executor.add_node(node)
    with Recorder(domain) as recorder, spinning(executor):
        yield Bench(node, recorder)
    node.close()
    node.destroy_node()
    context.try_shutdown()


@pytest.mark.timeout(2 * DEADLINE)
def test_the_node_changes_its_state_while_everything_arrives(
        bench: Bench, models: SlowModels, faults: list[str]) -> None:
    run_within(DEADLINE, bench.run)
    assert not faults, 'an exception in a callback'
    assert models.most == 1, 'two full estimates at a time'
    # A call is lost only with the service, at a cleanup.
    lost = sum(not f.done() for f in bench.asked)
    assert models.calls and lost < len(bench.asked) / 2
    # Whatever has happened, the node works.
    models.fault_share = 0.0
    for number in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        bench.transition(number)
    future, chance = bench.ask.call_async(Trigger.Request()), random.Random(1)
    end = time.monotonic() + LIMIT
    while not future.done() and time.monotonic() < end:
        bench.show(chance)
    assert future.done() and 'laptop_' in future.result().message
    bench.transition(Transition.TRANSITION_DEACTIVATE)
    assert not any(t.name in ('tracking', 'estimating') for t in threading.enumerate())


def test_deactivation_waits_for_the_step_of_a_full_estimate_and_activation_for_its_end(
        bench: Bench, models: SlowModels) -> None:
    """Never two threads in one pipeline; and the end of the node waits, too."""
    models.fault_share, inside, proceed = 0.0, threading.Event(), threading.Event()
    bench.node.config = perception.NodeConfig(join_timeout=0.1)

    def step() -> None:
        inside.set()
        assert proceed.wait(LIMIT)

    models.before_inference = step
    bench.transition(Transition.TRANSITION_CONFIGURE)
    bench.transition(Transition.TRANSITION_ACTIVATE)
    chance, end = random.Random(0), time.monotonic() + LIMIT
    while not inside.is_set() and time.monotonic() < end:
        bench.show(chance)
    bench.transition(Transition.TRANSITION_DEACTIVATE)
    refused = bench.call(bench.change, ChangeState.Request(
        transition=Transition(id=Transition.TRANSITION_ACTIVATE)))
    assert not refused.success and 'activate again' in bench.node._fault
    proceed.set()
    models.before_inference = lambda: None
    bench.node.config = perception.NodeConfig(join_timeout=LIMIT)
    bench.transition(Transition.TRANSITION_ACTIVATE)
    assert models.most == 1
    bench.transition(Transition.TRANSITION_DEACTIVATE)
