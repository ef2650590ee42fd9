"""Markers of part meshes and joint axes."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh
from kinediff3d_ros.messages.poses import PRESENT, part_frame, present_parts

PART_COLOURS = ((0.35, 0.55, 0.80), (0.95, 0.60, 0.20), (0.40, 0.75, 0.45), (0.80, 0.40, 0.55),
                (0.60, 0.50, 0.80))
AXIS_COLOUR = (0.85, 0.10, 0.10)


# --- markers ------------------------------------------------------------------------------------

def markers(estimate: ArticulatedEstimate, stamp: Time, object_name: str,
            max_triangles: int) -> MarkerArray:
    """Part meshes and joint axes.

    A mesh is one TRIANGLE_LIST in its part's frame, namespace ``<object>``, id = index of the
    part in the category. An axis is an ARROW in the parent part's frame, namespace
    ``<object>/axis``, id = index of the joint. Parts without a mesh have no marker. Viewers let
    them follow their frames (``frame_locked``).
    """
    array = MarkerArray()
    present = present_parts(estimate)
    for i, part in enumerate(estimate.parts):
        if part.mesh is None or part not in present or not len(part.mesh.faces):
            continue
        marker = _marker(object_name, i, part_frame(object_name, part.name), stamp)
        marker.type = Marker.TRIANGLE_LIST
        marker.scale.x = marker.scale.y = marker.scale.z = 1.0
        marker.color = _colour(PART_COLOURS[i % len(PART_COLOURS)], 0.8)
        marker.points = corners(part.mesh, max_triangles)
        array.markers.append(marker)
    for i, joint in enumerate(estimate.joints):
        if joint.probability < PRESENT:
            continue
        marker = _marker(f'{object_name}/axis', i, part_frame(object_name, joint.parent), stamp)
        marker.type = Marker.ARROW
        length = 1.2 * _extent(estimate, joint)
        marker.scale.x, marker.scale.y, marker.scale.z = (0.02 * length, 0.05 * length,
                                                          0.1 * length)
        marker.color = _colour(AXIS_COLOUR, 1.0)
        half = 0.5 * length * np.asarray(joint.axis, float)
        for end in (joint.origin - half, joint.origin + half):
            x, y, z = (float(v) for v in end)
            marker.points.append(Point(x=x, y=y, z=z))
        array.markers.append(marker)
    return array


_CORNERS: WeakKeyDictionary[Mesh, tuple[int, list[Point]]] = WeakKeyDictionary()


def corners(mesh: Mesh, max_triangles: int) -> list[Point]:
    """Corners of the triangles of a mesh, simplified if it has too many; kept with the mesh."""
    kept = _CORNERS.get(mesh)
    if kept is None or kept[0] != max_triangles:
        small = simplify(mesh, max_triangles)
        points = [Point(x=x, y=y, z=z) for x, y, z in small.vertices.astype(float).tolist()]
        kept = max_triangles, [points[j] for j in small.faces.ravel().tolist()]
        _CORNERS[mesh] = kept
    return kept[1]


def marker_keys(array: MarkerArray) -> dict[tuple[str, int], str]:
    """(namespace, id) to frame of the markers that are shown."""
    return {(m.ns, m.id): m.header.frame_id for m in array.markers if m.action == Marker.ADD}


def deleted_markers(keys: Mapping[tuple[str, int], str], stamp: Time) -> MarkerArray:
    """A DELETE for each (namespace, id)."""
    array = MarkerArray()
    for (namespace, number), frame in keys.items():
        marker = _marker(namespace, number, frame, stamp)
        marker.action = Marker.DELETE
        array.markers.append(marker)
    return array


def delete_what_is_gone(array: MarkerArray, shown: Mapping[tuple[str, int], str],
                        stamp: Time) -> dict[tuple[str, int], str]:
    """Add a DELETE for what was shown and is not in the array; returns what is shown now."""
    now = marker_keys(array)
    gone = {key: frame for key, frame in shown.items() if key not in now}
    array.markers += deleted_markers(gone, stamp).markers
    return now


def simplify(mesh: Mesh, max_triangles: int) -> Mesh:
    """A mesh of at most that many triangles, for viewers.

    Algorithm: vertices in one cell of a grid that face the same way (of the six along the axes)
    become their mean, with ever larger cells. Flat sides stay flat and thin walls keep their two
    sides, which plain clustering would knit together.
    """
    vertices, faces = np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces)
    if len(faces) <= max_triangles:
        return mesh
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    normals = np.stack([np.bincount(faces.ravel(), np.repeat(across[:, k], 3), len(vertices))
                        for k in range(3)], axis=1)
    facing = np.abs(normals).argmax(axis=1)
    facing += 3 * (np.take_along_axis(normals, facing[:, None], axis=1)[:, 0] < 0)
    offset = vertices - vertices.min(axis=0)
    cell = float(np.sqrt(np.linalg.norm(across, axis=1).sum() / max_triangles))
    while True:
        x, y, z = np.floor(offset / cell).astype(np.int64).T
        key = ((x * (y.max() + 1) + y) * (z.max() + 1) + z) * 6 + facing
        _, merged, count = np.unique(key, return_inverse=True, return_counts=True)
        kept = merged[faces]
        kept = kept[(kept != np.roll(kept, 1, axis=1)).all(axis=1)]
        if len(kept) <= max_triangles:
            means = np.stack([np.bincount(merged, vertices[:, k]) for k in range(3)], axis=1)
            return Mesh(means / count[:, None], kept)
        cell *= 1.15


def _extent(estimate: ArticulatedEstimate, joint: JointEstimate) -> float:
    """Size of the child along the axis, m; 0.2 where it has no mesh."""
    mesh = next(p.mesh for p in estimate.parts if p.name == joint.child)
    if mesh is None or not len(mesh.vertices):
        return 0.2
    along = np.asarray(mesh.vertices) @ np.asarray(joint.axis)
    return max(float(along.max() - along.min()), 0.05)


def _marker(namespace: str, number: int, frame: str, stamp: Time) -> Marker:
    marker = Marker(header=Header(frame_id=frame, stamp=stamp), ns=namespace, id=number,
                    action=Marker.ADD, frame_locked=True)
    marker.pose.orientation.w = 1.0
    return marker


def _colour(rgb: tuple[float, float, float], alpha: float) -> ColorRGBA:
    return ColorRGBA(r=rgb[0], g=rgb[1], b=rgb[2], a=alpha)
