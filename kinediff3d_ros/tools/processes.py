"""The nodes as processes on a graph of their own, and a recorder that listens to it."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from kinediff3d_ros.nodes.running import make_executor

MessageT = TypeVar('MessageT')
AnswerT = TypeVar('AnswerT')

LAST_DOMAIN = 101
"""Above it, DDS ports run into those that Linux hands out by itself."""


def free_domain() -> int:
    """A ROS domain that nobody on this machine seems to use.

    A participant listens on the UDP port 7410 + 250 * domain; one that can be bound is free.

    Raises:
        RuntimeError: none is.
    """
    for domain in random.sample(range(1, LAST_DOMAIN + 1), LAST_DOMAIN):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(('', 7410 + 250 * domain))
            except OSError:
                continue
            return domain
    raise RuntimeError(f'every ROS domain from 1 to {LAST_DOMAIN} is in use')


def private_graph() -> int:
    """Keep this process and its children to a free domain on this machine; the domain."""
    domain = free_domain()
    os.environ['ROS_DOMAIN_ID'] = str(domain)
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    return domain


def reliably(*topics: str) -> dict[str, object]:
    """Parameters that make a node subscribe to topics reliably.

    Best effort, the default for sensor data, loses images when both ends share a busy machine.
    """
    return {'qos_overrides': {t: {'subscription': {'reliability': 'reliable'}} for t in topics}}


class NodeProcess:
    """One node of this package in a process of its own; leaving the ``with`` block ends it.

    Args:
        module: of ``kinediff3d_ros.nodes``: ``perception`` or ``camera_sim``.
        log: file that takes what the node prints.
        parameters: by name.
        remaps: from topic to topic.
        namespace: of the node.
    """

    def __init__(self, module: str, log: Path, parameters: Mapping[str, object] | None = None,
                 remaps: Mapping[str, str] | None = None, namespace: str = '') -> None:
        self.log = log
        self._scratch = tempfile.TemporaryDirectory(prefix='kinediff3d-')
        file = Path(self._scratch.name) / 'parameters.yaml'
        file.write_text(yaml.safe_dump({'/**': {'ros__parameters': dict(parameters or {})}}))
        command = [sys.executable, '-m', f'kinediff3d_ros.nodes.{module}', '--ros-args']
        if parameters:
            command += ['--params-file', str(file)]
        if namespace:
            command += ['-r', f'__ns:=/{namespace.strip("/")}']
        for old, new in (remaps or {}).items():
            command += ['-r', f'{old}:={new}']
        # Run from a checkout as well as installed.
        path = [str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')]
        environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(p for p in path if p),
                       'PYTHONUNBUFFERED': '1'}
        with log.open('wb') as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=environment, start_new_session=True)

    def __enter__(self) -> NodeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def resident_mib(self) -> float | None:
        """Resident memory, MiB; None where the system does not tell."""
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
        """Send the signal and wait, at last with SIGKILL; the exit status."""
        if self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._scratch.cleanup()
        return self._process.returncode


class Heard(Generic[MessageT]):
    """Messages of one topic with the times (s since the epoch) at which they came.

    Args:
        raw: what comes are bytes; ``messages`` are made of them when they are asked for.
    """

    def __init__(self, message_type: type[MessageT], keep: int | None, raw: bool) -> None:
        self._type = message_type if raw else None
        self.entries: deque[tuple[float, MessageT]] = deque(maxlen=keep)

    @property
    def messages(self) -> list[MessageT]:
        return [message if self._type is None else deserialize_message(message, self._type)
                for _, message in list(self.entries)]


class Recorder:
    """A node on a thread of its own that keeps what it hears.

    Args:
        domain: ROS domain to join.
    """

    def __init__(self, domain: int, name: str = 'recorder') -> None:
        self._context = Context()
        self._context.init(domain_id=domain)
        self.node = Node(name, context=self._context)
        self._changed = threading.Condition()
        self._closing = False
        self._executor = make_executor(self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name='recorder', daemon=True)
        self._thread.start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def listen(self, message_type: type[MessageT], topic: str, qos: QoSProfile | int = 10,
               keep: int | None = None, raw: bool = False) -> Heard[MessageT]:
        """Subscribe and keep the last ``keep`` messages, or all; ``raw`` keeps their bytes, which
        takes less time while others need it."""
        heard = Heard(message_type, keep, raw)

        def add(message: MessageT) -> None:
            with self._changed:
                heard.entries.append((time.time(), message))
                self._changed.notify_all()

        self.node.create_subscription(message_type, topic, add, qos, raw=raw)
        return heard

    def wait_for(self, condition: Callable[[], AnswerT | None], timeout: float,
                 what: str) -> AnswerT:
        """The first true answer of ``condition``, asked whenever a message has come.

        Raises:
            TimeoutError: none within ``timeout`` s; the message says ``what`` was waited for.
        """
        end = time.monotonic() + timeout
        with self._changed:
            while True:
                answer = condition()
                if answer:
                    return answer
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f'no {what} within {timeout:g} s')
                self._changed.wait(min(left, 0.1))

    def close(self) -> None:
        self._closing = True
        self._thread.join(10.0)
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        while not self._closing:
            self._executor.spin_once(timeout_sec=0.2)


def stamp_key(message: Any) -> tuple[int, int]:
    """Stamp of a message's header as (s, ns)."""
    return message.header.stamp.sec, message.header.stamp.nanosec
