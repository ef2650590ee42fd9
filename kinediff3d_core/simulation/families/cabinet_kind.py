"""Which cabinets there are: furniture, kitchen appliances and safes, with sizes and sets of doors.

A cabinet goes in x from its rear (-depth) to the front of its case (0), in z from its underside
(0) upwards; y = 0 is in the middle. Feet are below z = 0. Left and right are those of a person who
faces the front: the left door's hinge is on the -y side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kinediff3d_core.simulation.families.builder import Builder, Wide


@dataclass(frozen=True)
class KindRange:
    """One kind of cabinet: how often it is drawn, outer sizes of its case, m, and its doors.

    Attributes:
        both: share that has two doors.
        left: share of those with one door whose hinge is on the left.
    """

    name: str
    weight: float
    width: tuple[float, float]
    depth: tuple[float, float]
    height: tuple[float, float]
    both: float
    left: float


KINDS = (
    KindRange('cupboard', 0.2, (0.3, 1.4), (0.3, 0.9), (0.42, 1.2), 0.45, 0.5),
    KindRange('wall cabinet', 0.12, (0.3, 1.0), (0.2, 0.42), (0.35, 0.95), 0.45, 0.5),
    KindRange('wardrobe', 0.17, (0.35, 1.7), (0.2, 0.65), (1.1, 2.1), 0.55, 0.5),
    KindRange('sideboard', 0.07, (1.0, 1.8), (0.35, 0.6), (0.45, 0.95), 0.75, 0.5),
    KindRange('refrigerator', 0.16, (0.45, 1.0), (0.45, 1.1), (0.75, 1.9), 0.3, 0.35),
    KindRange('microwave', 0.12, (0.22, 0.6), (0.16, 0.52), (0.13, 0.37), 0.0, 0.88),
    KindRange('washer', 0.07, (0.55, 0.76), (0.5, 0.95), (0.8, 0.98), 0.0, 0.6),
    KindRange('safe', 0.09, (0.2, 0.9), (0.2, 0.9), (0.28, 0.95), 0.03, 0.4))
"""All kinds. Washers are front-loading washing machines and dryers."""
FURNITURE = ('cupboard', 'wall cabinet', 'wardrobe', 'sideboard')
"""Kinds that are made of boards."""
WIDE_REFRIGERATOR = 1.6
"""A refrigerator with two doors is wider by this factor. Chosen."""
SMALL_FURNITURE = 0.06
"""Share of the furniture that is a small copy of it, like a key cabinet. Chosen."""


@dataclass(frozen=True)
class Kind(Wide):
    """What a cabinet is, bool, and the outer sizes of its case, m; each (n,).

    Attributes:
        which: index into :data:`KINDS`.
        unit: factor of the thickness of boards and the size of handles, 0.3 to 1.2.
        left, right: it has that door.
    """

    which: Tensor
    width: Tensor
    depth: Tensor
    height: Tensor
    unit: Tensor
    left: Tensor
    right: Tensor

    def is_a(self, *names: str) -> Tensor:
        """Whether (n,) the cabinet is of one of the kinds."""
        return _among(self.which, *names)

    @property
    def furniture(self) -> Tensor:
        """(n,) bool: made of boards."""
        return self.is_a(*FURNITURE)

    @property
    def both(self) -> Tensor:
        """(n,) bool: it has two doors."""
        return self.left & self.right


def _among(which: Tensor, *names: str) -> Tensor:
    """Whether (n,) indices into :data:`KINDS` are of one of the names."""
    return torch.tensor([kind.name in names for kind in KINDS], device=which.device)[which]


def draw_kind(b: Builder) -> Kind:
    """Draws the kind, its outer sizes and which doors it has.

    One dimension of an appliance or safe says more about the others than one of furniture, whose
    sizes are independent.
    """
    weights = torch.tensor([k.weight for k in KINDS], device=b.device).cumsum(0)
    which = torch.searchsorted(weights, b.uniform(0.0, 1.0) * weights[-1]).clamp_max(
        len(KINDS) - 1)
    table = torch.tensor([[*k.width, *k.depth, *k.height, k.both, k.left] for k in KINDS],
                         device=b.device)[which]
    both = b.uniform(0.0, 1.0) < table[:, 6]
    left = b.uniform(0.0, 1.0) < table[:, 7]
    furniture = _among(which, *FURNITURE)
    small = b.chance(SMALL_FURNITURE) & furniture & ~_among(which, 'sideboard')
    common = b.uniform(0.0, 1.0)
    sizes = []
    for i in range(3):
        share = torch.where(furniture, b.uniform(0.0, 1.0),
                            (common + b.uniform(-0.3, 0.3)).clamp(0, 1))
        low, high = table[:, 2 * i], table[:, 2 * i + 1]
        sizes.append(low * (high / low) ** share * torch.where(small, 0.4, 1.0))
    width, depth, height = sizes
    wide = both & _among(which, 'refrigerator')
    width = torch.where(wide, WIDE_REFRIGERATOR * width, width)
    width = torch.where(both & furniture, width.clamp_min(0.5 * (1 - 0.5 * small)), width)
    unit = (torch.maximum(width, height) / 0.8).clamp(0.3, 1.2)
    return Kind(which, width, depth, height, unit, both | left, both | ~left)
