"""The doors of a cabinet: panel, glass, liner, and what one pulls at.

A door is built in the frame of its hinge. Along its width the coordinate is u, from the edge at
the hinge (0) to the free edge, so that left and right doors differ by a sign only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Number, Slab, ordered
from kinediff3d_core.simulation.families.cabinet_front import Front
from kinediff3d_core.simulation.families.cabinet_kind import Kind


@dataclass(frozen=True)
class Hinge:
    """Where hinges are, and how far doors open; each (n,).

    Attributes:
        x: of the axis, m. inset: from the door's edge inwards, m; negative beside the door.
        upper: limit, rad.
    """

    x: Tensor
    inset: Tensor
    upper: Tensor


@dataclass(frozen=True)
class DoorKind:
    """What both doors of a cabinet have in common; m, each (n,).

    Attributes:
        edge: rounding of the edges.
        frame: width of the frame around a panel or a window, as a share of the smaller side.
        sunk: depth of the panel, as a share of the thickness.
        panel, raised, glass: bool; a sunk panel, a field on it, a window.
        clear: bool; the window has no pane in the depth image: the camera sees through it.
        lost: bool; the pane gives no depth.
        liner: how far the liner, a washer's bowl or a safe's bolts reach into the case.
        bins: bool. bin_depth: of the bins.
    """

    edge: Tensor
    frame: Tensor
    sunk: Tensor
    panel: Tensor
    raised: Tensor
    glass: Tensor
    clear: Tensor
    lost: Tensor
    liner: Tensor
    bins: Tensor
    bin_depth: Tensor

    @property
    def reach(self) -> Tensor:
        """(n,) how far doors reach into the case, m."""
        return torch.maximum(self.liner, torch.where(self.bins, self.bin_depth, 0.0))


@dataclass(frozen=True)
class DoorHandle:
    """What one pulls at, the same on both doors; m, each (n,).

    Attributes:
        bar, knob, pocket, lip: bool; there is one of them or none.
        level: bool; the bar is horizontal.
        half_length: of a bar, as a share of the door's height.
        radius: half its thickness. reach: how far it stands out. place: its height, as a share.
        inset: from the free edge. full: bool; a bar without a gap behind it.
        plate: bool; a further plate, dial or keypad beside it.
    """

    bar: Tensor
    knob: Tensor
    pocket: Tensor
    lip: Tensor
    level: Tensor
    half_length: Tensor
    radius: Tensor
    reach: Tensor
    place: Tensor
    inset: Tensor
    full: Tensor
    plate: Tensor


@dataclass(frozen=True)
class Leaf:
    """One door in the frame of its hinge; m, each (n,).

    Attributes:
        part: index. side: 1 where u runs along +y (a left door), -1 along -y.
        present: bool. inset: u of the hinge.
    """

    part: int
    side: int
    present: Tensor
    inset: Tensor
    width: Tensor
    x0: Tensor
    x1: Tensor
    z0: Tensor
    z1: Tensor

    @property
    def height(self) -> Tensor:
        return self.z1 - self.z0

    @property
    def thickness(self) -> Tensor:
        return self.x1 - self.x0

    def slab(self, x: tuple[Number, Number], u: tuple[Number, Number], z: tuple[Number, Number],
             corner: Number = 0.0, edge: Number = 0.0, axis: int = 0) -> Slab:
        """A slab between two x, u and z."""
        low, high = (self.side * (v - self.inset) for v in u)
        y0, y1 = ordered(low, high)
        return Slab((x[0], y0, z[0]), (x[1], y1, z[1]), corner, edge, axis)


def draw_hinge(b: Builder, kind: Kind, front: Front) -> Hinge:
    """Draws where in the door's thickness the axis is, and the upper limit, 88 to 180 degrees.

    Where the case is beside the door's edge, the axis is at the face: the door turns out of the
    case. A door that turns about an axis behind its middle opens by 180 degrees only if nothing is
    beside it.
    """
    depths, beside = front.depths, front.beside
    t, flush = depths.thickness, ~depths.overlay | (beside.present & beside.at_hinge)
    share = torch.where(b.chance(0.45), b.uniform(0.0, 0.1),
                        torch.where(b.chance(0.6), b.uniform(0.3, 0.7), b.uniform(0.9, 1.0)))
    margin = front.doors.y0 + kind.half_width
    framed = (margin > 0.0025) | kind.is_a('washer', 'safe')
    share = torch.where(framed, share.clamp_min(0.5), share)
    x = torch.where(flush, depths.x1 + 0.001, depths.x0 + share * t)
    inset = torch.where(b.chance(0.7), 0.0, b.uniform(-0.006, 0.01)) * kind.unit
    inset = torch.minimum(inset, torch.where(flush, 0.0, share * t))
    wide = b.uniform(88.0, 122.0)
    upper = torch.where(b.chance(0.45), wide, b.uniform(100.0, 180.0))
    upper = torch.where(flush & beside.present & beside.at_hinge, wide.clamp_max(118.0), upper)
    # The case, or the hinge's own side of the door, is in the way of a wider turn.
    behind = (~flush & (share < 0.5) & (inset > 0)) | (flush & (depths.x1 < -0.002))
    upper = torch.where(behind, upper.clamp_max(92.0), upper)
    return Hinge(x, inset, torch.deg2rad(upper))


def draw_door_kind(b: Builder, kind: Kind, front: Front) -> DoorKind:
    """Draws panels, windows and what is on the inside.

    Frames are 8 to 28 % of the smaller side, panels 10 to 60 % of the thickness deep, liners 4 to
    120 mm, bins 50 to 130 mm. Of the windows, a part gives no depth, and a part has no pane.
    """
    unit, t = kind.unit, front.depths.thickness
    cold, wave, washer, safe = (kind.is_a(n) for n in ('refrigerator', 'microwave', 'washer',
                                                       'safe'))
    edge = torch.where(b.chance(0.5), 0.0, b.uniform(0.0, 0.45)) * t.clamp_max(0.04)
    panel = torch.where(cold, b.chance(0.04), torch.where(
        wave, b.chance(0.7), torch.where(safe, b.chance(0.2), b.chance(0.45))))
    panel = torch.where(washer, True, panel)
    glass = torch.where(wave, b.chance(0.25), torch.where(
        kind.furniture, b.chance(0.14), cold & b.chance(0.06)))
    glass = glass & ~washer
    style = b.uniform(0.0, 1.0)
    lost = (glass & (style < 0.5)) | (washer & (style < 0.35))
    clear = glass & (style > 0.72)
    frame = torch.where(wave, b.uniform(0.1, 0.28), b.uniform(0.08, 0.22))
    liner = b.uniform(0.004, 0.03) * unit * b.chance(0.5)
    liner = torch.where(cold, b.uniform(0.005, 0.03) * b.chance(0.7), liner)
    liner = torch.where(safe, b.uniform(0.0, 0.06) * unit * b.chance(0.5), liner)
    liner = torch.where(washer, b.uniform(0.02, 0.12), liner)
    liner = torch.where(kind.furniture | glass, 0.0, liner)
    bins = cold & b.chance(0.75) & ~glass
    return DoorKind(edge, frame, b.uniform(0.1, 0.6), panel | glass, b.chance(0.25) & ~glass,
                    glass, clear, lost, liner, bins, b.uniform(0.05, 0.13))


def draw_handle(b: Builder, kind: Kind) -> DoorHandle:
    """Draws bars of 8 to 92 % of the door's height, 4 to 20 mm thick, knobs of 6 to 25 mm radius,
    and how far they stand out, 12 to 140 mm."""
    unit = kind.unit
    cold, wave, washer, safe = (kind.is_a(n) for n in ('refrigerator', 'microwave', 'washer',
                                                       'safe'))
    style = b.uniform(0.0, 1.0)
    ends = torch.where(cold | wave, 0.68, torch.where(safe, 0.3, 0.42))
    ends = torch.where(washer, 0.0, ends)
    bar = style < ends
    knob = (style >= ends) & (style < torch.where(safe, 0.9, torch.where(
        kind.furniture, 0.65, ends)))
    pocket = (style >= 0.68) & (style < torch.where(cold | kind.furniture, 0.82, 0.0)) & ~knob
    pocket = pocket | washer & (style < 0.6)
    lip = (style > 0.9) & ~washer & ~safe & ~knob
    half = torch.where(b.chance(0.5), b.uniform(0.04, 0.16), b.uniform(0.15, 0.46))
    half = torch.where(wave, b.uniform(0.28, 0.46), half)
    high = torch.where(kind.is_a('wall cabinet'), b.uniform(0.08, 0.4), b.uniform(0.35, 0.9))
    high = torch.where(safe | wave, 0.5, high)
    radius = torch.where(knob, b.uniform(0.007, 0.028), b.uniform(0.004, 0.018))
    radius = torch.where(safe & knob, b.uniform(0.02, 0.09), radius) * unit
    reach = torch.where(b.chance(0.7), b.uniform(0.018, 0.05), b.uniform(0.012, 0.14))
    inset = torch.where(b.chance(0.8), b.uniform(0.015, 0.06), b.uniform(0.05, 0.12)) * unit
    return DoorHandle(bar, knob, pocket, lip, b.chance(0.15) & ~cold & ~wave, half, radius,
                      reach * unit, high, inset, b.chance(0.3), safe & b.chance(0.6))


def leaves(kind: Kind, front: Front, hinge: Hinge) -> tuple[Leaf, Leaf]:
    """The left and the right door.

    What stands beside the free edge of a door keeps clear of the rear edge, which swings wider.
    """
    doors, depths = front.doors, front.depths
    x0, x1 = depths.x0 - hinge.x, depths.x1 - hinge.x
    beside_free = ~depths.overlay | (front.beside.present & ~front.beside.at_hinge)
    beside_free = beside_free & (~kind.both | front.beside.between) & ~kind.is_a('washer')
    out = []
    for part, side, present in ((1, 1, kind.left), (2, -1, kind.right)):
        first, last = (doors.y0, torch.where(kind.both, front.end_left, doors.y1)) if side > 0 \
            else (doors.y1, torch.where(kind.both, front.start_right, doors.y0))
        width = (last - first) * side
        clear = x0.square() / (2 * width) + 0.0005
        width = width - torch.where(beside_free, clear, 0.0)
        out.append(Leaf(part, side, present, hinge.inset, width, x0, x1, doors.z0, doors.z1))
    return out[0], out[1]


@dataclass(frozen=True)
class Fittings:
    """What is on the doors, and the (n,) radius of a washer's opening, m."""

    door: DoorKind
    handle: DoorHandle
    porthole: Tensor


def add_leaf(b: Builder, leaf: Leaf, kind: Kind, front: Front, fittings: Fittings) -> None:
    """One door with all that is on it; draws nothing."""
    door, handle = fittings.door, fittings.handle
    washer, t, r = kind.is_a('washer'), leaf.thickness, leaf.width / 2
    corner = torch.where(washer, r, door.edge)
    b.add(leaf.part, leaf.slab((leaf.x0, leaf.x1), (0.0, leaf.width), (leaf.z0, leaf.z1), corner,
                               door.edge), leaf.present)
    sunk, window = _cut_panel(b, leaf, washer, door)
    _add_pane(b, leaf, door, washer, window)
    _add_inside(b, leaf, kind, front, door, fittings.porthole)
    root = torch.where(door.panel & ~washer & (window.u1 > leaf.width - handle.inset), sunk,
                       leaf.x1)
    _add_handle(b, leaf, handle, root, washer)
    r = torch.minimum(0.25 * t + 0.02 * kind.unit, 0.15 * leaf.width)
    _add_plate(b, leaf, handle, r)


@dataclass(frozen=True)
class Window:
    """The sunk panel or the glass of a door; m, each (n,)."""

    u0: Tensor
    u1: Tensor
    z0: Tensor
    z1: Tensor
    corner: Tensor


def _cut_panel(b: Builder, leaf: Leaf, washer: Tensor, door: DoorKind) -> tuple[Tensor, Window]:
    """A sunk panel, often with a raised field, or a hole for the glass; x of the panel's face."""
    frame = door.frame * torch.minimum(leaf.width, leaf.height)
    frame = torch.where(washer, 1.4 * frame, frame)
    sunk = leaf.x1 - door.sunk * leaf.thickness
    window = Window(frame, leaf.width - frame, leaf.z0 + frame, leaf.z1 - frame,
                    torch.where(washer, leaf.width / 2 - frame, 0.2 * door.edge))
    x0 = torch.where(door.glass, leaf.x0 - 0.05, sunk)
    u, z = (window.u0, window.u1), (window.z0, window.z1)
    present = leaf.present & door.panel
    b.cut(leaf.part, leaf.slab((x0, leaf.x1 + 0.1), u, z, window.corner), present)
    inner = 0.3 * frame
    corner = (window.corner - inner).clamp_min(0)
    b.add(leaf.part, leaf.slab(
        (leaf.x0 + 0.2 * leaf.thickness, leaf.x1 - 0.3 * (leaf.x1 - sunk)),
        (window.u0 + inner, window.u1 - inner), (window.z0 + inner, window.z1 - inner), corner,
        0.1 * leaf.thickness), present & door.raised & ~door.glass)
    return sunk, window


def _add_pane(b: Builder, leaf: Leaf, door: DoorKind, washer: Tensor, window: Window) -> None:
    """The pane of a window, or nothing where the camera sees through it."""
    middle = (leaf.x0 + leaf.x1) / 2
    u, z = (window.u0 - 0.002, window.u1 + 0.002), (window.z0 - 0.002, window.z1 + 0.002)
    b.add(leaf.part, leaf.slab((middle - 0.002, middle + 0.002), u, z),
          leaf.present & door.glass & ~door.clear)
    # The box in a round window of this radius.
    inner = torch.where(washer, (1 - 0.5 ** 0.5) * window.corner, 0.0)
    lost = leaf.slab((leaf.x0 - 0.3, leaf.x1 + 0.001), (window.u0 + inner, window.u1 - inner),
                     (window.z0 + inner, window.z1 - inner))
    b.without_depth(leaf.part, lost.lower, lost.upper, leaf.present & door.lost)


def _add_inside(b: Builder, leaf: Leaf, kind: Kind, front: Front, door: DoorKind,
                porthole: Tensor) -> None:
    """A liner, a washer's bowl or a safe's bolts, and a refrigerator's bins with their hollows.

    They keep clear of the opening while the door turns.
    """
    washer, safe, o = kind.is_a('washer'), kind.is_a('safe'), front.opening
    away = (o.y0 - front.doors.y0).clamp_min(0.002) + 0.004
    far = _far_end(leaf, leaf.width - away, door.liner)
    u0, u1, z0, z1 = away, far, o.z0 + 0.004, o.z1 - 0.004
    middle_u, middle_z = leaf.width / 2, (leaf.z0 + leaf.z1) / 2
    bowl = porthole - 0.006 - (door.liner + leaf.thickness).square() / leaf.width
    corner = torch.where(washer, bowl, 0.01)
    u0 = torch.where(washer, middle_u - bowl, torch.where(safe, far - 0.15 * leaf.width, u0))
    u1 = torch.where(washer, middle_u + bowl, u1)
    half = torch.where(washer, bowl, 0.3 * leaf.height)
    z0 = torch.where(washer | safe, middle_z - half, z0)
    z1 = torch.where(washer | safe, middle_z + half, z1)
    x0 = leaf.x0 - door.liner
    b.add(leaf.part, leaf.slab((x0, leaf.x0 + 0.3 * leaf.thickness), (u0, u1), (z0, z1), corner),
          leaf.present & (door.liner > 0.001))
    # A washer's bowl is hollow from the front, a liner from the rear.
    wall = torch.where(washer, 0.15 * bowl, 0.03 * kind.unit)
    start = torch.where(washer, x0 + 0.3 * door.liner, x0 - 0.1)
    end = torch.where(washer, leaf.x1 + 0.1, x0 + 0.6 * door.liner)
    b.cut(leaf.part, leaf.slab((start, end), (u0 + wall, u1 - wall), (z0 + wall, z1 - wall),
                               (corner - wall).clamp_min(0)),
          leaf.present & (door.liner > 0.008) & ~safe & (washer & ~door.raised | door.bins))
    _add_bins(b, leaf, door, away, (o.z0, o.z1))


def _add_bins(b: Builder, leaf: Leaf, door: DoorKind, away: Tensor, room: tuple[Tensor, Tensor],
              ) -> None:
    """Two bins, open at the top, on the inside of a refrigerator's door."""
    far = _far_end(leaf, leaf.width - away, door.bin_depth) - 0.006
    present, height = leaf.present & door.bins, room[1] - room[0]
    x0, u0 = leaf.x0 - door.bin_depth, away + 0.01
    for place in (0.08, 0.55):
        z0 = room[0] + place * height
        z1 = z0 + torch.minimum(0.16 * height, b.zeros() + 0.12)
        b.add(leaf.part, leaf.slab((x0, leaf.x0 + 0.002), (u0, far), (z0, z1)), present)
        b.cut(leaf.part, leaf.slab((x0 + 0.006, leaf.x0 - 0.004), (u0 + 0.006, far - 0.006),
                                   (z0 + 0.008, z1 + 0.001)), present)


def _far_end(leaf: Leaf, edge: Tensor, deep: Tensor) -> Tensor:
    """Largest u of what reaches ``deep`` (n,), m, into the case, to stay within ``edge`` (n,)."""
    back = leaf.x0 - deep
    return (edge.square() - back.square()).clamp_min(1e-4).sqrt()


def _add_handle(b: Builder, leaf: Leaf, handle: DoorHandle, root: Tensor, washer: Tensor,
                ) -> None:
    """A bar on two posts, a knob, a lip along the free edge, or a pocket to reach into.

    Args:
        root: (n,) x of the face on which it stands, m.
    """
    height, r = leaf.height, torch.minimum(handle.radius, 0.2 * leaf.width)
    half = torch.where(handle.knob, r, handle.half_length * height)
    half = torch.where(handle.lip | (handle.pocket & ~washer), 0.5 * height, half)
    half = torch.where(washer, 0.25 * height, half)
    u = torch.minimum(leaf.width - handle.inset - r, 0.95 * leaf.width - r)
    z = leaf.z0 + (handle.place * height).clamp(half, height - half)
    level = handle.level & handle.bar
    across = torch.where(level, torch.minimum(half, 0.35 * leaf.width), r)
    along = torch.where(level, r, half)
    u = torch.where(level, torch.minimum(u, 0.96 * leaf.width - across), u)
    u = torch.where(handle.lip, leaf.width - r, u)
    flat = torch.where(handle.lip, 0.3 * handle.reach, handle.reach)
    b.add(leaf.part, leaf.slab((root - 0.001, leaf.x1 + flat), (u - across, u + across),
                               (z - along, z + along), r * torch.where(handle.full, 0.3, 1.0),
                               0.3 * r), leaf.present & (handle.bar | handle.knob | handle.lip))
    post = 0.12 * half
    bar = torch.minimum(2 * r, 0.5 * handle.reach)
    cut_u = torch.where(level, across - post, 2 * across)
    cut_z = torch.where(level, 2 * along, along - post)
    x0, x1 = leaf.x1 + 0.0005, leaf.x1 + flat - bar
    deep = torch.where(washer, 0.6, 0.5) * leaf.thickness
    depth = 2 * r + 0.012
    pocket_u = torch.where(washer, leaf.width - 0.02, leaf.width - depth)
    u0 = torch.where(handle.pocket, pocket_u, u - cut_u)
    u1 = torch.where(handle.pocket, leaf.width + 0.01, u + cut_u)
    x0 = torch.where(handle.pocket, leaf.x1 - deep, x0)
    x1 = torch.where(handle.pocket, leaf.x1 + 0.01, x1)
    cut_z = torch.where(handle.pocket, 0.8 * half, cut_z)
    b.cut(leaf.part, leaf.slab((x0, x1), (u0, u1), (z - cut_z, z + cut_z)),
          leaf.present & (handle.pocket | handle.bar & ~handle.full))


def _add_plate(b: Builder, leaf: Leaf, handle: DoorHandle, r: Tensor) -> None:
    """A safe's dial or keypad, ``r`` (n,) m large, between the middle and the free edge."""
    u, z = 0.62 * leaf.width, leaf.z0 + 0.66 * leaf.height
    b.add(leaf.part, leaf.slab((leaf.x1 - 0.001, leaf.x1 + 0.5 * r), (u - r, u + r),
                               (z - r, z + r), torch.where(handle.knob, r, 0.1 * r)),
          leaf.present & handle.plate)
