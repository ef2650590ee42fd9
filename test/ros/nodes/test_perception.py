"""The perception node in this process, over real DDS, with models that answer at once.

These tests check topics, services, parameters and transitions. The decisions of a scene are tested
without DDS in test/ros/scene.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from estimates import laptop_estimate
from instant_models import LIMIT, InstantModels

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from nav_msgs.msg import Path as PathMessage  # noqa: E402
from rclpy.executors import Executor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from running_perception import running_perception  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from vision_msgs.msg import Detection3DArray  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_ros.messages import camera_info, images, poses
from kinediff3d_ros.nodes import perception
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.scene.config import SceneConfig
from kinediff3d_ros.tools.recorder import Recorder, stamp_key

pytestmark = pytest.mark.ros

CAMERA = Intrinsics(60.0, 60.0, 31.5, 23.5, 64, 48)


class Bench:
    """The node, publishers of its inputs and subscriptions to its outputs."""

    def __init__(self, node, executor: Executor, recorder: Recorder, models: InstantModels,
                 ) -> None:
        self.node, self.executor, self.recorder, self.models = node, executor, recorder, models
        create = recorder.node.create_publisher
        self.depth = create(Image, '/depth/image_rect', 10)
        self.info = create(CameraInfo, '/depth/camera_info', 10)
        self.mask = create(Image, '/mask', 10)
        self.command = create(JointState, '/laptop/joint_command', 10)
        self.broadcast = create(TFMessage, '/tf', 10)
        subscribe = recorder.subscribe
        self.tf = subscribe(TFMessage, '/tf', 100)
        self.markers = subscribe(MarkerArray, '/markers', 100)
        self.joints = {k: subscribe(JointState, f'/{k}/joint_states', 100)
                       for k in ('laptop', 'laptop_1', 'box_4', 'object')}
        self.standard_deviations = subscribe(JointState, '/laptop/joint_states_stddev')
        self.lid = subscribe(PoseWithCovarianceStamped, '/laptop/pose/lid')
        self.axis = subscribe(PoseStamped, '/laptop/axis/lid_joint')
        self.diagnostics = subscribe(DiagnosticArray, '/diagnostics', 100)
        self._change = recorder.node.create_client(ChangeState, '/perception/change_state')
        self._estimate = recorder.node.create_client(Trigger, '/estimate')

    def wait(self, condition, what: str):
        return self.recorder.wait_for(condition, LIMIT, what)

    def call(self, client, request):
        assert client.wait_for_service(LIMIT)
        future = client.call_async(request)
        self.wait(future.done, 'answer')
        return future.result()

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.call(self._change, request).success

    def start(self, **values: object) -> None:
        """Configure with these parameters and activate."""
        for name, value in values.items():
            assert self.node.set_parameters([Parameter(name, value=value)])[0].successful, name
        assert self.change(Transition.TRANSITION_CONFIGURE)
        assert self.change(Transition.TRANSITION_ACTIVATE)
        self.wait(lambda: all(p.get_subscription_count()
                              for p in (self.depth, self.info, self.mask)), 'subscriptions')
        self.info.publish(camera_info.info_from_intrinsics(CAMERA, self.header()))
        time.sleep(0.1)

    def header(self, later: float = 0.0) -> Header:
        now = self.recorder.node.get_clock().now().nanoseconds + int(1e9 * later)
        header = Header(frame_id='camera')
        header.stamp.sec, header.stamp.nanosec = divmod(now, 1_000_000_000)
        return header

    def show(self, angles: dict[int, float], header: Header | None = None) -> tuple[int, int]:
        """Objects side by side, by mask id, with these angles; the stamp."""
        header = header or self.header()
        depth, mask = np.zeros((48, 64), np.float32), np.zeros((48, 64), np.uint16)
        for i, (number, angle) in enumerate(angles.items()):
            at = np.s_[8:40, 4 + 20 * i:20 + 20 * i]
            depth[at], mask[at] = angle, number
        self.mask.publish(images.image_from_pixels(mask, 'mono16', header))
        self.depth.publish(images.image_from_pixels(depth, '32FC1', header))
        return header.stamp.sec, header.stamp.nanosec

    def joint(self, stamp: tuple[int, int], of: str = 'laptop') -> JointState:
        return self.wait(lambda: next((m for m in self.joints[of].messages
                                       if stamp_key(m) == stamp), None), f'joint state of {of!r}')

    def status(self, condition, what: str):
        """The first status of the newest diagnostics that fulfils a condition on its values."""
        def find():
            for status in self.diagnostics.messages[-1].status if self.diagnostics.entries else ():
                values = {v.key: v.value for v in status.values}
                if condition(values, status):
                    return status, values
            return None
        return self.wait(find, what)

    def at_markers(self, stamp: tuple[int, int]) -> MarkerArray:
        return self.wait(lambda: next((a for a in self.markers.messages
                                       if stamp_key(a.markers[0]) == stamp), None), 'markers')

    def at(self, log, stamp: tuple[int, int]):
        return self.wait(lambda: next((m for m in log.messages if stamp_key(m) == stamp), None),
                         'message with that stamp')


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp('scene')
    models = InstantModels()

    def load(categories, *_: object) -> InstantModels:
        if 'teapot' in categories:
            raise ValueError("unknown category 'teapot'")
        models.categories = tuple(categories)
        return models

    before, perception.Models = perception.Models, load
    (folder / 'qos.yaml').write_text(yaml.safe_dump({'/**': {'ros__parameters': {
        'qos_overrides': {
            '/mask': {'subscription': {'reliability': 'best_effort'}},
            '/points_used': {'publisher': {'reliability': 'best_effort'}},
            '/laptop/joint_states_stddev': {'publisher': {'depth': 3}}}}}}))
    values = {'autostart': 'false', 'description_dir': folder}
    with running_perception(values, '--params-file', str(folder / 'qos.yaml')) as (
            node, executor, recorder):
        yield Bench(node, executor, recorder, models)
    perception.Models = before


DEFAULTS = {'instances': 'one', 'objects': '', 'fixed_frame': '', 'lost_after': 5.0,
            'max_objects': 8, 'tracking': True, 'max_age': 0.0, 'category': 'laptop',
            'estimate_period': 0.0}


@pytest.fixture
def bench(graph: Bench) -> Iterator[Bench]:
    """Unconfigured and with its defaults before and after."""
    graph.models.reset()
    graph.node.set_parameters([Parameter(k, value=v) for k, v in DEFAULTS.items()])
    for log in (graph.tf, graph.markers, *graph.joints.values(), graph.diagnostics):
        log.entries.clear()
    yield graph
    for state, transition in (('active', Transition.TRANSITION_DEACTIVATE),
                              ('inactive', Transition.TRANSITION_CLEANUP)):
        if graph.node._state_machine.current_state[1] == state:
            assert graph.change(transition)


def test_lifecycle_transitions(bench: Bench) -> None:
    """Parameters change only while unconfigured; nothing is published while inactive."""
    change, set_one = bench.change, lambda k, v: bench.node.set_parameters(
        [Parameter(k, value=v)])[0]
    for name, value in (('category', 'teapot'), ('objects', 'laptop=1')):
        assert set_one(name, value).successful
        assert set_one('instances', 'each').successful
        assert not change(Transition.TRANSITION_CONFIGURE)
        assert set_one(name, DEFAULTS[name]).successful
    bench.start(instances='one')
    refused = set_one('category', 'box')
    assert not refused.successful and 'is read when the node is configured' in refused.reason
    assert not set_one('max_age', -1.0).successful and set_one('lost_after', 4.0).successful
    bench.joint(bench.show({1: 1.0}))
    assert change(Transition.TRANSITION_DEACTIVATE)
    bench.wait(lambda: bench.markers.messages and all(
        m.action == Marker.DELETE for m in bench.markers.messages[-1].markers), 'deletion')
    bench.status(lambda v, s: v['state'] == 'inactive', 'inactive')
    before = len(bench.joints['laptop'].entries)
    bench.show({1: 1.0})
    assert change(Transition.TRANSITION_ACTIVATE)
    bench.wait(bench.depth.get_subscription_count, 'subscription')
    assert len(bench.joints['laptop'].entries) == before
    bench.info.publish(camera_info.info_from_intrinsics(CAMERA, bench.header()))
    time.sleep(0.2)
    bench.joint(bench.show({1: 1.0}))
    assert change(Transition.TRANSITION_DEACTIVATE) and change(Transition.TRANSITION_CLEANUP)
    assert bench.node._host is None and set_one('category', 'box').successful
    # A transition that does not fit is refused, and the node continues.
    bench._change.call_async(ChangeState.Request(transition=Transition(
        id=Transition.TRANSITION_DEACTIVATE)))
    assert change(Transition.TRANSITION_CONFIGURE)


def test_quality_of_service_is_overridden_per_topic(bench: Bench) -> None:
    """A policy that is not overridden keeps its default."""
    bench.start()
    node = bench.recorder.node

    def reliability(endpoints: list) -> str:
        """Of the perception node's endpoint, as DDS reports it; DDS does not report depths."""
        profile, = (e.qos_profile for e in endpoints if e.node_name == 'perception')
        return profile.reliability.name

    assert [reliability(node.get_subscriptions_info_by_topic(f'/{t}')) for t in (
        'depth/image_rect', 'depth/camera_info', 'mask', 'laptop/joint_command')] == [
        'RELIABLE', 'RELIABLE', 'BEST_EFFORT', 'RELIABLE']
    assert [reliability(node.get_publishers_info_by_topic(f'/{t}')) for t in (
        'markers', 'points_used', 'laptop/joint_states_stddev')] == [
        'RELIABLE', 'BEST_EFFORT', 'RELIABLE']
    own = {p.topic_name: p for p in bench.node.publishers}
    assert own['/laptop/joint_states_stddev'].qos_profile.depth == 3
    assert own['/laptop/joint_states'].qos_profile.depth == 10
    bench.joint(bench.show({1: 1.0}))


def test_estimates_are_published_tracked_and_reported(bench: Bench) -> None:
    bench.start()
    first = bench.joint(bench.show({1: 1.0}))
    assert not first.velocity
    state = bench.joint(bench.show({1: 1.1}))
    assert state.position[0] == pytest.approx(1.1, abs=1e-5)
    assert list(state.velocity) == [0.25]
    _, values = bench.status(lambda v, s: v['tracked'] == '1', 'tracked frame')
    assert (values['estimates'], values['full_estimates']) == ('2', '1')
    assert {'position_std_m', 'lid_joint_std', 'track_ms', 'publish_ms'} <= set(values)
    meshes = [m for a in bench.markers.messages for m in a.markers
              if m.type == Marker.TRIANGLE_LIST and m.action == Marker.ADD]
    assert meshes and all(m.frame_locked for m in meshes)


def test_a_description_that_cannot_be_written_is_a_warning(bench: Bench) -> None:
    """A file where the folder should be fails as a full or read-only disk does."""
    folder = Path(bench.node.get_parameter('description_dir').value) / 'laptop'
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text('')
    described = bench.recorder.subscribe(String, '/laptop/robot_description', QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    bench.start()
    bench.joint(bench.show({1: 1.0}))
    for angle in np.linspace(1.1, 1.4, 4):
        bench.joint(bench.show({1: angle}))  # frames go on
        time.sleep(0.05)
    status, values = bench.status(lambda v, s: 'robot_description' in s.message, 'warning')
    assert status.level == DiagnosticStatus.WARN and values['state'] == 'estimate'
    assert values['warning'] in status.message and values['errors'] == '0'
    assert bench.markers.messages and not described.messages
    folder.unlink()
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    assert bench.change(Transition.TRANSITION_ACTIVATE)
    bench.wait(lambda: bench.depth.get_subscription_count(), 'subscription')
    bench.info.publish(camera_info.info_from_intrinsics(CAMERA, bench.header()))
    time.sleep(0.1)
    bench.joint(bench.show({1: 1.0}))
    bench.wait(lambda: described.messages, 'robot_description')
    bench.joint(bench.show({1: 1.1}))
    bench.status(lambda v, s: s.level == DiagnosticStatus.OK and v['state'] == 'estimate'
                 and 'warning' not in v, 'no warning')


def states(bench: Bench) -> list[str]:
    """State in each report of the only object."""
    return [v.value for m in bench.diagnostics.messages for s in m.status for v in s.values
            if v.key == 'state']


def test_diagnostics_come_with_changes_of_state_and_not_with_each_frame(
        bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last report, at deactivation, counts every frame."""
    monkeypatch.setattr(bench.node, 'config', NodeConfig(watch_period=10 * LIMIT))
    bench.start()
    for i in range(9):
        bench.joint(bench.show({1: 1.0 + 0.01 * i}))
    bench.show({1: 3.5})
    bench.wait(lambda: 'no_estimate' in states(bench), 'the change of state')
    # A frame that comes sooner is dropped while the estimating thread ends its work.
    time.sleep(SceneConfig.initial_frame_period)
    bench.joint(bench.show({1: 1.0}))
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    status, values = bench.status(lambda v, s: v['state'] == 'inactive', 'the last report')
    assert (status.name, status.level) == ('/perception: laptop', DiagnosticStatus.OK)
    assert [values[k] for k in ('frames_received', 'estimates', 'no_estimates')] == [
        '11', '10', '1']
    assert states(bench) == ['waiting', 'estimate', 'no_estimate', 'estimate', 'inactive']


def test_diagnostics_come_once_per_second(bench: Bench) -> None:
    bench.start()
    bench.wait(lambda: len(states(bench)) == 5, 'reports')
    times = [at for at, _ in list(bench.diagnostics.entries)]
    # The first may be that of the activation, the second may be late on a busy machine.
    assert 1.5 < times[4] - times[1] < LIMIT and set(states(bench)) == {'waiting'}


def test_each_object_has_names_and_topics_of_its_own(bench: Bench) -> None:
    bench.start(instances='each', objects='4:box', lost_after=0.6, max_objects=2)
    stamp = bench.show({1: 1.0, 4: 1.5, 9: 1.0})  # one too many
    assert bench.joint(stamp, 'laptop_1').position[0] == pytest.approx(1.0)
    assert bench.joint(stamp, 'box_4').position[0] == pytest.approx(1.5)
    frames = {t.child_frame_id for m in bench.tf.messages for t in m.transforms}
    assert frames == {'laptop_1_base', 'laptop_1_lid', 'box_4_base', 'box_4_lid'}
    assert not bench.joints['laptop'].entries
    # The box goes, the laptop stays.
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        last = bench.show({1: 1.1})
        time.sleep(0.1)
    bench.joint(last, 'laptop_1')
    bench.wait(lambda: any(m.ns == 'box_4' and m.action == Marker.DELETE
                           for a in bench.markers.messages for m in a.markers), 'deletion')
    assert not any(m.ns.startswith('laptop_1') and m.action == Marker.DELETE
                   for a in bench.markers.messages for m in a.markers)
    # Its loss is said once. Then it is gone, so that there is room for another.
    status = bench.wait(lambda: next((s for m in bench.diagnostics.messages for s in m.status
                                      if 'not been in the mask' in s.message), None), 'lost')
    assert status.hardware_id == 'box_4'
    bench.wait(lambda: 4 not in bench.node._host.objects, 'removal')
    assert not bench.recorder.node.count_publishers('/box_4/robot_description')
    assert not any(m.ns.endswith('_9') for a in bench.markers.messages for m in a.markers)
    assert max(stamp_key(m) for m in bench.joints['box_4'].messages) == stamp
    bench.joint(bench.show({1: 1.1, 4: 0.9}), 'box_4')
    assert not bench.joints['box_4'].messages[-1].velocity, 'a new object'
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    bench.status(lambda v, s: v['state'] == 'inactive', 'the last report')
    last = bench.diagnostics.messages[-1].status
    assert {s.name for s in last} == {
        f'/perception: {task}' for task in ('objects', 'laptop_1', 'box_4')}
    assert {v.value for s in last for v in s.values if v.key == 'state'} == {'inactive'}


def test_topics_of_parts_and_joints_follow_the_estimated_category(bench: Bench) -> None:
    """They are those of the newest full estimate; tracking keeps the category. The object keeps
    its name."""
    bench.start(category='auto')
    bench.status(lambda v, s: v['category'] == 'auto', 'an unknown category')
    # What does not depend on the category is there from the start.
    for topic in ('joint_states', 'joint_states_stddev', 'robot_description'):
        bench.wait(lambda t=topic: bench.recorder.node.count_publishers(f'/object/{t}'), topic)

    def check(angle: float, name: str, part: str, other: str, sure: str) -> None:
        stamp = bench.show({1: angle})
        assert list(bench.joint(stamp, 'object').name) == [f'object_{part}_joint']
        bench.wait(lambda: {t.child_frame_id for m in bench.tf.messages for t in m.transforms
                            if stamp_key(t) == stamp} == {'object_base', f'object_{part}'}, 'TF')
        status, _ = bench.status(
            lambda v, s: (v['category'], v.get('category_confidence')) == (name, sure), name)
        assert status.hardware_id == 'object'
        count = bench.recorder.node.count_publishers
        bench.wait(lambda: count(f'/object/pose/{part}'), 'its topics')
        bench.wait(lambda: not count(f'/object/pose/{other}'), 'the end')

    for angle in (1.0, 1.1):
        check(angle, 'laptop', 'lid', 'arm', '0.9')
    for angle in (2.2, 2.3):
        check(angle, 'stapler', 'arm', 'lid', '0.8')
    assert [category for category, _ in bench.models.calls] == ['auto', 'auto']
    shown: set[str] = set()
    for marker in (m for a in bench.markers.messages for m in a.markers):
        (shown.add if marker.action == Marker.ADD else shown.discard)(marker.ns)
    assert shown == {'object', 'object/axis'}


def test_markers_are_sent_again_without_new_frames_and_end_by_themselves(
        bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer removes a marker when its lifetime has passed since its last message."""
    config = NodeConfig(markers_period=0.4, watch_period=0.2, marker_lifetime=LIMIT)
    monkeypatch.setattr(bench.node, 'config', config)
    bench.start(lost_after=10 * LIMIT)
    stamp = bench.show({1: 1.0})
    bench.wait(lambda: len(bench.markers.entries) >= 4, 'markers of one frame, four times')
    for _, array in list(bench.markers.entries):
        assert {(m.ns, m.id) for m in array.markers} == {
            ('laptop', 0), ('laptop', 1), ('laptop/axis', 0)}
        assert {stamp_key(m) for m in array.markers} == {stamp}
        assert {m.lifetime.sec for m in array.markers} == {int(LIMIT)}
    times = [at for at, _ in list(bench.markers.entries)]
    assert times[3] - times[0] > 2 * config.markers_period
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    bench.wait(lambda: all(m.action == Marker.DELETE for m in bench.markers.messages[-1].markers),
               'deletion')
    sent = len(bench.markers.entries)
    time.sleep(2 * (config.markers_period + config.watch_period))
    assert len(bench.markers.entries) == sent


def test_topics_for_planners(bench: Bench) -> None:
    # Contacts are found only with a subscriber.
    contacts, handles, openings = (bench.recorder.subscribe(kind, f'/laptop/{topic}/lid')
                                   for kind, topic in ((PoseStamped, 'contact'),
                                                       (Detection3DArray, 'handles'),
                                                       (PathMessage, 'opening')))
    bench.start()
    stamp = bench.show({1: 1.2})
    truth = laptop_estimate(1.2)
    deviations = bench.at(bench.standard_deviations, stamp).position
    assert deviations[0] == pytest.approx(truth.joints[0].std)
    pose = bench.at(bench.lid, stamp).pose
    np.testing.assert_allclose(poses.matrix_from_pose(pose.pose),
                               truth.parts[1].T_camera_part, atol=1e-6)
    covariance = np.reshape(pose.covariance, (6, 6))
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    axis = poses.matrix_from_pose(bench.at(bench.axis, stamp).pose)
    base, joint = truth.parts[0].T_camera_part, truth.joints[0]
    np.testing.assert_allclose(axis[:3, 0], base[:3, :3] @ joint.axis, atol=1e-6)
    np.testing.assert_allclose(axis[:3, 3], base[:3, :3] @ joint.origin + base[:3, 3], atol=1e-6)
    contact = poses.matrix_from_pose(bench.at(contacts, stamp).pose)
    arm = np.linalg.inv(truth.parts[1].T_camera_part) @ contact[:, 3]
    assert arm[0] > 0.15  # the far edge of the lid
    handle = bench.at(handles, stamp).detections[0]
    assert handle.results[0].hypothesis.class_id == 'edge'
    assert handle.results[0].pose.pose == bench.at(contacts, stamp).pose
    path = bench.at(openings, stamp).poses
    opened = laptop_estimate(truth.joints[0].upper).parts[1].T_camera_part
    np.testing.assert_allclose(poses.matrix_from_pose(path[0].pose), contact, atol=1e-6)
    np.testing.assert_allclose(poses.matrix_from_pose(path[-1].pose)[:, 3], opened @ arm,
                               atol=1e-6)


def test_the_service_answers_with_full_estimates(bench: Bench) -> None:
    bench.start()
    client = bench._estimate
    assert client.wait_for_service(LIMIT)
    for angle, good in ((1.0, True), (3.5, False)):
        future = client.call_async(Trigger.Request())
        time.sleep(0.5)  # no image is under way when the node begins to wait for one
        end = time.monotonic() + LIMIT
        while not future.done() and time.monotonic() < end:
            last = bench.show({1: angle})
            time.sleep(0.1)
        if good:
            bench.joint(last)
        assert future.result().success is good
        assert ('lid_joint 1.0000 rad' if good else 'too far') in future.result().message


def test_the_service_answers_without_images_too(
        bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """All waiting calls get the same answer: after a timeout, or when the node is deactivated."""
    monkeypatch.setattr(bench.node, 'scene_config', SceneConfig(estimate_timeout=0.5))
    bench.start()
    assert bench._estimate.wait_for_service(LIMIT)
    waiting = [bench._estimate.call_async(Trigger.Request()) for _ in range(2)]
    bench.wait(lambda: all(f.done() for f in waiting), 'answers')
    assert {f.result().message for f in waiting} == {'no answer within 0.5 s'}
    assert bench.change(Transition.TRANSITION_DEACTIVATE)
    monkeypatch.setattr(bench.node, 'scene_config', SceneConfig(estimate_timeout=10 * LIMIT))
    assert bench.change(Transition.TRANSITION_ACTIVATE)
    future = bench._estimate.call_async(Trigger.Request())
    time.sleep(0.5)
    assert not future.done() and bench.change(Transition.TRANSITION_DEACTIVATE)
    bench.wait(future.done, 'answer')
    assert 'deactivated' in future.result().message and not future.result().success
    assert bench.call(bench._estimate, Trigger.Request()).message == 'the node is not active'


def test_a_ghost_is_shown_at_commanded_positions(bench: Bench) -> None:
    bench.start()
    bench.joint(bench.show({1: 1.0}))
    bench.wait(lambda: bench.markers.messages, 'markers')
    bench.wait(bench.command.get_subscription_count, 'subscription')

    def ghosts(action: int) -> list[Marker]:
        return [m for a in bench.markers.messages for m in a.markers
                if m.ns == 'laptop/ghost' and m.action == action]

    for bad in (JointState(name=['handle'], position=[1.0]),
                JointState(name=['laptop_lid_joint'], position=[9.0]),
                JointState(name=['laptop_lid_joint'])):
        bench.command.publish(bad)
    bench.command.publish(JointState(name=['laptop_lid_joint'], position=[2.0]))
    lid = bench.wait(lambda: next((m for m in ghosts(Marker.ADD) if m.id == 1), None), 'ghost')
    assert lid.header.frame_id == 'laptop_base' and lid.color.a < 0.5 and lid.points
    T = laptop_estimate(2.0)
    expected = np.linalg.inv(T.parts[0].T_camera_part) @ T.parts[1].T_camera_part
    np.testing.assert_allclose(poses.matrix_from_pose(lid.pose), expected, atol=1e-6)
    bench.joint(bench.show({1: 1.05}))
    assert not ghosts(Marker.DELETE)
    bench.command.publish(JointState())
    bench.wait(lambda: len(ghosts(Marker.DELETE)) == 2, 'deletion')


def test_two_nodes_share_one_camera(bench: Bench) -> None:
    """Each has its own names; deactivating one does not affect the other."""
    bench.start()
    subscribe = bench.recorder.subscribe
    joints, markers = (subscribe(kind, f'/second/{topic}') for kind, topic in (
        (JointState, 'joint_states'), (MarkerArray, 'markers')))
    second = perception.PerceptionNode(cli_args=[
        '--ros-args', '-r', '__ns:=/second', '-p', 'object_name:=second', '-p', 'autostart:=true',
        *(x for topic in ('depth/image_rect', 'depth/camera_info', 'mask')
          for x in ('-r', f'{topic}:=/{topic}'))])

    def frames(stamp: tuple[int, int]) -> list[str]:
        return sorted(t.child_frame_id for m in bench.tf.messages for t in m.transforms
                      if stamp_key(t) == stamp)

    try:
        second.autostart()
        bench.executor.add_node(second)
        bench.wait(lambda: all(p.get_subscription_count() == 2 for p in (
            bench.depth, bench.info, bench.mask)), 'both nodes')
        bench.info.publish(camera_info.info_from_intrinsics(CAMERA, bench.header()))
        time.sleep(0.1)
        stamp = bench.show({1: 1.0})
        for log in (bench.joints['laptop'], joints):
            bench.at(log, stamp)
        both = ['laptop_base', 'laptop_lid', 'second_base', 'second_lid']
        bench.wait(lambda: frames(stamp) == both, 'the frames of both')
        for log, name in ((bench.markers, 'laptop'), (markers, 'second')):
            array = bench.wait(lambda h=log: h.messages, 'markers')[0]
            assert {m.ns for m in array.markers} == {name, f'{name}/axis'}
        names = {'/perception: laptop', '/second/perception: second'}
        bench.wait(lambda: {s.name for m in bench.diagnostics.messages for s in m.status} == names,
                   'diagnostics of both')

        assert bench.change(Transition.TRANSITION_DEACTIVATE)
        answered = len(bench.joints['laptop'].entries)
        for angle in (1.1, 1.2):
            stamp = bench.show({1: angle})
            assert bench.at(joints, stamp).velocity, 'not tracked any more'
        bench.wait(lambda: frames(stamp), 'TF')
        assert frames(stamp) == both[2:] and len(bench.joints['laptop'].entries) == answered
        assert not any(m.action == Marker.DELETE for a in markers.messages for m in a.markers)
    finally:
        bench.executor.remove_node(second)
        second.close()
        second.destroy_node()


def send_camera_pose(bench: Bench, T: np.ndarray, later: float = 0.0) -> None:
    """Publish the pose of the camera around the present time, or one so much later, s."""
    for _ in range(3):
        for shift in (-0.5, 1.0):
            header = bench.header(later + shift)
            header.frame_id = 'map'
            bench.broadcast.publish(TFMessage(transforms=[
                poses.transform_from_matrix(T, header, 'camera')]))
        time.sleep(0.2)


def test_a_moving_camera_has_objects_in_the_fixed_frame(bench: Bench) -> None:
    bench.start(fixed_frame='map')
    bench.show({1: 1.0})
    status, _ = bench.status(lambda v, s: v['state'] == 'no_estimate', 'complaint')
    assert 'in fixed_frame map is not known' in status.message
    T = np.eye(4)
    T[:3, 3] = 1.0, 2.0, 3.0
    send_camera_pose(bench, T)
    stamp = bench.show({1: 1.0})
    bench.joint(stamp)
    sent = bench.wait(lambda: next((m.transforms for m in bench.tf.messages
                                    if m.transforms[0].child_frame_id == 'laptop_base'), None),
                      'TF')
    assert sent[0].header.frame_id == 'map' and stamp_key(sent[0]) == stamp
    np.testing.assert_allclose(poses.matrix_from_transform(sent[0]),
                               T @ laptop_estimate(1.0).parts[0].T_camera_part, atol=1e-6)
    # Time restarts, as that of a recording that is played again.
    bench.show({1: 1.0}, bench.header(-3600.0))
    bench.status(lambda v, s: int(v['clock_resets']) == 1, 'reset')
    send_camera_pose(bench, T, -3600.0)
    bench.joint(bench.show({1: 1.0}, bench.header(-3600.0)))


def test_frames_with_unusable_stamps_are_refused_and_counted(bench: Bench) -> None:
    bench.start(max_age=5.0)
    good = bench.header()
    bench.joint(bench.show({1: 1.0}, good))
    for header in (good, bench.header(-0.5), bench.header(3.0), bench.header(-20.0)):
        bench.show({1: 1.0}, header)
    _, values = bench.status(lambda v, s: all(int(v[f'frames_{k}']) for k in (
        'repeated', 'out_of_order', 'future', 'stale')), 'counts')
    bench.joint(bench.show({1: 1.0}))
    assert len(bench.joints['laptop'].entries) == 2


def test_simulated_time(bench: Bench) -> None:
    clock = bench.recorder.node.create_publisher(Clock, '/clock', 1)
    bench.node.set_parameters([Parameter('use_sim_time', value=True)])
    try:
        bench.start(max_age=5.0)
        bench.wait(clock.get_subscription_count, 'clock')
        now = Clock()
        now.clock.sec = 100
        end = time.monotonic() + LIMIT
        while bench.node.get_clock().now().nanoseconds == 0 and time.monotonic() < end:
            clock.publish(now)
            time.sleep(0.05)
        header = Header(frame_id='camera')
        for header.stamp.sec in (102, 90, 99):
            stamp = bench.show({1: 1.0}, header)
        bench.joint(stamp)
        _, values = bench.status(lambda v, s: 'age_ms' in v, 'estimate')
        assert float(values['age_ms']) == pytest.approx(1000.0)
        assert {stamp_key(m) for m in bench.joints['laptop'].messages} == {stamp}
    finally:
        bench.node.set_parameters([Parameter('use_sim_time', value=False)])


