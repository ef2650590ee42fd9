"""Chamfer distances between an estimated object and the true one (docs/evaluation.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from kinediff3d_core.data.surfaces import Surface, bounding_radius, draw_points
from kinediff3d_core.data.truth import Truth, part_poses
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.estimate import ArticulatedEstimate, Mesh, transform_mesh

Array = np.ndarray[Any, Any]

SAMPLES = 30_000
"""Points drawn on a surface for one Chamfer distance."""


@dataclass(frozen=True)
class NearestDistances:
    """Distances between two sets of points, in both directions.

    Both sets are in an order in which neighbours in space are side by side: distances of points in
    that order take half the time, here and to meshes.

    Attributes:
        a, b: points (N, 3) and (M, 3).
        a_to_b: (N,) of each of a to the nearest of b. b_to_a: (M,).
    """

    a: Array
    b: Array
    a_to_b: Array
    b_to_a: Array


def nearest_distances(a: Array, b: Array) -> NearestDistances:
    """Distances between points (N, 3) and (M, 3), in both directions."""
    trees = [cKDTree(p, leafsize=48, balanced_tree=False, compact_nodes=False) for p in (a, b)]
    a, b = (p[tree.indices] for p, tree in zip((a, b), trees, strict=True))
    return NearestDistances(a, b, trees[1].query(a)[0], trees[0].query(b)[0])


def chamfer(a: Array, b: Array, radius: float) -> float:
    """Chamfer distance between points (N, 3) and (M, 3) in thousandths of ``radius``.

    The mean of both directions' mean nearest distance (not squared).
    """
    near = nearest_distances(a, b)
    return chamfer_of(near.a_to_b, near.b_to_a, radius)


def chamfer_of(a_to_b: Array, b_to_a: Array, radius: float) -> float:
    """The Chamfer distance of both directions' distances (N,) and (M,)."""
    return float((a_to_b.mean() + b_to_a.mean()) / 2 * 1000 / radius)


@dataclass(frozen=True)
class AssembledShape:
    """An estimated object in its base frame.

    Attributes:
        surfaces: by part, in part frames; parts without a mesh are missing.
        poses: T_base_part (4, 4) by part.
    """

    surfaces: dict[str, Surface]
    poses: dict[str, Array]


def estimated_shape(estimate: ArticulatedEstimate, truth: Truth) -> AssembledShape:
    """The meshes of an estimate, assembled by its own joints at the true joint positions."""
    surfaces = {p.name: Surface(p.mesh) for p in estimate.parts if p.mesh is not None}
    return AssembledShape(surfaces, _poses_at(estimate, truth, truth.positions))


def generated_shape(meshes_in_base: Mapping[str, Mesh], estimate: ArticulatedEstimate,
                    truth: Truth, positions: Array) -> AssembledShape:
    """Meshes that were generated in the base frame at joint positions (J,) of the true object.

    Args:
        estimate: its joints give the part frames.
    """
    poses = _poses_at(estimate, truth, positions)
    return AssembledShape({name: Surface(transform_mesh(np.linalg.inv(poses[name]), mesh))
                           for name, mesh in meshes_in_base.items()}, poses)


def _poses_at(estimate: ArticulatedEstimate, truth: Truth, positions: Array) -> dict[str, Array]:
    """T_base_part (4, 4) of an estimate's parts at positions (J,) of the true object's joints.

    Joints that the object does not have stay where they are estimated.
    """
    by_name = dict(zip(truth.joint_names, positions.tolist(), strict=True))
    return estimate.part_poses_at(np.array([by_name.get(j.name, j.position)
                                            for j in estimate.joints]))


@dataclass(frozen=True)
class ShapeComparison:
    """Compares shapes with the true object at given joint positions.

    Attributes:
        positions: (J,) of the true object.
        samples: points drawn on a surface for one Chamfer distance.

    Raises:
        ValueError: the truth has no surfaces.
    """

    truth: Truth
    positions: Array
    rng: np.random.Generator
    samples: int = SAMPLES

    def __post_init__(self) -> None:
        if self.truth.surfaces is None:
            raise ValueError('the truth carries no surfaces to compare shapes with')

    @property
    def surfaces(self) -> tuple[Surface, ...]:
        """The true surfaces, in part frames."""
        assert self.truth.surfaces is not None
        return self.truth.surfaces

    @cached_property
    def poses(self) -> list[Array]:
        """T_base_part (4, 4) of the true parts."""
        return part_poses(self.truth, self.positions)

    @cached_property
    def radius(self) -> float:
        """Of the true object's smallest sphere, m."""
        return bounding_radius(np.concatenate([
            transform_points(T, s.hull) for T, s in zip(self.poses, self.surfaces, strict=True)]))

    def parts(self, shape: AssembledShape) -> dict[str, float]:
        """cd_s (base) and cd_m (mean of moving parts), each in its part frame.

        ``*_surface`` measure from the same points to the other side's triangles.
        """
        out: dict[str, float] = {}
        moving: list[tuple[float, float]] = []
        for k, name in enumerate(self.truth.part_names):
            if name not in shape.surfaces:
                continue
            ours, true = shape.surfaces[name], self.surfaces[k]
            near = nearest_distances(ours.sample(self.samples, self.rng),
                                     true.sample(self.samples, self.rng))
            points = chamfer_of(near.a_to_b, near.b_to_a, self.radius)
            surface = chamfer_of(true.distance(near.a), ours.distance(near.b), self.radius)
            if k == 0:
                out['cd_s'], out['cd_s_surface'] = points, surface
            else:
                moving.append((points, surface))
        for column, name in enumerate(('cd_m', 'cd_m_surface')):
            out[name] = float(np.mean([m[column] for m in moving])) if moving else nan
        return out

    def whole(self, shape: AssembledShape) -> dict[str, float]:
        """cd_w and cd_w_surface, of all parts in the base frame."""
        surfaces, poses = list(shape.surfaces.values()), [shape.poses[n] for n in shape.surfaces]
        near = nearest_distances(draw_points(surfaces, poses, self.samples, self.rng),
                                 draw_points(self.surfaces, self.poses, self.samples, self.rng))
        return {'cd_w': chamfer_of(near.a_to_b, near.b_to_a, self.radius),
                'cd_w_surface': chamfer_of(
                    distance_to_surfaces(self.surfaces, self.poses, near.a, near.a_to_b),
                    distance_to_surfaces(surfaces, poses, near.b, near.b_to_a), self.radius)}


def shape_metrics(estimate: ArticulatedEstimate, truth: Truth, rng: np.random.Generator,
                  samples: int = SAMPLES) -> dict[str, float]:
    """Chamfer distances of the meshes of an estimate, in thousandths of the true object's radius.

    Shapes are compared in canonical frames at the true joint state, since the pose and the state
    have metrics of their own. Each side is assembled by its own joints.

    Returns:
        cd_s, cd_m, cd_w and their ``_surface`` variants as :class:`ShapeComparison` has them;
        ``_surface`` has no sampling floor. cd_floor: that floor. cd_posed: of both sides in their
        poses in the camera's frame.

    Raises:
        ValueError: the truth has no surfaces.
    """
    comparison = ShapeComparison(truth, truth.positions, rng, samples)
    shape = estimated_shape(estimate, truth)
    out = comparison.parts(shape) | comparison.whole(shape)
    posed = [np.asarray(p.T_camera_part, dtype=np.float64) for p in estimate.parts
             if p.mesh is not None]
    a = draw_points(list(shape.surfaces.values()), posed, samples, rng)
    b = draw_points(comparison.surfaces, list(truth.T_camera_part), samples, rng)
    out['cd_posed'] = chamfer(a, b, comparison.radius)
    out['cd_floor'] = chamfer(
        draw_points(comparison.surfaces, comparison.poses, samples, rng),
        draw_points(comparison.surfaces, comparison.poses, samples, rng), comparison.radius)
    return out


def generation_metrics(meshes_in_base: Mapping[str, Mesh], estimate: ArticulatedEstimate,
                       comparison: ShapeComparison) -> dict[str, float]:
    """Chamfer distances of an object generated at the comparison's joint positions.

    Args:
        meshes_in_base: by part, in the base frame at those positions.
        estimate: its joints give the part frames.

    Returns:
        cd_s, cd_m, cd_w and their ``_surface`` variants, as in :func:`shape_metrics`.
    """
    shape = generated_shape(meshes_in_base, estimate, comparison.truth, comparison.positions)
    return comparison.parts(shape) | comparison.whole(shape)


def distance_to_surfaces(surfaces: Sequence[Surface], poses: Sequence[Array], p: Array,
                         bound: Array) -> Array:
    """Distance (N,) of points (N, 3) to the nearest of several posed surfaces.

    Args:
        bound: (N,) no distance is larger than this: surfaces whose box is farther are skipped.
    """
    best = np.full(len(p), np.inf)
    for surface, T in zip(surfaces, poses, strict=True):
        local = transform_points(np.linalg.inv(T), p)
        low, high = surface.box
        apart = np.maximum(np.maximum(low - local, local - high), 0)
        near = np.linalg.norm(apart, axis=-1) <= np.minimum(bound, best) + 1e-6
        if near.any():
            best[near] = np.minimum(best[near], surface.distance(local[near]))
    return best
