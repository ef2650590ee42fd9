"""The real nodes as processes, over real DDS: what comes out, and what bad input does to them.

Every wait has a deadline. One perception node serves most tests; each bad input is followed by a
good one, which has to be answered.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from geometry_msgs.msg import PoseStamped, TransformStamped  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_core.geometry import Intrinsics, backproject  # noqa: E402
from kinediff3d_core.simulated_camera import (  # noqa: E402
    SimulatedCamera,
    SimulatedFrame,
    SimulatedScene,
)
from kinediff3d_ros import conversions  # noqa: E402
from kinediff3d_ros.processes import (  # noqa: E402
    NodeProcess,
    Recorder,
    private_graph,
    reliably,
    stamp_key,
)

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


@dataclass
class Bench:
    """A perception node in a namespace, with publishers of its inputs and ears at its outputs.

    Without ``masked`` nobody publishes a mask, and the node has to find the object by itself.
    """

    recorder: Recorder
    process: NodeProcess
    namespace: str
    masked: bool = True

    def __post_init__(self) -> None:
        node, ns = self.recorder.node, f'/{self.namespace}'
        self.topic = {name: f'{ns}/{name}' for name in INPUTS}
        self.depth = node.create_publisher(Image, self.topic['depth/image_rect'], 5)
        self.info = node.create_publisher(CameraInfo, self.topic['depth/camera_info'], 5)
        self.mask = (node.create_publisher(Image, self.topic['mask'], 5) if self.masked
                     else None)
        self.points = node.create_publisher(PointCloud2, self.topic['points'], 5)
        hear = self.recorder.listen
        self.joints = hear(JointState, f'{ns}/joint_states')
        self.tf = hear(TFMessage, f'{ns}/tf')
        self.markers = hear(MarkerArray, f'{ns}/markers')
        self.used = hear(PointCloud2, f'{ns}/points_used')
        self.diagnostics = hear(DiagnosticArray, f'{ns}/diagnostics')

    def wait(self, condition, what: str, timeout: float = ANSWER):
        try:
            return self.recorder.wait_for(condition, timeout, what)
        except TimeoutError as error:
            raise AssertionError(f'{error}; the node said:\n{self.process.output()[-2000:]}'
                                 ) from None

    def ready(self) -> Bench:
        """Wait until the node listens and is heard."""
        publishers = (self.points,) if self.namespace == 'cloud' else (self.depth, self.info)
        self.wait(lambda: self.diagnostics.entries and all(
            p.get_subscription_count() for p in publishers), 'perception node', START)
        return self

    def header(self) -> Header:
        stamp = self.recorder.node.get_clock().now().to_msg()
        return Header(stamp=stamp, frame_id=CAMERA)

    def show(self, frame: SimulatedFrame, encoding: str = '16UC1', info: CameraInfo | None = None,
             depth: Image | None = None, mask: Image | None = None) -> tuple[int, int]:
        """Publish a frame, or a spoiled version of it; its stamp."""
        header = self.header()
        if info is None:
            info = conversions.info_from_intrinsics(INTRINSICS, header)
        if mask is None:
            mask = conversions.image_from_pixels(frame.mask.astype(np.uint8), 'mono8', header)
        if depth is None:
            pixels = (np.round(frame.depth * 1000).astype(np.uint16) if encoding == '16UC1'
                      else frame.depth.astype(np.float32))
            depth = conversions.image_from_pixels(pixels, encoding, header)
        for message in (info, mask, depth):
            message.header = header
        self.info.publish(info)
        # The calibration comes on a topic of its own: let it arrive first.
        time.sleep(0.1)
        if self.mask is not None:
            self.mask.publish(mask)
        self.depth.publish(depth)
        return header.stamp.sec, header.stamp.nanosec

    def joint_state(self, stamp: tuple[int, int], timeout: float = ANSWER) -> JointState:
        return self.wait(lambda: next((m for m in self.joints.messages if stamp_key(m) == stamp),
                                      None), f'joint state for stamp {stamp}', timeout)

    def transforms(self, stamp: tuple[int, int]) -> list[TransformStamped]:
        return self.wait(lambda: next((m.transforms for m in self.tf.messages
                                       if stamp_key(m.transforms[0]) == stamp), None), 'TF')

    def shown_markers(self, stamp: tuple[int, int]) -> list[Marker]:
        return self.wait(lambda: next((m.markers for m in self.markers.messages
                                       if stamp_key(m.markers[0]) == stamp), None), 'markers')

    def points_of(self, stamp: tuple[int, int]) -> PointCloud2:
        return self.wait(lambda: next((m for m in self.used.messages if stamp_key(m) == stamp),
                                      None), 'points used')

    def deleted_markers(self, after: float) -> list[Marker]:
        """What was deleted at once, after a time (s since the epoch)."""
        return self.wait(lambda: next(
            (m.markers for t, m in list(self.markers.entries)
             if t > after and all(x.action == Marker.DELETE for x in m.markers)), None),
            'deleted markers')

    def sees_the_object(self) -> bool:
        """Whether the newest frame was answered by an estimate."""
        newest = self.diagnostics.messages[-1].status[0]
        return values(newest)['state'] == 'estimate'

    def status(self, state: str, says: str = '', timeout: float = ANSWER,
               after: float = 0.0) -> DiagnosticStatus:
        """The first status in a state, with that text, after a time (s since the epoch)."""
        def find() -> DiagnosticStatus | None:
            return next((m.status[0] for t, m in list(self.diagnostics.entries)
                         if t > after and values(m.status[0])['state'] == state
                         and says in m.status[0].message), None)
        return self.wait(find, f'state {state} with {says!r}', timeout)


def values(status: DiagnosticStatus) -> dict[str, str]:
    return {v.key: v.value for v in status.values}


def set_parameter(bench: Bench, name: str, value: object) -> tuple[bool, str]:
    client = bench.recorder.node.create_client(SetParameters, '/depth/perception/set_parameters')
    assert client.wait_for_service(10.0)
    future = client.call_async(SetParameters.Request(
        parameters=[Parameter(name, value=value).to_parameter_msg()]))
    result = bench.wait(lambda: future.done() and future.result(), 'answer', 10.0).results[0]
    return result.successful, result.reason


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
    """All long-lived nodes, started together because most of a start is loading torch."""
    folder = tmp_path_factory.mktemp('nodes')

    def perception(namespace: str, **parameters: object) -> NodeProcess:
        topics = [f'/{namespace}/{name}' for name in INPUTS[:3]]
        if parameters.get('input') == 'points':
            topics = [f'/{namespace}/points']
        return NodeProcess(
            'perception_node', folder / f'{namespace}.log', namespace=namespace,
            remaps={'/tf': 'tf'}, parameters={
                'threads': 1, 'lost_after': 20.0,
                'description_dir': str(folder / 'description'), **parameters,
                **reliably(*topics)})

    started = {'depth': perception('depth', object_name='bench/laptop'),
               'cloud': perception('cloud', input='points', publish_meshes=False,
                                   publish_tf='base'),
               'desk': perception('desk', mesh_period=60.0),
               'desk_sim': NodeProcess(
                   'camera_sim_node', folder / 'desk_sim.log', namespace='desk', parameters={
                       'instance': 1, 'states': 3, 'rate': 0.5, 'sweep_period': 8.0,
                       'table': True, 'publish_mask': False, 'frame_id': CAMERA}),
               'unknown': perception('unknown', category='teapot'),
               'range': perception('range', max_depth=-1.0),
               'choice': perception('choice', mask_mode='sometimes'),
               'weights': perception('weights', weights=str(folder / 'nothing')),
               'sim': NodeProcess('camera_sim_node', folder / 'sim.log', namespace='sim',
                                  parameters={'states': 2, 'rate': 5.0, 'encoding': '32FC1',
                                              'sweep_period': 2.0})}
    try:
        yield started
    finally:
        for process in started.values():
            process.stop(timeout=5.0)


@pytest.fixture(scope='module')
def bench(recorder: Recorder, processes: dict) -> Bench:
    return Bench(recorder, processes['depth'], 'depth').ready()


# --- what goes wrong at the start ----------------------------------------------------------------

@pytest.mark.parametrize(('name', 'says'), [
    ('unknown', "unknown category 'teapot'; known: "),
    ('range', 'max_depth'),
    ('choice', "parameter 'mask_mode' is 'sometimes'; known: auto, required, ignored"),
    ('weights', 'is not a folder'),
])
def test_unusable_configuration_ends_with_one_line(processes: dict, name: str, says: str) -> None:
    process = processes[name]
    assert process.wait(START) == 2
    fatal = [line for line in process.output().splitlines() if '[FATAL]' in line]
    assert len(fatal) == 1 and says in fatal[0]
    assert 'Traceback' not in process.output()


# --- the way it should be ------------------------------------------------------------------------

def test_missing_camera_info_is_named_and_waited_for(bench: Bench, frames: list) -> None:
    """Before anyone has sent a camera_info: depth alone is no reason to die, nor to be silent."""
    begin = time.time()
    while time.time() - begin < 3.5:
        header = bench.header()
        bench.depth.publish(conversions.image_from_pixels(
            frames[1].depth.astype(np.float32), '32FC1', header))
        time.sleep(0.5)
    status = bench.wait(lambda: next(
        (m.status[0] for t, m in list(bench.diagnostics.entries)
         if t > begin and 'no camera_info' in m.status[0].message), None), 'word of it')
    assert bench.topic['depth/camera_info'] in status.message
    assert status.level == DiagnosticStatus.WARN
    assert 'there is no camera_info' in bench.process.output()
    assert not bench.joints.entries


@pytest.mark.parametrize('encoding', ['16UC1', '32FC1'])
def test_estimate_is_near_the_truth_and_everything_has_its_stamp(
        bench: Bench, frames: list, encoding: str) -> None:
    errors = []
    for frame in frames[1:]:
        stamp = bench.show(frame, encoding)
        state = bench.joint_state(stamp)
        assert list(state.name) == ['lid_joint'] and state.header.frame_id == CAMERA
        errors.append(abs(np.degrees(state.position[0] - frame.positions[0])))
    assert max(errors) < JOINT_TOLERANCE, errors
    # Markers follow their frames and are sent again with the first frame after a second.
    time.sleep(1.1)
    stamp = bench.show(frame, encoding)

    transforms = bench.transforms(stamp)
    assert [t.child_frame_id for t in transforms] == ['bench/laptop/base', 'bench/laptop/lid']
    assert {t.header.frame_id for t in transforms} == {CAMERA}
    assert {stamp_key(t) for t in transforms} == {stamp}
    base = conversions.matrix_from_transform(transforms[0])
    assert np.linalg.norm(base[:3, 3] - frame.T_camera_base[:3, 3]) < 0.05

    markers = bench.shown_markers(stamp)
    assert [(m.ns, m.id, m.type, m.header.frame_id) for m in markers] == [
        ('bench/laptop', 0, Marker.TRIANGLE_LIST, 'bench/laptop/base'),
        ('bench/laptop', 1, Marker.TRIANGLE_LIST, 'bench/laptop/lid'),
        ('bench/laptop/axis', 0, Marker.ARROW, 'bench/laptop/base')]
    assert all(len(m.points) % 3 == 0 and len(m.points) > 30 for m in markers[:2])

    used = bench.points_of(stamp)
    points = conversions.points_from_cloud(used)
    assert used.header.frame_id == CAMERA
    assert len(points) == np.count_nonzero(frame.depth[frame.mask])

    status = values(bench.status('estimate'))
    assert float(status['residual_m']) < 0.02 and 0 < float(status['confidence']) <= 1
    assert {'convert_ms', 'segment_ms', 'frame_ms', 'age_ms', 'frames_dropped'} <= set(status)


def test_late_joiner_gets_the_description_with_its_meshes(bench: Bench, frames: list) -> None:
    bench.joint_state(bench.show(frames[2]))
    late = bench.recorder.listen(String, '/depth/robot_description', QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    text = bench.wait(lambda: late.messages and late.messages[-1].data, 'robot_description')
    robot = ElementTree.fromstring(text)
    joint = robot.find("joint[@name='lid_joint']")
    assert joint.get('type') == 'revolute'
    assert (joint.find('parent').get('link'), joint.find('child').get('link')) == ('base', 'lid')
    files = [m.get('filename') for m in robot.iter('mesh')]
    assert files and all(f.startswith('file:///') for f in files)
    assert all(Path(f.removeprefix('file://')).stat().st_size > 0 for f in files)


def test_without_a_stamp_twice_and_no_older_one(bench: Bench, frames: list) -> None:
    """The same image again, or one from before, must not bring a second transform."""
    stamp = bench.show(frames[2])
    bench.joint_state(stamp)
    begin = time.time()
    header = Header(stamp=bench.joints.messages[-1].header.stamp, frame_id=CAMERA)
    mask = conversions.image_from_pixels(frames[2].mask.astype(np.uint8), 'mono8', header)
    depth = conversions.image_from_pixels(frames[2].depth.astype(np.float32), '32FC1', header)
    for _ in range(2):
        bench.mask.publish(mask)
        bench.depth.publish(depth)
        time.sleep(0.2)
    bench.wait(lambda: any(t > begin and int(values(m.status[0])['frames_repeated']) >= 1
                           for t, m in list(bench.diagnostics.entries)), 'a repeated frame')
    bench.joint_state(bench.show(frames[1]))
    stamps = [stamp_key(m.transforms[0]) for m in bench.tf.messages]
    assert len(stamps) == len(set(stamps))


def test_a_flood_is_answered_with_the_newest(bench: Bench, frames: list) -> None:
    """Ten frames at once: some are dropped and counted, the last one is answered."""
    before = len(bench.joints.entries)
    begin = time.time()
    stamps = []
    for _ in range(10):
        header = bench.header()
        bench.mask.publish(conversions.image_from_pixels(
            frames[1].mask.astype(np.uint8), 'mono8', header))
        bench.depth.publish(conversions.image_from_pixels(
            frames[1].depth.astype(np.float32), '32FC1', header))
        stamps.append((header.stamp.sec, header.stamp.nanosec))
        time.sleep(0.02)
    bench.joint_state(stamps[-1])
    answered = len(bench.joints.entries) - before
    assert answered < 10
    bench.wait(lambda: any(t > begin and int(values(m.status[0])['frames_dropped']) > 0
                           for t, m in list(bench.diagnostics.entries)), 'a dropped frame')


# --- nobody publishes a mask ---------------------------------------------------------------------

@pytest.fixture(scope='module')
def desk(recorder: Recorder, processes: dict) -> Bench:
    """What a simulated camera sees on a table; nothing in between, and no mask."""
    return Bench(recorder, processes['desk'], 'desk', masked=False)


def surface(tilt: float) -> np.ndarray:
    """Noisy depth (H, W), m, of nothing but a plane."""
    v = (np.arange(480)[:, None] - INTRINSICS.cy) / INTRINSICS.fy
    depth = np.cos(tilt) / (np.cos(tilt) - v * np.sin(tilt)) * np.ones((1, 640))
    noise = np.random.default_rng(0).normal(0, 0.0005 + 0.0015 * depth ** 2)
    return np.where((depth > 0) & (depth < 4), depth + noise, 0).astype(np.float32)


def test_object_on_a_table_is_found_without_a_mask(desk: Bench, processes: dict) -> None:
    truth = desk.recorder.listen(JointState, '/desk/truth/joint_states')
    poses = desk.recorder.listen(PoseStamped, '/desk/truth/pose')

    def both() -> dict[tuple[int, int], tuple[float, float, PoseStamped]]:
        """Estimates beside the truth of the same stamp."""
        true = {stamp_key(m): m.position[0] for m in truth.messages}
        where = {stamp_key(m): m for m in poses.messages}
        said = {stamp_key(m): m.position[0] for m in desk.joints.messages}
        return {k: (q, true[k], where[k]) for k, q in said.items() if k in true and k in where}

    # At least two joint states, so that a constant would not do.
    seen = desk.wait(lambda: len({t for _, t, _ in both().values()}) > 1 and both(),
                     'estimates of two joint states', 2 * START)
    assert processes['desk_sim'].stop() == 0
    assert desk.recorder.node.count_publishers(desk.topic['mask']) == 0
    errors = [abs(np.degrees(said - true)) for said, true, _ in seen.values()]
    assert max(errors) < JOINT_TOLERANCE, errors
    for stamp, (_, _, pose) in seen.items():
        transforms, markers = desk.transforms(stamp), desk.shown_markers(stamp)
        assert [t.child_frame_id for t in transforms] == ['laptop/base', 'laptop/lid']
        assert {stamp_key(m) for m in (*transforms, *markers, desk.points_of(stamp))} == {stamp}
        assert {t.header.frame_id for t in transforms} == {CAMERA}
        assert [(m.ns, m.id) for m in markers] == [
            ('laptop', 0), ('laptop', 1), ('laptop/axis', 0)]
        gap = (conversions.matrix_from_transform(transforms[0])
               - conversions.matrix_from_pose(pose.pose))[:3, 3]
        assert np.linalg.norm(gap) < 0.05


@pytest.mark.parametrize(('depth', 'says'), [
    (surface(np.radians(60)), 'stands out of the support plane'),
    (surface(0.0), 'stands out of the support plane'),
    (np.zeros((480, 640), np.float32), 'holds no measurement'),
], ids=['empty table', 'wall', 'nothing'])
def test_without_mask_and_object_no_pose_goes_out(desk: Bench, frames: list, depth: np.ndarray,
                                                  says: str) -> None:
    """An object in front of nothing needs no support plane; then it is taken away."""
    answer = desk.joint_state(desk.show(frames[2]))
    assert abs(np.degrees(answer.position[0] - frames[2].positions[0])) < JOINT_TOLERANCE
    begin = time.time()
    stamp = desk.show(frames[2], depth=conversions.image_from_pixels(depth, '32FC1', Header()))
    status = desk.status('no_estimate', says, after=begin)
    assert status.level == DiagnosticStatus.WARN and 'residual_m' not in values(status)
    assert ('laptop/axis', 0) in {(m.ns, m.id) for m in desk.deleted_markers(begin)}
    desk.joint_state(desk.show(frames[1]))
    for heard in (desk.joints, desk.used):
        assert stamp not in {stamp_key(m) for m in heard.messages}
    assert stamp not in {stamp_key(m.transforms[0]) for m in desk.tf.messages}


# --- bad input: one clear word, no pose, and life goes on ----------------------------------------

def wrong_encoding(frame: SimulatedFrame) -> dict:
    return {'depth': Image(height=480, width=640, encoding='rgb8', step=1920,
                           data=bytes(480 * 1920))}


def all_zero(frame: SimulatedFrame) -> dict:
    return {'depth': conversions.image_from_pixels(np.zeros((480, 640), np.uint16), '16UC1',
                                                   Header())}


def all_nan(frame: SimulatedFrame) -> dict:
    return {'depth': conversions.image_from_pixels(np.full((480, 640), np.nan, np.float32),
                                                   '32FC1', Header())}


def other_size(frame: SimulatedFrame) -> dict:
    return {'info': conversions.info_from_intrinsics(
        Intrinsics(300.0, 300.0, 160.0, 120.0, 320, 240), Header())}


def uncalibrated(frame: SimulatedFrame) -> dict:
    return {'info': CameraInfo(width=640, height=480)}


def empty_mask(frame: SimulatedFrame) -> dict:
    return {'mask': conversions.image_from_pixels(np.zeros((480, 640), np.uint8), 'mono8',
                                                  Header())}


def small_mask(frame: SimulatedFrame) -> dict:
    return {'mask': conversions.image_from_pixels(np.ones((240, 320), np.uint8), 'mono8',
                                                  Header())}


def speck(frame: SimulatedFrame) -> dict:
    mask = np.zeros((480, 640), np.uint8)
    v, u = np.argwhere(frame.mask & (frame.depth > 0))[0]
    mask[v:v + 3, u:u + 3] = 1
    return {'mask': conversions.image_from_pixels(mask, 'mono8', Header())}


def truncated(frame: SimulatedFrame) -> dict:
    return {'depth': Image(height=480, width=640, encoding='16UC1', step=1280, data=bytes(999))}


@pytest.mark.parametrize(('spoil', 'state', 'says'), [
    (wrong_encoding, 'bad_input', "depth image has encoding 'rgb8'"),
    (all_zero, 'no_estimate', 'holds no measurement'),
    (all_nan, 'no_estimate', 'holds no measurement'),
    (other_size, 'bad_input', '640 x 480 pixels but camera_info says 320 x 240 pixels'),
    (uncalibrated, 'bad_input', 'no calibration'),
    (empty_mask, 'no_estimate', 'the mask is empty'),
    (small_mask, 'bad_input', 'mask is 320 x 240 pixels'),
    (speck, 'no_estimate', 'valid points on the object; need 100'),
    (truncated, 'bad_input', 'holds 999 bytes'),
])
def test_bad_input_is_said_and_survived(bench: Bench, frames: list, spoil, state: str,
                                        says: str) -> None:
    # Without meshes a frame is answered sooner; what is shown then is the axis.
    assert set_parameter(bench, 'publish_meshes', False)[0]
    if not bench.sees_the_object():
        bench.joint_state(bench.show(frames[1]))
    time.sleep(1.1)
    assert [m.ns for m in bench.shown_markers(bench.show(frames[1]))
            if m.action != Marker.DELETE] == ['bench/laptop/axis']
    begin = time.time()
    stamp = bench.show(frames[1], **spoil(frames[1]))
    status = bench.status(state, says, after=begin)
    assert status.level != DiagnosticStatus.OK
    assert 'residual_m' not in values(status)
    assert {(m.ns, m.id) for m in bench.deleted_markers(begin)} == {('bench/laptop/axis', 0)}
    lines = [x for x in bench.process.output().splitlines() if says in x]
    assert 1 <= len(lines) <= 2 and re.match(r'\[(WARN|ERROR)\]', lines[-1])

    answer = bench.joint_state(bench.show(frames[1]))
    assert abs(np.degrees(answer.position[0] - frames[1].positions[0])) < JOINT_TOLERANCE
    assert stamp not in {stamp_key(m) for m in bench.joints.messages}
    assert stamp not in {stamp_key(m.transforms[0]) for m in bench.tf.messages}
    assert bench.process.exit_status is None


def test_a_camera_that_stops_is_noticed(bench: Bench, frames: list) -> None:
    assert set_parameter(bench, 'publish_meshes', True)[0]
    assert set_parameter(bench, 'lost_after', 1.0)[0]
    bench.joint_state(bench.show(frames[1]))
    begin = time.time()
    bench.status('stale', bench.topic['depth/image_rect'], timeout=10.0, after=begin)
    assert {(m.ns, m.id) for m in bench.deleted_markers(begin)} == {
        ('bench/laptop', 0), ('bench/laptop', 1), ('bench/laptop/axis', 0)}
    assert set_parameter(bench, 'lost_after', 20.0)[0]
    bench.joint_state(bench.show(frames[1]))


# --- parameters while it runs --------------------------------------------------------------------

def test_live_parameters_take_effect_and_others_are_refused(bench: Bench, frames: list) -> None:
    assert not set_parameter(bench, 'category', 'laptop')[0]
    assert not set_parameter(bench, 'max_depth', -2.0)[0]
    assert not set_parameter(bench, 'max_depth', 'far')[0]
    begin = time.time()
    assert set_parameter(bench, 'max_depth', 0.05) == (True, '')
    bench.show(frames[1])
    bench.status('no_estimate', 'beyond max_depth', after=begin)
    assert set_parameter(bench, 'max_depth', 0.0)[0]
    begin = time.time()
    assert set_parameter(bench, 'mask_id', 7)[0]
    bench.show(frames[1])
    bench.status('no_estimate', 'no pixel of id 7', after=begin)
    mask = conversions.image_from_pixels(frames[1].mask.astype(np.uint16) * 7, 'mono16', Header())
    bench.joint_state(bench.show(frames[1], mask=mask))
    assert set_parameter(bench, 'mask_id', 0)[0]


# --- a cloud instead of images -------------------------------------------------------------------

def test_points_in_place_of_depth(recorder: Recorder, processes: dict, frames: list) -> None:
    cloud = Bench(recorder, processes['cloud'], 'cloud').ready()
    frame = frames[2]
    points = backproject(frame.depth, INTRINSICS, frame.mask)
    header = cloud.header()
    cloud.points.publish(conversions.cloud_from_points(points, header))
    state = cloud.joint_state(stamp_key(type('H', (), {'header': header})))
    assert abs(np.degrees(state.position[0] - frame.positions[0])) < JOINT_TOLERANCE
    transforms = cloud.wait(lambda: cloud.tf.messages and cloud.tf.messages[-1].transforms, 'TF')
    assert [t.child_frame_id for t in transforms] == ['laptop/base']
    array = cloud.wait(lambda: cloud.markers.messages and cloud.markers.messages[-1], 'markers')
    assert {m.type for m in array.markers} == {Marker.ARROW}

    begin = time.time()
    bad = conversions.cloud_from_points(points, cloud.header())
    bad.fields = bad.fields[:2]
    cloud.points.publish(bad)
    cloud.status('bad_input', 'fields x, y, z', after=begin)
    header = cloud.header()
    cloud.points.publish(conversions.cloud_from_points(points, header))
    cloud.joint_state((header.stamp.sec, header.stamp.nanosec))


# --- the simulated camera ------------------------------------------------------------------------

def test_simulated_camera_says_the_truth_with_one_stamp(recorder: Recorder, processes: dict,
                                                        ) -> None:
    hear = recorder.listen
    depth = hear(Image, '/sim/depth/image_rect')
    others = {'info': hear(CameraInfo, '/sim/depth/camera_info'), 'mask': hear(Image, '/sim/mask'),
              'joints': hear(JointState, '/sim/truth/joint_states'),
              'pose': hear(PoseStamped, '/sim/truth/pose')}

    def complete() -> tuple[int, int] | None:
        sets = [{stamp_key(m) for m in h.messages} for h in (depth, *others.values())]
        return max(set.intersection(*sets), default=None)

    stamp = recorder.wait_for(complete, START, 'complete frame')
    image = next(m for m in depth.messages if stamp_key(m) == stamp)
    at = {name: next(m for m in h.messages if stamp_key(m) == stamp) for name, h in others.items()}
    assert {m.header.frame_id for m in (image, *at.values())} == {'camera_depth_optical_frame'}
    pixels, mask = conversions.depth_from_image(image), conversions.mask_from_image(at['mask'])
    assert image.encoding == '32FC1' and pixels.shape == mask.shape == (480, 640)
    points = backproject(pixels, conversions.intrinsics_from_info(at['info']), mask)
    T = conversions.matrix_from_pose(at['pose'].pose)
    # The object is where the pose says: within its own size of the base.
    assert np.linalg.norm(points.mean(axis=0) - T[:3, 3]) < 0.3
    recorder.wait_for(lambda: len({tuple(m.position) for m in others['joints'].messages}) > 1,
                      10.0, 'moving joint')


# --- the end -------------------------------------------------------------------------------------

@pytest.mark.parametrize(('name', 'number'), [
    ('depth', signal.SIGINT), ('cloud', signal.SIGTERM), ('sim', signal.SIGINT)])
def test_signals_end_the_nodes_cleanly(processes: dict, name: str, number: int) -> None:
    process = processes[name]
    assert process.exit_status is None
    assert process.stop(number) == 0
    assert 'Traceback' not in process.output()
