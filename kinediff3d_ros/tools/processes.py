"""The nodes of this package as processes on a private ROS graph."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

LAST_DOMAIN = 101
"""Highest domain whose UDP ports lie below Linux's ephemeral ports (ROS 2 documentation, "The
ROS_DOMAIN_ID")."""

FIRST_PORT, PORTS_PER_DOMAIN = 7410, 250
"""The first participant of a domain listens on the UDP port ``FIRST_PORT + PORTS_PER_DOMAIN *
domain`` (RTPS specification, section 9.6.1)."""


def free_domain() -> int:
    """A ROS domain that no process on this machine uses: its first participant's port is free.

    Raises:
        RuntimeError: all domains are in use.
    """
    for domain in random.sample(range(1, LAST_DOMAIN + 1), LAST_DOMAIN):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', FIRST_PORT + PORTS_PER_DOMAIN * domain))
            except OSError:
                continue
            return domain
    raise RuntimeError(f'every ROS domain from 1 to {LAST_DOMAIN} is in use')


def private_graph() -> int:
    """Bind this process and its children to a free domain on this machine; returns the domain."""
    domain = free_domain()
    os.environ['ROS_DOMAIN_ID'] = str(domain)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return domain


class NodeProcess:
    """One node of this package in a process of its own; leaving the ``with`` block ends it.

    Args:
        module: of ``kinediff3d_ros.nodes``: ``perception`` or ``camera_sim``.
        log: file for the output of the node.
        parameters: by name.
        remaps: topic to topic.
        namespace: of the node.
    """

    def __init__(self, module: str, log: Path, parameters: Mapping[str, object] | None = None,
                 remaps: Mapping[str, str] | None = None, namespace: str = '') -> None:
        self.log = log
        self._scratch = tempfile.TemporaryDirectory(prefix='kinediff3d-')
        arguments = [f'{old}:={new}' for old, new in (remaps or {}).items()]
        if namespace:
            arguments.append(f'__ns:=/{namespace.strip("/")}')
        command = [sys.executable, '-m', f'kinediff3d_ros.nodes.{module}', '--ros-args']
        if parameters:
            file = Path(self._scratch.name) / 'parameters.yaml'
            file.write_text(yaml.safe_dump({'/**': {'ros__parameters': dict(parameters)}}))
            command += ['--params-file', str(file)]
        for argument in arguments:
            command += ['-r', argument]
        with log.open('wb') as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=_environment(), start_new_session=True)

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while the process runs."""
        return self._process.poll()

    def resident_mib(self) -> float | None:
        """Resident memory, MiB; None where the system does not report it."""
        try:
            text = Path(f'/proc/{self.pid}/status').read_text()
        except OSError:
            return None
        return next((int(line.split()[1]) / 1024 for line in text.splitlines()
                     if line.startswith('VmRSS:')), None)

    def output(self) -> str:
        """What the node has printed so far."""
        return self.log.read_text(errors='replace')

    def wait(self, timeout: float) -> int:
        """Exit status; subprocess.TimeoutExpired after ``timeout`` s."""
        return self._process.wait(timeout)

    def stop(self, number: int = signal.SIGINT, timeout: float = 15.0) -> int:
        """Send a signal, after ``timeout`` s SIGKILL; returns the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._scratch.cleanup()
        return self._process.returncode


def _environment() -> dict[str, str]:
    """This process's environment, in which the package is found in a checkout, too."""
    path = [str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in path if p),
            'PYTHONUNBUFFERED': '1'}
