"""Start the perception node on a simulated depth camera, with RViz."""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription


def generate_launch_description() -> LaunchDescription:
    share = FindPackageShare('kinediff3d_ros')
    camera_sim = Node(
        package='kinediff3d_ros',
        executable='camera_sim_node',
        name='camera_sim',
        namespace='camera',
        parameters=[
            PathJoinSubstitution([share, 'config', 'camera_sim.yaml']),
            {
                'category': ParameterValue(LaunchConfiguration('category'), value_type=str),
                'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int),
                'instance': ParameterValue(LaunchConfiguration('instance'), value_type=int),
                'rate': ParameterValue(LaunchConfiguration('rate'), value_type=float),
                'table': ParameterValue(LaunchConfiguration('table'), value_type=bool),
                'publish_mask': ParameterValue(LaunchConfiguration('mask'), value_type=bool),
            },
        ],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )
    perception = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([share, 'launch', 'perception.launch.py'])),
        launch_arguments={
            'category': LaunchConfiguration('category'),
            'device': LaunchConfiguration('device'),
            'log_level': LaunchConfiguration('log_level'),
            'rviz': LaunchConfiguration('rviz'),
        }.items(),
    )
    return LaunchDescription([
        DeclareLaunchArgument(
            'category', default_value='laptop', description='Category of the object.'),
        DeclareLaunchArgument('seed', default_value='0', description='Seed of the test objects.'),
        DeclareLaunchArgument(
            'instance', default_value='0', description='Which object of that seed.'),
        DeclareLaunchArgument('rate', default_value='10.0', description='Frames per second.'),
        DeclareLaunchArgument(
            'table', default_value='false', description='Put the object on a table.'),
        DeclareLaunchArgument(
            'mask', default_value='true',
            description='Publish the mask; without it the object is segmented.'),
        DeclareLaunchArgument('device', default_value='', description='auto, cpu or cuda.'),
        DeclareLaunchArgument(
            'log_level', default_value='info', description='debug, info, warn, error or fatal.'),
        DeclareLaunchArgument('rviz', default_value='true', description='Start RViz.'),
        camera_sim,
        perception,
    ])
