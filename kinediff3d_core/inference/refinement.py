"""Joint-centric iterative optimisation (section 3.4, eq. 9): the solvers.

:func:`refine_pose` and :func:`refine_pose_and_code` minimise the residuals of
:mod:`kinediff3d_core.inference.residuals` by Levenberg-Marquardt. :func:`refine_chamfer` minimises
the Chamfer distance between the cloud and the visible surface by gradient descent, as the paper.
Canonical units throughout; H hypotheses are refined side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.geometry.rigid import (
    make_transform,
    rotation_from_vector,
    transform_points,
    vector_from_rotation,
)
from kinediff3d_core.inference.cancellation import check_cancelled
from kinediff3d_core.inference.presets import (
    ChamferConfig,
    SolverConfig,
    UncertaintyConfig,
)
from kinediff3d_core.inference.residuals import (
    Problem,
    QuadraticTerm,
    code_prior,
    part_poses,
    pose_prior,
    robust_term,
    view_residuals,
)
from kinediff3d_core.inference.shape import DeformableShape, Shape
from kinediff3d_core.networks.kavae import Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import Category

CHAMFER, UNCERTAINTY = ChamferConfig(), UncertaintyConfig()
"""Configurations where none is given."""


def move(state: State, step: Tensor, centre: Tensor) -> State:
    """Apply (rho, phi, dq) (H, 6 + J): the base turns by phi about ``centre``, shifts by rho."""
    R = rotation_from_vector(step[:, 3:6])
    t = step[:, :3] + centre - (R @ centre[:, None])[..., 0]
    return replace(state, T_camera_base=make_transform(R, t) @ state.T_camera_base,
                   q=state.q + step[:, 6:])


def motion(start: State, end: State, centre: Tensor) -> Tensor:
    """The step (..., 6 + J) by which :func:`move` leads from one state to another."""
    T, T0 = end.T_camera_base, start.T_camera_base
    R = T[..., :3, :3] @ T0[..., :3, :3].transpose(-1, -2)
    rho = T[..., :3, 3] - centre - (R @ (T0[..., :3, 3] - centre)[..., None])[..., 0]
    return torch.cat([rho, vector_from_rotation(R), end.q - start.q], dim=-1)


def limit_joints(shape: Shape, state: State) -> State:
    """The state with its joint positions inside the limits of the shape's category."""
    return replace(state, q=state.q.clamp(*_limits(shape.category, state.q.device)))


@lru_cache
def _limits(category: Category, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lower and upper limits (J) of the joints, rad or canonical units."""
    low, high = (torch.tensor([getattr(j, side) for j in category.joints])
                 / joint_units(category.joints, category.scale) for side in ('lower', 'upper'))
    return low.to(device), high.to(device)


@dataclass(frozen=True)
class Codes:
    """Shape codes that are refined with the poses.

    Attributes:
        shape: gives boxes and pivots of other codes.
        z: (H, D) shape codes.
        sqrt: (D, D) square root of the covariance of a code given one view.
    """

    shape: DeformableShape
    z: Tensor
    sqrt: Tensor

    def at(self, offset: Tensor) -> Tensor:
        """Codes (H, D) at an offset (H, D) in standard deviations."""
        return self.z + offset @ self.sqrt.T


@dataclass(frozen=True)
class Prior:
    """A Gaussian of pose and joints for each hypothesis, known before the cloud is seen.

    Attributes:
        mean: (H) states.
        precision: (H, 6 + J, 6 + J) inverse covariance of the :func:`motion` from there.
    """

    mean: State
    precision: Tensor

    def __getitem__(self, index: slice) -> Prior:
        return Prior(self.mean[index], self.precision[index])

    def to(self, device: torch.device) -> Prior:
        return Prior(self.mean.to(device), self.precision.to(device))


def refine_pose(problem: Problem, state: State, config: SolverConfig, prior: Prior | None = None,
                ) -> tuple[State, Tensor]:
    """Pose and joints by Levenberg-Marquardt, with the shape held.

    Args:
        state: (H) where it starts.
        prior: constrains what the residuals do not determine.

    Returns:
        the refined hypotheses; the information matrix (H, 6 + J, 6 + J) there, for one point's
        variance of one: divide by the residuals' variance to get the inverse covariance.
    """
    x, term = _minimize(_Objective(problem, state, config, None, prior), state)
    return x.state, term.hessian * len(problem.observation.points)


def refine_pose_and_code(problem: Problem, state: State, codes: Codes, config: SolverConfig,
                         prior: Prior | None = None) -> tuple[State, Field, Tensor, Tensor]:
    """Pose, joints and shape code by Levenberg-Marquardt.

    Codes are Gaussian about where they start, and change the distances through the parts' boxes
    and pivots; the feature planes stretch with the boxes. Poses have to be refined before, or the
    shape compensates for their errors.

    Returns:
        the refined hypotheses and their fields; the information matrix of their poses and joints
        as in :func:`refine_pose`, with the code marginalised; the refined codes (H, D).
    """
    objective = _Objective(problem, state, config, codes, prior)
    x, term = _minimize(objective, state)
    information = schur_complement(term.hessian, objective.size)
    return (x.state, x.field, information * len(problem.observation.points),
            codes.at(x.code_offset))


@dataclass(frozen=True)
class _Unknowns:
    """The unknowns of the solver.

    Attributes:
        state: (H) poses and joints.
        field: (H) shapes.
        code_offset: (H, D) in standard deviations; D is 0 where the shape is held.
    """

    state: State
    field: Field
    code_offset: Tensor


Batch = TypeVar('Batch', _Unknowns, QuadraticTerm)


class _Objective:
    """Robust cost of the view's residuals and the priors, with its Gauss-Newton model.

    Args:
        state: (H) where the solver starts; the layout is linearised in the codes there.
    """

    def __init__(self, problem: Problem, state: State, config: SolverConfig, codes: Codes | None,
                 prior: Prior | None) -> None:
        self.problem, self.config, self.codes, self.prior = problem, config, codes, prior
        self.size = 6 + state.q.shape[1]
        observation, field, surface = problem.observation, problem.field, problem.surface
        self.targets = torch.cat([observation.points, observation.empty])
        self.weight = torch.cat([
            torch.full((count,), share / count, device=state.q.device) for count, share in (
                (len(observation.points), 1.0), (len(observation.empty), config.free_space_weight),
                (surface.shape[1] * surface.shape[2], config.surface_weight))])
        self.box_coordinates = ((surface - field.centre[:, :, None]) / field.half[:, :, None])
        self.code_dims = codes.sqrt.shape[1] if codes else 0
        if codes is not None:
            self.layout_jacobian = codes.shape.layout_derivative(codes.z, state.q) @ codes.sqrt

    def start(self, state: State) -> _Unknowns:
        """The unknowns that the solver starts from."""
        offset = torch.zeros(len(state.q), self.code_dims, device=state.q.device)
        return _Unknowns(state, self.problem.field, offset)

    def __call__(self, x: _Unknowns) -> QuadraticTerm:
        """Cost and Gauss-Newton model at the unknowns (poses, joints, then code offsets)."""
        shape, centre = self.problem.shape, self.problem.observation.centroid
        poses, field = part_poses(shape, x.state), x.field
        surface = field.centre[:, :, None] + self.box_coordinates * field.half[:, :, None]
        residuals = view_residuals(replace(self.problem, field=field, surface=surface), poses,
                                   self.targets, self.config.surface_scale)
        J = residuals.motion_jacobian(shape, poses, x.state.axis, centre)
        if self.codes is not None:
            J_layout = residuals.layout_jacobian(shape, field, poses)
            J = torch.cat([J, J_layout @ self.layout_jacobian], dim=-1)
        view = robust_term(residuals.value, J, self.weight, self.config.width)
        return self._add_priors(view, x)

    def _add_priors(self, view: QuadraticTerm, x: _Unknowns) -> QuadraticTerm:
        """The view's term with those of the priors added to it in place."""
        cost, gradient, hessian, size = view.cost, view.gradient, view.hessian, self.size
        variance = self.config.point_variance
        if self.codes is not None:
            term = code_prior(x.code_offset, variance)
            hessian[:, size:, size:] += term.hessian
            gradient[:, size:] += term.gradient
            cost = cost + term.cost
        if self.prior is not None:
            centre = self.problem.observation.centroid
            term = pose_prior(motion(self.prior.mean, x.state, centre), self.prior.precision,
                              variance)
            hessian[:, :size, :size] += term.hessian
            gradient[:, :size] += term.gradient
            cost = cost + term.cost
        return QuadraticTerm(cost, gradient, hessian)

    def step(self, x: _Unknowns, term: QuadraticTerm, damping: Tensor) -> _Unknowns:
        """The unknowns after one damped step, within all limits."""
        size, config = self.size, self.config
        step = _damped_step(term, damping, size, config.min_diagonal)
        step = _limit_length(step, step[:, :size], config.max_step)
        if self.codes is not None:
            step = _limit_length(step, step[:, size:], config.max_code_step)
        state = limit_joints(self.problem.shape, move(x.state, step[:, :size],
                                                      self.problem.observation.centroid))
        if self.codes is None:
            return replace(x, state=state)
        most = config.max_code_offset
        offset = (x.code_offset + step[:, size:]).clamp(-most, most)
        field = self.codes.shape.with_layout(x.field, self.codes.at(offset), state.q)
        return _Unknowns(replace(state, origin=field.origin), field, offset)


def _minimize(objective: _Objective, state: State) -> tuple[_Unknowns, QuadraticTerm]:
    """Levenberg-Marquardt: each hypothesis keeps a step only where it lowers the cost."""
    config = objective.config
    x = objective.start(state)
    term = objective(x)
    damping = torch.full((len(state.q),), config.initial_damping, device=state.q.device)
    for _ in range(config.iterations):
        check_cancelled()
        trial = objective.step(x, term, damping)
        trial_term = objective(trial)
        better = trial_term.cost < term.cost
        x, term = _select(better, trial, x), _select(better, trial_term, term)
        damping = torch.where(better, damping * config.damping_decrease,
                              damping * config.damping_increase
                              ).clamp(config.min_damping, config.max_damping)
    return x, term


def _damped_step(term: QuadraticTerm, damping: Tensor, size: int, least: float) -> Tensor:
    """Minus (hessian + damping)^-1 gradient (H, n).

    Poses and joints (the first ``size`` unknowns) are damped by the mean of their diagonal, codes
    by their own diagonal each.
    """
    A = term.hessian
    level = A[:, :size, :size].diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
    diagonal = (damping[:, None] * level + least).repeat(1, A.shape[1])
    diagonal[:, size:] = damping[:, None] * A[:, size:, size:].diagonal(dim1=1, dim2=2)
    return -_solve(A + torch.diag_embed(diagonal), term.gradient)


def _limit_length(step: Tensor, part: Tensor, most: float) -> Tensor:
    """The whole step, shortened so that this part of it has at most a length."""
    length = part.norm(dim=1, keepdim=True).clamp_min(1e-9)
    shortened: Tensor = step * (most / length).clamp_max(1.0)
    return shortened


def schur_complement(hessian: Tensor, size: int) -> Tensor:
    """Information (H, size, size) of the first unknowns with the others marginalised."""
    cross = hessian[:, :size, size:]
    return hessian[:, :size, :size] - cross @ _solve(hessian[:, size:, size:],
                                                     cross.transpose(1, 2))


def _solve(A: Tensor, b: Tensor) -> Tensor:
    """Solutions of regular systems A (H, n, n), without the check that would wait for a GPU."""
    x: Tensor = torch.linalg.solve_ex(A, b).result
    return x


def _select(mask: Tensor, a: Batch, b: Batch) -> Batch:
    """The hypotheses (H) of ``a`` where the mask is true, else those of ``b``."""
    return cast(Batch, _selected(mask, a, b))


def _selected(mask: Tensor, a: Any, b: Any) -> Any:
    """As :func:`_select`, of tensors or nested dataclasses of them."""
    if a is b:
        return a
    if isinstance(a, Tensor):
        return torch.where(mask.view(-1, *[1] * (a.dim() - 1)), a, b)
    return type(a)(*(_selected(mask, getattr(a, f.name), getattr(b, f.name)) for f in fields(a)))


def residual_covariance(information: Tensor, residual: Tensor,
                        config: UncertaintyConfig = UNCERTAINTY) -> Tensor:
    """Covariance (6 + J, 6 + J) of pose and joints that the residuals leave.

    Args:
        information: (6 + J, 6 + J) of :func:`refine_pose`. residual: () mean distance.
    """
    eye = torch.eye(len(information), device=information.device)
    noise = config.correlated_points * (residual.square() + config.min_residual ** 2)
    out: Tensor = noise * torch.linalg.inv(information + config.min_information * eye)
    return out


def refine_chamfer(problem: Problem, normals: Tensor, state: State, iterations: int,
                   config: ChamferConfig = CHAMFER) -> State:
    """Pose and joints by gradient descent on eq. 9, with the shape held.

    Only surface samples that face the camera are compared with the cloud, each with the nearest
    observed point. Each observed point is compared with the nearest of these samples.

    Args:
        normals: (H, K, S, 3) of the problem's surface samples, in part frames.
    """
    centre, H = problem.observation.centroid, len(state.q)
    step = torch.zeros(H, 6 + state.q.shape[1], device=state.q.device, requires_grad=True)
    optimizer = torch.optim.Adam([step], lr=config.learning_rate)
    points = problem.observation.points.expand(H, -1, -1)
    for _ in range(iterations):
        check_cancelled()
        with torch.enable_grad():
            poses = part_poses(problem.shape, move(state, step, centre))
            loss = chamfer_distance(points, poses, problem.surface, normals, config.clip).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return limit_joints(problem.shape, move(state, step.detach(), centre))


HIDDEN_POSITION = 1e3
"""Coordinate of samples that do not face the camera: further than any clip."""


def chamfer_distance(points: Tensor, poses: Tensor, surface: Tensor, normals: Tensor,
                     clip: float) -> Tensor:
    """Chamfer distance (H) of points (H, N, 3) and the surface samples that face the camera.

    The mean distance of the points to the nearest sample, and of the samples to the nearest point.

    Args:
        poses: (H, K, 4, 4).
        surface, normals: (H, K, S, 3) in part frames, or (1, K, S, 3).
        clip: distances beyond this count as this.
    """
    y = transform_points(poses, surface).flatten(1, 2)
    facing = ((poses[..., :3, :3] @ normals.transpose(-1, -2)).transpose(-1, -2)
              .flatten(1, 2) * y).sum(-1).detach() < 0
    distance = torch.cdist(points, y.masked_fill(~facing[..., None], HIDDEN_POSITION))
    to_surface = distance.amin(2).clamp_max(clip).mean(1)
    to_cloud = (distance.amin(1).clamp_max(clip) * facing).sum(1)
    return to_surface + to_cloud / facing.sum(1).clamp_min(1)
