"""Scissors: office, kitchen, nail and children's scissors, tailor's shears; left-handed too.

The pivot stands on the line through the base half's tip. In z its place is free: it is in the
middle of the other half's box. Seen with the base's tip on -y and z up, the other half lies on
top, as on all right-handed scissors whichever way round they lie. Both halves are built in one
frame: the pivot in the origin, the blades along +x, closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab, half_space, ordered, stadium
from kinediff3d_core.simulation.solids import Instances


def scissors(b: Builder) -> Instances:
    """Scissors, metres."""
    blades = _draw_blades(b)
    handles = _draw_handles(b, blades)
    for part, side in ((0, 1), (1, -1)):
        half = Half(part, side, -side * blades.hand)
        _add_blade(b, half, blades)
        loop = _add_loop(b, half, blades, handles)
        knee = _add_shank(b, half, blades, handles, loop)
        _add_pivot(b, half, blades, handles, loop, knee)
    return b.build(b.uniform(radians(50), radians(100))[:, None], middle=(2,))


@dataclass(frozen=True)
class Blades:
    """Sizes that both blades share; m, each (n,).

    Attributes:
        hand: 1 for right-handed scissors, -1 for left-handed ones, which are mirrored.
        root: width at the pivot.
        play: gap between the blades.
        blunt: bool; with a round tip.
        tip: width of the tip.
        behind: how far the blade goes on behind the pivot.
        belly: x where the back begins to fall to the tip.
        bevel: angle of a cut-off tip, rad.
    """

    hand: Tensor
    length: Tensor
    root: Tensor
    thickness: Tensor
    play: Tensor
    blunt: Tensor
    tip: Tensor
    behind: Tensor
    belly: Tensor
    bevel: Tensor
    bevelled: Tensor


@dataclass(frozen=True)
class Handles:
    """Sizes that both handles share; m, each (n,).

    Attributes:
        fit: factor of the loops' size.
        wall: width of a loop's ring.
        stacked: 1 where each loop lies on its own side of the cutting plane, 0 where both lie in
            it.
        bolster: bool; the shank is as thick at the pivot as the loop.
        apart: gap between the loops in y.
        skew: angle between the handles' axis and the blades', rad.
        start: from the pivot to the loops.
        roundness: radius of a loop's corners, as a share of its half width.
        fillet: bool; a wide shank.
        bigger: bool; the base half has the shorter loop.
        equal: bool; both loops have the same length.
        stretch: length of the shorter and of the longer loop, as a multiple of its width.
        cap: height of the pivot's cap.
    """

    fit: Tensor
    wall: Tensor
    half_thickness: Tensor
    edge: Tensor
    stacked: Tensor
    bolster: Tensor
    apart: Tensor
    skew: Tensor
    start: Tensor
    roundness: Tensor
    fillet: Tensor
    bigger: Tensor
    equal: Tensor
    stretch: tuple[Tensor, Tensor]
    cap: Tensor
    cap_radius: Tensor
    capped: Tensor


@dataclass(frozen=True)
class Half:
    """One of the two halves: its part, the side of its handle (1 is +y), and its z direction.

    Attributes:
        face: (n,) 1 if it lies above the cutting plane, else -1.
    """

    part: int
    side: int
    face: Tensor

    def heights(self, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper z (n,) of what is between two distances from the cutting plane, m."""
        return ordered(self.face * near, self.face * far)


@dataclass(frozen=True)
class Loop:
    """Where a handle's loop lies; m, each (n,).

    Attributes:
        z: middle of its thickness.
    """

    centre: tuple[Tensor, Tensor]
    half: tuple[Tensor, Tensor]
    yaw: Tensor
    z: Tensor


def _draw_blades(b: Builder) -> Blades:
    """Draws the length, 25 to 165 mm, the width as a share of it, and the thickness, 1 to 3.6 mm.

    The gap between the blades is 0.1 to 0.6 mm, the tip 0.4 to 5 mm wide, the bevel 12 to 45
    degrees.
    """
    hand = torch.where(b.chance(0.12), -1.0, 1.0)
    length = b.log_uniform(0.025, 0.165)
    root = (length * b.uniform(0.09, 0.26)).clamp(0.005, 0.027)
    thickness = b.log_uniform(0.001, 0.0036)
    play = b.uniform(0.0001, 0.0006)
    blunt = b.chance(0.4)
    tip = torch.where(blunt, b.uniform(0.002, 0.005), b.uniform(0.0004, 0.0015))
    tip = torch.minimum(tip, 0.4 * root)
    behind = root * b.uniform(0.3, 0.7)
    belly, bevel = length * b.uniform(0.0, 0.75), b.uniform(radians(12), radians(45))
    return Blades(hand, length, root, thickness, play, blunt, tip, behind, belly, bevel,
                  bevelled=b.chance(0.4) & ~blunt)


def _draw_handles(b: Builder, blades: Blades) -> Handles:
    """Draws loops that lie beside or on top of each other, skewed by up to 20 degrees on shears.

    Their rings are 2 to 7.5 mm wide and 1.6 to 12 mm thick; the shanks are 12 to 90 mm long.
    """
    fit = b.uniform(0.75, 1.1) * torch.where(blades.length < 0.05, b.uniform(0.75, 1.0), 1.0)
    wall = b.log_uniform(0.002, 0.0075)
    metal = b.chance(0.25)
    thick = torch.where(metal, b.log_uniform(0.0008, 0.0025), b.log_uniform(0.0018, 0.006))
    thick = torch.maximum(thick, 0.6 * blades.thickness)
    edge = b.uniform(0.0, 1.0) * torch.minimum(thick, wall / 2)
    stacked = torch.where(b.chance(0.4), 1.0, b.uniform(0.0, 1.0) * b.chance(0.5))
    bolster = b.chance(0.5)
    apart = b.uniform(0.0, 0.006) + b.uniform(0.0, 0.01) * b.chance(0.3)
    skew = b.uniform(radians(-20), radians(20)) * b.chance(0.45)
    start = b.uniform(0.012, 0.05) + b.uniform(0.0, 0.04) * b.chance(0.2)
    roundness = torch.where(b.chance(0.25), b.uniform(0.45, 0.8), b.uniform(0.8, 1.0))
    fillet = b.chance(0.35)
    bigger, equal = b.chance(0.5), b.chance(0.4)
    stretch = b.uniform(1.0, 1.5), b.uniform(1.1, 2.4)
    cap, cap_radius = b.uniform(0.0004, 0.0022), b.uniform(0.18, 0.45) * blades.root
    return Handles(fit, wall, thick, edge, stacked, bolster, apart, skew, start, roundness, fillet,
                   bigger, equal, stretch, cap, cap_radius, capped=b.chance(0.8))


def _add_blade(b: Builder, half: Half, blades: Blades) -> None:
    """A blade whose back and edge fall to the tip, which lies on the line through the pivot.

    Draws how wide it is on the back's side of the pivot, as a share of the root.
    """
    part, side, length, tip = half.part, half.side, blades.length, blades.tip
    back = blades.root * b.uniform(0.5, 0.65)
    front = blades.root - back
    low, high = half.heights(blades.play / 2, blades.play / 2 + blades.thickness)
    y = (-back, front) if side > 0 else (-front, back)
    b.add(part, Slab((-blades.behind, y[0], low), (length, y[1], high), 0.0, 0.0002))
    b.cut(part, half_space(0.0, side * front, torch.atan2(front, length), side))
    b.cut(part, half_space(blades.belly, -side * back,
                           torch.atan2(back - tip, length - blades.belly), -side))
    b.cut(part, half_space(length, 0.0, blades.bevel, -side), blades.bevelled)
    b.add(part, Slab((length - tip, -side * tip / 2 - tip / 2, low),
                     (length, -side * tip / 2 + tip / 2, high), tip / 2, 0.0002), blades.blunt)


def _add_loop(b: Builder, half: Half, blades: Blades, handles: Handles) -> Loop:
    """The outside of a handle's loop.

    Draws its half width, 11 to 16.5 mm before ``fit``, and how far it is splayed, -6 to 24
    degrees.
    """
    side, shorter = half.side, handles.bigger if half.part == 0 else ~handles.bigger
    long = torch.where(handles.equal | shorter, handles.stretch[0], handles.stretch[1])
    sy = b.uniform(0.011, 0.0165) * handles.fit + handles.wall / 2
    sx = sy * long
    r = sy * handles.roundness
    splay = b.uniform(radians(-6), radians(24)) * b.chance(0.8)
    reach_y = (sx - r) * splay.sin().abs() + (sy - r) * splay.cos() + r
    cx = -(handles.start + sx)
    cy = side * (reach_y + handles.apart / 2) - cx * -handles.skew.tan()
    yaw = -side * splay + handles.skew
    z = half.face * handles.stacked * (handles.half_thickness + blades.play / 2)
    b.add(half.part, Slab((cx - sx, cy - sy, z - handles.half_thickness),
                          (cx + sx, cy + sy, z + handles.half_thickness), r, handles.edge,
                          yaw=yaw, pivot=(cx, cy, 0.0)))
    return Loop((cx, cy), (sx, sy), yaw, z)


def _add_shank(b: Builder, half: Half, blades: Blades, handles: Handles, loop: Loop,
               ) -> tuple[Tensor, Tensor]:
    """The shank from a knee to the loop, then the loop's hole.

    Draws the shank's width as a multiple of the ring's, and the knee's place as shares. The knee
    keeps clear of the other half where the handles overlap in height.

    Returns:
        x and y (n,) of the knee, m.
    """
    side, wall, (cx, cy), (sx, sy) = half.side, handles.wall, loop.centre, loop.half
    ex, ey = cx + (sx - wall / 2) * loop.yaw.cos(), cy + (sx - wall / 2) * loop.yaw.sin()
    width = torch.minimum(wall * b.uniform(1.2, 2.6), 0.9 * blades.root + 0.002)
    width = torch.where(handles.fillet, torch.maximum(width, sy * b.uniform(0.6, 1.0)), width)
    kx = torch.minimum(ex * b.uniform(0.3, 0.8), -1.1 * blades.root)
    kx = torch.maximum(kx, ex - 0.3 * handles.start)
    ky = ey * kx / ex + side * b.uniform(-0.1, 0.15) * handles.start
    axis_y = kx * handles.skew.tan()
    clear = torch.where(handles.stacked < 1, width / 2 + 0.0004, -1.0)
    ky = side * torch.maximum(side * (ky - axis_y), clear) + axis_y
    z = loop.z - handles.half_thickness, loop.z + handles.half_thickness
    b.add(half.part, stadium((kx, ky), (ex, ey), width, z, handles.edge))
    b.cut(half.part, Slab((cx - sx + wall, cy - sy + wall, b.zeros() - 0.1),
                          (cx + sx - wall, cy + sy - wall, b.zeros() + 0.1),
                          handles.roundness * (sy - wall), yaw=loop.yaw, pivot=(cx, cy, 0.0)))
    return kx, ky


def _add_pivot(b: Builder, half: Half, blades: Blades, handles: Handles, loop: Loop,
               knee: tuple[Tensor, Tensor]) -> None:
    """From the pivot to the knee, thick where there is a bolster; and the pivot's cap.

    Draws the width as a share of the root.
    """
    plain = blades.play / 2 + blades.thickness
    far = torch.where(handles.bolster, torch.maximum(loop.z * half.face + handles.half_thickness,
                                                     blades.play + blades.thickness), plain)
    b.add(half.part, stadium((b.zeros(), b.zeros()), knee, blades.root * b.uniform(0.7, 1.0),
                             half.heights(blades.play / 2, far), edge=0.0003))
    r = handles.cap_radius
    low, high = half.heights(far - 0.0002, far + handles.cap)
    b.add(half.part, Slab((-r, -r, low), (r, r, high), r, 0.4 * handles.cap), handles.capped)
