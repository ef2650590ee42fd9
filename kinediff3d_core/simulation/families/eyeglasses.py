"""Eyeglasses: wire and acetate frames, half rims, rimless ones, sunglasses, goggles and shields.

Pivots stand at the end pieces, behind the front. In z the place of a hinge is free: it is in the
middle of the leg's box. The front is built in the plane x = 0, x to where the wearer looks, with
y = z = 0 between the lenses; each leg in the frame of its hinge, straight back. Legs that come to
rest leaning inwards have their lower limit there: their zero is straight back, too, because any
view shows that direction and only a view of legs at rest shows where they rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab, ordered
from kinediff3d_core.simulation.solids import Instances

FRONT, LEFT_LEG, RIGHT_LEG = 0, 1, 2


def eyeglasses(b: Builder) -> Instances:
    """Eyeglasses, metres."""
    size = _draw_lens(b)
    front = Front(size, _draw_kind(b, size), _draw_second_shape(b, size))
    _add_rims_and_lenses(b, front)
    _add_bridge(b, front)
    pads = _add_nose_pads(b, front)
    end = _add_end_pieces(b, front)
    length, pieces, rest = _draw_legs(b, size, end)
    tip_y = _add_legs(b, end, pieces)
    upper = _upper_limit(b, front, pads, end, length, tip_y)
    origin = torch.stack([torch.stack([end.hinge_x, side * end.hinge_y, end.z], dim=-1)
                          for side in (1, -1)], dim=1)
    return b.build(upper[:, None].expand(-1, 2), origin, middle=(2,),
                   lower=rest[:, None].expand(-1, 2))


@dataclass(frozen=True)
class LensSize:
    """Width of the front, and one lens as a rounded rectangle in it; m, each (n,).

    Attributes:
        gap: between the lenses.
        ear: how far an end piece stands out beyond its lens.
        corner: radius of the corners.
    """

    width: Tensor
    gap: Tensor
    ear: Tensor
    half_y: Tensor
    half_z: Tensor
    corner: Tensor

    @property
    def small(self) -> Tensor:
        return torch.minimum(self.half_y, self.half_z)

    def inset_at(self, z: Tensor) -> Tensor:
        """How far (n,) the rounded contour is inside its rectangle at a height z (n,), m."""
        over = (z.abs() - (self.half_z - self.corner)).clamp_min(0)
        return self.corner - (self.corner.square() - over.square()).clamp_min(0).sqrt()


@dataclass(frozen=True)
class FrontKind:
    """What kind of front it is, bool, and its thicknesses and angles; m and rad, each (n,).

    Attributes:
        rim: full and half rims.
        glazed: there are lenses, not only empty rims.
        wall: width of the rim.
        depth: thickness of the rim.
        lens: thickness of the lenses.
        wrap: angle of each lens about z, towards the temple.
        tilt: angle of the lenses about y.
    """

    half_rim: Tensor
    rim: Tensor
    glazed: Tensor
    goggles: Tensor
    wall: Tensor
    depth: Tensor
    lens: Tensor
    edge: Tensor
    wrap: Tensor
    tilt: Tensor


@dataclass(frozen=True)
class SecondShape:
    """A smaller rounded rectangle that is joined to each lens; m, each (n,).

    Attributes:
        out: its middle in y, from the lens's, towards the temple.
        up: its middle in z.
    """

    present: Tensor
    half_y: Tensor
    half_z: Tensor
    out: Tensor
    up: Tensor
    corner: Tensor


@dataclass(frozen=True)
class Front:
    """What the front's parts depend on."""

    size: LensSize
    kind: FrontKind
    second: SecondShape


@dataclass(frozen=True)
class LensLayer:
    """One of the slabs that follow the lenses' contour: rim, hole or glass; m, each (n,).

    Attributes:
        inset: how far it keeps inside the contour.
        shift: x of its middle.
    """

    thickness: Tensor
    inset: Tensor | float
    shift: Tensor
    present: Tensor
    edge: Tensor | float


@dataclass(frozen=True)
class NosePads:
    """How far the pads reach back, and their upper end; m, each (n,)."""

    present: Tensor
    back: Tensor
    top: Tensor


@dataclass(frozen=True)
class EndPiece:
    """The end pieces with the hinges, and a leg's section there; m, each (n,).

    Attributes:
        back: how far the hinge is behind the front.
        height: of the leg at the hinge.
        outer: how much of the leg's thickness is on the outer side of the pivot.
    """

    back: Tensor
    hinge_x: Tensor
    hinge_y: Tensor
    z: Tensor
    height: Tensor
    thickness: Tensor
    outer: Tensor

    @property
    def leg_y(self) -> Tensor:
        """y of the leg's middle at the pivot, outwards."""
        return self.outer - self.thickness / 2


@dataclass(frozen=True)
class LegPiece:
    """One of the three straight pieces of a leg; m and rad, each (n,).

    Attributes:
        rounding: of the section, as a share of its smaller half size.
        dip: angle downwards.
        lean: angle inwards.
    """

    length: Tensor
    height: Tensor
    thickness: Tensor
    rounding: Tensor
    dip: Tensor
    lean: Tensor


def _draw_lens(b: Builder) -> LensSize:
    """Draws the front's width, 108 to 158 mm, the gap between the lenses, 9 to 26 mm, their height
    as a share of their width, and their corners as a share of the smaller half size."""
    width = b.uniform(0.108, 0.158)
    gap = b.uniform(0.009, 0.026)
    ear = b.uniform(0.0, 0.008)
    half_y = (width - gap) / 4 - ear / 2
    is_round = b.chance(0.3)
    half_z = half_y * torch.where(is_round, b.uniform(0.88, 1.1), b.uniform(0.42, 0.95))
    half_z = half_z.clamp_max(0.031)
    corner = torch.minimum(half_y, half_z) * torch.where(
        is_round | b.chance(0.25), b.uniform(0.9, 1.0), b.uniform(0.15, 0.9))
    return LensSize(width, gap, ear, half_y, half_z, corner)


def _draw_kind(b: Builder, size: LensSize) -> FrontKind:
    """Draws full rims, half rims or none; goggles are deep.

    Rims are 0.9 to 6.5 mm wide and 1.1 to 22 mm thick, lenses 0.9 to 2.6 mm; they are wrapped by
    up to 17 degrees and tilted by -2 to 10.
    """
    kind = b.uniform(0.0, 1.0)
    full, half_rim = kind < 0.68, (kind >= 0.68) & (kind < 0.82)
    rim, glazed = full | half_rim, b.chance(0.66) | ~full
    goggles = full & b.chance(0.06)
    wall = torch.minimum(b.log_uniform(0.0009, 0.0065), 0.35 * size.small)
    depth = torch.where(goggles, b.uniform(0.008, 0.022), b.log_uniform(0.0011, 0.0065))
    lens = torch.minimum(b.uniform(0.0009, 0.0026), torch.where(rim, depth, 1.0))
    edge = b.uniform(0.0, 0.5) * torch.minimum(wall, depth) * b.chance(0.7)
    wrap = (b.uniform(0.0, radians(8)) + b.uniform(0.0, radians(9)) * b.chance(0.15)
            ) * b.chance(0.75)
    tilt = b.uniform(radians(-2), radians(10)) * b.chance(0.5)
    return FrontKind(half_rim, rim, glazed, goggles, wall, depth, lens, edge, wrap, tilt)


def _draw_second_shape(b: Builder, size: LensSize) -> SecondShape:
    """Draws what hangs down from a lens (pilots' glasses, round bottoms) or stands up (cat eyes).

    Sizes and place are shares of the lens's.
    """
    present = b.chance(0.45)
    up = b.chance(0.25)
    half_y, half_z = size.half_y * b.uniform(0.6, 0.97), size.half_z * b.uniform(0.65, 0.85)
    out = (size.half_y - half_y) * b.uniform(-0.9, 1.1)
    drop = (size.half_z - half_z) + size.half_z * b.uniform(0.05, 0.35)
    drop = torch.where(up, 0.6 * drop, -drop)
    corner = torch.minimum(half_y, half_z) * b.uniform(0.5, 1.0)
    return SecondShape(present, half_y, half_z, out, drop, corner)


def _add_rims_and_lenses(b: Builder, front: Front) -> None:
    """Rims, their holes, the lower half of half rims cut away, and the lenses.

    Draws where half rims end, as a share of the height, and where in the rim the lens is.
    """
    kind, zero = front.kind, b.zeros()
    _put_lens_layer(b, front, LensLayer(kind.depth, 0.0, zero, kind.rim, kind.edge), cut=False)
    _put_lens_layer(b, front, LensLayer(zero + 0.1, kind.wall, zero, kind.rim, 0.0), cut=True)
    b.cut(FRONT, Slab((-1.0, -1.0, -1.0), (1.0, 1.0, front.size.half_z * b.uniform(-0.3, 0.5))),
          kind.half_rim)
    play = (kind.depth - kind.lens).clamp_min(0) / 2 * kind.rim
    inset = torch.where(kind.rim, 0.5 * kind.wall, 0.0)
    _put_lens_layer(b, front, LensLayer(kind.lens, inset, play * b.uniform(-1.0, 1.0), kind.glazed,
                                        0.3 * kind.lens), cut=False)


def _put_lens_layer(b: Builder, front: Front, layer: LensLayer, cut: bool) -> None:
    """Four slabs along the contour of both lenses: on either side the lens, then its second shape;
    draws nothing."""
    size, second, inset = front.size, front.second, layer.inset
    middle, put = size.gap / 2 + size.half_y, b.cut if cut else b.add
    for side, yaw in ((1, front.kind.wrap), (-1, -front.kind.wrap)):
        for cy, cz, sy, sz, corner, present in (
                (middle, b.zeros(), size.half_y, size.half_z, size.corner, layer.present),
                (middle + second.out, second.up, second.half_y, second.half_z, second.corner,
                 layer.present & second.present)):
            put(FRONT, Slab((layer.shift - layer.thickness / 2, side * cy - sy + inset,
                             cz - sz + inset),
                            (layer.shift + layer.thickness / 2, side * cy + sy - inset,
                             cz + sz - inset),
                            (corner - inset).clamp_min(0.0005), layer.edge, axis=0,
                            pitch=front.kind.tilt, yaw=yaw,
                            pivot=(0.0, side * size.gap / 2, 0.0)), present)


def _add_bridge(b: Builder, front: Front) -> None:
    """One bar, high or low, or a shield as high as the lenses; in some a second bar over it.

    Draws the bar's height, 1 to 7 mm, its place as a share of the lens's height, and thickness.
    """
    size, kind = front.size, front.kind
    hz, lens, depth, wall = size.half_z, kind.lens, kind.depth, kind.wall
    shield = b.chance(0.07) & kind.glazed
    z = torch.where(shield, 0.2, b.uniform(0.0, 0.75)) * hz
    half = torch.where(shield, hz * b.uniform(0.4, 0.75), b.log_uniform(0.001, 0.007) / 2)
    deep = torch.where(shield, lens, torch.where(kind.goggles, 0.003, depth)
                       * b.uniform(0.7, 1.1)).clamp_min(0.001)
    ahead = b.uniform(0.0, 0.002) * b.chance(0.5)
    y = size.gap / 2 + size.inset_at(z) + torch.where(kind.rim, 0.5 * wall, 0.003)
    b.add(FRONT, Slab((ahead - deep / 2, -y, z - half), (ahead + deep / 2, y, z + half), half,
                      0.3 * deep, axis=0))
    z = hz * b.uniform(0.82, 0.97)
    y = size.gap / 2 + size.inset_at(z) + 0.5 * wall
    b.add(FRONT, Slab((-0.5 * depth, -y, z - 0.0008), (0.4 * depth, y, z + 0.0008), 0.0004,
                      0.0004, axis=0), kind.rim & b.chance(0.18))


def _add_nose_pads(b: Builder, front: Front) -> NosePads:
    """Two pads, flared towards the face by up to 35 degrees.

    Draws how far they reach back, 3 to 9 mm, their half height, 4 to 8 mm, and their place.
    """
    size = front.size
    pads = b.chance(0.6)
    back, z = b.uniform(0.003, 0.009), size.half_z * b.uniform(-0.5, 0.1)
    half, thick = b.uniform(0.004, 0.008), b.uniform(0.0009, 0.0025)
    flare = b.uniform(0.0, radians(35))
    for side in (1, -1):
        y = side * (size.gap / 2 + size.inset_at(z) + 0.3 * front.kind.wall)
        b.add(FRONT, Slab((-back, y - thick / 2, z - half), (b.zeros(), y + thick / 2, z + half),
                          0.5 * back, 0.0004, axis=1, yaw=-side * flare, pivot=(0.0, y, 0.0)),
              pads)
    return NosePads(pads, back, z + half)


def _add_end_pieces(b: Builder, front: Front) -> EndPiece:
    """From the lens's outer edge to the hinge behind it.

    Draws the height on the lens, as a share, how far the hinge is behind, up to 11 mm and half the
    rim's thickness, and the leg's height, 1.1 to 18 mm, and thickness, 1 to 7 mm. The leg lies
    mostly beyond the pivot, so that folding takes it behind the end piece.
    """
    size, kind = front.size, front.kind
    z = size.half_z * b.uniform(-0.05, 0.85)
    turn_y = size.gap / 2 + 2 * size.half_y * kind.wrap.cos()
    edge_x = kind.tilt.sin() * z - 2 * size.half_y * kind.wrap.sin()
    back = b.uniform(0.0, 0.011) * b.chance(0.8) + kind.depth * b.uniform(0.0, 0.5)
    height = torch.minimum(b.log_uniform(0.0011, 0.018), 0.9 * size.half_z)
    thick = torch.minimum(b.log_uniform(0.001, 0.007), height)
    outer = torch.maximum(thick * b.uniform(0.35, 1.0), thick - 0.0018)
    inside = b.uniform(0.0, 0.008) * b.chance(0.25)  # the hinge may be behind the lens
    back = torch.where(inside > 0, torch.maximum(back, kind.depth / 2 + 0.001), back)
    hinge_x, hinge_y = edge_x - back, turn_y + size.ear - 0.001 - inside
    inner_y = turn_y - inside - size.inset_at(z) - torch.where(kind.rim, 0.7 * kind.wall, 0.003)
    half = (height * b.uniform(0.7, 1.1)).clamp_min(0.002) / 2
    front_x = edge_x + torch.minimum(kind.depth, b.zeros() + 0.004) / 2
    for side in (1, -1):
        low, high = ordered(side * inner_y, side * (hinge_y + outer))
        b.add(FRONT, Slab((hinge_x, low, z - half), (front_x, high, z + half), 0.3 * half, 0.0005,
                          axis=0))
    return EndPiece(back, hinge_x, hinge_y, z, height, thick, outer)


def _draw_legs(b: Builder, size: LensSize, end: EndPiece,
               ) -> tuple[Tensor, tuple[LegPiece, ...], Tensor]:
    """Three pieces that bend down and in, the last one behind the ear.

    Draws the whole length, 86 to 108 % of the width, the pieces' lengths as shares of it, their
    sections as shares of the first's, and their angles, up to 60 degrees. Legs at rest lean
    inwards by up to 5 degrees, or are splayed by up to 3.

    Returns:
        (n,) length, m; the pieces; (n,) angle inwards at rest, rad, 0 where they are splayed.
    """
    length = (size.width * b.uniform(0.86, 1.08)).clamp(0.1, 0.155)
    tip, mid = length * b.uniform(0.16, 0.4), length * b.uniform(0.1, 0.35)
    height2 = end.height * torch.where(b.chance(0.5), 1.0, b.uniform(0.35, 1.0)).clamp_min(0.1)
    height3 = (height2 * b.uniform(0.7, 1.6)).clamp(0.001, 0.014)
    height2 = height2.clamp_min(0.001)
    thick2 = (end.thickness * b.uniform(0.7, 1.1)).clamp_min(0.0009)
    rounding = b.uniform(0.0, 1.0)
    dip = -b.uniform(radians(-3), radians(4)) * b.chance(0.4)
    dip2 = dip + b.uniform(radians(-8), radians(3)) * b.chance(0.6)
    dip3 = dip2 - torch.where(b.chance(0.12), 0.0, b.uniform(radians(5), radians(60)))
    lean = b.uniform(radians(-3), radians(5)) * b.chance(0.4)
    rest, lean = lean.clamp_min(0), lean.clamp_max(0)
    lean2 = lean + b.uniform(0.0, radians(10)) * b.chance(0.4)
    lean3 = lean2 + b.uniform(0.0, radians(18)) * b.chance(0.4)
    return length, (
        LegPiece(length - tip - mid, end.height, end.thickness, rounding, dip, lean),
        LegPiece(mid, height2, thick2, rounding, dip2, lean2),
        LegPiece(tip, height3, thick2, rounding, dip3, lean3)), rest


def _add_legs(b: Builder, end: EndPiece, pieces: tuple[LegPiece, ...]) -> Tensor:
    """Both legs, each piece at the end of the one before; draws nothing.

    Returns:
        (n,) y of the right leg's tip in the frame of its hinge, m.
    """
    y = b.zeros()
    for part, side in ((LEFT_LEG, 1), (RIGHT_LEG, -1)):
        x, y, z = b.zeros(), side * end.leg_y, b.zeros()
        for i, piece in enumerate(pieces):
            run, tall, deep, dip = piece.length, piece.height, piece.thickness, piece.dip
            yaw = side * piece.lean
            front = 0.5 * tall if i else b.zeros()
            b.add(part, Slab((x - run - 0.4 * tall, y - deep / 2, z - tall / 2),
                             (x + front, y + deep / 2, z + tall / 2),
                             0.5 * tall if i else 0.25 * tall,
                             piece.rounding * torch.minimum(deep, tall) / 2, axis=1, pitch=dip,
                             yaw=yaw, pivot=(x, y, z)))
            x, y, z = (x - run * dip.cos() * yaw.cos(), y - run * dip.cos() * yaw.sin(),
                       z + run * dip.sin())
    return y


def _upper_limit(b: Builder, front: Front, pads: NosePads, end: EndPiece, length: Tensor,
                 tip_y: Tensor) -> Tensor:
    """Draws the largest folding angle (n,), 60 to 100 degrees, rad.

    Legs fold until they lie along the front, its pads or the other end piece. Those that bend in
    meet them sooner.
    """
    half_depth = front.kind.depth / 2
    bent_in = torch.atan2(end.leg_y + tip_y, length).clamp_min(0)
    padded = pads.present & (end.z - end.height / 2 < pads.top)
    behind = torch.where(padded, torch.maximum(half_depth, pads.back), half_depth)
    opposite = length > 1.7 * end.hinge_y  # reaches the other end piece, which is as far back
    space = torch.where(opposite, torch.minimum(end.back - behind, b.zeros()), end.back - behind)
    space = space - (end.thickness - end.outer) - 0.0005
    room = (space / torch.where(space > 0, length, front.size.width / 2)
            - 0.3 * front.kind.tilt.abs() - bent_in)
    upper = torch.where(b.chance(0.35), b.uniform(radians(60), radians(85)),
                        b.uniform(radians(85), radians(100)))
    return torch.minimum(upper, radians(90) + room).clamp_min(radians(60))
