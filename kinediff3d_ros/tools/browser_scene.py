"""A three-dimensional scene on a web page: point clouds, part meshes, joint axes and frames.

The page is served by viser from this process alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rclpy.duration import Duration
from tf_transformations import quaternion_from_matrix
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.visualization.preview import thinned
from kinediff3d_ros.messages import poses
from kinediff3d_ros.tools.joint_positions import format_position

CLOUD_COLOUR = (10, 70, 80)

POINT_SIZE = 0.002
"""Diameter of a displayed point, m. Chosen."""

MAX_POINTS = 1500
"""Displayed points of one cloud. Chosen so that the meshes are visible between the points."""

FOV = 0.8
"""Vertical field of view of the page, rad. Chosen."""

OPTICAL_EYE, Z_UP_EYE = (0.45, -0.55, -0.75), (0.8, -0.6, 0.6)
"""Direction from the object to the page's camera, in optical frames and in frames with z up."""

EYE_DISTANCE = 1.3
"""Distance of the page's camera from the object, in diagonals of the cloud. Chosen."""

CLOUD_PERCENTILES = (2, 98)
"""Range of coordinates, per cent, that counts as the object's size: flying pixels do not."""

LIGHTS = ((0.5, -0.7, -1.0), (-0.8, -0.6, 0.2))
"""Positions of the directional lights, optical frame."""

RENDER_TIMEOUT = 30.0
"""Seconds for a browser to deliver a picture. Chosen for a browser without a GPU."""


@dataclass(frozen=True)
class SceneItem:
    """One thing in the scene.

    Attributes:
        handle: viser's handle of it.
        frame: TF frame that it belongs to.
        pose: (4, 4) in that frame.
        content: what was sent to the browser; an equal one is not sent again.
        expires: monotonic time at which it is removed, s.
    """

    handle: Any
    frame: str
    pose: np.ndarray
    content: object = None
    expires: float = float('inf')


class BrowserScene:
    """What the page shows, in the fixed frame.

    An item belongs to a frame and is hidden until :meth:`place` knows the pose of that frame.

    Args:
        host, port: address to listen on; the next free port is taken if the port is in use.
        z_up: the z axis of the fixed frame points upward; otherwise the frame is optical.

    Raises:
        ValueError: viser is not installed, or the address cannot be listened on.
    """

    def __init__(self, host: str = '127.0.0.1', port: int = 8080, z_up: bool = False) -> None:
        self.server = _serve(host, port)
        _set_up_view(self.server, z_up)
        eye = np.array(Z_UP_EYE if z_up else OPTICAL_EYE)
        self._eye_direction = eye / np.linalg.norm(eye)
        self._table = self.server.gui.add_markdown('no joint_states yet')
        self._rows: dict[str, list[tuple[str, str]]] = {}
        self.items: dict[str, SceneItem] = {}
        self._aimed = False

    @property
    def url(self) -> str:
        host = self.server.get_host()
        return f'http://{"127.0.0.1" if host == "0.0.0.0" else host}:{self.server.get_port()}'

    def show_markers(self, array: MarkerArray) -> None:
        """Add, change or remove markers: triangle lists and arrows.

        Frames that no marker belongs to any more are removed. The clouds are removed with the
        last marker: the objects are lost.
        """
        for marker in array.markers:
            name = f'/markers/{marker.ns.replace("/", ".")}.{marker.id}'
            if marker.action == Marker.DELETEALL:
                for known in [n for n in self.items if n.startswith('/markers/')]:
                    self.remove(known)
            elif marker.action == Marker.DELETE:
                self.remove(name)
            elif marker.type in (Marker.TRIANGLE_LIST, Marker.ARROW) and marker.points:
                self._show_marker(name, marker)
        self._remove_unused()

    def _remove_unused(self) -> None:
        """Remove frames without a marker, and the clouds if there is no marker."""
        used = {item.frame for n, item in self.items.items() if n.startswith('/markers/')}
        for name, item in list(self.items.items()):
            if name.startswith('/frames/') and item.frame not in used or \
                    name.startswith('/points/') and not used:
                self.remove(name)

    def _show_marker(self, name: str, marker: Marker) -> None:
        corners = np.array([(p.x, p.y, p.z) for p in marker.points], dtype=np.float32)
        c = marker.color
        content = (marker.type, (c.r, c.g, c.b, c.a), corners.tobytes())
        frame, pose = marker.header.frame_id, poses.matrix_from_pose(marker.pose)
        lifetime = Duration.from_msg(marker.lifetime).nanoseconds * 1e-9
        expires = time.monotonic() + lifetime if lifetime > 0 else float('inf')
        if name in self.items and self.items[name].content == content:
            self.items[name] = replace(self.items[name], frame=frame, pose=pose, expires=expires)
            return
        self.remove(name)
        handle = _add_marker(self.server, name, marker, corners)
        self.items[name] = SceneItem(handle, frame, pose, content, expires)

    def show_cloud(self, name: str, points: np.ndarray, frame: str) -> None:
        """Show about ``MAX_POINTS`` of the points (N, 3), m, of a frame."""
        name = f'/points/{name.strip("/").replace("/", ".")}'
        self.remove(name)
        if not len(points):
            return
        handle = self.server.scene.add_point_cloud(
            name, thinned(points, MAX_POINTS).astype(np.float32), CLOUD_COLOUR,
            point_size=POINT_SIZE, point_shape='circle', point_shading='flat',
            precision='float32', visible=False)
        self.items[name] = SceneItem(handle, frame, np.eye(4))

    def show_frame(self, frame: str) -> None:
        """Draw the axes of a frame."""
        name = f'/frames/{frame.replace("/", ".")}'
        if name not in self.items:
            handle = self.server.scene.add_frame(name, axes_length=0.05, axes_radius=0.0015,
                                                 visible=False)
            self.items[name] = SceneItem(handle, frame, np.eye(4))

    def show_joints(self, source: str, positions: dict[str, float], types: dict[str, str]) -> None:
        """List the joint positions of one topic beside the scene.

        Args:
            source: the topic.
            positions: joint name to rad or m.
            types: joint name to joint type; a joint of unknown type has no unit.
        """
        self._rows[source] = [(name, format_position(types.get(name, ''), q))
                              for name, q in positions.items()]
        self._table.content = '\n'.join(['| joint | position |', '|---|---|', *(
            f'| {name} | {position} |' for name, position in self.joints)])

    @property
    def joints(self) -> list[tuple[str, str]]:
        """Names and positions of the joints as they are listed on the page."""
        return [row for rows in self._rows.values() for row in rows]

    @property
    def table(self) -> str:
        """The list of joints in Markdown, as it is on the page."""
        return str(self._table.content)

    def place(self, frame_pose: Callable[[str], np.ndarray | None]) -> None:
        """Update the poses of all items; remove markers whose lifetime has passed.

        Args:
            frame_pose: T_fixed_frame (4, 4) of a frame, None if it is not known.
        """
        expired = [n for n, item in self.items.items() if time.monotonic() >= item.expires]
        for name in expired:
            self.remove(name)
        if expired:
            self._remove_unused()
        for item in list(self.items.values()):
            T_fixed_frame = frame_pose(item.frame)
            if T_fixed_frame is not None:
                T = T_fixed_frame @ item.pose
                x, y, z, w = quaternion_from_matrix(T)
                item.handle.position, item.handle.wxyz = T[:3, 3], np.array([w, x, y, z])
            item.handle.visible = T_fixed_frame is not None

    def aim(self, points: np.ndarray) -> None:
        """Point the page's camera at points (N, 3), fixed frame, m; only the first call does."""
        if self._aimed or not len(points):
            return
        self._aimed = True
        centre = np.median(points, axis=0)
        extent = np.ptp(np.percentile(points, CLOUD_PERCENTILES, axis=0), axis=0)
        eye = centre + EYE_DISTANCE * float(np.linalg.norm(extent)) * self._eye_direction
        self.server.initial_camera.position = eye
        self.server.initial_camera.look_at = centre
        for client in self.server.get_clients().values():
            client.camera.position, client.camera.look_at = eye, centre

    def picture(self, width: int, height: int) -> np.ndarray | None:
        """What the first browser shows on white, (H, W, 3) uint8.

        None without a browser, and until the camera is aimed and joint positions are listed.
        """
        clients = list(self.server.get_clients().values())
        if not clients or not self._aimed or not self.joints:
            return None
        try:
            pixels = clients[0].get_render(height, width, transport_format='png',
                                           timeout=RENDER_TIMEOUT)
        except (TimeoutError, RuntimeError):  # the page was closed
            return None
        alpha = pixels[..., 3:] / 255.0
        return np.asarray(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)

    def remove(self, name: str) -> None:
        """Remove an item, if the scene has it."""
        if name in self.items:
            self.items.pop(name).handle.remove()

    def close(self) -> None:
        self.server.stop()


def _serve(host: str, port: int) -> Any:
    """A viser server that listens."""
    try:
        import viser
    except ImportError as error:
        raise ValueError('the page is served by viser, which is not installed; install it '
                         'with "pip install viser"') from error
    try:
        return viser.ViserServer(host, port, label='KineDiff3D', verbose=False)
    except OSError as error:
        raise ValueError(f'cannot listen on {host}:{port}: {error.strerror or error}') from error


def _set_up_view(server: Any, z_up: bool) -> None:
    """Set the upward direction, the lights and the field of view."""
    scene = server.scene
    scene.set_up_direction('+z' if z_up else '-y')
    scene.configure_environment_map(None)
    scene.add_light_ambient('/lights/ambient', intensity=1.6)
    for i, (x, y, z) in enumerate(LIGHTS):
        scene.add_light_directional(f'/lights/{i}', intensity=1.2,
                                    position=(x, -z, -y) if z_up else (x, y, z))
    server.initial_camera.fov = FOV


def _add_marker(server: Any, name: str, marker: Marker, corners: np.ndarray) -> Any:
    """Viser's handle of a new, hidden marker with the points ``corners`` (N, 3)."""
    c = marker.color
    colour = tuple(int(255 * x) for x in (c.r, c.g, c.b))
    if marker.type == Marker.ARROW:
        return server.scene.add_arrows(
            name, corners[None, :2], colour, shaft_radius=marker.scale.x / 2,
            head_radius=marker.scale.y / 2, head_length=marker.scale.z, visible=False)
    vertices, faces = np.unique(corners, axis=0, return_inverse=True)
    return server.scene.add_mesh_simple(
        name, vertices, faces.reshape(-1, 3).astype(np.uint32), color=colour,
        opacity=None if c.a >= 1 else float(c.a), flat_shading=True, side='double',
        visible=False)
