"""``kinediff3d replay`` on a machine with pip only: no module of ROS can be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rosbags.rosbag2', reason='needs rosbags')

import plain_bags

ROOT = Path(__file__).resolve().parents[3]
BLOCKED = ('rclpy', 'sensor_msgs', 'std_msgs', 'geometry_msgs', 'builtin_interfaces', 'cv_bridge',
           'visualization_msgs', 'tf2_msgs', 'tf2_ros', 'tf_transformations', 'sensor_msgs_py',
           'rcl_interfaces', 'diagnostic_msgs', 'ament_index_python')
PROGRAM = f'''
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {BLOCKED}:
            raise ImportError('no module named ' + name)
sys.meta_path.insert(0, Blocker())
from kinediff3d_core.cli.main import main
for arguments in {{}}:
    status = main(arguments)
    print('status', status, flush=True)
'''


def run(*commands: list[str]) -> subprocess.CompletedProcess:
    """The commands, one after the other in one process without ROS."""
    return subprocess.run([sys.executable, '-c', PROGRAM.format(repr(commands))], cwd=ROOT,
                          capture_output=True, text=True, timeout=250)


def test_replay_needs_no_ros(views: list, tmp_path: Path) -> None:
    """Also with the TF of a mask's camera; --write-bag and demo say what they need."""
    entries = plain_bags.camera_entries(plain_bags.pixels_of(views[:2]), 300.0)
    bag = plain_bags.write(tmp_path / 'bag', 'mcap', entries)
    command = ['replay', str(bag), '--category', 'laptop', '--limit', '1', '--out']
    done = run([*command, str(tmp_path / 'out')],
               [*command, str(tmp_path / 'never'), '--write-bag', 'mcap'],
               ['demo', '--out', str(tmp_path / 'never')])
    first, second, third = (line.split()[1] for line in done.stdout.splitlines()
                            if line.startswith('status'))
    assert (first, second, third) == ('0', '2', '2'), done.stderr
    lines = [json.loads(x) for x in (tmp_path / 'out/estimates.jsonl').read_text().splitlines()]
    for line, view in zip(lines, views, strict=False):
        assert abs(line['estimate']['joints'][0]['position'] - view.positions[0]) < 0.2
    errors = [x for x in done.stderr.splitlines() if x.startswith('kinediff3d: ')]
    assert '--write-bag needs ROS 2' in errors[0] and 'needs ROS 2' in errors[1]
    assert all(len(line) <= 300 for line in errors) and not (tmp_path / 'never').exists()
