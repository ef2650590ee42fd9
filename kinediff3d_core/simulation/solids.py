"""Parts as signed distance fields: rounded slabs, added to and cut from each other, in batches.

A slab is a rectangle with rounded corners, extruded along one axis, with rounded edges: boxes,
plates, bars and cylinders are all slabs. A part is a list of slots, each a slab that is added or
cut in turn. All instances of a family have the same slots; the slabs' sizes vary.
The zero level is exact. Away from it the distance to unions is exact outside of them, and the
distance to cuts is a lower bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from kinediff3d_core.geometry.kinematics import forward_kinematics
from kinediff3d_core.objects.category import Category

FAR = 1e3
"""Distance to a part without slabs, m."""
TINY = 1e-16
"""Added under square roots, m^2: their gradient stays finite at zero."""
ON_SURFACE = 5e-5
"""Points this near to the zero level are surface points, m. Chosen."""
NEWTON_STEPS = 2
"""Steps along the gradient that take a point on a slab's box to the part's surface. Chosen."""


@dataclass(frozen=True)
class Slot:
    """One slab's place in its family."""

    part: int
    """Index of the part."""
    cut: bool = False
    """It is cut from the part instead of added."""
    axis: int = 2
    """Axis of extrusion: 0, 1 or 2."""
    rotated: bool = False
    """Some instances have it at an angle."""


def slab_distance(p: Tensor, half: Tensor, corner: Tensor, edge: Tensor, axis: int) -> Tensor:
    """Exact signed distance (...) of points p (..., 3) to a slab centred at the origin, m.

    Args:
        half: (..., 3) half sizes. corner: (...) radius of the four corners of the rectangle.
        edge: (...) rounding of the extrusion's rims, at most ``corner`` and the half thickness.
        axis: of extrusion.
    """
    u, v = [i for i in range(3) if i != axis]
    qu = p[..., u].abs() - half[..., u] + corner
    qv = p[..., v].abs() - half[..., v] + corner
    plan = (torch.sqrt(qu.clamp_min(0).square() + qv.clamp_min(0).square() + TINY)
            + _not_above_zero(torch.maximum(qu, qv)) - corner)
    a = plan + edge
    b = p[..., axis].abs() - half[..., axis] + edge
    return (_not_above_zero(torch.maximum(a, b))
            + torch.sqrt(a.clamp_min(0).square() + b.clamp_min(0).square() + TINY) - edge)


def _not_above_zero(x: Tensor) -> Tensor:
    """The smaller of x and zero, with gradient one at zero: on the surface a normal needs it.

    ``clamp_max`` has that gradient up to torch 2.13, and zero from 2.14 on.
    """
    return torch.where(x > 0, 0.0, x)


@dataclass(frozen=True)
class Instances:
    """B articulated objects of one family; lengths in m."""

    category: Category
    """With K parts and K-1 joints."""
    slots: tuple[Slot, ...]
    """S slots, the same for all instances."""
    centre: Tensor
    """(B, S, 3) of each slab in its part's frame."""
    half: Tensor
    """(B, S, 3) half sizes of each slab."""
    corner: Tensor
    """(B, S) radius of each slab's corners."""
    edge: Tensor
    """(B, S) rounding of each slab's rims."""
    rotation: Tensor
    """(B, S, 3, 3) from the slab's frame into its part's; used where the slot is ``rotated``."""
    present: Tensor
    """(B, S) bool, whether the instance has that slab."""
    origin: Tensor
    """(B, K-1, 3) pivots of the joints in the parent's frame."""
    axis: Tensor
    """(B, K-1, 3) unit directions of the joints in the parent's frame."""
    lower: Tensor
    """(B, K-1) lower limits, rad or m."""
    upper: Tensor
    """(B, K-1) upper limits, rad or m."""
    bounds: Tensor
    """(B, K, 2, 3) axis-aligned box of each part in its frame."""
    exists: Tensor
    """(B, K) bool, whether the instance has that part. Other values of a part that does not exist
    have no meaning."""
    glass: Tensor
    """(B, K, 2, 3) box of each part in its frame, in which a camera gets no depth from the part's
    surface; its lower corner is infinite where there is none."""

    def __len__(self) -> int:
        return self.centre.shape[0]

    def __getitem__(self, index: slice | Tensor) -> Instances:
        return self._map(lambda x: x[index])

    def to(self, device: torch.device | str) -> Instances:
        return self._map(lambda x: x.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Instances:
        tensors: dict[str, Any] = {f.name: change(getattr(self, f.name)) for f in fields(self)
                                   if f.name not in ('category', 'slots')}
        return replace(self, **tensors)

    @property
    def num_parts(self) -> int:
        return len(self.category.parts)

    def part_poses(self, q: Tensor, T_camera_base: Tensor) -> Tensor:
        """T_camera_part (B, K, 4, 4) at joint positions q (B, K-1), of B objects or of one."""
        origin, axis = (x.expand(len(q), -1, -1) for x in (self.origin, self.axis))
        return forward_kinematics(self.category.joints, T_camera_base, q, origin, axis)

    def part_sdf(self, part: int, p: Tensor) -> Tensor:
        """Signed distance (B, N), m, of points p (B, N, 3) to a part, all in the part's frame."""
        return self._sdf(part, p, slice(None), expand=True)

    def sdf_at(self, part: int, index: Tensor, p: Tensor) -> Tensor:
        """Signed distance (R,), m, of points p (R, 3) to the part of instance index (R,)."""
        if len(self) == 1:  # Nothing to gather.
            return self.part_sdf(part, p[None])[0]
        return self._sdf(part, p, index, expand=False)

    def _sdf(self, part: int, p: Tensor, index: Tensor | slice, expand: bool) -> Tensor:
        """Signed distance to the part, of (B, N, 3) points with ``expand``, else (R, 3)."""
        d = torch.full_like(p[..., 0], FAR)
        for s, slot in enumerate(self.slots):
            if slot.part != part:
                continue

            def rows(x: Tensor, s: int = s) -> Tensor:
                return x[index, s, None] if expand else x[index, s]

            x = p - rows(self.centre)
            if slot.rotated:
                x = (x[..., None, :] @ rows(self.rotation))[..., 0, :]
            slab = slab_distance(x, rows(self.half), rows(self.corner), rows(self.edge), slot.axis)
            absent = ~rows(self.present)
            if slot.cut:
                d = torch.maximum(d, torch.where(absent, -FAR, -slab))
            else:
                d = torch.minimum(d, torch.where(absent, FAR, slab))
        return d

    def surface_points(self, part: int, n: int, generator: torch.Generator,
                       ) -> tuple[Tensor, Tensor]:
        """Points (B, n, 3) on a part's surface in its frame, m, and their outward normals.

        Half as many points again as wanted are drawn on the slabs' boxes and moved along the
        distance's gradient. Points that start inside the part or do not reach the surface are
        replaced by others.

        Args:
            generator: on the instances' device.
        """
        x = self._box_points(part, n + n // 2, generator)
        start = self.part_sdf(part, x)
        for _ in range(NEWTON_STEPS):
            d, gradient = self.sdf_gradient(part, x)
            x = x - d[..., None] * gradient
        d, normal = self.sdf_gradient(part, x)
        good = (d.abs() < ON_SURFACE) & (start > -ON_SURFACE)
        order = torch.argsort((~good).int(), dim=1, stable=True)
        count = good.sum(1).clamp_min(1)
        rank = torch.arange(n, device=x.device)[None] % count[:, None]
        pick = order.gather(1, rank)[..., None].expand(-1, -1, 3)
        return x.gather(1, pick), normal.gather(1, pick)

    def _box_points(self, part: int, n: int, generator: torch.Generator) -> Tensor:
        """Points (B, n, 3) on the boxes of a part's added slabs, uniform by area."""
        device = self.centre.device
        added = [s for s, slot in enumerate(self.slots) if slot.part == part and not slot.cut]
        half = self.half[:, added]
        faces = torch.stack([half[..., 1] * half[..., 2], half[..., 0] * half[..., 2],
                             half[..., 0] * half[..., 1]], dim=-1)
        weight = (faces * self.present[:, added, None]).flatten(1)
        weight[:, 0] += ~self.exists[:, part]  # one weight must be positive
        pick = torch.multinomial(weight, n, replacement=True, generator=generator)
        slab, face = pick // 3, pick % 3
        x = torch.rand(len(self), n, 3, generator=generator, device=device) * 2 - 1
        x.scatter_(2, face[..., None], torch.where(x.gather(2, face[..., None]) < 0, -1.0, 1.0))
        slot = torch.tensor(added, device=device)[slab]
        rows = torch.arange(len(self), device=device)[:, None]
        x = x * self.half[rows, slot]
        return (torch.einsum('bmij,bmj->bmi', self.rotation[rows, slot], x)
                + self.centre[rows, slot])

    def sdf_gradient(self, part: int, p: Tensor) -> tuple[Tensor, Tensor]:
        """Signed distance (B, N), m, of points p (B, N, 3), and its unit gradient (B, N, 3)."""
        with torch.enable_grad():
            x = p.detach().requires_grad_()
            d = self.part_sdf(part, x)
            (g,) = torch.autograd.grad(d.sum(), x)
        return d.detach(), torch.nn.functional.normalize(g, dim=-1)


def slab_bounds(centre: Tensor, half: Tensor, corner: Tensor, edge: Tensor, rotation: Tensor,
                axis: Tensor) -> Tensor:
    """Tight axis-aligned boxes (B, S, 2, 3) of slabs in their parts' frames, m.

    Args:
        centre, half: (B, S, 3) m. corner, edge: (B, S) m. rotation: (B, S, 3, 3).
        axis: (S,) of extrusion.
    """
    along = torch.nn.functional.one_hot(axis, 3).to(half)
    core = half - torch.where(along > 0, edge[..., None], corner[..., None])
    tilt = (rotation @ along[..., None])[..., 0]
    reach = ((rotation.abs() @ core[..., None])[..., 0] + edge[..., None]
             + (corner - edge)[..., None] * (1 - tilt.square()).clamp_min(0).sqrt())
    return torch.stack([centre - reach, centre + reach], dim=-2)


def pack_slabs(instances: Instances) -> tuple[Tensor, Tensor]:
    """The slabs as one tensor, for :mod:`kinediff3d_core.kernels.trace`.

    Returns:
        (B, S, 18) slabs, extruded along z, part by part. A row has the rotation from the part's
        frame into the slab's (9), centre (3), half sizes (3), corner, edge, and kind (0 absent,
        1 added, 2 cut). (K + 1) int32 index of each part's first slab.
    """
    slots, device = instances.slots, instances.centre.device
    order = sorted(range(len(slots)), key=lambda s: slots[s].part)
    axes = torch.tensor([[i for i in range(3) if i != slots[s].axis] + [slots[s].axis]
                         for s in order], device=device)
    turn = instances.rotation[:, order].transpose(-1, -2)
    turned = torch.tensor([slots[s].rotated for s in order], device=device)
    turn = torch.where(turned[:, None, None], turn, torch.eye(3, device=device))
    B = len(instances)
    turn = turn.gather(2, axes[None, :, :, None].expand(B, -1, -1, 3))
    half = instances.half[:, order].gather(2, axes.expand(B, -1, -1))
    kind = torch.tensor([2.0 if slots[s].cut else 1.0 for s in order], device=device)
    kind = kind * instances.present[:, order]
    rows = torch.cat([turn.flatten(2), instances.centre[:, order], half,
                      torch.stack([instances.corner[:, order], instances.edge[:, order], kind],
                                  dim=-1)], dim=-1)
    count = [sum(slot.part < k for slot in slots) for k in range(instances.num_parts + 1)]
    return rows.contiguous(), torch.tensor(count, dtype=torch.int32, device=device)
