"""``kinediff3d view`` from start to end."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viser', reason='needs viser')

from kinediff3d_core.cli import main  # noqa: E402
from kinediff3d_ros.tools.processes import free_domain  # noqa: E402

pytestmark = pytest.mark.ros


def test_the_page_ends_after_the_given_time(monkeypatch, capfd) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain()))
    assert main.main(['view', '--port', '18280', '--seconds', '0.3']) == 0
    url = re.search(r'the scene is at (http://127\.0\.0\.1:\d+)\n', capfd.readouterr().out)
    assert url is not None
    with pytest.raises(OSError):
        urllib.request.urlopen(url[1], timeout=5)


def test_a_strip_in_a_missing_folder_is_refused(tmp_path: Path, capsys) -> None:
    strip = tmp_path / 'none' / 'strip.gif'
    assert main.main(['view', '--port', '18380', '--strip', str(strip)]) == 2
    assert f'{strip.parent} is not a folder' in capsys.readouterr().err
