"""Collects the slabs that a family is made of and turns them into instances."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TypeAlias

import torch
from torch import Tensor

from kinediff3d_core.objects.category import Category
from kinediff3d_core.simulation.families.draws import Draws
from kinediff3d_core.simulation.solids import Instances, Slot, slab_bounds

Number: TypeAlias = float | Tensor
"""One number for all instances, or one an instance (n,)."""
Point: TypeAlias = tuple[Number, Number, Number]
"""x, y, z in the frame of the part, m."""

MIN_HALF_SIZE = 1e-5
"""Smallest half size of a slab, m: a slab whose corners are swapped stays valid. Chosen."""


@dataclass(frozen=True)
class Area:
    """A rectangle in the front of furniture, across x; m, each (n,)."""

    y0: Tensor
    y1: Tensor
    z0: Tensor
    z1: Tensor


@dataclass(frozen=True)
class Slab:
    """A rounded slab between two opposite corners, in the frame of its part."""

    lower: Point
    """Corner with the smallest coordinates, before the slab is turned, m."""
    upper: Point
    """Corner with the largest coordinates, m."""
    corner: Number = 0.0
    """Radius of the rectangle's four corners, seen along ``axis``, m; at most half of the smaller
    side, which makes a disc or a stadium."""
    edge: Number = 0.0
    """Rounding of the rims, m."""
    axis: int = 2
    """Axis of extrusion: 0, 1 or 2."""
    pitch: Tensor | None = None
    """(n,) rotation about the y axis through ``pivot``, rad."""
    yaw: Tensor | None = None
    """(n,) rotation about the z axis through ``pivot``, after ``pitch``, rad."""
    pivot: Point = (0.0, 0.0, 0.0)
    """A point on the axes of rotation, m."""


def stadium(start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor], width: Tensor,
            height: tuple[Tensor, Tensor], edge: Number = 0.0) -> Slab:
    """A bar with round ends from one point (x, y) to another, between two heights z; all in m."""
    (x, y), r = start, width / 2
    length = torch.hypot(end[0] - x, end[1] - y)
    return Slab((x - r, y - r, height[0]), (x + length + r, y + r, height[1]), r, edge,
                yaw=torch.atan2(end[1] - y, end[0] - x), pivot=(x, y, 0.0))


def half_space(x: Number, y: Number, slope: Tensor, side: int) -> Slab:
    """What lies on one side (1 is +y, -1 is -y) of a line through (x, y), m; to be cut away.

    In the direction of +x the line runs away from that side at the angle ``slope``, rad.
    """
    yaw = slope if side < 0 else pi - slope
    return Slab((x - 2.0, y - 2.0, -1.0), (x + 2.0, y, 1.0), yaw=yaw, pivot=(x, y, 0.0))


def ordered(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The smaller and the larger of two numbers of each instance."""
    ends = torch.stack([first, second])
    return ends.amin(0), ends.amax(0)


class Wide:
    """A dataclass of sizes with a width."""

    width: Tensor

    @property
    def half_width(self) -> Tensor:
        return self.width / 2


class Builder(Draws):
    """Draws the random numbers of n instances of a category and collects their slabs.

    Attributes:
        rare: draws the numbers of features that only some instances have.
    """

    def __init__(self, category: Category, n: int, generator: torch.Generator,
                 device: torch.device | str) -> None:
        super().__init__(n, generator, device)
        self.category, self.rare = category, self.side_stream()
        self._slots: list[Slot] = []
        self._rows: list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]] = []
        nowhere = torch.tensor([[torch.inf], [-torch.inf]], device=device).expand(2, 3)
        self._glass = [nowhere.expand(n, 2, 3)] * len(category.parts)

    def add(self, part: int, slab: Slab, present: Tensor | None = None) -> None:
        """Add a slab to a part of the instances in ``present`` (n,) bool; None is all."""
        self._append(part, slab, present, cut=False)

    def cut(self, part: int, slab: Slab, present: Tensor | None = None) -> None:
        """Cut a slab from all that was added to the part so far; arguments as in :meth:`add`."""
        self._append(part, slab, present, cut=True)

    def without_depth(self, part: int, lower: Point, upper: Point, present: Tensor) -> None:
        """The part's surface between two corners is of glass: a camera gives no depth there.

        Args:
            present: (n,) bool. The last box of a part is the one that counts.
        """
        box = torch.stack([self._vector(lower), self._vector(upper)], dim=1)
        self._glass[part] = torch.where(present[:, None, None], box, self._glass[part])

    def _append(self, part: int, slab: Slab, present: Tensor | None, cut: bool) -> None:
        lower, upper = self._vector(slab.lower), self._vector(slab.upper)
        centre, half = (lower + upper) / 2, ((upper - lower) / 2).clamp_min(MIN_HALF_SIZE)
        plane = torch.stack([half[:, i] for i in range(3) if i != slab.axis]).amin(0)
        corner = torch.minimum(self._tensor(slab.corner), plane)
        edge = torch.minimum(self._tensor(slab.edge), half[:, slab.axis])
        corner = torch.minimum(torch.maximum(corner, edge), plane)
        edge = torch.minimum(edge, corner)
        rotation = torch.eye(3, device=self.device).expand(self.n, 3, 3)
        rotated = slab.pitch is not None or slab.yaw is not None
        if rotated:
            if slab.pitch is not None:
                rotation = _about_y(slab.pitch)
            if slab.yaw is not None:
                rotation = _about_z(slab.yaw) @ rotation
            pivot = self._vector(slab.pivot)
            centre = pivot + (rotation @ (centre - pivot)[..., None])[..., 0]
        if present is None:
            present = torch.ones(self.n, dtype=torch.bool, device=self.device)
        self._slots.append(Slot(part, cut, slab.axis, rotated))
        self._rows.append((centre, half, corner, edge, rotation, present))

    def pivot(self, x: Tensor, z: Tensor) -> Tensor:
        """Origin (n, 1, 3) of the only joint, at (x, 0, z), m."""
        return torch.stack([x, self.zeros(), z], dim=-1)[:, None]

    def build(self, upper: Tensor, origin: Tensor | None = None,
              middle: tuple[int, ...] = (), lower: Tensor | None = None) -> Instances:
        """Instances with the base's frame moved to the centre of the base's box.

        A part without any slab present does not exist in that instance. Its box and pivot then
        have no meaning.

        Args:
            upper: (n, K-1) upper limits, rad or m.
            origin: (n, K-1, 3) pivots, m, by default zero; those on the base move with it.
            middle: coordinates in which a pivot is free (along the axis of a revolute joint, all
                of a prismatic one). There it moves to the middle of the part's box.
            lower: (n, K-1) lower limits, rad or m; by default the category's.
        """
        category = self.category
        if origin is None:
            origin = torch.zeros(self.n, len(category.joints), 3, device=self.device)
        centre, half, corner, edge, rotation, present = (
            torch.stack(list(column), dim=1) for column in zip(*self._rows, strict=True))
        extrusion = torch.tensor([s.axis for s in self._slots], device=self.device)
        boxes = slab_bounds(centre, half, corner, edge, rotation, extrusion)
        bounds, exists = self._part_bounds(boxes, present, len(category.parts))
        free = torch.tensor([i in middle for i in range(3)], device=self.device)
        shift = bounds.mean(2)
        shift[:, 1:] = torch.where(free, shift[:, 1:], 0.0)
        owner = torch.tensor([s.part for s in self._slots], device=self.device)
        centre = centre - shift[:, owner]
        on_base = torch.tensor([j.parent == 0 for j in category.joints], device=self.device)
        origin = origin + shift[:, 1:] - torch.where(on_base[:, None], shift[:, :1], 0.0)
        axis = torch.tensor([j.axis for j in category.joints], device=self.device)
        if lower is None:
            least = torch.tensor([j.lower for j in category.joints], device=self.device)
            lower = least.expand(self.n, -1)
        return Instances(
            category, tuple(self._slots), centre, half, corner, edge, rotation, present,
            origin=origin, axis=axis.expand(self.n, -1, 3), lower=lower,
            upper=upper, bounds=bounds - shift[:, :, None], exists=exists,
            glass=torch.stack(self._glass, dim=1) - shift[:, :, None])

    def _part_bounds(self, boxes: Tensor, present: Tensor, parts: int) -> tuple[Tensor, Tensor]:
        """Box (n, K, 2, 3) of each part and whether it exists (n, K), from slabs (n, S, 2, 3)."""
        absent = torch.tensor([[-0.01], [0.01]], device=self.device).expand(2, 3)
        bounds, exists = [], []
        for part in range(parts):
            own = torch.tensor([s.part == part and not s.cut for s in self._slots],
                               device=self.device) & present
            low = torch.where(own[..., None], boxes[:, :, 0], torch.inf).amin(1)
            high = torch.where(own[..., None], boxes[:, :, 1], -torch.inf).amax(1)
            has_part = own.any(1)
            box = torch.stack([low, high], dim=1)
            bounds.append(torch.where(has_part[:, None, None], box, absent))
            exists.append(has_part)
        return torch.stack(bounds, dim=1), torch.stack(exists, dim=1)

    def _tensor(self, x: Number) -> Tensor:
        return x if isinstance(x, Tensor) else torch.full((self.n,), float(x), device=self.device)

    def _vector(self, point: Point) -> Tensor:
        return torch.stack([self._tensor(x) for x in point], dim=-1)


def _about_y(angle: Tensor) -> Tensor:
    """Rotation matrices (n, 3, 3) about the y axis by angles (n,), rad."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, zero, s, zero, one, zero, -s, zero, c], dim=-1).view(-1, 3, 3)


def _about_z(angle: Tensor) -> Tensor:
    """Rotation matrices (n, 3, 3) about the z axis by angles (n,), rad."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return torch.stack([c, -s, zero, s, c, zero, zero, zero, one], dim=-1).view(-1, 3, 3)
