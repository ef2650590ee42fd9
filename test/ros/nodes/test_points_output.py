"""The points of several objects in one cloud, with a publisher that only records."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from kinediff3d_ros.messages.clouds import points_from_cloud  # noqa: E402
from kinediff3d_ros.messages.headers import header_from_stamp  # noqa: E402
from kinediff3d_ros.nodes.points_output import PointsOutput  # noqa: E402


def test_a_cloud_has_the_points_of_all_objects_of_its_frame() -> None:
    sent: list = []
    output = PointsOutput(SimpleNamespace(
        publish=sent.append, get_subscription_count=lambda: 1), max_points=8)

    def published(name: str, value: float, second: int, count: int = 2) -> list[float]:
        header = header_from_stamp(second * 10**9, 'camera')
        output.publish(name, np.full((count, 3), value), header)
        assert sent[-1].header == header
        return points_from_cloud(sent[-1])[:, 0].tolist()

    assert published('box_4', 4.0, 1) == [4.0, 4.0]
    assert published('laptop_1', 1.0, 1) == [4.0, 4.0, 1.0, 1.0]
    assert published('box_4', 5.0, 2) == [5.0, 5.0]
    assert published('laptop_1', 2.0, 2) == [5.0, 5.0, 2.0, 2.0]
    # An estimate that took longer is of an earlier frame.
    assert published('cup_3', 3.0, 1) == [3.0, 3.0]
    output.remove('box_4')
    assert published('laptop_1', 2.0, 2) == [2.0, 2.0]
    assert published('laptop_1', 2.0, 3, count=20) == [2.0] * 7
    assert published('laptop_1', 2.0, 4, count=0) == []
