"""The scene of the browser view: markers, clouds and frames, and the server's address."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viser', reason='needs viser')

from builtin_interfaces.msg import Time  # noqa: E402
from estimates import laptop_estimate  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_core.cli import main  # noqa: E402
from kinediff3d_ros.messages import markers  # noqa: E402
from kinediff3d_ros.tools import browser_scene  # noqa: E402
from kinediff3d_ros.tools.browser_scene import BrowserScene  # noqa: E402

CAMERA_FRAME = 'camera_optical'
PORT = 18180


@pytest.fixture(scope='module')
def scene() -> Iterator[BrowserScene]:
    scene = BrowserScene(port=PORT)
    yield scene
    scene.close()


def marker_array(estimate, lifetime: float = 0.0) -> MarkerArray:
    return markers.markers(estimate, Time(sec=5), 'laptop', 6000, lifetime)


def frame_poses(estimate):
    """T_camera_frame of the parts' frames and of the camera's."""
    known = {f'laptop_{p.name}': p.T_camera_part for p in estimate.parts}
    return {**known, CAMERA_FRAME: np.eye(4)}.get


def test_markers_are_added_changed_and_removed(scene: BrowserScene) -> None:
    estimate = laptop_estimate(0.5)
    array = marker_array(estimate)
    ghost = Marker(header=array.markers[1].header, ns='laptop/ghost', id=1,
                   type=Marker.TRIANGLE_LIST, points=array.markers[1].points)
    ghost.color.a = 0.35
    array.markers.append(ghost)
    scene.show_frame('laptop_lid')
    scene.show_markers(array)
    scene.show_cloud('/points_used', estimate.points, CAMERA_FRAME)
    scene.place(frame_poses(estimate))
    before = scene.items['/markers/laptop.1'].handle
    assert scene.items['/markers/laptop.ghost.1'].handle.opacity == pytest.approx(0.35)
    scene.show_markers(marker_array(laptop_estimate(0.6)))
    assert scene.items['/markers/laptop.1'].handle is before, 'sent again though it did not change'
    scene.place(lambda frame: None)
    assert not before.visible, 'shown though its pose is unknown'
    scene.show_markers(markers.deleted_markers(markers.marker_keys(array), Time(sec=6)))
    assert not scene.items


def test_markers_vanish_after_their_lifetime_with_frames_and_clouds(
        scene: BrowserScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a node that was killed; a marker that is sent again lives longer."""
    now = 100.0
    monkeypatch.setattr(browser_scene, 'time', SimpleNamespace(monotonic=lambda: now))
    estimate = laptop_estimate(0.5)
    array = marker_array(estimate, 12.0)
    scene.show_frame('laptop_base')
    scene.show_frame('laptop_lid')
    scene.show_markers(array)
    scene.show_cloud('points_used', estimate.points, CAMERA_FRAME)
    now += 11.9
    scene.place(frame_poses(estimate))
    assert len(scene.items) == 6
    scene.show_markers(MarkerArray(markers=array.markers[:1]))
    now += 0.2
    scene.place(frame_poses(estimate))
    assert set(scene.items) == {
        '/markers/laptop.0', '/frames/laptop_base', '/points/points_used'}
    now += 12.0
    scene.place(frame_poses(estimate))
    assert not scene.items
    # No lifetime: for ever.
    scene.show_markers(marker_array(estimate))
    now += 1e6
    scene.place(frame_poses(estimate))
    assert len(scene.items) == 3
    scene.show_markers(markers.deleted_markers(markers.marker_keys(array), Time(sec=6)))


def test_joint_positions_have_the_unit_of_their_type(scene: BrowserScene) -> None:
    types = {'lid': 'revolute', 'drawer': 'prismatic'}
    scene.show_joints('/a', {'lid': np.pi / 4, 'drawer': 0.1234, 'other': 1.0}, types)
    assert scene.joints == [('lid', '45.0°'), ('drawer', '123 mm'), ('other', '1.000')]
    assert scene.table.splitlines()[2:] == ['| lid | 45.0° |', '| drawer | 123 mm |',
                                            '| other | 1.000 |']


def test_the_camera_is_aimed_once_at_the_bulk_of_the_points(scene: BrowserScene) -> None:
    """A unit cube seen from 1.3 diagonals; one flying pixel in a thousand changes nothing."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 3)) + (0.0, 0.0, 5.0)
    points[0] = 0.0, 0.0, 100.0
    scene.aim(points)
    camera = scene.server.initial_camera
    np.testing.assert_allclose(camera.look_at, (0.0, 0.0, 5.0), atol=0.05)
    distance = np.linalg.norm(np.subtract(camera.position, camera.look_at))
    assert distance == pytest.approx(1.3 * np.sqrt(3), rel=0.06)
    scene.aim(points + 10)
    np.testing.assert_allclose(camera.look_at, (0.0, 0.0, 5.0), atol=0.05)


def test_a_taken_port_and_bad_arguments(scene: BrowserScene, capsys) -> None:
    second = BrowserScene(port=scene.server.get_port())
    assert second.server.get_port() != scene.server.get_port()
    second.close()
    with pytest.raises(SystemExit) as stop:
        main.main(['view', '--port', '0'])
    assert stop.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1
    assert scene.url.startswith('http://127.0.0.1:')
