"""The case of a cabinet: walls, what does not open in its front, top, plinth, feet and inside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Area, Builder, Slab
from kinediff3d_core.simulation.families.cabinet_front import Front
from kinediff3d_core.simulation.families.cabinet_kind import Kind

CASE = 0
SHELVES = 3
"""Shelves that a cabinet can have."""


@dataclass(frozen=True)
class Room:
    """The space behind the doors; m, each (n,).

    Attributes:
        rear: x of the rear wall's inner side.
        stop: x where shelves end, before which the doors have room to turn.
        hollow: bool; there is such a space at all.
    """

    rear: Tensor
    stop: Tensor
    hollow: Tensor


def add_case(b: Builder, kind: Kind, front: Front, reach: Tensor, porthole: Tensor) -> Room:
    """The case with all that belongs to it.

    Args:
        reach: (n,) how far doors reach into the case, m.
        porthole: (n,) radius of a washer's opening, m.
    """
    rear = _add_walls(b, kind, front)
    hollow = _add_blocks(b, kind, front, (rear, -reach - 0.005), porthole)
    _add_dividers(b, kind, front, rear, reach)
    _cut_plinth(b, front)
    handles = _draw_fixed_handles(b, kind)
    for place in ('above', 'below', 'beside'):
        _add_fixed_front(b, kind, front, place, handles)
    _add_top(b, kind, front)
    _add_feet(b, kind, front)
    stop = torch.minimum(front.depths.x0, b.zeros()) - reach - b.uniform(0.004, 0.04) * kind.unit
    room = Room(rear, stop, hollow)
    _add_shelves(b, kind, front, room)
    return room


def _add_walls(b: Builder, kind: Kind, front: Front) -> Tensor:
    """Two sides, rear, floor and ceiling around the opening; returns x of the inner rear side.

    Behind what does not open, the case is solid: nobody sees in. Draws the rear wall's thickness,
    4 to 90 mm by kind, and the rounding of edges, up to 12 mm.
    """
    y, depth, o, zero = kind.half_width, kind.depth, front.opening, b.zeros()
    thick = torch.where(kind.furniture, b.uniform(0.004, 0.018), b.uniform(0.02, 0.09)) * kind.unit
    rear = (thick - depth).clamp_max(-0.3 * depth)
    edge = b.uniform(0.0, 0.012) * kind.unit * b.chance(0.35)
    walls, open_side = ~kind.is_a('washer'), front.beside.present & front.beside.open
    at_left = open_side & (kind.left == front.beside.at_hinge)
    at_right = open_side & ~at_left
    inner = 0.6 * edge + 0.0004
    left = torch.where(at_left, o.y0 - front.board, -y)
    right = torch.where(at_right, o.y1 + front.board, y)
    b.add(CASE, Slab((-depth, left, zero), (zero, o.y0, kind.height), edge=edge), walls)
    b.add(CASE, Slab((-depth, o.y1, zero), (zero, right, kind.height), edge=edge), walls)
    b.add(CASE, Slab((-depth, inner - y, zero + inner), (rear, y - inner, kind.height - inner),
                     edge=edge), walls)
    b.add(CASE, Slab((0.001 - depth, inner - y, zero), (-inner, y - inner, o.z0), edge=edge),
          walls)
    top = torch.where(front.open_above, o.z1 + front.board, kind.height)
    b.add(CASE, Slab((0.001 - depth, inner - y, o.z1), (-inner, y - inner, top), edge=edge), walls)
    b.add(CASE, Slab((-depth, -y, kind.height - front.board), (zero, y, kind.height), edge=edge),
          walls & (front.open_above | open_side))
    return rear


def _add_blocks(b: Builder, kind: Kind, front: Front, x: tuple[Tensor, Tensor], porthole: Tensor,
                ) -> Tensor:
    """A washer's body with its drum, or a block that fills the case of some other cabinets.

    Draws the rounding of a washer's edges, the depth of the drum, and how far behind the doors the
    block is, 30 to 200 mm; returns which instances have room behind the doors, (n,) bool.

    Args:
        x: (n,) of the rear wall, and of what the doors leave free, m.
    """
    washer, zero, y = kind.is_a('washer'), b.zeros(), kind.half_width
    filled = ~washer & b.chance(0.06)
    x1 = torch.minimum(torch.maximum(-b.uniform(0.03, 0.2) - zero, x[0] + 0.01), x[1])
    x1 = torch.where(washer, zero, x1)
    edge = torch.where(washer, b.uniform(0.0, 0.02), 0.0)
    b.add(CASE, Slab((-kind.depth, -y, zero), (x1, y, kind.height), edge=edge), washer | filled)
    drum = kind.depth * b.uniform(0.55, 0.85)
    middle = (front.doors.y0 + front.doors.y1) / 2, (front.doors.z0 + front.doors.z1) / 2

    def disc(radius: Tensor, x0: Tensor, x1: Tensor) -> Slab:
        return Slab((x0, middle[0] - radius, middle[1] - radius),
                    (x1, middle[0] + radius, middle[1] + radius), radius, axis=0)

    b.cut(CASE, disc(porthole, -drum, zero + 0.5), washer)
    b.add(CASE, disc(porthole + 0.004, -drum - 0.004, -drum + 0.004), washer)
    return ~filled


def _add_dividers(b: Builder, kind: Kind, front: Front, rear: Tensor, reach: Tensor) -> None:
    """Between two doors, a divider, or the block or the compartment that is there; the outer wall
    of an open compartment beside a door."""
    beside, o, zero, y = front.beside, front.opening, b.zeros(), kind.half_width
    solid, stile = beside.between & ~beside.open, kind.both & b.chance(0.3)
    y0 = torch.where(beside.between, front.end_left, front.end_left - 0.5 * front.board)
    y1 = torch.where(solid, front.start_right, y0 + front.board)
    stop = torch.where(beside.between, zero - 0.0005,
                       torch.minimum(front.depths.x0, zero) - reach - 0.004)
    b.add(CASE, Slab((rear - 0.002, y0, o.z0 - 0.002), (stop, y1, o.z1 + 0.002)),
          (beside.between | stile) & ~kind.is_a('washer'))
    open_side = beside.present & beside.open
    at_left = open_side & (kind.left == beside.at_hinge)
    y0 = torch.where(beside.present, torch.where(at_left, -y, y - front.board),
                     front.start_right - front.board)
    z0 = torch.where(open_side, zero, o.z0 - 0.002)
    z1 = torch.where(open_side, kind.height, o.z1 + 0.002)
    b.add(CASE, Slab((rear - 0.002, y0, z0), (zero - 0.0005, y0 + front.board, z1)),
          open_side | (beside.between & beside.open))


def _cut_plinth(b: Builder, front: Front) -> None:
    """What is below the lowest front stands back; draws by how much, 20 to 90 mm."""
    low, zero = front.heights.low, b.zeros()
    b.cut(CASE, Slab((-b.uniform(0.02, 0.09) - zero, zero - 2, zero - 2),
                     (zero + 1, zero + 2, 0.92 * low)), (low > 0.01) & b.chance(0.75))


@dataclass(frozen=True)
class FixedHandles:
    """Handles and knobs of what does not open; m, each (n,)."""

    half_length: Tensor
    radius: Tensor
    reach: Tensor


def _draw_fixed_handles(b: Builder, kind: Kind) -> FixedHandles:
    """Draws half a bar's length, up to 150 mm, its radius, 5 to 20 mm, and reach, 10 to 50 mm."""
    radius = b.uniform(0.005, 0.02) * kind.unit
    return FixedHandles(torch.where(b.chance(0.4), radius, b.uniform(0.02, 0.15) * kind.unit),
                        radius, b.uniform(0.01, 0.05) * kind.unit)


def _fixed_area(kind: Kind, front: Front, place: str) -> tuple[Area, Tensor]:
    """The area of what does not open in one place, and which instances have it, (n,) bool."""
    y, doors, gap, beside = kind.half_width, front.doors, front.depths.gap, front.beside
    edge = torch.where(front.depths.overlay, gap, 0.0)
    limit = kind.height - front.heights.above
    if place == 'above':
        return (Area(edge - y, y - edge, limit + gap, kind.height - edge),
                (front.heights.above > 0) & ~front.open_above)
    if place == 'below':
        low = front.heights.low
        return (Area(edge - y, y - edge, low + edge, low + front.heights.below - gap),
                front.heights.below > 0)
    at_left = beside.present & (kind.left == beside.at_hinge)
    y0 = torch.where(beside.between, front.end_left, torch.where(at_left, edge - y, doors.y1))
    y1 = torch.where(beside.between, front.start_right,
                     torch.where(at_left, doors.y0, y - edge))
    return (Area(y0 + gap, y1 - gap, doors.z0, doors.z1),
            (beside.present | beside.between) & ~beside.open)


def _add_fixed_front(b: Builder, kind: Kind, front: Front, place: str, handles: FixedHandles,
                     ) -> None:
    """A board as thick as the doors, with a groove or a display, and two handles or knobs.

    Draws where the groove is, as a share, and which of the handles there are.
    """
    area, present = _fixed_area(kind, front, place)
    present = present & (area.y1 - area.y0 > 0.02) & (area.z1 - area.z0 > 0.015)
    x0, x1 = front.depths.x0 - 0.003, front.depths.x1
    x1 = torch.where(kind.is_a('washer'), b.uniform(0.001, 0.02), x1)
    panel = kind.is_a('washer', 'microwave')
    width, height = area.y1 - area.y0, area.z1 - area.z0
    b.add(CASE, Slab((torch.minimum(x0, b.zeros() - 0.003), area.y0, area.z0),
                     (x1, area.y1, area.z1), edge=0.1 * front.depths.thickness), present)
    upright = width > height
    at = b.uniform(0.42, 0.58)
    line_y, line_z = area.y0 + at * width, area.z0 + at * height
    y0 = torch.where(upright, line_y - 0.002, area.y0 - 0.01)
    y1 = torch.where(upright, line_y + 0.002, area.y1 + 0.01)
    z0 = torch.where(upright, area.z0 - 0.01, line_z - 0.002)
    z1 = torch.where(upright, area.z1 + 0.01, line_z + 0.002)
    display = b.uniform(0.1, 0.4)
    y0 = torch.where(panel, line_y - display * width, y0)
    y1 = torch.where(panel, line_y + display * width, y1)
    z0 = torch.where(panel, area.z1 - (0.1 + display) * height, z0)
    z1 = torch.where(panel, area.z1 - 0.08 * height, z1)
    deep = torch.where(panel, 0.003, 0.6 * front.depths.thickness.clamp_max(0.02))
    b.cut(CASE, Slab((x1 - deep, y0, z0), (x1 + 0.5, y1, z1)), present & b.chance(0.6))
    _add_fixed_handles(b, area, x1, handles, panel, present)


def _add_fixed_handles(b: Builder, area: Area, x1: Tensor, handles: FixedHandles, panel: Tensor,
                       present: Tensor) -> None:
    """Two handles, side by side or one over the other, or a panel's knobs."""
    width, height = area.y1 - area.y0, area.z1 - area.z0
    beside = width > height
    length = torch.where(panel, handles.radius, handles.half_length)
    length = torch.minimum(length, 0.2 * width)
    radius = torch.minimum(handles.radius, torch.minimum(0.3 * height, length))
    reach = torch.where(panel, 0.4 * handles.reach, handles.reach)
    for side, p in ((-1, 0.7), (1, 0.6)):
        y = area.y0 + width * torch.where(beside, 0.5 + 0.25 * side, 0.5)
        z = area.z0 + height * torch.where(beside, 0.5, torch.where(panel, 0.3 + 0.15 * side,
                                                                    0.5 + 0.25 * side))
        b.add(CASE, Slab((x1 - 0.001, y - length, z - radius),
                         (x1 + reach, y + length, z + radius), radius, 0.2 * radius, axis=0),
              present & b.chance(p))


def _add_top(b: Builder, kind: Kind, front: Front) -> None:
    """A worktop or cornice, a basin in it, and an upright or a tap at the rear.

    Draws the top's thickness, 6 to 40 mm, its overhang, up to 40 mm, the basin's place, and the
    upright's height, 30 to 250 mm.
    """
    y, depth, height, zero = kind.half_width, kind.depth, kind.height, b.zeros()
    unit = kind.unit
    thick, over = b.uniform(0.006, 0.04) * unit, b.uniform(0.0, 0.04) * unit
    worktop = kind.is_a('cupboard', 'sideboard') & b.chance(0.45)
    cornice = kind.is_a('wardrobe', 'wall cabinet', 'safe', 'refrigerator') & b.chance(0.12)
    x1 = torch.where(b.chance(0.7), front.depths.x1.clamp_min(0), 0.0) + over
    b.add(CASE, Slab((-depth, -y - 0.4 * over, height - 0.002),
                     (x1, y + 0.4 * over, height + thick), edge=0.25 * thick), worktop | cornice)
    basin = kind.is_a('cupboard') & b.chance(0.2)
    y0, y1 = y * b.uniform(-0.85, -0.3), y * b.uniform(0.1, 0.8)
    b.cut(CASE, Slab((-0.8 * depth, y0, height - b.uniform(0.01, 0.02)),
                     (-0.2 * depth, y1, zero + 3), 0.04), basin & worktop)
    upright = worktop & b.chance(0.35)
    tap = basin & b.chance(0.6)
    half = torch.where(tap, 0.015, y)
    b.add(CASE, Slab((-depth, -half, height - 0.004),
                     (b.uniform(0.015, 0.06) - depth, half,
                      height + thick + b.uniform(0.03, 0.25)), edge=0.003), upright | tap)


def _add_feet(b: Builder, kind: Kind, front: Front) -> None:
    """Four feet or legs; draws their height, 6 to 250 mm, width, 15 to 60 mm, and inset."""
    unit, y = kind.unit, kind.half_width
    high = torch.where(kind.is_a('cupboard', 'sideboard', 'safe') & b.chance(0.5),
                       b.uniform(0.06, 0.25), b.uniform(0.006, 0.04)) * unit
    width, inset = b.uniform(0.015, 0.06) * unit, b.uniform(0.0, 0.04) * unit
    corner = width * 0.5 * b.chance(0.5)
    present = (front.heights.low < 0.02) & ~kind.is_a('wall cabinet') & b.chance(0.4)
    for at_front in (False, True):
        x0 = -inset - width if at_front else inset - kind.depth
        for y0 in (inset - y, y - inset - width):
            b.add(CASE, Slab((x0, y0, -high), (x0 + width, y0 + width, b.zeros() + 0.003),
                             corner), present)


def _add_shelves(b: Builder, kind: Kind, front: Front, room: Room) -> None:
    """Up to three shelves, a rail for hangers, a refrigerator's box or a microwave's turntable.

    Draws their number, heights and thickness, 3 to 25 mm, and the box's height as a share.
    """
    o, wave = front.opening, kind.is_a('microwave')
    boards = room.hollow & ~wave & ~kind.is_a('washer')
    count = 3.9 * b.uniform(0.0, 1.0) * torch.where(kind.is_a('safe'), 0.5, 1.0)
    rail = kind.is_a('wardrobe') & b.chance(0.35)
    thick = torch.where(kind.is_a('refrigerator'), b.uniform(0.003, 0.012),
                        b.uniform(0.01, 0.025)) * kind.unit
    height, shift = o.z1 - o.z0, b.uniform(-0.06, 0.06)
    for i in range(SHELVES):
        z = o.z0 + height * ((i + 1) / (count.floor() + 1) + shift).clamp(0.08, 0.94)
        b.add(CASE, Slab((room.rear - 0.002, o.y0 - 0.002, z),
                         (room.stop, o.y1 + 0.002, z + thick)),
              boards & (count >= i + 1) & ~(rail & (i > 0)))
    x, z, r = (room.rear + room.stop) / 2, o.z1 - 0.1 * height, 0.012 * kind.unit
    b.add(CASE, Slab((x - r, o.y0 - 0.002, z - r), (x + r, o.y1 + 0.002, z + r), r, axis=1),
          boards & rail)
    box = b.uniform(0.12, 0.25)
    b.add(CASE, Slab((room.rear, o.y0 + 0.006, o.z0 - 0.002),
                     (room.stop - 0.01, o.y1 - 0.006, o.z0 + box * height)),
          boards & kind.is_a('refrigerator') & b.chance(0.6))
    r = 0.45 * torch.minimum(o.y1 - o.y0, room.stop - room.rear).clamp_min(0.02)
    y = (o.y0 + o.y1) / 2
    b.add(CASE, Slab((x - r, y - r, o.z0 - 0.002), (x + r, y + r, o.z0 + 0.012), r),
          wave & room.hollow & b.chance(0.7))
