"""Collects the slabs that a family is made of and turns them into instances."""

from __future__ import annotations

from math import pi

import torch
from torch import Tensor

from kinediff3d_core.objects.category import Category
from kinediff3d_core.simulation.solids import Instances, Slot, slab_bounds


class Builder:
    """Collects the slabs of n instances; every number is a tensor (n,) or a float."""

    def __init__(self, n: int, generator: torch.Generator, device: torch.device | str) -> None:
        self.n, self.generator, self.device = n, generator, device
        self.slots: list[Slot] = []
        self.rows: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]] = []

    def side_stream(self) -> Builder:
        """Numbers of its own for what only some instances have.

        Its seed is what the generator would give next, but the generator stays where it is: the
        instances without such a feature stay what a seed has always made them.
        """
        state = self.generator.get_state()
        seed = int(torch.randint(2 ** 62, (), generator=self.generator, device=self.device))
        self.generator.set_state(state)
        return Builder(self.n, torch.Generator(self.device).manual_seed(seed), self.device)

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

    def bar(self, part: int, start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor],
            width: Tensor, low: Tensor, high: Tensor, edge: float | Tensor = 0.0) -> None:
        """A stadium from one point (x, y) to another, between two heights z."""
        (x, y), r = start, width / 2
        length = torch.hypot(end[0] - x, end[1] - y)
        self.slab(part, (x - r, y - r, low), (x + length + r, y + r, high), r, edge,
                  yaw=torch.atan2(end[1] - y, end[0] - x), pivot=(x, y, 0.0))

    def taper(self, part: int, x: float | Tensor, y: float | Tensor, slope: Tensor, side: int,
              present: Tensor | None = None) -> None:
        """Cut away what lies on one side (1 is +y, -1 is -y) of a line through (x, y).

        Going forward (+x) the line runs away from that side by ``slope``, rad.
        """
        yaw = slope if side < 0 else pi - slope
        self.slab(part, (x - 2.0, y - 2.0, -1.0), (x + 2.0, y, 1.0), present=present, cut=True,
                  yaw=yaw, pivot=(x, y, 0.0))

    def build(self, category: Category, origin: Tensor, upper: Tensor,
              middle: tuple[int, ...] = ()) -> Instances:
        """Instances with the base's frame moved to the centre of the base's box.

        Args:
            origin: (n, K-1, 3) pivots; those on the base move with it.
            upper: (n, K-1) upper limits; the lower ones are the category's.
            middle: coordinates in which a pivot may be anywhere (along the axis of a revolute
                joint, all of a prismatic one): there it moves to the middle of the part's box.

        A part without any slab present does not exist in that instance; its box and pivot mean
        nothing.
        """
        centre, half, corner, edge, rotation, present = (
            torch.stack(list(column), dim=1) for column in zip(*self.rows, strict=True))
        extrusion = torch.tensor([s.axis for s in self.slots], device=self.device)
        boxes = slab_bounds(centre, half, corner, edge, rotation, extrusion)
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
        free = torch.tensor([i in middle for i in range(3)], device=self.device)
        shift = torch.stack([box.mean(1) for box in bounds], dim=1)
        shift[:, 1:] = torch.where(free, shift[:, 1:], 0.0)
        owner = torch.tensor([s.part for s in self.slots], device=self.device)
        centre = centre - shift[:, owner]
        moved = torch.tensor([j.parent == 0 for j in category.joints], device=self.device)
        origin = origin + shift[:, 1:] - torch.where(moved[:, None], shift[:, :1], 0.0)
        axis = torch.tensor([j.axis for j in category.joints], device=self.device)
        lower = torch.tensor([j.lower for j in category.joints], device=self.device)
        return Instances(
            category, tuple(self.slots), centre, half, corner, edge, rotation, present,
            origin=origin, axis=axis.expand(self.n, -1, 3), lower=lower.expand(self.n, -1),
            upper=upper, bounds=torch.stack(bounds, dim=1) - shift[:, :, None],
            exists=torch.stack(exists, dim=1))

    def _row(self, x: float | Tensor) -> Tensor:
        return x if isinstance(x, Tensor) else torch.full((self.n,), float(x), device=self.device)
