"""Staplers: pocket, desk, heavy duty and long reach; flat, rounded and sloping, closed or at rest.

The pivot is the hinge's pin; in y in the middle. The base is built with x from its rear end (0) to
the mouth and z = 0 at the plate's underside; the arm in the frame of the hinge. At q = 0 the
magazine is parallel to the plate, whether or not a spring lets it get there: any view shows that
angle, and only a view of the arm at rest shows where it rests. So the rest is a joint limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab, ordered
from kinediff3d_core.simulation.solids import Instances

BASE, ARM = 0, 1


def stapler(b: Builder) -> Instances:
    """Staplers, metres."""
    base = _add_base(b)
    arm = _draw_arm(b, base)
    _add_anvil(b, base, arm)
    _add_hinge(b, base, arm)
    _add_magazine_and_cover(b, arm)
    _cut_cover_slopes(b, arm)
    _add_nose(b, base, arm)
    lever = _add_lever(b, base, arm)
    _add_pin(b, arm)
    upper = _upper_limit(b, arm, arm.top + 0.7 * lever)
    return b.build(upper[:, None], b.pivot(arm.hinge_x, base.plate + arm.lift), middle=(1,),
                   lower=arm.rest[:, None])


@dataclass(frozen=True)
class BaseSize:
    """Sizes of the base plate; m, each (n,).

    Attributes:
        scale: length without what a long reach adds: other sizes are shares of it.
        plate: thickness of the plate.
    """

    scale: Tensor
    length: Tensor
    half_y: Tensor
    plate: Tensor


@dataclass(frozen=True)
class ArmSize:
    """Sizes of the arm in the frame of the hinge; m and rad, each (n,).

    Attributes:
        lift: height of the hinge over the plate.
        under: how far the magazine's underside is below the hinge.
        magazine: height of the magazine.
        cover: height of the cover.
        cover_low: z of the cover's underside.
        cheeks: bool; two cheeks on the base hold the pin.
        block: bool; a block on the base holds it.
        turn: radius of the magazine's rear corner.
        rear: how far the magazine goes behind the hinge.
        cover_rear: how far the cover goes behind the hinge.
        rest: angle of the magazine over the plate when the stapler is at rest, rad.
        gape: angle of the cover over the magazine, rad.
    """

    lift: Tensor
    under: Tensor
    hinge_x: Tensor
    half_y: Tensor
    magazine: Tensor
    cover: Tensor
    cover_low: Tensor
    cheeks: Tensor
    block: Tensor
    turn: Tensor
    rear: Tensor
    cover_rear: Tensor
    length: Tensor
    rest: Tensor
    gape: Tensor

    @property
    def top(self) -> Tensor:
        """z of the cover's upper side."""
        return self.cover_low + self.cover

    @property
    def cover_pitch(self) -> Tensor:
        return -self.gape


def _add_base(b: Builder) -> BaseSize:
    """The plate, a foot at its front, a hollow in its underside and rubber under it.

    Draws the length, 55 to 340 mm, and all other sizes as shares of it or of the plate's.
    """
    zero = b.zeros()
    scale = b.log_uniform(0.055, 0.2)
    length = scale * torch.where(b.chance(0.08), b.uniform(1.3, 1.7), 1.0)
    half_y = (scale * b.uniform(0.075, 0.165)).clamp(0.007, 0.03)
    plate = (scale * b.log_uniform(0.012, 0.07)).clamp_min(0.001)
    corner = b.uniform(0.0, 1.0) * half_y * b.chance(0.8)
    edge = b.uniform(0.0, 0.5) * plate * b.chance(0.6)
    b.add(BASE, Slab((zero, -half_y, zero), (length, half_y, plate), corner, edge))
    foot = b.uniform(0.0, 0.05) * scale
    b.add(BASE, Slab((length * b.uniform(0.6, 0.85), -half_y, -foot),
                     (length, half_y, 0.6 * plate), corner), b.chance(0.35))
    b.cut(BASE, Slab((length * b.uniform(0.1, 0.25), zero - 1, zero - 1),
                     (length * b.uniform(0.55, 0.8), zero + 1, plate * b.uniform(0.2, 0.6))),
          b.chance(0.3))
    flare, rubber = half_y * b.uniform(0.85, 1.15), b.uniform(0.001, 0.005)
    b.add(BASE, Slab((length * b.uniform(-0.02, 0.1), -flare, -rubber),
                     (length * b.uniform(0.9, 1.02), flare, zero + 0.0003), corner, 0.3 * rubber),
          b.chance(0.4))
    return BaseSize(scale, length, half_y, plate)


def _draw_arm(b: Builder, base: BaseSize) -> ArmSize:
    """Draws the arm's sizes as shares of the scale, and angles at rest of up to 6 degrees.

    The rear end turns about the pin: it keeps clear of what is below it, block or plate.
    """
    scale, length = base.scale, base.length
    lift = scale * b.uniform(0.03, 0.15)
    under = torch.minimum(lift - 0.0008, lift * b.uniform(0.3, 1.0)).clamp_min(0.0005)
    hinge_x = length * b.uniform(0.03, 0.15)
    half_y = base.half_y * b.uniform(0.55, 1.0)
    magazine = scale * b.uniform(0.05, 0.11)
    cover = scale * b.uniform(0.04, 0.13)
    cover_low = -under + magazine * b.uniform(0.3, 1.0)
    cheeks = b.chance(0.65)
    block = ~cheeks | b.chance(0.2)
    turn = torch.minimum(under, magazine / 2) * b.uniform(0.6, 1.0)
    radius = torch.where(block, under, lift - 0.0005) + 0.001
    stub = b.uniform(0.75, 1.0)
    most = hinge_x + 0.01
    rear = torch.minimum(_rear_reach(radius, under, turn), most) * stub
    cover_rear = torch.minimum(_rear_reach(radius, -cover_low, 0.0), most) * stub
    arm = length - hinge_x + length * b.uniform(-0.08, 0.04)
    rest = b.uniform(0.0, radians(6)) * b.chance(0.45)
    gape = b.uniform(0.0, radians(6)) * b.chance(0.4)
    return ArmSize(lift, under, hinge_x, half_y, magazine, cover, cover_low, cheeks, block, turn,
                   rear, cover_rear, arm, rest, gape)


def _rear_reach(radius: Tensor, drop: Tensor, rounding: Tensor | float) -> Tensor:
    """How far behind the pin a rounded corner may reach, so that it turns within a radius.

    Args:
        radius: (n,) of the free space about the pin, m.
        drop: (n,) how far the corner is below the pin, m.
        rounding: of the corner, m.
    """
    room = (radius - rounding).square() - (drop - rounding).clamp_min(0).square()
    return rounding + room.clamp_min(1e-8).sqrt()


def _add_anvil(b: Builder, base: BaseSize, arm: ArmSize) -> None:
    """The anvil under the mouth with its groove. Draws its height, 0.8 to 2.5 mm, and place."""
    scale, half_y, plate = base.scale, base.half_y, base.plate
    x = arm.length + arm.hinge_x - b.uniform(0.02, 0.1) * scale
    height = torch.minimum(b.uniform(0.0008, 0.0025), arm.lift - arm.under)
    b.add(BASE, Slab((x - 0.04 * scale, -0.7 * half_y, plate - 0.0005),
                     (x + 0.04 * scale, 0.7 * half_y, plate + height), 0.001), b.chance(0.6))
    b.cut(BASE, Slab((x - 0.015 * scale, -0.35 * half_y, plate + height - 0.001),
                     (x + 0.015 * scale, 0.35 * half_y, b.zeros() + 1), 0.0005), b.chance(0.4))


def _add_hinge(b: Builder, base: BaseSize, arm: ArmSize) -> None:
    """The hinge on the base: two cheeks with the pin's heads, or a block under the arm's rear.

    Draws the cheeks' thickness, 0.9 to 3 mm, and their radius and that of the heads as shares.
    """
    x, z, y, scale = arm.hinge_x, base.plate + arm.lift, arm.half_y, base.scale
    cheek = b.uniform(0.0009, 0.003)
    r = torch.minimum(scale * b.uniform(0.03, 0.08), arm.top + 0.002).clamp_min(0.002)
    back = r * b.uniform(0.8, 2.0)
    head = r * b.uniform(0.3, 0.7)
    for side in (1, -1):
        low, high = ordered(side * (y + 0.0003), side * (y + 0.0003 + cheek))
        b.add(BASE, Slab((x - r, low, b.zeros()), (x + back, high, z + r), r, axis=1), arm.cheeks)
        low, high = ordered(side * (y + cheek), side * (y + cheek + 0.0015))
        b.add(BASE, Slab((x - head, low, z - head), (x + head, high, z + head), head, 0.0005,
                         axis=1), arm.cheeks & b.chance(0.7))
    block_y = y * b.uniform(0.6, 1.0)
    b.add(BASE, Slab((x - arm.rear, -block_y, b.zeros()),
                     (x + scale * b.uniform(0.03, 0.1), block_y, z - arm.under - 0.0005), 0.002),
          arm.block)


def _add_magazine_and_cover(b: Builder, arm: ArmSize) -> None:
    """The magazine with its channel, and the cover over it.

    Draws lengths and widths as shares of the arm's, and the cover's rounding.
    """
    front = arm.length * b.uniform(0.85, 1.0)
    y = arm.half_y * b.uniform(0.5, 1.0)
    b.add(ARM, Slab((-arm.rear, -y, -arm.under), (front, y, arm.magazine - arm.under), arm.turn,
                    axis=1))
    b.cut(ARM, Slab((0.15 * arm.length, -0.6 * y, b.zeros() - 1),
                    (arm.length * 0.95, 0.6 * y, arm.magazine * b.uniform(0.2, 0.7) - arm.under)),
          b.chance(0.35))
    corner = arm.cover * b.uniform(0.0, 0.5)
    edge = torch.minimum(arm.half_y, arm.cover / 2) * b.uniform(0.0, 0.9) * b.chance(0.7)
    b.add(ARM, Slab((-arm.cover_rear, -arm.half_y, arm.cover_low),
                    (arm.length, arm.half_y, arm.top), corner, edge, axis=1,
                    pitch=arm.cover_pitch))


def _cut_cover_slopes(b: Builder, arm: ArmSize) -> None:
    """Cuts the cover's top so that it falls to the front, or to the rear.

    Draws where a slope begins, as a share of the arm's length, and how deep it goes, as a share of
    the cover's height.
    """
    pitch = arm.cover_pitch
    for to_front, share in ((True, 0.4), (False, 0.3)):
        at = arm.length * (b.uniform(0.0, 0.75) if to_front else b.uniform(0.1, 0.6))
        run = arm.length - at if to_front else at + arm.cover_rear
        slope = torch.atan2(arm.cover * b.uniform(0.15, 0.8), run)
        slope = slope if to_front else -slope
        x = at * pitch.cos() + arm.top * pitch.sin()
        z = arm.top * pitch.cos() - at * pitch.sin()
        b.cut(ARM, Slab((x - 1, b.zeros() - 1, z), (x + 1, b.zeros() + 1, z + 2),
                        pitch=pitch + slope, pivot=(x, 0.0, z)), b.chance(share))


def _add_nose(b: Builder, base: BaseSize, arm: ArmSize) -> None:
    """A thicker front end, and a rest for the thumb. Draws their sizes as shares."""
    scale, front = base.scale, arm.length
    length = scale * b.uniform(0.04, 0.28)
    y = arm.half_y * b.uniform(0.85, 1.2)
    b.add(ARM, Slab((front - length, -y, -arm.under * b.uniform(0.0, 1.0)),
                    (front + scale * b.uniform(-0.01, 0.03), y, arm.top * b.uniform(0.6, 1.15)),
                    arm.cover * b.uniform(0.0, 0.5), 0.15 * y, axis=1), b.chance(0.5))
    y = arm.half_y * b.uniform(0.6, 1.1)
    b.add(ARM, Slab((front - scale * b.uniform(0.2, 0.45), -y, 0.6 * arm.top),
                    (front - scale * b.uniform(0.0, 0.08), y,
                     arm.top + scale * b.uniform(0.0, 0.02)), y, 0.001, pitch=arm.cover_pitch),
          b.chance(0.3))


def _add_lever(b: Builder, base: BaseSize, arm: ArmSize) -> Tensor:
    """The lever over the cover of heavy-duty staplers, raised by 2 to 9 degrees.

    Returns:
        (n,) its height, m, 0 where there is none.
    """
    heavy, raised = b.chance(0.12), b.uniform(radians(2), radians(9))
    lever = base.scale * b.uniform(0.03, 0.08)
    b.add(ARM, Slab((-0.7 * arm.cover_rear, -0.9 * arm.half_y, arm.top - 0.5 * arm.cover),
                    (arm.length * b.uniform(0.8, 1.1), 0.9 * arm.half_y, arm.top + 0.7 * lever),
                    0.4 * lever, 0.2 * lever, axis=1, pitch=arm.cover_pitch - raised), heavy)
    return lever * heavy


def _add_pin(b: Builder, arm: ArmSize) -> None:
    """The arm's eye around the pin; draws nothing."""
    r, y = arm.under, arm.half_y
    b.add(ARM, Slab((-0.6 * r, -0.98 * y, -0.6 * r),
                    (1.2 * r, 0.98 * y, arm.cover_low + 0.3 * arm.cover), r, axis=1))


def _upper_limit(b: Builder, arm: ArmSize, high: Tensor) -> Tensor:
    """Draws the largest opening angle (n,), 60 to 110 degrees, rad.

    The arm stops where its upper rear corner, at the height ``high`` (n,), m, meets the plate, if
    it reaches so far back.
    """
    back = torch.maximum(arm.rear, arm.cover_rear)
    hit = torch.acos((-arm.lift / torch.hypot(back, high)).clamp_min(-1)) - torch.atan2(back, high)
    meets = back * hit.cos() + high * hit.sin() < arm.hinge_x
    upper = torch.where(meets, hit, radians(110))
    return torch.minimum(upper, b.uniform(radians(60), radians(110)))
