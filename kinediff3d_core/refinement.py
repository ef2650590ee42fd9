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
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.categories import Category
from kinediff3d_core.geometry import (
    cross_vector,
    make_transform,
    rotation_from_vector,
    to_part_frames,
    transform_points,
)
from kinediff3d_core.graphs import Graphs
from kinediff3d_core.kinematics import forward_kinematics, joint_units
from kinediff3d_core.networks.kavae import KAVAE, Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.observation import Observation, free_distance

Batch = TypeVar('Batch', State, Field)

CLIP = 0.08
"""Distances beyond this say no more than 'far', canonical units."""


def part_poses(net: KAVAE, state: State) -> Tensor:
    """T_camera_part (H, K, 4, 4)."""
    return forward_kinematics(net.category.joints, state.T_camera_base, state.q, state.origin,
                              state.axis)


def union_distance(net: KAVAE, field: Field, poses: Tensor, points: Tensor,
                   ) -> tuple[Tensor, Tensor, Tensor]:
    """Distance of camera-frame points (N, 3) to the posed object of each hypothesis.

    Returns:
        distance (H, N) to the nearest part, its gradient (H, N, 3) in the camera frame, part
        index (H, N).
    """
    distance, gradient, part = net.nearest(field, to_part_frames(points, poses))
    R = poses[torch.arange(len(poses), device=poses.device)[:, None], part, :3, :3]
    return distance, (R @ gradient[..., None])[..., 0], part


def surface_samples(net: KAVAE, field: Field, n: int, generator: torch.Generator,
                    run: Graphs | None = None) -> tuple[Tensor, Tensor]:
    """Points (H, K, n, 3) on the decoded surfaces in part frames, and outward normals.

    Half of them lie on the faces of the parts' boxes by area, half along their edges, which make
    the outline; all are then moved onto the surface.

    Args:
        run: by which the work on a GPU is done.
    """
    K, device = field.centre.shape[1], field.centre.device
    u = torch.rand(1, K, n, 3, generator=generator, device=device) * 2 - 1
    lot = torch.rand(1, K, n, 1, generator=generator, device=device)
    return run(_on_surface, net, field, u, lot) if run else _on_surface(net, field, u, lot)


def _on_surface(net: KAVAE, field: Field, u: Tensor, lot: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`surface_samples` from places u (1, K, n, 3), -1 to 1, and lots (1, K, n, 1)."""
    n = u.shape[2]
    half = field.half[:, :, None]
    faces = torch.stack([half[..., 1] * half[..., 2], half[..., 0] * half[..., 2],
                         half[..., 0] * half[..., 1]], dim=-1)
    bounds = (faces / faces.sum(-1, keepdim=True)).cumsum(-1)
    face = (lot > bounds[..., :2]).sum(-1)
    side = F.one_hot(face, 3).bool()
    along = F.one_hot((lot[..., 0] * 3).long().clamp_max(2), 3).bool()
    side[:, :, n // 2:] = ~along[:, :, n // 2:]
    x = torch.where(side, torch.where(u < 0, -1.0, 1.0), u)
    x = field.centre[:, :, None] + x * half
    for _ in range(3):
        with torch.enable_grad():
            p = x.detach().requires_grad_()
            d = net.query(field, p)
            (g,) = torch.autograd.grad(d.sum(), p)
        normal = F.normalize(g, dim=-1)
        x = x - d.detach()[..., None] * normal
    return x, normal


def fit_score(net: KAVAE, field: Field, state: State, seen: Observation, surface: Tensor,
              clip: float = CLIP) -> tuple[Tensor, Tensor]:
    """How badly each hypothesis explains the view.

    The mean clipped distance of the observed points, plus how deep the object reaches into seen
    free space, plus how far its surface stands where the camera saw none.

    Args:
        surface: (H, K, S, 3) surface samples in part frames.
        clip: distances beyond this count as this.

    Returns:
        score (H), lower is better; residual (H), mean clipped distance of the points alone.
    """
    poses = part_poses(net, state)

    n, points = len(seen.points), torch.cat([seen.points, seen.empty])
    distance = net.query(field, to_part_frames(points, poses)).amin(dim=1)
    residual = distance[:, :n].abs().clamp_max(clip).mean(-1)
    intrusion = (-distance[:, n:]).clamp(0, clip).mean(-1)
    outside, _ = free_distance(seen, transform_points(poses, surface))
    return residual + intrusion + 0.5 * outside.clamp_max(clip).mean((1, 2)), residual


def _jacobian(net: KAVAE, poses: Tensor, axis: Tensor, centre: Tensor, points: Tensor,
              gradient: Tensor, part: Tensor) -> Tensor:
    """d(value at a point carried by its part) / d(twist about ``centre``, q): (H, N, 6 + J).

    A part moves with velocity rho + phi x (p - c) by the base's twist and with a x (p - pivot)
    (revolute) or a (prismatic) by each joint above it in the tree.
    """
    tree = _tree(net.category, points.device)
    a = (poses.index_select(1, tree.parents)[..., :3, :3] @ axis[..., None])[..., 0][:, None]
    if tree.turning is not None:
        pivots = poses.index_select(1, tree.children)[:, None, :, :3, 3]
        lever = points[..., None, :] - pivots
        a = torch.where(tree.turning, torch.linalg.cross(a.expand_as(lever), lever), a)
    along = (a * gradient[..., None, :]).sum(-1)
    return torch.cat([gradient, torch.linalg.cross(points - centre, gradient),
                      tree.carried[part] * along], dim=-1)


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


def limit_joints(net: KAVAE, state: State) -> State:
    """Positions inside the category's limits (revolute; canonical units for prismatic)."""
    return replace(state, q=state.q.clamp(*_limits(net.category, state.q.device)))


@lru_cache
def _limits(category: Category, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lower and upper limits (J) of the joints, rad or canonical units."""
    low, high = (torch.tensor([getattr(j, side) for j in category.joints])
                 / joint_units(category.joints, category.scale) for side in ('lower', 'upper'))
    return low.to(device), high.to(device)


def layout_jacobian(net: KAVAE, field: Field, poses: Tensor, points: Tensor, gradient: Tensor,
                    part: Tensor) -> Tensor:
    """d(value at a point carried by its part) / d(layout): (H, N, 6 K + 3 J).

    A point moves with the centre of its part's box, stretches with the box's half sizes and
    follows the pivots above it in the tree; order as :func:`pack_layout`.
    """
    rows = torch.arange(len(poses), device=poses.device)[:, None]
    R, t = poses[rows, part, :3, :3], poses[rows, part, :3, 3]
    arm = ((points - t)[..., None, :] @ R)[..., 0, :] - field.centre[rows, part]
    own = (gradient[..., None, :] @ R)[..., 0, :]
    mine = F.one_hot(part, net.parts).to(own.dtype)[..., None]
    carried = _tree(net.category, points.device).carried[part]
    pivots = [carried[..., j, None] * (gradient @ poses[:, joint.parent, :3, :3])
              for j, joint in enumerate(net.category.joints)]
    return torch.cat([(mine * own[..., None, :]).flatten(2),
                      (mine * (own * arm)[..., None, :]).flatten(2), *pivots], dim=-1)


@dataclass(frozen=True)
class _Tree:
    """A category's joints as tensors.

    Attributes:
        parents, children: (J,) part indices.
        turning: (J, 1) which are revolute; None where none is.
        carried: (K, J) 1 where a part hangs on a joint, directly or further down, else 0.
    """

    parents: Tensor
    children: Tensor
    turning: Tensor | None
    carried: Tensor


@lru_cache
def _tree(category: Category, device: torch.device) -> _Tree:
    joints = category.joints
    carried = torch.zeros(len(category.parts), len(joints))
    for j, joint in enumerate(joints):
        carried[joint.child, j] = 1.0
        for below in joints:
            if carried[below.parent, j]:
                carried[below.child, j] = 1.0
    kinds = [j.joint_type == 'revolute' for j in joints]
    return _Tree(torch.tensor([j.parent for j in joints]).to(device),
                 torch.tensor([j.child for j in joints]).to(device),
                 torch.tensor(kinds)[:, None].to(device) if any(kinds) else None,
                 carried.to(device))


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


def descend_sdf(net: KAVAE, field: Field, state: State, seen: Observation, surface: Tensor,
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


def _descend(net: KAVAE, field: Field, state: State, seen: Observation, surface: Tensor,
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
        J = _jacobian(net, poses, x.axis, seen.centroid, where, g, part) * sign
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


def left_open(information: Tensor, residual: Tensor) -> Tensor:
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
