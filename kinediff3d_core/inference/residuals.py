"""Residuals of a posed shape against one view, with their derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from kinediff3d_core.geometry.kinematics import forward_kinematics
from kinediff3d_core.geometry.rigid import (
    to_part_frames,
    transform_points,
)
from kinediff3d_core.inference.cuda_graphs import Graphs
from kinediff3d_core.inference.shape import Shape
from kinediff3d_core.networks.kavae import KAVAE, Field
from kinediff3d_core.networks.score import State
from kinediff3d_core.objects.category import Category
from kinediff3d_core.observation.free_space import Observation, free_distance

CLIP = 0.08
"""Distances beyond this say no more than 'far', canonical units."""


def part_poses(net: Shape, state: State) -> Tensor:
    """T_camera_part (H, K, 4, 4)."""
    return forward_kinematics(net.category.joints, state.T_camera_base, state.q, state.origin,
                              state.axis)


def union_distance(net: Shape, field: Field, poses: Tensor, points: Tensor,
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


def fit_score(net: Shape, field: Field, state: State, seen: Observation, surface: Tensor,
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


def motion_jacobian(net: Shape, poses: Tensor, axis: Tensor, centre: Tensor, points: Tensor,
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
