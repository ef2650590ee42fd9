"""The case of a piece of furniture with drawers: its sizes, panels, top, legs and what is on it.

The case goes in x from its rear (-depth) to its front (0), in z from its underside (0) upwards;
y = 0 is in the middle. The legs are below z = 0, the top is above the case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab, Wide
from kinediff3d_core.simulation.families.drawer_layout import Layout, layout_of

CASE = 0
MAX_HEIGHT = 1.1
"""Largest height of a case without legs and top, m. Chosen."""
MAX_TOTAL_HEIGHT = 1.45
"""Largest height of a piece, m. Chosen."""


@dataclass(frozen=True)
class Furniture(Wide):
    """What a piece is, bool, and the outer sizes of its case, m; each (n,).

    Attributes:
        table: the case hangs under a table's top.
        desk: the case stands at one end of a desk's top.
        small: made smaller as a whole, like a jewellery chest.
        writing: a wide writing table with a box along the rear of its top, often open to the
            front.
        tall: one drawer as high as the cabinet.
        scale: 1, or less where ``small``.
    """

    layout: Layout
    table: Tensor
    desk: Tensor
    small: Tensor
    writing: Tensor
    tall: Tensor
    width: Tensor
    depth: Tensor
    height: Tensor
    scale: Tensor


@dataclass(frozen=True)
class Region:
    """Where in the front the drawers are: in all of it, at the top, the bottom, or to one side.

    Attributes:
        partial_height: (n,) bool: not in the whole height.
        above: (n,) bool: over the part of the front without drawers.
        rest: (n,) height of that part, m.
        partial_width: (n,) bool: not in the whole width.
        share: (n,) share of the width that the drawers take where ``partial_width``.
        place: (n,) 0 at the -y side, 0.5 in the middle, 1 at the +y side.
    """

    partial_height: Tensor
    above: Tensor
    rest: Tensor
    partial_width: Tensor
    share: Tensor
    place: Tensor


@dataclass(frozen=True)
class Panels:
    """Thicknesses of the case's panels, m, and which are missing, bool; each (n,).

    Attributes:
        edge: rounding of the edges.
        bare: no panel below the drawer.
        hung: the drawer hangs under a table's top between two boards, without a case.
    """

    side: Tensor
    top: Tensor
    rear: Tensor
    bottom: Tensor
    edge: Tensor
    open_top: Tensor
    bare: Tensor
    hung: Tensor

    @property
    def hang(self) -> Tensor:
        """How far other panels reach up into the top."""
        return 0.4 * self.top


@dataclass(frozen=True)
class Fronts:
    """Where the drawers' fronts are in x; m, each (n,).

    Attributes:
        overlay: bool; they lie before the case instead of inside it.
        x1: x of the face.
    """

    overlay: Tensor
    thickness: Tensor
    x1: Tensor

    @property
    def x0(self) -> Tensor:
        """x of the rear side."""
        return self.x1 - self.thickness


@dataclass(frozen=True)
class Legs:
    """Height and width of legs or feet; m, each (n,)."""

    height: Tensor
    width: Tensor


@dataclass(frozen=True)
class Top:
    """How far the top stands out over the case, and its corners; m, each (n,)."""

    over_x: Tensor
    over_y: Tensor
    corner: Tensor


@dataclass(frozen=True)
class TopSpan:
    """From where to where the top goes in y, m, and whether a desk's goes on to +y; each (n,)."""

    y0: Tensor
    y1: Tensor
    to_left: Tensor


@dataclass(frozen=True)
class Case:
    """The case, and all that its drawers depend on."""

    furniture: Furniture
    region: Region
    legs: Legs
    fronts: Fronts
    top: Top
    panels: Panels


def draw_case(b: Builder) -> Case:
    """Draws sizes and kind of a case; adds nothing."""
    furniture = _draw_furniture(b)
    furniture, region = _draw_region(b, furniture)
    side, top, rear, bottom = _draw_panels(b, furniture)
    legs = _draw_legs(b, furniture)
    fronts = _draw_fronts(b, furniture)
    over_x, over_y = _draw_overhang(b, furniture, fronts)
    open_top = b.chance(0.12) & ~furniture.table & ~furniture.desk
    edge = b.uniform(0.0, 0.5) * torch.minimum(top, side) * b.chance(0.5)
    corner = torch.where(b.chance(0.2), b.uniform(0.0, 0.08), 0.0)
    bare = furniture.table & b.chance(0.5)
    hung = furniture.table & region.partial_width & b.chance(0.35)
    return Case(furniture, region, legs, fronts, Top(over_x, over_y, corner),
                Panels(side, top, rear, bottom, edge, open_top, bare, hung))


def add_case(b: Builder, case: Case) -> Tensor:
    """The case with its top, legs, shelf and what stands on it.

    Returns:
        (n,) width of what stands at either side of the drawers, m.
    """
    _add_panels(b, case)
    span = _add_top(b, case)
    legs, outside = _add_legs(b, case, span)
    _add_shelf_or_plinth(b, case, legs)
    _add_rear_rail(b, case, span)
    side = case.panels.side
    return torch.where(case.furniture.table, torch.maximum(side, case.legs.width + outside), side)


def _draw_furniture(b: Builder) -> Furniture:
    """Draws the kind of furniture, the layout, and the sizes of the case.

    The width is 0.28 to 1.4 m, the depth 0.28 to 0.92 m, a row 90 to 400 mm high. A writing table
    has mostly one drawer between two panels, or two.
    """
    which, kind = b.uniform(0.0, 1.0), b.uniform(0.0, 1.0)
    writing = (kind < 0.34) & b.rare.chance(0.25)
    which, kind = torch.where(writing, 0.3 * which, which), torch.where(writing, 0.0, kind)
    layout = layout_of(which)
    rows, pairs = layout.rows, layout.pairs
    table, desk = kind < 0.24, (kind >= 0.24) & (kind < 0.34)
    small = kind > 0.93
    width, depth = _draw_plan(b, table, desk, pairs)
    each = torch.where(b.chance(0.75), b.log_uniform(0.09, 0.24), b.uniform(0.2, 0.4))
    height = each * rows
    table, desk = table & (rows == 1), desk & ~pairs
    each = torch.where(table, each.clamp_max(0.2), each)
    height = torch.where(table, each, height.clamp_min(0.2))
    width = torch.where(writing, b.rare.uniform(0.8, 1.4), width)
    depth = torch.where(writing, b.rare.uniform(0.45, 0.7), depth)
    tall = b.chance(0.12) & (rows == 1) & ~table
    height = torch.where(tall, b.uniform(0.45, 0.85), height).clamp_max(MAX_HEIGHT)
    return Furniture(layout, table, desk, small, writing, tall, width, depth, height,
                     torch.ones_like(height))


def _draw_plan(b: Builder, table: Tensor, desk: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Draws width and depth (n,), m; some tables are slender like a night stand."""
    width = torch.where(table, b.log_uniform(0.4, 1.4), b.log_uniform(0.28, 1.3))
    width = torch.where(desk, b.uniform(0.28, 0.5), width)
    width = torch.where(pairs & ~desk, width.clamp_min(0.55), width)
    depth = torch.where(b.chance(0.82), b.uniform(0.3, 0.65), b.uniform(0.6, 0.92))
    slender = table & b.chance(0.35) & ~pairs
    width = torch.where(slender, b.uniform(0.32, 0.6), width)
    depth = torch.where(slender, b.uniform(0.28, 0.5), depth)
    return width, depth


def _draw_region(b: Builder, f: Furniture) -> tuple[Furniture, Region]:
    """Draws where in the front the drawers are, and the scale of small furniture.

    The height without drawers is 25 to 250 % of theirs and makes the case higher; the share of the
    width is 33 to 80 %, the scale 0.35 to 0.6.
    """
    partial = b.chance(0.45) & ~f.table & ~f.desk & (f.layout.rows < 4) & ~f.tall
    above = partial & b.chance(0.85)
    rest = torch.where(partial, f.height * b.uniform(0.25, 2.5), 0.0)
    rest = torch.minimum(rest, MAX_HEIGHT - f.height).clamp_min(0)
    partial, above = partial & (rest > 0.08), above & (rest > 0.08)
    rest = torch.where(partial, rest, 0.0)
    height = f.height + rest
    height = torch.where(f.desk, height.clamp_max(0.7), height)
    scale = torch.where(f.small, b.uniform(0.35, 0.6), 1.0)
    width, depth, height, rest = (x * scale for x in (f.width, f.depth, height, rest))
    partial_width = b.chance(0.35) & ~f.layout.pairs & ~f.desk & ~f.small & (width > 0.5)
    share = b.uniform(0.35, 0.8)
    place = torch.where(b.chance(0.5), 0.5, torch.where(b.chance(0.5), 0.0, 1.0))
    middle = f.writing & b.rare.chance(0.7) & ~f.layout.pairs
    place = torch.where(middle & b.rare.chance(0.7), 0.5, place)
    share = torch.where(middle, b.rare.uniform(0.33, 0.6), share)
    return (replace(f, width=width, depth=depth, height=height, scale=scale),
            Region(partial, above, rest, partial_width | middle, share, place))


def _draw_panels(b: Builder, f: Furniture) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draws the thickness of side, top, rear and bottom: 10 to 60 mm, or shares of the side's."""
    side = b.log_uniform(0.01, 0.05) * f.scale.clamp_min(0.5)
    top = b.log_uniform(0.01, 0.06) * f.scale.clamp_min(0.4)
    return side, top, side * b.uniform(0.3, 1.0), side * b.uniform(0.5, 1.2)


def _draw_legs(b: Builder, f: Furniture) -> Legs:
    """Draws the height of tables and desks, 0.38 to 0.9 m, or of feet, and the legs' width, m."""
    total = torch.where(f.table, b.uniform(0.38, 0.9), b.uniform(0.62, 0.85))
    total = torch.where(f.writing, b.rare.uniform(0.66, 0.82), total)
    feet = torch.where(b.chance(0.55), b.uniform(0.01, 0.25) * f.height.clamp_max(0.8), 0.0)
    height = torch.where(f.table | f.desk, (total - f.height).clamp_min(0.02), feet)
    height = height * torch.where(f.small, 0.3, 1.0)
    return Legs(height, torch.where(f.table, b.uniform(0.025, 0.1), b.uniform(0.02, 0.07)))


def _draw_fronts(b: Builder, f: Furniture) -> Fronts:
    """Draws whether fronts lie before the case or in it, and their thickness, 8 to 32 mm."""
    overlay = b.chance(0.5) & ~(f.table & b.chance(0.6))
    thickness = b.log_uniform(0.008, 0.032) * f.scale.clamp_min(0.5)
    return Fronts(overlay, thickness,
                  torch.where(overlay, thickness + 0.002, b.uniform(-0.004, 0.004)))


def _draw_overhang(b: Builder, f: Furniture, fronts: Fronts) -> tuple[Tensor, Tensor]:
    """Draws how far the top stands out in x and y (n,), up to 0.12 and 0.18 m."""
    over = b.chance(0.75)
    over_x = fronts.x1.clamp_min(0) + b.uniform(-0.01, 0.05) * over
    over_y = torch.where(b.chance(0.6), over_x.clamp_min(0), b.uniform(0.0, 0.04)) * over
    wide = f.table & b.chance(0.5) & ~f.writing
    over_x = torch.where(wide, b.uniform(0.01, 0.12), over_x)
    over_y = torch.where(wide, b.uniform(0.01, 0.18), over_y)
    return over_x, torch.minimum(over_y, 0.72 - f.half_width)


def _add_panels(b: Builder, case: Case) -> None:
    """Sides, rear and bottom; draws nothing."""
    f, p, zero = case.furniture, case.panels, b.zeros()
    y, depth, side, top = f.half_width, f.depth, p.side, f.height + p.hang
    b.add(CASE, Slab((-depth, -y, zero), (zero, side - y, top), edge=p.edge), ~p.hung)
    b.add(CASE, Slab((-depth, y - side, zero), (zero, y, top), edge=p.edge), ~p.hung)
    b.add(CASE, Slab((-depth, side * 0.3 - y, zero), (p.rear - depth, y - 0.3 * side, top),
                     edge=p.edge), ~p.hung)
    b.add(CASE, Slab((0.3 * p.rear - depth, 0.3 * side - y, zero),
                     (zero, y - 0.3 * side, p.bottom)), ~p.bare & ~p.hung)


def _add_top(b: Builder, case: Case) -> TopSpan:
    """The top; a desk's goes on to one side by 0.45 to 0.9 m, which is drawn."""
    f, p, top = case.furniture, case.panels, case.top
    to_left = b.chance(0.5)
    more = torch.where(f.desk, b.uniform(0.45, 0.9), 0.0)
    y0 = -f.half_width - top.over_y - torch.where(to_left, 0.0, more)
    y1 = f.half_width + top.over_y + torch.where(to_left, more, 0.0)
    b.add(CASE, Slab((-f.depth - top.over_y * b.chance(0.4), y0, f.height),
                     (top.over_x, y1, f.height + p.top), top.corner, p.edge), ~p.open_top)
    return TopSpan(y0, y1, to_left)


def _add_legs(b: Builder, case: Case, span: TopSpan) -> tuple[Tensor, Tensor]:
    """Four legs or feet; a desk has a panel under the far end of its top instead.

    Draws how far a table's legs stand out, up to 12 mm, the inset of feet, and their rounding.

    Returns:
        (n,) bool, which instances have legs; (n,) how far they stand out at the sides, m.
    """
    f, p, width = case.furniture, case.panels, case.legs.width
    z0, y = -case.legs.height, f.half_width
    legs = f.table | (case.legs.height > 0.012) & b.chance(0.7) & ~f.desk
    legs = legs | f.small & (case.legs.height > 0.005)
    z1 = torch.where(f.table, f.height + p.hang, 0.5 * p.bottom)
    outside = torch.where(b.chance(0.3), b.uniform(0.0, 0.012), 0.0)
    inset = torch.where(f.table, -outside, b.uniform(-0.01, 0.05) * f.scale)
    corner = width * 0.5 * torch.where(b.chance(0.35), 1.0, b.uniform(0.0, 0.5))
    corner = torch.where(f.desk, 0.0, corner)
    far = torch.where(span.to_left, span.y1 - p.side - 0.02, span.y0 + 0.02)
    for i, (at_front, at_left) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        x0 = -inset.clamp_min(0) - width if at_front else inset - f.depth
        x0 = torch.where(f.table & (at_front == 1), -width - 0.001, x0)
        y0 = y - inset - width if at_left else inset - y
        lower, upper = (x0, y0, z0), (x0 + width, y0 + width, z1)
        if i == 0:
            lower = (torch.where(f.desk, 0.04 - f.depth, x0), torch.where(f.desk, far, y0), z0)
            upper = (torch.where(f.desk, -0.02, x0 + width),
                     torch.where(f.desk, far + p.side, y0 + width),
                     torch.where(f.desk, f.height + p.hang, z1))
        b.add(CASE, Slab(lower, upper, corner), legs | f.desk if i == 0 else legs)
    return legs, outside


def _add_shelf_or_plinth(b: Builder, case: Case, legs: Tensor) -> None:
    """A shelf between a table's legs, or a plinth where there are no ``legs`` (n,).

    Draws the plinth's inset at the front, up to 60 mm, and the shelf's height as a share.
    """
    f, p, height = case.furniture, case.panels, case.legs.height
    y, front_inset = f.half_width, b.uniform(0.0, 0.06)
    shelf = f.table & b.chance(0.4) & ~f.writing
    z = -height * b.uniform(0.45, 0.9)
    inset = torch.where(shelf, case.legs.width * b.uniform(0.1, 0.9), front_inset)
    b.add(CASE, Slab((torch.where(shelf, inset, 0.0) - f.depth, inset * shelf - y,
                      torch.where(shelf, z, -height)),
                     (-inset, y - inset * shelf, torch.where(shelf, z + p.top, 0.5 * p.bottom))),
          shelf | (height > 0.012) & ~legs)


def _add_rear_rail(b: Builder, case: Case, span: TopSpan) -> None:
    """A rear rail, a splash back or a hutch on the top; of writing tables a box, often open.

    Draws its depth, up to 0.25 m or 45 % of the depth, and its height, 20 to 450 mm.
    """
    f, p = case.furniture, case.panels
    rail = b.chance(0.12) | (f.table | f.desk) & b.chance(0.15)
    deep = torch.where(b.chance(0.6), p.side, b.uniform(0.1, 0.25))
    high = torch.where(b.chance(0.6), b.uniform(0.02, 0.12), b.uniform(0.1, 0.45)) * f.scale
    deep = torch.where(f.writing, b.rare.uniform(0.18, 0.45) * f.depth,
                       torch.minimum(deep, 0.4 * f.depth))
    high = torch.where(f.writing, b.rare.uniform(0.12, 0.45), high)
    z = f.height + p.top
    high = torch.minimum(high, MAX_TOTAL_HEIGHT - case.legs.height - f.height - p.top)
    y0, y1 = span.y0 + 0.3 * case.top.over_y, span.y1 - 0.3 * case.top.over_y
    b.add(CASE, Slab((-f.depth, y0, f.height + p.hang), (deep - f.depth, y1, z + high)),
          (rail | f.writing) & ~p.open_top)
    b.cut(CASE, Slab((0.6 * p.side - f.depth, y0 + p.side, z),
                     (b.zeros(), y1 - p.side, z + high - p.side)),
          f.writing & b.rare.chance(0.5))
