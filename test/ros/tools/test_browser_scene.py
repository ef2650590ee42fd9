"""The scene of the browser view: markers, clouds and frames, and the server's address."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('viser', reason='needs viser')

from builtin_interfaces.msg import Time  # noqa: E402
from estimates import laptop_estimate  # noqa: E402
from visualization_msgs.msg import Marker, MarkerArray  # noqa: E402

from kinediff3d_core.geometry.rigid import transform_points  # noqa: E402
from kinediff3d_core.objects.estimate import Mesh  # noqa: E402
from kinediff3d_core.objects.urdf import urdf_string  # noqa: E402
from kinediff3d_ros.messages import markers  # noqa: E402
from kinediff3d_ros.tools import browser_scene  # noqa: E402
from kinediff3d_ros.tools.browser_camera import FOV  # noqa: E402
from kinediff3d_ros.tools.browser_panel import BrowserPanel  # noqa: E402
from kinediff3d_ros.tools.browser_scene import BrowserScene  # noqa: E402
from kinediff3d_ros.tools.shown_objects import ShownObject, objects_html  # noqa: E402

CAMERA_FRAME = 'camera_optical'
LAPTOP_ITEMS = {f'/{layer}/laptop_{part}' for layer in ('frames', 'labels')
                for part in ('base', 'lid')} | {'/meshes/laptop.0', '/meshes/laptop.1',
                                                '/axes/laptop.axis.0'}


@pytest.fixture
def scene(page_server) -> BrowserScene:
    page_server.scene.reset()
    return BrowserScene(page_server)


def marker_array(estimate, lifetime: float = 0.0) -> MarkerArray:
    return markers.markers(estimate, Time(sec=5), 'laptop', 6000, lifetime)


def frame_poses(estimate):
    """T_camera_frame of the parts' frames and of the camera's."""
    known = {f'laptop_{p.name}': p.T_camera_part for p in estimate.parts}
    return {**known, CAMERA_FRAME: np.eye(4)}.get


def scaled(estimate, factor: float):
    """The same estimate with larger or smaller meshes."""
    return replace(estimate, parts=tuple(replace(p, mesh=Mesh(factor * p.mesh.vertices,
                                                              p.mesh.faces))
                                         for p in estimate.parts))


def test_markers_are_added_changed_and_removed(scene: BrowserScene) -> None:
    estimate = laptop_estimate(0.5)
    array = marker_array(estimate)
    ghost = Marker(header=array.markers[1].header, ns='laptop/ghost', id=1,
                   type=Marker.TRIANGLE_LIST, points=array.markers[1].points)
    ghost.color.a = 0.35
    array.markers.append(ghost)
    scene.show_markers(array)
    scene.show_cloud('points_used', estimate.points, CAMERA_FRAME)
    scene.show_contact('laptop', 'lid', CAMERA_FRAME, np.eye(4))
    scene.place(frame_poses(estimate))
    assert set(scene.items) == LAPTOP_ITEMS | {
        '/ghost/laptop.ghost.1', '/cloud/points_used', '/contacts/laptop.lid'}
    before = scene.items['/meshes/laptop.1'].handle
    assert scene.items['/ghost/laptop.ghost.1'].handle.opacity == pytest.approx(0.35)
    scene.show_markers(marker_array(laptop_estimate(0.6)))
    assert scene.items['/meshes/laptop.1'].handle is before, 'sent again though it did not change'
    assert not scene.is_empty
    scene.place(lambda frame: None)
    assert not before.visible and scene.is_empty, 'shown though its pose is unknown'
    scene.show_markers(markers.deleted_markers(markers.marker_keys(array), Time(sec=6)))
    assert not scene.items


def test_markers_vanish_after_their_lifetime_with_all_that_belongs_to_them(
        scene: BrowserScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a node that was killed; a marker that is sent again lives longer."""
    now = 100.0
    monkeypatch.setattr(browser_scene, 'time', SimpleNamespace(monotonic=lambda: now))
    estimate = laptop_estimate(0.5)
    array = marker_array(estimate, 12.0)
    scene.show_markers(array)
    scene.show_cloud('points_used', estimate.points, CAMERA_FRAME)
    now += 11.9
    scene.place(frame_poses(estimate))
    assert set(scene.items) == LAPTOP_ITEMS | {'/cloud/points_used'}
    scene.show_markers(MarkerArray(markers=array.markers[:1]))
    scene.show_cloud('points_used', estimate.points, CAMERA_FRAME)
    now += 0.2
    scene.place(frame_poses(estimate))
    assert set(scene.items) == {'/meshes/laptop.0', '/frames/laptop_base', '/labels/laptop_base',
                                '/cloud/points_used'}
    now += 11.9
    scene.place(frame_poses(estimate))
    assert not scene.items
    # No lifetime: for ever. A cloud that none follows vanishes all the same.
    scene.show_markers(marker_array(estimate))
    scene.show_cloud('points_used', estimate.points, CAMERA_FRAME)
    now += 1e6
    scene.place(frame_poses(estimate))
    assert set(scene.items) == LAPTOP_ITEMS


def test_layers_are_switched_off(scene: BrowserScene) -> None:
    estimate = laptop_estimate(0.5)
    scene.show_markers(marker_array(estimate))
    scene.show_cloud('points_used', estimate.points, CAMERA_FRAME)
    scene.place(frame_poses(estimate), {'meshes', 'cloud'})
    hidden = {name.split('/')[1] for name, item in scene.items.items() if not item.handle.visible}
    assert hidden == {'meshes', 'cloud'} and not scene.is_empty
    scene.place(frame_poses(estimate))
    assert all(item.handle.visible for item in scene.items.values())


def test_sizes_follow_the_object(scene: BrowserScene) -> None:
    """Those of an object of a tenth of the size are a tenth; the cloud has the least."""
    estimate, sizes = laptop_estimate(0.5), []
    for factor in (1.0, 0.1):
        scene.show_markers(marker_array(scaled(estimate, factor)))
        scene.show_cloud('points_used', factor * estimate.points, CAMERA_FRAME)
        scene.show_contact('laptop', 'lid', CAMERA_FRAME, np.eye(4))
        frame = scene.items['/frames/laptop_lid'].handle
        arrows = scene.items['/contacts/laptop.lid'].handle
        sizes.append((frame.axes_length, frame.axes_radius, np.abs(arrows.points).max(),
                      arrows.shaft_radius, scene.items['/cloud/points_used'].handle.point_size))
    np.testing.assert_allclose(sizes[1], 0.1 * np.array(sizes[0]), rtol=0.01)
    diagonal = np.linalg.norm((0.22, 0.33, 0.02))
    assert scene.size('laptop') == pytest.approx(0.1 * diagonal, rel=1e-3)
    assert sizes[0][0] < 0.2 * diagonal and sizes[0][4] < 0.01 * diagonal


def test_labels_are_at_their_parts(scene: BrowserScene) -> None:
    estimate = laptop_estimate(0.5)
    scene.show_markers(marker_array(estimate))
    assert scene.parts == [('laptop_base', 'laptop'), ('laptop_lid', 'laptop')]
    scene.label({'laptop_lid': 'lid 28.6°'})
    scene.place(frame_poses(estimate))
    lid = scene.items['/labels/laptop_lid'].handle
    assert lid.text == 'lid 28.6°' and scene.items['/labels/laptop_base'].handle.text == ''
    centre = estimate.parts[1].mesh.vertices.mean(axis=0)
    T = estimate.parts[1].T_camera_part
    np.testing.assert_allclose(lid.position, T[:3, :3] @ centre + T[:3, 3], atol=1e-6)


def test_the_camera_is_aimed_at_the_meshes_and_before_at_the_bulk_of_the_points(
        scene: BrowserScene, page_server) -> None:
    """One flying pixel in a thousand changes nothing."""
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 3)) + (0.0, 0.0, 5.0)
    points[0] = 0.0, 0.0, 100.0
    scene.show_cloud('points_used', points, CAMERA_FRAME)
    assert not scene.aimed
    scene.place(frame_poses(laptop_estimate(0.5)))
    np.testing.assert_allclose(page_server.initial_camera.look_at, (0.0, 0.0, 5.0), atol=0.05)
    estimate = laptop_estimate(0.5)
    scene.show_markers(marker_array(estimate))
    scene.place(frame_poses(estimate))
    eye, centre = page_server.initial_camera.position, page_server.initial_camera.look_at
    assert 0.6 < centre[2] < 0.9 and 0.3 < np.linalg.norm(eye - centre) < 1.0


def test_contacts_and_ghosts_that_are_shown_are_in_the_picture(
        scene: BrowserScene, page_server) -> None:
    """The arrow of a contact on the front of a large drawer, and its ghost that is wide open."""
    estimate = scaled(laptop_estimate(0.5), 4.0)
    array = marker_array(estimate)
    T_contact = np.eye(4)
    T_contact[0, 3] = 4 * 0.22
    ghost = Marker(header=array.markers[1].header, ns='laptop/ghost', id=1,
                   type=Marker.TRIANGLE_LIST, points=array.markers[1].points)
    ghost.pose.position.x = 1.5

    def out_of_picture(points: np.ndarray) -> bool:
        camera = page_server.initial_camera
        rays, forward = points - camera.position, camera.look_at - camera.position
        cosine = rays @ forward / np.linalg.norm(rays, axis=1) / np.linalg.norm(forward)
        return bool((np.arccos(cosine) > FOV / 2).any())

    lid = estimate.parts[1].T_camera_part
    tip = transform_points(lid @ T_contact, np.array([[0.35 * scene_size(estimate), 0, 0]]))
    corners = np.array([(p.x + 1.5, p.y, p.z) for p in ghost.points])
    for item in ('contacts', 'ghost'):
        scene.show_markers(array)
        scene.show_contact('laptop', 'lid', 'laptop_lid', T_contact)
        scene.show_markers(MarkerArray(markers=[ghost]))
        scene.place(frame_poses(estimate), {'contacts', 'ghost'})
        shown = tip if item == 'contacts' else transform_points(lid, corners)
        assert out_of_picture(shown)
        scene.place(frame_poses(estimate), {'contacts', 'ghost'} - {item})
        assert not out_of_picture(shown)
        scene.show_markers(markers.deleted_markers(markers.marker_keys(array), Time(sec=6)))
        scene = BrowserScene(page_server)


def scene_size(estimate) -> float:
    """Diagonal of the largest part, m."""
    return max(float(np.linalg.norm(np.ptp(p.mesh.vertices, axis=0))) for p in estimate.parts)


def test_objects_that_come_and_go_leave_nothing(scene: BrowserScene, page_server) -> None:
    """As those of a segmenter with ever new ids, on a page that is left open."""
    kept, estimate = [], laptop_estimate(0.5)
    panel = BrowserPanel(page_server)
    for number in range(12):
        name = f'laptop_{number}'
        array = markers.markers(estimate, Time(sec=5), name, 6000, 0.0)
        shown = ShownObject(name)
        shown.describe(urdf_string(estimate, object_name=name))
        for i in range(5):
            shown.positions.append((i, {f'{name}_lid_joint': 0.1 * i}))
            scene.show_markers(array)
            scene.show_cloud('points_used', estimate.points + i, CAMERA_FRAME)
            scene.label({f'{name}_lid': f'lid {i}'})
            scene.place(lambda frame, i=i: (1 + i) * np.eye(4))
            panel.show_ghost_controls({name: shown})
            panel.show_states(objects_html({name: shown}, i, 0.0), '')
            panel.show_image(np.full((4, 4, 3), i, np.uint8), '/depth')
        scene.show_markers(markers.deleted_markers(markers.marker_keys(array), Time(sec=6)))
        panel.show_ghost_controls({})
        scene.forget_removed()
        kept.append(len(page_server._websock_server.get_message_buffer().message_from_id))
    assert not scene.items and kept[-1] == kept[1]
