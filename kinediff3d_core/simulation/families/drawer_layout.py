"""How many drawers a piece of furniture has, and in which rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DRAWERS = 4
"""Drawers of the category; an instance has one to four of them."""

LAYOUTS = (((1,), 6.0), ((2,), 2.0), ((1, 1), 4.0), ((1, 1, 1), 5.0), ((1, 1, 1, 1), 3.0),
           ((2, 2), 2.0), ((2, 1), 1.5), ((2, 1, 1), 2.0), ((1, 2), 0.7))
"""Drawers in each row, top to bottom, and the layout's relative frequency."""


@dataclass(frozen=True)
class Layout:
    """Where each instance has its drawers.

    Attributes:
        rows: (n,) number of rows.
        pairs: (n,) bool: at least one row has two drawers.
        row: (n, 4) row of each drawer, 0 at the top.
        place: (n, 4) 0: as wide as the row; 1 and -1: its +y and -y half.
        exists: (n, 4) bool.
        first: (n,) first row with two drawers, 0 where there is none.
        last: (n,) last row with two drawers, 0 where there is none.
    """

    rows: Tensor
    pairs: Tensor
    row: Tensor
    place: Tensor
    exists: Tensor
    first: Tensor
    last: Tensor


def layout_of(share: Tensor) -> Layout:
    """The layouts that numbers (n,) in [0, 1) pick from ``LAYOUTS``."""
    device = share.device
    table = torch.tensor([_encode(drawers) for drawers, _ in LAYOUTS], device=device)
    weight = torch.tensor([weight for _, weight in LAYOUTS], device=device).cumsum(0)
    pick = torch.searchsorted(weight, share * weight[-1]).clamp_max(len(weight) - 1)
    rows, pairs, first, last = table[pick, 0].unbind(1)
    return Layout(rows, pairs > 0, table[pick, 1], table[pick, 2], table[pick, 3] > 0, first, last)


def _encode(drawers: tuple[int, ...]) -> list[list[int]]:
    """Four numbers of a layout as a whole, then row, place and existence of each drawer."""
    row = [i for i, count in enumerate(drawers) for _ in range(count)]
    place = [side for count in drawers for side in ((1, -1) if count == 2 else (0,))]
    double = [i for i, count in enumerate(drawers) if count == 2]
    rest = DRAWERS - len(row)
    return [[len(drawers), int(bool(double)), min(double, default=0), max(double, default=0)],
            row + [0] * rest, place + [0] * rest, [1] * len(row) + [0] * rest]
