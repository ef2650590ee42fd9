"""Furniture with one to four drawers: cabinets, chests, night stands, tables, desks, kitchens.

The pivot of a drawer is the centre of its box: a drawer slides, so any point would do. All parts
are built in the frame of :mod:`kinediff3d_core.simulation.families.drawer_case`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Area, Builder, Slab
from kinediff3d_core.simulation.families.drawer_case import CASE, Case, add_case, draw_case
from kinediff3d_core.simulation.families.drawer_front import (
    FrontPanel,
    Handle,
    add_front,
    draw_handle,
)
from kinediff3d_core.simulation.families.drawer_layout import DRAWERS
from kinediff3d_core.simulation.solids import Instances


def drawer(b: Builder) -> Instances:
    """Furniture with drawers, metres."""
    case = draw_case(b)
    post = add_case(b, case)
    plan = _draw_front_plan(b, case, post)
    _add_fillings(b, case, plan)
    dividers = _add_dividers(b, case, plan)
    kind = _draw_drawer_kind(b, case)
    for number in range(DRAWERS):
        _add_drawer(b, number, case, plan, dividers, kind)
    travel = ((case.fronts.x0 - kind.tray_rear) * b.uniform(0.5, 0.95)).clamp_min(0.05)
    return b.build(travel[:, None].expand(-1, DRAWERS), middle=(0, 1, 2))


@dataclass(frozen=True)
class FrontPlan:
    """How the front is divided; m, each (n,).

    Attributes:
        clear: from the border of a cell to the edge of its front.
        bar: width of the bars between drawers, 0 where there are none.
        post: width of what stands at either side of the drawers.
    """

    whole: Area
    drawers: Area
    clear: Tensor
    bar: Tensor
    post: Tensor


@dataclass(frozen=True)
class Dividers:
    """The rows of drawers, and the dividers between them; m.

    Attributes:
        borders: (n, 5) z of the rows' borders: over row 0, under row 0, under row 1, ...
        half: (n,) half the thickness of a divider.
    """

    borders: Tensor
    half: Tensor


@dataclass(frozen=True)
class DrawerKind:
    """What all drawers of a piece have in common; m, each (n,).

    Attributes:
        tray_rear: x of the tray's rear end.
        wall: thickness of the tray's walls.
        slide: room on either side of the tray.
        lift: room below the tray.
        height: height of the tray as a share of the room.
        front_edge: rounding of the front's edges.
    """

    tray_rear: Tensor
    wall: Tensor
    slide: Tensor
    lift: Tensor
    height: Tensor
    front_edge: Tensor
    handle: Handle


def _draw_front_plan(b: Builder, case: Case, post: Tensor) -> FrontPlan:
    """Draws the gap between fronts, 1 to 4 mm, the bars between them, 12 to 30 mm, and margins.

    Args:
        post: (n,) width of what stands at either side, m.
    """
    f, p, region, overlay = case.furniture, case.panels, case.region, case.fronts.overlay
    y, gap = f.half_width, b.uniform(0.001, 0.004)
    bar = torch.where(b.chance(0.6), b.uniform(0.012, 0.03), 0.0) * f.scale
    clear = torch.where(overlay, gap / 2, bar / 2 + gap)
    edge = torch.where(overlay & ~f.table, b.uniform(0.0, 0.008), post + gap) - clear
    z0 = torch.where(overlay, b.uniform(0.0, 0.006), p.bottom * ~p.bare + gap) - clear
    z1 = torch.where(overlay & (case.top.over_x <= 0.001), f.height + 0.9 * p.top,
                     f.height - gap) + clear
    whole = Area(edge - y, y - edge, z0, z1)
    width = whole.y1 - whole.y0
    left = torch.where(region.partial_width,
                       whole.y0 + width * (1 - region.share) * region.place, whole.y0)
    drawers = Area(left, torch.where(region.partial_width, left + width * region.share, whole.y1),
                   torch.where(region.above, z0 + region.rest, z0),
                   torch.where(region.partial_height & ~region.above, z1 - region.rest, z1))
    return FrontPlan(whole, drawers, clear, bar, post)


def _add_fillings(b: Builder, case: Case, plan: FrontPlan) -> None:
    """What fills the rest of the front: a panel on either side of the drawers, or one or two doors
    over or under them, or nothing, which is drawn."""
    region, fronts, whole, drawers = case.region, case.fronts, plan.whole, plan.drawers
    closed = (b.chance(0.75) | case.furniture.table) & ~case.panels.hung
    split = b.uniform(0.0, 1.0)
    beside = region.partial_width & ~region.partial_height
    partial = region.partial_width | region.partial_height
    for left in (True, False):
        y0, y1 = (whole.y0, drawers.y0) if left else (drawers.y1, whole.y1)
        middle = torch.where(split < 0.4, 0.0, whole.y1 if left else whole.y0)
        door_y0, door_y1 = (whole.y0, middle) if left else (middle, whole.y1)
        z0 = torch.where(region.above, whole.z0, drawers.z1)
        z1 = torch.where(region.above, drawers.z0, whole.z1)
        y0 = torch.where(beside, y0, door_y0) + plan.clear
        y1 = torch.where(beside, y1, door_y1) - plan.clear
        z0 = torch.where(beside, whole.z0, z0) + plan.clear
        z1 = torch.where(beside, whole.z1, z1) - plan.clear
        b.add(CASE, Slab((fronts.x0, y0, z0), (fronts.x1, y1, z1), edge=0.2 * fronts.thickness),
              closed & partial & (y1 - y0 > 0.02) & (z1 - z0 > 0.02))


def _add_dividers(b: Builder, case: Case, plan: FrontPlan) -> Dividers:
    """Dividers inside the case: under each row, and upright ones beside or between drawers.

    Draws how much each row is higher than the one above, up to a factor of e^0.4, and how far
    behind the fronts the dividers end, 2 to 20 mm.
    """
    f, p, rows, drawers = case.furniture, case.panels, case.furniture.layout.rows, plan.drawers
    growth = b.uniform(0.0, 0.4) * b.chance(0.6)
    weights = torch.stack([(growth * r).exp() * (r < rows) for r in range(DRAWERS)], dim=1)
    share = (weights / weights.sum(1, keepdim=True)).cumsum(1)
    fall = share * (drawers.z1 - drawers.z0)[:, None]
    borders = torch.cat([drawers.z1[:, None], drawers.z1[:, None] - fall], dim=1)
    stop = torch.where(case.fronts.overlay | (plan.bar == 0),
                       torch.minimum(case.fronts.x0, b.zeros()) - b.uniform(0.002, 0.02), -0.0005)
    half = torch.where(plan.bar > 0, plan.bar / 2, 0.005 * f.scale)
    x0, y = 0.5 * p.rear - f.depth, f.half_width - 0.5 * p.side
    for r in range(1, DRAWERS):
        z = borders[:, r]
        b.add(CASE, Slab((x0, -y, z - half), (stop, y, z + half)),
              ((r < rows) & (plan.bar > 0)) | ((r == rows) & case.region.above))
    dividers = Dividers(borders, half)
    _add_uprights(b, case, plan, dividers, (x0, stop))
    return dividers


def _add_uprights(b: Builder, case: Case, plan: FrontPlan, dividers: Dividers,
                  x: tuple[Tensor, Tensor]) -> None:
    """Upright dividers between two x (n,), m: beside the drawers, or between two of one row."""
    layout, height, zero = case.furniture.layout, case.furniture.height, b.zeros()
    whole, drawers, half = plan.whole, plan.drawers, dividers.half
    low = dividers.borders.gather(1, layout.last[:, None] + 1)[:, 0].clamp_min(0.0)
    high = torch.minimum(dividers.borders.gather(1, layout.first[:, None])[:, 0], height)
    z0 = torch.where(layout.pairs, low, torch.maximum(drawers.z0, zero) + 0.0005)
    z1 = torch.where(layout.pairs, high, torch.minimum(drawers.z1, height)) + case.panels.hang
    for left in (True, False):
        has_rest = drawers.y0 > whole.y0 + 0.01 if left else drawers.y1 < whole.y1 - 0.01
        beside = case.region.partial_width & (case.panels.hung | has_rest)
        y = torch.where(layout.pairs, zero, drawers.y0 if left else drawers.y1)
        b.add(CASE, Slab((x[0], y - half, z0), (x[1], y + half, z1)),
              beside | (layout.pairs & left))


def _draw_drawer_kind(b: Builder, case: Case) -> DrawerKind:
    """Draws the tray's length, 60 to 97 % of the case's depth, its walls, 4 to 16 mm, the room
    around it, m, its height as a share of the room, and the handle."""
    f, fronts = case.furniture, case.fronts
    slide = b.uniform(0.002, 0.014) * f.scale
    room = f.depth + fronts.x0.clamp_max(0) - case.panels.rear
    rear = fronts.x0 - room * b.uniform(0.6, 0.97)
    wall = b.log_uniform(0.004, 0.016) * f.scale.clamp_min(0.5)
    lift = b.uniform(0.003, 0.025) * f.scale
    height = torch.where(b.chance(0.15) | f.tall, b.uniform(0.15, 0.5), b.uniform(0.55, 0.97))
    front_edge = fronts.thickness * b.uniform(0.0, 0.45) * b.chance(0.6)
    return DrawerKind(rear, wall, slide, lift, height, front_edge, draw_handle(b, f.scale))


def _add_drawer(b: Builder, number: int, case: Case, plan: FrontPlan, dividers: Dividers,
                kind: DrawerKind) -> None:
    """One drawer, 0 to 3: its front and the tray behind it; draws nothing.

    The tray stays inside the case and clear of dividers.
    """
    layout, panels, fronts = case.furniture.layout, case.panels, case.fronts
    present, part = layout.exists[:, number], number + 1
    cell = _cell(number, case, plan, dividers)
    front = FrontPanel(fronts.x0, fronts.x1, cell.y0 + plan.clear, cell.y1 - plan.clear,
                       cell.z0 + plan.clear, cell.z1 - plan.clear)
    add_front(b, part, front, kind.front_edge, kind.handle, present)
    inside = case.furniture.half_width - plan.post
    floor = torch.where(panels.bare, 0.0, panels.bottom) + 0.002
    y0 = torch.maximum(cell.y0 + dividers.half, -inside) + kind.slide
    y1 = torch.minimum(cell.y1 - dividers.half, inside) - kind.slide
    z0 = torch.maximum(cell.z0 + dividers.half + 0.002, floor) + kind.lift
    z1 = torch.minimum(torch.minimum(cell.z1 - dividers.half, case.furniture.height) - 0.004,
                       front.z1 - 0.002)
    z1 = z0 + (z1 - z0).clamp_min(0.012) * kind.height
    _add_tray(b, part, kind, fronts.x0 + 0.4 * fronts.thickness, Area(y0, y1, z0, z1), present)


def _cell(number: int, case: Case, plan: FrontPlan, dividers: Dividers) -> Area:
    """The part of the front that one drawer takes, with its share of gaps and bars."""
    layout, drawers = case.furniture.layout, plan.drawers
    place, row = layout.place[:, number], layout.row[:, number:number + 1]
    middle = drawers.y0 + (drawers.y1 - drawers.y0) / 2
    return Area(torch.where(place > 0, middle, drawers.y0),
                torch.where(place < 0, middle, drawers.y1),
                dividers.borders.gather(1, row + 1)[:, 0], dividers.borders.gather(1, row)[:, 0])


def _add_tray(b: Builder, part: int, kind: DrawerKind, x1: Tensor, room: Area, present: Tensor,
              ) -> None:
    """Two side walls, a rear wall and a bottom; the front end is at x1 (n,), m."""
    x0, wall = kind.tray_rear, kind.wall
    y0, y1, z0, z1 = room.y0, room.y1, room.z0, room.z1
    b.add(part, Slab((x0, y0, z0), (x1, y0 + wall, z1)), present)
    b.add(part, Slab((x0, y1 - wall, z0), (x1, y1, z1)), present)
    b.add(part, Slab((x0, y0 + 0.2 * wall, z0), (x0 + wall, y1 - 0.2 * wall, z1)), present)
    b.add(part, Slab((x0 + 0.2 * wall, y0 + 0.2 * wall, z0 + 0.0005),
                     (x1, y1 - 0.2 * wall, z0 + wall)), present)
