"""Start the perception node and open objects with it: ros2 launch examples/open_it.launch.py"""

import sys
from pathlib import Path

from launch.actions import DeclareLaunchArgument, ExecuteProcess, Shutdown
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchDescription

HERE = Path(__file__).parent


def generate_launch_description() -> LaunchDescription:
    category, count, seed, out = (
        LaunchConfiguration(name) for name in ('category', 'count', 'seed', 'out'))
    return LaunchDescription([
        DeclareLaunchArgument('category', default_value='laptop',
                              description='Category of the objects.'),
        DeclareLaunchArgument('count', default_value='5', description='Number of objects.'),
        DeclareLaunchArgument('seed', default_value='0', description='Seed of the objects.'),
        DeclareLaunchArgument('out', default_value='open_it_output',
                              description='Folder for records and pictures.'),
        Node(package='kinediff3d_ros', executable='perception_node', name='perception',
             parameters=[str(HERE / 'perception.yaml'),
                         {'category': ParameterValue(category, value_type=str)}],
             on_exit=Shutdown(reason='the perception node has ended')),
        ExecuteProcess(
            cmd=[sys.executable, str(HERE / 'open_it.py'), '--running-node', '--category',
                 category, '--count', count, '--seed', seed, '--out', out],
            output='screen', on_exit=Shutdown(reason='open_it.py has ended')),
    ])
