"""Part-centric baseline after A-NCSH (Li et al., CVPR 2020): parts first, then joints.

A head on the score model's encoder tells each point's part and its coordinates in that part's
frame (:mod:`kinediff3d_core.networks.part_coordinates`). RANSAC and Umeyama's least squares pose
each part on its own. Joints follow from the poses of parent and child. There is no shape.
docs/evaluation.md names the differences to A-NCSH.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import roma
import torch
from torch import Tensor

from kinediff3d_core.evaluation.samples import Sample
from kinediff3d_core.geometry.kinematics import joint_transform, joint_units
from kinediff3d_core.geometry.rigid import cross_vector, invert_transform, make_transform
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.inference.result import to_metres
from kinediff3d_core.networks.part_coordinates import PartCoordinates, PointVotes
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
    """RANSAC of one part's pose."""

    hypotheses: int = 500
    """Hypotheses from three random points each (A-NCSH: 10,000). Chosen: with 40 % outliers, all
    of them contain one with a probability below 1e-50."""
    inlier: float = 0.1
    """A point is an inlier below this distance, canonical units. A-NCSH's, in its own units. On 24
    laptops (seed 3), 0.03 to 0.2 change the mean rotation error by less than 0.2 degrees."""
    least_points: int = 12
    """A moving part with fewer points is not posed. Chosen."""


@torch.no_grad()
def part_centric(head: PartCoordinates, pipeline: Pipeline, sample: Sample, mesh: bool = True,
                 seed: int = 0) -> ArticulatedEstimate:
    """Pose and joints from the votes of a trained head; ``mesh`` has no effect.

    Raises:
        NoEstimate: too few points, of the object or of its base.
    """
    generator = torch.Generator(pipeline.device).manual_seed(seed)
    view = pipeline.prepare_view(generator, depth=sample.depth, intrinsics=sample.intrinsics,
                                 mask=sample.mask)
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
    then left out.

    Args:
        points: (N, 3) camera frame, canonical units.
        votes: of the points, without a batch axis.
        typical: joints (J) of the training set.
        generator: on the points' device.

    Raises:
        NoEstimate: too few points on the base.
    """
    label = votes.part.argmax(-1)
    poses: list[Tensor | None] = []
    for k in range(len(category.parts)):
        own = label == k
        enough = int(own.sum()) >= (config.least_points if k else SAMPLE)
        poses.append(ransac_motion(votes.coordinates[own, k], points[own], generator, config)
                     if enough else None)
    if poses[0] is None:
        raise NoEstimate(f'no pose of a {category.name}: fewer than {SAMPLE} points are on its '
                         f'{category.parts[0]}; a view that shows more of it would help')
    joints = []
    for i, joint in enumerate(category.joints):
        parent, child = poses[joint.parent], poses[joint.child]
        if parent is None or (child is None and category.optional_parts and joint.child > 1):
            continue
        if child is None:
            q, origin, axis = (x[i] for x in (typical.q, typical.origin, typical.axis))
            moved = joint_transform(joint.joint_type, axis, q)
            poses[joint.child] = parent @ make_transform(moved[:3, :3], moved[:3, 3] + origin)
        else:
            relative = invert_transform(parent) @ child
            rest = _rest(category, votes, label, joint.child)
            q, origin, axis = joint_between(relative, axis_of(category, i, relative), rest)
        joints.append(_joint(category, i, q, origin, axis))
    return _estimate(category, poses, tuple(joints), points)


def axis_of(category: Category, i: int, like: Tensor) -> Tensor:
    """Direction (3,) of joint i in the parent's frame, of the kind of another tensor."""
    return torch.tensor(category.joints[i].axis, dtype=like.dtype, device=like.device)


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


def ransac_motion(source: Tensor, target: Tensor, generator: torch.Generator,
                  config: RansacConfig = RansacConfig()) -> Tensor:
    """The rigid motion T (4, 4) of most points: ``target = T source`` within the inlier distance.

    The best of many motions of three points each, fitted again to its inliers.

    Args:
        source, target: (N, 3), N >= 3. generator: on their device.
    """
    n = len(source)
    pick = torch.rand(config.hypotheses, n, generator=generator, device=source.device)
    pick = pick.topk(SAMPLE, dim=1).indices
    R, t = roma.rigid_points_registration(source[pick], target[pick])
    error = (source @ R.transpose(-1, -2) + t[:, None] - target).norm(dim=-1)
    inliers = error < config.inlier
    best = inliers[inliers.sum(1).argmax()]
    if int(best.sum()) < SAMPLE:
        best = torch.ones_like(best)
    R, t = roma.rigid_points_registration(source[best], target[best])
    return make_transform(R, t)


def _rest(category: Category, votes: PointVotes, label: Tensor, child: int) -> Tensor | None:
    """Where a prismatic child is at rest: the median of its points' votes; None if revolute."""
    sliding = [j.child for j in category.joints if j.joint_type == 'prismatic']
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


def _estimate(category: Category, poses: list[Tensor | None], joints: tuple[JointEstimate, ...],
              points: Tensor) -> ArticulatedEstimate:
    """The estimate of parts and joints; what needs a shape or a distribution is NaN."""
    parts = tuple(PartEstimate(name, to_metres(T, category.scale))
                  for name, T in zip(category.parts, poses, strict=True) if T is not None)
    mode = Mode(1.0, parts[0].T_camera_part, np.array([j.position for j in joints]), np.nan)
    return ArticulatedEstimate(category.name, parts, joints, np.full((6, 6), np.nan), np.nan,
                               np.nan, (mode,), np.zeros(0),
                               points.double().cpu().numpy() * category.scale)
