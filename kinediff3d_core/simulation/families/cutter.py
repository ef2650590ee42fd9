"""Cutters: snap-off and trapezoid blades in straight, tapered and bent handles.

The blade's plane is z = const. The slider is on +z, or on the +y edge (then the blade's edge is
mostly on -y). Stout cutters have a wide slot beside the middle, mostly right through. The pivot of
the sliding blade is the middle of its box at q = 0, where the tip just shows or has just gone.
The handle is built with x from its rear end (0) to the mouth, and y = z = 0 in its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import radians

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab, half_space, ordered
from kinediff3d_core.simulation.solids import Instances

HANDLE, BLADE = 0, 1


def cutter(b: Builder) -> Instances:
    """Cutters, metres."""
    size = _draw_size(b)
    handle = _add_handle(b, size)
    _add_handle_rear(b, handle)
    channel = _cut_channel(b, handle)
    slot = _cut_slot(b, handle, channel)
    bulge = _add_grips(b, handle, slot)
    _add_blade(b, handle, channel)
    _add_slider(b, handle, channel, slot, bulge)
    return b.build(channel.travel[:, None], middle=(0, 1, 2))


@dataclass(frozen=True)
class HandleSize:
    """Sizes of the handle; m, each (n,).

    Attributes:
        stout: bool; short, wide handles of trapezoid blades.
    """

    length: Tensor
    half_y: Tensor
    half_z: Tensor
    stout: Tensor


@dataclass(frozen=True)
class Handle:
    """What of the handle the blade and its channel depend on; m, each (n,).

    Attributes:
        start: x from which on the blade may lie: after the bend of a bent handle.
        mouth: x of the front end.
        sloping: bool; the upper side falls towards the mouth.
        tapers: of the +y and the -y side: x where it begins to draw in, and by how much a metre.
    """

    size: HandleSize
    start: Tensor
    mouth: Tensor
    corner: Tensor
    edge: Tensor
    bent: Tensor
    sloping: Tensor
    blade_half_y: Tensor
    blade_thickness: Tensor
    tapers: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Channel:
    """Where blade, carrier and slider move in the handle; m, each (n,).

    Attributes:
        slider: length of the slider.
        thumb: x of the slider's rear end at q = 0.
        carried: bool; the blade has a carrier that is thicker than itself.
    """

    rear: Tensor
    tip: Tensor
    travel: Tensor
    slider: Tensor
    thumb: Tensor
    slot_end: Tensor
    carried: Tensor
    carrier_half_z: Tensor


@dataclass(frozen=True)
class SliderSlot:
    """Opening in the handle for the slider; m, each (n,).

    Attributes:
        offset: y of the middle of a slot on the top.
    """

    on_top: Tensor
    on_edge: Tensor
    half_y: Tensor
    offset: Tensor
    half_z: Tensor


def _draw_size(b: Builder) -> HandleSize:
    """Draws the length, 95 to 185 mm, and width and thickness as shares of it."""
    length = b.log_uniform(0.095, 0.185)
    half_y = (length * b.uniform(0.045, 0.14)).clamp(0.006, 0.023)
    half_z = (half_y * b.uniform(0.35, 0.95)).clamp(0.003, 0.014)
    stout = b.rare.chance(0.15)
    length = torch.where(stout, b.rare.uniform(0.14, 0.185), length)
    half_y = torch.where(stout, b.rare.uniform(0.015, 0.023), half_y)
    half_z = torch.where(stout, half_y * b.rare.uniform(0.5, 0.75), half_z).clamp_max(0.014)
    return HandleSize(length, half_y, half_z, stout)


def _add_handle(b: Builder, size: HandleSize) -> Handle:
    """The handle's front: the body, a metal nose, and tapers to the mouth.

    Draws whether it is bent, the nose's length (2 to 15 % of the handle's) and sizes, the blade's
    half width (4.5 to 12.5 mm) and thickness (0.8 to 1.6 mm), and where the sides draw in.
    """
    length, half_y, half_z = size.length, size.half_y, size.half_z
    bent = b.chance(0.22) & ~size.stout
    bend = b.uniform(radians(6), radians(20)) * torch.where(b.chance(0.5), -1.0, 1.0)
    start = torch.where(bent, length * b.uniform(0.22, 0.38), 0.0)
    corner = b.uniform(0.05, 1.0) * half_y
    edge = b.uniform(0.0, 0.9) * half_z * b.chance(0.8)
    b.add(HANDLE, Slab((start - 0.3 * half_y, -half_y, -half_z), (length, half_y, half_z), corner,
                       edge))
    nosed = b.chance(0.55)
    nose = length * b.uniform(0.02, 0.15)
    nose_y = (half_y * b.uniform(0.5, 0.92)).clamp_min(0.0055)
    nose_z = (half_z * b.uniform(0.4, 0.85)).clamp_min(0.0022)
    mouth = length + nose * nosed
    b.add(HANDLE, Slab((length - 0.03, -nose_y, -nose_z), (mouth, nose_y, nose_z), 0.001,
                       0.3 * nose_z * b.chance(0.5)), nosed)
    room = torch.where(nosed, nose_y, half_y - 0.4 * torch.minimum(corner, half_y)) - 0.0012
    blade_y = torch.minimum(b.log_uniform(0.0045, 0.0125), room)
    left, right = (_cut_side(b, size, side, mouth, half_y - blade_y - 0.0012)
                   for side in (1, -1))
    thick = b.uniform(0.0008, 0.0016)
    sloping = _cut_top(b, size, mouth, thick)
    # The rear half of a bent handle.
    b.add(HANDLE, Slab((b.zeros(), -half_y * b.uniform(0.8, 1.0), -half_z),
                       (start + 0.8 * half_y, half_y * b.uniform(0.8, 1.0), half_z), corner, edge,
                       yaw=bend, pivot=(start, 0.0, 0.0)), bent)
    return Handle(size, start, mouth, corner, edge, bent, sloping, blade_y, thick, (left, right))


def _cut_side(b: Builder, size: HandleSize, side: int, mouth: Tensor, most: Tensor,
              ) -> tuple[Tensor, Tensor]:
    """Cut one side along a line towards the mouth, where it draws in by at most ``most``, m.

    Draws where it begins, 50 to 90 % of the length, and the share of ``most``.

    Returns:
        (n,) x where it begins, m, and (n,) its slope, 0 where there is none.
    """
    x = size.length * b.uniform(0.5, 0.9)
    slope = torch.atan2(most * b.uniform(0.3, 1.0), mouth - x)
    tapered = b.chance(0.4)
    b.cut(HANDLE, half_space(x, side * size.half_y, slope, side), tapered)
    return x, slope.tan() * tapered


def _cut_top(b: Builder, size: HandleSize, mouth: Tensor, thick: Tensor) -> Tensor:
    """Cut the upper side so that it falls towards the mouth; returns for which (n,) bool.

    Draws where it begins, 40 to 85 % of the length, and how much of the room it takes.
    """
    x = size.length * b.uniform(0.4, 0.85)
    slope = torch.atan2((size.half_z - thick - 0.0012) * b.uniform(0.2, 1.0), mouth - x)
    sloping = b.chance(0.25)
    one = b.zeros() + 1
    b.cut(HANDLE, Slab((x - 1, -one, size.half_z), (x + 1, one, size.half_z + 2),
                       pitch=slope, pivot=(x, 0.0, size.half_z)), sloping)
    return sloping


def _add_handle_rear(b: Builder, handle: Handle) -> None:
    """A cap at the rear end, and a hole for a string; draws the cap's sizes as shares."""
    size, zero = handle.size, b.zeros()
    length = size.length
    cap_y, cap_z = size.half_y * b.uniform(0.7, 1.1), size.half_z * b.uniform(0.7, 1.1)
    b.add(HANDLE, Slab((-length * b.uniform(0.0, 0.05), -cap_y, -cap_z),
                       (length * b.uniform(0.04, 0.12), cap_y, cap_z), 0.5 * handle.corner,
                       0.2 * cap_z), ~handle.bent & b.chance(0.35))
    b.cut(HANDLE, Slab((0.06 * length - 0.002, zero - 0.002, zero - 1),
                       (0.06 * length + 0.002, zero + 0.002, zero + 1), 0.002),
          ~handle.bent & b.chance(0.3))


def _cut_channel(b: Builder, handle: Handle) -> Channel:
    """The hollow that blade and carrier move in.

    Draws the tip's place at q = 0 (-6 to 8 mm from the mouth), the blade's length as a share of
    the handle's, the slider's length, its place, and the travel (30 to 80 mm).
    """
    size, mouth, start = handle.size, handle.mouth, handle.start
    stout, length = size.stout, size.length
    tip = mouth + b.uniform(-0.006, 0.008)
    blade = (mouth - start) * b.uniform(0.6, 0.92)
    blade = torch.where(stout, mouth * b.rare.uniform(0.75, 0.93), blade)
    slider = length * b.uniform(0.06, 0.17)
    rear = tip - blade
    last = length - 0.006 - slider  # the furthest place of the slider
    travel = torch.minimum(b.uniform(0.03, 0.08), torch.minimum(0.85 * blade, last - rear))
    travel = travel.clamp_min(0.025)
    first = torch.minimum(rear, last - travel)
    thumb = first + b.uniform(0.0, 1.0) * (last - travel - first) * ~(stout & b.rare.chance(0.7))
    slot_end = thumb + slider + travel
    slot_end = slot_end + b.rare.uniform(0.0, 1.0) * (length - 0.006 - slot_end) * stout
    y, z = handle.blade_half_y + 0.0004, handle.blade_thickness / 2 + 0.0004
    b.cut(HANDLE, Slab((rear - 0.003, -y, -z), (b.zeros() + 1, y, z)))
    carried = (b.chance(0.5) | stout & b.rare.chance(0.5)) & ~handle.sloping
    carrier_z = size.half_z * b.uniform(0.3, 0.65)
    b.cut(HANDLE, Slab((rear - 0.003, -y, -carrier_z - 0.0005),
                       (rear + slider + travel + 0.002, y, carrier_z + 0.0005)), carried)
    return Channel(rear, tip, travel, slider, thumb, slot_end, carried, carrier_z)


def _cut_slot(b: Builder, handle: Handle, channel: Channel) -> SliderSlot:
    """The slot for the slider, on the top or on the +y edge.

    Draws its width as a share of the handle's and, of stout cutters, how far beside the middle it
    is; the wall and the blade's carrier limit that.
    """
    size, stout, zero = handle.size, handle.size.stout, b.zeros()
    thumb, end = channel.thumb, channel.slot_end
    place = b.uniform(0.0, 1.0) * torch.where(stout, 0.72, 1.0)
    on_top, on_edge = place < 0.72, (place >= 0.72) & (place < 0.94)
    half = torch.minimum(size.half_y, zero + 0.01) * b.uniform(0.15, 0.5)
    half = torch.where(stout, size.half_y * b.rare.uniform(0.2, 0.36), half)
    left_wall, right_wall = (size.half_y - fall * (end - x).clamp_min(0)
                             for x, fall in handle.tapers)
    left = b.rare.chance(0.7)
    off = torch.minimum(torch.where(left, left_wall, right_wall) - half - 0.002,
                        handle.blade_half_y).clamp_min(0)
    off = off * b.rare.uniform(0.3, 1.0) * torch.where(left, 1.0, -1.0) * stout
    under = torch.where(stout & b.rare.chance(0.7), -1.0, 0.0)  # right through the handle
    half_z = size.half_z * b.uniform(0.2, 0.5)
    b.cut(HANDLE, Slab((thumb - 0.001, off - half, under), (end + 0.001, off + half, zero + 1),
                       0.8 * half), on_top)
    b.cut(HANDLE, Slab((thumb - 0.001, zero, -half_z),
                       (thumb + channel.slider + channel.travel + 0.001, zero + 1, half_z),
                       0.5 * half_z, axis=1), on_edge)
    return SliderSlot(on_top, on_edge, half, off, half_z)


def _add_grips(b: Builder, handle: Handle, slot: SliderSlot) -> Tensor:
    """Grips on the edges and a pad underneath.

    Draws how far they stand out, 0.6 to 2.5 mm, and where they begin and end.

    Returns:
        (n,) how far they stand out, m.
    """
    size, half_y, half_z = handle.size, handle.size.half_y, handle.size.half_z
    bulge = b.uniform(0.0006, 0.0025)
    x0 = handle.start + half_y + size.length * b.uniform(0.0, 0.15)
    x1 = size.length * b.uniform(0.5, 0.75)
    gripped = b.chance(0.35) & (handle.blade_half_y < half_y - 0.003)
    for side in (1, -1):
        low, high = ordered(side * (half_y - 0.002), side * (half_y + bulge))
        b.add(HANDLE, Slab((x0, low, -0.75 * half_z), (x1, high, 0.75 * half_z), 0.5 * half_z,
                           0.5 * bulge, axis=1), gripped & ~slot.on_edge if side > 0 else gripped)
    b.add(HANDLE, Slab((x0, -0.8 * half_y, -half_z - bulge), (x1, 0.8 * half_y, -half_z + 0.0008),
                       0.3 * half_y, 0.5 * bulge), b.chance(0.25))
    return bulge


def _add_blade(b: Builder, handle: Handle, channel: Channel) -> None:
    """The blade, cut off at a slant, and its carrier. Draws the slant, 25 to 75 degrees."""
    y, thick, rear, tip = (handle.blade_half_y, handle.blade_thickness, channel.rear, channel.tip)
    slant, down = b.uniform(radians(25), radians(75)), b.chance(0.75)
    b.add(BLADE, Slab((rear, -y, -thick / 2), (tip, y, thick / 2)))
    b.cut(BLADE, half_space(tip, -y, slant, 1), down)
    b.cut(BLADE, half_space(tip, y, slant, -1), ~down)
    b.add(BLADE, Slab((rear, -0.9 * y, -channel.carrier_half_z),
                      (rear + channel.slider, 0.9 * y, channel.carrier_half_z)), channel.carried)


def _add_slider(b: Builder, handle: Handle, channel: Channel, slot: SliderSlot, bulge: Tensor,
                ) -> None:
    """The slider: what fills the slot, its knob, and a ridge on it.

    Draws the knob's height, 1 to 7.5 mm, its width as a share of the handle's, and its rounding.
    """
    size, off, x0, x1 = (handle.size, slot.offset, channel.thumb, channel.thumb + channel.slider)
    half_y, half_z, zero = size.half_y, size.half_z, b.zeros()
    knob = b.uniform(0.001, 0.0075)
    knob_y = half_y * b.uniform(0.3, 0.85)
    knob_y = torch.where(size.stout, torch.minimum(knob_y, half_y - off.abs()), knob_y)
    knob_z = half_z * b.uniform(0.4, 0.95)
    ridge = x0 + channel.slider * b.uniform(0.15, 0.7)
    b.add(BLADE, Slab((x0, off - slot.half_y + 0.0005, zero),
                      (x1, off + slot.half_y - 0.0005, half_z + 0.001), 0.5 * slot.half_y),
          slot.on_top)
    top = half_z + 0.0004
    b.add(BLADE, Slab((x0, off - knob_y, top), (x1, off + knob_y, top + knob),
                      b.uniform(0.0, 1.0) * knob_y, 0.4 * knob), slot.on_top)
    b.add(BLADE, Slab((ridge, off - 0.8 * knob_y, top),
                      (ridge + 0.2 * channel.slider, off + 0.8 * knob_y,
                       half_z + 0.001 + 1.3 * knob), 0.0005, 0.0003),
          slot.on_top & b.chance(0.5))
    b.add(BLADE, Slab((x0, zero, -slot.half_z + 0.0003),
                      (x1, half_y + 0.001, slot.half_z - 0.0003), 0.3 * slot.half_z, axis=1),
          slot.on_edge)
    edge = half_y + bulge + 0.0004
    b.add(BLADE, Slab((x0, edge, -knob_z), (x1, edge + knob, knob_z),
                      b.uniform(0.0, 1.0) * knob_z, 0.4 * knob, axis=1), slot.on_edge)
