"""What a browser draws for meshes, axes, clouds, frames, contacts and labels: viser's handles.

All handles are hidden at first, until their pose is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from visualization_msgs.msg import Marker

CLOUD_COLOUR = (10, 70, 80)

POINT_SHARE = 0.003
"""Viser's size of a point, in sizes of the smallest object. Chosen: browsers draw points about
three times as large, 1 % of the object."""

MAX_POINTS = 1500
"""Displayed points of one cloud. Chosen so that the meshes are visible between the points."""

FRAME_SHARE, FRAME_RADIUS = 0.15, 0.025
"""Length of a frame's axes in sizes of its object, and their radius in lengths. Chosen."""

CONTACT_LENGTHS = (0.35, 0.2)
"""Lengths of a contact's arrows along the motion (x) and the approach (z), in sizes of its object.
Chosen."""

CONTACT_COLOURS = ((20, 160, 60), (60, 110, 220))
"""Colours of these arrows."""

CONTACT_SCALE = (0.012, 0.03, 0.07)
"""Radii of shaft and head and length of the head, in sizes of the object. Chosen."""

LABEL_SCALE = 1.2
"""Size of labels, in viser's size. Chosen."""


def add_marker(scene: Any, name: str, marker: Marker, corners: np.ndarray) -> Any:
    """A triangle list or an arrow with the points ``corners`` (N, 3)."""
    c = marker.color
    colour = tuple(int(255 * x) for x in (c.r, c.g, c.b))
    if marker.type == Marker.ARROW:
        return scene.add_arrows(
            name, corners[None, :2], colour, shaft_radius=marker.scale.x / 2,
            head_radius=marker.scale.y / 2, head_length=marker.scale.z, visible=False)
    vertices, faces = np.unique(corners, axis=0, return_inverse=True)
    return scene.add_mesh_simple(
        name, vertices, faces.reshape(-1, 3).astype(np.uint32), color=colour,
        opacity=None if c.a >= 1 else float(c.a), flat_shading=True, side='double',
        visible=False)


def add_cloud(scene: Any, name: str, points: np.ndarray) -> Any:
    """Points (N, 3) float32."""
    return scene.add_point_cloud(name, points, CLOUD_COLOUR, point_shape='circle',
                                 point_shading='flat', precision='float32', visible=False)


def add_frame(scene: Any, name: str) -> Any:
    """The axes of a frame: x red, y green, z blue; :func:`set_frame_size` sizes them."""
    return scene.add_frame(name, visible=False)


def set_frame_size(handle: Any, size: float) -> None:
    """Fit the axes of a frame to an object's size, m."""
    handle.axes_length = FRAME_SHARE * size
    handle.axes_radius = FRAME_RADIUS * handle.axes_length
    handle.origin_radius = 2 * handle.axes_radius


def add_contact(scene: Any, name: str, size: float) -> Any:
    """The arrows of a contact frame: its motion starts and its approach ends at the contact.

    Args:
        size: of its object, m.
    """
    arrows = np.zeros((2, 2, 3), np.float32)
    motion, approach = (size * share for share in CONTACT_LENGTHS)
    arrows[0, 1, 0], arrows[1, 0, 2] = motion, -approach
    shaft, head, length = (size * share for share in CONTACT_SCALE)
    return scene.add_arrows(name, arrows, np.uint8(CONTACT_COLOURS),
                            shaft_radius=shaft, head_radius=head, head_length=length,
                            visible=False)


def contact_box(size: float) -> np.ndarray:
    """Least and greatest coordinates (2, 3) of the arrows of a contact frame, in it."""
    motion, approach = (size * share for share in CONTACT_LENGTHS)
    return np.array([[0.0, 0.0, -approach], [motion, 0.0, 0.0]])


def add_label(scene: Any, name: str, below: bool) -> Any:
    """An empty label above a point, or below it."""
    return scene.add_label(name, '', font_screen_scale=LABEL_SCALE, visible=False,
                           anchor='top-center' if below else 'bottom-center')
