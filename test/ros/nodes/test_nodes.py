"""The real nodes as processes, over real DDS: their output, and how they react to bad input.

Every wait has a deadline. One simulated camera shows an object on a table and ends. One perception
node serves all tests and is configured anew for some. Each bad input is followed by a good one,
which must be answered.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from geometry_msgs.msg import PoseStamped, TransformStamped  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.publisher import Publisher  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_core.geometry.camera import Intrinsics, backproject
from kinediff3d_core.simulation.camera import SimulatedCamera, SimulatedFrame, SimulatedScene
from kinediff3d_ros.messages import camera_info, clouds, images, poses
from kinediff3d_ros.nodes import perception
from kinediff3d_ros.nodes.config import NodeConfig
from kinediff3d_ros.tools.processes import NodeProcess, private_graph
from kinediff3d_ros.tools.recorder import Recorder, stamp_key

pytestmark = pytest.mark.ros

START = 180.0
"""Seconds for a node to load torch and the weights on a busy machine."""

ANSWER = 240.0
"""Seconds for a frame to be answered on a crowded machine."""

JOINT_TOLERANCE = 12.0
"""Degrees; the medians of docs/evaluation.md are far below it."""

CAMERA = 'camera_optical'
INTRINSICS = Intrinsics(600.0, 600.0, 319.5, 239.5, 640, 480)
INPUTS = ('depth/image_rect', 'depth/camera_info', 'mask', 'points')


class Bench:
    """The perception node, with publishers of its inputs and subscriptions to its outputs."""

    def __init__(self, recorder: Recorder, process: NodeProcess) -> None:
        self.recorder, self.process = recorder, process
        self.topic = {name: f'/bench/{name}' for name in INPUTS}
        self.depth, self.mask = (recorder.node.create_publisher(Image, self.topic[name], 5)
                                 for name in ('depth/image_rect', 'mask'))
        self.info = recorder.node.create_publisher(
            CameraInfo, self.topic['depth/camera_info'], 5)
        self.points = recorder.node.create_publisher(PointCloud2, self.topic['points'], 5)
        subscribe = recorder.subscribe
        self.joints = subscribe(JointState, '/bench/joint_states')
        self.tf = subscribe(TFMessage, '/bench/tf')
        self.markers = subscribe(MarkerArray, '/bench/markers')
        self.used = subscribe(PointCloud2, '/bench/points_used')
        self.diagnostics = subscribe(DiagnosticArray, '/diagnostics')

    def wait(self, condition, what: str, timeout: float = ANSWER):
        try:
            return self.recorder.wait_for(condition, timeout, what)
        except TimeoutError as error:
            raise AssertionError(f'{error}; the node said:\n{self.process.output()[-2000:]}'
                                 ) from None

    def ready(self, *publishers: Publisher) -> Bench:
        """Wait until the node subscribes to these and its diagnostics arrive."""
        self.wait(lambda: self.diagnostics.entries and all(
            p.get_subscription_count() for p in publishers), 'perception node', START)
        return self

    def call(self, kind: type, service: str, request: object):
        """The response of a service of the node."""
        client = self.recorder.node.create_client(kind, f'/bench/perception/{service}')
        assert client.wait_for_service(ANSWER)
        future = client.call_async(request)
        self.wait(future.done, 'answer')
        self.recorder.node.destroy_client(client)
        return future.result()

    def set(self, **values: object) -> tuple[bool, str]:
        """Set parameters; return whether all took effect, and why not."""
        results = self.call(SetParameters, 'set_parameters', SetParameters.Request(
            parameters=[Parameter(k, value=v).to_parameter_msg() for k, v in values.items()],
        )).results
        return all(r.successful for r in results), '; '.join(filter(None, (
            r.reason for r in results)))

    def configure(self, **values: object) -> None:
        """Unconfigure the node, change parameters, and activate it again."""
        def change(*transitions: int) -> None:
            for number in transitions:
                assert self.call(ChangeState, 'change_state', ChangeState.Request(
                    transition=Transition(id=number))).success

        change(Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)
        assert self.set(**values) == (True, '')
        self.diagnostics.entries.clear()
        change(Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)

    def header(self) -> Header:
        stamp = self.recorder.node.get_clock().now().to_msg()
        return Header(stamp=stamp, frame_id=CAMERA)

    def show(self, frame: SimulatedFrame, encoding: str = '16UC1', info: CameraInfo | None = None,
             depth: Image | None = None, mask: Image | None = None) -> tuple[int, int]:
        """Publish a frame, or a spoiled version of it; return its stamp."""
        header = self.header()
        if info is None:
            info = camera_info.info_from_intrinsics(INTRINSICS, header)
        if mask is None:
            mask = images.image_from_pixels(frame.mask.astype(np.uint8), 'mono8', header)
        if depth is None:
            pixels = (np.round(frame.depth * 1000).astype(np.uint16) if encoding == '16UC1'
                      else frame.depth.astype(np.float32))
            depth = images.image_from_pixels(pixels, encoding, header)
        for message in (info, mask, depth):
            message.header = header
        return self.publish(info, depth, mask)

    def publish(self, info: CameraInfo, depth: Image, mask: Image | None = None,
                ) -> tuple[int, int]:
        """Publish the messages of one frame; return its stamp."""
        self.info.publish(info)
        # The calibration has a topic of its own: let it arrive first.
        time.sleep(0.1)
        if self.mask is not None and mask is not None:
            self.mask.publish(mask)
        self.depth.publish(depth)
        return stamp_key(depth)

    def publish_now(self, info: CameraInfo, depth: Image) -> tuple[int, int]:
        """Publish recorded messages with the present stamp; return it."""
        info.header = depth.header = self.header()
        return self.publish(info, depth)

    def joint_state(self, stamp: tuple[int, int], timeout: float = ANSWER) -> JointState:
        return self.wait(lambda: next((m for m in self.joints.messages if stamp_key(m) == stamp),
                                      None), f'joint state for stamp {stamp}', timeout)

    def transforms(self, stamp: tuple[int, int]) -> list[TransformStamped]:
        return self.wait(lambda: next((m.transforms for m in self.tf.messages
                                       if stamp_key(m.transforms[0]) == stamp), None), 'TF')

    def shown_markers(self, stamp: tuple[int, int]) -> list[Marker]:
        return self.wait(lambda: next((m.markers for m in self.markers.messages
                                       if stamp_key(m.markers[0]) == stamp), None), 'markers')

    def meshes_of_a_frame(self, show: Callable[[], tuple[int, int]],
                          ) -> tuple[tuple[int, int], list[Marker]]:
        """Show a frame again until its meshes are sent; return its stamp and its markers.

        Meshes are sent when the node sees a new viewer, and now and then. Either may happen
        between two frames, with the stamp of an earlier one.
        """
        shown = set()

        def sent() -> tuple[tuple[int, int], list[Marker]] | None:
            shown.add(stamp := show())
            self.joint_state(stamp)
            return next(((stamp_key(m.markers[0]), m.markers) for m in list(self.markers.messages)
                         if stamp_key(m.markers[0]) in shown
                         and Marker.TRIANGLE_LIST in {x.type for x in m.markers}), None)
        return self.wait(sent, 'meshes')

    def points_of(self, stamp: tuple[int, int]) -> PointCloud2:
        return self.wait(lambda: next((m for m in self.used.messages if stamp_key(m) == stamp),
                                      None), 'points used')

    def deleted_markers(self, after: float) -> list[Marker]:
        """The first array of deletions after a time (s since the epoch)."""
        return self.wait(lambda: next(
            (m.markers for t, m in list(self.markers.entries)
             if t > after and all(x.action == Marker.DELETE for x in m.markers)), None),
            'deleted markers')

    def status(self, state: str, text: str = '', timeout: float = ANSWER,
               after: float = 0.0) -> DiagnosticStatus:
        """The first status in a state, with that text, after a time (s since the epoch)."""
        def find() -> DiagnosticStatus | None:
            return next((m.status[0] for t, m in list(self.diagnostics.entries)
                         if t > after and values(m.status[0])['state'] == state
                         and text in m.status[0].message), None)
        return self.wait(find, f'state {state} with {text!r}', timeout)


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {v.key: v.value for v in status.values}


@pytest.fixture(scope='module')
def frames() -> list[SimulatedFrame]:
    """One laptop, nearly closed, half and wide open."""
    scene = SimulatedScene.sample('laptop', 0, 1, INTRINSICS, states=4)
    camera = SimulatedCamera(scene)
    return [camera.state(i) for i in range(4)]


@pytest.fixture(scope='module')
def domain() -> int:
    return private_graph()


@pytest.fixture(scope='module')
def recorder(domain: int) -> Iterator[Recorder]:
    with Recorder(domain) as value:
        yield value


@pytest.fixture(scope='module')
def processes(domain: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """Both nodes, started together because most of a start is loading torch."""
    folder = tmp_path_factory.mktemp('nodes')
    started = {
        'perception': NodeProcess(
            'perception', folder / 'perception.log', namespace='bench',
            remaps={'/tf': 'tf'}, parameters={
                'threads': 1, 'lost_after': 20.0, 'object_name': 'bench',
                'description_dir': str(folder / 'description')}),
        'camera': NodeProcess(
            'camera_sim', folder / 'camera.log', namespace='sim', parameters={
                'instance': 1, 'states': 3, 'rate': 2.0, 'sweep_period': 4.0, 'table': True,
                'encoding': '32FC1', 'frame_id': CAMERA})}
    try:
        yield started
    finally:
        for process in started.values():
            process.stop(timeout=5.0)


@pytest.fixture(scope='module')
def bench(recorder: Recorder, processes: dict) -> Bench:
    bench = Bench(recorder, processes['perception'])
    return bench.ready(bench.depth, bench.info)


# --- errors at the start -------------------------------------------------------------------------

@pytest.mark.parametrize(('values', 'text'), [
    ({'category': 'teapot'}, "unknown category 'teapot'; known: "),
    ({'max_depth': -1.0}, 'max_depth'),
    ({'mask_mode': 'sometimes'},
     "parameter 'mask_mode' is 'sometimes'; known: auto, required, initialize, ignored"),
    ({'weights': '/nothing'}, 'is not a folder'),
    ({'qos_overrides': {'/markers': {'publisher': {'reliability': 'never'}}}}, '`never`'),
    ({'qos_overrides': {'/mask': {'subscription': {'depth': 'deep'}}}}, '/mask'),
], ids=['category', 'range', 'choice', 'weights', 'output', 'input'])
def test_unusable_configuration_ends_with_one_line(domain: int, values: dict, text: str,
                                                   tmp_path: Path, capfd) -> None:
    """In this process, which has loaded torch already."""
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    file = tmp_path / 'parameters.yaml'
    file.write_text(yaml.safe_dump({'/**': {'ros__parameters': values}}))
    try:
        assert perception.main(['--ros-args', '--params-file', str(file)]) == 2
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    printed = ''.join(capfd.readouterr())
    fatal = [line for line in printed.splitlines() if '[FATAL]' in line]
    assert len(fatal) == 1 and text in fatal[0]
    assert 'Traceback' not in printed


# --- the simulated camera ------------------------------------------------------------------------

@pytest.fixture(scope='module')
def film(recorder: Recorder, processes: dict) -> list[SimpleNamespace]:
    """Two joint states, with the messages of all topics of the simulated camera."""
    topics = {name: recorder.subscribe(kind, f'/sim/{topic}') for name, kind, topic in (
        ('depth', Image, 'depth/image_rect'), ('info', CameraInfo, 'depth/camera_info'),
        ('mask', Image, 'mask'), ('joints', JointState, 'truth/joint_states'),
        ('pose', PoseStamped, 'truth/pose'))}

    def shots() -> list[SimpleNamespace] | None:
        """The first shot of every joint state, once there are two."""
        by_stamp = {name: {stamp_key(m): m for m in h.messages} for name, h in topics.items()}
        complete = sorted(set.intersection(*map(set, by_stamp.values())))
        found = {tuple(by_stamp['joints'][t].position): SimpleNamespace(
            stamp=t, **{name: messages[t] for name, messages in by_stamp.items()})
            for t in reversed(complete)}
        return sorted(found.values(), key=lambda shot: shot.stamp) if len(found) > 1 else None

    return recorder.wait_for(shots, START, 'film')


def test_simulated_camera_publishes_the_truth_with_one_stamp(film: list, processes: dict) -> None:
    assert processes['camera'].stop() == 0
    for shot in film:
        messages = (shot.depth, shot.info, shot.mask, shot.joints, shot.pose)
        assert {m.header.frame_id for m in messages} == {CAMERA}
        assert {stamp_key(m) for m in messages} == {shot.stamp}
        pixels, mask = images.depth_from_image(shot.depth), images.mask_from_image(
            shot.mask)
        assert shot.depth.encoding == '32FC1' and pixels.shape == mask.shape == (480, 640)
        points = backproject(pixels, camera_info.calibration_from_info(shot.info).intrinsics, mask)
        T = poses.matrix_from_pose(shot.pose.pose)
        # The object is at the published pose: within its own size of the base.
        assert np.linalg.norm(points.mean(axis=0) - T[:3, 3]) < 0.3


def test_simulated_camera_publishes_the_first_state_while_it_renders_the_others(
        recorder: Recorder, tmp_path: Path) -> None:
    """Hundreds of states take minutes to render. Neither the first image nor the end of the node
    waits for them. A new rate does not wait for the end of the old period."""
    received = recorder.subscribe(JointState, '/early/truth/joint_states')
    with NodeProcess('camera_sim', tmp_path / 'camera.log', namespace='early', parameters={
            'category': 'drawer', 'states': 360, 'rate': 0.1}) as camera:
        client = recorder.node.create_client(SetParameters, '/early/camera_sim/set_parameters')
        assert client.wait_for_service(START)
        client.call_async(SetParameters.Request(
            parameters=[Parameter('rate', value=5.0).to_parameter_msg()]))
        recorder.wait_for(lambda: len(received.messages) >= 5, 5.0, 'first images')
        assert len({tuple(m.position) for m in received.messages}) == 1
        assert camera.stop(timeout=10.0) == 0
        assert 'rendered 360 of 360' not in camera.output()


# --- good input ----------------------------------------------------------------------------------

def test_missing_camera_info_is_reported_and_waited_for(bench: Bench, frames: list) -> None:
    """Depth images before the first camera_info."""
    def complaint() -> DiagnosticStatus | None:
        header = bench.header()
        bench.mask.publish(images.image_from_pixels(
            frames[1].mask.astype(np.uint8), 'mono8', header))
        bench.depth.publish(images.image_from_pixels(
            frames[1].depth.astype(np.float32), '32FC1', header))
        return next((m.status[0] for m in bench.diagnostics.messages
                     if 'no camera_info' in m.status[0].message), None)

    status = bench.wait(complaint, 'a report')
    assert bench.topic['depth/camera_info'] in status.message
    assert status.level == DiagnosticStatus.WARN
    assert 'there is no camera_info' in bench.process.output()
    assert not bench.joints.entries
    counts = {v.key: v.value for v in status.values}
    assert int(counts['frames_uncalibrated']) >= 1
    # Longer than sync_slop, so that the next mask does not match the last of these images.
    time.sleep(0.2)


def test_estimate_is_near_the_truth_and_everything_has_its_stamp(
        bench: Bench, frames: list) -> None:
    """In both encodings: a full estimate of one, tracking of the other."""
    errors = []
    for i, frame in enumerate(frames[1:]):
        for encoding in ('16UC1', '32FC1')[::(-1) ** i]:
            state = bench.joint_state(bench.show(frame, encoding))
            assert list(state.name) == ['bench_lid_joint'] and state.header.frame_id == CAMERA
            errors.append(abs(np.degrees(state.position[0] - frame.positions[0])))
    assert max(errors) < JOINT_TOLERANCE, errors
    # Markers move with their frames and are sent again to a new subscriber.
    late = bench.recorder.subscribe(MarkerArray, '/bench/markers')
    stamp, markers = bench.meshes_of_a_frame(lambda: bench.show(frame, encoding))
    bench.wait(lambda: late.messages, 'markers for the late subscriber')

    transforms = bench.transforms(stamp)
    assert [t.child_frame_id for t in transforms] == ['bench_base', 'bench_lid']
    assert {t.header.frame_id for t in transforms} == {CAMERA}
    assert {stamp_key(t) for t in transforms} == {stamp}
    base = poses.matrix_from_transform(transforms[0])
    assert np.linalg.norm(base[:3, 3] - frame.T_camera_base[:3, 3]) < 0.05

    assert [(m.ns, m.id, m.type, m.header.frame_id) for m in markers] == [
        ('bench', 0, Marker.TRIANGLE_LIST, 'bench_base'),
        ('bench', 1, Marker.TRIANGLE_LIST, 'bench_lid'),
        ('bench/axis', 0, Marker.ARROW, 'bench_base')]
    assert all(len(m.points) % 3 == 0 and len(m.points) > 30 for m in markers[:2])

    used = bench.points_of(stamp)
    points = clouds.points_from_cloud(used)
    assert used.header.frame_id == CAMERA
    measured = np.count_nonzero(frame.depth[frame.mask])
    most = NodeConfig().max_points
    assert len(points) == -(-measured // -(-measured // most)) <= most < measured

    status = values(bench.status('estimate'))
    assert float(status['residual_m']) < 0.02 and 0 < float(status['confidence']) <= 1
    assert {'convert_ms', 'segment_ms', 'frame_ms', 'age_ms', 'frames_dropped'} <= set(status)


def test_late_subscriber_gets_the_description_with_its_meshes(bench: Bench, frames: list) -> None:
    bench.joint_state(bench.show(frames[2]))
    late = bench.recorder.subscribe(String, '/bench/robot_description', QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    text = bench.wait(lambda: late.messages and late.messages[-1].data, 'robot_description')
    robot = ElementTree.fromstring(text)
    joint = robot.find("joint[@name='bench_lid_joint']")
    assert joint.get('type') == 'revolute'
    assert (joint.find('parent').get('link'), joint.find('child').get('link')) == (
        'bench_base', 'bench_lid')
    files = [m.get('filename') for m in robot.iter('mesh')]
    assert files and all(f.startswith('file:///') for f in files)
    assert all(Path(f.removeprefix('file://')).stat().st_size > 0 for f in files)


def test_repeated_and_older_stamps_give_no_transform(bench: Bench, frames: list) -> None:
    """Each stamp is published at most once."""
    stamp = bench.show(frames[2])
    bench.joint_state(stamp)
    begin = time.time()
    header = Header(stamp=bench.joints.messages[-1].header.stamp, frame_id=CAMERA)
    mask = images.image_from_pixels(frames[2].mask.astype(np.uint8), 'mono8', header)
    depth = images.image_from_pixels(frames[2].depth.astype(np.float32), '32FC1', header)
    for _ in range(2):
        bench.mask.publish(mask)
        bench.depth.publish(depth)
        time.sleep(0.05)
    bench.wait(lambda: any(t > begin and int(values(m.status[0])['frames_repeated']) >= 1
                           for t, m in list(bench.diagnostics.entries)), 'a repeated frame')
    bench.joint_state(bench.show(frames[1]))
    stamps = [stamp_key(m.transforms[0]) for m in bench.tf.messages]
    assert len(stamps) == len(set(stamps))


def test_too_many_frames_are_dropped_but_the_newest(bench: Bench, frames: list) -> None:
    """At 200 frames per second some are dropped and counted; the last one is answered."""
    bench.joint_state(bench.show(frames[1]))
    before, begin, sent = len(bench.joints.entries), time.time(), 30
    mask = images.image_from_pixels(frames[1].mask.astype(np.uint8), 'mono8', Header())
    depth = images.image_from_pixels(frames[1].depth.astype(np.float32), '32FC1', Header())
    for _ in range(sent):
        mask.header = depth.header = bench.header()
        bench.mask.publish(mask)
        bench.depth.publish(depth)
        time.sleep(0.005)
    bench.joint_state(stamp_key(depth))
    assert len(bench.joints.entries) - before < sent
    bench.wait(lambda: any(t > begin and int(values(m.status[0])['frames_dropped']) > 0
                           for t, m in list(bench.diagnostics.entries)), 'a dropped frame')


# --- bad input: one clear message, no pose, and the node continues -------------------------------

def wrong_encoding(frame: SimulatedFrame) -> dict:
    return {'depth': Image(height=480, width=640, encoding='rgb8', step=1920,
                           data=bytes(480 * 1920))}


def all_zero(frame: SimulatedFrame) -> dict:
    return {'depth': images.image_from_pixels(np.zeros((480, 640), np.uint16), '16UC1',
                                                   Header())}


def all_nan(frame: SimulatedFrame) -> dict:
    return {'depth': images.image_from_pixels(np.full((480, 640), np.nan, np.float32),
                                                   '32FC1', Header())}


def other_size(frame: SimulatedFrame) -> dict:
    return {'info': camera_info.info_from_intrinsics(
        Intrinsics(300.0, 300.0, 160.0, 120.0, 320, 240), Header())}


def uncalibrated(frame: SimulatedFrame) -> dict:
    return {'info': CameraInfo(width=640, height=480)}


def empty_mask(frame: SimulatedFrame) -> dict:
    return {'mask': images.image_from_pixels(np.zeros((480, 640), np.uint8), 'mono8',
                                                  Header())}


def small_mask(frame: SimulatedFrame) -> dict:
    return {'mask': images.image_from_pixels(np.ones((240, 320), np.uint8), 'mono8',
                                                  Header())}


def speck(frame: SimulatedFrame) -> dict:
    mask = np.zeros((480, 640), np.uint8)
    v, u = np.argwhere(frame.mask & (frame.depth > 0))[0]
    mask[v:v + 3, u:u + 3] = 1
    return {'mask': images.image_from_pixels(mask, 'mono8', Header())}


def truncated(frame: SimulatedFrame) -> dict:
    return {'depth': Image(height=480, width=640, encoding='16UC1', step=1280, data=bytes(999))}


@pytest.mark.parametrize(('spoil', 'state', 'text'), [
    (wrong_encoding, 'bad_input', "depth image has encoding 'rgb8'"),
    (all_zero, 'no_estimate', 'holds no measurement'),
    (all_nan, 'no_estimate', 'holds no measurement'),
    (other_size, 'bad_input', '(640, 480) but camera info is for (320, 240)'),
    (uncalibrated, 'bad_input', 'no calibration'),
    (empty_mask, 'no_estimate', 'the mask is empty'),
    (small_mask, 'bad_input', 'mask is (320, 240)'),
    (speck, 'no_estimate', 'valid points on the object; need 100'),
    (truncated, 'bad_input', 'holds 999 bytes'),
])
def test_bad_input_is_reported_and_survived(bench: Bench, frames: list, spoil, state: str,
                                        text: str) -> None:
    # Without meshes a frame is answered sooner; the axis is the only marker then.
    assert bench.set(publish_meshes=False)[0]
    bench.joint_state(bench.show(frames[1]))
    begin = time.time()
    stamp = bench.show(frames[1], **spoil(frames[1]))
    status = bench.status(state, text, after=begin)
    assert status.level != DiagnosticStatus.OK
    assert 'residual_m' not in values(status)
    assert {(m.ns, m.id) for m in bench.deleted_markers(begin)} == {('bench/axis', 0)}
    lines = [x for x in bench.process.output().splitlines() if text in x]
    assert 1 <= len(lines) <= 2 and re.match(r'\[(WARN|ERROR)\]', lines[-1])

    again = bench.show(frames[1])
    answer = bench.joint_state(again)
    assert abs(np.degrees(answer.position[0] - frames[1].positions[0])) < JOINT_TOLERANCE
    assert [(m.ns, m.action) for m in bench.shown_markers(again)] == [
        ('bench/axis', Marker.ADD)]
    assert stamp not in {stamp_key(m) for m in bench.joints.messages}
    assert stamp not in {stamp_key(m.transforms[0]) for m in bench.tf.messages}
    assert bench.process.exit_status is None


def test_a_camera_that_stops_is_reported(bench: Bench, frames: list) -> None:
    assert bench.set(publish_meshes=True)[0]
    bench.joint_state(bench.show(frames[1]))
    begin = time.time()
    assert bench.set(lost_after=1.0)[0]
    bench.status('stale', bench.topic['depth/image_rect'], after=begin)
    assert {(m.ns, m.id) for m in bench.deleted_markers(begin)} == {
        ('bench', 0), ('bench', 1), ('bench/axis', 0)}
    assert bench.set(lost_after=20.0)[0]
    bench.joint_state(bench.show(frames[1]))


# --- parameters while it runs --------------------------------------------------------------------

def test_live_parameters_take_effect_and_others_are_refused(bench: Bench, frames: list) -> None:
    assert not bench.set(category='laptop')[0]
    assert not bench.set(max_depth=-2.0)[0]
    assert not bench.set(max_depth='far')[0]
    begin = time.time()
    assert bench.set(max_depth=0.05) == (True, '')
    bench.show(frames[1])
    bench.status('no_estimate', 'beyond max_depth', after=begin)
    assert bench.set(max_depth=0.0)[0]
    begin = time.time()
    assert bench.set(mask_id=7)[0]
    bench.show(frames[1])
    bench.status('no_estimate', 'no pixel of id 7', after=begin)
    mask = images.image_from_pixels(frames[1].mask.astype(np.uint16) * 7, 'mono16', Header())
    bench.joint_state(bench.show(frames[1], mask=mask))
    assert bench.set(mask_id=0)[0]


# --- without a mask ------------------------------------------------------------------------------

@pytest.fixture(scope='module')
def desk(bench: Bench) -> Bench:
    """The node with default names, without a publisher of the mask."""
    bench.recorder.node.destroy_publisher(bench.mask)
    bench.mask = None
    bench.configure(object_name='')
    bench.joints = bench.recorder.subscribe(JointState, '/bench/laptop/joint_states')
    return bench.ready(bench.depth, bench.info)


def surface(tilt: float) -> np.ndarray:
    """Noisy depth (H, W), m, of a plane alone."""
    v = (np.arange(480)[:, None] - INTRINSICS.cy) / INTRINSICS.fy
    depth = np.cos(tilt) / (np.cos(tilt) - v * np.sin(tilt)) * np.ones((1, 640))
    noise = np.random.default_rng(0).normal(0, 0.0005 + 0.0015 * depth ** 2)
    return np.where((depth > 0) & (depth < 4), depth + noise, 0).astype(np.float32)


def test_object_on_a_table_is_found_without_a_mask(desk: Bench, film: list) -> None:
    assert desk.recorder.node.count_publishers(desk.topic['mask']) == 0
    # Two joint states, so that a constant cannot pass. Each is found anew, not tracked.
    for shot in film:
        desk.configure()
        desk.ready(desk.depth, desk.info)
        stamp, markers = desk.meshes_of_a_frame(partial(desk.publish_now, shot.info, shot.depth))
        state = desk.joint_state(stamp)
        assert abs(np.degrees(state.position[0] - shot.joints.position[0])) < JOINT_TOLERANCE
        transforms = desk.transforms(stamp)
        assert [t.child_frame_id for t in transforms] == ['laptop_base', 'laptop_lid']
        assert {stamp_key(m) for m in (*transforms, *markers, desk.points_of(stamp))} == {stamp}
        assert {t.header.frame_id for t in transforms} == {CAMERA}
        assert [(m.ns, m.id) for m in markers] == [
            ('laptop', 0), ('laptop', 1), ('laptop/axis', 0)]
        gap = (poses.matrix_from_transform(transforms[0])
               - poses.matrix_from_pose(shot.pose.pose))[:3, 3]
        assert np.linalg.norm(gap) < 0.05


@pytest.mark.parametrize(('depth', 'text'), [
    (surface(np.radians(60)), 'stands out of the support plane'),
    (surface(0.0), 'stands out of the support plane'),
    (np.zeros((480, 640), np.float32), 'holds no measurement'),
], ids=['empty table', 'wall', 'nothing'])
def test_without_a_mask_and_an_object_no_pose_is_published(
        desk: Bench, frames: list, depth: np.ndarray, text: str) -> None:
    """An object in front of nothing needs no support plane; then the object is removed."""
    desk.configure(publish_meshes=False)
    desk.ready(desk.depth, desk.info)
    answer = desk.joint_state(desk.show(frames[2]))
    assert abs(np.degrees(answer.position[0] - frames[2].positions[0])) < JOINT_TOLERANCE
    begin = time.time()
    stamp = desk.show(frames[2], depth=images.image_from_pixels(depth, '32FC1', Header()))
    status = desk.status('no_estimate', text, after=begin)
    assert status.level == DiagnosticStatus.WARN and 'residual_m' not in values(status)
    assert ('laptop/axis', 0) in {(m.ns, m.id) for m in desk.deleted_markers(begin)}
    desk.joint_state(desk.show(frames[2]))
    for received in (desk.joints, desk.used):
        assert stamp not in {stamp_key(m) for m in received.messages}
    assert stamp not in {stamp_key(m.transforms[0]) for m in desk.tf.messages}


# --- a cloud instead of images -------------------------------------------------------------------

def test_points_instead_of_depth(desk: Bench, frames: list) -> None:
    desk.configure(input='points', publish_tf='base', publish_meshes=False)
    desk.ready(desk.points)
    frame = frames[2]
    points = backproject(frame.depth, INTRINSICS, frame.mask)

    def show() -> tuple[int, int]:
        cloud = clouds.cloud_from_points(points, desk.header())
        desk.points.publish(cloud)
        return stamp_key(cloud)

    stamp = show()
    state = desk.joint_state(stamp)
    assert abs(np.degrees(state.position[0] - frame.positions[0])) < JOINT_TOLERANCE
    assert [t.child_frame_id for t in desk.transforms(stamp)] == ['laptop']
    assert {m.type for m in desk.shown_markers(stamp)} == {Marker.ARROW}

    begin = time.time()
    bad = clouds.cloud_from_points(points, desk.header())
    bad.fields = bad.fields[:2]
    desk.points.publish(bad)
    desk.status('bad_input', 'fields x, y, z', after=begin)
    desk.joint_state(show())


def test_the_object_is_found_in_the_cloud_of_a_scene(desk: Bench, film: list) -> None:
    for shot in film:  # two joint states, each found anew
        desk.configure(input='points', segment_points=True, publish_meshes=False)
        desk.ready(desk.points)
        pixels = images.depth_from_image(shot.depth)
        points = backproject(pixels, INTRINSICS, pixels > 0)
        cloud = clouds.cloud_from_points(points, desk.header())
        desk.points.publish(cloud)
        state = desk.joint_state(stamp_key(cloud))
        assert abs(np.degrees(state.position[0] - shot.joints.position[0])) < JOINT_TOLERANCE


# --- the end -------------------------------------------------------------------------------------

def test_a_signal_ends_the_node_cleanly(processes: dict) -> None:
    process = processes['perception']
    assert process.exit_status is None
    assert process.stop(signal.SIGTERM) == 0
    assert all('Traceback' not in p.output() for p in processes.values())
