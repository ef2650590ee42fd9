"""``kinediff3d replay`` on bags of both storages that a simulated camera recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

import bags  # noqa: E402
from PIL import Image  # noqa: E402

from kinediff3d_core.cli import main  # noqa: E402
from kinediff3d_core.objects.category import get_category  # noqa: E402
from kinediff3d_core.objects.estimate import NoEstimate  # noqa: E402
from kinediff3d_ros.tools.bag_storage import open_bag  # noqa: E402
from kinediff3d_ros.tools.replay import ReplayOptions, replay  # noqa: E402


def test_replay_from_the_command_line(bag: Path, views: list, tmp_path: Path, capsys) -> None:
    out = tmp_path / 'out'
    storage = bags.STORAGES[1 - bags.STORAGES.index(bag.name)]
    assert main.main(['replay', str(bag), '--category', 'laptop', '--out', str(out), '--limit',
                      '3', '--write-bag', storage]) == 0
    assert '3 frames: ' in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / 'estimates.jsonl').read_text().splitlines()]
    assert [x['stamp'] for x in lines] == [
        {'sec': 100, 'nanosec': bags.PERIOD * i} for i in range(3)]
    assert lines[0]['kind'] == 'full' and 'tracked' in [x['kind'] for x in lines]
    for line, view in zip(lines, views, strict=False):
        error = line['estimate']['joints'][0]['position'] - view.positions[0]
        assert abs(np.degrees(error)) < 12
    assert min(Image.open(out / 'timeline.png').size) > 300
    check_estimate_bag(out / 'output')


def test_replay_without_a_mask(views: list, tmp_path: Path, capsys) -> None:
    """The third image shows a wall alone."""
    wall = replace(views[2], depth=np.ones_like(views[2].depth))
    bag = bags.record(tmp_path / 'bag', 'mcap', [*views[:2], wall], bags.DEPTH, bags.INFO)
    assert main.main(['replay', str(bag), '--category', 'laptop', '--out',
                      str(tmp_path / 'out')]) == 0
    assert '3 frames: 1 full estimates, 1 tracked' in capsys.readouterr().out
    lines = (tmp_path / 'out' / 'estimates.jsonl').read_text().splitlines()
    assert 'stands out of the support plane' in json.loads(lines[2])['reason']


def check_estimate_bag(bag: Path) -> None:
    """Three frames of TF, joint states and markers at the times of the recording."""
    with open_bag(bag) as reader:
        types = dict(reader.topics)
        entries = list(reader.messages(types))
    assert types == {'/tf': 'tf2_msgs/msg/TFMessage',
                     '/laptop/joint_states': 'sensor_msgs/msg/JointState',
                     '/markers': 'visualization_msgs/msg/MarkerArray'}
    messages = {topic: [m for t, _, m in entries if t == topic] for topic in types}
    assert {topic: len(found) for topic, found in messages.items()} == dict.fromkeys(types, 3)
    first, second, _ = messages['/tf']
    assert [t.child_frame_id for t in first.transforms] == ['laptop_base', 'laptop_lid']
    assert second.transforms[0].header.stamp.nanosec == bags.PERIOD
    assert {recorded for _, recorded, _ in entries} == {
        100_000_000_000 + bags.PERIOD * i for i in range(3)}


class BlindPipeline:
    """Finds no object."""

    category = get_category('laptop')

    def infer(self, *_, **__):
        raise NoEstimate('nothing to see')


@pytest.mark.parametrize(('every', 'limit', 'used'), [(2, 0, [0, 2]), (1, 3, [0, 1, 2]),
                                                      (3, 2, [0, 3])])
def test_every_and_limit_select_frames(views, tmp_path, every, limit, used) -> None:
    bag = bags.record(tmp_path / 'bag', 'mcap', views, bags.DEPTH, bags.INFO, bags.MASK)
    seen = []
    results, _ = replay(BlindPipeline(), ReplayOptions(bag, tmp_path, every=every, limit=limit),
                     seen.append)
    assert [r.frame.header.nanoseconds % 10**9 // bags.PERIOD for r in results] == used
    assert [(r.kind, r.reason) for r in results] == [('none', 'nothing to see')] * len(used)
    assert len(seen) == len(used) and all(r.frame.cloud is None for r in results)
    assert len((tmp_path / 'estimates.jsonl').read_text().splitlines()) == len(used)
