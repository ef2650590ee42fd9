"""Boxes: cardboard and shoe boxes, chests, trunks, cases, jewellery and lunch boxes, toy benches,
pencil cases and other shells that open flat.

The pivot is the hinge line at the lid's rear edge: where lid and body meet, or on top of a lid
that lies between the walls. In y it is in the middle. The body is built with x from the rear wall
(0) to the front, z from its underside (0) upwards, and y = 0 in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, radians

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab, Wide, ordered
from kinediff3d_core.simulation.solids import Instances

BODY, LID = 0, 1
SHELLS = 0.2
"""Share of shells: hollow lids that may be as high as the body and open flat. Chosen."""
BEYOND_FLAT = radians(20)
"""How far lids open beyond half a turn at most, rad. Chosen: 199.7 degrees occur in ReArtMix."""
PLAY = 0.002
"""How far the rear edge of a lid may reach into the body when it is open beyond half a turn, m:
real hinges have that much play. Chosen."""


def box(b: Builder) -> Instances:
    """Boxes, metres."""
    size = _draw_size(b)
    kind = _draw_lid_kind(b, size)
    corners = _add_body(b, size, kind)
    item = _add_hinge(b, size, kind, corners)
    _add_plinth(b, item)
    _add_feet(b, item)
    _add_partition(b, item)
    _add_body_grips(b, item)
    sheet = _add_sheet_lid(b, item)
    lid = _add_walled_lid(b, item, sheet)
    cavity = _cut_lid_cavity(b, item, sheet, lid)
    _add_lid_plates(b, item, sheet, lid, cavity)
    _add_lid_top(b, item, sheet, lid)
    _add_lid_lip(b, item, sheet)
    lowest = _add_latch(b, item, sheet, lid)

    upper = _upper_limit(b, item, lid)
    built = b.build(upper[:, None], b.pivot(item.hinge_x, item.hinge_z), middle=(1,))
    # A vault is the upper half of a block: the lid's box ends where the lower half was cut away.
    built.bounds[:, LID, 0, 2] = torch.where(kind.vault, lowest, built.bounds[:, LID, 0, 2])
    return built


@dataclass(frozen=True)
class BoxSize(Wide):
    """Outer sizes of the body, and the thickness of walls and floor; m, each (n,).

    Attributes:
        shell: bool; the body is one of two shells that open flat.
    """

    width: Tensor
    depth: Tensor
    height: Tensor
    wall: Tensor
    floor: Tensor
    shell: Tensor

    @property
    def side(self) -> Tensor:
        """The smaller of width and depth: other sizes scale with it."""
        return torch.minimum(self.width, self.depth)


@dataclass(frozen=True)
class LidKind:
    """Which kind of lid each instance has: exactly one of the first five (n,) is true.

    Attributes:
        plate: a plate on the walls.
        rim: a plate with a rim around the walls.
        inset: a plate between the walls.
        hollow: a hollow lid as wide as the body.
        vault: a vaulted lid.
        slope: (n,) angle by which an inset lid and the walls fall towards the front, rad.
        sunk: (n,) how far an inset lid lies below the walls' upper edges, m.
    """

    plate: Tensor
    rim: Tensor
    inset: Tensor
    hollow: Tensor
    vault: Tensor
    slope: Tensor
    sunk: Tensor

    @property
    def boxy(self) -> Tensor:
        """Lids with walls of their own."""
        return self.hollow | self.vault


@dataclass(frozen=True)
class RoundCorners:
    """Round vertical corners of the body: whether (n,) bool, and their radii (n,), m."""

    present: Tensor
    outer: Tensor
    inner: Tensor


@dataclass(frozen=True)
class Box:
    """What all parts of a box depend on; lengths in m, each (n,).

    Attributes:
        thickness: of the lid's plate.
    """

    size: BoxSize
    kind: LidKind
    corners: RoundCorners
    hinge_x: Tensor
    hinge_z: Tensor
    thickness: Tensor

    @property
    def front(self) -> Tensor:
        """From the hinge to the front wall's outer face."""
        return self.size.depth - self.hinge_x


@dataclass(frozen=True)
class SheetLid:
    """The plate of a lid in the frame of the hinge; m, each (n,).

    Attributes:
        gap: between lid and body.
        overhang: how far the plate stands out over the walls.
        reach: from the hinge to the plate's front edge.
        low: z of the plate's underside.
    """

    gap: Tensor
    overhang: Tensor
    reach: Tensor
    half_width: Tensor
    low: Tensor


@dataclass(frozen=True)
class WalledLid:
    """A lid with walls or with a rim, in the frame of the hinge; m, each (n,).

    Attributes:
        edge: rounding of the upper edges.
        low: z of the walls' lower edges.
        out: how far the walls stand out over the body's.
        bow: radius of a vault.
        block: bool; cut from a block, because its corners or edges are round.
    """

    height: Tensor
    wall: Tensor
    edge: Tensor
    low: Tensor
    out: Tensor
    bow: Tensor
    block: Tensor

    @property
    def upright(self) -> Tensor:
        """z where a vault begins."""
        return self.height - self.bow


def _draw_size(b: Builder) -> BoxSize:
    """Draws the width, 0.1 to 0.75 m, depth and height as shares of it, and walls, 1 to 30 mm.

    Shells are 0.08 to 0.4 m wide and low, with walls of up to 5 mm.
    """
    shell = b.rare.chance(SHELLS)
    width = b.log_uniform(0.1, 0.75)
    depth = width * torch.where(b.chance(0.8), b.uniform(0.38, 0.85), b.uniform(0.8, 1.4))
    depth = depth.clamp(0.07, 0.7)
    side = torch.minimum(width, depth)
    height = (side * b.log_uniform(0.18, 1.5)).clamp(0.025, 0.6)
    wall = torch.where(b.chance(0.35), b.uniform(0.001, 0.004), side * b.uniform(0.015, 0.08))
    wall = wall.clamp(0.001, 0.03)
    width = torch.where(shell, b.rare.log_uniform(0.08, 0.4), width)
    depth = torch.where(shell, width * b.rare.uniform(0.28, 0.85), depth)
    height = torch.where(shell, (depth * b.rare.uniform(0.15, 0.6)).clamp_min(0.015), height)
    wall = torch.where(shell, torch.minimum(b.rare.uniform(0.001, 0.005), 0.1 * height), wall)
    floor = (wall * b.uniform(0.7, 2.0)).clamp_max(0.3 * height)
    return BoxSize(width, depth, height, wall, floor, shell)


def _draw_lid_kind(b: Builder, size: BoxSize) -> LidKind:
    """Draws one of five kinds; of inset lids a slope, 3 to 25 degrees, or a depth as a share."""
    kind = b.uniform(0.0, 1.0)
    inset = (kind >= 0.5) & (kind < 0.62)
    slope = b.uniform(radians(3), radians(25)) * b.chance(0.6)
    slope = torch.minimum(slope, torch.atan2(0.6 * size.height, size.depth)) * inset
    sunk = b.uniform(0.0, 0.25) * size.height * (inset & (slope == 0) & b.chance(0.5))
    hollow = ((kind >= 0.62) & (kind < 0.84)) | size.shell
    plain = ~size.shell
    return LidKind(plate=plain & (kind < 0.34), rim=plain & (kind >= 0.34) & (kind < 0.5),
                   inset=inset & plain, hollow=hollow, vault=plain & (kind >= 0.84),
                   slope=slope * plain, sunk=sunk * plain)


def _add_body(b: Builder, size: BoxSize, kind: LidKind) -> RoundCorners:
    """Walls and floor; where the corners are round, a block with a cavity around them.

    Draws the corners' radius, 2 to 30 % of the smaller side, and the rounding of edges as a share.
    """
    y, depth, height, wall, floor, zero = (size.half_width, size.depth, size.height, size.wall,
                                           size.floor, b.zeros())
    is_round = b.chance(0.35) & ~kind.inset
    corner = torch.where(is_round, size.side * b.uniform(0.02, 0.3), 0.0)
    edge = torch.minimum(wall, floor) * b.uniform(0.0, 0.5) * b.chance(0.5)
    inner = (corner - wall).clamp_min(0)
    b.add(BODY, Slab((zero, -y, zero), (depth, y, height), corner, edge), is_round)
    b.cut(BODY, Slab((wall, wall - y, floor), (depth - wall, y - wall, height + 1), inner),
          is_round)
    b.add(BODY, Slab((corner, corner - y, zero), (depth - corner, y - corner, floor), edge=edge))
    # Square walls overlap at the corners; round corners stay free.
    end = torch.where(is_round, corner, 0.0)
    b.add(BODY, Slab((end, -y, zero), (depth - end, wall - y, height), edge=edge))
    b.add(BODY, Slab((end, y - wall, zero), (depth - end, y, height), edge=edge))
    b.add(BODY, Slab((depth - wall, end - y, zero), (depth, y - end, height), edge=edge))
    b.add(BODY, Slab((zero, end - y, zero), (wall, y - end, height - kind.sunk), edge=edge))
    return RoundCorners(is_round, corner, inner)


def _add_hinge(b: Builder, size: BoxSize, kind: LidKind, corners: RoundCorners) -> Box:
    """The fixed strip behind an inset lid, and the walls cut along its slope.

    Draws the strip's depth, 10 to 35 % of the body's, and the plate's thickness, 1.2 to 35 mm.
    """
    y, wall, zero, hinge_z = size.half_width, size.wall, b.zeros(), size.height - kind.sunk
    strip = torch.where(b.chance(0.5), size.depth * b.uniform(0.1, 0.35), wall)
    hinge_x = torch.where(kind.inset, strip, 0.0)
    thick = torch.where(b.chance(0.4), wall * b.uniform(0.8, 1.5),
                        size.height.clamp_max(size.side) * b.uniform(0.02, 0.14))
    thick = thick.clamp(0.0012, 0.035)
    thick = torch.where(kind.inset, torch.minimum(thick, 0.3 * size.height), thick)
    b.add(BODY, Slab((zero + 0.1 * wall, wall * 0.5 - y, hinge_z - thick),
                     (strip - 0.0005, y - wall * 0.5, hinge_z)),
          kind.inset & (strip > 1.5 * wall))
    b.cut(BODY, Slab((zero - 2, zero - 2, size.height), (zero + 3, zero + 2, size.height + 2),
                     pitch=kind.slope, pivot=(hinge_x, 0.0, size.height)), kind.slope > 0)
    return Box(size, kind, corners, hinge_x, hinge_z, thick)


def _add_plinth(b: Builder, item: Box) -> None:
    """A plinth or moulding around the body.

    Draws how far it stands out, 3 to 30 mm, and its height and drop as shares of the body's.
    """
    size, zero = item.size, b.zeros()
    y, depth, height, wall = size.half_width, size.depth, size.height, size.wall
    plinth = b.chance(0.25) & ~item.kind.rim
    out = (size.side * b.uniform(0.01, 0.09)).clamp(0.003, 0.03)
    drop = height * b.uniform(0.0, 0.08)
    b.add(BODY, Slab((zero, -y - out, -drop),
                     (depth + out, y + out, height * b.uniform(0.06, 0.28)),
                     item.corners.outer, 0.3 * out * b.chance(0.5)), plinth)
    b.cut(BODY, Slab((wall, wall - y, size.floor), (depth - wall, y - wall, height + 1),
                     item.corners.inner), plinth)


def _add_feet(b: Builder, item: Box) -> None:
    """Four feet. Draws width and inset as shares of the smaller side, and the height, m."""
    size = item.size
    feet = b.chance(0.25)
    foot, inset = size.side * b.uniform(0.08, 0.22), size.side * b.uniform(-0.01, 0.06)
    inset = torch.maximum(inset, 0.3 * item.corners.outer)
    foot_z = torch.where(b.chance(0.5), b.uniform(0.003, 0.015),
                         size.height * b.uniform(0.08, 0.4))
    corner = torch.where(b.chance(0.3), foot, 0.0)
    for x in (inset.clamp_min(0), size.depth - inset - foot):
        for y in (inset - size.half_width, size.half_width - inset - foot):
            b.add(BODY, Slab((x, y, -foot_z), (x + foot, y + foot, 0.5 * size.floor), corner),
                  feet)


def _add_partition(b: Builder, item: Box) -> None:
    """A wall inside, and a till beside it. Draws place and heights as shares of the body's."""
    size, wall = item.size, item.size.wall
    split = size.width * b.uniform(-0.3, 0.3)
    top, parted = size.height * b.uniform(0.4, 0.85), b.chance(0.2) & ~item.kind.inset
    b.add(BODY, Slab((0.5 * wall, split - wall / 2, 0.5 * size.floor),
                     (size.depth - 0.5 * wall, split + wall / 2, top)), parted)
    b.add(BODY, Slab((0.5 * wall, split, top * b.uniform(0.4, 0.9)),
                     (size.depth - 0.5 * wall, size.half_width - 0.5 * wall, top)),
          parted & b.chance(0.5))


def _add_body_grips(b: Builder, item: Box) -> None:
    """A grip on either side of the body. Draws sizes and height as shares of the body's."""
    size = item.size
    y, depth, wall = size.half_width, size.depth, size.wall
    grips = b.chance(0.2) & ~item.kind.rim
    half, top = size.side * b.uniform(0.1, 0.2), size.height * b.uniform(0.5, 0.8)
    out = size.side * b.uniform(0.015, 0.06)
    for side in (-1, 1):
        low, high = ordered(side * (y + out), side * (y - 0.3 * wall))
        b.add(BODY, Slab((depth / 2 - half, low, top - 0.35 * half),
                         (depth / 2 + half, high, top), 0.1 * half, axis=1), grips)


def _add_sheet_lid(b: Builder, item: Box) -> SheetLid:
    """The plate of a plain, rimmed or inset lid.

    Draws the gap to the body, 0.4 to 1.5 mm, the overhang as a share of the smaller side, and the
    rounding of edges as a share of the thickness.
    """
    size, kind, thick, slope = item.size, item.kind, item.thickness, item.kind.slope
    wall, inset = size.wall, kind.inset
    gap = b.uniform(0.0004, 0.0015)
    over = torch.where(kind.plate & b.chance(0.5), size.side * b.uniform(0.0, 0.06), 0.0)
    over = torch.where(kind.plate & b.chance(0.15), -wall * 0.5, over)
    over = torch.where(kind.rim, wall + gap, over)
    over = torch.where(inset, -wall - gap, over)
    rear = torch.where(b.chance(0.4), b.uniform(-0.002, 0.004), 0.0)
    front_over = torch.where(inset & b.chance(0.6), -wall - gap, over)
    front_over = torch.where(inset & (kind.sunk > 0), -wall - gap, front_over)
    front_over = torch.where(inset & (front_over > -wall), 0.0, front_over)
    # Along a slope the plate is longer by 1 / cos.
    reach = (item.front + front_over) / slope.cos() - thick * slope.sin()
    low = torch.where(inset, -thick, gap)
    corner = torch.where(item.corners.present, item.corners.outer + over, 0.0).clamp_min(0)
    edge = thick * b.uniform(0.0, 0.5) * b.chance(0.5)
    y = torch.where(inset, size.half_width - wall - gap - 0.0005, size.half_width + over)
    b.add(LID, Slab((torch.where(inset, thick * slope.tan(), rear), -y, low),
                    (reach, y, low + thick), corner, edge, pitch=slope),
          kind.plate | kind.rim | inset)
    return SheetLid(gap, over, reach, y, low)


def _add_walled_lid(b: Builder, item: Box, sheet: SheetLid) -> WalledLid:
    """A block for lids with round corners or edges and for vaults.

    Hollow and vaulted lids stand on the body's walls; a rim goes around them. Draws the height as
    a share of the body's (of a vault: of its depth), how far a rim goes down, as a share of the
    body's height, and the rounding of edges as a share of the height.
    """
    size, kind, corner, zero = item.size, item.kind, item.corners.outer, b.zeros()
    y, depth, rim, vault = size.half_width, size.depth, kind.rim, kind.vault
    height = torch.where(vault, depth * b.uniform(0.15, 0.5),
                         size.height * b.uniform(0.12, 0.55))
    height = torch.where(size.shell, size.height * b.rare.uniform(0.25, 1.0), height)
    height = torch.where(size.shell, height.clamp_min(0.006), height.clamp(0.012, 0.3))
    height = torch.where(rim, sheet.gap + item.thickness, height)
    rim_low = -size.height * torch.where(b.chance(0.6), b.uniform(0.06, 0.3),
                                         b.uniform(0.3, 0.9))
    out = torch.where(rim, sheet.gap + size.wall, 0.0)
    wall = torch.where(rim, size.wall, torch.minimum(size.wall.clamp_min(0.0015), 0.4 * height))
    low = torch.where(rim, rim_low, sheet.gap)
    edge = torch.minimum(height, corner.clamp_min(0.003)) * b.uniform(0.0, 0.5)
    edge = edge * (kind.hollow & b.chance(0.6))
    block = (kind.hollow & (edge > 0)) | ((kind.hollow | rim) & item.corners.present)
    b.add(LID, Slab((0.004 * rim, -y - out, low), (depth + out, y + out, height), corner + out,
                    edge), block)
    bow = torch.minimum(height, depth / 2) * b.uniform(0.6, 1.0)
    b.add(LID, Slab((zero, -y, -height), (depth, y, height), bow, axis=1), vault)
    b.cut(LID, Slab((zero - 1, zero - 1, zero - 2), (zero + 2, zero + 1, sheet.gap)), vault)
    return WalledLid(height, wall, edge, low, out, bow, block)


def _cut_lid_cavity(b: Builder, item: Box, sheet: SheetLid, lid: WalledLid,
                    ) -> tuple[Tensor, Tensor]:
    """Hollows out a lid that is a block or a vault; draws nothing.

    Returns:
        (n,) thickness of the wall in front of the cavity and (n,) z of its ceiling, m.
    """
    size, kind, out = item.size, item.kind, lid.out
    front = torch.where(kind.vault, torch.maximum(0.12 * size.depth, lid.wall), lid.wall)
    ceiling = torch.where(kind.vault,
                          torch.minimum(lid.upright + 0.55 * lid.bow, lid.height - lid.wall),
                          torch.where(kind.rim, sheet.gap, lid.height - lid.wall))
    corner = torch.where(kind.rim, item.corners.outer + sheet.gap, item.corners.inner)
    b.cut(LID, Slab((torch.where(kind.rim, -1.0, front), lid.wall - out - size.half_width,
                     b.zeros() - 1),
                    (size.depth + out - front, size.half_width + out - lid.wall, ceiling),
                    corner), lid.block | kind.vault)
    return front, ceiling


def _add_lid_plates(b: Builder, item: Box, sheet: SheetLid, lid: WalledLid,
                    cavity: tuple[Tensor, Tensor]) -> None:
    """Ceiling and walls of a walled lid as plates, which may lie inside a block; draws nothing."""
    size, kind, corner, out = item.size, item.kind, item.corners.outer, lid.out
    y, depth, rim, vault = size.half_width, size.depth, kind.rim, kind.vault
    front, ceiling = cavity
    free = torch.where(lid.block, (corner + out).clamp_min(0.001), 0.0)  # what the corners take
    x = torch.where(vault, front, torch.where(lid.block, corner, 0.0))
    b.add(LID, Slab((x, corner - y, ceiling),
                    (depth - x, y - corner,
                     torch.where(vault, ceiling + 0.3 * lid.wall, lid.height))), kind.boxy)
    top = torch.where(lid.block, lid.height - torch.maximum(corner, lid.edge), lid.height)
    top = torch.where(vault, torch.minimum(top, ceiling), top)
    top = torch.minimum(top.clamp_min(0.3 * lid.height), lid.height - lid.edge)
    top = torch.where(rim, sheet.gap + 0.5 * item.thickness, top)
    x0 = torch.where(vault, 0.12 * depth, torch.where(rim, 0.004 + free, free))
    x1 = depth + out - torch.where(vault, 0.12 * depth, free)
    b.add(LID, Slab((x0, -y - out, lid.low), (x1, lid.wall - y - out, top)), rim | kind.boxy)
    b.add(LID, Slab((x0, y + out - lid.wall, lid.low), (x1, y + out, top)), rim | kind.boxy)
    upright = torch.where(vault, lid.upright, top)
    end = y + out - free
    walled = kind.hollow | vault & (lid.upright > sheet.gap + 0.004)
    b.add(LID, Slab((depth + out - lid.wall, -end, lid.low), (depth + out, end, upright)),
          rim | walled)
    b.add(LID, Slab((b.zeros(), -end, sheet.gap), (lid.wall, end, upright)), walled)


def _add_lid_top(b: Builder, item: Box, sheet: SheetLid, lid: WalledLid) -> None:
    """A raised panel, or a strap or grip, on the lid.

    Draws the panel's margins as shares of the lid and its height as a share of the thickness; the
    grip's place and sizes as shares of the body's.
    """
    size, kind, thick, reach = item.size, item.kind, item.thickness, sheet.reach
    top = torch.where(kind.boxy, lid.height, sheet.low + thick)
    panel = b.chance(0.25) & ~kind.vault
    x, y = reach * b.uniform(0.06, 0.25), sheet.half_width * b.uniform(0.7, 0.94)
    b.add(LID, Slab((x, -y, top - 0.3 * thick),
                    (reach - x, y, top + thick * b.uniform(0.15, 0.8)),
                    0.5 * item.corners.outer, 0.2 * thick, pitch=kind.slope), panel)
    x = item.front * torch.where(b.chance(0.5), 0.5, b.uniform(0.75, 0.93))
    y = torch.where(b.chance(0.5), size.side * b.uniform(0.03, 0.06),
                    size.width * b.uniform(0.1, 0.2))
    half = torch.minimum(size.side * b.uniform(0.02, 0.06), y)
    b.add(LID, Slab((x - half, -y, top - 0.3 * thick),
                    (x + half, y, top + size.side * b.uniform(0.02, 0.1)), half, 0.2 * half,
                    pitch=kind.slope), b.chance(0.2) & ~kind.vault & ~panel)


def _add_lid_lip(b: Builder, item: Box, sheet: SheetLid) -> None:
    """A lip under a flat lid that goes into the body. Draws its depth, 2 to 12 mm."""
    size, y = item.size, item.size.half_width
    drop = torch.minimum(b.uniform(0.002, 0.012), 0.2 * size.height)
    clear = size.wall + 0.0012 + drop.square() / size.depth  # so that it can swing out
    b.add(LID, Slab((clear, clear - y, -drop),
                    (size.depth - clear, y - clear, sheet.gap + 0.3 * item.thickness),
                    item.corners.inner), (item.kind.plate | item.kind.rim) & b.chance(0.25))


def _add_latch(b: Builder, item: Box, sheet: SheetLid, lid: WalledLid) -> Tensor:
    """One latch at the front in the middle, or two. Draws sizes as shares of the body's.

    Returns:
        (n,) m: lowest z of a vaulted lid, in the frame of the hinge.
    """
    size, boxy, depth = item.size, item.kind.boxy, item.size.depth
    latch = b.chance(0.3) & (item.kind.plate | boxy)
    drop = size.height * b.uniform(0.06, 0.25)
    half = (size.width * b.uniform(0.02, 0.1)).clamp_min(0.005)
    thick = size.side * b.uniform(0.01, 0.05)
    x = depth + sheet.overhang.clamp_min(0) + 0.0008
    place = torch.where(b.chance(0.5), 0.0, 0.55) * size.half_width
    top = torch.where(boxy, torch.minimum(0.4 * lid.height, lid.upright + 0.3 * lid.bow),
                      0.7 * item.thickness + sheet.gap)
    for side in (-1, 1):
        b.add(LID, Slab((x, side * place - half, -drop), (x + thick, side * place + half, top),
                        0.3 * half, 0.2 * thick, axis=0), latch)
    return torch.where(latch, -drop, sheet.gap)


def _upper_limit(b: Builder, item: Box, lid: WalledLid) -> Tensor:
    """Draws the largest opening angle (n,), rad: 100 to 180 degrees, of lids with walls mostly 100
    to 130. Shells, and some of the others, open flat or as far beyond that as the rear edge lets
    them.
    """
    kind = item.kind
    upper = b.uniform(radians(100), radians(180))
    upper = torch.where(kind.boxy, b.uniform(radians(100), radians(130)), upper)
    thick = torch.where(kind.boxy | kind.rim, lid.height, item.thickness)
    beyond = torch.asin((PLAY / thick).clamp_max(1)).clamp_max(BEYOND_FLAT)
    flat = pi + beyond * b.rare.uniform(0.0, 1.0)
    opens_flat = (item.size.shell & b.rare.chance(0.85)) | b.rare.chance(0.2)
    return torch.where(opens_flat & ~kind.inset, flat, upper)
