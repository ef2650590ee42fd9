"""Kinematic trees: which parts an object has and how its joints move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.geometry.rigid import cross_matrix, make_transform

JOINT_TYPES = ('revolute', 'prismatic')


@dataclass(frozen=True)
class Joint:
    """One joint of a category, in URDF's words.

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
    """What one canonical unit of each joint's position is (J,): 1 rad, or ``scale`` metres."""
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
    eye = torch.eye(3, dtype=q.dtype, device=q.device)
    to_pivot = make_transform(eye.expand(*origin.shape, 3), origin)
    kinds = {j.joint_type for j in joints}
    if len(kinds) == 1:
        motion = joint_transform(kinds.pop(), axis, q)
    else:
        motion = torch.stack([joint_transform(j.joint_type, axis[..., i, :], q[..., i])
                              for i, j in enumerate(joints)], dim=-3)
    if not any(j.parent for j in joints):  # All hang on the base: at once.
        children = T_camera_base[..., None, :, :] @ to_pivot @ motion
        return torch.cat([T_camera_base[..., None, :, :], children], dim=-3)
    poses = [T_camera_base]
    for i, joint in enumerate(joints):
        poses.append(poses[joint.parent] @ to_pivot[..., i, :, :] @ motion[..., i, :, :])
    return torch.stack(poses, dim=-3)
