"""How far an estimate is from the truth: shape, pose, joint state and joint axis.

Definitions stand in docs/evaluation.md; names are those of ``evaluate --json``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import degrees, nan
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError, cKDTree

from kinediff3d_core.data.raycasting import raycasting_scene
from kinediff3d_core.geometry.kinematics import Joint, poses_in_base
from kinediff3d_core.geometry.rigid import rotation_angle, transform_points
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh, transform_mesh

SAMPLES = 30_000
"""Points drawn on a surface for one Chamfer distance."""

FAILED_DEG = 20.0
"""An estimate rotated by more than this counts as a failure."""

NAMED = 0.1
"""Modes with less weight are not counted as named."""

PARALLEL_DEG = 5.0
"""Below this angle two axis lines are measured at the true pivot, not where they pass."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Surface:
    """A part's surface in its part frame, metres.

    Attributes:
        mesh: triangles; distances are measured to them.
        pool: (M, 3) points on it to draw from, where not all of the mesh counts (inner walls);
            None draws on the triangles.
        area: m^2 of what counts; None takes the mesh's.
    """

    mesh: Mesh
    pool: Array | None = None
    area: float | None = None

    @cached_property
    def distance(self) -> MeshDistance:
        """Distance to the triangles, in the part's frame."""
        return MeshDistance(self.mesh)

    @cached_property
    def hull(self) -> Array:
        """(H, 3) vertices that the smallest sphere around the part touches."""
        return _hull(np.asarray(self.mesh.vertices, dtype=np.float64))

    @cached_property
    def box(self) -> tuple[Array, Array]:
        """Lower and upper corner (3,) of the mesh."""
        return self.mesh.vertices.min(0), self.mesh.vertices.max(0)

    @cached_property
    def areas(self) -> Array:
        """(F,) of the triangles."""
        return triangle_areas(self.mesh)

    @cached_property
    def weight(self) -> float:
        """Area that counts, m^2."""
        return float(self.areas.sum()) if self.area is None else self.area

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """n points (n, 3), uniform by area."""
        if self.pool is None:
            return sample_mesh(self.mesh, n, rng, self.areas)
        return self.pool[rng.choice(len(self.pool), n, replace=n > len(self.pool))]


@dataclass(frozen=True)
class Truth:
    """An object as it really stands in a view, metres and radians.

    Attributes:
        category: its name.
        part_names: K names, the base first.
        joint_names, joint_types, parents, children: J joints; part indices.
        T_camera_part: (K, 4, 4).
        positions: (J,) rad or m.
        origin, axis: (J, 3) in the parent's frame.
        surfaces: one a part, or None where shapes are not compared.
        centres: (K, 3) of the parts' boxes in their frames, where they are known.
    """

    category: str
    part_names: tuple[str, ...]
    joint_names: tuple[str, ...]
    joint_types: tuple[str, ...]
    parents: tuple[int, ...]
    children: tuple[int, ...]
    T_camera_part: Array
    positions: Array
    origin: Array
    axis: Array
    surfaces: tuple[Surface, ...] | None = None
    centres: Array | None = None


def triangle_areas(mesh: Mesh) -> Array:
    """Area (F,) of each triangle."""
    # Coordinate by coordinate: (F, 3, 3) corners and numpy's cross take five times as long.
    x, y, z = (column[mesh.faces.T] for column in
               np.ascontiguousarray(np.asarray(mesh.vertices, dtype=np.float64).T))
    (ux, uy, uz), (vx, vy, vz) = ([c[i] - c[0] for c in (x, y, z)] for i in (1, 2))
    return np.asarray(np.sqrt((uy * vz - uz * vy) ** 2 + (uz * vx - ux * vz) ** 2
                              + (ux * vy - uy * vx) ** 2) / 2)


def sample_mesh(mesh: Mesh, n: int, rng: np.random.Generator, areas: Array | None = None,
                ) -> Array:
    """n points (n, 3) on a mesh, uniform by area; ``areas`` (F,) saves working them out.

    Raises:
        ValueError: the mesh has no area.
    """
    area = triangle_areas(mesh) if areas is None else areas
    total = area.sum()
    if not total > 0:
        raise ValueError(f'mesh with {len(mesh.faces)} faces has no area to sample')
    at, u, v = rng.random((3, n))
    order = np.argsort(at)  # In the order of the triangles memory is read in turn.
    at, u, v = at[order], u[order, None], v[order, None]
    index = np.searchsorted(np.cumsum(area), at * total).clip(0, len(area) - 1)
    a, b, c = (np.asarray(mesh.vertices[corner], dtype=np.float64)
               for corner in mesh.faces[index].T)
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    return np.asarray(a + u * (b - a) + v * (c - a))


def bounding_radius(points: Array) -> float:
    """Radius of the smallest sphere around points (N, 3), by Badoiu and Clarkson (2003)."""
    hull = _hull(points)
    centre = hull.mean(0)
    square = (hull ** 2).sum(-1)
    for i in range(1, 1000):
        far = (square - hull @ (2 * centre)).argmax()  # Of |h - c|^2 less |c|^2.
        centre = centre + (hull[far] - centre) / (i + 1)
    return float(np.sqrt(((hull - centre) ** 2).sum(-1).max()))


def _hull(points: Array) -> Array:
    try:
        return np.asarray(points[ConvexHull(points).vertices])
    except QhullError:
        return points


def chamfer(a: Array, b: Array, radius: float) -> float:
    """Chamfer distance between points (N, 3) and (M, 3) in thousandths of ``radius``.

    The mean of both directions' mean nearest distance (not squared).
    """
    _, there, _, back = _both_ways(a, b)
    return _mean_of(there, back, radius)


def _mean_of(there: Array, back: Array, radius: float) -> float:
    """A Chamfer distance of both directions' distances (N,) and (M,)."""
    return float((there.mean() + back.mean()) / 2 * 1000 / radius)


def _both_ways(a: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    """Points (N, 3), their distances (N,) to the nearest of (M, 3), and the same the other way.

    Both sets come back with neighbours in space side by side: asking for their distances in that
    order takes half the time, here and of meshes.
    """
    trees = [cKDTree(p, leafsize=48, balanced_tree=False, compact_nodes=False) for p in (a, b)]
    a, b = (p[tree.indices] for p, tree in zip((a, b), trees, strict=True))
    return a, trees[1].query(a)[0], b, trees[0].query(b)[0]


class MeshDistance:
    """Unsigned distance from points to a mesh's triangles.

    Open3D's ray-casting scene where it can be imported. Otherwise the exact distance to the
    triangles of the eight nearest of many points drawn on the mesh.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.scene: Any = None
        try:
            self.scene = raycasting_scene([mesh])
        except ValueError:
            rng = np.random.default_rng(0)
            area = triangle_areas(mesh)
            count = 10 * SAMPLES
            index = np.searchsorted(np.cumsum(area), rng.random(count) * area.sum())
            index = index.clip(0, len(area) - 1)
            corner = np.asarray(mesh.vertices, dtype=np.float64)[mesh.faces]
            w = rng.dirichlet((1, 1, 1), count)
            points = np.einsum('nk,nkc->nc', w, corner[index])
            self.index = np.concatenate([index, np.arange(len(corner))])
            self.tree = cKDTree(np.concatenate([points, corner.mean(1)]))
            self.corner = corner

    def __call__(self, p: Array) -> Array:
        """Distances (N,) of points (N, 3)."""
        if self.scene is not None:
            query = np.ascontiguousarray(p, dtype=np.float32)
            return np.asarray(self.scene.compute_distance(query).numpy(), dtype=np.float64)
        best = np.full(len(p), np.inf)
        _, near = self.tree.query(p, k=8)
        for column in near.T:
            best = np.minimum(best, point_triangle_distance(p, self.corner[self.index[column]]))
        return best


def point_triangle_distance(p: Array, corner: Array) -> Array:
    """Distance (N,) of points (N, 3), each to its own triangle (N, 3, 3)."""
    a, b, c = corner[:, 0], corner[:, 1], corner[:, 2]
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=-1)
    safe = np.where(length > 0, length, 1.0)[:, None]
    height = ((p - a) * normal / safe).sum(-1)
    foot = p - height[:, None] * normal / safe
    inside = length > 0
    best = np.full(len(p), np.inf)
    for u, v in ((a, b), (b, c), (c, a)):
        edge = v - u
        inside &= (np.cross(edge, foot - u) * normal).sum(-1) >= 0
        t = ((p - u) * edge).sum(-1) / np.maximum((edge ** 2).sum(-1), 1e-30)
        best = np.minimum(best, np.linalg.norm(p - u - t.clip(0, 1)[:, None] * edge, axis=-1))
    return np.where(inside, np.abs(height), best)


def part_poses(truth: Truth, positions: Array) -> list[Array]:
    """T_base_part (4, 4) of every part of the true object at joint positions (J,)."""
    joints = [Joint(*joint, (0.0, 0.0, 1.0), 0.0, 0.0) for joint in zip(
        truth.joint_names, truth.joint_types, truth.parents, truth.children, strict=True)]
    return list(poses_in_base(joints, positions, truth.origin, truth.axis))


def estimated_part_poses(estimate: ArticulatedEstimate, positions: Mapping[str, float],
                         ) -> list[Array]:
    """T_base_part (4, 4) of every part of an estimate at joint positions by joint name."""
    poses = estimate.part_poses_at(np.array([positions.get(j.name, j.position)
                                             for j in estimate.joints]))
    return [poses[p.name] for p in estimate.parts]


def angle_deg(R: Array) -> float:
    """Angle of a rotation (3, 3), degrees."""
    return degrees(float(rotation_angle(np.eye(3), R)))


def line_distance(p: Array, u: Array, q: Array, v: Array) -> float:
    """Distance from the line through p along u to the line through q along v, unit directions.

    Lines less than ``PARALLEL_DEG`` apart pass each other at a place that says nothing about
    the joint; there it is the distance from p to the second line, which is never smaller.
    """
    normal = np.cross(u, v)
    sine = float(np.linalg.norm(normal))
    if sine < np.sin(np.radians(PARALLEL_DEG)):
        return float(np.linalg.norm(np.cross(q - p, v)))
    return float(abs((q - p) @ normal) / sine)


def pose_metrics(estimate: ArticulatedEstimate, truth: Truth) -> dict[str, float]:
    """Pose, joint state and axis errors; parts and joints are matched by name.

    Returns:
        rot_err_deg, trans_err_m (means over parts), joint_state_err (deg or m), axis_err_deg,
        axis_pos_err_m (revolute joints only) and, for categories with several joints,
        joints_missed and joints_invented.
    """
    estimated = {p.name: np.asarray(p.T_camera_part, dtype=np.float64) for p in estimate.parts}
    rotations, shifts = [], []
    for name, T in zip(truth.part_names, truth.T_camera_part, strict=True):
        if name in estimated:
            rotations.append(angle_deg(estimated[name][:3, :3].T @ T[:3, :3]))
            shifts.append(float(np.linalg.norm(estimated[name][:3, 3] - T[:3, 3])))
    joints = {j.name: j for j in estimate.joints}
    states, angles, distances = [], [], []
    for i, name in enumerate(truth.joint_names):
        if name not in joints:
            continue
        joint = joints[name]
        error = abs(joint.position - float(truth.positions[i]))
        states.append(error if truth.joint_types[i] == 'prismatic' else degrees(error))
        T_true, T_est = truth.T_camera_part[truth.parents[i]], estimated[joint.parent]
        u = T_true[:3, :3] @ truth.axis[i]
        v = T_est[:3, :3] @ np.asarray(joint.axis, dtype=np.float64)
        u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
        angles.append(degrees(float(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v))))
        if truth.joint_types[i] != 'prismatic':
            p = transform_points(T_true, truth.origin[i:i + 1])[0]
            pivot = transform_points(T_est, np.asarray(joint.origin)[None])[0]
            distances.append(line_distance(p, u, pivot, v))
    out = {'rot_err_deg': _mean(rotations), 'trans_err_m': _mean(shifts),
           'joint_state_err': _mean(states), 'axis_err_deg': _mean(angles)}
    if 'prismatic' not in truth.joint_types:
        out['axis_pos_err_m'] = _mean(distances)
    if len(truth.joint_names) > 1:
        out['joints_missed'] = float(len(set(truth.joint_names) - set(joints)))
        out['joints_invented'] = float(len(set(joints) - set(truth.joint_names)))
    return out


def shape_metrics(estimate: ArticulatedEstimate, truth: Truth, rng: np.random.Generator,
                  samples: int = SAMPLES) -> dict[str, float]:
    """Chamfer distances of the meshes of an estimate, in thousandths of the true object's radius.

    Shapes are compared in canonical frames at the true joint state (the pose and the state have
    metrics of their own): cd_w whole, assembled by each side's own joints in the base frame;
    cd_s base; cd_m moving parts, each in its frame. ``*_surface`` measure from the same points to
    the other side's triangles, which takes the sampling floor out; cd_floor is that floor.
    cd_posed compares both as they stand in the camera's frame.
    """
    if truth.surfaces is None:
        raise ValueError('the truth carries no surfaces to compare shapes with')
    surfaces = {p.name: Surface(p.mesh) for p in estimate.parts if p.mesh is not None}
    positions = dict(zip(truth.joint_names, truth.positions.tolist(), strict=True))
    placed = dict(zip([p.name for p in estimate.parts],
                      estimated_part_poses(estimate, positions), strict=True))
    radius = _radius(truth, truth.positions)
    out = _compare(truth, truth.positions, radius, surfaces, placed, rng, samples)
    posed = [np.asarray(p.T_camera_part, dtype=np.float64) for p in estimate.parts
             if p.mesh is not None]
    a = draw_points(list(surfaces.values()), posed, samples, rng)
    b = draw_points(truth.surfaces, list(truth.T_camera_part), samples, rng)
    out['cd_posed'] = chamfer(a, b, radius)
    poses = part_poses(truth, truth.positions)
    out['cd_floor'] = chamfer(draw_points(truth.surfaces, poses, samples, rng),
                              draw_points(truth.surfaces, poses, samples, rng), radius)
    return out


def generation_metrics(meshes_in_base: Sequence[Mesh], names: Sequence[str],
                       estimate: ArticulatedEstimate, truth: Truth, positions: Array,
                       rng: np.random.Generator, samples: int = SAMPLES,
                       parts: bool = True) -> dict[str, float]:
    """Chamfer distances of an object generated at new joint positions (J,) of the true object.

    Args:
        meshes_in_base: one a part in the base frame at the new state.
        names: their part names.
        estimate: whose joints say where the part frames are.
        parts: compare the parts one by one, too.

    Returns:
        cd_w, with ``parts`` cd_s and cd_m, and their ``_surface`` twins, as
        :func:`shape_metrics`.
    """
    if truth.surfaces is None:
        raise ValueError('the truth carries no surfaces to compare shapes with')
    by_name = dict(zip(truth.joint_names, positions.tolist(), strict=True))
    placed = dict(zip([p.name for p in estimate.parts],
                      estimated_part_poses(estimate, by_name), strict=True))
    surfaces = {name: Surface(transform_mesh(np.linalg.inv(placed[name]), mesh))
                for name, mesh in zip(names, meshes_in_base, strict=True)}
    return _compare(truth, positions, _radius(truth, positions), surfaces, placed, rng, samples,
                    parts)


def _compare(truth: Truth, positions: Array, radius: float, surfaces: Mapping[str, Surface],
             placed: Mapping[str, Array], rng: np.random.Generator, samples: int,
             parts: bool = True) -> dict[str, float]:
    """Both kinds of Chamfer distance, part by part in part frames and whole in the base frame."""
    assert truth.surfaces is not None
    out: dict[str, float] = {}
    moving: list[tuple[float, float]] = []
    for k, name in enumerate(truth.part_names if parts else ()):
        if name not in surfaces:
            continue
        mine, true = surfaces[name], truth.surfaces[k]
        a, there, b, back = _both_ways(mine.sample(samples, rng), true.sample(samples, rng))
        point = _mean_of(there, back, radius)
        surface = _mean_of(true.distance(a), mine.distance(b), radius)
        if k == 0:
            out['cd_s'], out['cd_s_surface'] = point, surface
        else:
            moving.append((point, surface))
    if parts:
        out['cd_m'] = _mean([m[0] for m in moving])
        out['cd_m_surface'] = _mean([m[1] for m in moving])

    whole, at = list(surfaces.values()), [placed[name] for name in surfaces]
    true_at = part_poses(truth, positions)
    a, there, b, back = _both_ways(draw_points(whole, at, samples, rng),
                                   draw_points(truth.surfaces, true_at, samples, rng))
    out['cd_w'] = _mean_of(there, back, radius)
    out['cd_w_surface'] = _mean_of(_distance(truth.surfaces, true_at, a, there),
                                   _distance(whole, at, b, back), radius)
    return out


def _distance(surfaces: Sequence[Surface], poses: Sequence[Array], p: Array, most: Array,
              ) -> Array:
    """Distance (N,) of points (N, 3) to the nearest of several posed surfaces.

    Args:
        most: (N,) it is no larger than this: a surface whose box is further off is not asked.
    """
    best = np.full(len(p), np.inf)
    for surface, T in zip(surfaces, poses, strict=True):
        local = transform_points(np.linalg.inv(T), p)
        low, high = surface.box
        apart = np.maximum(np.maximum(low - local, local - high), 0)
        near = np.linalg.norm(apart, axis=-1) <= np.minimum(most, best) + 1e-6
        if near.any():
            best[near] = np.minimum(best[near], surface.distance(local[near]))
    return best


def _radius(truth: Truth, positions: Array) -> float:
    assert truth.surfaces is not None
    return bounding_radius(np.concatenate([
        transform_points(T, s.hull) for T, s in zip(part_poses(truth, positions), truth.surfaces,
                                                    strict=True)]))


def draw_points(surfaces: Sequence[Surface], poses: Sequence[Array], n: int,
                rng: np.random.Generator) -> Array:
    """n points (n, 3) over several surfaces, shared out by area, each mapped by its pose."""
    weight = np.array([s.weight for s in surfaces])
    counts = rng.multinomial(n, weight / weight.sum())
    return np.concatenate([transform_points(T, s.sample(int(c), rng))
                           for s, T, c in zip(surfaces, poses, counts, strict=True)])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else nan


def mode_metrics(estimate: ArticulatedEstimate, truths: Sequence[Truth]) -> dict[str, float]:
    """How many modes an estimate names, and how near the nearest is to one of the truths.

    Returns:
        modes (those that weigh :data:`NAMED` or more, and the best), and of them
        rot_err_modes_deg, the smallest rotation error of the base.
    """
    poses = [estimate.T_camera_base,
             *(m.T_camera_base for m in estimate.modes[1:] if m.weight >= NAMED)]
    errors = [angle_deg(np.asarray(T, dtype=np.float64)[:3, :3].T @ t.T_camera_part[0][:3, :3])
              for T in poses for t in truths]
    return {'modes': float(len(poses)), 'rot_err_modes_deg': min(errors)}


def failed(metrics: Mapping[str, float] | None) -> bool:
    """Whether a sample counts as a failure: no estimate, or rotated beyond ``FAILED_DEG``."""
    return metrics is None or not metrics['rot_err_deg'] <= FAILED_DEG


def statistics(values: Sequence[float] | Array) -> dict[str, float]:
    """Mean, median, standard deviation and count of values (N,), N > 0."""
    return {'mean': float(np.mean(values)), 'median': float(np.median(values)),
            'std': float(np.std(values)), 'n': len(values)}


def summarise(records: Sequence[Mapping[str, float] | None]) -> dict[str, dict[str, float]]:
    """Mean, median, standard deviation and count of every metric over samples.

    Args:
        records: metrics of each sample, None where there was no estimate. Samples without an
            estimate count in failure_rate only; rotated ones count everywhere.
    """
    out: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(key for r in records if r is not None for key in r):
        values = np.array([r[name] for r in records if r is not None and name in r])
        values = values[np.isfinite(values)]
        if len(values):
            out[name] = statistics(values)
    if records:
        out['failure_rate'] = statistics([float(failed(r)) for r in records])
        if 'rot_err_modes_deg' in out:
            out['failure_rate_modes'] = statistics(
                [float(r is None or r['rot_err_modes_deg'] > FAILED_DEG) for r in records])
    return out
