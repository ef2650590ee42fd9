"""Kinematic trees: which parts an object has and how its joints move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import cross_matrix, make_transform

Array = np.ndarray[Any, Any]

JOINT_TYPES = ('revolute', 'prismatic')


@dataclass(frozen=True)
class Joint:
    """One joint of a category, in the terms of URDF.

    Attributes:
        name: as published in ``joint_states``.
        joint_type: ``revolute`` (position in rad) or ``prismatic`` (m).
        parent: index of the parent part; parents come before children.
        child: index of the child part.
        axis: unit direction in the parent's frame at q = 0.
        lower, upper: limits of the position, rad or m.
    """

    name: str
    joint_type: str
    parent: int
    child: int
    axis: tuple[float, float, float]
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if self.joint_type not in JOINT_TYPES:
            raise ValueError(f'joint {self.name!r} is {self.joint_type!r}; known: {JOINT_TYPES}')
        if not self.parent < self.child:
            raise ValueError(f'joint {self.name!r}: part {self.parent} must come before its child '
                             f'{self.child}')


def joint_units(joints: Sequence[Joint], scale: float) -> Tensor:
    """Size (J,) of one canonical unit of each joint's position: 1 rad, or ``scale`` metres."""
    return torch.tensor([1.0 if j.joint_type == 'revolute' else scale for j in joints])


def joint_transform(joint_type: str, axis: Tensor, q: Tensor) -> Tensor:
    """Motion of a joint about its own origin: T_origin_child (..., 4, 4).

    Args:
        axis: (..., 3) direction, normalised here.
        q: (...) rad or the unit of length in use.

    The child's frame sits at the pivot, parallel to its parent's at q = 0, so a revolute joint is
    a pure rotation (Rodrigues) and a prismatic one the pure translation q d.
    """
    d = axis / axis.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    eye = torch.eye(3, dtype=d.dtype, device=d.device)
    if joint_type == 'prismatic':
        return make_transform(eye.expand(*d.shape[:-1], 3, 3), q[..., None] * d)
    cross = cross_matrix(d)
    sin, cos = q.sin()[..., None, None], q.cos()[..., None, None]
    return make_transform(eye + sin * cross + (1 - cos) * (cross @ cross), torch.zeros_like(d))


def forward_kinematics(joints: tuple[Joint, ...], T_camera_base: Tensor, q: Tensor, origin: Tensor,
                       axis: Tensor) -> Tensor:
    """Poses of all parts.

    Algorithm: walk the joints in order; each child is its parent's pose, moved to the pivot, times
    the joint's motion: ``T_camera_child = T_camera_parent @ trans(l) @ motion(d, q)``. About the
    pivot this is ``[R(d, q), l - R(d, q) l]`` applied to points of the parent frame (section 3.2
    of the paper, with the pivot where the paper prints the cloud's centre).

    Args:
        joints: K-1 joints, parents before children, part 0 is the base.
        T_camera_base: (..., 4, 4).
        q: (..., K-1) positions.
        origin: (..., K-1, 3) pivots l in the parent's frame.
        axis: (..., K-1, 3) directions d in the parent's frame.

    Returns:
        T_camera_part (..., K, 4, 4), in the unit of length of the arguments.
    """
    if not joints:
        return T_camera_base[..., None, :, :]
    eye = torch.eye(3, dtype=q.dtype, device=q.device)
    to_pivot = make_transform(eye.expand(*origin.shape, 3), origin)
    kinds = {j.joint_type for j in joints}
    if len(kinds) == 1:
        motion = joint_transform(kinds.pop(), axis, q)
    else:
        motion = torch.stack([joint_transform(j.joint_type, axis[..., i, :], q[..., i])
                              for i, j in enumerate(joints)], dim=-3)
    if not any(j.parent for j in joints):  # All joints start at the base: one product.
        children = T_camera_base[..., None, :, :] @ to_pivot @ motion
        return torch.cat([T_camera_base[..., None, :, :], children], dim=-3)
    poses = [T_camera_base]
    for i, joint in enumerate(joints):
        poses.append(poses[joint.parent] @ to_pivot[..., i, :, :] @ motion[..., i, :, :])
    return torch.stack(poses, dim=-3)


def poses_in_base(joints: Sequence[Joint], q: Array, origin: Array, axis: Array) -> Array:
    """:func:`forward_kinematics` of NumPy arrays: T_base_part (K, 4, 4) float64.

    Args:
        joints: K-1 joints; joint i moves part i + 1.
        q: (K-1,) positions. origin, axis: (K-1, 3) in the parents' frames.
    """
    q, origin, axis = (np.array(x, np.float64).reshape(shape) for x, shape in (
        (q, -1), (origin, (-1, 3)), (axis, (-1, 3))))
    poses = forward_kinematics(tuple(joints), torch.eye(4, dtype=torch.float64),
                               *(torch.from_numpy(x) for x in (q, origin, axis)))
    return np.asarray(poses.numpy())


@dataclass(frozen=True)
class KinematicTree:
    """Joints as tensors.

    Attributes:
        parents, children: (J,) part indices.
        revolute: (J, 1) which joints are revolute; None where none is.
        carried: (K, J) 1 where a joint moves a part, directly or through others, else 0.
    """

    parents: Tensor
    children: Tensor
    revolute: Tensor | None
    carried: Tensor

    def motion_jacobian(self, poses: Tensor, axis: Tensor, centre: Tensor, points: Tensor,
                        gradient: Tensor, part: Tensor) -> Tensor:
        """d(value at a point carried by its part) / d(twist about ``centre``, q): (H, N, 6 + J).

        A part moves with velocity ``rho + phi x (p - centre)`` by the base's twist (rho, phi), and
        with ``a x (p - pivot)`` (revolute) or ``a`` (prismatic) by each joint between it and the
        base, a being the joint's axis in the camera frame.

        Args:
            poses: (H, K, 4, 4) T_camera_part. axis: (H, J, 3) in the parents' frames.
            centre: (3,) camera frame.
            points: (H, N, 3) camera frame. gradient: (H, N, 3) of the value at each of them.
            part: (H, N) index of the part that carries each point.
        """
        a = (poses.index_select(1, self.parents)[..., :3, :3] @ axis[..., None])[..., 0][:, None]
        if self.revolute is not None:
            pivots = poses.index_select(1, self.children)[:, None, :, :3, 3]
            lever = points[..., None, :] - pivots
            a = torch.where(self.revolute, torch.linalg.cross(a.expand_as(lever), lever), a)
        along = (a * gradient[..., None, :]).sum(-1)
        return torch.cat([gradient, torch.linalg.cross(points - centre, gradient),
                          self.carried[part] * along], dim=-1)


@lru_cache
def kinematic_tree(joints: tuple[Joint, ...], device: torch.device) -> KinematicTree:
    """The tree of K-1 joints, parents before children, on a device."""
    carried = torch.zeros(len(joints) + 1, len(joints))
    for j, joint in enumerate(joints):
        carried[joint.child, j] = 1.0
        for below in joints:
            if carried[below.parent, j]:
                carried[below.child, j] = 1.0
    revolute = [j.joint_type == 'revolute' for j in joints]
    return KinematicTree(torch.tensor([j.parent for j in joints]).to(device),
                         torch.tensor([j.child for j in joints]).to(device),
                         torch.tensor(revolute)[:, None].to(device) if any(revolute) else None,
                         carried.to(device))
