"""The live scene of a perception node in a browser: cloud, part meshes, axes, ghosts and frames.

What RViz shows with ``config/perception.rviz``, on machines without RViz or without a screen. The
page comes from this process alone (viser), at ``http://127.0.0.1:8080`` unless told otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import rclpy
from PIL import Image, ImageDraw
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import String
from tf2_ros import Buffer, TransformException, TransformListener
from tf_transformations import quaternion_from_matrix
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.visualization.preview import thinned
from kinediff3d_ros.messages import clouds, poses
from kinediff3d_ros.nodes.running import make_executor
from kinediff3d_ros.tools.processes import stamp_key

POSE_RATE = 15.0
"""How often poses are brought up to date, Hz."""

CLOUD_COLOUR = (10, 70, 80)
POINT_SIZE, MOST_POINTS = 0.002, 1500
"""Edge of a point, m, and how many of a cloud are shown, so that meshes show between them."""

FOV = 0.8
"""Vertical field of view of the page, rad."""

STRIP_CELL = 320, 260
"""Width and height of one picture of a strip, px."""

FINER = 3
"""A strip's pictures are drawn larger by this, then reduced."""

PATIENCE = 30.0
"""How long a strip waits for cloud, joints and poses of one frame, s."""

OPTICAL_EYE, LEVEL_EYE = (0.45, -0.55, -0.75), (0.8, -0.6, 0.6)
"""From where the page looks at the object first: in optical frames, and in frames with z up."""

DRAWN = 2.0
"""Seconds within which a browser without a GPU has drawn what it was told last."""


class Scene:
    """What the page shows, in the fixed frame.

    Things belong to a frame and are hidden until :meth:`place` knows where that is.

    Args:
        host, port: to listen on; the next free port is taken if that one is not.
        z_up: the fixed frame has z upward; else it is optical.

    Raises:
        ValueError: viser is not installed, or the address cannot be listened on.
    """

    def __init__(self, host: str = '127.0.0.1', port: int = 8080, z_up: bool = False) -> None:
        try:
            import viser
        except ImportError as error:
            raise ValueError('the page is served by viser, which is not installed; install it '
                             'with "pip install viser"') from error
        try:
            self.server = viser.ViserServer(host, port, label='KineDiff3D', verbose=False)
        except OSError as error:
            raise ValueError(f'cannot listen on {host}:{port}: {error.strerror or error}'
                             ) from error
        self.server.scene.set_up_direction('+z' if z_up else '-y')
        self.server.scene.configure_environment_map(None)
        self.server.scene.add_light_ambient('/lights/ambient', intensity=1.6)
        for i, (x, y, z) in enumerate(((0.5, -0.7, -1.0), (-0.8, -0.6, 0.2))):
            self.server.scene.add_light_directional(
                f'/lights/{i}', intensity=1.2, position=(x, -z, -y) if z_up else (x, y, z))
        self._eye = np.array(LEVEL_EYE if z_up else OPTICAL_EYE)
        self.server.initial_camera.fov = FOV
        self._table = self.server.gui.add_markdown('no joint_states yet')
        self._rows: dict[str, list[tuple[str, str]]] = {}
        # name -> handle, frame, pose in that frame, fingerprint of what it shows
        self.things: dict[str, tuple[Any, str, np.ndarray, object]] = {}
        self._aimed = False

    @property
    def url(self) -> str:
        host = self.server.get_host()
        return f'http://{"127.0.0.1" if host == "0.0.0.0" else host}:{self.server.get_port()}'

    def show_markers(self, array: MarkerArray) -> None:
        """Add, change or take away markers: triangle lists and arrows.

        An object whose markers are gone is lost: its frames go, too, and the clouds with the last.
        """
        for marker in array.markers:
            name = f'/markers/{marker.ns.replace("/", ".")}.{marker.id}'
            if marker.action == Marker.DELETEALL:
                for known in [n for n in self.things if n.startswith('/markers/')]:
                    self._remove(known)
            elif marker.action == Marker.DELETE:
                self._remove(name)
            elif marker.type in (Marker.TRIANGLE_LIST, Marker.ARROW) and marker.points:
                self._show_marker(name, marker)
        used = {thing[1] for name, thing in self.things.items() if name.startswith('/markers/')}
        for name, (_, frame, _, _) in list(self.things.items()):
            if name.startswith('/frames/') and frame not in used or \
                    name.startswith('/points/') and not used:
                self._remove(name)

    def _show_marker(self, name: str, marker: Marker) -> None:
        c = marker.color
        corners = np.array([(p.x, p.y, p.z) for p in marker.points], dtype=np.float32)
        colour = tuple(int(255 * x) for x in (c.r, c.g, c.b))
        print_ = (marker.type, colour, c.a, corners.tobytes())
        frame, pose = marker.header.frame_id, poses.matrix_from_pose(marker.pose)
        if name in self.things and self.things[name][3] == print_:
            self.things[name] = (self.things[name][0], frame, pose, print_)
            return
        self._remove(name)
        if marker.type == Marker.ARROW:
            handle = self.server.scene.add_arrows(
                name, corners[None, :2], colour, shaft_radius=marker.scale.x / 2,
                head_radius=marker.scale.y / 2, head_length=marker.scale.z, visible=False)
        else:
            vertices, faces = np.unique(corners, axis=0, return_inverse=True)
            handle = self.server.scene.add_mesh_simple(
                name, vertices, faces.reshape(-1, 3).astype(np.uint32), color=colour,
                opacity=None if c.a >= 1 else float(c.a), flat_shading=True, side='double',
                visible=False)
        self.things[name] = (handle, frame, pose, print_)

    def show_cloud(self, name: str, points: np.ndarray, frame: str) -> None:
        """Show points (N, 3) of a frame, m; some of them where there are many."""
        name = f'/points/{name.strip("/").replace("/", ".")}'
        self._remove(name)
        if not len(points):
            return
        handle = self.server.scene.add_point_cloud(
            name, thinned(points, MOST_POINTS).astype(np.float32), CLOUD_COLOUR,
            point_size=POINT_SIZE, point_shape='circle', point_shading='flat',
            precision='float32', visible=False)
        self.things[name] = (handle, frame, np.eye(4), None)

    def show_joints(self, source: str, positions: dict[str, float], types: dict[str, str]) -> None:
        """List joint positions beside the scene; joints of an unknown type without a unit."""
        def told(name: str, q: float) -> str:
            kind = types.get(name)
            return f'{np.degrees(q):.1f}°' if kind == 'revolute' else \
                f'{1000 * q:.0f} mm' if kind == 'prismatic' else f'{q:.3f}'

        self._rows[source] = [(n, told(n, q)) for n, q in positions.items()]
        self._table.content = '\n'.join(['| joint | position |', '|---|---|', *(
            f'| {n} | {q} |' for n, q in self.joints)])

    @property
    def joints(self) -> list[tuple[str, str]]:
        """Names and positions, as they are listed."""
        return [row for rows in self._rows.values() for row in rows]

    def picture(self, width: int, height: int) -> np.ndarray | None:
        """What the first browser shows on white, (H, W, 3) uint8; None if there is none."""
        clients = list(self.server.get_clients().values())
        if not clients or not self._aimed or not self.joints:
            return None
        try:
            pixels = clients[0].get_render(height, width, transport_format='png', timeout=30.0)
        except (TimeoutError, RuntimeError):  # the page was closed meanwhile
            return None
        alpha = pixels[..., 3:] / 255.0
        return np.asarray(pixels[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)

    def show_frame(self, frame: str) -> None:
        """Draw the axes of a frame."""
        name = f'/frames/{frame.replace("/", ".")}'
        if name not in self.things:
            handle = self.server.scene.add_frame(name, axes_length=0.05, axes_radius=0.0015,
                                                 visible=False)
            self.things[name] = (handle, frame, np.eye(4), None)

    def place(self, where: Callable[[str], np.ndarray | None]) -> None:
        """Bring every pose up to date.

        Args:
            where: T_fixed_frame (4, 4) of a frame, None if it is not known.
        """
        for handle, frame, pose, _ in list(self.things.values()):
            T = where(frame)
            if T is not None:
                T = T @ pose
                x, y, z, w = quaternion_from_matrix(T)
                handle.position, handle.wxyz = T[:3, 3], np.array([w, x, y, z])
            handle.visible = T is not None

    def aim(self, points: np.ndarray) -> None:
        """Point the page's camera at points (N, 3), fixed frame, m; the first time only."""
        if self._aimed or not len(points):
            return
        self._aimed = True
        middle = np.median(points, axis=0)
        # Flying pixels are no reason to stand back.
        size = float(np.linalg.norm(np.ptp(np.percentile(points, (2, 98), axis=0), axis=0)))
        eye = middle + 1.3 * size * self._eye / np.linalg.norm(self._eye)
        self.server.initial_camera.position = eye
        self.server.initial_camera.look_at = middle
        for client in self.server.get_clients().values():
            client.camera.position, client.camera.look_at = eye, middle

    def close(self) -> None:
        self.server.stop()

    def _remove(self, name: str) -> None:
        if name in self.things:
            self.things.pop(name)[0].remove()


class ViewNode(Node):
    """Feeds the scene from the topics of a perception node.

    Args:
        fixed_frame: '' takes the frame of the first cloud.
    """

    def __init__(self, scene: Scene, namespace: str = '', fixed_frame: str = '',
                 **options: Any) -> None:
        super().__init__('kinediff3d_view', namespace=namespace or None, **options)
        self.scene, self._fixed = scene, fixed_frame
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, self)
        self.create_subscription(MarkerArray, 'markers', self._on_markers, 10)
        self._types: dict[str, dict[str, str]] = {}
        self._stamps: dict[tuple[str, str], tuple[int, int]] = {}
        self.create_timer(1.0 / POSE_RATE, lambda: self.scene.place(self._where))
        self.create_timer(1.0, self._look_for_objects)
        self._look_for_objects()

    def _look_for_objects(self) -> None:
        """Listen to every object's topics: those beside a ``points_used`` in the namespace."""
        home = self.get_namespace().rstrip('/') + '/'
        for topic, kinds in self.get_topic_names_and_types():
            prefix = topic.removesuffix('points_used')
            if prefix in self._types or prefix == topic or not topic.startswith(home) \
                    or 'sensor_msgs/msg/PointCloud2' not in kinds:
                continue
            self._types[prefix] = {}
            self.create_subscription(PointCloud2, topic, partial(self._on_cloud, prefix),
                                     qos_profile_sensor_data)
            self.create_subscription(JointState, f'{prefix}joint_states',
                                     partial(self._on_joints, prefix), 10)
            self.create_subscription(
                String, f'{prefix}robot_description', partial(self._on_description, prefix),
                QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))

    def _on_markers(self, array: MarkerArray) -> None:
        for marker in array.markers:
            if marker.action == Marker.ADD:
                self.scene.show_frame(marker.header.frame_id)
        self.scene.show_markers(array)

    def _on_cloud(self, prefix: str, cloud: PointCloud2) -> None:
        frame = cloud.header.frame_id
        self._fixed = self._fixed or frame
        points = clouds.points_from_cloud(cloud)
        self._stamps[prefix, 'cloud'] = stamp_key(cloud)
        self.scene.show_cloud(f'{prefix}points_used', points, frame)
        T = self._where(frame)
        if T is not None:
            self.scene.aim(points @ T[:3, :3].T + T[:3, 3])

    def _on_joints(self, prefix: str, state: JointState) -> None:
        self._stamps[prefix, 'joints'] = stamp_key(state)
        self.scene.show_joints(prefix, dict(zip(state.name, state.position, strict=False)),
                               self._types[prefix])

    def _on_description(self, prefix: str, description: String) -> None:
        """A JointState does not say what its numbers are; the URDF does."""
        try:
            root = ElementTree.fromstring(description.data)
        except ElementTree.ParseError:
            return
        self._types[prefix] = {j.get('name', ''): j.get('type', '') for j in root.iter('joint')}

    def settle(self) -> bool:
        """Bring poses up to date; whether there are meshes, and all shown is of one frame."""
        meshes = any(name.startswith('/markers/') for name in self.scene.things)
        if not meshes or len(set(self._stamps.values())) != 1:
            return False
        second, nanosecond = next(iter(self._stamps.values()))
        at = Time(seconds=second, nanoseconds=nanosecond)
        if any(self._where(frame, at) is None for _, frame, _, _ in self.scene.things.values()):
            return False
        self.scene.place(lambda frame: self._where(frame, at))
        return True

    def _where(self, frame: str, at: Time | None = None) -> np.ndarray | None:
        """T_fixed_frame (4, 4) as far as TF knows it; by default the newest."""
        if frame == self._fixed:
            return np.eye(4)
        try:
            return poses.matrix_from_transform(
                self._buffer.lookup_transform(self._fixed, frame, at or Time()))
        except TransformException:
            return None


class Film:
    """What the first browser shows, side by side in one picture, one every so many seconds.

    Between :meth:`due` and the end of :meth:`take` nothing in the scene may change: the browser
    draws what it was told last.

    Args:
        path: PNG to write after so many ``frames``, ``every`` so many s apart.
    """

    def __init__(self, scene: Scene, path: Path, frames: int, every: float) -> None:
        self._scene, self._path, self._frames, self._every = scene, path, frames, every
        self._pictures: list[Image.Image] = []
        self._begin, self._next = 0.0, 0.0

    @property
    def done(self) -> bool:
        """Whether the strip is written."""
        return len(self._pictures) == self._frames

    def due(self) -> float | None:
        """For how many s a picture has been due; None where none is."""
        if not self._begin:
            # The browser is given time to move its camera to where the object is.
            if self._scene.picture(*STRIP_CELL) is not None:
                self._begin = time.monotonic()
                self._next = self._begin + self._every
            return None
        late = time.monotonic() - self._next
        return late if late >= 0 and not self.done else None

    def take(self) -> None:
        """Take a picture; the last one writes the strip."""
        at = time.monotonic() - self._begin
        self._scene.picture(*STRIP_CELL)  # once more than needed: it is drawn as it was before
        time.sleep(DRAWN)
        pixels = self._scene.picture(*(FINER * side for side in STRIP_CELL))
        if pixels is None:
            return
        picture = Image.fromarray(pixels).resize(STRIP_CELL, Image.Resampling.BOX)
        told = ', '.join([f'{at:.0f} s', *(f'{n} {q}' for n, q in self._scene.joints)])
        draw = ImageDraw.Draw(picture)
        draw.rectangle(draw.textbbox((8, 6), told, font_size=14), fill=(255, 255, 255))
        draw.text((8, 6), told, fill=(40, 40, 40), font_size=14)
        self._pictures.append(picture)
        # Where drawing takes long, messages have come meanwhile that want to be heard first.
        self._next = time.monotonic() + self._every
        if self.done:
            strip = Image.new('RGB', (STRIP_CELL[0] * self._frames, STRIP_CELL[1]))
            for i, picture in enumerate(self._pictures):
                strip.paste(picture, (STRIP_CELL[0] * i, 0))
            strip.save(self._path)


def run_view(host: str, port: int, namespace: str, fixed_frame: str, z_up: bool,
             seconds: float | None, strip: Path | None = None, frames: int = 5,
             every: float = 2.0) -> None:
    """Serve the page until Ctrl-C, or for ``seconds``.

    Args:
        strip: PNG to write (:class:`Film`); the page ends with it.

    Raises:
        ValueError: the page cannot be served, or the strip's folder is not there.
    """
    if strip is not None and not strip.absolute().parent.is_dir():
        raise ValueError(f'{strip.parent} is not a folder')
    scene = Scene(host, port, z_up)
    rclpy.init()
    node = ViewNode(scene, namespace, fixed_frame)
    executor = make_executor()
    executor.add_node(node)
    print(f'the scene is at {scene.url}', flush=True)
    end = None if seconds is None else time.monotonic() + seconds
    film = None if strip is None else Film(scene, strip, frames, every)
    try:
        while rclpy.ok() and (end is None or time.monotonic() < end):
            executor.spin_once(timeout_sec=0.2)
            late = None if film is None else film.due()
            if film is not None and late is not None and (node.settle() or late > PATIENCE):
                film.take()
                if film.done:
                    break
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        scene.close()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
