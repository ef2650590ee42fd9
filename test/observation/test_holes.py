"""Holes beside an object: shares of its silhouette, by what is measured around it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from kinediff3d_core.observation.holes import hole_area

CELLS = 24
OBJECT = slice(8, 14), slice(6, 16)
"""60 cells."""


def area(*holes: tuple[slice, slice]) -> float:
    """Of an object on a table that is measured everywhere but in these cells."""
    others = torch.full((CELLS, CELLS), 1.0)
    distance = torch.ones(CELLS, CELLS)
    distance[OBJECT], others[OBJECT] = 0.0, torch.inf
    for hole in holes:
        others[hole] = torch.inf
    return hole_area(SimpleNamespace(maps=distance.flatten(), others=others))


def test_only_holes_that_the_image_surrounds_beside_the_object_count() -> None:
    off = CELLS ** 2 - 60
    beside = slice(3, 8), slice(6, 16)  # 50 cells
    assert area() == 0.0
    assert area(beside) == pytest.approx(50 / 60 * (1 - 50 / off))
    assert area((slice(0, 8), slice(6, 16))) == 0.0  # it reaches the border
    assert area((slice(18, 22), slice(6, 16))) == 0.0  # it is not beside the object
    rest = slice(15, 24), slice(0, 24)  # nothing is measured there
    assert area(beside, rest) == pytest.approx(50 / 60 * (1 - (50 + 9 * 24) / off))


def test_without_measurements_there_is_no_hole() -> None:
    assert area((slice(0, CELLS), slice(0, CELLS))) == 0.0
