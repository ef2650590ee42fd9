"""Procedural families: what objects of a category look like, drawn from a seed.

A family only says which slabs a part is made of and how their sizes vary; distances, surfaces and
depth images follow from :mod:`kinediff3d_core.data.solids`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import radians

import torch
from torch import Tensor

from kinediff3d_core.categories import Category, get_category
from kinediff3d_core.data.solids import Instances, Slot, slab_bounds

TEST_SEED_OFFSET = 1_000_003


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
             pitch: Tensor | None = None) -> None:
        """A slab between two corners; ``pitch`` turns it about the y axis of the part's frame."""
        lo = torch.stack([self._row(x) for x in lower], dim=-1)
        hi = torch.stack([self._row(x) for x in upper], dim=-1)
        centre, half = (lo + hi) / 2, ((hi - lo) / 2).clamp_min(1e-5)
        plane = torch.stack([half[:, i] for i in range(3) if i != axis]).amin(0)
        corner_row = torch.minimum(self._row(corner), plane)
        edge_row = torch.minimum(self._row(edge), half[:, axis])
        corner_row = torch.minimum(torch.maximum(corner_row, edge_row), plane)
        edge_row = torch.minimum(edge_row, corner_row)
        rotation = torch.eye(3, device=self.device).expand(self.n, 3, 3)
        if pitch is not None:
            c, s, o, i = pitch.cos(), pitch.sin(), torch.zeros_like(pitch), torch.ones_like(pitch)
            rotation = torch.stack([c, o, s, o, i, o, -s, o, c], dim=-1).view(-1, 3, 3)
            centre = (rotation @ centre[..., None])[..., 0]
        if present is None:
            present = torch.ones(self.n, dtype=torch.bool, device=self.device)
        self.slots.append(Slot(part, cut, axis, pitch is not None))
        self.rows.append((centre, half, corner_row, edge_row, rotation, present))

    def build(self, category: Category, origin: Tensor, upper: Tensor) -> Instances:
        """Instances with the base's frame moved to the centre of the base's box.

        Args:
            origin: (n, K-1, 3) pivots; those on the base move with it.
            upper: (n, K-1) upper limits; the lower ones are the category's.
        """
        centre, half, corner, edge, rotation, present = (
            torch.stack(list(column), dim=1) for column in zip(*self.rows, strict=True))
        boxes = slab_bounds(centre, half, rotation)
        bounds = []
        for part in range(len(category.parts)):
            own = torch.tensor([s.part == part and not s.cut for s in self.slots],
                               device=self.device) & present
            low = torch.where(own[..., None], boxes[:, :, 0], torch.inf).amin(1)
            high = torch.where(own[..., None], boxes[:, :, 1], -torch.inf).amax(1)
            bounds.append(torch.stack([low, high], dim=1))
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
            bounds=torch.stack(bounds, dim=1))

    def _row(self, x: float | Tensor) -> Tensor:
        return x if isinstance(x, Tensor) else torch.full((self.n,), float(x), device=self.device)


def laptop(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """Laptops, netbooks, thick old notebooks and lids that are thin, short, tilted or set back."""
    b = Builder(n, generator, device)
    width = b.uniform(0.25, 0.42)
    depth = width / b.uniform(1.12, 1.65)
    thick = b.log_uniform(0.007, 0.036)
    lid_thick = torch.minimum(b.log_uniform(0.003, 0.015), thick)
    x0, x1, y1, top = -depth / 2, depth / 2, width / 2, thick

    # Base: body, with a keyboard well, keys in it, a touch pad, feet and a hump behind the hinge.
    corner = b.uniform(0.0, 0.02) * b.chance(0.8)
    edge = b.uniform(0.0, 0.5) * torch.minimum(thick, lid_thick) * b.chance(0.7)
    b.slab(0, (x0, -y1, 0.0), (x1, y1, top), corner, edge)
    slope = b.uniform(0.0, radians(4.0)) * b.chance(0.25)
    slope = torch.minimum(slope, 0.6 * thick / depth)
    rear = b.uniform(0.0, 0.008) + b.uniform(0.0, 0.035) * b.chance(0.15)
    hinge_x = x0 + rear
    # The top falls towards the front: cut with a half space through the hinge line.
    cut_z = top / slope.cos() + hinge_x * 0.0
    turned = top * slope.cos() + hinge_x * slope.sin()
    b.slab(0, (-1.0, -1.0, turned), (1.0, 1.0, cut_z + 1.0), present=slope > 0, cut=True,
           pitch=slope)
    well = b.chance(0.75)
    well_depth = torch.minimum(b.uniform(0.0008, 0.004), 0.4 * thick)
    wx0 = hinge_x + b.uniform(0.01, 0.05)
    wx1 = wx0 + b.uniform(0.35, 0.55) * depth
    wy = y1 * b.uniform(0.8, 0.97)
    flat = slope == 0
    b.slab(0, (wx0, -wy, top - well_depth), (wx1, wy, top + 0.05), 0.002, present=well & flat,
           cut=True)
    key = b.uniform(0.3, 1.2) * well_depth
    gap = b.uniform(0.001, 0.004)
    third = (wx1 - wx0) / 3
    for i in range(3):
        b.slab(0, (wx0 + third * i + gap, -wy + gap, top - well_depth - 1e-4),
               (wx0 + third * (i + 1) - gap, wy - gap, top - well_depth + key), 0.001, 0.0003,
               present=well & flat & (key > 0.5 * well_depth))
    pad = b.chance(0.7) & flat
    py, px = b.uniform(0.03, 0.07), b.uniform(0.008, 0.02)
    pad_end = torch.maximum(wx1 + px + 0.02, x1 - px)
    b.slab(0, (wx1 + px, -py, top - 0.0008), (pad_end, py, top + 0.05), 0.002, present=pad,
           cut=True)
    feet = b.chance(0.5)
    foot, inset = b.uniform(0.001, 0.004), b.uniform(0.005, 0.03)
    b.slab(0, (x0 + inset, -y1 + inset, -foot), (x0 + inset + 0.012, y1 - inset, 0.002), 0.004,
           present=feet)
    b.slab(0, (x1 - inset - 0.012, -y1 + inset, -foot), (x1 - inset, y1 - inset, 0.002), 0.004,
           present=feet)
    hump = b.chance(0.2)
    b.slab(0, (x0 - b.uniform(0.0, 0.015), -0.8 * y1, -b.uniform(0.0, 0.012)),
           (x0 + b.uniform(0.03, 0.08), 0.8 * y1, top * 0.5), 0.004, 0.001, present=hump)

    # Lid, in the frame of the hinge: a panel with a screen set in, tilted where the top is.
    gap_z = b.uniform(0.0, 0.002)
    hinge_z = top + b.uniform(-0.35, 0.1) * thick.clamp_max(0.02) + b.chance(0.3) * lid_thick / 2
    hinge_z = torch.minimum(hinge_z, top + lid_thick)
    under = top - hinge_z + gap_z
    lx0 = b.uniform(-0.01, 0.006) * b.chance(0.7)
    lx0 = torch.maximum(lx0, x0 - hinge_x - 0.006)
    lx1 = x1 - hinge_x + b.uniform(-0.015, 0.003)
    ly = y1 * (1 - b.uniform(0.0, 0.05) * b.chance(0.5))
    b.slab(1, (lx0, -ly, under), (lx1, ly, under + lid_thick), corner, edge, pitch=slope)
    screen = b.chance(0.7)
    bezel = b.uniform(0.004, 0.022)
    recess = torch.minimum(b.uniform(0.0005, 0.003), 0.4 * lid_thick)
    b.slab(1, (lx0 + bezel + b.uniform(0.0, 0.02), -ly + bezel, under - 0.05),
           (lx1 - bezel, ly - bezel, under + recess), 0.001, present=screen, cut=True, pitch=slope)
    hump_lid = b.chance(0.15)
    b.slab(1, (lx0 + 0.2 * depth, -0.7 * ly, under + lid_thick - 1e-4),
           (lx1 - 0.2 * depth, 0.7 * ly, under + lid_thick + b.uniform(0.0005, 0.003)),
           0.02, 0.0004, present=hump_lid, pitch=slope)

    # Hinge: two barrels or one long one, on the lid or on the base.
    barrel, long, on_lid = b.chance(0.6), b.chance(0.4), b.chance(0.6)
    r = b.uniform(0.002, 0.007)
    r = torch.minimum(r, hinge_z.clamp_min(0.002))
    at, size = y1 * b.uniform(0.5, 0.8), b.uniform(0.01, 0.03)
    half_long = y1 * b.uniform(0.4, 0.85)
    for part, ox, oz in ((0, hinge_x, hinge_z), (1, 0.0 * hinge_x, 0.0 * hinge_x)):
        mine = barrel & (on_lid if part == 1 else ~on_lid)
        for side in (-1, 1):
            b.slab(part, (ox - r, side * at - size, oz - r), (ox + r, side * at + size, oz + r),
                   corner=r, present=mine & ~long, axis=1)
        b.slab(part, (ox - r, -half_long, oz - r), (ox + r, half_long, oz + r), corner=r,
               present=mine & long, axis=1)

    origin = torch.stack([hinge_x, torch.zeros_like(hinge_x), hinge_z], dim=-1)[:, None]
    return b.build(get_category('laptop'), origin, b.uniform(radians(131), radians(180))[:, None])


FAMILIES: dict[str, Callable[[int, torch.Generator, torch.device | str], Instances]] = {
    'laptop': laptop,
}


def sample_instances(category: str, n: int, generator: torch.Generator,
                     device: torch.device | str = 'cpu') -> Instances:
    """n objects of a category, metres.

    Training uses generators seeded with seeds below ``TEST_SEED_OFFSET``, tests above it
    (:func:`held_out_generator`), so that no test object was ever trained on.

    Raises:
        ValueError: no family of that name.
    """
    if category not in FAMILIES:
        raise ValueError(f'no procedural family for category {category!r}; known: '
                         f'{", ".join(sorted(FAMILIES))}')
    return FAMILIES[category](n, generator, device)


def held_out_generator(seed: int, device: torch.device | str = 'cpu') -> torch.Generator:
    """Generator of held-out objects and views."""
    return torch.Generator(device).manual_seed(TEST_SEED_OFFSET + seed)


