"""Cameras and nodes that are killed and restarted, as processes over DDS, with tracking."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_ros.tools.processes import NodeProcess, private_graph  # noqa: E402
from kinediff3d_ros.tools.recorder import Recorder, stamp_key  # noqa: E402

pytestmark = pytest.mark.ros

START = 240.0
"""Seconds for a node to start and to answer on a crowded machine."""

INPUTS = ('depth/image_rect', 'depth/camera_info', 'mask')

TOLERANCE = 25.0
"""Degrees; one poor full estimate must not fail a test of faults. See test_tracker.py."""


class Graph:
    """A camera and a perception node, one of each at a time."""

    def __init__(self, recorder: Recorder, folder: Path) -> None:
        self.recorder, self.folder, self.started = recorder, folder, []
        self.joints = recorder.subscribe(JointState, '/laptop/joint_states', 50)
        self.truth = recorder.subscribe(JointState, '/truth/joint_states', 50)
        self.markers = recorder.subscribe(MarkerArray, '/markers', 50)
        self.diagnostics = recorder.subscribe(DiagnosticArray, '/diagnostics', 50)
        self.camera, self.perception = self.start_camera(1), self.start_perception()

    def _start(self, module: str, **parameters: object) -> NodeProcess:
        log = self.folder / f'{module}_{len(self.started)}.log'
        self.started.append(NodeProcess(module, log, parameters))
        return self.started[-1]

    def start_camera(self, scale: int) -> NodeProcess:
        return self._start(
            'camera_sim', instance=1, states=9, rate=10.0, sweep_period=20.0,
            width=320 * scale, height=240 * scale, focal_length=300.0 * scale)

    def start_perception(self) -> NodeProcess:
        return self._start(
            'perception', threads=1, lost_after=2.0,
            description_dir=str(self.folder / 'description'))

    def wait(self, condition, what: str):
        try:
            return self.recorder.wait_for(condition, START, what)
        except TimeoutError as error:
            said = '\n'.join(p.output()[-1000:] for p in self.started)
            raise AssertionError(f'{error}; the nodes said:\n{said}') from None

    def forget(self) -> None:
        for log in (self.joints, self.truth, self.markers, self.diagnostics):
            log.entries.clear()

    def errors(self) -> list[float]:
        """Degrees between estimates and truth of the same stamps."""
        true = {stamp_key(m): m.position[0] for m in self.truth.messages}
        return [abs(np.degrees(m.position[0] - true[stamp_key(m)]))
                for m in self.joints.messages if stamp_key(m) in true]

    def value(self, name: str) -> str:
        """A value of the newest diagnostics."""
        entries = self.diagnostics.messages
        return next((v.value for v in entries[-1].status[0].values if v.key == name),
                    '') if entries else ''

    def tracks_well(self) -> None:
        self.wait(lambda: int(self.value('tracked') or 0) > 5, 'tracked frames')
        errors = self.wait(lambda: len(self.errors()) > 5 and self.errors(), 'compared frames')
        assert np.median(errors) < TOLERANCE, errors
        assert any(m.velocity for m in self.joints.messages)
        stamps = [stamp_key(m) for m in self.joints.messages]
        assert stamps == sorted(set(stamps))


@pytest.fixture(scope='module')
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    with Recorder(private_graph()) as recorder:
        value = Graph(recorder, tmp_path_factory.mktemp('faults'))
        try:
            yield value
        finally:
            for process in value.started:
                process.stop(timeout=5.0)


@pytest.mark.timeout(900)
def test_a_moving_joint_is_tracked(graph: Graph) -> None:
    graph.tracks_well()


@pytest.mark.timeout(900)
def test_a_node_that_is_stopped_inside_a_full_estimate_ends_normally(graph: Graph) -> None:
    """With the preset ``paper`` a full estimate takes a minute."""
    slow = NodeProcess(
        'perception', graph.folder / 'slow.log',
        {'threads': 1, 'preset': 'paper', 'description_dir': str(graph.folder / 'slow')},
        {topic: f'/{topic}' for topic in INPUTS}, 'slow')
    graph.started.append(slow)

    def values() -> dict[str, str]:
        return next(({v.key: v.value for v in s.values}
                     for m in reversed(graph.diagnostics.messages) for s in m.status
                     if s.name.startswith('/slow/')), {})

    graph.wait(lambda: int(values().get('frames_dropped', 0)) > 3, 'frames beside an estimate')
    assert values()['estimates'] == '0'
    assert slow.stop(signal.SIGTERM, timeout=START) == 0
    graph.wait(lambda: values()['state'] == 'inactive', 'the end')
    assert values()['estimates'] == values()['errors'] == '0'
    assert 'ERROR' not in slow.output() and 'Traceback' not in slow.output()


@pytest.mark.timeout(900)
def test_a_camera_that_is_killed_is_replaced_by_another(graph: Graph) -> None:
    """The new one has another resolution: the calibration changes while the node runs."""
    os.kill(graph.camera.pid, signal.SIGKILL)
    graph.camera.wait(10.0)
    graph.wait(lambda: graph.value('state') == 'stale', 'a report of the silence')
    assert any(m.action == Marker.DELETE for a in graph.markers.messages for m in a.markers)
    graph.forget()
    graph.camera = graph.start_camera(2)
    graph.tracks_well()


@pytest.mark.timeout(900)
def test_a_perception_node_that_is_killed_and_starts_again(graph: Graph) -> None:
    os.kill(graph.perception.pid, signal.SIGKILL)
    graph.perception.wait(10.0)
    graph.forget()
    graph.perception = graph.start_perception()
    graph.tracks_well()
    assert graph.perception.stop() == 0 and graph.camera.stop() == 0
    assert all('Traceback' not in p.output() for p in graph.started)
