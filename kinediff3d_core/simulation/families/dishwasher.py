"""Dishwashers and ovens: table-top to full height, door in front or below a control panel.

The pivot is the hinge line at the door's lower edge, anywhere in the thickness of the door; in y
in the middle.
"""

from __future__ import annotations

from math import radians

import torch

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.solids import Instances


def dishwasher(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """n dishwashers and ovens, metres."""
    b = Builder(n, generator, device)
    none = torch.zeros(n, device=device)
    oven, small = b.chance(0.4), b.chance(0.15)
    width = torch.where(b.chance(0.6), b.uniform(0.44, 0.64), b.uniform(0.4, 0.92))
    width = torch.where(small, width.clamp_max(0.65), width)
    high = torch.where(oven, b.uniform(0.42, 0.95), b.uniform(0.7, 0.92))
    high = torch.where(small, b.uniform(0.3, 0.5), high)
    depth = torch.where(small, b.uniform(0.32, 0.52), b.uniform(0.42, 0.7))
    y = width / 2

    # Body: x from -depth to 0, z from 0 to high; the door covers the front from low to upto.
    door_thick = torch.where(b.chance(0.7), b.uniform(0.014, 0.06), b.uniform(0.05, 0.1))
    kick = b.chance(0.6)  # something below the door
    drawer = kick & oven & b.chance(0.4)  # as high as a warming drawer
    low = torch.where(kick, b.uniform(0.03, 0.14), b.uniform(0.0, 0.01))
    low = torch.where(drawer, b.uniform(0.12, 0.24), low) * high.clamp_max(0.9)
    panel = torch.where(oven, b.chance(0.75), b.chance(0.4))
    panel_z = b.uniform(0.06, 0.19) * high.clamp(0.4, 0.8)
    # The hinge somewhere in the door's thickness; the door may reach a little below it.
    behind = door_thick * torch.where(b.chance(0.5), b.chance(0.6), b.uniform(0.0, 1.0))
    under = b.uniform(0.0, 0.04) * b.chance(0.2)
    behind = torch.where(under > 0, 0.0, behind)
    before = door_thick - behind
    gap = b.uniform(0.0008, 0.004)
    side = torch.where(b.chance(0.7), b.uniform(0.015, 0.06), b.uniform(0.05, 0.09))
    floor = torch.where(b.chance(0.7), b.uniform(0.02, 0.06), b.uniform(0.05, 0.14))
    ceiling = torch.where(panel, panel_z, 0.0) + b.uniform(0.02, 0.06)
    rear = b.uniform(0.02, 0.12)
    floor_z, ceiling_z = low + floor * high, high - ceiling
    edge = b.uniform(0.0, 0.006) * b.chance(0.4)
    b.slab(0, (-depth, -y, none), (none, side - y, high), edge=edge)
    b.slab(0, (-depth, y - side, none), (none, y, high), edge=edge)
    b.slab(0, (-depth, 0.3 * side - y, none), (rear - depth, y - 0.3 * side, high), edge=edge)
    b.slab(0, (0.3 * rear - depth, 0.3 * side - y, none), (none, y - 0.3 * side, floor_z),
           edge=edge)
    b.slab(0, (0.3 * rear - depth, 0.3 * side - y, ceiling_z), (none, y - 0.3 * side, high),
           edge=edge)
    # Below the door it stands back for the door to swing, or the hinge is at the door's face and
    # a plinth or the front of a drawer is flush with it.
    level = kick & (before < 0.0015) & (under == 0)
    sweep = under + 0.25 * before + 0.002
    b.slab(0, (-sweep, none - 2, none - 2), (none + 1, none + 2, low + 0.2 * under),
           present=~level, cut=True)
    b.slab(0, (-0.02 + none, -y, 0.02 * kick), (behind, y, low - gap), edge=0.003,
           present=level)
    recess = torch.maximum(b.uniform(0.02, 0.09), sweep)
    b.slab(0, (-recess, none - 2, none - 2), (none + 1, none + 2, low * b.uniform(0.3, 0.9)),
           present=kick & ~level & b.chance(0.5), cut=True)
    stand = torch.where(b.chance(0.4), b.uniform(0.008, 0.035), 0.0)
    b.slab(0, (0.05 - depth, 0.04 - y, -stand), (-0.05 - sweep, y - 0.04, none + 0.01),
           present=stand > 0)

    # Control panel over the door, knobs, a display; a worktop, a hob, an upright at the back.
    panel_x = torch.where(b.chance(0.7), behind + before * b.uniform(0.6, 1.0), none + 0.002)
    panel_x = torch.where(b.chance(0.2), door_thick + b.uniform(0.0, 0.03), panel_x)
    b.slab(0, (none - 0.01, -y, high - panel_z), (panel_x, y, high), edge=edge, present=panel)
    knob = b.uniform(0.01, 0.028)
    knob_y, knob_x = y * b.uniform(0.25, 0.85), b.uniform(0.01, 0.03)
    knob_z = high - panel_z / 2
    knob = torch.minimum(knob, 0.4 * panel_z)
    knobs = panel & torch.where(oven, b.chance(0.6), b.chance(0.2))
    for s in (-1, 1):
        b.slab(0, (panel_x - 0.001, s * knob_y - knob, knob_z - knob),
               (panel_x + knob_x, s * knob_y + knob, knob_z + knob), knob, 0.002, present=knobs,
               axis=0)
    b.slab(0, (panel_x - 0.001, -0.25 * knob_y, knob_z - 0.25 * panel_z),
           (panel_x + 0.3 * knob_x, 0.25 * knob_y, knob_z + 0.25 * panel_z),
           present=panel & b.chance(0.35), axis=0)
    top = b.uniform(0.005, 0.04)
    over = b.uniform(0.0, 0.03)
    worktop = torch.where(oven, b.chance(0.35), b.chance(0.3))
    b.slab(0, (-depth, -y - 0.3 * over, high - 0.002),
           (over + door_thick * b.chance(0.6), y + 0.3 * over, high + top), edge=0.2 * top,
           present=worktop)
    hob = oven & ~small & b.chance(0.3)
    plate, plate_z = y * b.uniform(0.25, 0.4), high + top * worktop
    for s in (-1, 1):
        b.slab(0, (-0.88 * depth, s * 0.5 * y - plate, plate_z - 0.003),
               (-0.1 * depth, s * 0.5 * y + plate, plate_z + b.uniform(0.003, 0.03)), plate,
               0.002, present=hob)
    b.slab(0, (-depth, -y, high - 0.01), (b.uniform(0.02, 0.08) - depth, y,
                                          plate_z + b.uniform(0.03, 0.2)), edge=0.002,
           present=hob & b.chance(0.4))

    # Inside: a basket, a rack and a beam on either wall, or an oven's shelves.
    inner = y - side
    room = ceiling_z - floor_z
    x_rear, x_front = rear - depth, -0.03 + none
    loaded = b.chance(0.75)
    tray_z = floor_z + room * b.uniform(0.05, 0.3)
    tray_h = torch.minimum(room * b.uniform(0.02, 0.35), b.uniform(0.02, 0.2))
    b.slab(0, (x_rear + 0.02, 0.015 - inner, tray_z), (x_front, inner - 0.015, tray_z + tray_h),
           0.01, present=loaded)
    b.slab(0, (x_rear + 0.027, 0.022 - inner, tray_z + 0.006),
           (x_front - 0.007, inner - 0.022, tray_z + tray_h + 0.001), 0.006,
           present=loaded & (tray_h > 0.015), cut=True)
    rack_z = tray_z + tray_h + (ceiling_z - tray_z - tray_h) * b.uniform(0.15, 0.75)
    b.slab(0, (x_rear - 0.002, -inner - 0.002, rack_z),
           (x_front - b.uniform(0.0, 0.1), inner + 0.002, rack_z + b.uniform(0.004, 0.02)),
           present=loaded & b.chance(0.75))
    prong_y = inner * b.uniform(0.1, 0.9)
    for s in (-1, 1):
        b.slab(0, (x_rear + 0.03, s * prong_y - 0.006, tray_z + 0.001),
               (x_front - 0.02, s * prong_y + 0.006, tray_z + tray_h * b.uniform(0.5, 1.5)),
               present=loaded & b.chance(0.5))

    # Door, in the frame of the hinge: hinge at (behind, 0, low) of the body.
    length = torch.where(panel, high - panel_z, high) - low
    rise = behind.square() / length + gap  # its rear upper edge rises first
    length = length - torch.where(panel | worktop, rise, 0.0)
    length = length - torch.where(b.chance(0.3), b.uniform(0.0, 0.03), 0.0)
    dy = y - torch.where(b.chance(0.6), b.uniform(0.0, 0.004), b.uniform(0.0, 0.04))
    dy = torch.maximum(dy, y - side + 0.006)  # it covers the opening
    back, face = gap - behind, before + gap
    door_edge = b.uniform(0.0, 0.4) * door_thick.clamp_max(0.03) * b.chance(0.6)
    low_z = torch.where(level, 0.0, -torch.minimum(under, low))
    b.slab(1, (back, -dy, low_z), (face, dy, length), door_edge, door_edge, axis=0)
    # A panel or a window set into the face, or a pocket at its upper edge to reach in.
    window, pocket = b.chance(0.45), b.chance(0.15)
    window = window & ~pocket
    wy = dy * b.uniform(0.6, 0.93)
    pocket_y = dy * b.uniform(0.15, 0.9)
    bottom_z = torch.where(pocket, length * b.uniform(0.85, 0.93), length * b.uniform(0.06, 0.25))
    cut_y = torch.where(pocket, pocket_y, wy)
    b.slab(1, (face - torch.where(pocket, b.uniform(0.3, 0.7), b.uniform(0.05, 0.25)) * door_thick,
               -cut_y, bottom_z),
           (face + 1, cut_y, torch.where(pocket, length - 0.012 * b.chance(0.6),
                                         length * b.uniform(0.7, 0.86))),
           b.uniform(0.0, 0.02), present=window | pocket, cut=True, axis=0)
    # The liner goes into the opening and keeps clear of it when it turns.
    liner = b.chance(0.5)
    deep = b.uniform(0.004, 0.03)
    ly = torch.minimum(inner - 0.004, dy - 0.01) - b.uniform(0.0, 0.02)
    turn = (behind + deep).square() / length + 0.004
    lz0, lz1 = floor_z - low + 0.006, torch.minimum(ceiling_z - low - turn, length - 0.01)
    b.slab(1, (back - deep, -ly, lz0), (back + 0.3 * door_thick, ly, lz1), 0.01,
           present=liner, axis=0)
    frame = b.uniform(0.02, 0.06)
    b.slab(1, (none - 1, frame - ly, lz0 + frame),
           (back - deep + torch.where(liner, deep * b.uniform(0.4, 1.1), deep + 0.3 * door_thick),
            ly - frame, lz1 - frame), 0.01, present=b.chance(0.45), cut=True, axis=0)
    # A raised strip of controls along the top or a vent along the bottom.
    strip = b.chance(0.22) & ~panel
    strip_x = face + b.uniform(0.003, 0.02)
    b.slab(1, (face - 0.3 * door_thick, -dy, length * b.uniform(0.8, 0.9)), (strip_x, dy, length),
           0.002, 0.001, present=strip & ~pocket, axis=0)
    # Handle: a bar on two posts, a full one, or none.
    handle = b.chance(0.82) & ~pocket
    hy = dy * torch.where(b.chance(0.75), b.uniform(0.55, 0.97), b.uniform(0.12, 0.6))
    hz = length * torch.where(b.chance(0.8), b.uniform(0.86, 0.97), b.uniform(0.75, 0.9))
    r = torch.where(b.chance(0.7), b.uniform(0.006, 0.018), b.uniform(0.015, 0.03))
    hz = torch.minimum(hz, length - r)
    hx = torch.where(strip, strip_x, face)
    reach = b.uniform(0.022, 0.07)
    bar = torch.minimum(2 * r * b.uniform(0.5, 1.2), 0.6 * reach)
    b.slab(1, (hx - 0.3 * door_thick, -hy, hz - r), (hx + reach, hy, hz + r),
           r * torch.where(b.chance(0.5), 1.0, 0.2), 0.3 * r, present=handle, axis=0)
    post = torch.minimum(b.uniform(0.01, 0.04), 0.3 * hy)
    b.slab(1, (hx + 0.0004, post - hy, hz - 2 * r), (hx + reach - bar, hy - post, hz + 2 * r),
           b.chance(0.3) * 0.02, present=handle & b.chance(0.85),
           cut=True)

    origin = torch.stack([behind, none, low], dim=-1)[:, None]
    return b.build(get_category('dishwasher'), origin,
                   b.uniform(radians(80), radians(100))[:, None], middle=(1,))
