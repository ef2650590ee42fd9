"""Boxes of a detector as a mask of ids."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kinediff3d_core.io.mask_pixels import box_mask
from kinediff3d_core.observation.image_boxes import (
    DetectedBox,
    ImageBox,
    instance_ids,
    overlap,
    without_duplicates,
)

SHAPE = (48, 64)


@pytest.mark.parametrize('edges', [(10, 5, 30, 25), (-10, -5, 7, 9), (60, 40, 90, 70),
                                   (-99, -99, 999, 999), (70, 5, 90, 25), (-30, 5, -10, 25)])
def test_an_upright_box_has_the_pixels_between_its_edges(edges: tuple) -> None:
    left, top, right, bottom = edges
    box = ImageBox((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
    expected = np.zeros(SHAPE, bool) if right < 0 else box_mask(edges, SHAPE)
    np.testing.assert_array_equal(instance_ids({7: box}, SHAPE) == 7, expected)


def test_a_box_that_is_turned() -> None:
    """Its long side goes from the upper left to the lower right."""
    ids = instance_ids({3: ImageBox(32.0, 24.0, 30.0, 4.0, math.pi / 4)}, SHAPE)
    assert (ids == 3).sum() == pytest.approx(120, rel=0.1)
    assert ids[33, 41] == 3 and ids[15, 23] == 3
    assert ids[15, 41] == 0 and ids[33, 23] == 0
    right_angle = ImageBox(32.0, 24.0, 4.0, 30.0, math.pi / 2)
    np.testing.assert_array_equal(instance_ids({3: right_angle}, SHAPE),
                                  instance_ids({3: ImageBox(32.0, 24.0, 30.0, 4.0)}, SHAPE))


@pytest.mark.parametrize('order', [(1, 2), (2, 1)])
def test_where_boxes_overlap_the_smaller_one_is(order: tuple) -> None:
    boxes = {1: ImageBox(30.0, 20.0, 40.0, 30.0), 2: ImageBox(30.0, 20.0, 10.0, 10.0)}
    ids = instance_ids({k: boxes[k] for k in order}, SHAPE)
    assert (ids == 2).sum() == 100 and (ids == 1).sum() == 1100


@pytest.mark.parametrize('box', [
    ImageBox(math.nan, 1, 1, 1), ImageBox(1, math.inf, 1, 1), ImageBox(1, 1, math.nan, 1),
    ImageBox(1, 1, 1, 0), ImageBox(1, 1, -3, 1), ImageBox(1, 1, 1, 1, math.nan)])
def test_boxes_that_are_no_rectangles(box: ImageBox) -> None:
    assert not box.is_valid


def test_huge_boxes_have_the_pixels_of_the_image() -> None:
    assert instance_ids({1: ImageBox(0, 0, 1e300, 1e300)}, SHAPE).all()
    assert not instance_ids({1: ImageBox(1e300, -1e300, 5, 5, 1.0)}, SHAPE).any()


def test_overlap() -> None:
    a = ImageBox(10, 10, 10, 10)
    assert overlap(a, a) == 1.0
    assert overlap(a, ImageBox(15, 10, 10, 10)) == pytest.approx(1 / 3)
    assert overlap(a, ImageBox(20, 10, 10, 10)) == 0.0
    for box in (ImageBox(10, 10, 1e-30, 1e-30), ImageBox(10, 10, 1e300, 1e300)):
        assert box.is_valid and overlap(box, box) == overlap(a, box) == 0.0


def test_duplicates_of_a_better_detection_are_left_out() -> None:
    def detected(u: float, score: float) -> DetectedBox:
        return DetectedBox(ImageBox(u, 10, 20, 20), 'x', score, '')

    kept = without_duplicates([detected(10, 0.5), detected(11, 0.9), detected(20, 0.4)], 0.7)
    assert [d.score for d in kept] == [0.9, 0.4]
