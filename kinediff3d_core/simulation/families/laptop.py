"""Laptops, netbooks, thick old notebooks, tablets on a keyboard; lids that are thin, short, tilted
or set back.

The base is built with x = y = 0 in its middle, x towards the user, and z = 0 at its underside; the
lid in the frame of the hinge, closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab, Wide
from kinediff3d_core.simulation.solids import Instances

BASE, LID = 0, 1


def laptop(b: Builder) -> Instances:
    """Laptops, metres."""
    size = _draw_size(b)
    base = _add_base(b, size)
    well = _add_keyboard(b, base)
    _cut_touch_pad(b, base, well)
    _add_feet(b, size)
    _add_rear_hump(b, size)
    hinge_z = _add_lid(b, base)
    _add_hinge(b, base, hinge_z)
    upper = b.uniform(radians(131), radians(180))
    return b.build(upper[:, None], b.pivot(base.hinge_x, hinge_z))


@dataclass(frozen=True)
class LaptopSize(Wide):
    """Sizes of base and lid, m, and what kind of laptop it is, bool; each (n,).

    Attributes:
        thickness: of the base.
        battery: bool; small and thick, with a battery behind the lid.
        tablet: bool; the lid is a tablet on a keyboard board, which a tube along the rear edge
            tilts.
        tube: radius of a tablet's tube.
        plate: thickness of a tablet's keyboard board, as a share of ``thickness``.
    """

    width: Tensor
    depth: Tensor
    thickness: Tensor
    lid_thickness: Tensor
    battery: Tensor
    tablet: Tensor
    tube: Tensor
    plate: Tensor

    @property
    def front(self) -> Tensor:
        """x of the front edge; the rear edge is at minus that."""
        return self.depth / 2


@dataclass(frozen=True)
class Base:
    """What of the base the lid and the hinge depend on; m and rad, each (n,).

    Attributes:
        slope: angle by which the top falls towards the front, rad.
    """

    size: LaptopSize
    corner: Tensor
    edge: Tensor
    slope: Tensor
    hinge_x: Tensor


@dataclass(frozen=True)
class Well:
    """The recess around the keys; m, each (n,)."""

    x0: Tensor
    x1: Tensor
    half_width: Tensor
    depth: Tensor
    present: Tensor


def _draw_size(b: Builder) -> LaptopSize:
    """Draws width 0.25 to 0.42 m, the ratio of width to depth, and thicknesses, 3 to 36 mm.

    Palmtops and keyboards without a palm rest are wide. A tablet is thicker and longer than the
    board that it lies on.
    """
    wide, tablet = b.rare.chance(0.12), b.rare.chance(0.08)
    battery = wide & b.rare.chance(0.7) & ~tablet
    width = b.uniform(0.25, 0.42)
    width = torch.where(battery, b.rare.uniform(0.25, 0.34), width)
    depth = width / b.uniform(1.12, 1.65)
    thick = b.log_uniform(0.007, 0.036)
    thick = torch.where(battery, b.rare.uniform(0.016, 0.034), thick)
    lid_thick = torch.minimum(b.log_uniform(0.003, 0.015), thick)
    ratio = torch.where(tablet, b.rare.uniform(1.6, 2.4), b.rare.uniform(1.5, 1.9))
    depth = torch.where(wide | tablet, width / ratio, depth)
    tube, plate = b.rare.uniform(0.007, 0.013), b.rare.uniform(0.25, 0.6)
    thick = torch.where(tablet, 2 * tube, thick)
    lid_thick = torch.where(tablet, b.rare.uniform(0.006, 0.014), lid_thick)
    return LaptopSize(width, depth, thick, lid_thick, battery, tablet, tube, plate)


def _add_base(b: Builder, size: LaptopSize) -> Base:
    """The body, its top falling towards the front in some.

    Draws the corners' radius, up to 20 mm, the slope, up to 4 degrees, and the hinge's distance
    from the rear edge, up to 53 mm or 24 % of the depth.
    """
    front, thick, tablet = size.front, size.thickness, size.tablet
    corner = b.uniform(0.0, 0.02) * b.chance(0.8)
    edge = b.uniform(0.0, 0.5) * torch.minimum(thick, size.lid_thickness) * b.chance(0.7)
    b.add(BASE, Slab((-front + size.tube * tablet, -size.half_width, 0.0),
                     (front, size.half_width, thick), corner * ~tablet, edge))
    slope = b.uniform(0.0, radians(4.0)) * b.chance(0.25)
    slope = torch.minimum(slope, 0.6 * thick / size.depth)
    slope = torch.where(tablet, torch.atan2((1 - size.plate) * thick, size.depth - size.tube),
                        slope)
    rear = b.uniform(0.0, 0.008) + b.uniform(0.0, 0.045) * b.chance(0.3)
    rear = torch.where(size.battery, b.rare.uniform(0.08, 0.24) * size.depth, rear)
    rear = torch.where(tablet, size.tube, rear)
    hinge_x = -front + rear
    # Cut with a half space through the hinge line.
    low = thick * slope.cos() + hinge_x * slope.sin()
    b.cut(BASE, Slab((-1.0, -1.0, low), (1.0, 1.0, thick / slope.cos() + 1.0), pitch=slope),
          slope > 0)
    return Base(size, corner, edge, slope, hinge_x)


def _add_keyboard(b: Builder, base: Base) -> Well:
    """A keyboard well with three rows of keys.

    Draws the well's depth, 0.8 to 4 mm, its place and sizes, and the keys' height and gaps, m.
    """
    size, top, flat = base.size, base.size.thickness, base.slope == 0
    present = b.chance(0.75)
    depth = torch.minimum(b.uniform(0.0008, 0.004), 0.4 * top)
    x0 = base.hinge_x + b.uniform(0.01, 0.05)
    x1 = x0 + b.uniform(0.35, 0.55) * size.depth
    y = size.half_width * b.uniform(0.8, 0.97)
    b.cut(BASE, Slab((x0, -y, top - depth), (x1, y, top + 0.05), 0.002), present & flat)
    key = b.uniform(0.3, 1.2) * depth
    gap = b.uniform(0.001, 0.004)
    third = (x1 - x0) / 3
    for i in range(3):
        b.add(BASE, Slab((x0 + third * i + gap, -y + gap, top - depth - 1e-4),
                         (x0 + third * (i + 1) - gap, y - gap, top - depth + key), 0.001, 0.0003),
              present & flat & (key > 0.5 * depth))
    return Well(x0, x1, y, depth, present)


def _cut_touch_pad(b: Builder, base: Base, well: Well) -> None:
    """A touch pad in front of the keys; draws its half width, 30 to 70 mm, and margin, m."""
    top = base.size.thickness
    pad = b.chance(0.7) & (base.slope == 0)
    y, margin = b.uniform(0.03, 0.07), b.uniform(0.008, 0.02)
    end = torch.maximum(well.x1 + margin + 0.02, base.size.front - margin)
    b.cut(BASE, Slab((well.x1 + margin, -y, top - 0.0008), (end, y, top + 0.05), 0.002), pad)


def _add_feet(b: Builder, size: LaptopSize) -> None:
    """A rubber strip at the rear and one at the front; draws height, 1 to 4 mm, and inset, m."""
    feet = b.chance(0.5) & ~size.tablet
    height, inset = b.uniform(0.001, 0.004), b.uniform(0.005, 0.03)
    x, y = size.front - inset, size.half_width - inset
    b.add(BASE, Slab((-x, -y, -height), (-x + 0.012, y, 0.002), 0.004), feet)
    b.add(BASE, Slab((x - 0.012, -y, -height), (x, y, 0.002), 0.004), feet)


def _add_rear_hump(b: Builder, size: LaptopSize) -> None:
    """A thicker rear, as of a battery; draws its sizes, m."""
    hump = b.chance(0.2) & ~size.tablet
    y = 0.8 * size.half_width
    b.add(BASE, Slab((-size.front - b.uniform(0.0, 0.015), -y, -b.uniform(0.0, 0.012)),
                     (-size.front + b.uniform(0.03, 0.08), y, size.thickness * 0.5), 0.004, 0.001),
          hump)


def _add_lid(b: Builder, base: Base) -> Tensor:
    """A panel with a screen set in, tilted as the top is; with a raised middle in some.

    Draws the gap under it, up to 2 mm, the hinge's height, where it begins and ends, m, the
    bezel's width, 4 to 22 mm, and the screen's depth.

    Returns:
        (n,) z of the hinge in the base's frame, m.
    """
    size, slope, thick, tablet = base.size, base.slope, base.size.lid_thickness, base.size.tablet
    gap, top = b.uniform(0.0, 0.002), size.thickness
    hinge_z = top + b.uniform(-0.35, 0.1) * top.clamp_max(0.02) + b.chance(0.3) * thick / 2
    hinge_z = torch.minimum(hinge_z, top + thick)
    low = top - hinge_z + gap
    x0 = b.uniform(-0.01, 0.006) * b.chance(0.7)
    x0 = torch.maximum(x0, -size.front - base.hinge_x - 0.006)
    x0 = torch.where(tablet, -size.tube * b.rare.uniform(0.3, 1.2), x0)
    x1 = size.front - base.hinge_x + b.uniform(-0.015, 0.003)
    x1 = x1 + b.rare.uniform(0.0, 0.25) * size.depth * tablet
    y = size.half_width * (1 - b.uniform(0.0, 0.05) * b.chance(0.5))
    b.add(LID, Slab((x0, -y, low), (x1, y, low + thick), base.corner, base.edge, pitch=slope))
    screen = b.chance(0.7)
    bezel = b.uniform(0.004, 0.022)
    recess = torch.minimum(b.uniform(0.0005, 0.003), 0.4 * thick)
    b.cut(LID, Slab((x0 + bezel + b.uniform(0.0, 0.02), -y + bezel, low - 0.05),
                    (x1 - bezel, y - bezel, low + recess), 0.001, pitch=slope), screen)
    hump = b.chance(0.15)
    b.add(LID, Slab((x0 + 0.2 * size.depth, -0.7 * y, low + thick - 1e-4),
                    (x1 - 0.2 * size.depth, 0.7 * y, low + thick + b.uniform(0.0005, 0.003)),
                    0.02, 0.0004, pitch=slope), hump)
    return hinge_z


def _add_hinge(b: Builder, base: Base, hinge_z: Tensor) -> None:
    """Two barrels or one long one, on the lid or on the base; before them the falling rear.

    Draws the barrels' radius, 2 to 7 mm, their place and lengths.
    """
    size, hinge_x, zero = base.size, base.hinge_x, 0.0 * base.hinge_x
    barrel, long, on_lid = b.chance(0.6), b.chance(0.4), b.chance(0.6)
    r = b.uniform(0.002, 0.007)
    r = torch.minimum(r, hinge_z.clamp_min(0.002))
    place, half = size.half_width * b.uniform(0.5, 0.8), b.uniform(0.01, 0.03)
    half_long = size.half_width * b.uniform(0.4, 0.85)
    _cut_rear_ramp(b, base, r)
    barrel, long, on_lid = barrel | size.tablet, long | size.tablet, on_lid & ~size.tablet
    r = torch.where(size.tablet, size.tube, r)
    half_long = torch.where(size.tablet, size.half_width, half_long)
    base_z = torch.where(size.tablet, size.tube, hinge_z)
    for part, x, z in ((BASE, hinge_x, base_z), (LID, zero, zero)):
        present = barrel & (on_lid if part == LID else ~on_lid)
        for side in (-1, 1):
            b.add(part, Slab((x - r, side * place - half, z - r),
                             (x + r, side * place + half, z + r), r, axis=1), present & ~long)
        b.add(part, Slab((x - r, -half_long, z - r), (x + r, half_long, z + r), r, axis=1),
              present & long)


def _cut_rear_ramp(b: Builder, base: Base, r: Tensor) -> None:
    """Behind a hinge of radius r (n,), m, the top falls to the rear edge; a board is hollow below.

    Draws where the ramp begins, up to 4 mm behind the hinge, and how deep it falls.
    """
    size, thick, board = base.size, base.size.thickness, base.size.tablet
    ramp_x = base.hinge_x - r - b.uniform(0.0, 0.004)
    run = (ramp_x + size.front).clamp_min(0.001)
    drop = torch.minimum(b.uniform(0.3, 0.95) * thick, 2.5 * run)
    ramp = (run > 0.008) & b.chance(0.5) & ~board
    x = torch.where(board, base.hinge_x, ramp_x)
    z = torch.where(board, (1 - size.plate) * thick, thick)
    b.cut(BASE, Slab((x - ~board * 1.0, -1.0, z - board * 1.0),
                     (x + board * 1.0, 1.0, z + ~board * 1.0),
                     pitch=torch.where(board, base.slope, -torch.atan2(drop, run)),
                     pivot=(x, 0.0, z)), ramp | board)
