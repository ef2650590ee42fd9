"""Eyeglasses: wire and acetate frames, half rims, rimless ones, sunglasses, goggles and shields.

Pivots stand at the end pieces, behind the front; in z, where a hinge may be said to be anywhere,
in the middle of the leg's box.
"""

from __future__ import annotations

from math import radians

import torch
from torch import Tensor

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.solids import Instances


def eyeglasses(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """n pairs of eyeglasses, metres."""
    b = Builder(n, generator, device)
    none = torch.zeros(n, device=device)
    width = b.uniform(0.108, 0.158)
    gap = b.uniform(0.009, 0.026)
    ear = b.uniform(0.0, 0.008)
    hy = (width - gap) / 4 - ear / 2
    round_ones = b.chance(0.3)
    hz = hy * torch.where(round_ones, b.uniform(0.88, 1.1), b.uniform(0.42, 0.95))
    hz = hz.clamp_max(0.031)
    small = torch.minimum(hy, hz)
    corner = small * torch.where(round_ones | b.chance(0.25), b.uniform(0.9, 1.0),
                                 b.uniform(0.15, 0.9))

    # What it is: full rims, rims over the upper half or none; goggles are deep.
    kind = b.uniform(0.0, 1.0)
    full, half_rim = kind < 0.68, (kind >= 0.68) & (kind < 0.82)
    rim, glazed = full | half_rim, b.chance(0.66) | ~full
    goggles = full & b.chance(0.06)
    wall = torch.minimum(b.log_uniform(0.0009, 0.0065), 0.35 * small)
    depth = torch.where(goggles, b.uniform(0.008, 0.022), b.log_uniform(0.0011, 0.0065))
    lens = torch.minimum(b.uniform(0.0009, 0.0026), torch.where(rim, depth, 1.0))
    edge = b.uniform(0.0, 0.5) * torch.minimum(wall, depth) * b.chance(0.7)
    wrap = (b.uniform(0.0, radians(8)) + b.uniform(0.0, radians(9)) * b.chance(0.15)
            ) * b.chance(0.75)
    tilt = b.uniform(radians(-2), radians(10)) * b.chance(0.5)

    # Lenses: a rounded rectangle, joined by a smaller one that hangs down (pilots' glasses, round
    # bottoms) or stands up (cats' eyes).
    second = b.chance(0.45)
    up = b.chance(0.25)
    hy2, hz2 = hy * b.uniform(0.6, 0.97), hz * b.uniform(0.65, 0.85)
    out2 = (hy - hy2) * b.uniform(-0.9, 1.1)
    drop2 = (hz - hz2) + hz * b.uniform(0.05, 0.35)
    drop2 = torch.where(up, 0.6 * drop2, -drop2)
    corner2 = torch.minimum(hy2, hz2) * b.uniform(0.5, 1.0)
    middle = gap / 2 + hy
    sides = ((1, wrap), (-1, -wrap))

    def lenses(thick: Tensor, inset: Tensor | float, shift: Tensor, here: Tensor, cut: bool,
               rounding: Tensor | float) -> None:
        for side, yaw in sides:
            for cy, cz, sy, sz, r, there in (
                    (middle, none, hy, hz, corner, here),
                    (middle + out2, drop2, hy2, hz2, corner2, here & second)):
                b.slab(0, (shift - thick / 2, side * cy - sy + inset, cz - sz + inset),
                       (shift + thick / 2, side * cy + sy - inset, cz + sz - inset),
                       (r - inset).clamp_min(0.0005), rounding, there, cut, axis=0, pitch=tilt,
                       yaw=yaw, pivot=(0.0, side * gap / 2, 0.0))

    lenses(depth, 0.0, none, rim, False, edge)
    lenses(none + 0.1, wall, none, rim, True, 0.0)
    b.slab(0, (-1.0, -1.0, -1.0), (1.0, 1.0, hz * b.uniform(-0.3, 0.5)), present=half_rim,
           cut=True)
    play = (depth - lens).clamp_min(0) / 2 * rim
    lenses(lens, torch.where(rim, 0.5 * wall, 0.0), play * b.uniform(-1.0, 1.0), glazed, False,
           0.3 * lens)

    def rounded_off(z: Tensor) -> Tensor:
        """How far the lens's outline keeps inside its rectangle at a height."""
        over = (z.abs() - (hz - corner)).clamp_min(0)
        return corner - (corner.square() - over.square()).clamp_min(0).sqrt()

    # Bridges: one bar, high or low, a second one over it, or a shield as high as the lenses.
    shield = b.chance(0.07) & glazed
    bridge_z = torch.where(shield, 0.2, b.uniform(0.0, 0.75)) * hz
    bridge_high = torch.where(shield, hz * b.uniform(0.4, 0.75), b.log_uniform(0.001, 0.007) / 2)
    bridge_deep = torch.where(shield, lens, torch.where(goggles, 0.003, depth)
                              * b.uniform(0.7, 1.1)).clamp_min(0.001)
    ahead = b.uniform(0.0, 0.002) * b.chance(0.5)
    reach = gap / 2 + rounded_off(bridge_z) + torch.where(rim, 0.5 * wall, 0.003)
    b.slab(0, (ahead - bridge_deep / 2, -reach, bridge_z - bridge_high),
           (ahead + bridge_deep / 2, reach, bridge_z + bridge_high), bridge_high,
           0.3 * bridge_deep, axis=0)
    top_z = hz * b.uniform(0.82, 0.97)
    top_reach = gap / 2 + rounded_off(top_z) + 0.5 * wall
    b.slab(0, (-0.5 * depth, -top_reach, top_z - 0.0008), (0.4 * depth, top_reach, top_z + 0.0008),
           0.0004, 0.0004, present=rim & b.chance(0.18), axis=0)

    # Nose pads, flared towards the face.
    pads = b.chance(0.6)
    pad_back, pad_z = b.uniform(0.003, 0.009), hz * b.uniform(-0.5, 0.1)
    pad_high, pad_thick = b.uniform(0.004, 0.008), b.uniform(0.0009, 0.0025)
    flare = b.uniform(0.0, radians(35))
    for side in (1, -1):
        pad_y = side * (gap / 2 + rounded_off(pad_z) + 0.3 * wall)
        b.slab(0, (-pad_back, pad_y - pad_thick / 2, pad_z - pad_high),
               (none, pad_y + pad_thick / 2, pad_z + pad_high), 0.5 * pad_back, 0.0004, pads,
               axis=1, yaw=-side * flare, pivot=(0.0, pad_y, 0.0))

    # End pieces: from the lens's outer edge to the hinge behind it.
    end_z = hz * b.uniform(-0.05, 0.85)
    turn_y = gap / 2 + 2 * hy * wrap.cos()
    edge_x = tilt.sin() * end_z - 2 * hy * wrap.sin()
    back = b.uniform(0.0, 0.011) * b.chance(0.8) + depth * b.uniform(0.0, 0.5)
    high = torch.minimum(b.log_uniform(0.0011, 0.018), 0.9 * hz)
    thick = torch.minimum(b.log_uniform(0.001, 0.007), high)
    # The leg lies mostly beyond the pivot, so that folding takes it behind the end piece.
    outer = torch.maximum(thick * b.uniform(0.35, 1.0), thick - 0.0018)
    inside = b.uniform(0.0, 0.008) * b.chance(0.25)  # the hinge may be behind the lens
    back = torch.where(inside > 0, torch.maximum(back, depth / 2 + 0.001), back)
    hinge = edge_x - back, turn_y + ear - 0.001 - inside, end_z
    inner_y = turn_y - inside - rounded_off(end_z) - torch.where(rim, 0.7 * wall, 0.003)
    end_high = (high * b.uniform(0.7, 1.1)).clamp_min(0.002) / 2
    for side in (1, -1):
        ends = torch.stack([side * inner_y, side * (hinge[1] + outer)])
        b.slab(0, (hinge[0], ends.amin(0), end_z - end_high),
               (edge_x + torch.minimum(depth, none + 0.004) / 2, ends.amax(0), end_z + end_high),
               0.3 * end_high, 0.0005, axis=0)

    # Legs: three pieces that bend down and in, the last one behind the ear.
    length = (width * b.uniform(0.86, 1.08)).clamp(0.1, 0.155)
    tip, mid = length * b.uniform(0.16, 0.4), length * b.uniform(0.1, 0.35)
    high2 = high * torch.where(b.chance(0.5), 1.0, b.uniform(0.35, 1.0)).clamp_min(0.1)
    high3 = (high2 * b.uniform(0.7, 1.6)).clamp(0.001, 0.014)
    high2 = high2.clamp_min(0.001)
    thick2 = (thick * b.uniform(0.7, 1.1)).clamp_min(0.0009)
    round_leg = b.uniform(0.0, 1.0)
    down = -b.uniform(radians(-3), radians(4)) * b.chance(0.4)
    down2 = down + b.uniform(radians(-8), radians(3)) * b.chance(0.6)
    down3 = down2 - torch.where(b.chance(0.12), 0.0, b.uniform(radians(5), radians(60)))
    lean = b.uniform(radians(-3), radians(5)) * b.chance(0.4)
    lean2 = lean + b.uniform(0.0, radians(10)) * b.chance(0.4)
    lean3 = lean2 + b.uniform(0.0, radians(18)) * b.chance(0.4)
    for part, side in ((1, 1), (2, -1)):
        x, y, z = none, side * (outer - thick / 2), none
        for piece, run, tall, deep, dip, turn in (
                (0, length - tip - mid, high, thick, down, lean),
                (1, mid, high2, thick2, down2, lean2),
                (2, tip, high3, thick2, down3, lean3)):
            turn = side * turn
            front = none if piece == 0 else 0.5 * tall
            b.slab(part, (x - run - 0.4 * tall, y - deep / 2, z - tall / 2),
                   (x + front, y + deep / 2, z + tall / 2), 0.5 * tall if piece else 0.25 * tall,
                   round_leg * torch.minimum(deep, tall) / 2, axis=1, pitch=dip, yaw=turn,
                   pivot=(x, y, z))
            x, y, z = (x - run * dip.cos() * turn.cos(), y - run * dip.cos() * turn.sin(),
                       z + run * dip.sin())

    origin = torch.stack([torch.stack([hinge[0], side * hinge[1], end_z], dim=-1)
                          for side in (1, -1)], dim=1)
    # Legs fold until they lie along the front, its pads or the other end piece; those that bend
    # in meet them sooner.
    bent_in = torch.atan2(outer - thick / 2 + y, length).clamp_min(0)
    padded = pads & (end_z - high / 2 < pad_z + pad_high)
    behind = torch.where(padded, torch.maximum(depth / 2, pad_back), depth / 2)
    opposite = length > 1.7 * hinge[1]  # reaches the other end piece, which comes out as far back
    space = torch.where(opposite, torch.minimum(back - behind, none), back - behind)
    space = space - (thick - outer) - 0.0005
    room = space / torch.where(space > 0, length, width / 2) - 0.3 * tilt.abs() - bent_in
    upper = torch.where(b.chance(0.35), b.uniform(radians(60), radians(85)),
                        b.uniform(radians(85), radians(100)))
    upper = torch.minimum(upper, radians(90) + room).clamp_min(radians(60))
    return b.build(get_category('eyeglasses'), origin, upper[:, None].expand(-1, 2), middle=(2,))
