"""How the front of a cabinet is divided: where its doors are, and what is beside, over and under.

What does not open here, as drawers, further doors and control panels, belongs to the case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Area, Builder
from kinediff3d_core.simulation.families.cabinet_kind import Kind

WIDEST_DOOR = 0.75
"""Beside a single door of furniture that is wider than this, m, there is something else. Chosen.
"""


@dataclass(frozen=True)
class Depths:
    """Where doors are in x; m, each (n,).

    Attributes:
        overlay: bool; they lie before the case instead of inside it.
        x0: of the rear side. x1: of the face.
        gap: between a door and what is around it.
    """

    overlay: Tensor
    x0: Tensor
    x1: Tensor
    gap: Tensor

    @property
    def thickness(self) -> Tensor:
        return self.x1 - self.x0


@dataclass(frozen=True)
class Heights:
    """What is under and over the doors; m, each (n,).

    Attributes:
        low: height of the plinth.
        below, above: heights of what does not open, 0 where there is nothing.
    """

    low: Tensor
    below: Tensor
    above: Tensor


@dataclass(frozen=True)
class Beside:
    """What is beside the doors, or between them; each (n,).

    Attributes:
        present: bool; beside a single door. between: bool; between two doors.
        at_hinge: bool; on the side of the single door's hinge instead of its free edge.
        open: bool; a compartment without a front. share: of the width.
    """

    present: Tensor
    between: Tensor
    at_hinge: Tensor
    open: Tensor
    share: Tensor


@dataclass(frozen=True)
class Front:
    """The division of the front; m, each (n,).

    Attributes:
        doors: the area of all doors.
        end_left, start_right: y where the left door ends and the right one starts.
        opening: the hole in the case behind them.
        open_above: bool; a compartment without a front is over the doors.
        board: thickness of dividers.
    """

    depths: Depths
    heights: Heights
    beside: Beside
    doors: Area
    end_left: Tensor
    start_right: Tensor
    opening: Area
    open_above: Tensor
    board: Tensor


def draw_front(b: Builder, kind: Kind) -> Front:
    """Draws the whole division; adds nothing."""
    depths = _draw_depths(b, kind)
    heights = _draw_heights(b, kind)
    beside = _draw_beside(b, kind)
    margin, cover = _draw_margins(b, kind, depths)
    y = kind.half_width
    taken = beside.share * kind.width
    at_left = beside.present & (kind.left == beside.at_hinge)
    at_right = beside.present & (kind.left != beside.at_hinge)
    doors = Area(torch.where(at_left, taken - y, margin - y),
                 torch.where(at_right, y - taken, y - margin),
                 heights.low + heights.below + torch.where(heights.below > 0, depths.gap, margin),
                 kind.height - heights.above - torch.where(heights.above > 0, depths.gap, margin))
    doors = _round_area(b, kind, heights, doors)
    middle = (doors.y0 + doors.y1) / 2 + torch.where(
        kind.is_a('refrigerator') & b.chance(0.5), b.uniform(-0.12, 0.12), 0.0) * kind.width
    half = torch.where(beside.between, taken / 2, depths.gap / 2)
    end_left, start_right = middle - half, middle + half
    opening = Area(doors.y0 + cover, doors.y1 - cover, doors.z0 + cover, doors.z1 - cover)
    open_above = (heights.above > 0.12) & kind.is_a('wardrobe', 'cupboard') & b.chance(0.4)
    board = b.uniform(0.012, 0.025) * kind.unit
    return Front(depths, heights, beside, doors, end_left, start_right, opening, open_above, board)


def _draw_depths(b: Builder, kind: Kind) -> Depths:
    """Draws the doors' thickness, 4 to 120 mm by kind, whether they lie before the case, and the
    gap around them, 1 to 4 mm."""
    thickness = b.log_uniform(0.012, 0.034) * kind.unit
    for name, low, high in (('refrigerator', 0.035, 0.12), ('microwave', 0.02, 0.055),
                            ('washer', 0.014, 0.05), ('safe', 0.006, 0.08)):
        other = b.log_uniform(low, high)
        scale = kind.unit if name in ('safe', 'microwave') else 1.0
        thickness = torch.where(kind.is_a(name), other * scale, thickness)
    gap = b.uniform(0.001, 0.004)
    overlay = b.chance(0.6) | kind.is_a('washer') | (kind.is_a('refrigerator') & b.chance(0.6))
    face = torch.where(b.chance(0.6), 0.0, b.uniform(-0.02, 0.003) * kind.unit)
    x1 = torch.where(overlay, thickness + gap, face)
    return Depths(overlay, x1 - thickness, x1, gap)


def _draw_heights(b: Builder, kind: Kind) -> Heights:
    """Draws the plinth, 20 to 120 mm, and what is over and under the doors, as shares of the
    height: drawers, another door, a control panel, an open compartment."""
    zero, stands = b.zeros(), kind.is_a('cupboard', 'wardrobe', 'sideboard')
    low = torch.where(stands & b.chance(0.55), b.uniform(0.04, 0.12), zero)
    cold = kind.is_a('refrigerator')
    low = torch.where(cold & b.chance(0.8), b.uniform(0.02, 0.09), low) * kind.unit.clamp_max(1.0)
    above, below = zero, zero
    chance = b.uniform(0.0, 1.0)
    for name, p, shares in (('cupboard', 0.4, (0.12, 0.32)), ('wardrobe', 0.3, (0.22, 0.52)),
                            ('refrigerator', 0.32, (0.22, 0.38)), ('sideboard', 0.15, (0.2, 0.35)),
                            ('microwave', 0.1, (0.1, 0.18)), ('washer', 1.0, (0.08, 0.2)),
                            ('wall cabinet', 0.06, (0.2, 0.4))):
        share = b.uniform(*shares)
        above = torch.where(kind.is_a(name) & (chance < p), share, above)
    chance = b.uniform(0.0, 1.0)
    for name, p, shares in (('cupboard', 0.06, (0.2, 0.35)), ('wardrobe', 0.12, (0.2, 0.4)),
                            ('refrigerator', 0.35, (0.24, 0.58))):
        share = b.uniform(*shares)
        share = torch.where(above > 0, 0.5 * share, share)
        below = torch.where(kind.is_a(name) & (chance < p) & (above < 0.32), share, below)
    return Heights(low, below * kind.height, above * kind.height)


def _draw_beside(b: Builder, kind: Kind) -> Beside:
    """Draws what is beside a single door, as a microwave's control panel, or between two.

    It takes 15 to 70 % of the width.
    """
    wave, board = kind.is_a('microwave'), kind.is_a('sideboard')
    present = ~kind.both & (wave & b.chance(0.93) | board | kind.is_a('cupboard') & b.chance(0.2)
                            | kind.furniture & (kind.width > WIDEST_DOOR))
    between = kind.both & (board & b.chance(0.65) | kind.is_a('cupboard') & b.chance(0.08))
    share = torch.where(wave, b.uniform(0.15, 0.33), b.uniform(0.3, 0.7))
    share = torch.where(between, b.uniform(0.2, 0.45), share)
    return Beside(present, between, present & ~wave & b.chance(0.35),
                  (present | between) & ~wave & b.chance(0.45), share)


def _draw_margins(b: Builder, kind: Kind, depths: Depths) -> tuple[Tensor, Tensor]:
    """Draws from the case's outside to the doors, and how far the doors reach over the opening.

    Inside a case the margin is the thickness of its boards, 10 to 50 mm, and of a safe up to 17 %
    of the width. The cover is 8 to 60 mm, or the gap, negative.
    """
    unit, safe = kind.unit, kind.is_a('safe')
    thin = torch.where(b.chance(0.75), b.uniform(0.0, 0.002), b.uniform(0.004, 0.03) * unit)
    frame = torch.where(b.chance(0.6), b.uniform(0.012, 0.026), b.uniform(0.02, 0.06)) * unit
    cold = kind.is_a('refrigerator')
    frame = torch.where(cold, b.uniform(0.02, 0.06), frame)
    margin = torch.where(depths.overlay, thin, frame + depths.gap)
    least = torch.minimum(kind.width, kind.height)
    margin = torch.where(safe, b.uniform(0.03, 0.085) * least + depths.gap, margin)
    cover = torch.where(kind.furniture, b.uniform(0.01, 0.025) * unit, b.uniform(0.02, 0.055))
    cover = torch.where(kind.is_a('microwave'), b.uniform(0.02, 0.05) * unit.clamp_max(0.8),
                        cover)
    cover = torch.where(safe, b.uniform(0.008, 0.03) * unit, cover)
    return margin, torch.where(depths.overlay, cover, -depths.gap)


def _round_area(b: Builder, kind: Kind, heights: Heights, doors: Area) -> Area:
    """The area with a washer's round door: its bounding square; draws its radius, 42 to 78 % of
    half the width, and its place."""
    radius = kind.half_width * b.uniform(0.42, 0.78)
    room = kind.height - heights.above
    radius = torch.minimum(radius, 0.44 * room)
    z = torch.minimum(room * b.uniform(0.5, 0.62), room - radius - 0.02)
    y = kind.half_width * b.uniform(-0.08, 0.08)
    washer = kind.is_a('washer')
    square = Area(y - radius, y + radius, z - radius, z + radius)
    return replace(doors, **{name: torch.where(washer, getattr(square, name),
                                               getattr(doors, name))
                             for name in ('y0', 'y1', 'z0', 'z1')})
