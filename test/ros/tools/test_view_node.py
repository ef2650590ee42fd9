"""The browser view of published topics: its page, and what headless Chromium shows of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viser', reason='needs viser')

import chromium  # noqa: E402
from builtin_interfaces.msg import Time  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from estimates import laptop_estimate  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from PIL import Image  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import Image as ImageMessage  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

from kinediff3d_core.objects.urdf import urdf_string  # noqa: E402
from kinediff3d_ros.messages import (  # noqa: E402
    clouds,
    diagnostics,
    images,
    markers,
    planning,
    poses,
)
from kinediff3d_ros.tools.browser_panel import BrowserPanel  # noqa: E402
from kinediff3d_ros.tools.browser_scene import BrowserScene  # noqa: E402
from kinediff3d_ros.tools.browser_server import url_of  # noqa: E402
from kinediff3d_ros.tools.processes import free_domain  # noqa: E402
from kinediff3d_ros.tools.screen_capture import (  # noqa: E402
    STRIP_FORMAT,
    CaptureOptions,
    ScreenCapture,
)
from kinediff3d_ros.tools.view import first_browser  # noqa: E402
from kinediff3d_ros.tools.view_node import ViewNode, ViewTopics  # noqa: E402

pytestmark = pytest.mark.ros

CAMERA_FRAME = 'camera_optical'
LIMIT = 60.0
"""Seconds within which messages arrive on a busy machine."""
LID = 'laptop_lid_joint'


@dataclass
class View:
    """A view node with its page, and the node of a perception node's messages beside it."""

    server: Any
    scene: BrowserScene
    panel: BrowserPanel
    node: ViewNode
    perception: Node
    executor: SingleThreadedExecutor
    messages: list[tuple[Any, Any]] = field(default_factory=list)

    def fill(self) -> None:
        """Publish the messages of one frame until all of them are on the page."""
        self.wait_for(lambda: self.node.place_latest_frame() and '°' in self.panel.text
                      and 'estimate' in self.panel.text and self.panel._image is not None,
                      self.messages)

    def wait_for(self, condition: Callable[[], object], messages=()) -> None:
        """Spin until a condition is true; publish messages (publisher, message) meanwhile."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, self.panel.text
            for publisher, message in messages:
                publisher.publish(message)
            for _ in range(20):
                self.executor.spin_once(timeout_sec=0.01)


@pytest.fixture(scope='module')
def view(page_server) -> Iterator[View]:
    """Nothing is published yet."""
    domain = free_domain()
    context = Context()
    context.init(domain_id=domain)
    executor = SingleThreadedExecutor(context=context)
    perception = Node('perception', context=context)
    scene, panel = BrowserScene(page_server), BrowserPanel(page_server)
    node = ViewNode(scene, panel, ViewTopics(), context=context)
    for each in (node, perception):
        executor.add_node(each)
    yield View(page_server, scene, panel, node, perception, executor)
    node.close()
    executor.shutdown()
    for each in (node, perception):
        each.destroy_node()
    context.try_shutdown()


@pytest.fixture(scope='module')
def filled(view: View) -> View:
    """The view after the messages of one frame have come."""
    view.perception.create_subscription(ImageMessage, 'camera/depth', lambda _: None, 10)
    view.messages += [
        (view.perception.create_publisher(type(message), topic, qos), message)
        for topic, (message, qos) in published_messages(laptop_estimate(1.75)).items()]
    view.fill()
    return view


def published_messages(estimate) -> dict[str, tuple[object, object]]:
    """Message and quality of service of each topic."""
    header = Header(stamp=Time(sec=5), frame_id=CAMERA_FRAME)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    contact = PoseStamped(header=header, pose=poses.pose_from_matrix(np.eye(4)))
    return {
        '/tf': (TFMessage(transforms=poses.transforms(estimate, header, 'laptop')), 10),
        'markers': (markers.markers(estimate, header.stamp, 'laptop', 6000, 600.0), 10),
        'points_used': (clouds.cloud_from_points(estimate.points, header), 10),
        'laptop/joint_states': (poses.joint_state(estimate, header, 'laptop'), 10),
        'laptop/joint_states_stddev': (
            planning.joint_standard_deviations(estimate, header, 'laptop'), 10),
        'laptop/contact/lid': (contact, 10),
        'camera/depth': (images.image_from_pixels(np.full((30, 40), 800, np.uint16), '16UC1',
                                                  header), 10),
        '/diagnostics': (DiagnosticArray(status=[
            diagnostics.diagnostic_status(name, 'laptop', 'estimate', 'tracked', {
                'state': 'estimate', 'category': 'laptop', 'confidence': 0.934})
            for name in ('/perception: laptop', '/left/perception: box')]), 10),
        # Of a robot, and of a perception node in another namespace.
        'joint_states': (JointState(name=['elbow'], position=[1.0]), 10),
        'left/box/joint_states': (JointState(name=['box_lid_joint'], position=[1.0]), 10),
        'left/box/joint_states_stddev': (JointState(), 10),
        'laptop/robot_description': (String(data=urdf_string(estimate)), latched)}


def test_an_empty_page_says_where_it_listens_and_what_is_missing(view: View) -> None:
    view.wait_for(lambda: '/points_used' in view.panel.text)
    assert f'ROS domain {view.node.context.get_domain_id()}' in view.panel.text
    assert view.panel.text.count('no publisher') == 4
    assert 'Is perception_node running, with the same ROS_DOMAIN_ID' in view.panel.text


def test_published_topics_are_on_the_page(filled: View) -> None:
    estimate, scene = laptop_estimate(1.75), filled.scene
    assert {name for name in scene.items if not name.startswith('/labels/')} == {
        '/meshes/laptop.0', '/meshes/laptop.1', '/axes/laptop.axis.0', '/cloud/points_used',
        '/frames/laptop_base', '/frames/laptop_lid'}
    for i, part in enumerate(estimate.parts):
        handle = scene.items[f'/meshes/laptop.{i}'].handle
        assert handle.visible
        np.testing.assert_allclose(handle.position, part.T_camera_part[:3, 3], atol=1e-6)
        np.testing.assert_allclose(handle.vertices.min(0), part.mesh.vertices.min(0), atol=1e-6)
        np.testing.assert_allclose(handle.vertices.max(0), part.mesh.vertices.max(0), atol=1e-6)
    assert len(scene.items['/cloud/points_used'].handle.points) == len(estimate.points)
    label = scene.items['/labels/laptop_lid'].handle.text
    assert label == f'lid {np.degrees(1.75):.1f}° ± {np.degrees(0.02):.1f}°'
    assert filled.node.caption == f'{LID} {np.degrees(1.75):.1f}°'
    text = filled.panel.text
    assert 'confidence 0.93' in text and '± 1.1°' in text
    assert 'box' not in text and 'elbow' not in text
    filled.wait_for(lambda: 'Nothing to show' not in filled.panel.text)
    assert filled.panel._image_folder.label == '/camera/depth'


def test_a_page_that_shows_an_object_says_at_once_no_more_that_there_is_nothing(
        filled: View) -> None:
    filled.panel.show_missing('Nothing to show')
    filled.node.place_latest_frame()
    assert filled.panel.text and 'Nothing to show' not in filled.panel.text


def test_a_slider_moves_the_ghost_of_the_perception_node(filled: View) -> None:
    """Other viewers show it, too; it is removed with the button."""
    commands: list[JointState] = []
    filled.perception.create_subscription(JointState, 'laptop/joint_command', commands.append, 10)
    controls = filled.panel._ghosts['laptop']
    filled.wait_for(lambda: filled.perception.count_publishers('/laptop/joint_command'))
    controls._sliders[LID].value = 90.0
    filled.wait_for(lambda: commands)
    assert list(commands[0].name) == [LID]
    assert commands[0].position[0] == pytest.approx(np.pi / 2)
    controls._removed = True
    filled.wait_for(lambda: len(commands) == 2)
    assert not commands[1].name


def test_contacts_are_listened_to_while_they_are_shown(filled: View) -> None:
    def listeners() -> int:
        return filled.perception.count_subscribers('/laptop/contact/lid')

    assert not listeners()
    estimate = laptop_estimate(1.75)
    message, _ = published_messages(estimate)['laptop/contact/lid']
    publisher = filled.perception.create_publisher(type(message), 'laptop/contact/lid', 10)
    filled.panel._layers['contacts'].value = True
    filled.wait_for(lambda: '/contacts/laptop.lid' in filled.scene.items, [(publisher, message)])
    filled.panel._layers['contacts'].value = False
    filled.wait_for(lambda: not listeners())


@pytest.fixture(scope='module')
def page(filled: View) -> Iterator[chromium.Page]:
    """Headless Chromium that shows the page."""
    if chromium.CHROMIUM is None:
        pytest.skip(chromium.MISSING)
    with chromium.open_page(url_of(filled.server)) as page:
        end = time.monotonic() + chromium.LIMIT
        while not filled.server.get_clients():
            assert time.monotonic() < end, 'the browser did not connect'
            time.sleep(0.05)
        yield page


@pytest.mark.timeout(400)
def test_the_browser_shows_the_meshes_on_the_cloud(filled: View, page: chromium.Page) -> None:
    """Labels are left out: they are dark and on the meshes, like points."""
    browser = next(iter(filled.server.get_clients().values()))
    filled.panel._layers['labels'].value = False
    filled.fill()
    # From the depth camera's pose, so that the pixels of all points are known.
    pose = {'wxyz': (1.0, 0.0, 0.0, 0.0), 'position': (0.0, 0.0, 0.0), 'fov': 0.75}
    u, v = project(laptop_estimate(1.75).points, 400, 300, pose['fov']).T
    visible: dict[str, bool] = {}
    end = time.monotonic() + chromium.LIMIT
    # Lights and meshes arrive one after the other.
    while time.monotonic() < end and not (visible and all(visible.values())):
        picture = browser.get_render(300, 400, transport_format='jpeg', timeout=chromium.LIMIT,
                                     **pose).astype(int)
        covered, dark = picture.min(-1) < 235, picture.max(-1) < 110
        visible = {
            'base': near(picture, markers.PART_COLOURS[0]).sum() > 2000,
            'lid': near(picture, markers.PART_COLOURS[1]).sum() > 2000,
            'points on the meshes': covered[v, u].mean() > 0.95,
            # Half of the points are on sides that the camera does not see.
            'cloud': dark[v, u].mean() > max(0.05, 2 * dark[covered].mean()),
        }
    assert visible and all(visible.values()), visible


@pytest.mark.timeout(400)
def test_the_panel_is_on_the_page(page: chromium.Page) -> None:
    expected = ('laptop: estimate', 'confidence 0.93', '100.3° ± 1.1°', 'Remove the ghost',
                '/camera/depth', 'contacts')
    end = time.monotonic() + chromium.LIMIT
    while not all(text in page.text for text in expected) and time.monotonic() < end:
        time.sleep(0.2)
    assert all(text in page.text for text in expected), page.text


@pytest.mark.timeout(400)
def test_a_strip_shows_the_scene_on_white(filled: View, page: chromium.Page,
                                          tmp_path: Path) -> None:
    """The object fills each picture, though the browser was opened after it came."""
    options = CaptureOptions(tmp_path / 'strip.png', frames=2, every=0.1, redraw_time=0.0)
    filled.node.place_latest_frame()
    capture = ScreenCapture(lambda w, h: first_browser(filled.server, w, h), options)
    end = time.monotonic() + chromium.LIMIT
    while not capture.done and time.monotonic() < end:
        if capture.overdue() is not None:
            capture.take(filled.node.caption)
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
