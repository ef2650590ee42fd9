"""What is separated and what is not."""

import numpy as np

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.observation.components import (
    components,
    linked_pairs,
    split_arms,
    split_at_height,
)
from kinediff3d_core.observation.depth_grid import depth_grid

CAMERA = Intrinsics(100.0, 100.0, 79.5, 59.5, 160, 120)


def grid_of(depth):
    return depth_grid(depth, CAMERA)


def test_small_components_have_no_label():
    depth = np.zeros((120, 160), np.float32)
    depth[10:20, 10:20], depth[50:53, 50:53] = 1.0, 1.0
    grid = grid_of(depth)
    label = components(grid.valid, linked_pairs(grid, grid.valid, 0.0), 20)
    np.testing.assert_array_equal(label, (depth > 0) & (np.arange(120)[:, None] < 30))


def test_a_depth_step_divides_unless_it_is_allowed():
    depth = np.zeros((120, 160), np.float32)
    depth[10:40, 10:40], depth[10:40, 40:70] = 1.0, 1.1
    grid = grid_of(depth)
    for jump, number in ((0.0, 2), (0.2, 1)):
        pairs = linked_pairs(grid, grid.valid, 0.0, jump)
        assert components(grid.valid, pairs, 1).max() == number


def two_hills():
    """Two high squares that a low strip joins."""
    high = np.zeros((120, 160), bool)
    high[40:60, 20:40] = high[40:60, 60:80] = True
    low = np.zeros_like(high)
    low[48:52, 40:60] = True
    return high, low


def test_what_meets_near_the_support_is_divided_half_way():
    high, low = two_hills()
    grid = grid_of((high | low).astype(np.float32))
    pairs = linked_pairs(grid, grid.valid, 0.0)
    label = components(grid.valid, pairs, 1)
    assert label.max() == 1
    divided = split_at_height(label, pairs, high, 20)
    assert len(np.unique(divided[divided > 0])) == 2
    assert (divided[:, :50][label[:, :50] > 0] == divided[50, 30]).all()
    assert (divided[:, 50:][label[:, 50:] > 0] == divided[50, 70]).all()
    # One high part, or two that are too small, leave it whole.
    for other, least in ((high & (np.arange(160) < 50), 20), (high, 500)):
        np.testing.assert_array_equal(split_at_height(label, pairs, other, least), label)


def test_an_arm_reaches_in_from_the_border():
    """Eight centimetres wide, and joined to a thing of thirty; the same inside is no arm."""
    for start, arms in ((0, 1), (20, 0)):
        depth = np.full((120, 160), 2.0, np.float32)
        label = np.zeros((120, 160), dtype=np.int64)
        label[40:80, 80:120] = label[56:64, start:80] = 1
        depth[label > 0] = 1.0
        found = split_arms(label, grid_of(depth))
        assert found.max() == 1 + arms
        assert (found[45:75, 85:115] == 1).all()
        assert (found[57:63, start:70] == 1 + arms).all()


def test_what_is_cut_off_by_the_border_has_no_arms():
    depth = np.full((120, 160), 2.0, np.float32)
    label = np.zeros((120, 160), dtype=np.int64)
    label[80:, 40:120] = 1
    depth[label > 0] = 1.0
    np.testing.assert_array_equal(split_arms(label, grid_of(depth)), label)


def test_what_is_in_a_margin_of_the_picture_has_no_arms():
    """Rows with little depth are no part of the picture: a component may be in them alone."""
    depth = np.full((240, 320), 2.0, np.float32)
    label = np.zeros((240, 320), dtype=np.int64)
    depth[:40] = 0
    label[5:35, 100:130] = 1
    depth[label > 0] = 1.0
    camera = Intrinsics(200.0, 200.0, 159.5, 119.5, 320, 240)
    np.testing.assert_array_equal(split_arms(label, depth_grid(depth, camera)), label)
