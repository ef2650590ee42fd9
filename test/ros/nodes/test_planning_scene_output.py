"""When collision objects of one object are made and published, without DDS."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from estimates import box, laptop_estimate
from instant_models import InstantModels

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('moveit_msgs', reason='needs moveit_msgs')

from moveit_msgs.msg import CollisionObject  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.node import Node  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.messages.poses import matrix_from_pose
from kinediff3d_ros.nodes import optional_outputs, scene_host
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.planning_scene_output import PlanningSceneOutput
from kinediff3d_ros.scene.parameters import PerceptionParameters
from kinediff3d_ros.tools.processes import private_graph

pytestmark = pytest.mark.ros

NAMES = {CollisionObject.ADD: 'add', CollisionObject.MOVE: 'move',
         CollisionObject.REMOVE: 'remove'}


class Bench:
    """The output of a laptop; the test runs what the worker would run."""

    def __init__(self) -> None:
        self.messages: list[CollisionObject] = []
        self.waiting: list[Callable[[], None]] = []
        self.subscribers, self.parameters = 1, PerceptionParameters(planning_motion=0.0)
        publisher = SimpleNamespace(
            publish=lambda m: self.messages.append(copy.deepcopy(m)),
            get_subscription_count=lambda: self.subscribers)
        self.output = PlanningSceneOutput(SimpleNamespace(
            lock=threading.RLock(), parameters=lambda: self.parameters, config=NodeConfig(),
            worker=SimpleNamespace(submit=lambda work, key: self.waiting.append(work))),
            publisher, 'laptop')

    def update(self, estimate: ArticulatedEstimate, shape_changed: bool = False) -> None:
        self.output.update(estimate, Header(frame_id='camera'), shape_changed)

    def work(self) -> None:
        for work in self.waiting:
            work()
        self.waiting.clear()

    def sent(self) -> list[tuple[str, str]]:
        """Operation and id of what was sent since the last call."""
        sent = [(NAMES[m.operation], m.id) for m in self.messages]
        self.messages.clear()
        return sent


@pytest.fixture
def bench() -> Bench:
    return Bench()


BOTH = [('add', 'laptop_base'), ('add', 'laptop_lid')]


def test_shapes_are_made_by_the_worker_and_added_where_the_parts_are_by_then(bench: Bench) -> None:
    bench.update(laptop_estimate(1.0), True)
    assert bench.sent() == []
    newest = laptop_estimate(1.2)
    bench.update(newest)
    bench.work()
    np.testing.assert_allclose(matrix_from_pose(bench.messages[1].pose),
                               newest.parts[1].T_camera_part, atol=1e-9)
    assert bench.sent() == BOTH
    bench.update(laptop_estimate(1.3))
    assert bench.sent() == [('move', 'laptop_lid')] and not bench.waiting


def test_a_subscriber_that_joins_gets_everything_at_once_without_a_new_frame(bench: Bench) -> None:
    bench.subscribers = 0
    bench.update(laptop_estimate(1.0), True)
    bench.work()
    bench.output.refresh()
    assert bench.sent() == [] and not bench.waiting
    bench.subscribers = 1
    bench.output.refresh()
    assert bench.sent() == BOTH and not bench.waiting
    bench.subscribers = 0
    bench.output.clear()
    bench.subscribers = 1
    bench.output.refresh()
    assert ('add', 'laptop_lid') not in bench.sent()


def test_what_is_withdrawn_while_its_shape_is_made_is_not_added(bench: Bench) -> None:
    bench.update(laptop_estimate(1.0), True)
    bench.output.clear()
    bench.work()
    assert bench.sent() == []
    bench.update(laptop_estimate(1.0), True)
    bench.work()
    bench.output.clear()
    assert bench.sent() == [*BOTH, ('remove', 'laptop_base'), ('remove', 'laptop_lid')]
    bench.output.refresh()
    assert bench.sent() == []


def test_a_new_shape_replaces_the_old_one(bench: Bench) -> None:
    estimate = laptop_estimate(1.0)
    bench.update(estimate, True)
    bench.work()
    bench.sent()
    fine = replace(estimate.parts[1], mesh=box((0, -0.1, 0), (0.2, 0.1, 0.01), cuts=4))
    bench.update(replace(estimate, parts=(estimate.parts[0], fine)), True)
    bench.work()
    assert len(bench.messages[1].meshes[0].triangles) > 100 and bench.sent() == BOTH
    bench.parameters = replace(bench.parameters, planning_triangles=100)
    bench.output.refresh()
    bench.work()
    assert len(bench.messages[1].meshes[0].triangles) <= 100 and bench.sent() == BOTH


def test_parts_that_are_left_out_are_removed_without_a_new_frame(bench: Bench) -> None:
    bench.update(laptop_estimate(1.0), True)
    bench.work()
    bench.sent()
    bench.parameters = replace(bench.parameters, planning_parts='base')
    bench.output.refresh()
    assert bench.sent() == [('remove', 'laptop_lid')]
    bench.parameters = replace(bench.parameters, planning_parts='base, laptop_lid')
    bench.output.refresh()
    assert bench.sent() == [('add', 'laptop_lid')]


def test_without_meshes_there_are_no_collision_objects(bench: Bench) -> None:
    estimate = laptop_estimate(1.0)
    bench.update(estimate, True)
    bench.work()
    bench.sent()
    bench.update(replace(estimate, parts=tuple(
        replace(part, mesh=None) for part in estimate.parts)), True)
    assert bench.sent() == [('remove', 'laptop_base'), ('remove', 'laptop_lid')]
    bench.work()
    assert bench.sent() == []


@pytest.mark.parametrize('installed', [True, False])
def test_without_moveit_msgs_one_line_says_what_to_install(
        installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture) -> None:
    if not installed:
        monkeypatch.setattr(optional_outputs, 'find_spec', lambda name: None)
    parameters = PerceptionParameters(planning_scene=True, description_dir=str(tmp_path))
    context = Context()
    context.init(domain_id=private_graph())
    node = Node('perception', context=context)
    host = scene_host.NodeSceneHost(node, lambda: parameters, InstantModels(), NodeConfig())
    host.open()
    topics = {name for name, _ in node.get_publisher_names_and_types_by_node('perception', '/')}
    host.close()
    node.destroy_node()
    context.try_shutdown()
    said = [line for line in capfd.readouterr().err.splitlines() if 'moveit' in line]
    assert ('/collision_object' in topics) == installed and '/markers' in topics
    assert len(said) == (0 if installed else 1)
    assert installed or 'apt install ros-$ROS_DISTRO-moveit-msgs' in said[0]


def test_a_part_that_does_not_exist_is_refused_when_the_node_is_configured(tmp_path: Path) -> None:
    parameters = PerceptionParameters(planning_parts='base, ldi', description_dir=str(tmp_path))
    context = Context()
    context.init(domain_id=private_graph())
    node = Node('perception', context=context)
    host = scene_host.NodeSceneHost(node, lambda: parameters, InstantModels(), NodeConfig())
    with pytest.raises(ValueError, match=r"lists 'ldi' \(did you mean lid\?\)"):
        host.open()
    host.close()
    node.destroy_node()
    context.try_shutdown()
