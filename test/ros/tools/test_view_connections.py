"""What a page with nothing to show says about the topics that it listens to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from visualization_msgs.msg import MarkerArray  # noqa: E402

from kinediff3d_ros.tools.view_connections import Listened, what_is_missing  # noqa: E402

RELIABLE = QoSProfile(depth=1)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def publisher(qos: QoSProfile = RELIABLE, kind: str = 'visualization_msgs/msg/MarkerArray'):
    return SimpleNamespace(topic_type=kind, qos_profile=qos, node_name='perception')


@pytest.mark.parametrize('messages, publishers, expected', (
    (3, [publisher()], ''),
    (0, [], 'no publisher'),
    (3, [], 'no publisher any more'),
    (0, [publisher(), publisher()], '2 publishers, but no message yet'),
    (0, [publisher(kind='std_msgs/msg/String')],
     'its type is std_msgs/msg/String, not visualization_msgs/msg/MarkerArray'),
    (0, [publisher(BEST_EFFORT)], 'the quality of service of perception does not fit: ')))
def test_it_says_why_nothing_comes(messages: int, publishers, expected: str) -> None:
    listened = Listened('/markers', MarkerArray, messages, SimpleNamespace(qos_profile=RELIABLE))
    missing = what_is_missing(listened, publishers)
    assert missing.startswith(expected) and bool(missing) == bool(expected)
    assert '\n' not in missing
