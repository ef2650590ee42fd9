"""Furniture with one to four drawers: cabinets, chests, night stands, tables, desks, kitchens.

The pivot of a drawer is the centre of its box: a drawer slides, so any point would do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.solids import Instances

LAYOUTS = (((1,), 6.0), ((2,), 2.0), ((1, 1), 4.0), ((1, 1, 1), 5.0), ((1, 1, 1, 1), 3.0),
           ((2, 2), 2.0), ((2, 1), 1.5), ((2, 1, 1), 2.0), ((1, 2), 0.7))
"""Drawers in each row, top to bottom, and how often."""


@dataclass(frozen=True)
class Layout:
    """Where each instance has its drawers.

    Attributes:
        rows: (n) how many. pairs: (n) whether any row has two.
        row: (n, 4) of each drawer. place: (n, 4) as wide as the row 0, its +y half 1, -y half -1.
        exists: (n, 4). first, last: (n) rows with two, where there are any.
    """

    rows: Tensor
    pairs: Tensor
    row: Tensor
    place: Tensor
    exists: Tensor
    first: Tensor
    last: Tensor


def _layout(b: Builder, which: Tensor) -> Layout:
    """Drawers by numbers (n) in [0, 1)."""

    def rows_of(drawers: tuple[int, ...]) -> list[list[int]]:
        row = [i for i, count in enumerate(drawers) for _ in range(count)]
        place = [side for count in drawers for side in ((1, -1) if count == 2 else (0,))]
        double = [i for i, count in enumerate(drawers) if count == 2]
        rest = 4 - len(row)
        return [[len(drawers), int(bool(double)), min(double, default=0), max(double, default=0)],
                row + [0] * rest, place + [0] * rest, [1] * len(row) + [0] * rest]

    table = torch.tensor([rows_of(drawers) for drawers, _ in LAYOUTS], device=b.device)
    often = torch.tensor([weight for _, weight in LAYOUTS], device=b.device).cumsum(0)
    pick = torch.searchsorted(often, which * often[-1]).clamp_max(len(often) - 1)
    (rows, pairs, first, last), row, place, exists = (table[pick, 0].unbind(1), table[pick, 1],
                                                      table[pick, 2], table[pick, 3] > 0)
    return Layout(rows, pairs > 0, row, place, exists, first, last)


def drawer(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """n pieces of furniture with drawers, metres."""
    b = Builder(n, generator, device)
    rare = b.side_stream()
    none = torch.zeros(n, device=device)
    which, kind = b.uniform(0.0, 1.0), b.uniform(0.0, 1.0)
    # A writing table: wide, with a box along the rear of its top, often open to the front; in its
    # one row mostly one drawer between two panels.
    writing = (kind < 0.34) & rare.chance(0.25)
    which, kind = torch.where(writing, 0.3 * which, which), torch.where(writing, 0.0, kind)
    layout = _layout(b, which)
    rows, pairs = layout.rows, layout.pairs

    # The case that holds the drawers: x from -depth to 0, z from 0 to high, y from left to right.
    table, desk = kind < 0.24, (kind >= 0.24) & (kind < 0.34)
    small = kind > 0.93
    width = torch.where(table, b.log_uniform(0.4, 1.4), b.log_uniform(0.28, 1.3))
    width = torch.where(desk, b.uniform(0.28, 0.5), width)
    width = torch.where(pairs & ~desk, width.clamp_min(0.55), width)
    depth = torch.where(b.chance(0.82), b.uniform(0.3, 0.65), b.uniform(0.6, 0.92))
    slender = table & b.chance(0.35) & ~pairs  # a night stand or a telephone table
    width = torch.where(slender, b.uniform(0.32, 0.6), width)
    depth = torch.where(slender, b.uniform(0.28, 0.5), depth)
    each = torch.where(b.chance(0.75), b.log_uniform(0.09, 0.24), b.uniform(0.2, 0.4))
    high = each * rows
    table, desk = table & (rows == 1), desk & ~pairs
    each = torch.where(table, each.clamp_max(0.2), each)
    high = torch.where(table, each, high.clamp_min(0.2))
    width = torch.where(writing, rare.uniform(0.8, 1.4), width)
    depth = torch.where(writing, rare.uniform(0.45, 0.7), depth)
    tall = b.chance(0.12) & (rows == 1) & ~table  # a pull-out as high as the cabinet
    high = torch.where(tall, b.uniform(0.45, 0.85), high).clamp_max(1.1)

    # Where in the front the drawers are: all of it, at the top or the bottom, or to one side.
    part_z = b.chance(0.45) & ~table & ~desk & (rows < 4) & ~tall
    below = part_z & b.chance(0.85)
    rest = torch.where(part_z, high * b.uniform(0.25, 2.5), 0.0)
    rest = torch.minimum(rest, 1.1 - high).clamp_min(0)
    part_z, below = part_z & (rest > 0.08), below & (rest > 0.08)
    rest = torch.where(part_z, rest, 0.0)
    high = high + rest
    high = torch.where(desk, high.clamp_max(0.7), high)
    scale = torch.where(small, b.uniform(0.35, 0.6), 1.0)
    width, depth, high, rest = (x * scale for x in (width, depth, high, rest))
    part_y = b.chance(0.35) & ~pairs & ~desk & ~small & (width > 0.5)
    share = b.uniform(0.35, 0.8)
    at = torch.where(b.chance(0.5), 0.5, torch.where(b.chance(0.5), 0.0, 1.0))
    middle = writing & rare.chance(0.7) & ~pairs
    part_y, at = part_y | middle, torch.where(middle & rare.chance(0.7), 0.5, at)
    share = torch.where(middle, rare.uniform(0.33, 0.6), share)

    # Panels: sides, rear, bottom, a top that stands out; the case of a table hangs under it.
    side = b.log_uniform(0.01, 0.05) * scale.clamp_min(0.5)
    top = b.log_uniform(0.01, 0.06) * scale.clamp_min(0.4)
    rear, bottom = side * b.uniform(0.3, 1.0), side * b.uniform(0.5, 1.2)
    y = width / 2
    total = torch.where(table, b.uniform(0.38, 0.9), b.uniform(0.62, 0.85))
    total = torch.where(writing, rare.uniform(0.66, 0.82), total)
    feet = torch.where(b.chance(0.55), b.uniform(0.01, 0.25) * high.clamp_max(0.8), 0.0)
    leg_z = torch.where(table | desk, (total - high).clamp_min(0.02), feet)
    leg_z = leg_z * torch.where(small, 0.3, 1.0)
    leg = torch.where(table, b.uniform(0.025, 0.1), b.uniform(0.02, 0.07))
    overlay = b.chance(0.5) & ~(table & b.chance(0.6))
    front = b.log_uniform(0.008, 0.032) * scale.clamp_min(0.5)
    proud = torch.where(overlay, front + 0.002, b.uniform(-0.004, 0.004))  # the fronts' face
    over = b.chance(0.75)
    over_x = proud.clamp_min(0) + b.uniform(-0.01, 0.05) * over
    over_y = torch.where(b.chance(0.6), over_x.clamp_min(0), b.uniform(0.0, 0.04)) * over
    spread = table & b.chance(0.5) & ~writing
    over_x = torch.where(spread, b.uniform(0.01, 0.12), over_x)
    over_y = torch.where(spread, b.uniform(0.01, 0.18), over_y)
    over_y = torch.minimum(over_y, 0.72 - y)
    open_top = b.chance(0.12) & ~table & ~desk
    edge = b.uniform(0.0, 0.5) * torch.minimum(top, side) * b.chance(0.5)
    corner = torch.where(b.chance(0.2), b.uniform(0.0, 0.08), 0.0)
    bare = table & b.chance(0.5)  # no panel below the drawer
    hang = 0.4 * top  # panels reach into each other
    hung = table & part_y & b.chance(0.35)  # the drawer hangs under the top between two boards
    b.slab(0, (-depth, -y, none), (none, side - y, high + hang), edge=edge, present=~hung)
    b.slab(0, (-depth, y - side, none), (none, y, high + hang), edge=edge, present=~hung)
    b.slab(0, (-depth, side * 0.3 - y, none), (rear - depth, y - 0.3 * side, high + hang),
           edge=edge, present=~hung)
    b.slab(0, (0.3 * rear - depth, 0.3 * side - y, none), (none, y - 0.3 * side, bottom),
           present=~bare & ~hung)
    to_left = b.chance(0.5)  # a desk's top goes on to one side
    span = torch.where(desk, b.uniform(0.45, 0.9), 0.0)
    ty0 = -y - over_y - torch.where(to_left, 0.0, span)
    ty1 = y + over_y + torch.where(to_left, span, 0.0)
    b.slab(0, (-depth - over_y * b.chance(0.4), ty0, high), (over_x, ty1, high + top), corner,
           edge, present=~open_top)

    # Legs or feet; a desk has a panel under the far end of its top. Plinth, or a table's shelf.
    legs = table | (leg_z > 0.012) & b.chance(0.7) & ~desk
    legs = legs | small & (leg_z > 0.005)
    up = torch.where(table, high + hang, 0.5 * bottom)
    out = torch.where(b.chance(0.3), b.uniform(0.0, 0.012), 0.0)
    leg_in = torch.where(table, -out, b.uniform(-0.01, 0.05) * scale)
    leg_corner = leg * 0.5 * torch.where(b.chance(0.35), 1.0, b.uniform(0.0, 0.5))
    far0 = torch.where(to_left, ty1 - side - 0.02, ty0 + 0.02)
    for i, (fx, fy) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        x0 = -leg_in.clamp_min(0) - leg if fx else leg_in - depth
        x0 = torch.where(table & (fx == 1), -leg - 0.001, x0)
        y0 = y - leg_in - leg if fy else leg_in - y
        lower, upper = (x0, y0, -leg_z), (x0 + leg, y0 + leg, up)
        if i == 0:
            lower = (torch.where(desk, 0.04 - depth, x0), torch.where(desk, far0, y0), -leg_z)
            upper = (torch.where(desk, -0.02, x0 + leg),
                     torch.where(desk, far0 + side, y0 + leg),
                     torch.where(desk, high + hang, up))
        b.slab(0, lower, upper, torch.where(desk, 0.0, leg_corner),
               present=legs | desk if i == 0 else legs)
    back_in = b.uniform(0.0, 0.06)
    shelf = table & b.chance(0.4) & ~writing
    shelf_z = -leg_z * b.uniform(0.45, 0.9)
    inset = torch.where(shelf, leg * b.uniform(0.1, 0.9), back_in)
    b.slab(0, (torch.where(shelf, inset, 0.0) - depth, inset * shelf - y,
               torch.where(shelf, shelf_z, -leg_z)),
           (-inset, y - inset * shelf, torch.where(shelf, shelf_z + top, 0.5 * bottom)),
           present=shelf | (leg_z > 0.012) & ~legs)
    # Rear rail, splash back or a hutch on the top.
    rail = b.chance(0.12) | (table | desk) & b.chance(0.15)
    rail_x = torch.where(b.chance(0.6), side, b.uniform(0.1, 0.25))
    rail_z = torch.where(b.chance(0.6), b.uniform(0.02, 0.12), b.uniform(0.1, 0.45)) * scale
    rail_x = torch.where(writing, rare.uniform(0.18, 0.45) * depth,
                         torch.minimum(rail_x, 0.4 * depth))
    rail_z = torch.where(writing, rare.uniform(0.12, 0.45), rail_z)
    rail = rail | writing
    rail_z = torch.minimum(rail_z, 1.45 - leg_z - high - top)
    b.slab(0, (-depth, ty0 + 0.3 * over_y, high + hang),
           (rail_x - depth, ty1 - 0.3 * over_y, high + top + rail_z), present=rail & ~open_top)
    b.slab(0, (0.6 * side - depth, ty0 + 0.3 * over_y + side, high + top),
           (none, ty1 - 0.3 * over_y - side, high + top + rail_z - side),
           present=writing & rare.chance(0.5), cut=True)

    # The drawers' place in the front, and what fills the remainder: doors, panels or nothing.
    post = torch.where(table, torch.maximum(side, leg + out), side)
    gap = b.uniform(0.001, 0.004)
    bar = torch.where(b.chance(0.6), b.uniform(0.012, 0.03), 0.0) * scale  # between drawers
    half_bar = bar / 2
    clear = torch.where(overlay, gap / 2, half_bar + gap)  # of the fronts from their cells
    edge_y = torch.where(overlay & ~table, b.uniform(0.0, 0.008), post + gap) - clear
    lo_z = torch.where(overlay, b.uniform(0.0, 0.006), bottom * ~bare + gap) - clear
    hi_z = torch.where(overlay & (over_x <= 0.001), high + 0.9 * top, high - gap) + clear
    y0, y1 = edge_y - y, y - edge_y
    ya = torch.where(part_y, y0 + (y1 - y0) * (1 - share) * at, y0)
    yb = torch.where(part_y, ya + (y1 - y0) * share, y1)
    za = torch.where(below, lo_z + rest, lo_z)
    zb = torch.where(part_z & ~below, hi_z - rest, hi_z)
    fx0, fx1 = proud - front, proud
    closed = (b.chance(0.75) | table) & ~hung
    split = b.uniform(0.0, 1.0)
    # Two fillings: to either side of the drawers, or two doors (or one) under them.
    for left in (True, False):
        fy0, fy1 = (y0, ya) if left else (yb, y1)
        mid = torch.where(split < 0.4, 0.0, y1 if left else y0)
        dy0, dy1 = (y0, mid) if left else (mid, y1)
        fz0, fz1 = torch.where(below, lo_z, zb), torch.where(below, za, hi_z)
        by_side = part_y & ~part_z
        fy0, fy1 = torch.where(by_side, fy0, dy0), torch.where(by_side, fy1, dy1)
        fz0, fz1 = torch.where(by_side, lo_z, fz0), torch.where(by_side, hi_z, fz1)
        fy0, fy1, fz0, fz1 = fy0 + clear, fy1 - clear, fz0 + clear, fz1 - clear
        b.slab(0, (fx0, fy0, fz0), (fx1, fy1, fz1), edge=0.2 * front,
               present=closed & (part_y | part_z) & (fy1 - fy0 > 0.02) & (fz1 - fz0 > 0.02))

    # Dividers inside: under each row, and upright ones beside or between drawers.
    grow = b.uniform(0.0, 0.4) * b.chance(0.6)
    weights = torch.stack([(grow * r).exp() * (r < rows) for r in range(4)], dim=1)
    fall = (weights / weights.sum(1, keepdim=True)).cumsum(1) * (zb - za)[:, None]
    border = torch.cat([zb[:, None], zb[:, None] - fall], dim=1)  # over row 0, under row 0, ...
    stop = torch.where(overlay | (bar == 0), torch.minimum(fx0, none) - b.uniform(0.002, 0.02),
                       -0.0005)
    solid = torch.where(bar > 0, half_bar, 0.005 * scale)
    for r in range(1, 4):
        z = border[:, r]
        b.slab(0, (0.5 * rear - depth, 0.5 * side - y, z - solid),
               (stop, y - 0.5 * side, z + solid),
               present=((r < rows) & (bar > 0)) | ((r == rows) & below))
    rail_z0 = border.gather(1, layout.last[:, None] + 1)[:, 0].clamp_min(0.0)
    rail_z1 = torch.minimum(border.gather(1, layout.first[:, None])[:, 0], high)
    for left in (True, False):
        beside = part_y & (hung | ((ya > y0 + 0.01) if left else (yb < y1 - 0.01)))
        at_y = torch.where(pairs, none, ya if left else yb)
        b.slab(0, (0.5 * rear - depth, at_y - solid,
                   torch.where(pairs, rail_z0, torch.maximum(za, none) + 0.0005)),
               (stop, at_y + solid, torch.where(pairs, rail_z1, torch.minimum(zb, high)) + hang),
               present=beside | (pairs & left))

    # Drawers: the front, a tray behind it and a pull. All of a piece are alike.
    slide = b.uniform(0.002, 0.014) * scale
    tray_x0 = fx0 - (depth + fx0.clamp_max(0) - rear) * b.uniform(0.6, 0.97)
    tray_wall = b.log_uniform(0.004, 0.016) * scale.clamp_min(0.5)
    lift = b.uniform(0.003, 0.025) * scale
    tray_high = torch.where(b.chance(0.15) | tall, b.uniform(0.15, 0.5), b.uniform(0.55, 0.97))
    front_edge = front * b.uniform(0.0, 0.45) * b.chance(0.6)
    pull = _Pull.draw(b, scale)
    floor_z = torch.where(bare, 0.0, bottom) + 0.002
    half = (yb - ya) / 2
    for i in range(4):
        there, place, row = layout.exists[:, i], layout.place[:, i], layout.row[:, i:i + 1]
        part = i + 1
        cell_y0 = torch.where(place > 0, ya + half, ya)
        cell_y1 = torch.where(place < 0, ya + half, yb)
        cell_z1, cell_z0 = border.gather(1, row)[:, 0], border.gather(1, row + 1)[:, 0]
        by0, by1 = cell_y0 + clear, cell_y1 - clear
        bz0, bz1 = cell_z0 + clear, cell_z1 - clear
        # The tray stays inside the case and clear of dividers.
        wy0 = torch.maximum(cell_y0 + solid, post - y) + slide
        wy1 = torch.minimum(cell_y1 - solid, y - post) - slide
        wz0 = torch.maximum(cell_z0 + solid + 0.002, floor_z) + lift
        wz1 = torch.minimum(torch.minimum(cell_z1 - solid, high) - 0.004, bz1 - 0.002)
        wz1 = wz0 + (wz1 - wz0).clamp_min(0.012) * tray_high
        # Front, with a panel sunk into it, or a notch or groove to reach in; its pull.
        b.slab(part, (fx0, by0, bz0), (fx1, by1, bz1), edge=front_edge, present=there)
        pull.add(b, part, fx0, fx1, (by0, by1), (bz0, bz1), there)
        tray = (tray_x0, wy0, wz0), (fx0 + 0.4 * front, wy1, wz1)
        (x0, ly, lz), (x1, hy, hz) = tray
        b.slab(part, (x0, ly, lz), (x1, ly + tray_wall, hz), present=there)
        b.slab(part, (x0, hy - tray_wall, lz), (x1, hy, hz), present=there)
        b.slab(part, (x0, ly + 0.2 * tray_wall, lz), (x0 + tray_wall, hy - 0.2 * tray_wall, hz),
               present=there)
        b.slab(part, (x0 + 0.2 * tray_wall, ly + 0.2 * tray_wall, lz + 0.0005),
               (x1, hy - 0.2 * tray_wall, lz + tray_wall), present=there)

    travel = ((fx0 - tray_x0) * b.uniform(0.5, 0.95)).clamp_min(0.05)
    return b.build(get_category('drawer'), torch.zeros(n, 4, 3, device=device),
                   travel[:, None].expand(n, 4), middle=(0, 1, 2))


@dataclass(frozen=True)
class _Pull:
    """What one pulls at, the same on all drawers of a piece: three slots a drawer.

    Attributes:
        style: (n) one number in [0, 1) that says which.
        size, length, reach, place: (n) sizes, m, and where up the front, as a share.
        depth: (n) of what is cut into the front, as a share of its thickness.
    """

    style: Tensor
    size: Tensor
    length: Tensor
    reach: Tensor
    place: Tensor
    depth: Tensor
    frame: Tensor
    framed: Tensor

    @staticmethod
    def draw(b: Builder, scale: Tensor) -> _Pull:
        place = torch.where(b.chance(0.6), 0.5, b.uniform(0.3, 0.85))
        return _Pull(b.uniform(0.0, 1.0), b.uniform(0.005, 0.022) * scale.clamp_min(0.6),
                     torch.where(b.chance(0.6), b.uniform(0.06, 0.2), b.uniform(0.2, 0.7)),
                     b.uniform(0.015, 0.045) * scale.clamp_min(0.6), place,
                     b.uniform(0.15, 0.6), b.uniform(0.015, 0.07) * scale, b.chance(0.3))

    def add(self, b: Builder, part: int, x0: Tensor, x1: Tensor, y: tuple[Tensor, Tensor],
            z: tuple[Tensor, Tensor], there: Tensor) -> None:
        """Cut into and add to the front from x0 to x1, y and z."""
        (y0, y1), (z0, z1) = y, z
        middle, wide, tall = (y0 + y1) / 2, y1 - y0, z1 - z0
        knob, bar, two = self.style < 0.28, self.style < 0.56, self.style < 0.68
        lip, notch = self.style < 0.76, self.style < 0.86
        bar, two, lip, notch = bar & ~knob, two & (self.style >= 0.56), lip & ~two, notch & ~lip
        lip, notch = lip & (self.style >= 0.68), notch & (self.style >= 0.76)
        framed = self.framed & ~notch
        frame = torch.minimum(self.frame, 0.3 * torch.minimum(wide, tall))
        # A sunk panel, or a half round or straight notch in the upper edge right through.
        reach_in = torch.minimum(0.03 + self.size, 0.35 * tall)
        open_y = torch.where(notch, torch.minimum(self.length / 2 + 0.02, 0.3 * wide),
                             wide / 2 - frame)
        sunk = self.depth * (x1 - x0)
        b.slab(part, (torch.where(notch, x0 - 0.01, x1 - sunk), middle - open_y,
                      torch.where(notch, z1 - reach_in, z0 + frame)),
               (x1 + 0.1, middle + open_y, torch.where(notch, z1 + 2 * reach_in, z1 - frame)),
               torch.where(notch, reach_in, 0.0), present=there & (framed | notch), cut=True,
               axis=0)
        # Knob, bar, two knobs (a bar with its middle cut away) or a lip on the upper edge.
        size = torch.minimum(self.size, 0.3 * tall)
        half = torch.where(knob, size, torch.minimum(self.length * 0.5, 0.46 * wide))
        half = torch.where(two, wide * (0.12 + 0.3 * self.depth), half)
        half = torch.where(lip, wide / 2, half).clamp_min(size)
        at = torch.where(lip, z1 - 0.5 * size, z0 + self.place * tall)
        flat = torch.where(lip | bar, 0.5 * size, size)
        at = torch.minimum(at, z1 - flat)
        corner = torch.where(lip, 0.0, torch.where(self.depth < 0.25, 0.2 * flat, flat))
        root = torch.where(framed, x1 - sunk, x1) - 0.001
        pulled = knob | bar | two | lip
        b.slab(part, (root, middle - half, at - flat), (x1 + self.reach, middle + half, at + flat),
               corner, 0.15 * flat, present=there & pulled, axis=0)
        post = torch.where(two, 2 * flat, (0.1 * half).clamp_min(0.004))
        bar_x = torch.where(two, 1.0, self.reach - (flat * 1.6).clamp_max(0.6 * self.reach))
        b.slab(part, (x1 + 0.0005, middle - half + post, at - 2 * flat),
               (x1 + bar_x, middle + half - post, at + 2 * flat),
               present=there & (two | (bar & (self.reach > 0.02))), cut=True)
