"""When the topics of one object are published, with a node that only records."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from estimates import box_mesh, laptop_estimate

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_core.objects.contact import Contact
from kinediff3d_core.objects.estimate import ArticulatedEstimate
from kinediff3d_ros.messages.poses import matrix_from_pose, matrix_from_transform
from kinediff3d_ros.nodes import description_output, marker_output
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.nodes.detections_output import DetectionsOutput
from kinediff3d_ros.nodes.output_context import OutputContext
from kinediff3d_ros.nodes.outputs import ObjectOutputs
from kinediff3d_ros.nodes.points_output import PointsOutput
from kinediff3d_ros.scene.frames import FrameHeader
from kinediff3d_ros.scene.parameters import PerceptionParameters

pytestmark = pytest.mark.ros


class Publisher:
    """Keeps the messages. ``subscribers`` is how many there are."""

    def __init__(self, subscribers: int = 0) -> None:
        self.messages: list = []
        self.subscribers = subscribers

    def publish(self, message: object) -> None:
        self.messages.append(copy.deepcopy(message))

    def get_subscription_count(self) -> int:
        return self.subscribers


class RecordingNode:
    """Makes publishers by topic."""

    def __init__(self) -> None:
        self.topics: dict[str, Publisher] = {}
        self.callbacks: dict[str, Callable] = {}

    def create_publisher(self, kind: type, topic: str, qos: object, **_: object) -> Publisher:
        self.topics[topic] = Publisher()
        return self.topics[topic]

    def create_subscription(self, kind: type, topic: str, callback: Callable, qos: object,
                            **_: object) -> SimpleNamespace:
        self.callbacks[topic] = callback
        return SimpleNamespace(topic=topic, qos_profile=qos)

    def destroy_publisher(self, publisher: Publisher) -> None:
        self.topics = {t: p for t, p in self.topics.items() if p is not publisher}

    def destroy_subscription(self, subscription: SimpleNamespace) -> None:
        del self.callbacks[subscription.topic]

    def resolve_topic_name(self, topic: str) -> str:
        return topic

    def get_publishers_info_by_topic(self, topic: str) -> list:
        return []

    def create_timer(self, *_: object, **__: object) -> None:
        pass

    def destroy_timer(self, timer: None) -> None:
        pass

    def get_namespace(self) -> str:
        return '/left'

    def get_clock(self) -> SimpleNamespace:
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=Time))


class Bench:
    """Outputs of a laptop, at a time that the test sets."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.stamp = 1000.0, 0
        self.waits, self.waiting = False, []
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(description_output, 'time', clock)
        monkeypatch.setattr(marker_output, 'time', clock)
        self.node, self.warnings, self.lock = RecordingNode(), [], threading.RLock()
        self.markers, self.points = Publisher(subscribers=1), Publisher()
        self.detections = Publisher()
        self.tf = SimpleNamespace(sent=[], sendTransform=lambda t: self.tf.sent.append(t))
        self.parameters = PerceptionParameters(description_dir=str(folder))
        self.outputs = ObjectOutputs(
            OutputContext(self.node, self.lock, self.tf, self.markers,
                          PointsOutput(self.points, NodeConfig().max_points),
                          DetectionsOutput(self.detections),
                          SimpleNamespace(submit=self.submit),
                          lambda: self.parameters, self.warnings.append, NodeConfig()),
            'laptop', 'laptop')

    def submit(self, work: Callable[[], None], key: str) -> None:
        """Run what the node's worker would run: at once, or when the test does."""
        if self.waits:
            self.waiting.append(work)
        else:
            work()

    def topic(self, name: str) -> Publisher:
        return self.node.topics[f'laptop/{name}']

    def command(self, *names: str, positions: tuple[float, ...] = ()) -> None:
        self.node.callbacks['laptop/joint_command'](JointState(name=names, position=positions))

    def publish(self, estimate: ArticulatedEstimate, shape_changed: bool = False,
                T_fixed_camera: np.ndarray | None = None, points: int = 10) -> None:
        self.stamp += 1
        self.outputs.publish(estimate, FrameHeader(self.stamp, 'camera'), np.ones((points, 3)),
                             T_fixed_camera, shape_changed)

    def sent(self) -> list[set[tuple[str, int, int]]]:
        """(namespace, id, action) of the markers sent since the last call."""
        arrays = [{(m.ns, m.id, m.action) for m in a.markers} for a in self.markers.messages]
        self.markers.messages.clear()
        return arrays

    def described(self) -> list[str]:
        return [m.data for m in self.topic('robot_description').messages]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def added(*keys: tuple[str, int]) -> set[tuple[str, int, int]]:
    return {(*key, Marker.ADD) for key in keys}


def deleted(*keys: tuple[str, int]) -> set[tuple[str, int, int]]:
    return {(*key, Marker.DELETE) for key in keys}


@pytest.mark.parametrize('refused', ['opening/lid', 'robot_description'])
def test_an_object_whose_topics_cannot_be_made_leaves_none_behind(
        bench: Bench, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """As with an override of a quality of service that cannot be used, at each frame again."""
    create = bench.node.create_publisher

    def create_most(kind: type, topic: str, *arguments: object, **options: object) -> Publisher:
        if topic.endswith(refused):
            raise RuntimeError('reliability `never`')
        return create(kind, topic, *arguments, **options)

    monkeypatch.setattr(bench.node, 'create_publisher', create_most)
    before = set(bench.node.topics), set(bench.node.callbacks)
    with pytest.raises(ValueError, match='never'):
        ObjectOutputs(bench.outputs._context, 'laptop_2', 'laptop')
    assert (set(bench.node.topics), set(bench.node.callbacks)) == before


MESHES, AXIS = [('laptop', 0), ('laptop', 1)], ('laptop/axis', 0)
GHOST = [('laptop/ghost', 0), ('laptop/ghost', 1)]


def test_markers_are_sent_for_a_new_shape_a_new_viewer_and_now_and_then(bench: Bench) -> None:
    estimate = laptop_estimate(1.0)
    bench.publish(estimate, True)
    everything = added(*MESHES, AXIS)
    assert bench.sent() == [everything]
    bench.publish(estimate)
    assert bench.sent() == []
    bench.markers.subscribers = 2
    bench.publish(estimate)
    assert bench.sent() == [everything]
    bench.markers.subscribers = 1  # a viewer that leaves does not need the markers
    bench.publish(estimate)
    assert bench.sent() == []
    bench.now += 4.9
    bench.publish(estimate)
    assert bench.sent() == []
    bench.now += 0.1
    bench.publish(estimate)
    assert bench.sent() == [everything]
    base, lid = estimate.parts
    other = replace(estimate, parts=(base, replace(lid, mesh=box_mesh((0.1, 0.1, 0.1)))))
    bench.publish(other, True)
    assert bench.sent() == [everything]


def test_moved_axes_are_sent_without_the_meshes(bench: Bench) -> None:
    estimate = laptop_estimate(1.0)
    bench.publish(estimate, True)
    bench.sent()
    bench.publish(estimate, True)
    assert bench.sent() == [added(AXIS)]


def test_markers_carry_the_stamp_of_their_frame(bench: Bench) -> None:
    estimate = laptop_estimate(1.0)
    bench.publish(estimate, True)
    bench.now += 10.0
    bench.publish(estimate)
    assert [{m.header.stamp.nanosec for m in a.markers} for a in bench.markers.messages] == [
        {1}, {2}]


def test_markers_are_sent_before_their_lifetime_ends_also_without_a_frame(bench: Bench) -> None:
    config = NodeConfig()
    bench.outputs.refresh()
    assert bench.sent() == []
    bench.publish(laptop_estimate(1.0), True)
    bench.command('laptop_lid_joint', positions=(2.0,))
    everything = {key for sent in bench.sent() for key in sent}
    assert everything == added(*MESHES, AXIS, *GHOST)
    assert config.marker_lifetime >= 2 * (config.markers_period + config.watch_period)
    for _ in range(3):
        bench.now += config.markers_period - 0.1
        bench.outputs.refresh()
        assert bench.sent() == []
        bench.now += config.watch_period
        bench.outputs.refresh()
        assert bench.sent() == [everything]
    bench.outputs.clear()
    bench.sent()
    bench.now += 100.0
    bench.outputs.refresh()
    assert bench.sent() == []


def test_markers_of_missing_parts_and_of_the_whole_object_are_deleted(bench: Bench) -> None:
    estimate = laptop_estimate(1.0)
    bench.publish(estimate, True)
    bare = replace(estimate, parts=tuple(replace(p, mesh=None) for p in estimate.parts))
    bench.sent()
    bench.publish(bare, True)
    assert bench.sent() == [added(AXIS) | deleted(*MESHES)]
    bench.outputs.clear()
    assert bench.sent() == [deleted(AXIS)]
    bench.outputs.clear()
    assert bench.sent() == []


def test_descriptions_are_published_for_new_shapes_once_per_period(bench: Bench) -> None:
    estimate = laptop_estimate(1.0)
    bench.publish(estimate, True)
    bench.publish(estimate)
    assert len(bench.described()) == 1
    bench.publish(estimate, True)  # too early
    bench.now += 9.9
    bench.publish(estimate)
    assert len(bench.described()) == 1
    bench.now += 0.1
    bench.publish(estimate)
    bench.now += 20.0
    bench.publish(estimate)
    assert len(bench.described()) == 2
    # The meshes have not changed: their files are links.
    meshes = re.compile('file://([^"]+/(?:base|lid).obj)')
    files = [[Path(x) for x in meshes.findall(text)] for text in bench.described()]
    assert files[0] and all(a != b and a.samefile(b) for a, b in zip(*files, strict=True))


def test_a_description_that_cannot_be_written_is_a_warning_and_tried_again(
        bench: Bench, tmp_path: Path) -> None:
    blocked = tmp_path / 'left'
    blocked.write_text('no directory')
    bench.publish(laptop_estimate(1.0), True)
    assert not bench.described() and 'robot_description of laptop' in bench.outputs.warning
    assert len(bench.topic('joint_states').messages) == 1 and bench.tf.sent
    assert bench.warnings == [bench.outputs.warning]
    bench.now += 9.9
    bench.publish(laptop_estimate(1.0))
    assert len(bench.warnings) == 1
    bench.now += 0.1
    bench.publish(laptop_estimate(1.0))
    assert len(bench.warnings) == 2
    blocked.unlink()
    bench.now += 10.0
    bench.publish(laptop_estimate(1.0))
    assert len(bench.described()) == 1 and not bench.outputs.warning


def test_frames_do_not_wait_for_their_description(bench: Bench) -> None:
    bench.waits = True
    bench.publish(laptop_estimate(1.0), True)
    assert len(bench.topic('joint_states').messages) == 1 and not bench.described()
    bench.waiting.pop()()
    assert len(bench.described()) == 1
    # What is withdrawn meanwhile is not described.
    bench.now += 10.0
    bench.publish(laptop_estimate(1.0), True)
    bench.outputs.clear()
    bench.waiting.pop()()
    assert len(bench.described()) == 1


def test_meshes_have_the_addresses_of_the_parameter(bench: Bench) -> None:
    for address, start in (('relative', 'meshes/'), ('package://mine/x/', 'package://mine/x/left/')):
        bench.parameters = replace(bench.parameters, mesh_uri=address)
        bench.now += 10.0
        bench.publish(laptop_estimate(1.0), True)
        found = re.findall('filename="([^"]+)', bench.described()[-1])
        assert found and all(x.startswith(start) and x.count('//') < 2 for x in found)


def test_the_description_is_published_when_the_object_appears_again(bench: Bench) -> None:
    bench.parameters = replace(bench.parameters, description_period=0.0)
    for count in (1, 2):
        bench.publish(laptop_estimate(1.0), True)
        bench.now += 1e6
        bench.publish(laptop_estimate(1.0), True)
        assert len(bench.described()) == count
        bench.outputs.clear()
    bench.parameters = replace(bench.parameters, publish_meshes=False)
    bench.publish(laptop_estimate(1.0), True)
    assert len(bench.described()) == 2


def test_topics_without_subscribers_are_not_published(bench: Bench) -> None:
    optional = ('joint_states_stddev', 'pose/base', 'pose/lid', 'axis/lid_joint',
                'axis_with_covariance/lid_joint', *CONTACT_TOPICS)
    bench.publish(laptop_estimate(1.0), True)
    assert not any(bench.topic(name).messages for name in optional)
    assert not bench.points.messages
    assert len(bench.topic('joint_states').messages) == len(bench.tf.sent) == 1
    for topic in (bench.points, *map(bench.topic, optional)):
        topic.subscribers = 1
    bench.publish(laptop_estimate(1.0))
    assert all(len(bench.topic(name).messages) == 1 for name in optional)
    assert len(bench.points.messages) == 1


@pytest.mark.parametrize(('points', 'published'), [
    (9_999, 9_999), (10_000, 10_000), (10_001, 5_001), (25_000, 8_334)])
def test_points_are_thinned(bench: Bench, points: int, published: int) -> None:
    bench.points.subscribers = 1
    bench.publish(laptop_estimate(1.0), points=points)
    assert bench.points.messages[0].width == published


CONTACT_TOPICS = ('contact/lid', 'contact_candidates/lid', 'handles/lid', 'opening/lid',
                  'opening_end/lid')


@pytest.mark.parametrize('topic', CONTACT_TOPICS)
def test_contacts_are_found_once_per_shape_and_only_for_a_subscriber(
        bench: Bench, monkeypatch: pytest.MonkeyPatch, topic: str) -> None:
    from kinediff3d_core.objects import contact_tracking

    found, contacts = [], {'lid': (laptop_contact(),)}
    monkeypatch.setattr(contact_tracking, 'contact_candidates',
                        lambda e, _: found.append(e) or contacts)
    bench.publish(laptop_estimate(1.0), True)
    assert not found
    bench.topic(topic).subscribers = 1
    for shape_changed, count in ((True, 1), (False, 1), (True, 2)):
        bench.publish(laptop_estimate(1.0), shape_changed)
        assert len(found) == count
    bench.outputs.clear()
    bench.publish(laptop_estimate(1.0))
    assert len(found) == 3


def test_contacts_are_prepared_while_they_have_a_subscriber(
        bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is found on another thread is not found again when it is published."""
    from kinediff3d_core.objects import contact as core

    found, choose = [], core.choose_features
    monkeypatch.setattr(core, 'choose_features', lambda *x: found.append(x) or choose(*x))
    for subscribers, count in ((0, 0), (1, 2)):
        bench.topic('contact/lid').subscribers = subscribers
        bench.publish(laptop_estimate(1.0), True)
        new = laptop_estimate(1.0)
        bench.outputs.prepare(new)
        assert len(found) == count
        bench.publish(new, True)
        assert len(found) == count


def laptop_contact() -> Contact:
    T = np.eye(4)
    T[:3, 3] = 0.22, 0.0, 0.005
    pose = laptop_estimate(1.0).parts[1].T_camera_part
    return Contact('lid_joint', 'lid', 'edge', T, pose @ T, np.array([0.006, 0.2, 0.2]), 0.6, True)


def test_opening_paths_end_at_the_target_of_the_parameters(bench: Bench) -> None:
    """Live: a share of the joint's range."""
    bench.topic('opening/lid').subscribers = 1
    bench.publish(laptop_estimate(1.0), True)
    bench.parameters = replace(bench.parameters, opening_target=0.5)
    bench.publish(laptop_estimate(1.0))
    for message, q in zip(bench.topic('opening/lid').messages, (np.pi, np.pi / 2), strict=True):
        first, last = (matrix_from_pose(message.poses[i].pose) for i in (0, -1))
        here, there = (laptop_estimate(x).parts[1].T_camera_part for x in (1.0, q))
        np.testing.assert_allclose(last, there @ np.linalg.inv(here) @ first, atol=1e-9)
    assert {p.header.stamp.sec for p in message.poses} == {message.header.stamp.sec}


@pytest.mark.parametrize(('value', 'children'), [
    ('parts', ['laptop_base', 'laptop_lid']), ('base', ['laptop']), ('none', None)])
def test_publish_tf_selects_the_transforms(bench: Bench, value: str, children: list | None,
                                           ) -> None:
    bench.parameters = replace(bench.parameters, publish_tf=value)
    bench.publish(laptop_estimate(1.0))
    assert [[t.child_frame_id for t in sent] for sent in bench.tf.sent] == (
        [] if children is None else [children])


def test_under_a_fixed_frame_poses_are_transformed_and_the_joints_keep_the_camera(
        bench: Bench) -> None:
    bench.parameters = replace(bench.parameters, fixed_frame='map')
    bench.topic('pose/lid').subscribers = 1
    T = np.eye(4)
    T[:3, 3] = 1.0, 2.0, 3.0
    estimate = laptop_estimate(1.0)
    bench.publish(estimate, T_fixed_camera=T)
    sent, pose = bench.tf.sent[0][1], bench.topic('pose/lid').messages[0]
    expected = T @ estimate.parts[1].T_camera_part
    np.testing.assert_allclose(matrix_from_transform(sent), expected, atol=1e-9)
    np.testing.assert_allclose(matrix_from_pose(pose.pose.pose), expected, atol=1e-9)
    assert sent.header.frame_id == pose.header.frame_id == 'map'
    assert bench.topic('joint_states').messages[0].header.frame_id == 'camera'


def test_detections_are_made_for_subscribers_in_the_frame_of_the_image(bench: Bench) -> None:
    """Also where the poses of other topics are under a fixed frame."""
    estimate, T = laptop_estimate(1.0), np.eye(4)
    T[:3, 3] = 1.0, 2.0, 3.0
    for subscribers in (0, 1):
        bench.detections.subscribers = subscribers
        bench.publish(estimate, T_fixed_camera=T)
        bench.outputs._context.detections.end_frame(bench.stamp, False)
    bench.outputs.clear()
    array, empty = bench.detections.messages
    detection, = array.detections
    assert detection.header.frame_id == 'camera' and detection.id == 'laptop'
    np.testing.assert_allclose(matrix_from_pose(detection.results[0].pose.pose),
                               estimate.T_camera_base, atol=1e-9)
    assert not empty.detections


def test_a_ghost_stays_until_a_command_without_names(bench: Bench) -> None:
    bench.command('laptop_lid_joint', positions=(2.0,))
    assert bench.warnings == ['joint_command came while laptop is not estimated']
    estimate = laptop_estimate(1.0)
    bench.publish(estimate, True)
    bench.sent()
    bench.command('laptop_lid_joint', positions=(9.0,))
    assert len(bench.warnings) == 2 and bench.sent() == []
    bench.command('laptop_lid_joint', positions=(2.0,))
    assert bench.sent() == [added(*GHOST)]
    bench.publish(estimate, True)
    assert bench.sent() == [added(AXIS, *GHOST)]
    bench.command()
    assert bench.sent()[-1] == deleted(*GHOST)
    bench.now += 10.0
    bench.publish(estimate, True)
    assert bench.sent() == [added(AXIS, *MESHES)]


def test_a_ghost_that_does_not_fit_a_newer_estimate_is_not_shown(bench: Bench) -> None:
    estimate = laptop_estimate(1.0)
    bench.publish(estimate, True)
    bench.command('laptop_lid_joint', positions=(2.0,))
    bench.now += 10.0
    narrow = replace(estimate, joints=(replace(estimate.joints[0], upper=1.5),))
    bench.sent()
    bench.publish(narrow, True)
    assert bench.sent() == [added(AXIS, *MESHES) | deleted(*GHOST)]


def test_a_command_while_the_object_is_withdrawn(
        bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scene's threads withdraw it before or after the command, not in the middle of it."""
    bench.publish(laptop_estimate(1.0), shape_changed=True)
    original, threads = marker_output.planning.commanded_positions, []

    def withdraw() -> None:
        with bench.lock:
            bench.outputs.clear()

    def commanded_positions(*arguments: object) -> object:
        threads.append(threading.Thread(target=withdraw))
        threads[-1].start()
        threads[-1].join(0.2)
        return original(*arguments)

    monkeypatch.setattr(marker_output.planning, 'commanded_positions', commanded_positions)
    bench.command('laptop_lid_joint', positions=(2.0,))
    for thread in threads:
        thread.join(30.0)
    assert len(threads) == 2 and not bench.warnings
    last = bench.markers.messages[-1].markers
    assert {m.action for m in last} == {Marker.DELETE} and 'laptop/ghost' in {m.ns for m in last}
    bench.command('laptop_lid_joint', positions=(2.0,))
    assert bench.warnings == ['joint_command came while laptop is not estimated']


def test_another_category_has_other_topics_of_parts_and_joints(bench: Bench) -> None:
    bench.publish(laptop_estimate(1.0), True)
    bench.command('laptop_lid_joint', positions=(2.0,))
    bench.sent()
    bench.outputs.set_category('stapler')
    assert bench.sent() == [deleted(AXIS, *MESHES, *GHOST)]
    assert (bench.outputs.name, bench.outputs.category) == ('laptop', 'stapler')
    names = {t.removeprefix('laptop/') for t in bench.node.topics}
    assert {'joint_states', 'pose/arm', 'axis/arm_joint'} <= names
    assert not any('lid' in name for name in names)
    bench.outputs.close()
    assert not bench.node.topics and not bench.node.callbacks


def test_corners_are_prepared_with_the_meshes(bench: Bench) -> None:
    mesh = laptop_estimate(1.0)
    bench.outputs.prepare(mesh)
    bench.publish(mesh, True)
    array = bench.markers.messages[0]
    assert isinstance(array, MarkerArray) and len(array.markers[0].points) == 36
