"""Collects the slabs that a family is made of and turns them into instances."""

from __future__ import annotations

import torch
from torch import Tensor

from kinediff3d_core.categories import Category
from kinediff3d_core.data.solids import Instances, Slot, slab_bounds


class Builder:
    """Collects the slabs of n instances; every number is a tensor (n,) or a float."""

    def __init__(self, n: int, generator: torch.Generator, device: torch.device | str) -> None:
        self.n, self.generator, self.device = n, generator, device
        self.slots: list[Slot] = []
        self.rows: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]] = []

    def uniform(self, low: float | Tensor, high: float | Tensor) -> Tensor:
        u = torch.rand(self.n, generator=self.generator, device=self.device)
        return low + (high - low) * u

    def log_uniform(self, low: float, high: float) -> Tensor:
        lo, hi = torch.tensor(low).log().item(), torch.tensor(high).log().item()
        return self.uniform(lo, hi).exp()

    def chance(self, p: float) -> Tensor:
        return self.uniform(0.0, 1.0) < p

    def slab(self, part: int, lower: tuple[float | Tensor, ...], upper: tuple[float | Tensor, ...],
             corner: float | Tensor = 0.0, edge: float | Tensor = 0.0,
             present: Tensor | None = None, cut: bool = False, axis: int = 2,
             pitch: Tensor | None = None, yaw: Tensor | None = None,
             pivot: tuple[float | Tensor, ...] = (0.0, 0.0, 0.0)) -> None:
        """A slab between two corners (n, 3), in the frame of its part.

        Args:
            part: index. lower, upper: corners (x, y, z), m.
            corner: radius of the rectangle's corners, seen along ``axis``; half the smaller side
                makes a disc or a stadium. edge: rounding of the rims.
            present: (n) bool, whether an instance has it; None is all.
            cut: take it away from what was added to the part before, instead of adding it.
            axis: of extrusion, 0, 1 or 2.
            pitch, yaw: (n) turn it about the y axis, then about the z axis through ``pivot``, rad.
        """
        lo = torch.stack([self._row(x) for x in lower], dim=-1)
        hi = torch.stack([self._row(x) for x in upper], dim=-1)
        centre, half = (lo + hi) / 2, ((hi - lo) / 2).clamp_min(1e-5)
        plane = torch.stack([half[:, i] for i in range(3) if i != axis]).amin(0)
        corner_row = torch.minimum(self._row(corner), plane)
        edge_row = torch.minimum(self._row(edge), half[:, axis])
        corner_row = torch.minimum(torch.maximum(corner_row, edge_row), plane)
        edge_row = torch.minimum(edge_row, corner_row)
        rotation = torch.eye(3, device=self.device).expand(self.n, 3, 3)
        if pitch is not None or yaw is not None:
            zero = torch.zeros(self.n, device=self.device)
            one, about = zero + 1, torch.stack([self._row(x) for x in pivot], dim=-1)
            if pitch is not None:
                c, s = pitch.cos(), pitch.sin()
                turn = torch.stack([c, zero, s, zero, one, zero, -s, zero, c], dim=-1)
                rotation = turn.view(-1, 3, 3)
            if yaw is not None:
                c, s = yaw.cos(), yaw.sin()
                turn = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], dim=-1)
                rotation = turn.view(-1, 3, 3) @ rotation
            centre = about + (rotation @ (centre - about)[..., None])[..., 0]
        if present is None:
            present = torch.ones(self.n, dtype=torch.bool, device=self.device)
        self.slots.append(Slot(part, cut, axis, pitch is not None or yaw is not None))
        self.rows.append((centre, half, corner_row, edge_row, rotation, present))

    def build(self, category: Category, origin: Tensor, upper: Tensor) -> Instances:
        """Instances with the base's frame moved to the centre of the base's box.

        Args:
            origin: (n, K-1, 3) pivots; those on the base move with it.
            upper: (n, K-1) upper limits; the lower ones are the category's.

        A part without any slab present does not exist in that instance; its box and pivot mean
        nothing.
        """
        centre, half, corner, edge, rotation, present = (
            torch.stack(list(column), dim=1) for column in zip(*self.rows, strict=True))
        boxes = slab_bounds(centre, half, rotation)
        nowhere = torch.tensor([[-0.01], [0.01]], device=self.device).expand(2, 3)
        bounds, exists = [], []
        for part in range(len(category.parts)):
            own = torch.tensor([s.part == part and not s.cut for s in self.slots],
                               device=self.device) & present
            low = torch.where(own[..., None], boxes[:, :, 0], torch.inf).amin(1)
            high = torch.where(own[..., None], boxes[:, :, 1], -torch.inf).amax(1)
            there = own.any(1)
            box = torch.stack([low, high], dim=1)
            bounds.append(torch.where(there[:, None, None], box, nowhere))
            exists.append(there)
        middle = bounds[0].mean(1)
        bounds[0] = bounds[0] - middle[:, None]
        on_base = torch.tensor([s.part == 0 for s in self.slots], device=self.device)
        centre = torch.where(on_base[:, None], centre - middle[:, None], centre)
        moved = torch.tensor([j.parent == 0 for j in category.joints], device=self.device)
        axis = torch.tensor([j.axis for j in category.joints], device=self.device)
        lower = torch.tensor([j.lower for j in category.joints], device=self.device)
        return Instances(
            category, tuple(self.slots), centre, half, corner, edge, rotation, present,
            origin=torch.where(moved[:, None], origin - middle[:, None], origin),
            axis=axis.expand(self.n, -1, 3), lower=lower.expand(self.n, -1), upper=upper,
            bounds=torch.stack(bounds, dim=1), exists=torch.stack(exists, dim=1))

    def _row(self, x: float | Tensor) -> Tensor:
        return x if isinstance(x, Tensor) else torch.full((self.n,), float(x), device=self.device)
