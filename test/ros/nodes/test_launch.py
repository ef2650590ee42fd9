"""The launch files, run by launch itself; in place of each node a script notes how it was called.

Runs where ROS 2's own launch is, which PyPI does not have.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('launch_ros.actions', reason='needs ROS 2 with launch and launch_ros')

from launch.actions import IncludeLaunchDescription  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.node import Node  # noqa: E402

import launch  # noqa: E402
from kinediff3d_ros.nodes import parameters
from kinediff3d_ros.scene.parameters import CameraSimParameters, PerceptionParameters, fields

ROOT = Path(__file__).parents[3]
EXECUTABLES = {'kinediff3d_ros': ('perception_node', 'camera_sim_node'), 'rviz2': ('rviz2',)}
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
    """An installation of this package and of RViz, as the ament index describes it."""
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


def run(prefix: Path, file: str, **arguments: str) -> Calls:
    """Launch it; the command line of each executable that was started."""
    service = launch.LaunchService(noninteractive=True)
    service.include_launch_description(launch.LaunchDescription([IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(prefix / 'share/kinediff3d_ros/launch' / file)),
        launch_arguments=arguments.items())]))
    assert service.run() == 0
    return {p.stem: json.loads(p.read_text()) for p in (prefix.parent / 'calls').iterdir()}


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
        'mask_camera_info_topic', 'points_topic', 'params_file', 'category', 'preset', 'device',
        'object_name', 'instances', 'objects', 'input', 'depth_transport', 'register_depth',
        'mask_mode', 'tracking', 'autostart', 'fixed_frame', 'namespace', 'use_sim_time',
        'log_level', 'rviz']
    demo = declared('demo.launch.py')
    assert list(demo) == ['category', 'seed', 'instance', 'rate', 'table', 'mask', 'device',
                          'log_level', 'rviz']
    # launch itself adds the choices, where there are any.
    assert all(text.split(' Valid choices')[0].endswith('.')
               for text in (*perception.values(), *demo.values()))


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
        'mask/camera_info': '/camera/color/camera_info', 'points': '/camera/points'}


def test_arguments_of_perception_reach_the_node(prefix: Path, tmp_path: Path) -> None:
    file = tmp_path / 'mine.yaml'
    file.write_text('/**: {ros__parameters: {max_depth: 2.5, preset: fast, mask_id: 3}}')
    calls = run(prefix, 'perception.launch.py', params_file=str(file), preset='paper',
                category='laptop', device='cpu', object_name='7', input='points',
                mask_mode='ignored', namespace='left', camera='/cam', points_topic='/lidar',
                use_sim_time='true', log_level='warn', rviz='true', fixed_frame='map',
                instances='listed', objects='1:laptop', tracking='false', autostart='false')
    assert set(calls) == {'perception_node', 'rviz2'}
    node, values = started(calls, 'perception_node')
    assert node.get_fully_qualified_name() == '/left/perception'
    # A name of digits stays a string.
    assert values == PerceptionParameters(
        category='laptop', preset='paper', device='cpu', object_name='7', input='points',
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
                  '/camera/camera/color/camera_info',
                  '/camera/camera/depth/color/points', 'camera_color_optical_frame'),
    'azure_kinect': ('/depth/image_rect', '/depth/camera_info', '/mask', '/rgb/camera_info',
                     '/points2', 'depth_camera_link'),
}


@pytest.mark.parametrize('camera', CAMERAS)
def test_camera_types(prefix: Path, camera: str) -> None:
    calls = run(prefix, 'perception.launch.py', camera_type=camera, rviz='true')
    _, values = started(calls, 'perception_node')
    assert values.max_depth > 0 and values.input == 'depth'
    depth, info, mask, mask_info, points, frame = CAMERAS[camera]
    assert remaps(calls) == {'depth/image_rect': depth, 'depth/camera_info': info, 'mask': mask,
                             'mask/camera_info': mask_info, 'points': points}
    assert str(prefix / f'share/kinediff3d_ros/config/{camera}.yaml') in calls['perception_node']
    assert calls['rviz2'][calls['rviz2'].index('-f') + 1] == frame


def test_unregistered_compressed_depth(prefix: Path) -> None:
    calls = run(prefix, 'perception.launch.py', depth_transport='compressedDepth',
                register_depth='true', mask_camera_info_topic='/wrist/camera_info')
    _, values = started(calls, 'perception_node')
    assert values == PerceptionParameters(depth_transport='compressedDepth', register_depth=True)
    assert remaps(calls)['mask/camera_info'] == '/wrist/camera_info'


def test_another_namespace_and_an_unknown_camera(prefix: Path) -> None:
    calls = run(prefix, 'perception.launch.py', camera_type='realsense', camera='/camera/wrist',
                mask_topic='/sam/mask')
    assert remaps(calls)['depth/image_rect'] == \
        '/camera/wrist/aligned_depth_to_color/image_raw'
    assert remaps(calls)['mask'] == '/sam/mask'
    with pytest.raises(AssertionError):
        run(prefix, 'perception.launch.py', camera_type='kinect_of_the_past')


def test_demo_starts_camera_and_perception_on_the_same_topics(prefix: Path) -> None:
    calls = run(prefix, 'demo.launch.py')
    assert set(calls) == {'perception_node', 'camera_sim_node', 'rviz2'}
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
                mask='false', device='cpu', rviz='false')
    assert set(calls) == {'perception_node', 'camera_sim_node'}
    assert started(calls, 'camera_sim_node')[1] == CameraSimParameters(
        seed=4, instance=2, rate=3.5, table=True, publish_mask=False)
    assert started(calls, 'perception_node')[1] == PerceptionParameters(device='cpu')
