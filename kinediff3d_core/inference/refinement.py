"""Joint-centric iterative optimisation (section 3.4, eq. 9).

Poses and joints move through the kinematic tree until the decoded parts lie on the cloud. Two
residuals: the signed distance of the observed points with what the camera saw as empty
(``descend_sdf``, second order), and the Chamfer distance between the cloud and the surface the
camera could see (``descend_chamfer``, first order, as the paper). Canonical units throughout; H
hypotheses are refined side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor

from kinediff3d_core.geometry.kinematics import joint_units
from kinediff3d_core.geometry.rigid import (
    cross_vector,
    make_transform,
    rotation_from_vector,
    transform_points,
)
from kinediff3d_core.inference.residuals import (
    CLIP,
    layout_jacobian,
    motion_jacobian,
    part_poses,
    union_distance,
)
from kinediff3d_core.inference.shape import Shape
from kinediff3d_core.networks.kavae import KAVAE, Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import Category
from kinediff3d_core.observation.free_space import Observation, free_distance

Batch = TypeVar('Batch', State, Field)


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
    # The rotation vector: a fifth of roma's work, and as exact short of half a turn.
    skew = cross_vector(R)
    sine = skew.norm(dim=-1, keepdim=True)
    cosine = (R.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) - 1) / 2
    turn = skew * (torch.atan2(sine, cosine) / sine.clamp_min(1e-9))
    return torch.cat([rho, turn, end.q - start.q], dim=-1)


def limit_joints(net: Shape, state: State) -> State:
    """Positions inside the category's limits (revolute; canonical units for prismatic)."""
    return replace(state, q=state.q.clamp(*_limits(net.category, state.q.device)))


@lru_cache
def _limits(category: Category, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lower and upper limits (J) of the joints, rad or canonical units."""
    low, high = (torch.tensor([getattr(j, side) for j in category.joints])
                 / joint_units(category.joints, category.scale) for side in ('lower', 'upper'))
    return low.to(device), high.to(device)


@dataclass(frozen=True)
class Codes:
    """Codes that may move with the poses, and how far.

    Attributes:
        z: (H, D) shape codes.
        spread: (D, D) square root of the covariance of a code given one view.
    """

    z: Tensor
    spread: Tensor


@dataclass(frozen=True)
class Prior:
    """What is known of poses and joints before the cloud is: a Gaussian for each hypothesis.

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


POINT_VARIANCE = 2e-6
"""Variance of one residual over how many of them count, when codes and priors are weighed against
them."""


def descend_sdf(net: Shape, field: Field, state: State, seen: Observation, surface: Tensor,
                iterations: int, width: float, prior: Prior | None = None,
                ) -> tuple[State, Tensor]:
    """Levenberg-Marquardt on the signed distances of the observed points.

    Residuals: distance of each observed point; intrusion of the object into points known to be
    empty; distance of the object's surface to where it may be. Weights are Geman-McClure of
    ``width``.

    Args:
        surface: (H, K, S, 3) surface samples in part frames.
        prior: holds what the residuals leave open.

    Returns:
        the moved hypotheses, and the information matrix (H, 6 + J, 6 + J) at the end, for one
        point's variance of one: divide by the residuals' variance to get the inverse covariance.
    """
    state, _, information, _ = _descend(net, field, state, seen, surface, iterations, width, None,
                                        prior)
    return state, information


def descend_codes(net: KAVAE, field: Field, state: State, seen: Observation, surface: Tensor,
                  iterations: int, width: float, codes: Codes, prior: Prior | None = None,
                  ) -> tuple[State, Field, Tensor, Tensor]:
    """:func:`descend_sdf` in which the shape moves along with the pose.

    Codes are Gaussian about where they start and change the distances through the parts' boxes and
    pivots; the feature planes stretch with the boxes. Start from poses that stand, or the
    shape makes up for them.

    Returns:
        the moved hypotheses and their fields; the information matrix of their poses and joints,
        the shape being open; the moved codes (H, D).
    """
    state, field, information, y = _descend(net, field, state, seen, surface, iterations, width,
                                            codes, prior)
    return state, field, information, codes.z + y @ codes.spread.T


def _descend(net: Any, field: Field, state: State, seen: Observation, surface: Tensor,
             iterations: int, width: float, codes: Codes | None, prior: Prior | None,
             ) -> tuple[State, Field, Tensor, Tensor]:
    H, size = state.q.shape[0], 6 + state.q.shape[1]
    device = state.q.device
    surface_part = torch.arange(surface.shape[1], device=device).repeat_interleave(
        surface.shape[2]).expand(H, -1)
    n, m, s = seen.points.shape[0], seen.empty.shape[0], surface.shape[1] * surface.shape[2]
    targets = torch.cat([seen.points, seen.empty])
    on_point = torch.arange(n + m, device=device) < n
    weight = torch.cat([torch.full((count,), share / count, device=device)
                        for count, share in ((n, 1.0), (m, 0.5), (s, 0.5))])
    unit = (surface - field.centre[:, :, None]) / field.half[:, :, None]
    on_surface_sign = torch.full((H, s), 0.7, device=device)
    dims = codes.spread.shape[1] if codes else 0
    y = torch.zeros(H, dims, device=device)

    def evaluate(x: State, shape: Field, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        poses = part_poses(net, x)
        d, g, part = union_distance(net, shape, poses, targets)
        on = on_point | (d < 0)
        there = targets.expand(H, -1, -1)
        on_surface = shape.centre[:, :, None] + unit * shape.half[:, :, None]
        at = transform_points(poses, on_surface).flatten(1, 2)
        o, og = free_distance(seen, at)
        where, g, part = (torch.cat(pair, dim=1) for pair in (
            (there, at), (g, og), (part, surface_part)))
        # A point stands still while the part moves: the distance changes by minus the gradient.
        sign = torch.cat([on.float().neg(), on_surface_sign], dim=1)[..., None]
        J = motion_jacobian(net, poses, x.axis, seen.centroid, where, g, part) * sign
        if codes is not None:
            J_layout = layout_jacobian(net, shape, poses, where, g, part) * sign
            J = torch.cat([J, J_layout @ to_layout], dim=-1)
        r = torch.cat([d * on, 0.7 * o], dim=1)
        square = r.square()
        w = weight * (width ** 2 / (width ** 2 + square)).square()
        cost = (weight * square / (1 + square / width ** 2)).sum(1)
        JW = J * w[..., None]
        A, b = J.transpose(1, 2) @ JW, (JW * r[..., None]).sum(1)
        if codes is not None:
            A[:, size:, size:] += POINT_VARIANCE * torch.eye(dims, device=device)
            b[:, size:] += POINT_VARIANCE * y
            cost = cost + POINT_VARIANCE * y.square().sum(1)
        if prior is not None:
            away = motion(prior.mean, x, seen.centroid)
            pull = POINT_VARIANCE * (prior.precision @ away[..., None])[..., 0]
            A[:, :size, :size] += POINT_VARIANCE * prior.precision
            b[:, :size] += pull
            cost = cost + (pull * away).sum(1)
        return cost, A, b

    if codes is not None:
        to_layout = net.layout_derivative(codes.z, state.q) @ codes.spread
    cost, A, b = evaluate(state, field, y)
    damping = torch.full((H,), 1e-3, device=device)
    for _ in range(iterations):
        level = A[:, :size, :size].diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
        regular = (damping[:, None] * level + 1e-9).repeat(1, size + dims)
        own = A[:, size:, size:].diagonal(dim1=1, dim2=2)
        regular[:, size:] = damping[:, None] * own
        step = -_solved(A + torch.diag_embed(regular), b)
        length = step[:, :size].norm(dim=1, keepdim=True).clamp_min(1e-9)
        step = step * (0.5 / length).clamp_max(1.0)
        if codes is not None:
            far = step[:, size:].norm(dim=1, keepdim=True).clamp_min(1e-9)
            step = step * (1.0 / far).clamp_max(1.0)
        trial = limit_joints(net, move(state, step[:, :size], seen.centroid))
        trial_field, trial_y = field, y
        if codes is not None:
            trial_y = (y + step[:, size:]).clamp(-4, 4)
            trial_field = net.rebox(field, codes.z + trial_y @ codes.spread.T, trial.q)
            trial = replace(trial, origin=trial_field.origin)
        trial_cost, trial_A, trial_b = evaluate(trial, trial_field, trial_y)
        better = trial_cost < cost
        state = _choose(better, trial, state)
        cost = torch.where(better, trial_cost, cost)
        A = torch.where(better[:, None, None], trial_A, A)
        b = torch.where(better[:, None], trial_b, b)
        damping = torch.where(better, damping * 0.3, damping * 10).clamp(1e-6, 1e3)
        if codes is not None:
            field = _choose(better, trial_field, field)
            y = torch.where(better[:, None], trial_y, y)
    if codes is not None:
        # What the view says of the pose while the shape stays open: the Schur complement.
        cross = A[:, :size, size:]
        A = A[:, :size, :size] - cross @ _solved(A[:, size:, size:], cross.transpose(1, 2))
    return state, field, A * n, y


def _solved(A: Tensor, b: Tensor) -> Tensor:
    """Solutions of regular systems A (H, n, n); that they are is not asked for, which would wait
    for a GPU."""
    x: Tensor = torch.linalg.solve_ex(A, b).result
    return x


def residual_covariance(information: Tensor, residual: Tensor) -> Tensor:
    """Covariance (6 + J, 6 + J) of pose and joints that a descent's residual leaves open.

    Shape errors are correlated over the cloud, so that forty-five points count as one.

    Args:
        information: (6 + J, 6 + J) of :func:`descend_sdf`. residual: () mean distance.
    """
    eye = torch.eye(len(information), device=information.device)
    noise = 45 * (residual.square() + 1e-4 ** 2)
    out: Tensor = noise * torch.linalg.inv(information + 1e-3 * eye)
    return out


def descend_chamfer(net: KAVAE, field: Field, state: State, seen: Observation, surface: Tensor,
                    normals: Tensor, iterations: int, lr: float = 0.01) -> State:
    """Gradient descent on eq. 9 with the surface that the camera can see.

    Each part's observed points are those nearer to it than to the others; of the surface samples
    only those that face the camera and are not behind nearer ones are pulled to the cloud.
    """
    H, J = state.q.shape
    step = torch.zeros(H, 6 + J, device=state.q.device, requires_grad=True)
    optimizer = torch.optim.Adam([step], lr=lr)
    points = seen.points.expand(H, -1, -1)
    for _ in range(iterations):
        with torch.enable_grad():
            poses = part_poses(net, move(state, step, seen.centroid))
            y = transform_points(poses, surface).flatten(1, 2)
            facing = ((poses[..., :3, :3] @ normals.transpose(-1, -2)).transpose(-1, -2)
                      .flatten(1, 2) * y).sum(-1).detach() < 0
            distance = torch.cdist(points, y.masked_fill(~facing[..., None], 1e3))
            to_surface = distance.amin(2).clamp_max(2 * CLIP).mean(1)
            back = (distance.amin(1).clamp_max(2 * CLIP) * facing).sum(1)
            loss = (to_surface + back / facing.sum(1).clamp_min(1)).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return limit_joints(net, move(state, step.detach(), seen.centroid))


def _choose(mask: Tensor, a: Batch, b: Batch) -> Batch:
    def pick(x: Tensor, y: Tensor) -> Tensor:
        return torch.where(mask.view(-1, *[1] * (x.dim() - 1)), x, y)

    return type(a)(*(pick(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)))
