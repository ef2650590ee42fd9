"""Low parts of things on a table: they belong to the thing, and the table does not."""

from __future__ import annotations

import numpy as np
import pytest
from tabletops import CAMERA, block, camera_above, draw, plate

from kinediff3d_core.observation.instances import InstanceConfig
from kinediff3d_core.observation.segmentation import segment_object

TABLE = plate(0.6, 0.6)
HIGH = block(0.0, 0.0, [0.03, 0.03, 0.03])
LOW = block(0.06, 0.0, [0.03, 0.03, 0.002])
"""4 mm high, beside the other one; at 1.3 m a plane is thicker than that."""
WITHOUT = InstanceConfig(low_part=None)


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.mark.parametrize('elevation', [35.0, 50.0, 75.0])
def test_a_low_end_belongs_to_the_thing(elevation: float) -> None:
    depth, index = draw([TABLE, HIGH, LOW], camera_above(elevation, 1.3))
    truth = index > 0
    assert overlap(segment_object(depth, CAMERA), truth) > 0.9
    assert overlap(segment_object(depth, CAMERA, WITHOUT), truth) < 0.75


@pytest.mark.parametrize('noise', [0.0, 0.001, 0.003])
def test_the_table_around_a_thing_is_no_part_of_it(noise: float) -> None:
    depth, _ = draw([TABLE, HIGH], camera_above(45.0), noise)
    found, before = segment_object(depth, CAMERA), segment_object(depth, CAMERA, WITHOUT)
    assert not (before & ~found).any()
    assert (found & ~before).sum() < 0.03 * before.sum()


def test_a_low_thing_apart_is_no_part_of_it() -> None:
    apart = block(0.1, 0.0, [0.03, 0.03, 0.002])
    depth, index = draw([TABLE, HIGH, apart], camera_above(50.0, 1.3))
    assert not (segment_object(depth, CAMERA) & (index == 2)).any()
