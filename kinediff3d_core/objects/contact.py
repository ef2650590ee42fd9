"""Where to push or pull a moving part, and in which direction: from its mesh and its joint.

Doors, lids, legs and arms are taken at the edge that is farthest from the axis, or at the handle
that stands out towards the side to which they open; drawers at what stands out of their front;
scissors at the finger's end; the blade of a cutter at its slider.

A contact frame has its origin on the part's surface and, right-handed,

- x along the motion of that point for an increasing joint position (the tangent of its circle, or
  the axis of a prismatic joint): pull or push along +x to open, along -x to close;
- z outward, across x: for a revolute joint away from the axis, which at a far edge is the outward
  normal; for a prismatic joint the outward normal where the surface faces sideways (a slider), and
  on a front, which faces along x, the side across which the handle is thin, rather up than down;
- y = z cross x, for a revolute joint the direction of its axis.

A gripper comes against ``normal``, the outward normal of the surface: along -z at a free edge,
along -x at a front or a handle on it, and there closes along z.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh

Array = np.ndarray[Any, Any]

SAMPLES = 6000
"""Points on a part among which the contact is chosen, always the same for the same mesh."""

HANDLE_STANDS_OUT = 0.035
"""Of a door's reach: what stands out farther than this over its outer face is a handle."""

HANDLE_SHARE = 0.35
"""A handle covers less than this share of the face; what covers more is the face."""

SIDES: dict[str, tuple[float, float, float]] = {'scissors': (-1.0, 0.0, 0.0)}
"""Where a part reaches to both sides of its pivot: the side on which it is held, base frame."""

SLIDERS = ('cutter',)
"""Categories whose prismatic part is moved at what stands out beside the axis."""


@dataclass(frozen=True)
class Contact:
    """Where one moving part is pushed or pulled.

    Attributes:
        joint, part: names.
        T_part_contact: (4, 4) the contact frame in the part's frame. It depends on the mesh and
            the axis alone, so it holds for every joint position.
        T_camera_contact: (4, 4) the same in the camera's frame.
        normal: (3,) outward unit normal of the surface there, camera frame.
    """

    joint: str
    part: str
    T_part_contact: Array
    T_camera_contact: Array
    normal: Array

    @property
    def tangent(self) -> Array:
        """(3,) unit direction of the motion for an increasing joint position, camera frame."""
        return np.asarray(self.T_camera_contact[:3, 0])


def contacts(estimate: ArticulatedEstimate) -> tuple[Contact, ...]:
    """The contact of every moving part of an estimate that has a mesh, in the joints' order."""
    parts = {p.name: p for p in estimate.parts}
    up = np.array([0.0, 0.0, 1.0])
    found = []
    for joint in estimate.joints:
        part = parts[joint.child]
        if part.mesh is None or not len(part.mesh.faces):
            continue
        T, normal = contact_on(part.mesh, joint, estimate.category, up)
        pose = np.asarray(part.T_camera_part, dtype=np.float64)
        found.append(Contact(joint.name, part.name, T, pose @ T, pose[:3, :3] @ normal))
    return tuple(found)


def contact_on(mesh: Mesh, joint: JointEstimate, category: str, up: Array) -> tuple[Array, Array]:
    """Contact of one part in its own frame.

    Args:
        mesh: in the part's frame: the axis goes through the origin, along ``joint.axis``.
        category: name, for parts that are not held at their far end.
        up: (3,) unit, upward in the part's frame at position zero.

    Returns:
        T_part_contact (4, 4) and the outward unit normal (3,), part frame.

    Raises:
        ValueError: a mesh without area, or an axis without direction.
    """
    axis = np.asarray(joint.axis, dtype=np.float64)
    length = float(np.linalg.norm(axis))
    if not length > 0:
        raise ValueError(f'joint {joint.name!r} has the axis {axis.tolist()}')
    axis = axis / length
    points, normals = _surface(mesh)
    if joint.joint_type == 'prismatic':
        pick = _slider(points, normals, axis) if category in SLIDERS \
            else _front(points, normals, axis)
        tangent = axis
    else:
        pick = _held(points, normals, axis, SIDES.get(category))
        lever = _across(points[pick], axis)
        tangent = np.cross(axis, lever / np.linalg.norm(lever))
    p = points[pick]
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    normal = _normal_near(points, normals, pick, 0.01 * size)
    if joint.joint_type == 'prismatic':
        z = _across(normal, tangent)
        if np.linalg.norm(z) < 0.6:
            z = _thin_side(points, p, tangent, up, 0.015 * size, 0.15 * size)
    else:
        z = _across(p, axis)
    T = np.eye(4)
    z = z / np.linalg.norm(z)
    T[:3, :3] = np.stack([tangent, np.cross(z, tangent), z], axis=1)
    T[:3, 3] = p
    return T, normal


def _surface(mesh: Mesh) -> tuple[Array, Array]:
    """Points (SAMPLES, 3) on a mesh, uniform by area, and the normals of their triangles."""
    corner = np.asarray(mesh.vertices, dtype=np.float64)[np.asarray(mesh.faces)]
    across = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    area = np.linalg.norm(across, axis=-1)
    total = float(area.sum())
    if not (np.isfinite(total) and total > 0):
        raise ValueError('the mesh has no area')
    rng = np.random.default_rng(0)
    step = (np.arange(SAMPLES) + 0.5) / SAMPLES * total
    index = np.searchsorted(np.cumsum(area), step).clip(0, len(area) - 1)
    u, v = rng.random((2, SAMPLES))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = (corner[index, i] for i in range(3))
    points = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    return points, across[index] / area[index, None]


def _across(v: Array, axis: Array) -> Array:
    """What of v (..., 3) is perpendicular to the unit axis."""
    return np.asarray(v - (v @ axis)[..., None] * axis)


def _from_middle(x: Array) -> Array:
    """Distance (N,) of values (N,) from the middle of their range, in halves of it."""
    low, high = x.min(), x.max()
    return np.asarray(np.abs(2 * x - low - high) / max(high - low, 1e-9))


def _held(points: Array, normals: Array, axis: Array,
          side: tuple[float, float, float] | None) -> int:
    """Index of the contact on a part that turns: its handle, or the middle of its far edge."""
    lever = _across(points, axis)
    reach = np.linalg.norm(lever, axis=-1)
    middle = _from_middle(points @ axis)
    allowed = np.ones(len(points), dtype=bool)
    if side is not None and (points @ np.array(side) > 0).any():
        allowed = points @ np.array(side) > 0
    most = float(reach[allowed].max())
    edge = int(np.argmax(np.where(allowed, reach / most - 0.1 * middle, -np.inf)))
    opening = np.cross(axis, lever[edge] / max(float(reach[edge]), 1e-12))
    handle = _handle(points, normals, opening, allowed & (reach > 0.45 * most), most)
    if not handle.any():
        return edge
    stands_out = points @ opening
    top = handle & (stands_out > stands_out[handle].max() - 0.01 * most)
    return int(np.argmin(np.where(top, middle, np.inf)))


def _handle(points: Array, normals: Array, opening: Array, far: Array, reach: float) -> Array:
    """Which points (N,) belong to a handle on the face that looks along ``opening``."""
    none = np.zeros(len(points), dtype=bool)
    face = far & (normals @ opening > 0.8)
    if face.sum() < 50:
        return none
    height = points @ opening
    level = float(np.median(height[face]))
    out = far & (height > level + HANDLE_STANDS_OUT * reach)
    share = float((face & out).sum() / face.sum())
    return out if 0 < share < HANDLE_SHARE else none


def _front(points: Array, normals: Array, axis: Array) -> int:
    """Index of the middle of what stands out farthest along the axis, where that faces forward."""
    along = points @ axis
    low, high = np.percentile(along, 50), along.max()
    band = along > high - max(0.03 * (high - low), 1e-3)
    if (band & (normals @ axis > 0.7)).any():
        band &= normals @ axis > 0.7
    across = _across(points, axis)
    centre = (across[band].min(0) + across[band].max(0)) / 2
    return int(np.argmin(np.where(band, np.linalg.norm(across - centre, axis=-1), np.inf)))


def _slider(points: Array, normals: Array, axis: Array) -> int:
    """Index of the middle of what stands out of a blade beside its axis: off its plane, or edge.

    The blade is most of the part's surface, so that its plane and width are those of most points.
    Blades without a slider are taken at their front.
    """
    flat = _across(normals, axis)
    plane = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    middle = points - np.median(points, axis=0)
    off = np.abs(middle @ plane)
    beside = np.abs(middle @ np.cross(axis, plane))
    blade = off <= 1.2 * np.median(off) + 1e-4
    best, most = _front(points, normals, axis), 1e-3
    for distance in (off, beside):
        out = float(distance.max() - np.percentile(distance[blade], 98))
        if out > most:
            band = distance > distance.max() - 0.2 * out
            centre = points[band].mean(0)
            gap = np.linalg.norm(points - centre, axis=-1)
            best, most = int(np.argmin(np.where(band, gap, np.inf))), out
    return best


def _normal_near(points: Array, normals: Array, pick: int, radius: float) -> Array:
    """Mean outward unit normal of the surface around a point, as far as it faces the same way."""
    near = (np.linalg.norm(points - points[pick], axis=-1) < radius) & (
        normals @ normals[pick] > 0.2)
    mean = normals[near].mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12))


def _thin_side(points: Array, at: Array, axis: Array, up: Array, deep: float,
               wide: float) -> Array:
    """Unit direction across the axis in which the part is thinner around a point on its front.

    Looked at is what lies within ``wide`` (m) of the point and not deeper than ``deep``. Of upward
    and sideways; upward where they are much alike.
    """
    first = _across(up, axis)
    if np.linalg.norm(first) < 0.1:
        first = _across(np.eye(3)[np.argmin(np.abs(axis))], axis)
    first = first / np.linalg.norm(first)
    second = np.cross(first, axis)
    local = points[(at - points) @ axis < deep] - at
    local = local[np.linalg.norm(_across(local, axis), axis=-1) < wide]
    tall, broad = (float(np.ptp(local @ d)) for d in (first, second))
    return np.asarray(second if broad < 0.7 * tall else first)
