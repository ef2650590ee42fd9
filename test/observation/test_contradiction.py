"""Which predicted surface an image contradicts: a square plate before a table, hand-worked.

The plate is at z = 2 and reaches from -0.1 to 0.1 in tangent units, the table is at z = 2.5.
"""

import numpy as np
import pytest
import torch

from kinediff3d_core.observation.contradiction import contradiction, silhouette_area
from kinediff3d_core.observation.free_space import observe


def plate(z=2.0, half=0.1, count=60):
    along = z * np.linspace(-half, half, count)
    x, y = np.meshgrid(along, along)
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], axis=-1).astype(np.float32)


def beside(keep=lambda points: points[:, 0] > -np.inf):
    """Points of the table around the plate."""
    table = plate(2.5, 0.2, 160)
    outside = np.abs(table[:, :2] / table[:, 2:]).max(1) > 0.1
    return table[outside & keep(table)]


def seen(others=None, cloud=None):
    return observe(plate() if cloud is None else cloud, 200, torch.Generator().manual_seed(0),
                   others)


def at(view, *points):
    """Contradiction at tangents u, v and depths z."""
    return contradiction(view, torch.tensor([(u * z, v * z, z) for u, v, z in points])).tolist()


def test_surface_at_and_behind_what_was_measured_on_the_object_is_not_contradicted():
    assert at(seen(beside()), (0.0, 0.0, 2.0), (0.05, 0.0, 2.01), (0.0, 0.05, 3.0)) == [0, 0, 0]


def test_surface_in_front_of_what_was_measured_on_the_object_is_contradicted():
    """The right half of the object is a step, 0.4 farther."""
    step = plate()
    step[step[:, 0] > 0] *= 1.2
    view = seen(beside(), step)
    assert at(view, (0.05, 0.0, 2.1), (0.05, 0.05, 2.3)) == [1, 1]
    # As far as the step is near, it may be the step.
    assert at(view, (0.005, 0.0, 2.1), (0.05, 0.0, 2.39)) == [0, 0]


def test_surface_beside_the_object_is_contradicted_by_a_farther_one():
    assert at(seen(beside()), (0.14, 0.0, 2.0), (0.0, -0.14, 2.3)) == [1, 1]


@pytest.mark.parametrize('z', [2.46, 2.5, 2.53])
def test_surface_on_the_table_around_the_object_is_contradicted(z):
    """As a lid that covers the table: what is measured there is not of the object."""
    assert at(seen(beside()), (0.14, 0.0, z), (-0.14, 0.1, z)) == [1, 1]


def test_surface_far_behind_what_is_measured_beside_the_object_may_be_hidden():
    assert at(seen(beside()), (0.14, 0.0, 2.7), (-0.14, 0.1, 4.0)) == [0.5, 0.5]


def test_a_mask_may_be_wrong_at_its_border():
    """A cell is 0.0043 wide; a surface within 1.5 cells, or 0.02 units, may be the object's."""
    view = seen(beside())
    assert at(view, (0.104, 0.0, 2.0), (0.115, 0.0, 2.0)) == [0, 1]


def test_missing_measurements_count_as_far_as_the_background_is_missing():
    """Left of the plate nothing was measured: 18 of 68 columns of cells, and the rest is table."""
    left, right = (-0.14, 0.0, 2.0), (0.14, 0.0, 2.0)
    assert at(seen(), left, right) == [1, 1]  # no background at all
    one_hole = seen(beside(lambda p: (p[:, 0] > -0.3) | (np.abs(p[:, 1]) > 0.1)))
    hole, measured = at(one_hole, left, right)
    assert 0 < hole < 0.1 and measured == 1
    half, measured = at(seen(beside(lambda p: p[:, 0] > 0)), left, right)
    assert half == pytest.approx(0.5, abs=0.05) and measured == 1


def test_area_of_the_silhouette():
    assert float(silhouette_area(seen())) == pytest.approx(0.2 ** 2, rel=0.06)
