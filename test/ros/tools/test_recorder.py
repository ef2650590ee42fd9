"""The recorder: logs of topics, and waiting for a message."""

from __future__ import annotations

import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from std_msgs.msg import String  # noqa: E402

from kinediff3d_ros.tools.processes import free_domain  # noqa: E402
from kinediff3d_ros.tools.recorder import Recorder  # noqa: E402

pytestmark = pytest.mark.ros


def test_logs_hold_the_last_messages_with_their_arrival(monkeypatch) -> None:
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    with Recorder(free_domain()) as recorder:
        everything = recorder.subscribe(String, 'chatter', 20)
        last = recorder.subscribe(String, 'chatter', 20, keep=2, raw=True)
        publisher = recorder.node.create_publisher(String, 'chatter', 20)
        recorder.wait_for(lambda: publisher.get_subscription_count() == 2, 30.0, 'subscriptions')
        begin = time.time()
        for i in range(4):
            publisher.publish(String(data=str(i)))
        recorder.wait_for(lambda: len(everything.entries) == 4 and last.messages[-1:] == [
            String(data='3')], 30.0, 'messages')
    assert [m.data for m in everything.messages] == ['0', '1', '2', '3']
    assert [m.data for m in last.messages] == ['2', '3']
    assert isinstance(last.entries[0][1], bytes)
    assert begin <= everything.entries[0][0] <= everything.entries[3][0] <= time.time()


def test_waiting_ends_with_the_name_of_what_is_missing() -> None:
    with Recorder(free_domain()) as recorder:
        assert recorder.wait_for(lambda: 'answer', 1.0, 'answer') == 'answer'
        with pytest.raises(TimeoutError, match='no answer within 0.05 s'):
            recorder.wait_for(lambda: None, 0.05, 'answer')
