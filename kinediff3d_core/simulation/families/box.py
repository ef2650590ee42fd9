"""Boxes: cardboard and shoe boxes, chests, trunks, cases, jewellery and lunch boxes, toy benches.

The pivot is the hinge line at the lid's rear edge: where lid and body meet, or on top of a lid
that lies between the walls; in y in the middle.
"""

from __future__ import annotations

from math import radians

import torch

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.solids import Instances


def box(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """n boxes, metres."""
    b = Builder(n, generator, device)
    none = torch.zeros(n, device=device)
    width = b.log_uniform(0.1, 0.75)
    depth = width * torch.where(b.chance(0.8), b.uniform(0.38, 0.85), b.uniform(0.8, 1.4))
    depth = depth.clamp(0.07, 0.7)
    size = torch.minimum(width, depth)
    high = (size * b.log_uniform(0.18, 1.5)).clamp(0.025, 0.6)
    y = width / 2
    wall = torch.where(b.chance(0.35), b.uniform(0.001, 0.004), size * b.uniform(0.015, 0.08))
    wall = wall.clamp(0.001, 0.03)
    floor = (wall * b.uniform(0.7, 2.0)).clamp_max(0.3 * high)

    # What kind of lid: a plate, a plate with a rim around the walls, one between the walls (it
    # may slope, as may the walls), a hollow one as wide as the body, or a vaulted one.
    kind = b.uniform(0.0, 1.0)
    plate, rim = kind < 0.34, (kind >= 0.34) & (kind < 0.5)
    inset, hollow = (kind >= 0.5) & (kind < 0.62), (kind >= 0.62) & (kind < 0.84)
    vault = kind >= 0.84
    sheet = plate | rim | inset  # what is a plate, maybe with more on it
    flat = plate | rim
    # A lid between the walls falls forward with them or lies lower than they end.
    slope = b.uniform(radians(3), radians(25)) * b.chance(0.6)
    slope = torch.minimum(slope, torch.atan2(0.6 * high, depth)) * inset
    sunk = b.uniform(0.0, 0.25) * high * (inset & (slope == 0) & b.chance(0.5))
    hinge_z = high - sunk

    # Body: walls and floor; where its corners are round, a block with a cavity around them.
    round_ = b.chance(0.35) & ~inset
    corner = torch.where(round_, size * b.uniform(0.02, 0.3), 0.0)
    edge = torch.minimum(wall, floor) * b.uniform(0.0, 0.5) * b.chance(0.5)
    inner = (corner - wall).clamp_min(0)
    b.slab(0, (none, -y, none), (depth, y, high), corner, edge, present=round_)
    b.slab(0, (wall, wall - y, floor), (depth - wall, y - wall, high + 1), inner, present=round_,
           cut=True)
    b.slab(0, (corner, corner - y, none), (depth - corner, y - corner, floor), edge=edge)
    # The rounded corners are left free; square walls overlap.
    end = torch.where(round_, corner, 0.0)
    b.slab(0, (end, -y, none), (depth - end, wall - y, high), edge=edge)
    b.slab(0, (end, y - wall, none), (depth - end, y, high), edge=edge)
    b.slab(0, (depth - wall, end - y, none), (depth, y - end, high), edge=edge)
    b.slab(0, (none, end - y, none), (wall, y - end, hinge_z), edge=edge)

    # A lid between the walls starts at a fixed strip or at the rear wall.
    strip = torch.where(b.chance(0.5), depth * b.uniform(0.1, 0.35), wall)
    hinge_x = torch.where(inset, strip, 0.0)
    thick = torch.where(b.chance(0.4), wall * b.uniform(0.8, 1.5),
                        high.clamp_max(size) * b.uniform(0.02, 0.14)).clamp(0.0012, 0.035)
    thick = torch.where(inset, torch.minimum(thick, 0.3 * high), thick)
    b.slab(0, (none + 0.1 * wall, wall * 0.5 - y, hinge_z - thick),
           (strip - 0.0005, y - wall * 0.5, hinge_z), present=inset & (strip > 1.5 * wall))
    b.slab(0, (none - 2, none - 2, high), (none + 3, none + 2, high + 2), present=slope > 0,
           cut=True, pitch=slope, pivot=(hinge_x, 0.0, high))

    # Plinth or moulding on three sides, feet, partition with a till, grips at the ends.
    plinth, out = b.chance(0.25) & ~rim, (size * b.uniform(0.01, 0.09)).clamp(0.003, 0.03)
    drop = high * b.uniform(0.0, 0.08)
    b.slab(0, (none, -y - out, -drop), (depth + out, y + out, high * b.uniform(0.06, 0.28)),
           corner, 0.3 * out * b.chance(0.5), present=plinth, axis=2)
    b.slab(0, (wall, wall - y, floor), (depth - wall, y - wall, high + 1), inner, present=plinth,
           cut=True)
    feet = b.chance(0.25)
    foot, foot_in = size * b.uniform(0.08, 0.22), size * b.uniform(-0.01, 0.06)
    foot_in = torch.maximum(foot_in, 0.3 * corner)
    foot_z = torch.where(b.chance(0.5), b.uniform(0.003, 0.015), high * b.uniform(0.08, 0.4))
    foot_corner = torch.where(b.chance(0.3), foot, 0.0)
    for fx in (foot_in.clamp_min(0), depth - foot_in - foot):
        for fy in (foot_in - y, y - foot_in - foot):
            b.slab(0, (fx, fy, -foot_z), (fx + foot, fy + foot, 0.5 * floor), foot_corner,
                   present=feet)
    split = width * b.uniform(-0.3, 0.3)
    split_z, parted = high * b.uniform(0.4, 0.85), b.chance(0.2) & ~inset
    b.slab(0, (0.5 * wall, split - wall / 2, 0.5 * floor),
           (depth - 0.5 * wall, split + wall / 2, split_z), present=parted)
    b.slab(0, (0.5 * wall, split, split_z * b.uniform(0.4, 0.9)),
           (depth - 0.5 * wall, y - 0.5 * wall, split_z), present=parted & b.chance(0.5))
    grips = b.chance(0.2) & ~rim
    grip, grip_z = size * b.uniform(0.1, 0.2), high * b.uniform(0.5, 0.8)
    grip_out = size * b.uniform(0.015, 0.06)
    for side in (-1, 1):
        outer, inside = side * (y + grip_out), side * (y - 0.3 * wall)
        b.slab(0, (depth / 2 - grip, torch.minimum(outer, inside), grip_z - 0.35 * grip),
               (depth / 2 + grip, torch.maximum(outer, inside), grip_z), 0.1 * grip,
               present=grips, axis=1)

    # Lid, in the frame of the hinge. Sheets: the plate, which may stand out over the walls.
    gap = b.uniform(0.0004, 0.0015)
    over = torch.where(plate & b.chance(0.5), size * b.uniform(0.0, 0.06), 0.0)
    over = torch.where(plate & b.chance(0.15), -wall * 0.5, over)
    over = torch.where(rim, wall + gap, over)
    over = torch.where(inset, -wall - gap, over)
    rear = torch.where(b.chance(0.4), b.uniform(-0.002, 0.004), 0.0)
    front = depth - hinge_x
    ends = torch.where(inset & b.chance(0.6), -wall - gap, over)  # over the front wall or not
    ends = torch.where(inset & (sunk > 0), -wall - gap, ends)
    ends = torch.where(inset & (ends > -wall), 0.0, ends)
    # Along a slope it is longer by 1 / cos.
    reach = (front + ends) / slope.cos() - thick * slope.sin()
    low = torch.where(inset, -thick, gap)
    lid_corner = torch.where(round_, corner + over, 0.0).clamp_min(0)
    lid_edge = thick * b.uniform(0.0, 0.5) * b.chance(0.5)
    ly = torch.where(inset, y - wall - gap - 0.0005, y + over)
    # On sloping walls without walls around it, the lid lies over them.
    b.slab(1, (torch.where(inset, thick * slope.tan(), rear), -ly, low), (reach, ly, low + thick),
           lid_corner, lid_edge, present=sheet, pitch=slope)

    # Other lids have walls: hollow ones stand on the body's, a rim goes down around them on three
    # sides. Round corners, rounded edges and vaults are cut from a block.
    boxy = hollow | vault
    lid_high = torch.where(vault, depth * b.uniform(0.15, 0.5),
                           high * b.uniform(0.12, 0.55)).clamp(0.012, 0.3)
    lid_high = torch.where(rim, gap + thick, lid_high)
    rim_low = -high * torch.where(b.chance(0.6), b.uniform(0.06, 0.3), b.uniform(0.3, 0.9))
    out = torch.where(rim, gap + wall, 0.0)  # how far they stand out over the body's
    lid_wall = torch.where(rim, wall, torch.minimum(wall.clamp_min(0.0015), 0.4 * lid_high))
    wz0 = torch.where(rim, rim_low, gap)
    lid_edge = torch.minimum(lid_high, corner.clamp_min(0.003)) * b.uniform(0.0, 0.5)
    lid_edge = lid_edge * (hollow & b.chance(0.6))
    block = (hollow & (lid_edge > 0)) | ((hollow | rim) & round_)
    b.slab(1, (0.004 * rim, -y - out, wz0), (depth + out, y + out, lid_high), corner + out,
           lid_edge, present=block)
    bow = torch.minimum(lid_high, depth / 2) * b.uniform(0.6, 1.0)
    sill = lid_high - bow  # the upright part below the vault
    b.slab(1, (none, -y, -lid_high), (depth, y, lid_high), bow, present=vault, axis=1)
    b.slab(1, (none - 1, none - 1, none - 2), (none + 2, none + 1, gap), present=vault, cut=True)
    in_x = torch.where(vault, torch.maximum(0.12 * depth, lid_wall), lid_wall)
    ceiling = torch.where(vault, torch.minimum(sill + 0.55 * bow, lid_high - lid_wall),
                          torch.where(rim, gap, lid_high - lid_wall))
    b.slab(1, (torch.where(rim, -1.0, in_x), lid_wall - out - y, none - 1),
           (depth + out - in_x, y + out - lid_wall, ceiling),
           torch.where(rim, corner + gap, inner), present=block | vault, cut=True)
    # Plates are the walls and the ceiling, or lie in those of the block.
    free = torch.where(block, (corner + out).clamp_min(0.001), 0.0)  # what the corners take
    cx, cy = torch.where(vault, in_x, torch.where(block, corner, 0.0)), corner
    b.slab(1, (cx, cy - y, ceiling),
           (depth - cx, y - cy, torch.where(vault, ceiling + 0.3 * lid_wall, lid_high)),
           present=boxy)
    wall_z = torch.where(block, lid_high - torch.maximum(corner, lid_edge), lid_high)
    wall_z = torch.where(vault, torch.minimum(wall_z, ceiling), wall_z)
    wall_z = torch.minimum(wall_z.clamp_min(0.3 * lid_high), lid_high - lid_edge)
    wall_z = torch.where(rim, gap + 0.5 * thick, wall_z)
    wx0 = torch.where(vault, 0.12 * depth, torch.where(rim, 0.004 + free, free))
    wx1 = depth + out - torch.where(vault, 0.12 * depth, free)
    b.slab(1, (wx0, -y - out, wz0), (wx1, lid_wall - y - out, wall_z), present=rim | boxy)
    b.slab(1, (wx0, y + out - lid_wall, wz0), (wx1, y + out, wall_z), present=rim | boxy)
    upright = torch.where(vault, sill, wall_z)
    fy = y + out - free
    walled = hollow | vault & (sill > gap + 0.004)
    b.slab(1, (depth + out - lid_wall, -fy, wz0), (depth + out, fy, upright), present=rim | walled)
    b.slab(1, (none, -fy, gap), (lid_wall, fy, upright), present=walled)

    # On the lid: a raised panel, a strap or grip, a lip that goes into the body, a latch.
    above = torch.where(boxy, lid_high, low + thick)
    panel = b.chance(0.25) & ~vault
    px, py = reach * b.uniform(0.06, 0.25), ly * b.uniform(0.7, 0.94)
    b.slab(1, (px, -py, above - 0.3 * thick),
           (reach - px, py, above + thick * b.uniform(0.15, 0.8)), 0.5 * corner,
           0.2 * thick, present=panel, pitch=slope)
    grip_x = front * torch.where(b.chance(0.5), 0.5, b.uniform(0.75, 0.93))
    grip_y = torch.where(b.chance(0.5), size * b.uniform(0.03, 0.06), width * b.uniform(0.1, 0.2))
    grip_w = torch.minimum(size * b.uniform(0.02, 0.06), grip_y)
    b.slab(1, (grip_x - grip_w, -grip_y, above - 0.3 * thick),
           (grip_x + grip_w, grip_y, above + size * b.uniform(0.02, 0.1)), grip_w,
           0.2 * grip_w, present=b.chance(0.2) & ~vault & ~panel, pitch=slope)
    lip_low = torch.minimum(b.uniform(0.002, 0.012), 0.2 * high)
    clear = wall + 0.0012 + lip_low.square() / depth
    b.slab(1, (clear, clear - y, -lip_low), (depth - clear, y - clear, gap + 0.3 * thick), inner,
           present=flat & b.chance(0.25))
    latch, latch_z = b.chance(0.3) & (plate | boxy), high * b.uniform(0.06, 0.25)
    latch_y = (width * b.uniform(0.02, 0.1)).clamp_min(0.005)
    latch_x = size * b.uniform(0.01, 0.05)
    at = depth + over.clamp_min(0)
    place = torch.where(b.chance(0.5), 0.0, 0.55) * y
    high_end = torch.where(boxy, torch.minimum(0.4 * lid_high, sill + 0.3 * bow),
                           0.7 * thick + gap)
    for s in (-1, 1):
        b.slab(1, (at + 0.0008, s * place - latch_y, -latch_z),
               (at + 0.0008 + latch_x, s * place + latch_y, high_end), 0.3 * latch_y,
               0.2 * latch_x, present=latch, axis=0)

    origin = torch.stack([hinge_x, none, hinge_z], dim=-1)[:, None]
    upper = b.uniform(radians(100), radians(180))
    upper = torch.where(boxy, b.uniform(radians(100), radians(130)), upper)
    built = b.build(get_category('box'), origin, upper[:, None], middle=(1,))
    # A vault is the upper half of a block: the lid's box ends where the lower half was cut away.
    built.bounds[:, 1, 0, 2] = torch.where(vault, torch.where(latch, -latch_z, gap),
                                           built.bounds[:, 1, 0, 2])
    return built
