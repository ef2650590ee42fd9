"""The browser view of published topics: its scene, and pictures of it from headless Chromium."""

from __future__ import annotations

import shutil
import subprocess
import threading
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
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from viser import ClientHandle  # noqa: E402

from kinediff3d_core.objects.urdf import urdf_string  # noqa: E402
from kinediff3d_ros.messages import clouds, markers, poses  # noqa: E402
from kinediff3d_ros.tools.browser_scene import BrowserScene  # noqa: E402
from kinediff3d_ros.tools.processes import free_domain  # noqa: E402
from kinediff3d_ros.tools.screen_capture import (  # noqa: E402
    STRIP_FORMAT,
    CaptureOptions,
    ScreenCapture,
)
from kinediff3d_ros.tools.view_node import ViewNode  # noqa: E402

pytestmark = pytest.mark.ros

CAMERA_FRAME = 'camera_optical'
CHROMIUM = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome'))), None)
SOFTWARE_WEBGL = ('--headless=new', '--no-sandbox', '--disable-quic', '--no-first-run',
                  '--disable-background-networking', '--disable-component-update',
                  '--disable-sync', '--use-gl=angle', '--use-angle=swiftshader',
                  '--enable-unsafe-swiftshader', '--window-size=900,700')
BROWSER_LIMIT = 150.0
"""Seconds for the browser to show something on a busy machine."""


@pytest.fixture(scope='module')
def scene() -> Iterator[BrowserScene]:
    """The scene of a view node that receives a perception node's messages over DDS."""
    scene = BrowserScene(port=18080)
    domain = free_domain()
    view_context, perception_context = Context(), Context()
    view_context.init(domain_id=domain)
    perception_context.init(domain_id=domain)
    executor = SingleThreadedExecutor(context=view_context)
    perception = Node('perception', context=perception_context)
    view = ViewNode(scene, context=view_context)
    executor.add_node(view)
    messages = published_messages(laptop_estimate(1.75))
    publishers = [perception.create_publisher(type(message), topic, qos)
                  for topic, (message, qos) in messages.items()]
    end = time.monotonic() + 60
    while time.monotonic() < end and not complete(scene):
        for publisher, (message, _) in zip(publishers, messages.values(), strict=True):
            publisher.publish(message)
        for _ in range(20):
            executor.spin_once(timeout_sec=0.01)
    assert view.place_latest_frame()
    executor.shutdown()
    for node, context in ((view, view_context), (perception, perception_context)):
        node.destroy_node()
        context.try_shutdown()
    yield scene
    scene.close()


def published_messages(estimate) -> dict[str, tuple[object, object]]:
    """Message and quality of service of each topic."""
    header = Header(stamp=Time(sec=5), frame_id=CAMERA_FRAME)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    return {
        '/tf': (TFMessage(transforms=poses.transforms(estimate, header, 'laptop')), 10),
        'markers': (markers.markers(estimate, header.stamp, 'laptop', 6000, 600.0), 10),
        'points_used': (clouds.cloud_from_points(estimate.points, header), 10),
        'laptop/joint_states': (poses.joint_state(estimate, header, 'laptop'), 10),
        'laptop/joint_states_stddev': (JointState(), 10),
        # Of a robot, and of a perception node in another namespace.
        'joint_states': (JointState(name=['elbow'], position=[1.0]), 10),
        'left/box/joint_states': (JointState(name=['box_lid_joint'], position=[1.0]), 10),
        'left/box/joint_states_stddev': (JointState(), 10),
        'laptop/robot_description': (String(data=urdf_string(estimate)), latched)}


def complete(scene: BrowserScene) -> bool:
    """Whether everything has arrived: markers, cloud and frames with their poses, joint types."""
    return len(scene.items) >= 6 and '°' in scene.table and all(
        item.handle.visible for item in scene.items.values())


def test_published_topics_are_in_the_scene(scene: BrowserScene) -> None:
    estimate = laptop_estimate(1.75)
    assert set(scene.items) == {
        '/markers/laptop.0', '/markers/laptop.1', '/markers/laptop.axis.0', '/points/points_used',
        '/frames/laptop_base', '/frames/laptop_lid'}
    for i, part in enumerate(estimate.parts):
        handle = scene.items[f'/markers/laptop.{i}'].handle
        assert handle.visible
        np.testing.assert_allclose(handle.position, part.T_camera_part[:3, 3], atol=1e-6)
        vertices = np.sort(handle.vertices, axis=0)
        np.testing.assert_allclose(vertices.min(0), part.mesh.vertices.min(0), atol=1e-6)
        np.testing.assert_allclose(vertices.max(0), part.mesh.vertices.max(0), atol=1e-6)
    assert len(scene.items['/points/points_used'].handle.points) == len(estimate.points)
    assert scene.joints == [('laptop_lid_joint', f'{np.degrees(1.75):.1f}°')]


def test_the_page_is_served_on_loopback(scene: BrowserScene) -> None:
    assert scene.server.get_host() == '127.0.0.1'
    with urllib.request.urlopen(scene.url, timeout=20) as answer:
        assert b'<html' in answer.read().lower()


@pytest.fixture(scope='module')
def browser(scene: BrowserScene, tmp_path_factory) -> Iterator[ClientHandle]:
    """Headless Chromium, connected to the page."""
    if CHROMIUM is None:
        pytest.skip('needs Chromium (Debian: chromium)')
    connected = threading.Event()
    scene.server.on_client_connect(lambda _: connected.set())
    process = subprocess.Popen(
        [CHROMIUM, *SOFTWARE_WEBGL, f'--user-data-dir={tmp_path_factory.mktemp("chromium")}',
         scene.url],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert connected.wait(BROWSER_LIMIT), 'the browser did not connect'
        yield next(iter(scene.server.get_clients().values()))
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.timeout(400)
def test_the_browser_shows_the_meshes_on_the_cloud(browser: ClientHandle) -> None:
    # From the depth camera's pose, so that the pixels of all points are known.
    pose = {'wxyz': (1.0, 0.0, 0.0, 0.0), 'position': (0.0, 0.0, 0.0), 'fov': 0.75}
    u, v = project(laptop_estimate(1.75).points, 400, 300, pose['fov']).T
    visible: dict[str, bool] = {}
    end = time.monotonic() + BROWSER_LIMIT
    # Lights and meshes arrive one after the other.
    while time.monotonic() < end and not (visible and all(visible.values())):
        picture = browser.get_render(300, 400, transport_format='jpeg', timeout=BROWSER_LIMIT,
                                     **pose).astype(int)
        covered, dark = picture.min(-1) < 235, picture.max(-1) < 110
        visible = {
            'base': near(picture, markers.PART_COLOURS[0]).sum() > 2000,
            'lid': near(picture, markers.PART_COLOURS[1]).sum() > 2000,
            'points on the meshes': covered[v, u].mean() > 0.95,
            # Half of the points are on sides that the camera does not see.
            'cloud': dark[v, u].mean() > max(0.15, 2 * dark[covered].mean()),
        }
    assert visible and all(visible.values()), visible


@pytest.mark.timeout(400)
def test_a_strip_shows_the_scene_on_white(scene: BrowserScene, browser: ClientHandle,
                                          tmp_path: Path) -> None:
    options = CaptureOptions(tmp_path / 'strip.png', frames=2, every=0.1, redraw_time=0.0)
    capture, end = ScreenCapture(scene, options), time.monotonic() + BROWSER_LIMIT
    while not capture.done and time.monotonic() < end:
        if capture.overdue() is not None:
            capture.take()
    picture = np.asarray(Image.open(options.path)).astype(int)
    assert picture.shape == (STRIP_FORMAT.height, 2 * STRIP_FORMAT.width, 3)
    for half in np.split(picture, 2, axis=1):
        assert half.min(-1).max() == 255
        assert near(half, markers.PART_COLOURS[1]).sum() > 1000


def near(picture: np.ndarray, colour) -> np.ndarray:
    """Pixels (H, W) of about the hue of a colour in any light."""
    wanted = np.asarray(colour) / np.linalg.norm(colour)
    length = np.linalg.norm(picture, axis=-1)
    cosine = (picture @ wanted) / np.maximum(length, 1)
    chroma = picture.max(-1) - picture.min(-1)
    return np.asarray((cosine > 0.975) & (chroma > 40))


def project(points: np.ndarray, width: int, height: int, fov: float) -> np.ndarray:
    """Pixels (N, 2), integers inside the picture, of points (N, 3) in the camera's frame."""
    focal = height / 2 / np.tan(fov / 2)
    uv = points[:, :2] / points[:, 2:] * focal + (width / 2, height / 2)
    return np.asarray(uv.round().astype(int).clip(0, (width - 1, height - 1)))
