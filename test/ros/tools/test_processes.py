"""Nodes as processes on a private graph."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from kinediff3d_ros.tools import processes  # noqa: E402
from kinediff3d_ros.tools.processes import NodeProcess, free_domain  # noqa: E402


def test_a_domain_whose_port_is_in_use_is_not_free(monkeypatch) -> None:
    monkeypatch.setattr(processes.random, 'sample', lambda domains, n: [7, 9])
    taken = []
    try:
        for domain in (7, 9):
            taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            before = free_domain()
            taken[-1].bind(('', 7410 + 250 * domain))
            assert before == domain
        with pytest.raises(RuntimeError, match='every ROS domain'):
            free_domain()
    finally:
        for port in taken:
            port.close()


def test_a_process_gets_parameters_remaps_and_namespace(monkeypatch, tmp_path: Path) -> None:
    commands = []
    monkeypatch.setattr(processes.subprocess, 'Popen', lambda command, **_: commands.append(
        [*command, Path(command[5]).read_text()]))
    NodeProcess('camera_sim', tmp_path / 'log', {'rate': 5.0, 'table': True},
                {'mask': '/other/mask'}, 'left/')
    _, _, module, mark, option, _, *remaps, parameters = commands[0]
    assert (module, mark, option) == ('kinediff3d_ros.nodes.camera_sim', '--ros-args',
                                      '--params-file')
    assert remaps == ['-r', 'mask:=/other/mask', '-r', '__ns:=/left']
    assert parameters.split() == ['/**:', 'ros__parameters:', 'rate:', '5.0', 'table:', 'true']
