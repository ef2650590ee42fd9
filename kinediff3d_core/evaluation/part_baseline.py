"""Part-centric baseline after A-NCSH (Li et al., CVPR 2020): parts first, then joints.

A head on the score model's encoder tells each point's part and its coordinates in that part's
frame (:mod:`kinediff3d_core.networks.part_coordinates`). RANSAC finds the inliers of each part.
Umeyama's least squares pose the parts under the constraint of their joints. Joint positions and
pivots follow from the poses of parent and child. There is no shape. docs/evaluation.md names the
differences to A-NCSH.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import roma
import torch
from torch import Tensor

from kinediff3d_core.evaluation.evaluate import prepared_view
from kinediff3d_core.evaluation.samples import Sample
from kinediff3d_core.geometry.kinematics import Joint, joint_transform, joint_units
from kinediff3d_core.geometry.rigid import cross_vector, invert_transform, make_transform
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.result import to_metres
from kinediff3d_core.networks.part_coordinates import (
    PartCoordinates,
    PointVotes,
    sliding_parts,
)
from kinediff3d_core.networks.score import State, unpack_state
from kinediff3d_core.objects.category import Category
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mode,
    NoEstimate,
    PartEstimate,
)

SAMPLE = 3
"""Points that determine a rigid motion; a hypothesis of RANSAC, and the least of a base."""


@dataclass(frozen=True)
class RansacConfig:
    """RANSAC of one part's pose, and the fit of all poses."""

    hypotheses: int = 500
    """Hypotheses from three random points each (A-NCSH: 10,000). Chosen: with 40 % outliers, the
    probability that each of them has an outlier is below 1e-50."""
    inlier: float = 0.1
    """A point is an inlier below this distance, canonical units. A-NCSH's, in its own units. On 24
    laptops (seed 3), 0.03 to 0.2 change the mean rotation error by less than 0.2 degrees."""
    least_points: int = 12
    """A moving part with fewer points is not posed. Chosen."""
    rounds: int = 100
    """Rounds of the rotations under the constraint of the joints. A-NCSH's."""


@torch.no_grad()
def part_centric(head: PartCoordinates, pipeline: Pipeline, sample: Sample, mesh: bool = True,
                 seed: int = 0) -> ArticulatedEstimate:
    """Pose and joints from the votes of a trained head; ``mesh`` has no effect.

    Raises:
        NoEstimate: too few points, of the object or of its base.
    """
    generator, view = prepared_view(pipeline, sample, seed)
    net, cloud = pipeline.pose, view.network_clouds[:1]
    centroid = cloud[0].mean(0)
    votes = head(view.points[None] - centroid, *net.encode_tokens(cloud - centroid))
    votes = PointVotes(votes.part[0], votes.coordinates[0], votes.rest[0])
    return estimate_from_votes(pipeline.category, view.points, votes,
                               unpack_state(net.mean, centroid), generator)


def estimate_from_votes(category: Category, points: Tensor, votes: PointVotes, typical: State,
                        generator: torch.Generator, config: RansacConfig = RansacConfig(),
                        ) -> ArticulatedEstimate:
    """The object whose parts are posed by the votes of their points, without meshes.

    Moving parts that are not posed are at the typical position of their joints. Optional ones are
    then left out, unless an object has one of them at least: then it is the one with most points.

    Args:
        points: (N, 3) camera frame, canonical units.
        votes: of the points, without a batch axis.
        typical: joints (J) of the training set.
        generator: on the points' device.

    Raises:
        NoEstimate: too few points on the base.
    """
    label = votes.part.argmax(-1)
    matches: dict[int, Matches] = {}
    for k in range(len(category.parts)):
        own = label == k
        if int(own.sum()) >= (config.least_points if k else SAMPLE):
            found = Matches(votes.coordinates[own, k], points[own])
            matches[k] = found[ransac_inliers(found, generator, config)]
    if 0 not in matches:
        raise NoEstimate(f'no pose of a {category.name}: fewer than {SAMPLE} points are on its '
                         f'{category.parts[0]}; a view that shows more of it would help')
    poses = fit_poses(category.joints, matches, config.rounds)
    missing = _missing_parts(category, label, matches)
    joints = []
    for i, joint in enumerate(category.joints):
        if joint.parent not in poses or joint.child in missing:
            continue
        parent = poses[joint.parent]
        if joint.child in poses:
            rest = _rest(category, votes, label, joint.child)
            q, origin, axis = joint_between(invert_transform(parent) @ poses[joint.child],
                                            parent.new_tensor(joint.axis), rest)
        else:
            q, origin, axis = (x[i] for x in (typical.q, typical.origin, typical.axis))
            moved = joint_transform(joint.joint_type, axis, q)
            poses[joint.child] = parent @ make_transform(moved[:3, :3], moved[:3, 3] + origin)
        joints.append(_joint(category, i, q, origin, axis))
    return _estimate(category, poses, tuple(joints), points)


def _missing_parts(category: Category, label: Tensor, found: Collection[int]) -> set[int]:
    """The optional parts that are not found; but not all, if each object has one of them."""
    missing = {k for k in category.optional_parts if k not in found}
    if any(missing.isdisjoint(chosen) for chosen in category.possible_sets):
        return missing
    seen = max(category.possible_sets, key=lambda kept: sum(
        int((label == k).sum()) for k in kept) / len(kept))
    return missing - set(seen)


@dataclass(frozen=True)
class Matches:
    """Points of one part: source (N, 3) in its frame, target (N, 3) in the camera frame."""

    source: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, which: Tensor) -> Matches:
        return Matches(self.source[which], self.target[which])


def ransac_inliers(matches: Matches, generator: torch.Generator,
                   config: RansacConfig = RansacConfig()) -> Tensor:
    """The inliers (N) bool of the best of many rigid motions of three matches each.

    Where no motion has three inliers, all matches are.

    Args:
        matches: N >= 3. generator: on their device.
    """
    source, target = matches.source, matches.target
    pick = torch.rand(config.hypotheses, len(source), generator=generator, device=source.device)
    pick = pick.topk(SAMPLE, dim=1).indices
    R, t = roma.rigid_points_registration(source[pick], target[pick])
    error = (source @ R.transpose(-1, -2) + t[:, None] - target).norm(dim=-1)
    inliers = error < config.inlier
    best = inliers[inliers.sum(1).argmax()]
    return best if int(best.sum()) >= SAMPLE else torch.ones_like(best)


def fit_poses(joints: Sequence[Joint], matches: Mapping[int, Matches], rounds: int,
              ) -> dict[int, Tensor]:
    """Poses (4, 4) of parts by least squares: ``target = T source``, and joints keep their axes.

    Umeyama's method without scale. The axis of a revolute joint has one direction in the frames of
    both its parts, and a prismatic joint leaves all directions alike. Each direction counts as one
    more match of a part, with the direction of the other part as its target, as often as the part
    with fewer points has points. The rotations are solved in turn, as by the alternating solver
    that A-NCSH's code has beside Levenberg-Marquardt.

    Args:
        joints: of all parts. matches: by the index of the part.
        rounds: of the rotations; 0 leaves the parts on their own.
    """
    covariance = {k: (m.target - m.target.mean(0)).T @ (m.source - m.source.mean(0))
                  for k, m in matches.items()}
    R = {k: roma.special_procrustes(c) for k, c in covariance.items()}
    for k in [k for _ in range(rounds) for k in matches]:
        total = covariance[k].clone()
        for joint in joints:
            if k in (joint.parent, joint.child) and {joint.parent, joint.child} <= R.keys():
                other = joint.child if k == joint.parent else joint.parent
                axis = total.new_tensor(joint.axis)
                kept = torch.outer(axis, axis) if joint.joint_type == 'revolute' else \
                    torch.eye(3, dtype=total.dtype, device=total.device)
                total += min(len(matches[k]), len(matches[other])) * R[other] @ kept
        R[k] = roma.special_procrustes(total)
    return {k: make_transform(R[k], m.target.mean(0) - R[k] @ m.source.mean(0))
            for k, m in matches.items()}


def joint_between(T_parent_child: Tensor, axis: Tensor, rest: Tensor | None,
                  ) -> tuple[Tensor, Tensor, Tensor]:
    """Position, pivot (3,) and direction (3,) in the parent's frame of the joint of two poses.

    A revolute joint's pivot is the origin of the child's frame. Its position is the angle about
    the axis whose rotation is nearest to that of the child.

    Args:
        T_parent_child: (4, 4).
        axis: (3,) of the category.
        rest: (3,) pivot of a prismatic joint; None for a revolute one.
    """
    R, t = T_parent_child[:3, :3], T_parent_child[:3, 3]
    direction = R @ axis
    if rest is not None:
        return axis @ (t - rest), rest, direction
    sine = 2 * axis @ cross_vector(R)
    cosine = R.diagonal().sum() - axis @ direction
    return torch.atan2(sine, cosine), t, direction


def _rest(category: Category, votes: PointVotes, label: Tensor, child: int) -> Tensor | None:
    """Where a prismatic child is at rest: the median of its points' votes; None if revolute."""
    sliding = sliding_parts(category)
    if child not in sliding:
        return None
    return votes.rest[label == child, sliding.index(child)].median(0).values


def _joint(category: Category, i: int, q: Tensor, origin: Tensor, axis: Tensor) -> JointEstimate:
    """Joint i of a category, from canonical units; its standard deviation is not known."""
    j, scale = category.joints[i], category.scale
    direction = torch.nn.functional.normalize(axis.double(), dim=-1).cpu().numpy()
    return JointEstimate(j.name, j.joint_type, category.parts[j.parent], category.parts[j.child],
                         origin.double().cpu().numpy() * scale, direction,
                         float(q) * float(joint_units((j,), scale)), j.lower, j.upper, np.nan)


def _estimate(category: Category, poses: Mapping[int, Tensor], joints: tuple[JointEstimate, ...],
              points: Tensor) -> ArticulatedEstimate:
    """The estimate of parts and joints; what needs a shape or a distribution is NaN."""
    parts = tuple(PartEstimate(category.parts[k], to_metres(poses[k], category.scale))
                  for k in sorted(poses))
    mode = Mode(1.0, parts[0].T_camera_part, np.array([j.position for j in joints]), np.nan)
    return ArticulatedEstimate(category.name, parts, joints, np.full((6, 6), np.nan), np.nan,
                               np.nan, (mode,), np.zeros(0),
                               points.double().cpu().numpy() * category.scale)
