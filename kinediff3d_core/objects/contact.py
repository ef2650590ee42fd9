"""Contact frames: where and from which side a gripper holds a moving part, to open or close it.

A contact frame has its origin on the part's surface. It means the same for every part of every
category and is right-handed:

- x: the motion of that point for an increasing joint position, the tangent of its circle or the
  axis of a prismatic joint. A two-finger gripper closes along x, with one finger on each side of
  the lid, front, bar or knob, so that it can pull and push.
- z: the approach direction, into the part, perpendicular to x.
- y = z cross x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinediff3d_core.objects.estimate import ArticulatedEstimate, JointEstimate, Mesh

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ContactConfig:
    """How the contact of a part is chosen. All values are chosen."""

    candidates: int = 5
    """Most contacts of one part."""
    samples: int = 6000
    """Points on a part among which the contact is chosen, the same for the same mesh."""
    sides: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {'scissors': (-1.0, 0.0, 0.0)})
    """By category, the direction (part frame) in which the contact lies from the pivot, for parts
    that extend to both sides of it."""
    sliders: tuple[str, ...] = ('cutter',)
    """Categories whose prismatic part is moved at what stands out beside the axis."""

    edge_centring: float = 0.1
    """Distance from the axis that a point at an end of an edge gives up against one at its
    middle, in shares of the greatest distance."""
    handle_zone: float = 0.45
    """Handles are farther from the axis than this share of the greatest distance."""
    handle_height: float = 0.035
    """What stands out of a door's outer face farther than this is a handle, in shares of the
    door's greatest distance from its axis."""
    handle_share: float = 0.35
    """A handle covers less than this share of the face; what covers more is the face itself."""
    handle_top: float = 0.01
    """Depth of a handle's top below its highest point, in shares of the door's greatest distance
    from its axis."""
    face_cosine: float = 0.8
    """Points face the opening direction if their normal's cosine with it is greater."""
    min_face: int = 50
    """Fewest points of a door's outer face."""

    front_depth: float = 0.03
    """Depth of a front behind its foremost point, in shares of the part's foremost half."""
    min_front_depth: float = 1e-3
    """Least depth of a front, m."""
    front_cosine: float = 0.7
    """Points face forward if their normal's cosine with the axis is greater."""

    blade_thickness: tuple[float, float] = (1.2, 1e-4)
    """A blade is within a times its median distance from its middle plane, plus b (m)."""
    blade_quantile: float = 98.0
    """Percentile of the blade's distances beyond which points stand out."""
    min_slider: float = 1e-3
    """Least height of a slider over the blade, m."""
    slider_top: float = 0.2
    """Depth of a slider's top below its highest point, in shares of its height."""

    normal_radius: float = 0.01
    """Radius over which the normal is averaged, in shares of the part's diagonal."""
    normal_cosine: float = 0.2
    """Normals are averaged if their cosine with the contact's own is greater."""
    sideways: float = 0.6
    """A surface faces sideways if its normal's component across the axis is at least this."""
    upright: float = 0.1
    """An axis is upright if the upward direction's component across it is less than this; the
    thin direction is then one of two horizontal ones."""
    thin_depth: float = 0.015
    """Depth behind the contact that the thin direction is measured in, in shares of the part's
    diagonal."""
    thin_radius: float = 0.15
    """Radius that the thin direction is measured in, in shares of the part's diagonal."""
    thin_ratio: float = 0.7
    """The sideways direction is the thin one if its extent is below this share of the other."""


CONFIG = ContactConfig()


@dataclass(frozen=True, eq=False)
class Contact:
    """Where a gripper holds one moving part.

    Attributes:
        joint, part: names.
        kind: ``bar``, ``knob``, ``rim`` or ``edge``.
        T_part_contact: (4, 4) the contact frame in the part's frame.
        T_camera_contact: (4, 4) the contact frame in the camera's frame.
        extents: (3,) of what is held along the contact's x, y and z, m.
        score: 0..1, how well the part is held and moved there; the highest is the best.
        reachable: a gripper that comes along z is free of the object at its present state.
    """

    joint: str
    part: str
    kind: str
    T_part_contact: Array
    T_camera_contact: Array
    extents: Array
    score: float
    reachable: bool


def contacts(estimate: ArticulatedEstimate) -> tuple[Contact, ...]:
    """The best contact of every moving part that has a mesh, in the joints' order."""
    return tuple(c[0] for c in contact_candidates(estimate).values())


def contact_candidates(estimate: ArticulatedEstimate, config: ContactConfig = CONFIG,
                       ) -> dict[str, tuple[Contact, ...]]:
    """Contacts of every moving part that has a mesh, by part, best first.

    At least one and at most ``config.candidates`` a part.

    Raises:
        ValueError: a mesh without area, or an axis without direction.
    """
    parts = {p.name: p for p in estimate.parts}
    up = np.array([0.0, 0.0, 1.0])
    found = {}
    for joint in estimate.joints:
        part = parts[joint.child]
        if part.mesh is None or not len(part.mesh.faces):
            continue
        T = contact_on(part.mesh, joint, estimate.category, up, config)
        pose = np.asarray(part.T_camera_part, dtype=np.float64)
        found[part.name] = (Contact(joint.name, part.name, 'edge', T, pose @ T,
                                    np.full(3, 0.01), 1.0, True),)
    return found


def contact_on(mesh: Mesh, joint: JointEstimate, category: str, up: Array,
               config: ContactConfig = CONFIG) -> Array:
    """Contact of one part in its own frame: T_part_contact (4, 4).

    Args:
        mesh: in the part's frame: the axis goes through the origin, along ``joint.axis``.
        category: name, for parts that are not held at their far end.
        up: (3,) unit, upward in the part's frame at position zero.

    Raises:
        ValueError: a mesh without area, or an axis without direction.
    """
    axis = np.asarray(joint.axis, dtype=np.float64)
    length = float(np.linalg.norm(axis))
    if not length > 0:
        raise ValueError(f'joint {joint.name!r} has the axis {axis.tolist()}')
    axis = axis / length
    surface = _sample(mesh, config.samples)
    points = surface.points
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    if joint.joint_type == 'prismatic':
        find = _slider if category in config.sliders else _front
        index = find(surface, axis, config)
        tangent = axis
        outward = _across(_mean_normal(surface, index, size, config), axis)
        if np.linalg.norm(outward) < config.sideways:
            outward = _thin_direction(points, index, axis, up, size, config)
        z = -outward / np.linalg.norm(outward)
    else:
        index = _far_end(surface, axis, config.sides.get(category), config)
        lever = _across(points[index], axis)
        z = -lever / np.linalg.norm(lever)
        tangent = np.cross(axis, -z)
    T = np.eye(4)
    T[:3, :3] = np.stack([tangent, np.cross(z, tangent), z], axis=1)
    T[:3, 3] = points[index]
    return T


@dataclass(frozen=True)
class _Surface:
    """Points (N, 3) on a part and the outward unit normals (N, 3) of their triangles."""

    points: Array
    normals: Array


def _sample(mesh: Mesh, count: int) -> _Surface:
    """``count`` points on a mesh, uniform by area."""
    corner = np.asarray(mesh.vertices, dtype=np.float64)[np.asarray(mesh.faces)]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    area = np.linalg.norm(normal, axis=-1)
    total = float(area.sum())
    if not (np.isfinite(total) and total > 0):
        raise ValueError('the mesh has no area')
    rng = np.random.default_rng(0)
    step = (np.arange(count) + 0.5) / count * total
    index = np.searchsorted(np.cumsum(area), step).clip(0, len(area) - 1)
    u, v = rng.random((2, count))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = (corner[index, i] for i in range(3))
    points = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    return _Surface(points, normal[index] / area[index, None])


def _across(v: Array, axis: Array) -> Array:
    """The component of v (..., 3) that is perpendicular to the unit axis."""
    return np.asarray(v - (v @ axis)[..., None] * axis)


def _from_middle(x: Array) -> Array:
    """Distances (N,) of values (N,) from the middle of their range, in halves of it."""
    low, high = x.min(), x.max()
    return np.asarray(np.abs(2 * x - low - high) / max(high - low, 1e-9))


def _far_end(surface: _Surface, axis: Array, side: tuple[float, float, float] | None,
             config: ContactConfig) -> int:
    """Index of the contact on a part that turns: its handle, or the middle of its far edge."""
    points = surface.points
    lever = _across(points, axis)
    reach = np.linalg.norm(lever, axis=-1)
    middle = _from_middle(points @ axis)
    allowed = np.ones(len(points), dtype=bool)
    if side is not None and (points @ np.array(side) > 0).any():
        allowed = points @ np.array(side) > 0
    greatest = float(reach[allowed].max())
    edge = int(np.argmax(np.where(
        allowed, reach / greatest - config.edge_centring * middle, -np.inf)))
    opening = np.cross(axis, lever[edge] / max(float(reach[edge]), 1e-12))
    zone = allowed & (reach > config.handle_zone * greatest)
    handle = _handle(surface, opening, zone, greatest, config)
    if not handle.any():
        return edge
    height = points @ opening
    top = handle & (height > height[handle].max() - config.handle_top * greatest)
    return int(np.argmin(np.where(top, middle, np.inf)))


def _handle(surface: _Surface, opening: Array, zone: Array, reach: float,
            config: ContactConfig) -> Array:
    """Mask (N,) of the points on a handle of the face whose normal is along ``opening``.

    Args:
        opening: (3,) unit direction to which the part opens.
        zone: (N,) points that may be on a handle. reach: greatest distance from the axis, m.
    """
    none = np.zeros(len(surface.points), dtype=bool)
    face = zone & (surface.normals @ opening > config.face_cosine)
    if face.sum() < config.min_face:
        return none
    height = surface.points @ opening
    level = float(np.median(height[face]))
    out = zone & (height > level + config.handle_height * reach)
    share = float((face & out).sum() / face.sum())
    return out if 0 < share < config.handle_share else none


def _front(surface: _Surface, axis: Array, config: ContactConfig) -> int:
    """Index of the middle of what is foremost along the axis and, if any is, faces forward."""
    along = surface.points @ axis
    low, high = np.percentile(along, 50), along.max()
    band = along > high - max(config.front_depth * (high - low), config.min_front_depth)
    forward = surface.normals @ axis > config.front_cosine
    if (band & forward).any():
        band &= forward
    across = _across(surface.points, axis)
    centre = (across[band].min(0) + across[band].max(0)) / 2
    return int(np.argmin(np.where(band, np.linalg.norm(across - centre, axis=-1), np.inf)))


def _slider(surface: _Surface, axis: Array, config: ContactConfig) -> int:
    """Index of the middle of what stands out of a blade's plane or of its edge beside the axis.

    The blade is most of the part's surface: its plane and its width are those of most points.
    A blade without a slider is held at its front.
    """
    points = surface.points
    flat = _across(surface.normals, axis)
    plane = np.linalg.eigh(flat.T @ flat)[1][:, -1]
    middle = points - np.median(points, axis=0)
    off = np.abs(middle @ plane)
    beside = np.abs(middle @ np.cross(axis, plane))
    factor, slack = config.blade_thickness
    blade = off <= factor * np.median(off) + slack
    best, highest = _front(surface, axis, config), config.min_slider
    for distance in (off, beside):
        height = float(distance.max() - np.percentile(distance[blade], config.blade_quantile))
        if height > highest:
            top = distance > distance.max() - config.slider_top * height
            gap = np.linalg.norm(points - points[top].mean(0), axis=-1)
            best, highest = int(np.argmin(np.where(top, gap, np.inf))), height
    return best


def _mean_normal(surface: _Surface, index: int, size: float, config: ContactConfig) -> Array:
    """Mean outward unit normal of the surface around a point, over what faces the same way."""
    distance = np.linalg.norm(surface.points - surface.points[index], axis=-1)
    near = (distance < config.normal_radius * size) & (
        surface.normals @ surface.normals[index] > config.normal_cosine)
    mean = surface.normals[near].mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12))


def _thin_direction(points: Array, index: int, axis: Array, up: Array, size: float,
                    config: ContactConfig) -> Array:
    """Unit direction across the axis in which the part is thinner around a point on its front.

    It is one of two: upward (or, for an upright axis, horizontal) and sideways. The first is taken
    if both are alike.
    """
    upward = _across(up, axis)
    if np.linalg.norm(upward) < config.upright:
        upward = _across(np.eye(3)[np.argmin(np.abs(axis))], axis)
    upward = upward / np.linalg.norm(upward)
    sideways = np.cross(upward, axis)
    at = points[index]
    local = points[(at - points) @ axis < config.thin_depth * size] - at
    local = local[np.linalg.norm(_across(local, axis), axis=-1) < config.thin_radius * size]
    tall, broad = (float(np.ptp(local @ d)) for d in (upward, sideways))
    return np.asarray(sideways if broad < config.thin_ratio * tall else upward)
