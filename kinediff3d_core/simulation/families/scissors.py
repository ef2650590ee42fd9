"""Scissors: office, kitchen, nail and children's scissors, tailor's shears; left-handed too.

The pivot stands on the line through the base half's tip; in z, where it may be said to be
anywhere, in the middle of the other half's box. Seen with the base's tip on -y and z up, that
half lies on top, as on all right-handed scissors whichever way round they lie.
"""

from __future__ import annotations

from math import radians

import torch
from torch import Tensor

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.solids import Instances


def scissors(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """n pairs of scissors, metres."""
    b = Builder(n, generator, device)
    none = torch.zeros(n, device=device)
    hand = torch.where(b.chance(0.12), -1.0, 1.0)  # left-handed ones are mirrored
    blade = b.log_uniform(0.025, 0.165)
    root = (blade * b.uniform(0.09, 0.26)).clamp(0.005, 0.027)
    thick = b.log_uniform(0.001, 0.0036)
    play = b.uniform(0.0001, 0.0006)
    blunt = b.chance(0.4)
    tip = torch.where(blunt, b.uniform(0.002, 0.005), b.uniform(0.0004, 0.0015))
    tip = torch.minimum(tip, 0.4 * root)
    behind = root * b.uniform(0.3, 0.7)
    belly, bevel = blade * b.uniform(0.0, 0.75), b.uniform(radians(12), radians(45))
    bevelled = b.chance(0.4) & ~blunt

    # Handles: loops that lie beside each other or on top of each other, skewed on shears.
    fit = b.uniform(0.75, 1.1) * torch.where(blade < 0.05, b.uniform(0.75, 1.0), 1.0)
    wall = b.log_uniform(0.002, 0.0075)
    metal = b.chance(0.25)
    loop = torch.where(metal, b.log_uniform(0.0008, 0.0025), b.log_uniform(0.0018, 0.006))
    loop = torch.maximum(loop, 0.6 * thick)
    edge = b.uniform(0.0, 1.0) * torch.minimum(loop, wall / 2)
    stacked = torch.where(b.chance(0.4), 1.0, b.uniform(0.0, 1.0) * b.chance(0.5))
    bolster = b.chance(0.5)
    apart = b.uniform(0.0, 0.006) + b.uniform(0.0, 0.01) * b.chance(0.3)
    skew = b.uniform(radians(-20), radians(20)) * b.chance(0.45)
    start = b.uniform(0.012, 0.05) + b.uniform(0.0, 0.04) * b.chance(0.2)
    round_loop = torch.where(b.chance(0.25), b.uniform(0.45, 0.8), b.uniform(0.8, 1.0))
    fillet = b.chance(0.35)
    bigger, twins = b.chance(0.5), b.chance(0.4)
    stretch = b.uniform(1.0, 1.5), b.uniform(1.1, 2.4)
    cap, cap_r = b.uniform(0.0004, 0.0022), b.uniform(0.18, 0.45) * root
    capped = b.chance(0.8)

    for part, side in ((0, 1), (1, -1)):  # side: where the handle is
        face = -side * hand  # towards which z this half lies

        def heights(near: Tensor, far: Tensor, face: Tensor = face) -> tuple[Tensor, Tensor]:
            ends = torch.stack([face * near, face * far])
            return ends.amin(0), ends.amax(0)

        # Blade: back and edge taper towards the tip, which lies on the line through the pivot.
        back = root * b.uniform(0.5, 0.65)
        front = root - back
        low, high = heights(play / 2, play / 2 + thick)
        y = (-back, front) if side > 0 else (-front, back)
        b.slab(part, (-behind, y[0], low), (blade, y[1], high), 0.0, 0.0002)
        b.taper(part, 0.0, side * front, torch.atan2(front, blade), side)
        b.taper(part, belly, -side * back, torch.atan2(back - tip, blade - belly), -side)
        b.taper(part, blade, 0.0, bevel, -side, present=bevelled)
        b.slab(part, (blade - tip, -side * tip / 2 - tip / 2, low),
               (blade, -side * tip / 2 + tip / 2, high), tip / 2, 0.0002, present=blunt)

        # Loop.
        long = torch.where(twins | (bigger if part == 0 else ~bigger), stretch[0], stretch[1])
        sy = b.uniform(0.011, 0.0165) * fit + wall / 2
        sx = sy * long
        r = sy * round_loop
        splay = b.uniform(radians(-6), radians(24)) * b.chance(0.8)
        spread = (sx - r) * splay.sin().abs() + (sy - r) * splay.cos() + r
        cx = -(start + sx)
        cy = side * (spread + apart / 2) - cx * -skew.tan()
        yaw = -side * splay + skew
        z0 = face * stacked * (loop + play / 2)
        low, high = z0 - loop, z0 + loop
        b.slab(part, (cx - sx, cy - sy, low), (cx + sx, cy + sy, high), r, edge, yaw=yaw,
               pivot=(cx, cy, 0.0))
        # Shank: from the pivot over a knee to the loop, thick where it has left the other half;
        # then the loop's hole.
        ex, ey = cx + (sx - wall / 2) * yaw.cos(), cy + (sx - wall / 2) * yaw.sin()
        wide = torch.minimum(wall * b.uniform(1.2, 2.6), 0.9 * root + 0.002)
        wide = torch.where(fillet, torch.maximum(wide, sy * b.uniform(0.6, 1.0)), wide)
        at = b.uniform(0.3, 0.8)
        kx = torch.minimum(ex * at, -1.1 * root)
        kx = torch.maximum(kx, ex - 0.3 * start)
        ky = ey * kx / ex + side * b.uniform(-0.1, 0.15) * start
        axis_y = kx * skew.tan()  # of the pair of handles
        clear = torch.where(stacked < 1, wide / 2 + 0.0004, -1.0)
        ky = side * torch.maximum(side * (ky - axis_y), clear) + axis_y
        b.bar(part, (kx, ky), (ex, ey), wide, low, high, edge=edge)
        b.slab(part, (cx - sx + wall, cy - sy + wall, none - 0.1),
               (cx + sx - wall, cy + sy - wall, none + 0.1), round_loop * (sy - wall), cut=True,
               yaw=yaw, pivot=(cx, cy, 0.0))
        root_far = torch.where(bolster, torch.maximum(z0 * face + loop, play + thick),
                               play / 2 + thick)
        b.bar(part, (none, none), (kx, ky), root * b.uniform(0.7, 1.0),
              *heights(play / 2, root_far), edge=0.0003)
        b.slab(part, (-cap_r, -cap_r, heights(root_far - 0.0002, root_far + cap)[0]),
               (cap_r, cap_r, heights(root_far - 0.0002, root_far + cap)[1]), cap_r, 0.4 * cap,
               present=capped)

    upper = b.uniform(radians(50), radians(100))[:, None]
    origin = torch.zeros(n, 1, 3, device=device)
    return b.build(get_category('scissors'), origin, upper, middle=(2,))
