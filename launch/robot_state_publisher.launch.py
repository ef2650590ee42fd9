"""Start robot_state_publisher on the live robot_description and joint_states of one object."""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

TRUE_OR_FALSE = ['true', 'false', 'True', 'False']

RESPAWN_DELAY = 2.0
"""As in perception.launch.py."""

FREQUENCY = 1000.0
"""Upper limit of robot_state_publisher's rate, Hz; its largest. With its default of 20 Hz, the
frames of moving parts would be older than the base's."""

EMPTY = '<robot name="{0}"><link name="{0}"/></robot>'
"""robot_state_publisher does not start without a description."""


def nodes(context: LaunchContext) -> list[Node]:
    """robot_state_publisher and the node that gives it the description."""
    def argument(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    namespace = '/' + argument('namespace').strip('/')
    common = {
        'namespace': namespace,
        'arguments': ['--ros-args', '--log-level', argument('log_level')],
        'respawn': argument('respawn').lower() == 'true',
        'respawn_delay': RESPAWN_DELAY,
        'output': 'screen',
    }
    use_sim_time = argument('use_sim_time').lower() == 'true'
    publisher = Node(
        package='robot_state_publisher',
        executable='robot_state_publisher',
        name='robot_state_publisher',
        parameters=[{'robot_description': EMPTY.format(namespace.split('/')[-1] or 'object'),
                     'publish_frequency': FREQUENCY, 'use_sim_time': use_sim_time}],
        # It publishes the description in use, which must not meet the object's own topic.
        remappings=[('robot_description', 'robot_state_publisher/robot_description')],
        **common,
    )
    relay = Node(
        package='kinediff3d_ros',
        executable='description_relay_node',
        name='description_relay',
        parameters=[{'use_sim_time': use_sim_time}],
        **common,
    )
    return [publisher, relay]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([
        DeclareLaunchArgument(
            'namespace',
            description="Namespace of the object's topics, as /laptop or /left/box_4."),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', choices=TRUE_OR_FALSE,
            description='Take the time from /clock.'),
        DeclareLaunchArgument(
            'log_level', default_value='info', description='debug, info, warn, error or fatal.'),
        DeclareLaunchArgument(
            'respawn', default_value='false', choices=TRUE_OR_FALSE,
            description='Start a node again that has died.'),
        OpaqueFunction(function=nodes),
    ])
