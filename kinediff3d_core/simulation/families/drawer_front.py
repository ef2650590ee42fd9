"""The front of a drawer, with what one pulls at: a knob, a bar, a lip, or a notch to reach in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Slab

KINDS = {'knob': (0.0, 0.28), 'bar': (0.28, 0.56), 'two knobs': (0.56, 0.68), 'lip': (0.68, 0.76),
         'notch': (0.76, 0.86)}
"""Range of :attr:`Handle.style` of each kind of handle; others have none. A lip is along the upper
edge. A notch in the upper edge, half round or straight, goes right through the front."""


@dataclass(frozen=True)
class FrontPanel:
    """The front of one drawer, in the frame of the case; m, each (n,)."""

    x0: Tensor
    x1: Tensor
    y0: Tensor
    y1: Tensor
    z0: Tensor
    z1: Tensor

    @property
    def middle(self) -> Tensor:
        return (self.y0 + self.y1) / 2

    @property
    def width(self) -> Tensor:
        return self.y1 - self.y0

    @property
    def height(self) -> Tensor:
        return self.z1 - self.z0


@dataclass(frozen=True)
class Handle:
    """The handle, the same on all drawers of a piece; each (n,).

    Attributes:
        style: number in [0, 1) that selects the kind of handle (``KINDS``).
        size: half height of a bar, radius of a knob, m.
        length: of a bar, m.
        reach: how far it stands out from the front, m.
        place: its height on the front, as a share of the front's.
        depth: depth of what is cut into the front, as a share of its thickness.
        frame: width of the frame around a sunk panel, m.
        framed: bool; a panel is sunk into the front.
    """

    style: Tensor
    size: Tensor
    length: Tensor
    reach: Tensor
    place: Tensor
    depth: Tensor
    frame: Tensor
    framed: Tensor

    def is_a(self, kind: str) -> Tensor:
        """Whether (n,) the handle is of a kind of ``KINDS``."""
        low, high = KINDS[kind]
        return (self.style >= low) & (self.style < high)


def draw_handle(b: Builder, scale: Tensor) -> Handle:
    """Draws a knob's radius, 5 to 22 mm, a bar's length, 60 to 700 mm, and reach, 15 to 45 mm.

    Args:
        scale: (n,) factor of the piece's size.
    """
    place = torch.where(b.chance(0.6), 0.5, b.uniform(0.3, 0.85))
    return Handle(b.uniform(0.0, 1.0), b.uniform(0.005, 0.022) * scale.clamp_min(0.6),
                  torch.where(b.chance(0.6), b.uniform(0.06, 0.2), b.uniform(0.2, 0.7)),
                  b.uniform(0.015, 0.045) * scale.clamp_min(0.6), place,
                  b.uniform(0.15, 0.6), b.uniform(0.015, 0.07) * scale, b.chance(0.3))


def add_front(b: Builder, part: int, front: FrontPanel, edge: Tensor, handle: Handle,
              present: Tensor) -> None:
    """The front of one drawer with its handle; draws nothing.

    Args:
        edge: (n,) rounding of the front's edges, m.
        present: (n,) bool, which instances have the drawer.
    """
    b.add(part, Slab((front.x0, front.y0, front.z0), (front.x1, front.y1, front.z1), edge=edge),
          present)
    _cut_panel_or_notch(b, part, front, handle, present)
    _add_handle(b, part, front, handle, present)


def _cut_panel_or_notch(b: Builder, part: int, front: FrontPanel, handle: Handle,
                        present: Tensor) -> None:
    """A sunk panel, or a notch in the upper edge."""
    notch, x1, z1 = handle.is_a('notch'), front.x1, front.z1
    frame = torch.minimum(handle.frame, 0.3 * torch.minimum(front.width, front.height))
    deep = torch.minimum(0.03 + handle.size, 0.35 * front.height)
    half = torch.where(notch, torch.minimum(handle.length / 2 + 0.02, 0.3 * front.width),
                       front.width / 2 - frame)
    x0 = torch.where(notch, front.x0 - 0.01, x1 - handle.depth * (x1 - front.x0))
    b.cut(part, Slab((x0, front.middle - half, torch.where(notch, z1 - deep, front.z0 + frame)),
                     (x1 + 0.1, front.middle + half,
                      torch.where(notch, z1 + 2 * deep, z1 - frame)),
                     torch.where(notch, deep, 0.0), axis=0),
          present & (handle.framed & ~notch | notch))


def _add_handle(b: Builder, part: int, front: FrontPanel, handle: Handle, present: Tensor) -> None:
    """A knob, a bar, two knobs (a bar with its middle cut away), or a lip on the upper edge."""
    knob, bar, two, lip = (handle.is_a(x) for x in ('knob', 'bar', 'two knobs', 'lip'))
    x1, middle = front.x1, front.middle
    size = torch.minimum(handle.size, 0.3 * front.height)
    half = torch.where(knob, size, torch.minimum(handle.length * 0.5, 0.46 * front.width))
    half = torch.where(two, front.width * (0.12 + 0.3 * handle.depth), half)
    half = torch.where(lip, front.width / 2, half).clamp_min(size)
    z = torch.where(lip, front.z1 - 0.5 * size, front.z0 + handle.place * front.height)
    flat = torch.where(lip | bar, 0.5 * size, size)
    z = torch.minimum(z, front.z1 - flat)
    corner = torch.where(lip, 0.0, torch.where(handle.depth < 0.25, 0.2 * flat, flat))
    sunk = x1 - handle.depth * (x1 - front.x0)
    root = torch.where(handle.framed & ~handle.is_a('notch'), sunk, x1) - 0.001
    b.add(part, Slab((root, middle - half, z - flat), (x1 + handle.reach, middle + half, z + flat),
                     corner, 0.15 * flat, axis=0), present & (knob | bar | two | lip))
    post = torch.where(two, 2 * flat, (0.1 * half).clamp_min(0.004))
    bar_x = torch.where(two, 1.0, handle.reach - (flat * 1.6).clamp_max(0.6 * handle.reach))
    b.cut(part, Slab((x1 + 0.0005, middle - half + post, z - 2 * flat),
                     (x1 + bar_x, middle + half - post, z + 2 * flat)),
          present & (two | (bar & (handle.reach > 0.02))))
