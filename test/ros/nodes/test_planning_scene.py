"""A planner's world that ``collision_object`` alone fills, beside the truth: processes over DDS.

It follows the rules of MoveIt's planning scene: a subscription that keeps ten messages, ADD
replaces, and what does not fit is an error. Every pose is that of a full estimate: how accurate
tracking is depends on the frames that a busy machine leaves out, and test/tracking measures it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('moveit_msgs', reason='needs moveit_msgs')

from geometry_msgs.msg import PoseStamped  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from moveit_msgs.msg import CollisionObject  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.simulation.camera import SimulatedScene
from kinediff3d_ros.messages.poses import matrix_from_pose
from kinediff3d_ros.tools.processes import NodeProcess, private_graph
from kinediff3d_ros.tools.recorder import Recorder, stamp_key

pytestmark = pytest.mark.ros

LIMIT = 240.0
"""Seconds for a node to start and to answer on a crowded machine."""
POSITION, ANGLE = 0.02, np.radians(3.0)
"""How near to the truth the parts have to be, m and rad."""
KEPT = 10
"""Messages that MoveIt's subscription keeps (``rclcpp::ServicesQoS``)."""
PARTS = {'laptop_base', 'laptop_lid'}
CAMERA = Intrinsics(450.0, 450.0, 239.5, 179.5, 480, 360)
STATES, INSTANCE = 13, 1


class World:
    """What a planner has, from the messages alone."""

    def __init__(self, recorder: Recorder) -> None:
        self._log = recorder.subscribe(CollisionObject, '/collision_object', KEPT)
        self._seen = 0
        self.objects: dict[str, CollisionObject] = {}
        self.poses: list[tuple[str, tuple[int, int], np.ndarray]] = []
        self.errors: list[str] = []
        self.moves = 0

    def update(self) -> dict[str, CollisionObject]:
        """Apply what has arrived; what there is now, by id."""
        messages = [m for _, m in list(self._log.entries)[self._seen:]]
        self._seen += len(messages)
        for message in messages:
            self._apply(message)
        return self.objects

    def _apply(self, message: CollisionObject) -> None:
        known = message.id in self.objects
        if message.operation == CollisionObject.REMOVE:
            if not known:
                self.errors.append(f'{message.id} is removed and not there')
            self.objects.pop(message.id, None)
            return
        if message.operation == CollisionObject.ADD:
            if not message.meshes or message.type.key != 'laptop':
                self.errors.append(f'{message.id} is added without a shape or a type')
            self.objects[message.id] = message
        elif message.operation == CollisionObject.MOVE and known and not message.meshes:
            self.objects[message.id].pose = message.pose
            self.moves += 1
        else:
            self.errors.append(f'{message.id} cannot be moved')
        self.poses.append((message.id, stamp_key(message), matrix_from_pose(message.pose)))


class Graph:
    """A camera, the perception node, and planners."""

    def __init__(self, recorder: Recorder, folder: Path) -> None:
        self.recorder = recorder
        self.world = World(recorder)
        self.joints = recorder.subscribe(JointState, '/truth/joint_states', 100)
        self.base = recorder.subscribe(PoseStamped, '/truth/pose', 100)
        self.camera = NodeProcess('camera_sim', folder / 'camera.log', dict(
            instance=INSTANCE, states=STATES, rate=10.0, sweep_period=10.0, width=CAMERA.width,
            height=CAMERA.height, focal_length=CAMERA.fx))
        self.perception = NodeProcess('perception', folder / 'perception.log', dict(
            threads=1, planning_scene=True, tracking=False, mesh_period=60.0, lost_after=1.0,
            collision_pieces=0, description_dir=str(folder / 'description')))
        self.scene = SimulatedScene.sample('laptop', 0, INSTANCE, CAMERA, STATES)

    def wait(self, condition, what: str):
        try:
            return self.recorder.wait_for(condition, LIMIT, what)
        except TimeoutError as error:
            said = '\n'.join(p.output()[-1500:] for p in (self.camera, self.perception))
            raise AssertionError(f'{error}; the nodes said:\n{said}') from None

    def has(self, parts: set[str], world: World | None = None) -> None:
        """Wait until a planner has these parts and no others."""
        world = world or self.world
        self.wait(lambda: set(world.update()) == parts, f'world with {parts}')

    def truth(self) -> dict[tuple[int, int], tuple[float, np.ndarray]]:
        """Position of the joint and T_camera_base by stamp."""
        base = {stamp_key(m): matrix_from_pose(m.pose) for m in self.base.messages}
        return {stamp_key(m): (m.position[0], base[stamp_key(m)]) for m in self.joints.messages
                if stamp_key(m) in base}

    def errors(self) -> np.ndarray:
        """Errors (N, 3) of all poses so far: m, rad, and the true position of the joint."""
        truth, errors = self.truth(), []
        for name, stamp, T in self.world.poses:
            if stamp not in truth:
                continue
            q, T_camera_base = truth[stamp]
            poses = self.scene.instances.part_poses(
                torch.tensor([[q]], dtype=torch.float32),
                torch.as_tensor(T_camera_base, dtype=torch.float32)[None])[0]
            true = poses[int(name == 'laptop_lid')].double().numpy()
            turn = (np.trace(true[:3, :3].T @ T[:3, :3]) - 1) / 2
            errors.append((np.linalg.norm(true[:3, 3] - T[:3, 3]),
                           np.arccos(np.clip(turn, -1, 1)), q))
        return np.array(errors).reshape(-1, 3)

    def call(self, kind: type, name: str, request):
        client = self.recorder.node.create_client(kind, f'/perception/{name}')
        assert client.wait_for_service(LIMIT)
        future = client.call_async(request)
        self.wait(future.done, 'answer')
        return future.result()

    def set(self, name: str, value: object):
        """The result of setting a parameter."""
        return self.call(SetParameters, 'set_parameters', SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()])).results[0]

    def change(self, transition: int) -> None:
        assert self.call(ChangeState, 'change_state', ChangeState.Request(
            transition=Transition(id=transition))).success


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    with Recorder(private_graph()) as recorder:
        value = Graph(recorder, tmp_path)
        try:
            yield value
        finally:
            for process in (value.camera, value.perception):
                if process.exit_status is None:
                    os.kill(process.pid, signal.SIGCONT)
                process.stop(timeout=5.0)


def near(errors: np.ndarray) -> bool:
    return bool((errors[:, 0] < POSITION).all() and (errors[:, 1] < ANGLE).all())


@pytest.mark.timeout(900)
def test_a_planner_has_the_parts_where_they_are(graph: Graph) -> None:
    graph.has(PARTS)
    low, high = graph.scene.positions.min().item(), graph.scene.positions.max().item()

    def swept() -> bool:
        graph.world.update()
        q = graph.errors()[:, 2]
        return bool(len(q) and q.min() < low + 0.25 * (high - low)
                    and q.max() > high - 0.25 * (high - low))

    graph.wait(swept, 'sweep from closed to open')
    assert near(graph.errors()), graph.errors()

    # Lost and found again: the camera stops, and continues.
    os.kill(graph.camera.pid, signal.SIGSTOP)
    graph.has(set())
    os.kill(graph.camera.pid, signal.SIGCONT)
    graph.has(PARTS)

    # A planner that joins late.
    late = World(graph.recorder)
    graph.has(PARTS, late)

    # The part that is being grasped is left out, and is there again afterwards.
    assert graph.set('planning_parts', 'base').successful
    graph.has({'laptop_base'})
    refused = graph.set('planning_parts', 'base, ldi')
    assert not refused.successful and 'did you mean lid?' in refused.reason
    assert graph.set('planning_parts', '').successful
    graph.has(PARTS)

    graph.change(Transition.TRANSITION_DEACTIVATE)
    graph.has(set())
    graph.has(set(), late)
    graph.change(Transition.TRANSITION_ACTIVATE)
    graph.has(PARTS)
    assert graph.perception.stop(signal.SIGINT, LIMIT) == 0
    graph.has(set())
    assert near(graph.errors()), graph.errors()
    assert graph.world.errors == [] and graph.world.moves > 0
