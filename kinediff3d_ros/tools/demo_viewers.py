"""What another terminal needs to watch the demo: domain, topics, and the lines of viewers."""

from __future__ import annotations

from pathlib import Path

PACKAGE = 'kinediff3d_ros'
CONFIG = 'perception.rviz'
CAMERA_FRAME = 'camera_depth_optical_frame'
"""Frame of the simulated camera's images, which is RViz's fixed frame."""


def rviz_config(module: Path = Path(__file__)) -> Path | None:
    """The RViz configuration in a checkout, or in the share folder of an installed package.

    Args:
        module: a file of this package, above which the configuration is looked for.
    """
    for folder in module.absolute().parents:
        for place in (folder / 'config', folder / 'share' / PACKAGE / 'config'):
            if (place / CONFIG).is_file():
                return place / CONFIG
    return None


def viewer_lines(domain: int, object_name: str) -> str:
    """The ROS domain and topics of the demo, and commands that show it.

    Args:
        object_name: first part of the topics of the object.
    """
    environment = f'ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST'
    config = rviz_config()
    remaps = ' '.join(f'-r {old}:={new}' for old, new in (
        ('__ns', f'/{object_name}'), ('markers', '/markers'), ('points_used', '/points_used'),
        ('depth/image_rect', '/camera/depth/image_rect')))
    rviz = [f'  {environment} rviz2 -d {config} -f {CAMERA_FRAME} --ros-args {remaps}'] \
        if config is not None else []
    return '\n'.join([
        f'This demo runs in ROS domain {domain}, on this machine only. Its topics: '
        f'/camera/depth/image_rect, /camera/mask, /tf, /markers, /{object_name}/joint_states, '
        f'/{object_name}/robot_description, /diagnostics.',
        'To watch it, run in another terminal one of:',
        f'  {environment} kinediff3d view', *rviz])
