"""The example's launch file, run by launch itself; scripts stand for both processes.

Runs where ROS 2's own launch is, which PyPI does not have.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip('launch_ros.actions', reason='needs ROS 2 with launch and launch_ros')

from launch.actions import ExecuteProcess  # noqa: E402

import launch  # noqa: E402

FILE = Path(__file__).parents[2] / 'examples/open_it.launch.py'
ENDS, WAITS = 'pass', 'import time; time.sleep(60)'


@pytest.mark.parametrize('node, example', [(ENDS, WAITS), (WAITS, ENDS)])
def test_both_end_when_one_of_them_ends(monkeypatch, tmp_path, node, example):
    spec = importlib.util.spec_from_file_location('open_it_launch', FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    ended = []

    def process(code):
        def make(**given):
            return ExecuteProcess(cmd=[sys.executable, '-c', code], on_exit=[
                launch.actions.OpaqueFunction(function=lambda context: ended.append(code)),
                given['on_exit']])
        return make

    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))
    monkeypatch.setattr(module, 'Node', process(node))
    monkeypatch.setattr(module, 'ExecuteProcess', process(example))
    service = launch.LaunchService(noninteractive=True)
    service.include_launch_description(module.generate_launch_description())
    service.run()
    assert ended[0] == ENDS
