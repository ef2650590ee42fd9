"""Staplers: pocket, desk, heavy duty and long reach; flat, rounded and sloping, closed or at rest.

The pivot is the hinge's pin; in y in the middle.
"""

from __future__ import annotations

from math import radians

import torch
from torch import Tensor

from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.solids import Instances


def stapler(n: int, generator: torch.Generator, device: torch.device | str) -> Instances:
    """n staplers, metres."""
    b = Builder(n, generator, device)
    none = torch.zeros(n, device=device)
    scale = b.log_uniform(0.055, 0.2)  # length without what a long reach adds
    length = scale * torch.where(b.chance(0.08), b.uniform(1.3, 1.7), 1.0)
    half_y = (scale * b.uniform(0.075, 0.165)).clamp(0.007, 0.03)
    plate = (scale * b.log_uniform(0.012, 0.07)).clamp_min(0.001)

    # Base: plate, front foot, hollow underneath, rubber, anvil with its groove.
    corner = b.uniform(0.0, 1.0) * half_y * b.chance(0.8)
    edge = b.uniform(0.0, 0.5) * plate * b.chance(0.6)
    b.slab(0, (none, -half_y, none), (length, half_y, plate), corner, edge)
    foot = b.uniform(0.0, 0.05) * scale
    b.slab(0, (length * b.uniform(0.6, 0.85), -half_y, -foot), (length, half_y, 0.6 * plate),
           corner, present=b.chance(0.35))
    b.slab(0, (length * b.uniform(0.1, 0.25), none - 1, none - 1),
           (length * b.uniform(0.55, 0.8), none + 1, plate * b.uniform(0.2, 0.6)),
           present=b.chance(0.3), cut=True)
    flare, rubber = half_y * b.uniform(0.85, 1.15), b.uniform(0.001, 0.005)
    b.slab(0, (length * b.uniform(-0.02, 0.1), -flare, -rubber),
           (length * b.uniform(0.9, 1.02), flare, none + 0.0003), corner, 0.3 * rubber,
           present=b.chance(0.4))

    # Arm's sizes: the hinge's height over the plate, the magazine's underside below the hinge.
    lift = scale * b.uniform(0.03, 0.15)
    under = torch.minimum(lift - 0.0008, lift * b.uniform(0.3, 1.0)).clamp_min(0.0005)
    hinge_x = length * b.uniform(0.03, 0.15)
    hinge_z = plate + lift
    arm_y = half_y * b.uniform(0.55, 1.0)
    magazine = scale * b.uniform(0.05, 0.11)
    cover = scale * b.uniform(0.04, 0.13)
    cover_low = -under + magazine * b.uniform(0.3, 1.0)
    top = cover_low + cover
    # The rear end turns about the pin: it keeps clear of what is below it, block or plate.
    cheeks = b.chance(0.65)
    block = ~cheeks | b.chance(0.2)
    turn = torch.minimum(under, magazine / 2) * b.uniform(0.6, 1.0)
    free = torch.where(block, under, lift - 0.0005) + 0.001

    def clear_rear(z: Tensor, rounding: Tensor | float) -> Tensor:
        """How far back a rounded corner at height z may be."""
        room = (free - rounding).square() - (z - rounding).clamp_min(0).square()
        return torch.minimum(rounding + room.clamp_min(1e-8).sqrt(), hinge_x + 0.01)

    stub = b.uniform(0.75, 1.0)
    rear = clear_rear(under, turn) * stub
    cover_rear = clear_rear(-cover_low, 0.0) * stub
    arm = length - hinge_x + length * b.uniform(-0.08, 0.04)
    rest = b.uniform(0.0, radians(6)) * b.chance(0.45)
    gape = b.uniform(0.0, radians(6)) * b.chance(0.4)  # of the cover over the magazine

    anvil_x = arm + hinge_x - b.uniform(0.02, 0.1) * scale
    anvil = torch.minimum(b.uniform(0.0008, 0.0025), lift - under)
    b.slab(0, (anvil_x - 0.04 * scale, -0.7 * half_y, plate - 0.0005),
           (anvil_x + 0.04 * scale, 0.7 * half_y, plate + anvil), 0.001, present=b.chance(0.6))
    b.slab(0, (anvil_x - 0.015 * scale, -0.35 * half_y, plate + anvil - 0.001),
           (anvil_x + 0.015 * scale, 0.35 * half_y, none + 1), 0.0005, present=b.chance(0.4),
           cut=True)

    # Hinge on the base: two cheeks with the pin's heads, or a block under the arm's rear end.
    cheek = b.uniform(0.0009, 0.003)
    cheek_r = torch.minimum(scale * b.uniform(0.03, 0.08), top + 0.002).clamp_min(0.002)
    cheek_back = cheek_r * b.uniform(0.8, 2.0)
    head_r = cheek_r * b.uniform(0.3, 0.7)
    for side in (1, -1):
        ends = torch.stack([side * (arm_y + 0.0003), side * (arm_y + 0.0003 + cheek)])
        b.slab(0, (hinge_x - cheek_r, ends.amin(0), none), (hinge_x + cheek_back, ends.amax(0),
                                                           hinge_z + cheek_r), cheek_r,
               present=cheeks, axis=1)
        ends = torch.stack([side * (arm_y + cheek), side * (arm_y + cheek + 0.0015)])
        b.slab(0, (hinge_x - head_r, ends.amin(0), hinge_z - head_r),
               (hinge_x + head_r, ends.amax(0), hinge_z + head_r), head_r, 0.0005,
               present=cheeks & b.chance(0.7), axis=1)
    block_y = arm_y * b.uniform(0.6, 1.0)
    b.slab(0, (hinge_x - rear, -block_y, none),
           (hinge_x + scale * b.uniform(0.03, 0.1), block_y, hinge_z - under - 0.0005), 0.002,
           present=block)

    # Arm: magazine with its channel, cover over it, sloping to the front or to the rear.
    front = arm * b.uniform(0.85, 1.0)
    channel_y = arm_y * b.uniform(0.5, 1.0)
    b.slab(1, (-rear, -channel_y, -under), (front, channel_y, magazine - under), turn, axis=1,
           pitch=-rest)
    b.slab(1, (0.15 * arm, -0.6 * channel_y, none - 1),
           (arm * 0.95, 0.6 * channel_y, magazine * b.uniform(0.2, 0.7) - under),
           present=b.chance(0.35), cut=True, pitch=-rest)
    lifted = -(rest + gape)
    b.slab(1, (-cover_rear, -arm_y, cover_low), (arm, arm_y, top), cover * b.uniform(0.0, 0.5),
           torch.minimum(arm_y, cover / 2) * b.uniform(0.0, 0.9) * b.chance(0.7), axis=1,
           pitch=lifted)
    for to_front, share in ((True, 0.4), (False, 0.3)):
        at = arm * (b.uniform(0.0, 0.75) if to_front else b.uniform(0.1, 0.6))
        run = arm - at if to_front else at + cover_rear
        slope = torch.atan2(cover * b.uniform(0.15, 0.8), run)
        slope = slope if to_front else -slope
        x = at * lifted.cos() + top * lifted.sin()
        z = top * lifted.cos() - at * lifted.sin()
        b.slab(1, (x - 1, none - 1, z), (x + 1, none + 1, z + 2), present=b.chance(share),
               cut=True, pitch=lifted + slope, pivot=(x, 0.0, z))

    # Nose, thumb rest, and the lever of heavy ones.
    nose = scale * b.uniform(0.04, 0.28)
    nose_y = arm_y * b.uniform(0.85, 1.2)
    b.slab(1, (arm - nose, -nose_y, -under * b.uniform(0.0, 1.0)),
           (arm + scale * b.uniform(-0.01, 0.03), nose_y, top * b.uniform(0.6, 1.15)),
           cover * b.uniform(0.0, 0.5), 0.15 * nose_y, present=b.chance(0.5), axis=1, pitch=-rest)
    rest_y = arm_y * b.uniform(0.6, 1.1)
    b.slab(1, (arm - scale * b.uniform(0.2, 0.45), -rest_y, 0.6 * top),
           (arm - scale * b.uniform(0.0, 0.08), rest_y, top + scale * b.uniform(0.0, 0.02)),
           rest_y, 0.001, present=b.chance(0.3), pitch=lifted)
    heavy, raised = b.chance(0.12), b.uniform(radians(2), radians(9))
    lever = scale * b.uniform(0.03, 0.08)
    b.slab(1, (-0.7 * cover_rear, -0.9 * arm_y, top - 0.5 * cover),
           (arm * b.uniform(0.8, 1.1), 0.9 * arm_y, top + 0.7 * lever), 0.4 * lever, 0.2 * lever,
           present=heavy, axis=1, pitch=lifted - raised)
    b.slab(1, (-0.6 * under, -0.98 * arm_y, -0.6 * under),
           (1.2 * under, 0.98 * arm_y, cover_low + 0.3 * cover), under, axis=1)

    # It opens until its upper rear corner meets the plate, if that reaches so far back.
    back, high = torch.maximum(rear, cover_rear), top + 0.7 * lever * heavy
    hit = torch.acos((-lift / torch.hypot(back, high)).clamp_min(-1)) - torch.atan2(back, high)
    meets = back * hit.cos() + high * hit.sin() < hinge_x
    upper = torch.where(meets, hit, radians(110))
    upper = torch.minimum(upper, b.uniform(radians(60), radians(110)))
    origin = torch.stack([hinge_x, none, hinge_z], dim=-1)[:, None]
    return b.build(get_category('stapler'), origin, upper[:, None], middle=(1,))
