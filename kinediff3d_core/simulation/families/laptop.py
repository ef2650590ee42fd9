"""Laptops, netbooks, thick old notebooks, tablets on a keyboard; lids that are thin, short, tilted
or set back.
"""

from __future__ import annotations

from math import radians

import torch

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.solids import Instances


def laptop(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """n laptops, metres."""
    b = Builder(n, generator, device)
    rare = b.side_stream()
    wide, slate = rare.chance(0.12), rare.chance(0.08)
    back = wide & rare.chance(0.7) & ~slate  # small and thick, a battery behind the lid
    width = b.uniform(0.25, 0.42)
    width = torch.where(back, rare.uniform(0.25, 0.34), width)
    depth = width / b.uniform(1.12, 1.65)
    thick = b.log_uniform(0.007, 0.036)
    thick = torch.where(back, rare.uniform(0.016, 0.034), thick)
    lid_thick = torch.minimum(b.log_uniform(0.003, 0.015), thick)
    # Palmtops and keyboards without a palm rest are wide. A tablet is the lid of the board that it
    # lies on: thicker and longer than that, which a battery in a tube along the rear edge tilts.
    ratio = torch.where(slate, rare.uniform(1.6, 2.4), rare.uniform(1.5, 1.9))
    depth = torch.where(wide | slate, width / ratio, depth)
    tube, plate = rare.uniform(0.007, 0.013), rare.uniform(0.25, 0.6)
    thick = torch.where(slate, 2 * tube, thick)
    lid_thick = torch.where(slate, rare.uniform(0.006, 0.014), lid_thick)
    x0, x1, y1, top = -depth / 2, depth / 2, width / 2, thick

    # Base: body, with a keyboard well, keys in it, a touch pad, feet and a hump behind the hinge.
    corner = b.uniform(0.0, 0.02) * b.chance(0.8)
    edge = b.uniform(0.0, 0.5) * torch.minimum(thick, lid_thick) * b.chance(0.7)
    b.slab(0, (x0 + tube * slate, -y1, 0.0), (x1, y1, top), corner * ~slate, edge)
    slope = b.uniform(0.0, radians(4.0)) * b.chance(0.25)
    slope = torch.minimum(slope, 0.6 * thick / depth)
    slope = torch.where(slate, torch.atan2((1 - plate) * thick, depth - tube), slope)
    rear = b.uniform(0.0, 0.008) + b.uniform(0.0, 0.045) * b.chance(0.3)
    rear = torch.where(back, rare.uniform(0.08, 0.24) * depth, rear)
    rear = torch.where(slate, tube, rear)
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
    feet = b.chance(0.5) & ~slate
    foot, inset = b.uniform(0.001, 0.004), b.uniform(0.005, 0.03)
    b.slab(0, (x0 + inset, -y1 + inset, -foot), (x0 + inset + 0.012, y1 - inset, 0.002), 0.004,
           present=feet)
    b.slab(0, (x1 - inset - 0.012, -y1 + inset, -foot), (x1 - inset, y1 - inset, 0.002), 0.004,
           present=feet)
    hump = b.chance(0.2) & ~slate
    b.slab(0, (x0 - b.uniform(0.0, 0.015), -0.8 * y1, -b.uniform(0.0, 0.012)),
           (x0 + b.uniform(0.03, 0.08), 0.8 * y1, top * 0.5), 0.004, 0.001, present=hump)

    # Lid, in the frame of the hinge: a panel with a screen set in, tilted where the top is.
    gap_z = b.uniform(0.0, 0.002)
    hinge_z = top + b.uniform(-0.35, 0.1) * thick.clamp_max(0.02) + b.chance(0.3) * lid_thick / 2
    hinge_z = torch.minimum(hinge_z, top + lid_thick)
    under = top - hinge_z + gap_z
    lx0 = b.uniform(-0.01, 0.006) * b.chance(0.7)
    lx0 = torch.maximum(lx0, x0 - hinge_x - 0.006)
    lx0 = torch.where(slate, -tube * rare.uniform(0.3, 1.2), lx0)
    lx1 = x1 - hinge_x + b.uniform(-0.015, 0.003) + rare.uniform(0.0, 0.25) * depth * slate
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

    # Behind the hinge the top may fall off towards the rear edge; a board is hollow underneath.
    ramp_x = hinge_x - r - b.uniform(0.0, 0.004)
    run = (ramp_x - x0).clamp_min(0.001)
    drop = torch.minimum(b.uniform(0.3, 0.95) * thick, 2.5 * run)
    ramp = (run > 0.008) & b.chance(0.5) & ~slate
    cut_x, cut_z = torch.where(slate, hinge_x, ramp_x), torch.where(slate, (1 - plate) * top, top)
    b.slab(0, (cut_x - ~slate * 1.0, -1.0, cut_z - slate * 1.0),
           (cut_x + slate * 1.0, 1.0, cut_z + ~slate * 1.0), present=ramp | slate, cut=True,
           pitch=torch.where(slate, slope, -torch.atan2(drop, run)), pivot=(cut_x, 0.0, cut_z))

    barrel, long, on_lid = barrel | slate, long | slate, on_lid & ~slate
    r, half_long = torch.where(slate, tube, r), torch.where(slate, y1, half_long)
    base_z = torch.where(slate, tube, hinge_z)
    for part, ox, oz in ((0, hinge_x, base_z), (1, 0.0 * hinge_x, 0.0 * hinge_x)):
        mine = barrel & (on_lid if part == 1 else ~on_lid)
        for side in (-1, 1):
            b.slab(part, (ox - r, side * at - size, oz - r), (ox + r, side * at + size, oz + r),
                   corner=r, present=mine & ~long, axis=1)
        b.slab(part, (ox - r, -half_long, oz - r), (ox + r, half_long, oz + r), corner=r,
               present=mine & long, axis=1)

    origin = torch.stack([hinge_x, torch.zeros_like(hinge_x), hinge_z], dim=-1)[:, None]
    return b.build(get_category('laptop'), origin, b.uniform(radians(131), radians(180))[:, None])
