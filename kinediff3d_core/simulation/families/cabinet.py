"""Cabinets with one or two doors on vertical hinges: furniture, refrigerators, microwaves,
front-loading washers, safes.

The pivot of a door is its hinge line, at the height of the door's middle. All parts are built in
the frame of :mod:`kinediff3d_core.simulation.families.cabinet_kind`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.families.cabinet_case import add_case
from kinediff3d_core.simulation.families.cabinet_door import (
    Fittings,
    Hinge,
    add_leaf,
    draw_door_kind,
    draw_handle,
    draw_hinge,
    leaves,
)
from kinediff3d_core.simulation.families.cabinet_front import Front, draw_front
from kinediff3d_core.simulation.families.cabinet_kind import draw_kind
from kinediff3d_core.simulation.solids import Instances


def cabinet(b: Builder) -> Instances:
    """Cabinets with doors, metres."""
    kind = draw_kind(b)
    front = draw_front(b, kind)
    hinge = draw_hinge(b, kind, front)
    door = draw_door_kind(b, kind, front)
    handle = draw_handle(b, kind)
    porthole = (front.doors.y1 - front.doors.y0) / 2 * b.uniform(0.62, 0.88)
    add_case(b, kind, front, door.reach, porthole)
    for leaf in leaves(kind, front, hinge):
        add_leaf(b, leaf, kind, front, Fittings(door, handle, porthole))
    return b.build(hinge.upper[:, None].expand(-1, 2), _pivots(front, hinge), middle=(2,))


def _pivots(front: Front, hinge: Hinge) -> Tensor:
    """Pivots (n, 2, 3) of the left and the right door, m."""
    zero = torch.zeros_like(hinge.x)
    return torch.stack([torch.stack([hinge.x, front.doors.y0 + hinge.inset, zero], dim=-1),
                        torch.stack([hinge.x, front.doors.y1 - hinge.inset, zero], dim=-1)], dim=1)
