"""Collision objects: the parts of an estimate for the planning scene of MoveIt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from geometry_msgs.msg import Point, Pose
from moveit_msgs.msg import CollisionObject
from shape_msgs.msg import Mesh as MeshMessage
from shape_msgs.msg import MeshTriangle
from std_msgs.msg import Header

from kinediff3d_core.geometry.basis import basis_with_x_axis
from kinediff3d_core.objects.contact import contact_candidates
from kinediff3d_core.objects.contact_features import HANDLES
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh
from kinediff3d_core.visualization.simplification import decimate_mesh
from kinediff3d_ros.messages.poses import pose_from_matrix, present_joints, present_parts


@dataclass(frozen=True, eq=False)
class PartShape:
    """What a part looks like, wherever it is.

    Attributes:
        mesh: in the part's frame, m.
        corners: (8, 3) of its box, part frame, m.
        subframes: T_part_subframe (4, 4) by name: ``contact``, ``handle`` and
            ``hinge``.
    """

    mesh: MeshMessage
    corners: np.ndarray
    subframes: dict[str, np.ndarray]


def part_shapes(estimate: ArticulatedEstimate, triangles: int) -> dict[str, PartShape]:
    """Shape of every present part that has a mesh, by its name.

    It takes up to some tenths of a second.

    Args:
        triangles: of a mesh, about; meshes with more are simplified.

    Raises:
        ValueError: a mesh without area, or an axis without direction.
    """
    subframes = _subframes(estimate)
    return {part.name: _shape(part.mesh, triangles, subframes.get(part.name, {}))
            for part in present_parts(estimate)
            if part.mesh is not None and len(part.mesh.faces)}


def added(object_id: str, header: Header, T_header_part: np.ndarray, shape: PartShape,
          category: str) -> CollisionObject:
    """Message that adds a part, or replaces it."""
    message = CollisionObject(id=object_id, header=header, operation=CollisionObject.ADD,
                              pose=pose_from_matrix(T_header_part), meshes=[shape.mesh],
                              mesh_poses=[pose_from_matrix(np.eye(4))],
                              subframe_names=list(shape.subframes),
                              subframe_poses=_poses(shape.subframes.values()))
    message.type.key = category
    return message


def moved(object_id: str, header: Header, T_header_part: np.ndarray) -> CollisionObject:
    """Message that moves a part; its mesh and its subframes move with it."""
    return CollisionObject(id=object_id, header=header, operation=CollisionObject.MOVE,
                           pose=pose_from_matrix(T_header_part))


def removed(object_id: str, header: Header) -> CollisionObject:
    """Message that removes a part."""
    return CollisionObject(id=object_id, header=header, operation=CollisionObject.REMOVE)


def _subframes(estimate: ArticulatedEstimate) -> dict[str, dict[str, np.ndarray]]:
    """T_part_subframe (4, 4) by part and name, of the moving parts."""
    found = {}
    candidates = contact_candidates(estimate)
    for joint in present_joints(estimate):
        # A moving part's frame has its origin on the axis, which is the same in both frames.
        hinge = np.eye(4)
        hinge[:3, :3] = basis_with_x_axis(np.asarray(joint.axis, np.float64))
        best = candidates.get(joint.child, ())
        frames = {'contact': best[:1], 'handle': [c for c in best if c.kind in HANDLES][:1]}
        found[joint.child] = {**{name: contact.T_part_contact
                                 for name, some in frames.items() for contact in some},
                              'hinge': hinge}
    return found


def _shape(mesh: Mesh, triangles: int, subframes: dict[str, np.ndarray]) -> PartShape:
    small = decimate_mesh(mesh, triangles)
    low, high = np.min(mesh.vertices, axis=0), np.max(mesh.vertices, axis=0)
    corners = np.stack(np.meshgrid(*np.stack([low, high], axis=1)), axis=-1).reshape(8, 3)
    return PartShape(MeshMessage(
        triangles=[MeshTriangle(vertex_indices=face) for face in small.faces.astype(np.uint32)],
        vertices=[Point(x=x, y=y, z=z) for x, y, z in small.vertices.astype(float).tolist()],
    ), corners.astype(np.float64), subframes)


def _poses(frames: Iterable[np.ndarray]) -> list[Pose]:
    return [pose_from_matrix(T) for T in frames]
