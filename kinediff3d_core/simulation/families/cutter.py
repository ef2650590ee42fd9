"""Cutters: snap-off and trapezoid blades in straight, tapered and bent handles.

The blade's plane is z = const. The slider is on +z, or on the +y edge (then the blade's edge is
mostly on -y). Stout ones have a wide slot beside the middle, mostly right through. The pivot of
the sliding blade is the middle of its box at q = 0, where the tip just shows or has just gone.
"""

from __future__ import annotations

from math import radians

import torch

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.solids import Instances


def cutter(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """n cutters, metres."""
    b = Builder(n, generator, device)
    rare = b.side_stream()
    none = torch.zeros(n, device=device)
    length = b.log_uniform(0.095, 0.185)
    half_y = (length * b.uniform(0.045, 0.14)).clamp(0.006, 0.023)
    half_z = (half_y * b.uniform(0.35, 0.95)).clamp(0.003, 0.014)
    stout = rare.chance(0.15)
    length = torch.where(stout, rare.uniform(0.14, 0.185), length)
    half_y = torch.where(stout, rare.uniform(0.015, 0.023), half_y)
    half_z = torch.where(stout, half_y * rare.uniform(0.5, 0.75), half_z).clamp_max(0.014)

    # Handle: one body or two at an angle, a metal nose, tapers to the mouth, a cap, a hole.
    bent = b.chance(0.22) & ~stout
    bend = b.uniform(radians(6), radians(20)) * torch.where(b.chance(0.5), -1.0, 1.0)
    start = torch.where(bent, length * b.uniform(0.22, 0.38), 0.0)
    corner = b.uniform(0.05, 1.0) * half_y
    edge = b.uniform(0.0, 0.9) * half_z * b.chance(0.8)
    b.slab(0, (start - 0.3 * half_y, -half_y, -half_z), (length, half_y, half_z), corner, edge)
    nosed = b.chance(0.55)
    nose = length * b.uniform(0.02, 0.15)
    nose_y = (half_y * b.uniform(0.5, 0.92)).clamp_min(0.0055)
    nose_z = (half_z * b.uniform(0.4, 0.85)).clamp_min(0.0022)
    mouth = length + nose * nosed
    b.slab(0, (length - 0.03, -nose_y, -nose_z), (mouth, nose_y, nose_z), 0.001,
           0.3 * nose_z * b.chance(0.5), present=nosed)
    room = torch.where(nosed, nose_y, half_y - 0.4 * torch.minimum(corner, half_y)) - 0.0012
    blade_y = torch.minimum(b.log_uniform(0.0045, 0.0125), room)
    edges = []  # where each begins to draw in, and by how much
    for side in (1, -1):
        at = length * b.uniform(0.5, 0.9)
        slope = torch.atan2((half_y - blade_y - 0.0012) * b.uniform(0.3, 1.0), mouth - at)
        tapered = b.chance(0.4)
        b.taper(0, at, side * half_y, slope, side, present=tapered)
        edges.append((at, slope.tan() * tapered))
    thick = b.uniform(0.0008, 0.0016)
    at = length * b.uniform(0.4, 0.85)
    slope = torch.atan2((half_z - thick - 0.0012) * b.uniform(0.2, 1.0), mouth - at)
    sloping = b.chance(0.25)
    b.slab(0, (at - 1, none - 1, half_z), (at + 1, none + 1, half_z + 2), present=sloping,
           cut=True, pitch=slope, pivot=(at, 0.0, half_z))
    b.slab(0, (none, -half_y * b.uniform(0.8, 1.0), -half_z),
           (start + 0.8 * half_y, half_y * b.uniform(0.8, 1.0), half_z), corner, edge,
           present=bent, yaw=bend, pivot=(start, 0.0, 0.0))
    cap_y, cap_z = half_y * b.uniform(0.7, 1.1), half_z * b.uniform(0.7, 1.1)
    b.slab(0, (-length * b.uniform(0.0, 0.05), -cap_y, -cap_z),
           (length * b.uniform(0.04, 0.12), cap_y, cap_z), 0.5 * corner, 0.2 * cap_z,
           present=~bent & b.chance(0.35))
    b.slab(0, (0.06 * length - 0.002, none - 0.002, none - 1),
           (0.06 * length + 0.002, none + 0.002, none + 1), 0.002, present=~bent & b.chance(0.3),
           cut=True)

    # Blade, its travel, and the room that it moves in.
    tip = mouth + b.uniform(-0.006, 0.008)
    blade = (mouth - start) * b.uniform(0.6, 0.92)
    blade = torch.where(stout, mouth * rare.uniform(0.75, 0.93), blade)
    slider = length * b.uniform(0.06, 0.17)
    rear = tip - blade
    last = length - 0.006 - slider  # where the slider may end up
    travel = torch.minimum(b.uniform(0.03, 0.08), torch.minimum(0.85 * blade, last - rear))
    travel = travel.clamp_min(0.025)
    first = torch.minimum(rear, last - travel)
    thumb = first + b.uniform(0.0, 1.0) * (last - travel - first) * ~(stout & rare.chance(0.7))
    end = thumb + slider + travel
    end = end + rare.uniform(0.0, 1.0) * (length - 0.006 - end) * stout  # of the slot
    b.slab(0, (rear - 0.003, -blade_y - 0.0004, -thick / 2 - 0.0004),
           (none + 1, blade_y + 0.0004, thick / 2 + 0.0004), cut=True)
    carried = (b.chance(0.5) | stout & rare.chance(0.5)) & ~sloping
    carrier_z = half_z * b.uniform(0.3, 0.65)
    b.slab(0, (rear - 0.003, -blade_y - 0.0004, -carrier_z - 0.0005),
           (rear + slider + travel + 0.002, blade_y + 0.0004, carrier_z + 0.0005), present=carried,
           cut=True)
    place = b.uniform(0.0, 1.0) * torch.where(stout, 0.72, 1.0)
    on_top, on_edge = place < 0.72, (place >= 0.72) & (place < 0.94)
    slot = torch.minimum(half_y, none + 0.01) * b.uniform(0.15, 0.5)
    # A wide one goes as far beside the middle as the wall and the blade's carrier allow.
    slot = torch.where(stout, half_y * rare.uniform(0.2, 0.36), slot)
    walls = [half_y - fall * (end - at).clamp_min(0) for at, fall in edges]
    left = rare.chance(0.7)
    off = torch.minimum(torch.where(left, walls[0], walls[1]) - slot - 0.002, blade_y).clamp_min(0)
    off = off * rare.uniform(0.3, 1.0) * torch.where(left, 1.0, -1.0) * stout
    under = torch.where(stout & rare.chance(0.7), -1.0, 0.0)
    slot_z = half_z * b.uniform(0.2, 0.5)
    b.slab(0, (thumb - 0.001, off - slot, under), (end + 0.001, off + slot, none + 1), 0.8 * slot,
           present=on_top, cut=True)
    b.slab(0, (thumb - 0.001, none, -slot_z), (thumb + slider + travel + 0.001, none + 1, slot_z),
           0.5 * slot_z, present=on_edge, cut=True, axis=1)

    # Grips on the edges, a pad underneath.
    bulge = b.uniform(0.0006, 0.0025)
    grip_x = start + half_y + length * b.uniform(0.0, 0.15), length * b.uniform(0.5, 0.75)
    gripped = b.chance(0.35) & (blade_y < half_y - 0.003)
    for side in (1, -1):
        ends = torch.stack([side * (half_y - 0.002), side * (half_y + bulge)])
        b.slab(0, (grip_x[0], ends.amin(0), -0.75 * half_z),
               (grip_x[1], ends.amax(0), 0.75 * half_z), 0.5 * half_z, 0.5 * bulge,
               present=gripped & ~on_edge if side > 0 else gripped, axis=1)
    b.slab(0, (grip_x[0], -0.8 * half_y, -half_z - bulge), (grip_x[1], 0.8 * half_y,
                                                           -half_z + 0.0008),
           0.3 * half_y, 0.5 * bulge, present=b.chance(0.25))

    # Blade: cut off at a slant, the point on its edge; its carrier and its slider with ridges.
    slant, down = b.uniform(radians(25), radians(75)), b.chance(0.75)
    b.slab(1, (rear, -blade_y, -thick / 2), (tip, blade_y, thick / 2), 0.0, 0.0)
    b.taper(1, tip, -blade_y, slant, 1, present=down)
    b.taper(1, tip, blade_y, slant, -1, present=~down)
    b.slab(1, (rear, -0.9 * blade_y, -carrier_z), (rear + slider, 0.9 * blade_y, carrier_z),
           present=carried)
    knob = b.uniform(0.001, 0.0075)
    knob_y = half_y * b.uniform(0.3, 0.85)
    knob_y = torch.where(stout, torch.minimum(knob_y, half_y - off.abs()), knob_y)
    knob_z = half_z * b.uniform(0.4, 0.95)
    ridge = thumb + slider * b.uniform(0.15, 0.7)
    b.slab(1, (thumb, off - slot + 0.0005, none),
           (thumb + slider, off + slot - 0.0005, half_z + 0.001), 0.5 * slot, present=on_top)
    b.slab(1, (thumb, off - knob_y, half_z + 0.0004),
           (thumb + slider, off + knob_y, half_z + 0.0004 + knob),
           b.uniform(0.0, 1.0) * knob_y, 0.4 * knob, present=on_top)
    b.slab(1, (ridge, off - 0.8 * knob_y, half_z + 0.0004),
           (ridge + 0.2 * slider, off + 0.8 * knob_y, half_z + 0.001 + 1.3 * knob), 0.0005, 0.0003,
           present=on_top & b.chance(0.5))
    b.slab(1, (thumb, none, -slot_z + 0.0003), (thumb + slider, half_y + 0.001, slot_z - 0.0003),
           0.3 * slot_z, present=on_edge, axis=1)
    b.slab(1, (thumb, half_y + bulge + 0.0004, -knob_z),
           (thumb + slider, half_y + bulge + 0.0004 + knob, knob_z),
           b.uniform(0.0, 1.0) * knob_z, 0.4 * knob, present=on_edge, axis=1)

    return b.build(get_category('cutter'), torch.zeros(n, 1, 3, device=device), travel[:, None],
                   middle=(0, 1, 2))
