"""Start the perception node on a depth camera's topics; RViz and more if asked for."""

from pathlib import Path

import yaml
from ament_index_python import PackageNotFoundError, get_package_prefix, get_package_share_path
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

CAMERAS = {
    'generic': {
        'camera': '/camera',
        'depth_topic': '/depth/image_rect',
        'camera_info_topic': '/depth/camera_info',
        'mask_topic': '/mask',
        'detections_topic': '/detections_2d',
        'mask_camera_info_topic': '/color/camera_info',
        'points_topic': '/points',
        'fixed_frame': 'camera_depth_optical_frame',
    },
    'realsense': {
        'camera': '/camera/camera',
        'depth_topic': '/aligned_depth_to_color/image_raw',
        'camera_info_topic': '/aligned_depth_to_color/camera_info',
        'mask_topic': '/mask',
        'detections_topic': '/detections_2d',
        'mask_camera_info_topic': '/color/camera_info',
        'points_topic': '/depth/color/points',
        'fixed_frame': 'camera_color_optical_frame',
    },
    'azure_kinect': {
        'camera': '',
        'depth_topic': '/depth/image_rect',
        'camera_info_topic': '/depth/camera_info',
        'mask_topic': '/mask',
        'detections_topic': '/detections_2d',
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
    'detections_topic': (
        'detections_2d', 'Boxes of a detector in place of masks, for mask_source:=detections'),
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
    'mask_mode': 'auto, required, initialize or ignored',
    'mask_source': 'image (mask_topic), detections (detections_topic) or detection (the same, one '
                   'box a message)',
    'detection_classes': 'Categories of class ids, as "63:laptop, suitcase:box"',
    'tracking': 'true, or false: a full estimate for every frame',
    'autostart': 'true, or false: a lifecycle manager configures and activates the node',
    'planning_scene': 'true: publish every part as a collision object, for MoveIt',
    'fixed_frame': 'For a moving camera: a frame that does not move; also used by RViz',
}
"""Arguments that replace the value in params_file when they are given, and their descriptions."""

BOOLEAN = ('register_depth', 'tracking', 'autostart', 'planning_scene')
TRUE_OR_FALSE = ['true', 'false', 'True', 'False']

RESPAWN_DELAY = 2.0
"""Time before a node that died is started again, s. Chosen: more than the start of a node that
fails at once, so that its error can be read."""


def arguments() -> list[DeclareLaunchArgument]:
    def optional(name: str, what: str, source: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(
            name, default_value='', description=f'{what}; empty takes it from {source}.',
            choices=['', *TRUE_OR_FALSE] if name in BOOLEAN else None)

    def switch(name: str, what: str) -> DeclareLaunchArgument:
        return DeclareLaunchArgument(
            name, default_value='false', choices=TRUE_OR_FALSE, description=f'{what}.')

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
        switch('use_sim_time', 'Take the time from /clock'),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            description='debug, info, warn, error or fatal.'),
        switch('respawn', 'Start a node again that has died'),
        switch('robot_state_publisher',
               'Start robot_state_publisher on the description of the object (instances: one)'),
        switch('rviz', 'Start RViz with config/perception.rviz'),
        optional('rviz_frame', "RViz's fixed frame", 'fixed_frame, then camera_type'),
    ]


def topics(context: LaunchContext) -> dict[str, str]:
    """Topic by argument: as given, or that of the camera type in the camera's namespace."""
    known = CAMERAS[argument(context, 'camera_type')]
    camera = argument(context, 'camera') or known['camera']
    return {name: argument(context, name) or camera.rstrip('/') + known[name]
            for name in TOPICS}


def argument(context: LaunchContext, name: str) -> str:
    return LaunchConfiguration(name).perform(context)


def is_true(context: LaunchContext, name: str) -> bool:
    return argument(context, name).lower() == 'true'


def params_file(context: LaunchContext) -> Path:
    given = argument(context, 'params_file')
    return Path(given) if given else get_package_share_path('kinediff3d_ros').joinpath(
        'config', f'{argument(context, "camera_type")}.yaml')


def setting(context: LaunchContext, name: str, default: str) -> str:
    """A parameter's value as the node will have it: from its argument or the parameter file."""
    def values(tree: object) -> list[str]:
        if not isinstance(tree, dict):
            return []
        own = [str(tree['ros__parameters'][name])] if name in (
            tree.get('ros__parameters') or {}) else []
        return own + [v for child in tree.values() for v in values(child)]

    in_file = values(yaml.safe_load(params_file(context).read_text()))
    return argument(context, name) or (in_file[-1] if in_file else '') or default


def namespaces(context: LaunchContext) -> tuple[str, str]:
    """Namespace of the node and that of its only object's topics.

    The rule is that of kinediff3d_ros.scene.object_names. Launch runs in ROS's own Python, which
    need not have what the nodes import.
    """
    node = '/' + argument(context, 'namespace').strip('/')
    category = setting(context, 'category', 'laptop')
    name = setting(context, 'object_name',
                   'object' if category == 'auto' else category.replace('-', '_'))
    return node, node if node.split('/')[-1] == name else f'{node.rstrip("/")}/{name}'


def installed(package: str) -> bool:
    """Whether a package can be started; a warning says what to install if it cannot."""
    try:
        get_package_prefix(package)
    except PackageNotFoundError:
        get_logger('launch').warning(
            f'{package} is not installed, so it is not started: '
            f'sudo apt install ros-$ROS_DISTRO-{package.replace("_", "-")}')
        return False
    return True


def state_publisher(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """robot_state_publisher, if it is asked for and installed.

    Raises:
        RuntimeError: the names of the objects are not known before they are seen.
    """
    if not is_true(context, 'robot_state_publisher') or not installed('robot_state_publisher'):
        return []
    if setting(context, 'instances', 'one') != 'one':
        raise RuntimeError(
            'robot_state_publisher:=true needs instances: one; for each of several objects start '
            'robot_state_publisher.launch.py namespace:=/<object>, with publish_tf: base')
    include = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            str(Path(__file__).with_name('robot_state_publisher.launch.py'))),
        launch_arguments={
            'namespace': namespaces(context)[1],
            **{name: argument(context, name)
               for name in ('use_sim_time', 'log_level', 'respawn')},
        }.items())
    # Otherwise its namespace would be the default of a file that is included after this one.
    return [GroupAction([include], scoped=True)]


def rviz(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """RViz, if it is asked for and installed: in the object's namespace, so that the relative
    topics of its configuration are those of the object."""
    if not is_true(context, 'rviz') or not installed('rviz2'):
        return []
    node, item = namespaces(context)
    own = {name: f'{node.rstrip("/")}/{name}' for name in ('markers', 'points_used')}
    camera_frame = CAMERAS[argument(context, 'camera_type')]['fixed_frame']
    return [Node(
        package='rviz2',
        executable='rviz2',
        name='rviz2',
        namespace=item,
        remappings=[*camera_remaps(context), *own.items()],
        arguments=[
            '-d', str(get_package_share_path('kinediff3d_ros') / 'config/perception.rviz'),
            '-f', argument(context, 'rviz_frame')
            or setting(context, 'fixed_frame', camera_frame)],
        output='log',
    )]


def camera_remaps(context: LaunchContext) -> list[tuple[str, str]]:
    return [(TOPICS[name][0], topic) for name, topic in topics(context).items()]


def perception(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """All nodes. Whatever can fail fails here: an error later would leave nodes without launch."""
    overrides = {name: is_true(context, name) if name in BOOLEAN
                 else ParameterValue(argument(context, name), value_type=str)
                 for name in OVERRIDES if argument(context, name)}
    publisher = state_publisher(context)
    if publisher:
        overrides['publish_tf'] = 'base'
    node = Node(
        package='kinediff3d_ros',
        executable='perception_node',
        name='perception',
        namespace=argument(context, 'namespace'),
        parameters=[
            str(params_file(context)),
            {**overrides, 'use_sim_time': is_true(context, 'use_sim_time')},
        ],
        remappings=camera_remaps(context),
        arguments=['--ros-args', '--log-level', argument(context, 'log_level')],
        respawn=is_true(context, 'respawn'),
        respawn_delay=RESPAWN_DELAY,
        output='screen',
    )
    return [*rviz(context), *publisher, node]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*arguments(), OpaqueFunction(function=perception)])
