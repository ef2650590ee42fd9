"""Start the perception node on a depth camera's topics, and RViz if asked for."""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription

OVERRIDES = {
    'category': 'Category of the object',
    'preset': 'fast or paper',
    'device': 'auto, cpu, cuda or cuda:N',
    'object_name': 'Prefix of the TF frames',
    'input': 'depth or points',
    'mask_mode': 'auto, required or ignored',
}
"""Arguments that replace the value in params_file when they are given, and what they are."""


def arguments() -> list[DeclareLaunchArgument]:
    share = FindPackageShare('kinediff3d_ros')
    camera = LaunchConfiguration('camera')
    return [
        DeclareLaunchArgument(
            'params_file',
            default_value=PathJoinSubstitution([share, 'config', 'perception.yaml']),
            description='YAML file with the parameters of the node.'),
        *(DeclareLaunchArgument(name, default_value='',
                                description=f'{what}; empty takes it from params_file.')
          for name, what in OVERRIDES.items()),
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace of the node and its outputs.'),
        DeclareLaunchArgument(
            'camera', default_value='/camera', description='Namespace of the camera\'s topics.'),
        DeclareLaunchArgument(
            'depth_topic', default_value=[camera, '/depth/image_rect'],
            description='Rectified depth image, 16UC1 (mm) or 32FC1 (m).'),
        DeclareLaunchArgument(
            'camera_info_topic', default_value=[camera, '/depth/camera_info'],
            description='Calibration of the depth image.'),
        DeclareLaunchArgument(
            'mask_topic', default_value=[camera, '/mask'],
            description='Mask of the object (mono8, mono16), with the depth image\'s stamps.'),
        DeclareLaunchArgument(
            'points_topic', default_value=[camera, '/points'],
            description='Point cloud, for input:=points.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', description='Take the time from /clock.'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            description='debug, info, warn, error or fatal.'),
        DeclareLaunchArgument(
            'rviz', default_value='false', description='Start RViz.'),
        DeclareLaunchArgument(
            'fixed_frame', default_value='camera_depth_optical_frame',
            description='Fixed frame of RViz.'),
    ]


def perception(context: LaunchContext) -> list[Node]:
    """The node; arguments that are given go on top of the parameter file."""
    overrides = {}
    for name in OVERRIDES:
        value = LaunchConfiguration(name).perform(context)
        if value:
            overrides[name] = ParameterValue(value, value_type=str)
    overrides['use_sim_time'] = ParameterValue(
        LaunchConfiguration('use_sim_time'), value_type=bool)
    return [Node(
        package='kinediff3d_ros',
        executable='perception_node',
        name='perception',
        namespace=LaunchConfiguration('namespace'),
        parameters=[LaunchConfiguration('params_file'), overrides],
        remappings=[
            ('depth/image_rect', LaunchConfiguration('depth_topic')),
            ('depth/camera_info', LaunchConfiguration('camera_info_topic')),
            ('mask', LaunchConfiguration('mask_topic')),
            ('points', LaunchConfiguration('points_topic')),
        ],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )]


def generate_launch_description() -> LaunchDescription:
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        name='rviz2',
        arguments=[
            '-d', PathJoinSubstitution(
                [FindPackageShare('kinediff3d_ros'), 'config', 'perception.rviz']),
            '-f', LaunchConfiguration('fixed_frame')],
        condition=IfCondition(LaunchConfiguration('rviz')),
        output='log',
    )
    return LaunchDescription([*arguments(), OpaqueFunction(function=perception), rviz])
