"""Dishwashers and ovens: table-top to full height, door in front or below a control panel.

The pivot is the hinge line at the door's lower edge, anywhere in the thickness of the door; in y
in the middle. The body is built with x from its rear (-depth) to its front (0), z from its
underside (0) upwards, and y = 0 in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab, Wide
from kinediff3d_core.simulation.solids import Instances

BODY, DOOR = 0, 1


def dishwasher(b: Builder) -> Instances:
    """Dishwashers and ovens, metres."""
    size = _draw_size(b)
    front = _draw_front(b, size)
    shell = _add_shell(b, size, front)
    flush = _add_below_the_door(b, size, front)
    _add_control_panel(b, size, front, shell)
    item = Appliance(size, front, shell, flush, _add_top(b, size, front))
    _add_interior(b, size, shell)
    door = _add_door(b, item)
    _add_liner(b, item, door)
    face = _add_strip(b, item, door)
    _add_handle(b, item, door, face)
    upper = b.uniform(radians(80), radians(100))
    return b.build(upper[:, None], b.pivot(front.behind, front.low), middle=(1,))


@dataclass(frozen=True)
class ApplianceSize(Wide):
    """Outer sizes of the body, m, and what it is, bool; each (n,).

    Attributes:
        small: table-top appliances.
    """

    oven: Tensor
    small: Tensor
    width: Tensor
    height: Tensor
    depth: Tensor


@dataclass(frozen=True)
class Front:
    """How the front is divided, and where the hinge is; m, each (n,).

    Attributes:
        thickness: of the door.
        low: z of the hinge.
        kick: bool; there is something below the door.
        panel: bool; a control panel over the door.
        behind: how much of the door's thickness is behind the hinge.
        before: how much of it is before the hinge.
        under: how far the door reaches below the hinge.
        gap: between the door and what is around it.
    """

    thickness: Tensor
    low: Tensor
    kick: Tensor
    panel: Tensor
    panel_height: Tensor
    behind: Tensor
    before: Tensor
    under: Tensor
    gap: Tensor


@dataclass(frozen=True)
class Shell:
    """The walls around the inside; m, each (n,).

    Attributes:
        side: thickness of the side walls.
        rear: thickness of the rear wall.
        floor: z of the floor's upper side.
        ceiling: z of the ceiling's underside.
        edge: rounding of the edges.
    """

    side: Tensor
    rear: Tensor
    floor: Tensor
    ceiling: Tensor
    edge: Tensor


@dataclass(frozen=True)
class Appliance:
    """What all parts depend on.

    Attributes:
        flush: (n,) bool: what is below the door is flush with it, and the hinge is at the door's
            face.
        worktop: (n,) bool.
    """

    size: ApplianceSize
    front: Front
    shell: Shell
    flush: Tensor
    worktop: Tensor


@dataclass(frozen=True)
class Door:
    """The door's slab in the frame of the hinge; m, each (n,).

    Attributes:
        back: x of the inner side.
        face: x of the outer side.
        pocket: bool; a pocket at the upper edge to reach in, instead of a handle.
    """

    length: Tensor
    half_width: Tensor
    back: Tensor
    face: Tensor
    pocket: Tensor


def _draw_size(b: Builder) -> ApplianceSize:
    """Draws width 0.4 to 0.92 m, height 0.3 to 0.95 m and depth 0.32 to 0.7 m."""
    oven, small = b.chance(0.4), b.chance(0.15)
    width = torch.where(b.chance(0.6), b.uniform(0.44, 0.64), b.uniform(0.4, 0.92))
    width = torch.where(small, width.clamp_max(0.65), width)
    height = torch.where(oven, b.uniform(0.42, 0.95), b.uniform(0.7, 0.92))
    height = torch.where(small, b.uniform(0.3, 0.5), height)
    depth = torch.where(small, b.uniform(0.32, 0.52), b.uniform(0.42, 0.7))
    return ApplianceSize(oven, small, width, height, depth)


def _draw_front(b: Builder, size: ApplianceSize) -> Front:
    """Draws the door's thickness, 14 to 100 mm, the hinge's place in it, and the gap, 0.8 to 4 mm.

    What is below the door, a plinth or an oven's warming drawer, and the panel over it are drawn
    as shares of the height.
    """
    oven, height = size.oven, size.height
    thickness = torch.where(b.chance(0.7), b.uniform(0.014, 0.06), b.uniform(0.05, 0.1))
    kick = b.chance(0.6)
    drawer = kick & oven & b.chance(0.4)
    low = torch.where(kick, b.uniform(0.03, 0.14), b.uniform(0.0, 0.01))
    low = torch.where(drawer, b.uniform(0.12, 0.24), low) * height.clamp_max(0.9)
    panel = torch.where(oven, b.chance(0.75), b.chance(0.4))
    panel_height = b.uniform(0.06, 0.19) * height.clamp(0.4, 0.8)
    behind = thickness * torch.where(b.chance(0.5), b.chance(0.6), b.uniform(0.0, 1.0))
    under = b.uniform(0.0, 0.04) * b.chance(0.2)
    behind = torch.where(under > 0, 0.0, behind)
    return Front(thickness, low, kick, panel, panel_height, behind, thickness - behind, under,
                 gap=b.uniform(0.0008, 0.004))


def _add_shell(b: Builder, size: ApplianceSize, front: Front) -> Shell:
    """Side walls, rear wall, floor and ceiling.

    Draws the walls' thickness, 15 to 120 mm, the floor's as a share of the height, and the
    rounding of the edges, up to 6 mm.
    """
    y, depth, height, zero = size.half_width, size.depth, size.height, b.zeros()
    side = torch.where(b.chance(0.7), b.uniform(0.015, 0.06), b.uniform(0.05, 0.09))
    floor = torch.where(b.chance(0.7), b.uniform(0.02, 0.06), b.uniform(0.05, 0.14))
    ceiling = torch.where(front.panel, front.panel_height, 0.0) + b.uniform(0.02, 0.06)
    rear = b.uniform(0.02, 0.12)
    floor_z, ceiling_z = front.low + floor * height, height - ceiling
    edge = b.uniform(0.0, 0.006) * b.chance(0.4)
    inner = y - 0.3 * side  # walls reach into each other
    b.add(BODY, Slab((-depth, -y, zero), (zero, side - y, height), edge=edge))
    b.add(BODY, Slab((-depth, y - side, zero), (zero, y, height), edge=edge))
    b.add(BODY, Slab((-depth, -inner, zero), (rear - depth, inner, height), edge=edge))
    b.add(BODY, Slab((0.3 * rear - depth, -inner, zero), (zero, inner, floor_z), edge=edge))
    b.add(BODY, Slab((0.3 * rear - depth, -inner, ceiling_z), (zero, inner, height), edge=edge))
    return Shell(side, rear, floor_z, ceiling_z, edge)


def _add_below_the_door(b: Builder, size: ApplianceSize, front: Front) -> Tensor:
    """What is below the door, and feet; returns where it is flush with the door, (n,) bool.

    It stands back for the door to swing, or the hinge is at the door's face and a plinth or the
    front of a drawer is flush with the door. Draws the recess, 20 to 90 mm, and the feet's height,
    8 to 35 mm.
    """
    y, zero, low = size.half_width, b.zeros(), front.low
    flush = front.kick & (front.before < 0.0015) & (front.under == 0)
    sweep = front.under + 0.25 * front.before + 0.002
    b.cut(BODY, Slab((-sweep, zero - 2, zero - 2),
                     (zero + 1, zero + 2, low + 0.2 * front.under)), ~flush)
    b.add(BODY, Slab((-0.02 + zero, -y, 0.02 * front.kick), (front.behind, y, low - front.gap),
                     edge=0.003), flush)
    recess = torch.maximum(b.uniform(0.02, 0.09), sweep)
    b.cut(BODY, Slab((-recess, zero - 2, zero - 2),
                     (zero + 1, zero + 2, low * b.uniform(0.3, 0.9))),
          front.kick & ~flush & b.chance(0.5))
    stand = torch.where(b.chance(0.4), b.uniform(0.008, 0.035), 0.0)
    b.add(BODY, Slab((0.05 - size.depth, 0.04 - y, -stand),
                     (-0.05 - sweep, y - 0.04, zero + 0.01)), stand > 0)
    return flush


def _add_control_panel(b: Builder, size: ApplianceSize, front: Front, shell: Shell) -> None:
    """The panel over the door, with two knobs and a display.

    Draws how far it stands out (up to 30 mm before the door), the knobs' radius and height, 10 to
    30 mm, and their place.
    """
    y, height, depth_of_panel = size.half_width, size.height, front.panel_height
    x = torch.where(b.chance(0.7), front.behind + front.before * b.uniform(0.6, 1.0),
                    b.zeros() + 0.002)
    x = torch.where(b.chance(0.2), front.thickness + b.uniform(0.0, 0.03), x)
    b.add(BODY, Slab((b.zeros() - 0.01, -y, height - depth_of_panel), (x, y, height),
                     edge=shell.edge), front.panel)
    radius = b.uniform(0.01, 0.028)
    knob_y, knob_x = y * b.uniform(0.25, 0.85), b.uniform(0.01, 0.03)
    z = height - depth_of_panel / 2
    radius = torch.minimum(radius, 0.4 * depth_of_panel)
    knobs = front.panel & torch.where(size.oven, b.chance(0.6), b.chance(0.2))
    for side in (-1, 1):
        b.add(BODY, Slab((x - 0.001, side * knob_y - radius, z - radius),
                         (x + knob_x, side * knob_y + radius, z + radius), radius, 0.002, axis=0),
              knobs)
    b.add(BODY, Slab((x - 0.001, -0.25 * knob_y, z - 0.25 * depth_of_panel),
                     (x + 0.3 * knob_x, 0.25 * knob_y, z + 0.25 * depth_of_panel), axis=0),
          front.panel & b.chance(0.35))


def _add_top(b: Builder, size: ApplianceSize, front: Front) -> Tensor:
    """A worktop, a hob of two plates, an upright at the rear; returns where a worktop is.

    Draws the worktop's thickness, 5 to 40 mm, its overhang, up to 30 mm, and the plates' radius.
    """
    y, depth, height = size.half_width, size.depth, size.height
    thick = b.uniform(0.005, 0.04)
    over = b.uniform(0.0, 0.03)
    worktop = torch.where(size.oven, b.chance(0.35), b.chance(0.3))
    b.add(BODY, Slab((-depth, -y - 0.3 * over, height - 0.002),
                     (over + front.thickness * b.chance(0.6), y + 0.3 * over, height + thick),
                     edge=0.2 * thick), worktop)
    hob = size.oven & ~size.small & b.chance(0.3)
    plate, z = y * b.uniform(0.25, 0.4), height + thick * worktop
    for side in (-1, 1):
        b.add(BODY, Slab((-0.88 * depth, side * 0.5 * y - plate, z - 0.003),
                         (-0.1 * depth, side * 0.5 * y + plate, z + b.uniform(0.003, 0.03)),
                         plate, 0.002), hob)
    b.add(BODY, Slab((-depth, -y, height - 0.01),
                     (b.uniform(0.02, 0.08) - depth, y, z + b.uniform(0.03, 0.2)), edge=0.002),
          hob & b.chance(0.4))
    return worktop


def _add_interior(b: Builder, size: ApplianceSize, shell: Shell) -> None:
    """A basket, a rack, and a beam on either side of the basket, or an oven's shelves.

    Draws heights as shares of the room inside, and the basket's height, 20 to 200 mm.
    """
    y = size.half_width - shell.side
    floor, ceiling = shell.floor, shell.ceiling
    room = ceiling - floor
    x0, x1 = shell.rear - size.depth, -0.03 + b.zeros()
    loaded = b.chance(0.75)
    z = floor + room * b.uniform(0.05, 0.3)
    tall = torch.minimum(room * b.uniform(0.02, 0.35), b.uniform(0.02, 0.2))
    b.add(BODY, Slab((x0 + 0.02, 0.015 - y, z), (x1, y - 0.015, z + tall), 0.01), loaded)
    b.cut(BODY, Slab((x0 + 0.027, 0.022 - y, z + 0.006),
                     (x1 - 0.007, y - 0.022, z + tall + 0.001), 0.006), loaded & (tall > 0.015))
    rack = z + tall + (ceiling - z - tall) * b.uniform(0.15, 0.75)
    b.add(BODY, Slab((x0 - 0.002, -y - 0.002, rack),
                     (x1 - b.uniform(0.0, 0.1), y + 0.002, rack + b.uniform(0.004, 0.02))),
          loaded & b.chance(0.75))
    beam = y * b.uniform(0.1, 0.9)
    for side in (-1, 1):
        b.add(BODY, Slab((x0 + 0.03, side * beam - 0.006, z + 0.001),
                         (x1 - 0.02, side * beam + 0.006, z + tall * b.uniform(0.5, 1.5))),
              loaded & b.chance(0.5))


def _add_door(b: Builder, item: Appliance) -> Door:
    """The door's slab, with a panel or a window set into the face, or a pocket to reach in.

    Draws how much smaller it is than the body, up to 40 mm, the rounding of edges, and the panel's
    sizes as shares of the door's.
    """
    size, front, shell = item.size, item.front, item.shell
    behind, thick, y = front.behind, front.thickness, size.half_width
    length = torch.where(front.panel, size.height - front.panel_height, size.height) - front.low
    rise = behind.square() / length + front.gap  # its rear upper edge rises first
    length = length - torch.where(front.panel | item.worktop, rise, 0.0)
    length = length - torch.where(b.chance(0.3), b.uniform(0.0, 0.03), 0.0)
    half = y - torch.where(b.chance(0.6), b.uniform(0.0, 0.004), b.uniform(0.0, 0.04))
    half = torch.maximum(half, y - shell.side + 0.006)  # it covers the opening
    back, face = front.gap - behind, front.before + front.gap
    edge = b.uniform(0.0, 0.4) * thick.clamp_max(0.03) * b.chance(0.6)
    low = torch.where(item.flush, 0.0, -torch.minimum(front.under, front.low))
    b.add(DOOR, Slab((back, -half, low), (face, half, length), edge, edge, axis=0))
    window, pocket = b.chance(0.45), b.chance(0.15)
    window = window & ~pocket
    window_y = half * b.uniform(0.6, 0.93)
    pocket_y = half * b.uniform(0.15, 0.9)
    bottom = torch.where(pocket, length * b.uniform(0.85, 0.93), length * b.uniform(0.06, 0.25))
    cut_y = torch.where(pocket, pocket_y, window_y)
    deep = torch.where(pocket, b.uniform(0.3, 0.7), b.uniform(0.05, 0.25)) * thick
    top = torch.where(pocket, length - 0.012 * b.chance(0.6), length * b.uniform(0.7, 0.86))
    b.cut(DOOR, Slab((face - deep, -cut_y, bottom), (face + 1, cut_y, top), b.uniform(0.0, 0.02),
                     axis=0), window | pocket)
    return Door(length, half, back, face, pocket)


def _add_liner(b: Builder, item: Appliance, door: Door) -> None:
    """What goes into the opening behind the door, and a frame around its hollow.

    Draws the liner's depth, 4 to 30 mm, and the frame's width, 20 to 60 mm. The liner keeps clear
    of the opening when the door turns.
    """
    front, shell, thick = item.front, item.shell, item.front.thickness
    liner = b.chance(0.5)
    deep = b.uniform(0.004, 0.03)
    y = torch.minimum(item.size.half_width - shell.side - 0.004, door.half_width - 0.01)
    y = y - b.uniform(0.0, 0.02)
    turn = (front.behind + deep).square() / door.length + 0.004
    z0 = shell.floor - front.low + 0.006
    z1 = torch.minimum(shell.ceiling - front.low - turn, door.length - 0.01)
    b.add(DOOR, Slab((door.back - deep, -y, z0), (door.back + 0.3 * thick, y, z1), 0.01, axis=0),
          liner)
    frame = b.uniform(0.02, 0.06)
    hollow = torch.where(liner, deep * b.uniform(0.4, 1.1), deep + 0.3 * thick)
    b.cut(DOOR, Slab((b.zeros() - 1, frame - y, z0 + frame),
                     (door.back - deep + hollow, y - frame, z1 - frame), 0.01, axis=0),
          b.chance(0.45))


def _add_strip(b: Builder, item: Appliance, door: Door) -> Tensor:
    """A raised strip of controls along the door's top; draws how far it stands out, 3 to 20 mm.

    Returns:
        (n,) x of the face on which a handle stands, m.
    """
    strip = b.chance(0.22) & ~item.front.panel
    x = door.face + b.uniform(0.003, 0.02)
    b.add(DOOR, Slab((door.face - 0.3 * item.front.thickness, -door.half_width,
                      door.length * b.uniform(0.8, 0.9)), (x, door.half_width, door.length),
                     0.002, 0.001, axis=0), strip & ~door.pocket)
    return torch.where(strip, x, door.face)


def _add_handle(b: Builder, item: Appliance, door: Door, x: Tensor) -> None:
    """A handle on the face at x (n,), m: a bar on two posts, a full one, or none.

    Draws its length and place as shares of the door's, half its thickness, 6 to 30 mm, and how far
    it stands out, 22 to 70 mm.
    """
    handle = b.chance(0.82) & ~door.pocket
    y = door.half_width * torch.where(b.chance(0.75), b.uniform(0.55, 0.97), b.uniform(0.12, 0.6))
    z = door.length * torch.where(b.chance(0.8), b.uniform(0.86, 0.97), b.uniform(0.75, 0.9))
    r = torch.where(b.chance(0.7), b.uniform(0.006, 0.018), b.uniform(0.015, 0.03))
    z = torch.minimum(z, door.length - r)
    reach = b.uniform(0.022, 0.07)
    bar = torch.minimum(2 * r * b.uniform(0.5, 1.2), 0.6 * reach)
    b.add(DOOR, Slab((x - 0.3 * item.front.thickness, -y, z - r), (x + reach, y, z + r),
                     r * torch.where(b.chance(0.5), 1.0, 0.2), 0.3 * r, axis=0), handle)
    post = torch.minimum(b.uniform(0.01, 0.04), 0.3 * y)
    b.cut(DOOR, Slab((x + 0.0004, post - y, z - 2 * r), (x + reach - bar, y - post, z + 2 * r),
                     b.chance(0.3) * 0.02), handle & b.chance(0.85))
