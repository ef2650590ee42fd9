"""Joint-centric iterative optimisation (section 3.4, eq. 9).

Poses and joints move through the kinematic tree until the decoded parts lie on the cloud. Two
residuals: the signed distance of the observed points with what the camera saw as empty
(``descend_sdf``, second order), and the Chamfer distance between the cloud and the surface the
camera could see (``descend_chamfer``, first order, as the paper). Canonical units throughout; H
hypotheses are refined side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import roma
import scipy.ndimage
import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.geometry import make_transform, to_part_frames, transform_points
from kinediff3d_core.kinematics import forward_kinematics
from kinediff3d_core.networks.kavae import KAVAE, Field
from kinediff3d_core.networks.score import State

CLIP = 0.08
"""Distances beyond this say no more than 'far', canonical units."""
STANDOFFS = (0.02, 0.06)
"""How far in front of each observed point space is known to be empty, canonical units."""


@dataclass(frozen=True)
class Observation:
    """What one view says, canonical units, camera frame.

    Attributes:
        points: (N, 3) observed surface. empty: (M, 3) points known to be in free space.
        centroid: (3,) of the points.
        silhouette: (G, G) distance to the object's outline in the image, tangent units.
        corner: (2,) tangent coordinates x/z, y/z of the first cell's centre; cell: cell size.
    """

    points: Tensor
    empty: Tensor
    centroid: Tensor
    silhouette: Tensor
    corner: Tensor
    cell: float


def observe(cloud: np.ndarray, points: Tensor) -> Observation:
    """Observation of a camera-frame cloud.

    Args:
        cloud: (P, 3) all points, for the outline. points: (N, 3) those that residuals use.
    """
    tangent = cloud[:, :2] / cloud[:, 2:]
    low, high = tangent.min(0), tangent.max(0)
    size = float((high - low).max()) * 1.8 + 1e-6
    cells = int(np.clip(0.9 * np.sqrt(len(cloud)), 24, 96))
    cell = size / cells
    corner = (low + high) / 2 - size / 2 + cell / 2
    index = np.clip(np.floor((tangent - corner) / cell + 0.5).astype(int), 0, cells - 1)
    seen = np.zeros((cells, cells), dtype=bool)
    seen[index[:, 1], index[:, 0]] = True
    seen = scipy.ndimage.binary_fill_holes(scipy.ndimage.binary_closing(
        np.pad(seen, 2), iterations=2))[2:-2, 2:-2]
    distance = scipy.ndimage.distance_transform_edt(~seen) * cell
    device = points.device
    ray = F.normalize(points, dim=-1)
    half = points[::2], ray[::2]
    empty = torch.cat([half[0] - s * half[1] for s in STANDOFFS])
    return Observation(points, empty, points.mean(0),
                       torch.from_numpy(distance).float().to(device),
                       torch.from_numpy(corner).float().to(device), cell)


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
    with torch.enable_grad():
        local = to_part_frames(points, poses).detach().requires_grad_()
        distance, part = net.query(field, local).min(dim=1)
        (g,) = torch.autograd.grad(distance.sum(), local)
    gradient = (poses[..., :3, :3] @ g.transpose(-1, -2)).sum(1).transpose(-1, -2)
    return distance.detach(), gradient, part


def surface_samples(net: KAVAE, field: Field, n: int, generator: torch.Generator,
                    ) -> tuple[Tensor, Tensor]:
    """Points (H, K, n, 3) on the decoded surfaces in part frames, and outward normals."""
    H, K = field.centre.shape[:2]
    device = field.centre.device
    u = torch.rand(1, K, n, 3, generator=generator, device=device) * 2 - 1
    half = field.half[:, :, None]
    faces = torch.stack([half[..., 1] * half[..., 2], half[..., 0] * half[..., 2],
                         half[..., 0] * half[..., 1]], dim=-1)
    edges = (faces / faces.sum(-1, keepdim=True)).cumsum(-1)
    lot = torch.rand(1, K, n, 1, generator=generator, device=device)
    face = (lot > edges[..., :2]).sum(-1)
    x = u.expand(H, -1, -1, -1).clone()
    sign = torch.where(x.gather(-1, face[..., None]) < 0, -1.0, 1.0)
    x.scatter_(-1, face[..., None], sign)
    x = field.centre[:, :, None] + x * half
    for _ in range(3):
        with torch.enable_grad():
            p = x.detach().requires_grad_()
            d = net.query(field, p)
            (g,) = torch.autograd.grad(d.sum(), p)
        normal = F.normalize(g, dim=-1)
        x = x - d.detach()[..., None] * normal
    return x, normal


def outline_distance(seen: Observation, points: Tensor) -> tuple[Tensor, Tensor]:
    """How far points (..., 3) lie outside the observed outline, and the gradient (..., 3)."""
    z = points[..., 2:].clamp_min(0.05)
    tangent = points[..., :2] / z
    cells = seen.silhouette.shape[0]
    at = (tangent - seen.corner) / seen.cell
    inside = at.clamp(0, cells - 1.001)
    i = inside.floor().long()
    f = inside - i

    def cell(dx: int, dy: int) -> Tensor:
        return seen.silhouette[i[..., 1] + dy, i[..., 0] + dx]

    d00, d10, d01, d11 = cell(0, 0), cell(1, 0), cell(0, 1), cell(1, 1)
    fx, fy = f[..., 0], f[..., 1]
    value = (d00 * (1 - fx) + d10 * fx) * (1 - fy) + (d01 * (1 - fx) + d11 * fx) * fy
    du = ((d10 - d00) * (1 - fy) + (d11 - d01) * fy) / seen.cell
    dv = ((d01 - d00) * (1 - fx) + (d11 - d10) * fx) / seen.cell
    distance = value * z[..., 0]
    gradient = torch.stack([du, dv, value - du * tangent[..., 0] - dv * tangent[..., 1]], dim=-1)
    return distance, gradient


def fit_score(net: KAVAE, field: Field, state: State, seen: Observation, surface: Tensor,
              ) -> tuple[Tensor, Tensor]:
    """How badly each hypothesis explains the view.

    The mean clipped distance of the observed points, plus how deep the object reaches into seen
    free space, plus how far its surface leaves the outline.

    Args:
        surface: (H, K, S, 3) surface samples in part frames.

    Returns:
        score (H), lower is better; residual (H), mean clipped distance of the points alone.
    """
    poses = part_poses(net, state)

    def distance(points: Tensor) -> Tensor:
        return net.query(field, to_part_frames(points, poses)).amin(dim=1)

    residual = distance(seen.points).abs().clamp_max(CLIP).mean(-1)
    intrusion = (-distance(seen.empty)).clamp(0, CLIP).mean(-1)
    outside, _ = outline_distance(seen, transform_points(poses, surface))
    return residual + intrusion + 0.5 * outside.clamp_max(CLIP).mean((1, 2)), residual


def _jacobian(net: KAVAE, poses: Tensor, axis: Tensor, centre: Tensor, points: Tensor,
              gradient: Tensor, part: Tensor) -> Tensor:
    """d(value at a point carried by its part) / d(twist about ``centre``, q): (H, N, 6 + J).

    A part moves with velocity rho + phi x (p - c) by the base's twist and with a x (p - pivot)
    (revolute) or a (prismatic) by each joint above it in the tree.
    """
    arm = points - centre
    columns = [gradient, torch.linalg.cross(arm, gradient)]
    for j, joint in enumerate(net.category.joints):
        below = {joint.child}
        for other in net.category.joints:
            if other.parent in below:
                below.add(other.child)
        moves = torch.zeros_like(part, dtype=gradient.dtype)
        for k in below:
            moves = moves + (part == k)
        a = (poses[:, joint.parent, :3, :3] @ axis[:, j, :, None])[..., 0][:, None]
        if joint.joint_type == 'revolute':
            a = torch.linalg.cross(a.expand_as(arm), points - poses[:, joint.child, None, :3, 3])
        columns.append((moves * (a * gradient).sum(-1))[..., None])
    return torch.cat(columns, dim=-1)


def move(state: State, step: Tensor, centre: Tensor) -> State:
    """Apply (rho, phi, dq) (H, 6 + J): the base turns by phi about ``centre``, shifts by rho."""
    R = roma.rotvec_to_rotmat(step[:, 3:6])
    t = step[:, :3] + centre - (R @ centre[:, None])[..., 0]
    return replace(state, T_camera_base=make_transform(R, t) @ state.T_camera_base,
                   q=state.q + step[:, 6:])


def limit_joints(net: KAVAE, state: State) -> State:
    """Positions inside the category's limits (revolute; canonical units for prismatic)."""
    scale = net.category.scale
    low, high = (torch.tensor([getattr(j, side) / (1.0 if j.joint_type == 'revolute' else scale)
                               for j in net.category.joints], device=state.q.device)
                 for side in ('lower', 'upper'))
    return replace(state, q=state.q.clamp(low, high))


def descend_sdf(net: KAVAE, field: Field, state: State, seen: Observation, surface: Tensor,
                iterations: int, width: float) -> tuple[State, Tensor]:
    """Levenberg-Marquardt on the signed distances of the observed points.

    Residuals: distance of each observed point; intrusion of the object into points known to be
    empty; distance of the object's surface to the outline. Weights are Geman-McClure of ``width``.

    Returns:
        the moved hypotheses, and the information matrix (H, 6 + J, 6 + J) at the end, for one
        point's variance of one: divide by the residuals' variance to get the inverse covariance.
    """
    H, size = state.q.shape[0], 6 + state.q.shape[1]
    device = state.q.device
    damping = torch.full((H,), 1e-3, device=device)
    surface_part = torch.arange(surface.shape[1], device=device).repeat_interleave(
        surface.shape[2]).expand(H, -1)
    n, m, s = seen.points.shape[0], seen.empty.shape[0], surface.shape[1] * surface.shape[2]
    targets = torch.cat([seen.points, seen.empty])

    def evaluate(x: State) -> tuple[Tensor, Tensor, Tensor]:
        poses = part_poses(net, x)
        d, g, part = union_distance(net, field, poses, targets)
        on = torch.cat([torch.ones(n, device=device), torch.zeros(m, device=device)])
        on = torch.where(on > 0, torch.ones_like(d), (d < 0).float())
        # A point stands still while the part moves: the distance changes by minus the gradient.
        J_points = -_jacobian(net, poses, x.axis, seen.centroid, targets.expand(H, -1, -1), g,
                              part)
        y = transform_points(poses, surface).flatten(1, 2)
        o, og = outline_distance(seen, y)
        J_surface = _jacobian(net, poses, x.axis, seen.centroid, y, og, surface_part)
        r = torch.cat([d * on, 0.7 * o], dim=1)
        J = torch.cat([J_points * on[..., None], 0.7 * J_surface], dim=1)
        weight = torch.cat([torch.full((n,), 1 / n), torch.full((m,), 0.5 / m),
                            torch.full((s,), 0.5 / s)]).to(device)
        w = weight * (width ** 2 / (width ** 2 + r.square())).square()
        cost = (weight * r.square() / (1 + r.square() / width ** 2)).sum(1)
        JW = J * w[..., None]
        return cost, J.transpose(1, 2) @ JW, (JW * r[..., None]).sum(1)

    cost, A, b = evaluate(state)
    for _ in range(iterations):
        level = A.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
        regular = torch.diag_embed((damping[:, None] * level + 1e-9).expand(-1, size))
        step = -torch.linalg.solve(A + regular, b)
        length = step.norm(dim=1, keepdim=True).clamp_min(1e-9)
        step = step * (0.5 / length).clamp_max(1.0)
        trial = limit_joints(net, move(state, step, seen.centroid))
        trial_cost, trial_A, trial_b = evaluate(trial)
        better = trial_cost < cost
        state = _choose(better, trial, state)
        cost = torch.where(better, trial_cost, cost)
        A = torch.where(better[:, None, None], trial_A, A)
        b = torch.where(better[:, None], trial_b, b)
        damping = torch.where(better, damping * 0.3, damping * 10).clamp(1e-6, 1e3)
    return state, A * n


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


def _choose(mask: Tensor, a: State, b: State) -> State:
    def pick(x: Tensor, y: Tensor) -> Tensor:
        return torch.where(mask.view(-1, *[1] * (x.dim() - 1)), x, y)

    return State(pick(a.T_camera_base, b.T_camera_base), pick(a.q, b.q),
                 pick(a.origin, b.origin), pick(a.axis, b.axis))
