"""The live scene in a browser: what is in it, and a picture of it from headless Chromium."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viser', reason='needs viser')

from builtin_interfaces.msg import Time  # noqa: E402
from estimates import laptop_estimate  # noqa: E402
from PIL import Image  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import JointState, PointCloud2  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_core.cli import main
from kinediff3d_core.objects.urdf import urdf_string
from kinediff3d_ros.messages import clouds, markers, poses
from kinediff3d_ros.tools.processes import free_domain
from kinediff3d_ros.tools.view import STRIP_CELL, Film, Scene, ViewNode

pytestmark = pytest.mark.ros

CAMERA = 'camera_optical'
CHROMIUM = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome'))), None)
SOFTWARE_WEBGL = ('--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run',
                  '--disable-background-networking', '--disable-component-update',
                  '--disable-sync', '--use-gl=angle', '--use-angle=swiftshader',
                  '--enable-unsafe-swiftshader', '--window-size=900,700')
BROWSER = 150.0
"""Seconds for the browser to show something on a busy machine."""


@pytest.fixture(scope='module')
def scene() -> Iterator[Scene]:
    scene = Scene(port=18080)
    yield scene
    scene.close()


def marker_array(estimate) -> MarkerArray:
    return markers.markers(estimate, Time(sec=5), 'laptop', 6000)


def where(estimate):
    known = {f'laptop/{p.name}': p.T_camera_part for p in estimate.parts}
    return {**known, CAMERA: np.eye(4)}.get


@pytest.fixture(scope='module')
def shown(scene: Scene) -> Scene:
    """The scene as a node fed it, over real DDS from what a perception node publishes."""
    estimate = laptop_estimate(1.75)
    domain = free_domain()
    here, there = Context(), Context()
    here.init(domain_id=domain)
    there.init(domain_id=domain)
    executor, other = SingleThreadedExecutor(context=here), Node('perception', context=there)
    view = ViewNode(scene, context=here)
    executor.add_node(view)
    kept = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    out = [other.create_publisher(kind, topic, qos) for kind, topic, qos in (
        (TFMessage, '/tf', 10), (MarkerArray, 'markers', 10), (PointCloud2, 'points_used', 10),
        (JointState, 'joint_states', 10), (String, 'robot_description', kept))]
    header = Header(stamp=Time(sec=5), frame_id=CAMERA)
    sent = [TFMessage(transforms=poses.transforms(estimate, header, 'laptop')),
            marker_array(estimate), clouds.cloud_from_points(estimate.points, header),
            poses.joint_state(estimate, header), String(data=urdf_string(estimate))]
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for publisher, message in zip(out, sent, strict=True):
            publisher.publish(message)
        for _ in range(20):
            executor.spin_once(timeout_sec=0.01)
        if len(scene.things) >= 6 and all(t[0].visible for t in scene.things.values()) \
                and '°' in scene._table.content:
            break
    executor.shutdown()
    for node in (view, other):
        node.destroy_node()
    here.try_shutdown()
    there.try_shutdown()
    return scene


def test_the_graph_reaches_the_scene(shown: Scene) -> None:
    estimate = laptop_estimate(1.75)
    assert set(shown.things) == {
        '/markers/laptop.0', '/markers/laptop.1', '/markers/laptop.axis.0', '/points/points_used',
        '/frames/laptop.base', '/frames/laptop.lid'}
    for i, part in enumerate(estimate.parts):
        handle = shown.things[f'/markers/laptop.{i}'][0]
        assert handle.visible
        np.testing.assert_allclose(handle.position, part.T_camera_part[:3, 3], atol=1e-6)
        vertices = np.sort(handle.vertices, axis=0)
        np.testing.assert_allclose(vertices.min(0), part.mesh.vertices.min(0), atol=1e-6)
        np.testing.assert_allclose(vertices.max(0), part.mesh.vertices.max(0), atol=1e-6)
    assert len(shown.things['/points/points_used'][0].points) == len(estimate.points)
    assert f'{np.degrees(1.75):.1f}°' in shown._table.content


def test_the_page_is_served_on_loopback(shown: Scene) -> None:
    assert shown.server.get_host() == '127.0.0.1'
    with urllib.request.urlopen(shown.url, timeout=20) as answer:
        assert b'<html' in answer.read().lower()


@pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium (Debian: chromium)')
@pytest.mark.timeout(400)
def test_chromium_shows_the_meshes_on_the_cloud(shown: Scene, tmp_path: Path) -> None:
    assert CHROMIUM is not None
    browser = subprocess.Popen(
        [CHROMIUM, *SOFTWARE_WEBGL, f'--user-data-dir={tmp_path}', shown.url],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + BROWSER
        while not shown.server.get_clients() and time.monotonic() < end:
            time.sleep(0.2)
        clients = list(shown.server.get_clients().values())
        assert clients, 'the browser did not connect'
        # As the depth camera sees it, so that it is known where everything lies.
        look = {'wxyz': (1.0, 0.0, 0.0, 0.0), 'position': (0.0, 0.0, 0.0), 'fov': 0.75}
        uv = project(laptop_estimate(1.75).points, 400, 300, look['fov'])
        seen: dict[str, bool] = {}
        # Lights and meshes arrive one after the other.
        while time.monotonic() < end and not (seen and all(seen.values())):
            picture = clients[0].get_render(300, 400, transport_format='jpeg', timeout=BROWSER,
                                            **look).astype(int)
            covered, dark = picture.min(-1) < 235, picture.max(-1) < 110
            at_points = dark[uv[:, 1], uv[:, 0]].mean()
            seen = {
                'base': near(picture, markers.PART_COLOURS[0]).sum() > 2000,
                'lid': near(picture, markers.PART_COLOURS[1]).sum() > 2000,
                'points on the meshes': covered[uv[:, 1], uv[:, 0]].mean() > 0.95,
                # Half of the points are on sides that the camera does not see.
                'cloud': at_points > max(0.15, 2 * dark[covered].mean()),
            }
        assert seen and all(seen.values()), seen
        strip = tmp_path / 'strip.png'
        film, end = Film(shown, strip, 2, 0.1), time.monotonic() + BROWSER
        while not film.done and time.monotonic() < end:
            if film.due() is not None:
                film.take()
            time.sleep(0.05)
        picture = np.asarray(Image.open(strip)).astype(int)
        assert picture.shape == (STRIP_CELL[1], 2 * STRIP_CELL[0], 3)
        for half in np.split(picture, 2, axis=1):
            assert half.min(-1).max() == 255  # on white
            assert near(half, markers.PART_COLOURS[1]).sum() > 1000
    finally:
        browser.terminate()
        browser.wait(20)


def near(picture: np.ndarray, colour) -> np.ndarray:
    """Pixels (H, W) of about that hue, whatever the light."""
    wanted = np.asarray(colour) / np.linalg.norm(colour)
    length = np.linalg.norm(picture, axis=-1)
    cosine = (picture @ wanted) / np.maximum(length, 1)
    spread = picture.max(-1) - picture.min(-1)
    return np.asarray((cosine > 0.975) & (spread > 40))


def project(points: np.ndarray, width: int, height: int, fov: float) -> np.ndarray:
    focal = height / 2 / np.tan(fov / 2)
    uv = points[:, :2] / points[:, 2:] * focal + (width / 2, height / 2)
    return np.asarray(uv.round().astype(int).clip(0, (width - 1, height - 1)))


def test_markers_come_change_and_go(scene: Scene) -> None:
    for name in list(scene.things):
        scene._remove(name)
    estimate = laptop_estimate(0.5)
    array = marker_array(estimate)
    ghost = Marker(header=array.markers[1].header, ns='laptop/ghost', id=1,
                   type=Marker.TRIANGLE_LIST, points=array.markers[1].points)
    ghost.color.a = 0.35
    array.markers.append(ghost)
    scene.show_frame('laptop/lid')
    scene.show_markers(array)
    scene.show_cloud('/points_used', estimate.points, CAMERA)
    scene.place(where(estimate))
    before = scene.things['/markers/laptop.1'][0]
    assert scene.things['/markers/laptop.ghost.1'][0].opacity == pytest.approx(0.35)
    scene.show_markers(marker_array(laptop_estimate(0.6)))
    assert scene.things['/markers/laptop.1'][0] is before, 'sent again though nothing changed'
    scene.place(lambda frame: None)
    assert not before.visible, 'shown though nobody knows where it is'
    scene.show_markers(markers.deleted_markers(markers.marker_keys(array), Time(sec=6)))
    assert not scene.things


def test_a_taken_port_and_bad_arguments(scene: Scene, capsys) -> None:
    second = Scene(port=scene.server.get_port())
    assert second.server.get_port() != scene.server.get_port()
    second.close()
    with pytest.raises(SystemExit) as stop:
        main.main(['view', '--port', '0'])
    assert stop.value.code == 2 and len(capsys.readouterr().err.splitlines()) == 1
    assert scene.url.startswith('http://127.0.0.1:')
