"""Markers of part meshes and joint axes, and their deletion."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh
from kinediff3d_core.objects.urdf import link_name
from kinediff3d_core.visualization.simplification import simplify_mesh
from kinediff3d_ros.messages.poses import present_joints, present_parts

PART_COLOURS = ((0.35, 0.55, 0.80), (0.95, 0.60, 0.20), (0.40, 0.75, 0.45), (0.80, 0.40, 0.55),
                (0.60, 0.50, 0.80))
AXIS_COLOUR = (0.85, 0.10, 0.10)
PART_ALPHA = 0.8

AXIS_LENGTH = 1.2
"""Length of an axis arrow, as a multiple of the child part's extent along the axis. Chosen."""
AXIS_SCALE = 0.02, 0.05, 0.1
"""Diameters of shaft and head and length of the head, in lengths of the arrow. Chosen."""
DEFAULT_EXTENT = 0.2
"""Extent of a part without a mesh, m. Chosen."""
LEAST_EXTENT = 0.05
"""Least extent of a part that an arrow is made for, m. Chosen."""


def markers(estimate: ArticulatedEstimate, stamp: Time, object_name: str,
            max_triangles: int, lifetime: float) -> MarkerArray:
    """Part meshes and joint axes.

    A mesh is one TRIANGLE_LIST in its part's frame, namespace ``<object>``, id = index of the
    part in the category. An axis is an ARROW in the parent part's frame, namespace
    ``<object>/axis``, id = index of the joint there. Parts without a mesh have no marker. Markers
    move with their frames in viewers (``frame_locked``).

    Args:
        max_triangles: of a mesh; meshes with more are simplified.
        lifetime: s, after which viewers remove a marker that is not sent again.
    """
    array = MarkerArray(markers=[*_meshes(estimate, stamp, object_name, max_triangles),
                                 *_axes(estimate, stamp, object_name)])
    for marker in array.markers:
        marker.lifetime = Duration(seconds=lifetime).to_msg()
    return array


def _meshes(estimate: ArticulatedEstimate, stamp: Time, object_name: str,
            max_triangles: int) -> list[Marker]:
    shown = []
    names = get_category(estimate.category).parts
    for part in present_parts(estimate):
        if part.mesh is None or not len(part.mesh.faces):
            continue
        i = names.index(part.name)
        marker = _marker(object_name, i, link_name(object_name, part.name), stamp)
        marker.type = Marker.TRIANGLE_LIST
        marker.scale.x = marker.scale.y = marker.scale.z = 1.0
        marker.color = _colour(PART_COLOURS[i % len(PART_COLOURS)], PART_ALPHA)
        marker.points = corners(part.mesh, max_triangles)
        shown.append(marker)
    return shown


def _axes(estimate: ArticulatedEstimate, stamp: Time, object_name: str) -> list[Marker]:
    shown = []
    names = [j.name for j in get_category(estimate.category).joints]
    for joint in present_joints(estimate):
        marker = _marker(f'{object_name}/axis', names.index(joint.name),
                         link_name(object_name, joint.parent), stamp)
        marker.type = Marker.ARROW
        length = AXIS_LENGTH * _extent(estimate, joint)
        marker.scale.x, marker.scale.y, marker.scale.z = (s * length for s in AXIS_SCALE)
        marker.color = _colour(AXIS_COLOUR, 1.0)
        half = 0.5 * length * np.asarray(joint.axis, float)
        for end in (joint.origin - half, joint.origin + half):
            x, y, z = (float(v) for v in end)
            marker.points.append(Point(x=x, y=y, z=z))
        shown.append(marker)
    return shown


_CORNERS: WeakKeyDictionary[Mesh, tuple[int, list[Point]]] = WeakKeyDictionary()


def corners(mesh: Mesh, max_triangles: int) -> list[Point]:
    """Corners of the triangles of a mesh, three each, of a simplified mesh if it has too many.

    They are cached for as long as the mesh exists.
    """
    cached = _CORNERS.get(mesh)
    if cached is None or cached[0] != max_triangles:
        small = simplify_mesh(mesh, max_triangles)
        points = [Point(x=x, y=y, z=z) for x, y, z in small.vertices.astype(float).tolist()]
        cached = max_triangles, [points[j] for j in small.faces.ravel().tolist()]
        _CORNERS[mesh] = cached
    return cached[1]


def marker_keys(array: MarkerArray) -> dict[tuple[str, int], str]:
    """Map (namespace, id) of the markers that are added to their frame."""
    return {(m.ns, m.id): m.header.frame_id for m in array.markers if m.action == Marker.ADD}


def deleted_markers(keys: Mapping[tuple[str, int], str], stamp: Time) -> MarkerArray:
    """A DELETE for each (namespace, id) of :func:`marker_keys`."""
    array = MarkerArray()
    for (namespace, number), frame in keys.items():
        marker = _marker(namespace, number, frame, stamp)
        marker.action = Marker.DELETE
        array.markers.append(marker)
    return array


def delete_missing_markers(array: MarkerArray, shown: Mapping[tuple[str, int], str],
                           stamp: Time) -> dict[tuple[str, int], str]:
    """Add a DELETE for each shown marker that is not in the array; return the keys shown then."""
    keys = marker_keys(array)
    missing = {key: frame for key, frame in shown.items() if key not in keys}
    array.markers += deleted_markers(missing, stamp).markers
    return keys


def _extent(estimate: ArticulatedEstimate, joint: JointEstimate) -> float:
    """Extent of a joint's child part along the axis, m."""
    mesh = next(p.mesh for p in estimate.parts if p.name == joint.child)
    if mesh is None or not len(mesh.vertices):
        return DEFAULT_EXTENT
    along = np.asarray(mesh.vertices) @ np.asarray(joint.axis)
    return max(float(along.max() - along.min()), LEAST_EXTENT)


def _marker(namespace: str, number: int, frame: str, stamp: Time) -> Marker:
    marker = Marker(header=Header(frame_id=frame, stamp=stamp), ns=namespace, id=number,
                    action=Marker.ADD, frame_locked=True)
    marker.pose.orientation.w = 1.0
    return marker


def _colour(rgb: tuple[float, float, float], alpha: float) -> ColorRGBA:
    return ColorRGBA(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)
