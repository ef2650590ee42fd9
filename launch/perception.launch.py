"""Start the perception node on a depth camera's topics, and RViz if asked for."""

from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription

CAMERAS = {
    'generic': {
        'camera': '/camera',
        'depth_topic': '/depth/image_rect',
        'camera_info_topic': '/depth/camera_info',
        'mask_topic': '/mask',
        'mask_camera_info_topic': '/color/camera_info',
        'points_topic': '/points',
        'fixed_frame': 'camera_depth_optical_frame',
    },
    'realsense': {
        'camera': '/camera/camera',
        'depth_topic': '/aligned_depth_to_color/image_raw',
        'camera_info_topic': '/aligned_depth_to_color/camera_info',
        'mask_topic': '/mask',
        'mask_camera_info_topic': '/color/camera_info',
        'points_topic': '/depth/color/points',
        'fixed_frame': 'camera_color_optical_frame',
    },
    'azure_kinect': {
        'camera': '',
        'depth_topic': '/depth/image_rect',
        'camera_info_topic': '/depth/camera_info',
        'mask_topic': '/mask',
        'mask_camera_info_topic': '/rgb/camera_info',
        'points_topic': '/points2',
        'fixed_frame': 'depth_camera_link',
    },
}
"""What a driver publishes: a namespace, topics in it, and the frame of its depth images. The
file of the same name in config/ has the parameters and describes how to start the driver."""

TOPICS = {
    'depth_topic': ('depth/image_rect', 'Rectified depth image, 16UC1 (mm) or 32FC1 (m)'),
    'camera_info_topic': ('depth/camera_info', 'Calibration of the depth image'),
    'mask_topic': ('mask', "Mask of the object (mono8, mono16), with the depth image's stamps"),
    'mask_camera_info_topic': (
        'mask/camera_info', "Calibration of the mask's camera, for register_depth:=true"),
    'points_topic': ('points', 'Point cloud, for input:=points'),
}
"""Arguments that name a topic: the node's own name of it, and its description."""

OVERRIDES = {
    'category': 'Category of the object',
    'preset': 'fast or paper',
    'device': 'auto, cpu, cuda or cuda:N',
    'object_name': 'Name of the object in topics, TF frames, URDF and markers',
    'instances': 'one, each (every id in the mask is an object) or listed (the ids in objects)',
    'objects': 'Categories of mask ids, as "1:laptop, 4:box"',
    'input': 'depth or points',
    'depth_transport': 'raw, or compressedDepth: the topic <depth_topic>/compressedDepth',
    'register_depth': "true: register the depth images to the mask's camera, by TF",
    'mask_mode': 'auto, required or ignored',
    'tracking': 'true, or false: a full estimate for every frame',
    'autostart': 'true, or false: a lifecycle manager configures and activates the node',
    'fixed_frame': 'For a moving camera: a frame that does not move; also used by RViz',
}
"""Arguments that replace the value in params_file when they are given, and their descriptions."""

BOOLEAN = ('register_depth', 'tracking', 'autostart')


def arguments() -> list[DeclareLaunchArgument]:
    def optional(name: str, what: str, source: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(
            name, default_value='', description=f'{what}; empty takes it from {source}.')

    return [
        DeclareLaunchArgument(
            'camera_type', default_value='generic', choices=list(CAMERAS),
            description='Which topics and parameters the camera needs; config/ has a file each.'),
        optional('camera', "Namespace of the camera's topics", 'camera_type'),
        *(optional(name, what, 'camera_type, under camera')
          for name, (_, what) in TOPICS.items()),
        optional('params_file', 'YAML file with the parameters of the node', 'camera_type'),
        *(optional(name, what, 'params_file') for name, what in OVERRIDES.items()),
        DeclareLaunchArgument(
            'namespace', default_value='', description='Namespace of the node and its outputs.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='false', description='Take the time from /clock.'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            description='debug, info, warn, error or fatal.'),
        DeclareLaunchArgument(
            'rviz', default_value='false', description='Start RViz with config/perception.rviz.'),
    ]


def topics(context: LaunchContext) -> dict[str, str]:
    """Topic by argument: as given, or that of the camera type in the camera's namespace."""
    known = CAMERAS[LaunchConfiguration('camera_type').perform(context)]
    camera = LaunchConfiguration('camera').perform(context) or known['camera']
    return {name: LaunchConfiguration(name).perform(context) or camera.rstrip('/') + known[name]
            for name in TOPICS}


def perception(context: LaunchContext) -> list[Node]:
    """The nodes; arguments that are given override the parameter file."""
    share = FindPackageShare('kinediff3d_ros')
    camera_type = LaunchConfiguration('camera_type').perform(context)
    overrides = {}
    for name in OVERRIDES:
        given = LaunchConfiguration(name)
        if given.perform(context):
            overrides[name] = ParameterValue(given, value_type=bool if name in BOOLEAN else str)
    overrides['use_sim_time'] = ParameterValue(
        LaunchConfiguration('use_sim_time'), value_type=bool)
    node = Node(
        package='kinediff3d_ros',
        executable='perception_node',
        name='perception',
        namespace=LaunchConfiguration('namespace'),
        parameters=[
            LaunchConfiguration('params_file').perform(context)
            or PathJoinSubstitution([share, 'config', f'{camera_type}.yaml']),
            overrides,
        ],
        remappings=[(TOPICS[name][0], topic) for name, topic in topics(context).items()],
        arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
        output='screen',
    )
    rviz = Node(
        package='rviz2',
        executable='rviz2',
        name='rviz2',
        arguments=[
            '-d', PathJoinSubstitution([share, 'config', 'perception.rviz']),
            '-f', LaunchConfiguration('fixed_frame').perform(context)
            or CAMERAS[camera_type]['fixed_frame']],
        condition=IfCondition(LaunchConfiguration('rviz')),
        output='log',
    )
    return [node, rviz]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*arguments(), OpaqueFunction(function=perception)])
