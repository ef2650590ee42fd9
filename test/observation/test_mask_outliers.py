"""Masks with other surfaces in them: grown, a bounding box, with an arm; and clean ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch
from tabletops import CAMERA as TABLETOP
from tabletops import block, camera_above, draw, plate

from kinediff3d_core.geometry.camera import Intrinsics
from kinediff3d_core.observation.mask_outliers import MaskOutlierConfig, without_other_surfaces
from kinediff3d_core.simulation.primitives import Primitive

CAMERA = Intrinsics(150.0, 150.0, 79.5, 59.5, 160, 120)


def scene(height: float = 0.06, arm: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Depth of a box on a table that the camera looks down on, and the box's mask."""
    rng = np.random.default_rng(0)
    v = np.arange(120)[:, None] * np.ones((1, 160))
    table = 1.0 / (1.0 + 0.3 * (v - CAMERA.cy) / CAMERA.fy)
    mask = np.zeros((120, 160), dtype=bool)
    mask[40:80, 55:105] = True
    depth = np.where(mask, table - height, table)
    if arm:
        depth[72:, 70:82] = 0.6
        mask[72:, 70:82] = False
    return (depth + rng.normal(0, 0.001, depth.shape)).astype(np.float32), mask


def grown(mask: np.ndarray, pixels: int = 6) -> np.ndarray:
    return scipy.ndimage.binary_dilation(mask, iterations=pixels)


def bounding_box(mask: np.ndarray) -> np.ndarray:
    box = np.zeros_like(mask)
    box[37:84, 50:110] = True
    return box


@pytest.mark.parametrize('change', [grown, bounding_box])
def test_the_table_in_a_mask_is_removed(change) -> None:
    depth, mask = scene()
    found = without_other_surfaces(depth, CAMERA, change(mask))
    assert found[mask].mean() > 0.98
    assert (found & ~mask).sum() < 0.02 * mask.sum()


def diamond() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth of a box that is turned on the table, its mask, and its bounding box, of which half is
    table."""
    depth, _ = scene(height=0.0)
    v, u = np.indices(depth.shape)
    mask = np.abs(v - 60) + np.abs(u - 80) <= 25
    box = np.zeros_like(mask)
    box[35:86, 55:106] = True
    return np.where(mask, depth - 0.06, depth).astype(np.float32), mask, box


def test_half_of_a_bounding_box_may_be_table() -> None:
    depth, mask, box = diamond()
    found = without_other_surfaces(depth, CAMERA, box)
    assert found[mask].mean() > 0.98
    assert (found & ~mask).sum() < 0.02 * mask.sum()


def test_a_box_of_which_another_one_covers_a_part_is_a_box() -> None:
    depth, mask, box = diamond()
    box[35:50, 55:70] = False
    free = mask & box
    for boxed, least, most in ((True, 0.98, 0.02), (None, 0.98, 1.0)):
        found = without_other_surfaces(depth, CAMERA, box, boxed=boxed)
        assert found[free].mean() > least
        table = (found & ~mask).sum() / free.sum()
        assert table < most if boxed else table > 0.5


def test_bumps_of_the_table_in_a_bounding_box_are_removed_and_high_parts_stay() -> None:
    depth, mask, box = diamond()
    depth[37:41, 57:63] -= 0.011  # noise of stereo depth: above the plane's thickness
    high = np.s_[80:84, 98:104]  # a part of the object that a gap in the depth separates
    depth[high] -= 0.06
    found = without_other_surfaces(depth, CAMERA, box)
    assert not found[37:41, 57:63].any()
    assert found[high].all() and found[mask].mean() > 0.98


def test_an_arm_in_a_bounding_box_is_removed() -> None:
    depth, mask = scene(arm=True)
    found = without_other_surfaces(depth, CAMERA, bounding_box(mask))
    assert found[mask].mean() > 0.98
    assert (found & ~mask).sum() < 0.05 * mask.sum()


def test_an_arm_that_holds_the_object_is_removed_though_most_of_it_is_in_the_box() -> None:
    centres = torch.stack([torch.linspace(0.1, 1.0, 80), torch.zeros(80),
                           torch.full((80,), 0.175)], dim=-1)
    arm = Primitive(torch.eye(4), None, centres, torch.full((80,), 0.035))
    depth, index = draw([plate(5.0, 5.0), block(0.0, 0.0, [0.12, 0.12, 0.1]), arm],
                        camera_above(60))
    rows, columns = (np.flatnonzero((index == 1).any(axis)) for axis in (1, 0))
    last = np.flatnonzero((index == 2).any(0))[-1]
    box = np.zeros(index.shape, dtype=bool)
    box[rows[0]:rows[-1] + 1, columns[0]:(columns[-1] + last) // 2] = True
    found = without_other_surfaces(depth, TABLETOP, box)
    assert found[index == 1].mean() > 0.9
    # Its tip, over the top of the block, is nearer to that than to the arm.
    assert (found & (index == 2)).sum() < 0.3 * (box & (index == 2)).sum()
    kept = without_other_surfaces(depth, TABLETOP, box, MaskOutlierConfig(beyond=np.inf))
    assert (kept & (index == 2)).sum() > 0.5 * (box & (index == 2)).sum()


@pytest.mark.parametrize('height', [0.003, 0.02, 0.06])
def test_a_clean_mask_stays(height: float) -> None:
    """Also of scissors, which are as flat as the depth noise."""
    depth, mask = scene(height)
    np.testing.assert_array_equal(without_other_surfaces(depth, CAMERA, mask), mask)


def test_a_front_in_one_plane_with_its_neighbours_stays() -> None:
    """Built-in furniture: nothing but the mask tells it from what is beside it."""
    depth, mask = scene(height=0.0)
    np.testing.assert_array_equal(without_other_surfaces(depth, CAMERA, mask), mask)


def test_a_view_without_surroundings_stays() -> None:
    depth, mask = scene()
    depth[~mask] = 0
    np.testing.assert_array_equal(without_other_surfaces(depth, CAMERA, mask), mask)
    nothing = np.zeros_like(mask)
    assert not without_other_surfaces(depth, CAMERA, nothing).any()


def test_another_size_is_refused() -> None:
    depth, mask = scene()
    with pytest.raises(ValueError, match='mask is'):
        without_other_surfaces(depth, CAMERA, mask[:, 1:])
