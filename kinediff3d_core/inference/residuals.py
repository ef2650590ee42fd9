"""Residuals of eq. 9: a posed shape against one view, each with its derivatives.

Three residuals compare the shape with the view: the signed distance of each observed point,
intrusion of the object into observed free space, and surface where none may be. Two more are the
Gaussian priors of pose and code. H hypotheses are evaluated side by side, in canonical units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.geometry.kinematics import forward_kinematics, kinematic_tree
from kinediff3d_core.geometry.rigid import to_part_frames, transform_points
from kinediff3d_core.inference.cancellation import check_cancelled
from kinediff3d_core.inference.cuda_graphs import Graphs
from kinediff3d_core.inference.presets import FitScoreConfig
from kinediff3d_core.inference.shape import Shape
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.observation.free_space import Observation, free_distance

FIT_SCORE = FitScoreConfig()
"""The fit score's configuration where none is given."""


@dataclass(frozen=True)
class Problem:
    """The data to which poses and joints are fitted.

    Attributes:
        shape: gives the distances.
        field: (H) decoded shapes, or one for all hypotheses.
        observation: what the view shows.
        surface: (H, K, S, 3) surface samples in part frames, or (1, K, S, 3).
    """

    shape: Shape
    field: Field
    observation: Observation
    surface: Tensor


@dataclass(frozen=True)
class PointResiduals:
    """Residuals that are a function of a distance at one point each.

    Attributes:
        value: (H, N) canonical units.
        factor: (H, N) derivative of the value by the distance at a point that its part carries.
        points: (H, N, 3) camera frame.
        gradient: (H, N, 3) of the distance, camera frame.
        part: (H, N) index of the part that each residual depends on.
    """

    value: Tensor
    factor: Tensor
    points: Tensor
    gradient: Tensor
    part: Tensor

    @classmethod
    def concatenate(cls, residuals: Sequence[PointResiduals]) -> PointResiduals:
        """All residuals, in order."""
        return cls(*(torch.cat([getattr(r, f.name) for r in residuals], dim=1)
                     for f in fields(cls)))

    def motion_jacobian(self, shape: Shape, poses: Tensor, axis: Tensor, centre: Tensor) -> Tensor:
        """d value / d(twist about ``centre``, q): (H, N, 6 + J)."""
        tree = kinematic_tree(shape.category.joints, poses.device)
        return tree.motion_jacobian(poses, axis, centre, self.points, self.gradient,
                                    self.part) * self.factor[..., None]

    def layout_jacobian(self, shape: Shape, field: Field, poses: Tensor) -> Tensor:
        """d value / d(layout), in the order of :func:`pack_layout`: (H, N, 6 K + 3 J)."""
        return layout_jacobian(shape, field, poses, self.points, self.gradient,
                               self.part) * self.factor[..., None]


@dataclass(frozen=True)
class QuadraticTerm:
    """A cost and its second-order model in the unknowns (n), by hypothesis.

    Attributes: cost (H); gradient (H, n), half of the cost's; hessian (H, n, n), half of it.
    """

    cost: Tensor
    gradient: Tensor
    hessian: Tensor


def view_residuals(problem: Problem, poses: Tensor, targets: Tensor, surface_scale: float,
                   ) -> PointResiduals:
    """The three residuals of a view: (H, N + M + K S).

    Args:
        poses: (H, K, 4, 4).
        targets: (N + M, 3) observed points, then points in free space: one query serves both.
        surface_scale: see :func:`surface_residual`.
    """
    n = len(problem.observation.points)
    distance, gradient, part = union_distance(problem.shape, problem.field, poses, targets)
    points = targets.expand(len(poses), -1, -1)
    return PointResiduals.concatenate([
        observed_point_residual(distance[:, :n], points[:, :n], gradient[:, :n], part[:, :n]),
        free_space_residual(distance[:, n:], points[:, n:], gradient[:, n:], part[:, n:]),
        surface_residual(problem.observation, poses, problem.surface, problem.field.exists,
                         surface_scale)])


def observed_point_residual(distance: Tensor, points: Tensor, gradient: Tensor, part: Tensor,
                            ) -> PointResiduals:
    """Signed distance of the observed points to the object: zero where they lie on it (eq. 9).

    The points are fixed while the parts move, so the distance changes by minus its gradient
    times the motion of the part.

    Args:
        distance, gradient, part: of :func:`union_distance` at the points (H, N, 3).
    """
    return PointResiduals(distance, torch.full_like(distance, -1.0), points, gradient, part)


def free_space_residual(distance: Tensor, points: Tensor, gradient: Tensor, part: Tensor,
                        ) -> PointResiduals:
    """Depth of points in observed free space inside the object; zero where they are outside.

    Args:
        distance, gradient, part: of :func:`union_distance` at the points (H, M, 3).
    """
    inside = distance < 0
    return PointResiduals(distance * inside, inside.float().neg(), points, gradient, part)


def surface_residual(observation: Observation, poses: Tensor, surface: Tensor, exists: Tensor,
                     scale: float) -> PointResiduals:
    """Distance of surface samples to where surface may be, times ``scale``.

    Surface may not be outside the silhouette nor in front of what was measured; see
    :func:`free_distance`. The samples move with their parts. Those of missing parts, whose boxes
    have no meaning, are zero and stay so.

    Args:
        surface: (H, K, S, 3) in part frames, or (1, K, S, 3).
        exists: (H, K) or (1, K) log-odds that the object has a part.
    """
    points = transform_points(poses, surface).flatten(1, 2)
    distance, gradient = free_distance(observation, points)
    part = torch.arange(surface.shape[1], device=surface.device).repeat_interleave(
        surface.shape[2]).expand(len(poses), -1)
    factor = (scale * (exists > 0).float()).repeat_interleave(surface.shape[2], dim=1).expand(
        len(poses), -1)
    return PointResiduals(factor * distance, factor, points, gradient, part)


def pose_prior(motion: Tensor, precision: Tensor, variance: float) -> QuadraticTerm:
    """Gaussian prior of pose and joints.

    The residual is the motion from the prior's mean, weighted by the square root of the precision.
    Its derivative by a further motion is taken as the identity, which holds near the mean.

    Args:
        motion: (H, 6 + J) from the prior's mean to the state.
        precision: (H, 6 + J, 6 + J) inverse covariance.
        variance: of one view residual, by which the prior is scaled.
    """
    pull = variance * (precision @ motion[..., None])[..., 0]
    return QuadraticTerm((pull * motion).sum(1), pull, variance * precision)


def code_prior(offset: Tensor, variance: float) -> QuadraticTerm:
    """Standard normal prior of a code's offset (H, D) in standard deviations.

    Args:
        variance: of one view residual, by which the prior is scaled.
    """
    eye = torch.eye(offset.shape[1], device=offset.device)
    return QuadraticTerm(variance * offset.square().sum(1), variance * offset, variance * eye)


def robust_term(r: Tensor, J: Tensor, weight: Tensor, width: float) -> QuadraticTerm:
    """Gauss-Newton model of residuals r (H, N) with Jacobian J (H, N, n) and weights (N).

    The loss is Geman and McClure's, r^2 / (1 + r^2 / width^2).
    """
    square = r.square()
    w = weight * (width ** 2 / (width ** 2 + square)).square()
    cost = (weight * square / (1 + square / width ** 2)).sum(1)
    JW = J * w[..., None]
    return QuadraticTerm(cost, (JW * r[..., None]).sum(1), J.transpose(1, 2) @ JW)


def part_poses(shape: Shape, state: State) -> Tensor:
    """T_camera_part (H, K, 4, 4)."""
    return forward_kinematics(shape.category.joints, state.T_camera_base, state.q, state.origin,
                              state.axis)


def union_distance(shape: Shape, field: Field, poses: Tensor, points: Tensor,
                   ) -> tuple[Tensor, Tensor, Tensor]:
    """Distance of camera-frame points (N, 3) to the posed object of each hypothesis.

    Returns:
        distance (H, N) to the nearest part, its gradient (H, N, 3) in the camera frame, part
        index (H, N).
    """
    distance, gradient, part = shape.nearest(field, to_part_frames(points, poses))
    R = poses[torch.arange(len(poses), device=poses.device)[:, None], part, :3, :3]
    return distance, (R @ gradient[..., None])[..., 0], part


def surface_samples(shape: Shape, field: Field, n: int, generator: torch.Generator,
                    run: Graphs | None = None) -> tuple[Tensor, Tensor]:
    """Points (H, K, n, 3) on the decoded surfaces in part frames, and outward normals.

    Half of them start on the faces of the parts' boxes, by area, and half on their edges, which
    make the silhouette. All are then projected onto the surface.

    Args:
        run: calls the function of tensors; None calls it directly.
    """
    K, device = field.centre.shape[1], field.centre.device
    u = torch.rand(1, K, n, 3, generator=generator, device=device) * 2 - 1
    choice = torch.rand(1, K, n, 1, generator=generator, device=device)
    if run is None:
        return _project_samples(shape, field, u, choice)
    return run(_project_samples, shape, field, u, choice)


PROJECTIONS = 3
"""Newton steps that project a sample onto the surface. Chosen."""


def _project_samples(shape: Shape, field: Field, u: Tensor, choice: Tensor,
                     ) -> tuple[Tensor, Tensor]:
    """Samples from box coordinates u (1, K, n, 3), -1 to 1, and uniform numbers (1, K, n, 1) that
    choose face and edge."""
    n = u.shape[2]
    half = field.half[:, :, None]
    faces = torch.stack([half[..., 1] * half[..., 2], half[..., 0] * half[..., 2],
                         half[..., 0] * half[..., 1]], dim=-1)
    bounds = (faces / faces.sum(-1, keepdim=True)).cumsum(-1)
    face = (choice > bounds[..., :2]).sum(-1)
    side = F.one_hot(face, 3).bool()
    along = F.one_hot((choice[..., 0] * 3).long().clamp_max(2), 3).bool()
    side[:, :, n // 2:] = ~along[:, :, n // 2:]
    x = torch.where(side, torch.where(u < 0, -1.0, 1.0), u)
    x = field.centre[:, :, None] + x * half
    for _ in range(PROJECTIONS):
        check_cancelled()
        with torch.enable_grad():
            p = x.detach().requires_grad_()
            d = shape.query(field, p)
            (g,) = torch.autograd.grad(d.sum(), p)
        normal = F.normalize(g, dim=-1)
        x = x - d.detach()[..., None] * normal
    return x, normal


def fit_score(problem: Problem, state: State, config: FitScoreConfig = FIT_SCORE,
              ) -> tuple[Tensor, Tensor]:
    """How badly each hypothesis explains the view, without derivatives.

    The mean clipped distance of the observed points, plus the depth of points in free space inside
    the object, plus the distance of its surface to where surface may be.

    Returns:
        score (H), lower is better; residual (H), mean clipped distance of the points alone.
    """
    poses, observation, clip = part_poses(problem.shape, state), problem.observation, config.clip
    n, points = len(observation.points), torch.cat([observation.points, observation.empty])
    distance = problem.shape.query(problem.field, to_part_frames(points, poses)).amin(dim=1)
    residual = distance[:, :n].abs().clamp_max(clip).mean(-1)
    intrusion = (-distance[:, n:]).clamp(0, clip).mean(-1)
    outside, _ = free_distance(observation, transform_points(poses, problem.surface))
    exists = (problem.field.exists > 0).float()
    share = exists / exists.sum(1, keepdim=True)
    outside = config.surface_weight * (share * outside.clamp_max(clip).mean(2)).sum(1)
    return residual + intrusion + outside, residual


def layout_jacobian(shape: Shape, field: Field, poses: Tensor, points: Tensor, gradient: Tensor,
                    part: Tensor) -> Tensor:
    """d(value at a point carried by its part) / d(layout): (H, N, 6 K + 3 J).

    A point moves with the centre of its part's box, stretches with the box's half sizes and
    follows the pivots above it in the tree; order as :func:`pack_layout`.
    """
    rows = torch.arange(len(poses), device=poses.device)[:, None]
    R, t = poses[rows, part, :3, :3], poses[rows, part, :3, 3]
    arm = ((points - t)[..., None, :] @ R)[..., 0, :] - field.centre[rows, part]
    local = (gradient[..., None, :] @ R)[..., 0, :]
    one_hot = F.one_hot(part, shape.parts).to(local.dtype)[..., None]
    carried = kinematic_tree(shape.category.joints, points.device).carried[part]
    pivots = [carried[..., j, None] * (gradient @ poses[:, joint.parent, :3, :3])
              for j, joint in enumerate(shape.category.joints)]
    return torch.cat([(one_hot * local[..., None, :]).flatten(2),
                      (one_hot * (local * arm)[..., None, :]).flatten(2), *pivots], dim=-1)
