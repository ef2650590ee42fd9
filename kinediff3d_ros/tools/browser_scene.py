"""The three-dimensional scene of a web page: clouds, part meshes, axes, frames and contacts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from rclpy.duration import Duration
from tf_transformations import quaternion_from_matrix
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.visualization.preview import thinned
from kinediff3d_ros.messages import poses
from kinediff3d_ros.tools import browser_items
from kinediff3d_ros.tools.browser_camera import PageCameras, Sphere
from kinediff3d_ros.tools.browser_server import collect_garbage

LAYERS = ('cloud', 'meshes', 'labels', 'axes', 'frames', 'ghost', 'contacts')
"""What the page shows, each to be switched on and off; the first part of the items' names."""

MARKER_LAYERS = {'axis': 'axes', 'ghost': 'ghost'}
"""Layers of markers by the last part of their namespace; others are part meshes."""

AIMED_LAYERS = ('axes', 'ghost', 'contacts')
"""Layers beside the meshes that reach out of them, and are to be in the picture."""

CLOUD_PERCENTILES = (2, 98)
"""Range of coordinates, per cent, that counts as the cloud's size: flying pixels do not."""

CLOUD_LIFETIME = 12.0
"""Seconds for which a cloud is shown that is not followed by another one. Chosen: as the markers
of the perception node."""

LIGHTS = ((0.5, -0.7, -1.0), (-0.8, -0.6, 0.2))
"""Positions of the directional lights, optical frame."""


@dataclass(frozen=True)
class SceneItem:
    """One thing in the scene.

    Attributes:
        handle: viser's handle of it.
        frame: TF frame that it belongs to.
        owner: name of its object; '' for clouds.
        pose: (4, 4) in that frame.
        content: what was sent to the browser; an equal one is not sent again.
        expires: monotonic time at which it is removed, s.
        box: (2, 3) least and greatest coordinates of what is to be in the picture.
    """

    handle: Any
    frame: str
    owner: str = ''
    pose: np.ndarray | None = None
    content: object = None
    expires: float = float('inf')
    box: np.ndarray | None = None


class BrowserScene:
    """What the page shows, in the fixed frame.

    An item belongs to a frame and is hidden until :meth:`place` knows the pose of that frame.
    Sizes of points, frames and contacts follow the objects' meshes. All calls come from one
    thread.

    Args:
        server: the viser server.
        z_up: the z axis of the fixed frame points upward; otherwise the frame is optical.

    Attributes:
        items: by name, ``/<layer>/…``.
        is_empty: no item has a known pose.
    """

    def __init__(self, server: Any, z_up: bool = False) -> None:
        self._server, self._scene = server, server.scene
        _set_up_view(self._scene, z_up)
        self._cameras = PageCameras(server, z_up)
        self.items: dict[str, SceneItem] = {}
        self.is_empty = True

    @property
    def aimed(self) -> bool:
        """Whether there was something to look at."""
        return self._cameras.aimed

    def atomic(self) -> AbstractContextManager[None]:
        """Browsers show all changes that are made in this block together."""
        return cast(AbstractContextManager[None], self._server.atomic())

    def in_layer(self, layer: str) -> dict[str, SceneItem]:
        """The items of a layer, by name."""
        return {n: item for n, item in self.items.items() if n.startswith(f'/{layer}/')}

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Frame and object of each part whose mesh is shown."""
        return [(item.frame, item.owner) for item in self.in_layer('meshes').values()]

    def size(self, owner: str) -> float | None:
        """Diagonal of an object's largest part, m; None while no mesh of it is shown."""
        return max((float(np.linalg.norm(np.ptp(item.box, axis=0)))
                    for item in self.in_layer('meshes').values()
                    if item.owner == owner and item.box is not None), default=None)

    def show_markers(self, array: MarkerArray) -> None:
        """Add, change or remove markers: triangle lists and arrows.

        A mesh brings the axes and the label of its frame along. What belongs to frames without a
        marker is removed. The clouds are removed with the last marker: the objects are lost.
        """
        for marker in array.markers:
            name = _marker_name(marker)
            if marker.action == Marker.DELETEALL:
                for known in [n for layer in ('meshes', 'axes', 'ghost')
                              for n in self.in_layer(layer)]:
                    self.remove(known)
            elif marker.action == Marker.DELETE:
                self.remove(name)
            elif marker.type in (Marker.TRIANGLE_LIST, Marker.ARROW) and marker.points:
                self._show_marker(name, marker)
        self._remove_unused()

    def _show_marker(self, name: str, marker: Marker) -> None:
        corners = np.array([(p.x, p.y, p.z) for p in marker.points], dtype=np.float32)
        c, owner = marker.color, marker.ns.partition('/')[0]
        content = (marker.type, (c.r, c.g, c.b, c.a), corners.tobytes())
        frame, pose = marker.header.frame_id, poses.matrix_from_pose(marker.pose)
        lifetime = Duration.from_msg(marker.lifetime).nanoseconds * 1e-9
        expires = time.monotonic() + lifetime if lifetime > 0 else float('inf')
        known = self.items.get(name)
        if known is not None and known.content == content:
            self.items[name] = replace(known, frame=frame, pose=pose, expires=expires)
            return
        self.remove(name)
        box = np.stack([corners.min(axis=0), corners.max(axis=0)])
        handle = browser_items.add_marker(self._scene, name, marker, corners)
        self.items[name] = SceneItem(handle, frame, owner, pose, content, expires, box)
        if name.startswith('/meshes/'):
            self._show_part(frame, owner, box, marker.id == 0)

    def _show_part(self, frame: str, owner: str, box: np.ndarray, is_base: bool) -> None:
        """Show axes and label of a part: the base's below it, others' at their centre."""
        axes, label, at = f'/frames/{_token(frame)}', f'/labels/{_token(frame)}', np.eye(4)
        if axes not in self.items:
            self.items[axes] = SceneItem(browser_items.add_frame(self._scene, axes), frame, owner)
        if label not in self.items:
            self.items[label] = SceneItem(
                browser_items.add_label(self._scene, label, is_base), frame, owner)
        at[:3, 3] = box.mean(axis=0)
        if is_base:
            at[2, 3] = box[0, 2]
        self.items[label] = replace(self.items[label], pose=at)
        self._fit_sizes(owner)

    def _fit_sizes(self, owner: str) -> None:
        size = self.size(owner)
        for item in self.in_layer('frames').values():
            if size is not None and item.owner == owner:
                browser_items.set_frame_size(item.handle, size)

    def label(self, texts: Mapping[str, str]) -> None:
        """Set the labels of frames."""
        for item in self.in_layer('labels').values():
            item.handle.text = texts.get(item.frame, '')

    def show_cloud(self, name: str, points: np.ndarray, frame: str) -> None:
        """Show about ``MAX_POINTS`` of the points (N, 3), m, of a frame."""
        name = f'/cloud/{_token(name)}'
        if not len(points):
            self.remove(name)
            return
        points = thinned(points, browser_items.MAX_POINTS).astype(np.float32)
        item = self.items.get(name)
        handle = browser_items.add_cloud(self._scene, name, points) if item is None \
            else item.handle
        box = np.percentile(points, CLOUD_PERCENTILES, axis=0)
        handle.points = points
        owners = {item.owner for item in self.in_layer('meshes').values()}
        sizes = [size for size in map(self.size, owners) if size is not None]
        handle.point_size = browser_items.POINT_SHARE * min(
            sizes, default=float(np.linalg.norm(np.ptp(box, axis=0))))
        self.items[name] = SceneItem(handle, frame, box=box,
                                     expires=time.monotonic() + CLOUD_LIFETIME)

    def show_contact(self, owner: str, name: str, frame: str, pose: np.ndarray) -> None:
        """Show a contact frame (4, 4) of an object, in a frame, while its meshes are shown."""
        name, size = f'/contacts/{owner}.{_token(name)}', self.size(owner)
        if size is None:
            self.remove(name)
            return
        if name not in self.items or self.items[name].content != size:
            self.remove(name)
            handle = browser_items.add_contact(self._scene, name, size)
            self.items[name] = SceneItem(handle, frame, owner, content=size,
                                         box=browser_items.contact_box(size))
        self.items[name] = replace(self.items[name], frame=frame, pose=pose)

    def place(self, frame_pose: Callable[[str], np.ndarray | None],
              hidden: Collection[str] = ()) -> None:
        """Update the poses of all items; remove those whose lifetime has passed.

        The browsers' cameras are aimed at what is shown of the objects, or else at the clouds.

        Args:
            frame_pose: T_fixed_frame (4, 4) of a frame, None if it is not known.
            hidden: layers that are not shown.
        """
        expired = [n for n, item in self.items.items() if time.monotonic() >= item.expires]
        for name in expired:
            self.remove(name)
        if expired:
            self._remove_unused()
        known = {frame: frame_pose(frame) for frame in {i.frame for i in self.items.values()}}
        self.is_empty = all(T is None for T in known.values())
        for name, item in self.items.items():
            _place(item, known[item.frame], name.split('/')[1] in hidden)
        self._cameras.aim(self._sphere(known, hidden))

    def _sphere(self, known: Mapping[str, np.ndarray | None],
                hidden: Collection[str]) -> Sphere | None:
        """Sphere around the meshes and what is shown beside them, or else around the clouds.

        None with neither.
        """
        beside = [layer for layer in AIMED_LAYERS if layer not in hidden]
        for layers in (('meshes', *beside) if self.in_layer('meshes') else (), ('cloud',)):
            corners = [transform_points(T, _corners(item)) for layer in layers for item in
                       self.in_layer(layer).values() if (T := known[item.frame]) is not None]
            if corners:
                return Sphere.around(np.concatenate(corners))
        return None

    def _remove_unused(self) -> None:
        """Remove frames, labels and contacts without a marker, clouds if there is no marker."""
        shown = [item for layer in ('meshes', 'axes', 'ghost')
                 for item in self.in_layer(layer).values()]
        frames, owners = {item.frame for item in shown}, {item.owner for item in shown}
        for name, item in list(self.items.items()):
            layer = name.split('/')[1]
            if layer in ('frames', 'labels') and item.frame not in frames or \
                    layer == 'contacts' and item.owner not in owners or \
                    layer == 'cloud' and not shown:
                self.remove(name)

    def forget_removed(self) -> None:
        """Free the memory of items that were removed."""
        collect_garbage(self._server)

    def remove(self, name: str) -> None:
        """Remove an item, if the scene has it."""
        if name in self.items:
            self.items.pop(name).handle.remove()


def _marker_name(marker: Marker) -> str:
    layer = MARKER_LAYERS.get(marker.ns.rpartition('/')[2], 'meshes')
    return f'/{layer}/{_token(marker.ns)}.{marker.id}'


def _token(name: str) -> str:
    """A name without separators: items have no parents."""
    return name.strip('/').replace('/', '.')


def _place(item: SceneItem, T_fixed_frame: np.ndarray | None, hidden: bool) -> None:
    if T_fixed_frame is not None:
        T = T_fixed_frame if item.pose is None else T_fixed_frame @ item.pose
        x, y, z, w = quaternion_from_matrix(T)
        item.handle.position, item.handle.wxyz = T[:3, 3], np.array([w, x, y, z])
    item.handle.visible = T_fixed_frame is not None and not hidden


def _corners(item: SceneItem) -> np.ndarray:
    """Corners (8, 3) of an item's box, in its frame."""
    assert item.box is not None
    corners = np.stack(np.meshgrid(*item.box.T, indexing='ij'), axis=-1).reshape(-1, 3)
    return corners if item.pose is None else transform_points(item.pose, corners)


def _set_up_view(scene: Any, z_up: bool) -> None:
    """Set the upward direction and the lights."""
    scene.set_up_direction('+z' if z_up else '-y')
    scene.configure_environment_map(None)
    scene.add_light_ambient('/lights/ambient', intensity=1.6)
    for i, (x, y, z) in enumerate(LIGHTS):
        scene.add_light_directional(f'/lights/{i}', intensity=1.2,
                                    position=(x, -z, -y) if z_up else (x, y, z))
