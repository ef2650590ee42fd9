"""The program of ``docs/ros.md`` that records topics without ``ros2 bag``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

import bags  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402

from kinediff3d_ros.tools.bag_reader import FrameReader  # noqa: E402
from kinediff3d_ros.tools.bag_storage import open_bag  # noqa: E402
from kinediff3d_ros.tools.bag_topics import Topics, choose_topics  # noqa: E402
from kinediff3d_ros.tools.processes import free_domain  # noqa: E402
from kinediff3d_ros.tools.recorder import Recorder  # noqa: E402

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[3]
WRITTEN = 100_000
"""Bytes after which the recording is ended: the writer has written a chunk of many messages."""


def program() -> str:
    """The Python program under the heading of the documentation."""
    text = (ROOT / 'docs' / 'ros.md').read_text()
    section = text.split('### Recording without ros2 bag')[1]
    return section.split('```python\n')[1].split('```')[0]


def test_the_documented_program_records_what_replay_reads(views, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    domain = free_domain()
    names = {bags.DEPTH: '/camera/depth/image_rect', bags.INFO: '/camera/depth/camera_info',
             bags.MASK: '/camera/mask'}
    process = subprocess.Popen([sys.executable, '-c', program()], cwd=tmp_path,
                               env={**os.environ, 'ROS_DOMAIN_ID': str(domain)})
    try:
        with Recorder(domain) as camera:
            entries = bags.recorded_messages(views, tuple(names))
            publishers = {t: camera.node.create_publisher(type(m), names[t],
                                                          qos_profile_sensor_data)
                          for t, _, m in entries[:3]}
            camera.wait_for(lambda: all(p.get_subscription_count() for p in publishers.values()),
                            90.0, 'recording')
            end = time.monotonic() + 90
            while size(tmp_path / 'recording') < WRITTEN and time.monotonic() < end:
                for i, (topic, _, message) in enumerate(entries):
                    publishers[topic].publish(message)
                    if i % 3 == 2:
                        time.sleep(0.02)  # the period of the camera
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
    with open_bag(tmp_path / 'recording') as bag:
        frames = list(FrameReader(choose_topics(bag, Topics())).read(bag))
    assert not bag.warnings
    assert any(f.cloud is not None for f in frames)


def size(folder: Path) -> int:
    """Bytes of a recording."""
    return sum(p.stat().st_size for p in folder.glob('*.mcap'))
