"""Start the perception node on a simulated depth camera; RViz and more if asked for."""

from pathlib import Path

from ament_index_python import get_package_share_path
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

PASSED_ON = ('category', 'device', 'log_level', 'respawn', 'robot_state_publisher', 'rviz')
"""Arguments of perception.launch.py."""

TRUE_OR_FALSE = ['true', 'false', 'True', 'False']


def nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Both nodes. Whatever can fail fails before the first one is started: after an error, launch
    does not end the nodes that run."""
    given = {name: LaunchConfiguration(name).perform(context)
             for name in ('seed', 'instance', 'rate', 'table', 'mask', *PASSED_ON)}

    def number(name: str, kind: type) -> float:
        try:
            return kind(given[name])
        except ValueError:
            raise RuntimeError(f'{name}:={given[name]} is not of type {kind.__name__}') from None

    config = get_package_share_path('kinediff3d_ros') / 'config'
    camera_sim = Node(
        package='kinediff3d_ros',
        executable='camera_sim_node',
        name='camera_sim',
        namespace='camera',
        parameters=[
            str(config / 'camera_sim.yaml'),
            {
                'category': ParameterValue(given['category'], value_type=str),
                'seed': number('seed', int),
                'instance': number('instance', int),
                'rate': number('rate', float),
                'table': given['table'].lower() == 'true',
                'publish_mask': given['mask'].lower() == 'true',
            },
        ],
        arguments=['--ros-args', '--log-level', given['log_level']],
        respawn=given['respawn'].lower() == 'true',
        respawn_delay=2.0,
        output='screen',
    )
    perception = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(Path(__file__).with_name('perception.launch.py'))),
        launch_arguments={name: given[name] for name in PASSED_ON}.items(),
    )
    return [perception, camera_sim]


def generate_launch_description() -> LaunchDescription:
    def switch(name: str, default: str, what: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(
            name, default_value=default, choices=TRUE_OR_FALSE, description=f'{what}.')

    return LaunchDescription([
        DeclareLaunchArgument(
            'category', default_value='laptop', description='Category of the object.'),
        DeclareLaunchArgument('seed', default_value='0', description='Seed of the test objects.'),
        DeclareLaunchArgument(
            'instance', default_value='0', description='Which object of that seed.'),
        DeclareLaunchArgument('rate', default_value='10.0', description='Frames per second.'),
        switch('table', 'false', 'Put the object on a table'),
        switch('mask', 'true', 'Publish the mask; without it the object is segmented'),
        DeclareLaunchArgument('device', default_value='', description='auto, cpu or cuda.'),
        DeclareLaunchArgument(
            'log_level', default_value='info', description='debug, info, warn, error or fatal.'),
        switch('respawn', 'false', 'Start a node again that has died'),
        switch('robot_state_publisher', 'false',
               'Start robot_state_publisher on the description of the object'),
        switch('rviz', 'false', 'Start RViz with config/perception.rviz'),
        OpaqueFunction(function=nodes),
    ])
