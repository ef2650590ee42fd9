"""``kinediff3d view`` from start to end."""

from __future__ import annotations

import re
import signal
import socket
import threading
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viser', reason='needs viser')

from kinediff3d_core.cli import main  # noqa: E402
from kinediff3d_ros.tools import view  # noqa: E402
from kinediff3d_ros.tools.processes import free_domain  # noqa: E402

pytestmark = pytest.mark.ros


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])


def test_the_page_ends_after_the_given_time(monkeypatch, capfd) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain()))
    assert main.main(['view', '--port', str(free_port()), '--seconds', '0.3']) == 0
    url = re.search(r'the scene is at (http://127\.0\.0\.1:\d+)\nit listens in ROS domain \d+, ',
                    capfd.readouterr().out)
    assert url is not None
    with pytest.raises(OSError):
        urllib.request.urlopen(url[1], timeout=5)


def test_a_strip_in_a_missing_folder_is_refused(tmp_path: Path, capsys) -> None:
    strip = tmp_path / 'none' / 'strip.gif'
    assert main.main(['view', '--port', str(free_port()), '--strip', str(strip)]) == 2
    assert f'{strip.parent} is not a folder' in capsys.readouterr().err


def test_signals_end_the_page_and_have_their_handlers_back(monkeypatch, capfd) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain()))
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(view.ViewNode, '_discover',
                        lambda node: signal.raise_signal(signal.SIGINT))
    threads = threading.active_count()
    assert main.main(['view', '--port', str(free_port())]) == 0
    assert signal.getsignal(signal.SIGINT) is before
    assert not capfd.readouterr().err and threading.active_count() <= threads + 1


@pytest.mark.parametrize('arguments, reason', (
    (('--namespace', '1 left'), 'namespace'), (('--image-topic', 'a b'), 'topic')))
def test_names_that_ros_refuses_end_the_command_with_one_line(arguments, reason, monkeypatch,
                                                              capsys) -> None:
    monkeypatch.setenv('ROS_DOMAIN_ID', str(free_domain()))
    assert main.main(['view', '--port', str(free_port()), *arguments]) == 2
    error = capsys.readouterr().err
    assert reason in error and len(error.splitlines()) == 1
