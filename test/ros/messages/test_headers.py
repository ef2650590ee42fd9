"""Stamps in nanoseconds."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from builtin_interfaces.msg import Time  # noqa: E402

from kinediff3d_ros.messages.headers import header_from_stamp, nanoseconds_from_time

pytestmark = pytest.mark.ros


@pytest.mark.parametrize(('seconds', 'nanoseconds'), [
    (0, 0), (12, 34), (2_000_000_000, 999_999_999)])
def test_stamps_keep_every_nanosecond(seconds: int, nanoseconds: int) -> None:
    stamp = Time(sec=seconds, nanosec=nanoseconds)
    total = nanoseconds_from_time(stamp)
    assert total == seconds * 10**9 + nanoseconds
    header = header_from_stamp(total, 'camera')
    assert (header.stamp, header.frame_id) == (stamp, 'camera')
