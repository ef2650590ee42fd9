"""Two cameras, three objects and a robot in one graph, with real processes: nothing mixes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yourdfpy
from instant_perception import instant_perception

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, JointState  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_core.geometry.camera import Intrinsics  # noqa: E402
from kinediff3d_ros.messages import camera_info, images, poses  # noqa: E402
from kinediff3d_ros.nodes.config import NodeConfig  # noqa: E402
from kinediff3d_ros.tools.processes import private_graph  # noqa: E402
from kinediff3d_ros.tools.recorder import Recorder, TopicLog, stamp_key  # noqa: E402

pytestmark = pytest.mark.ros

START = 120.0
"""Seconds for both nodes to start, and to answer, on a busy machine."""
INTRINSICS = Intrinsics(60.0, 60.0, 31.5, 23.5, 64, 48)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

ROBOT = """<robot name="arm"><link name="base_link"/><link name="tool"/>
<joint name="elbow" type="revolute"><parent link="base_link"/><child link="tool"/>
<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint>
<link name="left_camera"/><joint name="left_mount" type="fixed"><parent link="base_link"/>
<child link="left_camera"/></joint><link name="right_camera"/><joint name="right_mount"
type="fixed"><parent link="tool"/><child link="right_camera"/></joint></robot>"""

OBJECTS = {'/left/laptop_1': 'left_camera', '/left/box_4': 'left_camera',
           '/right/laptop': 'right_camera'}
"""Prefix of the topics of each object, and the frame of its camera."""
STATUSES = {'/left/perception: objects', '/left/perception: laptop_1', '/left/perception: box_4',
            '/right/perception: laptop'}


class Camera:
    """Publishes the images of one camera: some objects side by side."""

    def __init__(self, recorder: Recorder, side: str) -> None:
        self._node, self._side = recorder.node, side
        self._depth, self._mask = (self._node.create_publisher(Image, f'/{side}/{topic}', 10)
                                   for topic in ('depth/image_rect', 'mask'))
        self._info = self._node.create_publisher(CameraInfo, f'/{side}/depth/camera_info', 10)

    @property
    def connected(self) -> bool:
        return all(p.get_subscription_count() for p in (self._depth, self._mask, self._info))

    def show(self, *numbers: int) -> tuple[int, int]:
        """Show objects with these mask ids; return the stamp."""
        header = Header(stamp=self._node.get_clock().now().to_msg(),
                        frame_id=f'{self._side}_camera')
        depth, mask = np.zeros((48, 64), np.float32), np.zeros((48, 64), np.uint16)
        for i, number in enumerate(numbers):
            at = np.s_[8:40, 4 + 20 * i:20 + 20 * i]
            depth[at], mask[at] = 1.0 + 0.1 * i, number
        self._info.publish(camera_info.info_from_intrinsics(INTRINSICS, header))
        self._mask.publish(images.image_from_pixels(mask, 'mono16', header))
        self._depth.publish(images.image_from_pixels(depth, '32FC1', header))
        return header.stamp.sec, header.stamp.nanosec


class Robot:
    """A robot's own software: joint states, description and TF in the root namespace."""

    def __init__(self, recorder: Recorder) -> None:
        create, self._clock = recorder.node.create_publisher, recorder.node.get_clock()
        self._joints = create(JointState, '/joint_states', 10)
        self._tf = create(TFMessage, '/tf', 10)
        create(String, '/robot_description', LATCHED).publish(String(data=ROBOT))

    def publish(self) -> None:
        header = Header(stamp=self._clock.now().to_msg(), frame_id='base_link')
        self._joints.publish(JointState(header=header, name=['elbow'], position=[0.5]))
        mounted = Header(stamp=header.stamp, frame_id='tool')
        self._tf.publish(TFMessage(transforms=[
            poses.transform_from_matrix(np.eye(4), parent, child) for parent, child in (
                (header, 'tool'), (header, 'left_camera'), (mounted, 'right_camera'))]))


class Graph:
    """Cameras, robot, both perception nodes and everything that they publish."""

    def __init__(self, recorder: Recorder, folder: Path, files: ExitStack) -> None:
        self.recorder, self._folder = recorder, folder
        subscribe = recorder.subscribe
        self.joints = {name: subscribe(JointState, f'{name}/joint_states') for name in OBJECTS}
        self.robot_joints = subscribe(JointState, '/joint_states')
        self.descriptions = {name: subscribe(String, f'{name}/robot_description', LATCHED)
                             for name in ('', *OBJECTS)}
        self.tf = subscribe(TFMessage, '/tf', 100)
        self.markers = {side: subscribe(MarkerArray, f'/{side}/markers')
                        for side in ('left', 'right')}
        self.diagnostics = subscribe(DiagnosticArray, '/diagnostics', 100)
        self.cameras = {side: Camera(recorder, side) for side in ('left', 'right')}
        self.robot = Robot(recorder)
        left = {'instances': 'each', 'objects': '4:box'}
        self.processes = {side: files.enter_context(instant_perception(
            f'/{side}', folder / f'{side}.log', description_dir=folder / side, lost_after=60.0,
            **parameters)) for side, parameters in (('left', left), ('right', {}))}

    def wait(self, condition, what: str):
        try:
            return self.recorder.wait_for(condition, START, what)
        except TimeoutError as error:
            said = '\n'.join(f.read_text()[-2000:] for f in self._folder.glob('*.log'))
            raise AssertionError(f'{error}; the nodes said:\n{said}') from None

    def show(self, side: str, *numbers: int) -> tuple[int, int]:
        """Show objects until an estimate of each is published; return the stamp of the last."""
        names = [n for n in OBJECTS if n.startswith(f'/{side}/')]
        sent: list[tuple[int, int]] = []

        def answered() -> tuple[int, int] | None:
            self.robot.publish()
            sent.append(self.cameras[side].show(*numbers))
            stamps = [{stamp_key(m) for m in self.joints[n].messages} for n in names]
            return max(set.intersection(*stamps), default=None)

        while (stamp := answered()) is None or stamp < sent[0]:
            time.sleep(0.1)
            assert len(sent) < 10 * START, 'no answer'
        return stamp


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with ExitStack() as files:
        recorder = files.enter_context(Recorder(private_graph()))
        graph = Graph(recorder, tmp_path_factory.mktemp('graph'), files)
        graph.wait(lambda: all(c.connected for c in graph.cameras.values()), 'perception nodes')
        graph.show('left', 1, 4)
        graph.show('right', 7)
        yield graph


def urdfs(graph: Graph) -> dict[str, ElementTree.Element]:
    """The robot's URDF ('') and those of the objects."""
    graph.wait(lambda: all(log.messages for log in graph.descriptions.values()), 'descriptions')
    return {name: ElementTree.fromstring(log.messages[-1].data)
            for name, log in graph.descriptions.items()}


def names_of(robot: ElementTree.Element, tag: str) -> list[str]:
    return [element.get('name', '') for element in robot.findall(tag)]


def test_the_robots_topics_are_its_own(graph: Graph) -> None:
    node = graph.recorder.node
    assert node.count_publishers('/joint_states') == 1
    assert node.count_publishers('/robot_description') == 1
    assert node.count_subscribers('/joint_command') == 0
    assert {tuple(m.name) for m in graph.robot_joints.messages} == {('elbow',)}
    assert {m.data for m in graph.descriptions[''].messages} == {ROBOT}
    for name in OBJECTS:
        for topic in ('joint_states', 'robot_description'):
            assert node.count_publishers(f'{name}/{topic}') == 1, name


def test_each_frame_has_one_parent(graph: Graph) -> None:
    parents: dict[str, set[str]] = {}
    for transform in (t for m in graph.tf.messages for t in m.transforms):
        parents.setdefault(transform.child_frame_id, set()).add(transform.header.frame_id)
    assert parents == {
        'tool': {'base_link'}, 'left_camera': {'base_link'}, 'right_camera': {'tool'},
        **{f'{name.split("/")[-1]}_{part}': {camera}
           for name, camera in OBJECTS.items() for part in ('base', 'lid')}}


def test_all_descriptions_fit_into_one(graph: Graph, tmp_path: Path) -> None:
    """Each link has a frame of its name; joint states have the joints of their description."""
    robots = urdfs(graph)
    for tag in ('link', 'joint'):
        names = [name for robot in robots.values() for name in names_of(robot, tag)]
        assert len(names) == len(set(names)), tag
    frames = {t.child_frame_id for m in graph.tf.messages for t in m.transforms}
    merged = ElementTree.fromstring(ROBOT)
    for name, camera in OBJECTS.items():
        robot = robots[name]
        moving = {j.get('name') for j in robot.findall('joint') if j.get('type') != 'fixed'}
        assert {n for m in graph.joints[name].messages for n in m.name} == moving
        short = name.split('/')[-1]
        assert {f'{short}_base', f'{short}_lid'} <= frames & set(names_of(robot, 'link'))
        children = {j.find('child').get('link') for j in robot.findall('joint')}
        root, = set(names_of(robot, 'link')) - children
        merged.extend([*robot.findall('link'), *robot.findall('joint')])
        held = ElementTree.SubElement(merged, 'joint', name=f'{short}_held', type='fixed')
        ElementTree.SubElement(held, 'parent', link=camera)
        ElementTree.SubElement(held, 'child', link=root)
    path = tmp_path / 'all.urdf'
    path.write_text(ElementTree.tostring(merged, encoding='unicode'))
    model = yourdfpy.URDF.load(str(path), load_meshes=False)
    assert model.validate() and model.base_link == 'base_link'
    assert sorted(model.actuated_joint_names) == [
        'box_4_lid_joint', 'elbow', 'laptop_1_lid_joint', 'laptop_lid_joint']
    for name in OBJECTS:
        model.get_transform(f'{name.split("/")[-1]}_lid', 'base_link')


def test_diagnostics_name_the_node_and_the_object(graph: Graph) -> None:
    def found() -> bool:
        seen = [s.name for m in graph.diagnostics.messages for s in m.status]
        return set(seen) >= STATUSES

    graph.wait(found, 'diagnostics of all')
    arrays = [[s.name for s in m.status] for m in graph.diagnostics.messages]
    assert {name for names in arrays for name in names} == STATUSES
    for names in arrays:
        assert len({name.split(': ')[0] for name in names}) == 1 and len(names) == len(set(names))
    assert graph.recorder.node.count_publishers('/diagnostics') == 2


def shown(log: TopicLog[MarkerArray]) -> dict[tuple[str, int], float]:
    """Markers that a viewer shows, and the time at which it removes each by itself."""
    end: dict[tuple[str, int], float] = {}
    for at, array in list(log.entries):
        for marker in array.markers:
            if marker.action == Marker.ADD:
                seconds = marker.lifetime.sec + 1e-9 * marker.lifetime.nanosec
                end[marker.ns, marker.id] = at + seconds if seconds else float('inf')
            else:
                end.pop((marker.ns, marker.id), None)
    return end


def test_a_node_that_is_killed_leaves_no_marker_and_the_other_works(graph: Graph) -> None:
    graph.wait(lambda: all(map(shown, graph.markers.values())), 'markers')
    left, right = (shown(graph.markers[side]) for side in ('left', 'right'))
    assert {ns for ns, _ in left} == {'laptop_1', 'laptop_1/axis', 'box_4', 'box_4/axis'}
    assert {ns for ns, _ in right} == {'laptop', 'laptop/axis'}
    os.kill(graph.processes['left'].pid, signal.SIGKILL)
    graph.processes['left'].wait(START)
    killed = time.time()
    graph.show('right', 7)
    left = shown(graph.markers['left'])
    assert left and max(left.values()) <= killed + NodeConfig.marker_lifetime
    assert graph.processes['right'].poll() is None
