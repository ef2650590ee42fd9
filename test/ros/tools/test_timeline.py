"""The picture of a replayed recording."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from estimates import laptop_estimate  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_ros.tools.replay_frames import ReplayFrame, ReplayResult  # noqa: E402
from kinediff3d_ros.tools.timeline import draw_timeline  # noqa: E402


def test_recorded_states_of_a_camera_and_of_a_node_are_drawn(tmp_path: Path) -> None:
    """A node's joint states have the object's name before the category's."""
    result = ReplayResult(ReplayFrame(Header(), 0, None), 'full', laptop_estimate(1.0), '', 1.0)

    def picture(name: str) -> bytes:
        path = tmp_path / f'{name}.png'
        draw_timeline([result], [JointState(name=[name], position=[1.1])], path, '')
        return path.read_bytes()

    assert picture('lid_joint') == picture('laptop_lid_joint') != picture('elbow')
