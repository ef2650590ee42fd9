"""Chamfer distances between an estimated object and the true one (docs/evaluation.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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


def chamfer(near: NearestDistances, radius: float) -> float:
    """A-SDF's Chamfer distance: the sum of both directions' mean *squared* nearest distances.

    In thousandths of the square of ``radius``. Source: ``asdf/metrics/chamfer.py`` of A-SDF (Mu et
    al., ICCV 2021).
    """
    return 1000 * float((near.a_to_b ** 2).mean() + (near.b_to_a ** 2).mean()) / radius ** 2


def chamfer_l1(a_to_b: Array, b_to_a: Array, radius: float) -> float:
    """The mean of both directions' mean nearest distances (N,) and (M,), in thousandths of
    ``radius``."""
    return 1000 * float(a_to_b.mean() + b_to_a.mean()) / 2 / radius


PosedSurfaces = tuple[Sequence[Surface], Sequence[Array]]
"""Surfaces, and the pose (4, 4) of each."""


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

    def parts(self, shape: AssembledShape, to_surface: bool = True) -> dict[str, float]:
        """``cd_s`` (base) and ``cd_m`` (mean of moving parts), each in its part frame.

        Args:
            to_surface: give the ``_surface`` variants, too.

        Returns:
            :func:`chamfer` as ``cd_*``, :func:`chamfer_l1` as ``cd_l1_*``, and that of the same
            points to the other side's triangles as ``cd_l1_*_surface``. Parts without a mesh are
            left out.
        """
        values: dict[str, list[float]] = {}
        for k, name in enumerate(self.truth.part_names):
            if name in shape.surfaces:
                scores = self._scores('m' if k else 's', ([shape.surfaces[name]], [np.eye(4)]),
                                      ([self.surfaces[k]], [np.eye(4)]), to_surface)
                for metric, value in scores.items():
                    values.setdefault(metric, []).append(value)
        return {metric: float(np.mean(v)) for metric, v in values.items()}

    def whole(self, shape: AssembledShape, to_surface: bool = True) -> dict[str, float]:
        """``cd_w`` of all parts in the base frame, with the variants of :meth:`parts`."""
        ours = list(shape.surfaces.values()), [shape.poses[n] for n in shape.surfaces]
        return self._scores('w', ours, (self.surfaces, self.poses), to_surface)

    def between(self, suffix: str, a: PosedSurfaces, b: PosedSurfaces,
                ) -> tuple[dict[str, float], NearestDistances]:
        """``cd_<suffix>`` and ``cd_l1_<suffix>`` of points drawn on two sides, and the points."""
        near = nearest_distances(draw_points(*a, self.samples, self.rng),
                                 draw_points(*b, self.samples, self.rng))
        return {f'cd_{suffix}': chamfer(near, self.radius),
                f'cd_l1_{suffix}': chamfer_l1(near.a_to_b, near.b_to_a, self.radius)}, near

    def _scores(self, suffix: str, ours: PosedSurfaces, true: PosedSurfaces, to_surface: bool,
                ) -> dict[str, float]:
        out, near = self.between(suffix, ours, true)
        if to_surface:
            out[f'cd_l1_{suffix}_surface'] = chamfer_l1(
                distance_to_surfaces(*true, near.a, near.a_to_b),
                distance_to_surfaces(*ours, near.b, near.b_to_a), self.radius)
        return out


def shape_metrics(estimate: ArticulatedEstimate, truth: Truth, rng: np.random.Generator,
                  samples: int = SAMPLES) -> dict[str, float]:
    """Chamfer distances of the meshes of an estimate.

    Shapes are compared in canonical frames at the true joint state, since the pose and the state
    have metrics of their own. Each side is assembled by its own joints.

    Returns:
        ``cd_s``, ``cd_m``, ``cd_w`` and their variants as :class:`ShapeComparison` has them;
        ``cd_posed`` of both sides in their poses in the camera frame, where the true poses are
        known; ``cd_floor`` of two draws of points from the true surface. These two also as
        ``cd_l1_*``.

    Raises:
        ValueError: the truth has no surfaces.
    """
    comparison = ShapeComparison(truth, truth.positions, rng, samples)
    shape = estimated_shape(estimate, truth)
    out = comparison.parts(shape) | comparison.whole(shape)
    if np.isfinite(truth.T_camera_part).all():
        posed = [np.asarray(p.T_camera_part, dtype=np.float64) for p in estimate.parts
                 if p.mesh is not None]
        out |= comparison.between('posed', (list(shape.surfaces.values()), posed),
                                  (comparison.surfaces, list(truth.T_camera_part)))[0]
    true = comparison.surfaces, comparison.poses
    return out | comparison.between('floor', true, true)[0]


def generation_metrics(meshes_in_base: Mapping[str, Mesh], estimate: ArticulatedEstimate,
                       comparison: ShapeComparison) -> dict[str, float]:
    """Chamfer distances of an object generated at the comparison's joint positions.

    Args:
        meshes_in_base: by part, in the base frame at those positions.
        estimate: its joints give the part frames.

    Returns:
        ``cd_s``, ``cd_m``, ``cd_w``, their ``cd_l1_*``, and ``cd_l1_w_surface``, as in
        :func:`shape_metrics`.
    """
    shape = generated_shape(meshes_in_base, estimate, comparison.truth, comparison.positions)
    return comparison.parts(shape, to_surface=False) | comparison.whole(shape)


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
