"""The launch files, run by launch itself; in place of each node a script notes how it was called.

Runs where ROS 2's own launch is, which PyPI does not have.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('launch_ros.actions', reason='needs ROS 2 with launch and launch_ros')

from launch.actions import IncludeLaunchDescription  # noqa: E402
from launch.event_handlers import OnProcessExit, OnProcessStart  # noqa: E402
from launch.events import Shutdown  # noqa: E402
from launch.events.process import ProcessExited, ProcessStarted  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.node import Node  # noqa: E402

import launch  # noqa: E402
from kinediff3d_ros.nodes import parameters
from kinediff3d_ros.scene.object_names import object_name, topic_prefix
from kinediff3d_ros.scene.parameters import CameraSimParameters, PerceptionParameters, fields

ROOT = Path(__file__).parents[3]
EXECUTABLES = {
    'kinediff3d_ros': ('perception_node', 'camera_sim_node', 'description_relay_node'),
    'rviz2': ('rviz2',), 'robot_state_publisher': ('robot_state_publisher',)}
PARAMETERS = {'perception_node': PerceptionParameters, 'camera_sim_node': CameraSimParameters}
NOT_OURS = {'use_sim_time', 'qos_overrides'}
"""Parameters that rclpy declares by itself."""

NOTE = """#!{python}
import json, pathlib, sys
pathlib.Path({folder!r}, pathlib.Path(sys.argv[0]).name + '.json').write_text(json.dumps(sys.argv))
"""

Calls = dict[str, list[str]]


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This package, RViz and robot_state_publisher as the ament index has them."""
    path = tmp_path / 'prefix'
    index = path / 'share/ament_index/resource_index/packages'
    index.mkdir(parents=True)
    (tmp_path / 'calls').mkdir()
    for package, names in EXECUTABLES.items():
        (index / package).touch()
        (path / 'lib' / package).mkdir(parents=True)
        for name in names:
            file = path / 'lib' / package / name
            file.write_text(NOTE.format(python=sys.executable, folder=str(tmp_path / 'calls')))
            file.chmod(0o755)
    share = path / 'share/kinediff3d_ros'
    share.mkdir()
    for folder in ('launch', 'config'):
        (share / folder).symlink_to(ROOT / folder)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(path))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))
    return path


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """What launch itself logs."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger('launch')
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def uninstall(prefix: Path, package: str) -> None:
    (prefix / 'share/ament_index/resource_index/packages' / package).unlink()


def run(prefix: Path, file: str, *others: launch.LaunchDescriptionEntity, status: int = 0,
        **arguments: str) -> Calls:
    """Launch it; the command line of each executable that was started.

    A process that is started and not waited for, because launch fails, is in the result, too.
    """
    for note in (prefix.parent / 'calls').iterdir():
        note.unlink()
    service = launch.LaunchService(noninteractive=True)
    calls: Calls = {}

    def started(event: ProcessStarted, context: launch.LaunchContext) -> None:
        calls.setdefault(Path(event.cmd[0]).name, [])

    service.include_launch_description(launch.LaunchDescription([
        launch.actions.RegisterEventHandler(OnProcessStart(on_start=started)), *others,
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(prefix / 'share/kinediff3d_ros/launch' / file)),
            launch_arguments=arguments.items())]))
    assert service.run() == status
    for note in (prefix.parent / 'calls').iterdir():
        calls[note.stem] = json.loads(note.read_text())
    return calls


def declared(file: str) -> dict[str, str]:
    """Descriptions of a file's own arguments by name."""
    source = PythonLaunchDescriptionSource(str(ROOT / 'launch' / file))
    description = source.get_launch_description(launch.LaunchContext())
    return {a.name: a.description for a in description.entities
            if isinstance(a, launch.actions.DeclareLaunchArgument)}


def started(calls: Calls, executable: str) -> tuple[Node, PerceptionParameters]:
    """A node with that command line, and its parameters as it reads them."""
    command = calls[executable]
    files = [command[i + 1] for i, word in enumerate(command) if word == '--params-file']
    table = fields(PARAMETERS[executable])
    for file in files:
        for section in yaml.safe_load(Path(file).read_text()).values():
            assert set(section['ros__parameters']) <= set(table) | NOT_OURS, file
    context = Context()
    context.init(args=command)
    try:
        node = Node(executable, context=context)
        parameters.declare(node, PARAMETERS[executable])
        return node, parameters.read(node, PARAMETERS[executable])
    finally:
        context.try_shutdown()


def remaps(calls: Calls, executable: str = 'perception_node') -> dict[str, str]:
    command = calls[executable]
    rules = [command[i + 1] for i, word in enumerate(command) if word == '-r']
    return dict(rule.split(':=') for rule in rules if not rule.startswith('__'))


def test_arguments_are_declared_and_described() -> None:
    perception = declared('perception.launch.py')
    assert list(perception) == [
        'camera_type', 'camera', 'depth_topic', 'camera_info_topic', 'mask_topic',
        'detections_topic', 'mask_camera_info_topic', 'points_topic', 'params_file', 'category',
        'preset', 'device', 'object_name', 'instances', 'objects', 'input', 'depth_transport',
        'register_depth', 'mask_mode', 'mask_source', 'detection_classes', 'tracking', 'autostart',
        'planning_scene', 'fixed_frame', 'namespace', 'use_sim_time', 'log_level', 'respawn',
        'robot_state_publisher', 'rviz', 'rviz_frame']
    demo = declared('demo.launch.py')
    assert list(demo) == ['category', 'seed', 'instance', 'rate', 'table', 'mask', 'device',
                          'log_level', 'respawn', 'robot_state_publisher', 'rviz']
    publisher = declared('robot_state_publisher.launch.py')
    assert list(publisher) == ['namespace', 'use_sim_time', 'log_level', 'respawn']
    # launch itself adds the choices, where there are any.
    assert all(text.split(' Valid choices')[0].endswith('.')
               for text in (*perception.values(), *demo.values(), *publisher.values()))


def test_perception_alone_takes_its_parameters_from_the_file(prefix: Path) -> None:
    calls = run(prefix, 'perception.launch.py')
    assert set(calls) == {'perception_node'}
    node, values = started(calls, 'perception_node')
    assert node.get_fully_qualified_name() == '/perception'
    assert values == PerceptionParameters()
    assert not node.get_parameter('use_sim_time').value
    assert remaps(calls) == {
        'depth/image_rect': '/camera/depth/image_rect',
        'depth/camera_info': '/camera/depth/camera_info', 'mask': '/camera/mask',
        'detections_2d': '/camera/detections_2d',
        'mask/camera_info': '/camera/color/camera_info', 'points': '/camera/points'}


def test_arguments_of_perception_reach_the_node(prefix: Path, tmp_path: Path) -> None:
    file = tmp_path / 'mine.yaml'
    file.write_text('/**: {ros__parameters: {max_depth: 2.5, preset: fast, mask_id: 3}}')
    calls = run(prefix, 'perception.launch.py', params_file=str(file), preset='paper',
                category='laptop', device='cpu', object_name='on', input='points',
                mask_mode='ignored', namespace='left', camera='/cam', points_topic='/lidar',
                use_sim_time='true', log_level='warn', rviz='true', fixed_frame='map',
                instances='listed', objects='1:laptop', tracking='false', autostart='false')
    assert set(calls) == {'perception_node', 'rviz2'}
    node, values = started(calls, 'perception_node')
    assert node.get_fully_qualified_name() == '/left/perception'
    # A name that YAML reads as a boolean stays a string.
    assert values == PerceptionParameters(
        category='laptop', preset='paper', device='cpu', object_name='on', input='points',
        mask_mode='ignored', max_depth=2.5, mask_id=3, fixed_frame='map', instances='listed',
        objects='1:laptop', tracking=False, autostart=False)
    assert node.get_parameter('use_sim_time').value
    assert remaps(calls)['points'] == '/lidar'
    assert remaps(calls)['depth/image_rect'] == '/cam/depth/image_rect'
    command = calls['perception_node']
    assert command[command.index('--log-level') + 1] == 'warn'
    rviz = calls['rviz2']
    assert Path(rviz[rviz.index('-d') + 1]).is_file() and rviz[rviz.index('-f') + 1] == 'map'


CAMERAS = {
    'realsense': ('/camera/camera/aligned_depth_to_color/image_raw',
                  '/camera/camera/aligned_depth_to_color/camera_info', '/camera/camera/mask',
                  '/camera/camera/detections_2d', '/camera/camera/color/camera_info',
                  '/camera/camera/depth/color/points', 'camera_color_optical_frame'),
    'azure_kinect': ('/depth/image_rect', '/depth/camera_info', '/mask', '/detections_2d',
                     '/rgb/camera_info', '/points2', 'depth_camera_link'),
}


@pytest.mark.parametrize('camera', CAMERAS)
def test_camera_types(prefix: Path, camera: str) -> None:
    calls = run(prefix, 'perception.launch.py', camera_type=camera, rviz='true')
    _, values = started(calls, 'perception_node')
    assert values.max_depth > 0 and values.input == 'depth'
    depth, info, mask, boxes, mask_info, points, frame = CAMERAS[camera]
    assert remaps(calls) == {'depth/image_rect': depth, 'depth/camera_info': info, 'mask': mask,
                             'detections_2d': boxes, 'mask/camera_info': mask_info,
                             'points': points}
    assert str(prefix / f'share/kinediff3d_ros/config/{camera}.yaml') in calls['perception_node']
    assert calls['rviz2'][calls['rviz2'].index('-f') + 1] == frame


def test_unregistered_compressed_depth(prefix: Path) -> None:
    calls = run(prefix, 'perception.launch.py', depth_transport='compressedDepth',
                register_depth='true', mask_camera_info_topic='/wrist/camera_info')
    _, values = started(calls, 'perception_node')
    assert values == PerceptionParameters(depth_transport='compressedDepth', register_depth=True)
    assert remaps(calls)['mask/camera_info'] == '/wrist/camera_info'


def test_a_detector_in_place_of_a_segmenter(prefix: Path) -> None:
    calls = run(prefix, 'perception.launch.py', detections_topic='/yolo/detections',
                mask_source='detections', detection_classes='63:laptop, suitcase:box')
    _, values = started(calls, 'perception_node')
    assert values == PerceptionParameters(
        mask_source='detections', detection_classes='63:laptop, suitcase:box')
    assert remaps(calls)['detections_2d'] == '/yolo/detections'


def test_another_namespace_and_an_unknown_camera(prefix: Path) -> None:
    calls = run(prefix, 'perception.launch.py', camera_type='realsense', camera='/camera/wrist',
                mask_topic='/sam/mask')
    assert remaps(calls)['depth/image_rect'] == \
        '/camera/wrist/aligned_depth_to_color/image_raw'
    assert remaps(calls)['mask'] == '/sam/mask'
    assert not run(prefix, 'demo.launch.py', camera_type='kinect_of_the_past', status=1)


def test_demo_starts_camera_and_perception_on_the_same_topics(prefix: Path) -> None:
    calls = run(prefix, 'demo.launch.py')
    assert set(calls) == {'perception_node', 'camera_sim_node'}
    camera, values = started(calls, 'camera_sim_node')
    assert camera.get_fully_qualified_name() == '/camera/camera_sim'
    assert values == CameraSimParameters()
    perception, _ = started(calls, 'perception_node')
    assert perception.get_fully_qualified_name() == '/perception'
    inputs = {t: f'{camera.get_namespace()}/{t}'
              for t in ('depth/image_rect', 'depth/camera_info', 'mask')}
    assert inputs.items() <= remaps(calls).items()


def test_arguments_of_demo_reach_the_camera(prefix: Path) -> None:
    calls = run(prefix, 'demo.launch.py', seed='4', instance='2', rate='3.5', table='true',
                mask='false', device='cpu', rviz='True')
    assert set(calls) == {'perception_node', 'camera_sim_node', 'rviz2'}
    assert started(calls, 'camera_sim_node')[1] == CameraSimParameters(
        seed=4, instance=2, rate=3.5, table=True, publish_mask=False)
    assert started(calls, 'perception_node')[1] == PerceptionParameters(device='cpu')


RVIZ = {
    'demo': ({}, '/laptop', '', 'camera_depth_optical_frame', '/camera'),
    'category': ({'category': 'box', 'namespace': 'left', 'rviz_frame': 'map'}, '/left/box',
                 '/left', 'map', '/camera'),
    'name is the namespace': ({'object_name': 'kitchen', 'namespace': '/a/kitchen/',
                               'fixed_frame': 'odom'}, '/a/kitchen', '/a/kitchen', 'odom',
                              '/camera'),
    'unknown category': ({'category': 'auto', 'camera': '/front'}, '/object', '',
                         'camera_depth_optical_frame', '/front'),
    'own category': ({'category': 'tea-pot'}, '/tea_pot', '', 'camera_depth_optical_frame',
                     '/camera'),
    'parameter file': ({'params_file': 'mine.yaml'}, '/cup', '', 'world', '/camera'),
}
"""Arguments; namespace of the object's topics, that of the node's, RViz's frame, the camera."""


@pytest.mark.parametrize('case', RVIZ)
def test_rviz_shows_the_topics_that_the_node_has(prefix: Path, tmp_path: Path, case: str) -> None:
    given, item, namespace, frame, camera = RVIZ[case]
    if 'params_file' in given:
        file = tmp_path / given['params_file']
        file.write_text('/perception: {ros__parameters: {object_name: cup, category: box, '
                        'fixed_frame: world}}')
        given = {'params_file': str(file)}
    calls = run(prefix, 'perception.launch.py', rviz='true', **given)
    command = calls['rviz2']
    assert command[command.index('-f') + 1] == frame
    context = Context()
    context.init(args=command)
    try:
        node = Node('rviz', context=context)
        topics = {t: node.resolve_topic_name(t) for t in (
            'markers', 'points_used', 'robot_description', 'contact/lid', 'depth/image_rect',
            'points')}
    finally:
        context.try_shutdown()
    # The launch file knows the names before the node does.
    values = started(calls, 'perception_node')[1]
    name = object_name(values.object_name, values.category, 0)
    assert f'{namespace}/{topic_prefix(namespace or "/", name)}'.rstrip('/') == item
    assert topics == {
        'markers': f'{namespace}/markers', 'points_used': f'{namespace}/points_used',
        'robot_description': f'{item}/robot_description', 'contact/lid': f'{item}/contact/lid',
        'depth/image_rect': f'{camera}/depth/image_rect', 'points': f'{camera}/points'}


@pytest.mark.parametrize('missing', ['rviz2', 'robot_state_publisher'])
def test_what_is_not_installed_is_a_warning(prefix: Path, messages: list[str],
                                            missing: str) -> None:
    uninstall(prefix, missing)
    calls = run(prefix, 'demo.launch.py', rviz='true', robot_state_publisher='true')
    assert {'perception_node', 'camera_sim_node'} < set(calls) and missing not in calls
    assert ('description_relay_node' in calls) == (missing != 'robot_state_publisher')
    # Without robot_state_publisher nobody else publishes the frames of the parts.
    publish_tf = started(calls, 'perception_node')[1].publish_tf
    assert publish_tf == ('parts' if missing == 'robot_state_publisher' else 'base')
    output = ' '.join(messages)
    assert f'sudo apt install ros-$ROS_DISTRO-{missing.replace("_", "-")}' in output


BAD = [{'rviz': 'maybe'}, {'seed': 'one'}, {'rate': 'fast'}, {'respawn': '2'}, {'table': 'oak'}]


@pytest.mark.parametrize('arguments', BAD, ids=str)
def test_an_argument_that_cannot_be_used_starts_no_node(
        prefix: Path, messages: list[str], arguments: dict[str, str]) -> None:
    assert not run(prefix, 'demo.launch.py', status=1, **arguments)
    [(name, value)] = arguments.items()
    output = ' '.join(messages)
    assert name in output and value in output


def test_robot_state_publisher_gets_the_description(prefix: Path) -> None:
    calls = run(prefix, 'perception.launch.py', robot_state_publisher='true', namespace='left',
                object_name='kitchen', use_sim_time='true')
    assert started(calls, 'perception_node')[1].publish_tf == 'base'
    names = {}
    for executable in ('robot_state_publisher', 'description_relay_node'):
        context = Context()
        context.init(args=calls[executable])
        try:
            node = Node(executable, context=context,
                        automatically_declare_parameters_from_overrides=True)
            names[executable] = {t: node.resolve_topic_name(t) for t in (
                'robot_description', 'joint_states', 'robot_state_publisher/robot_description')}
            assert node.get_parameter('use_sim_time').value
            if executable == 'robot_state_publisher':
                assert node.get_fully_qualified_name() == '/left/kitchen/robot_state_publisher'
                text = node.get_parameter('robot_description').value
                assert text == '<robot name="kitchen"><link name="kitchen"/></robot>'
                # robot_state_publisher refuses more than 1000 Hz.
                assert node.get_parameter('publish_frequency').value == 1000.0
        finally:
            context.try_shutdown()
    used = '/left/kitchen/robot_state_publisher/robot_description'
    assert names['robot_state_publisher']['robot_description'] == used
    assert names['robot_state_publisher']['joint_states'] == '/left/kitchen/joint_states'
    assert names['description_relay_node'][
        'robot_state_publisher/robot_description'] == used
    assert names['description_relay_node']['robot_description'] == \
        '/left/kitchen/robot_description'


def test_a_second_node_does_not_get_the_namespace_of_the_first_object(prefix: Path) -> None:
    second = launch.actions.OpaqueFunction(function=lambda context: seen.append(
        launch.substitutions.LaunchConfiguration('namespace').perform(context)))
    seen: list[str] = []
    service = launch.LaunchService(noninteractive=True)
    service.include_launch_description(launch.LaunchDescription([
        IncludeLaunchDescription(PythonLaunchDescriptionSource(
            str(prefix / 'share/kinediff3d_ros/launch/perception.launch.py')),
            launch_arguments={'robot_state_publisher': 'true'}.items()), second]))
    assert service.run() == 0 and seen == ['']


def test_robot_state_publisher_needs_a_name_that_is_known(
        prefix: Path, messages: list[str]) -> None:
    assert not run(prefix, 'perception.launch.py', robot_state_publisher='true',
                   instances='each', status=1)
    assert 'namespace:=/<object>' in ' '.join(messages)


@pytest.mark.parametrize('respawn', ['true', 'false'])
def test_a_node_that_died_is_respawned_if_asked(prefix: Path, respawn: str) -> None:
    exits = []

    def count(event: ProcessExited, context: launch.LaunchContext) -> object:
        exits.append(Path(event.cmd[0]).name)
        return launch.actions.EmitEvent(event=Shutdown()) if len(exits) > 2 else None

    run(prefix, 'demo.launch.py', launch.actions.RegisterEventHandler(
        OnProcessExit(on_exit=count)), respawn=respawn)
    assert len(exits) > 2 if respawn == 'true' else \
        sorted(exits) == ['camera_sim_node', 'perception_node']
