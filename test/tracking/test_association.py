"""Segments and the known objects that they show."""

from __future__ import annotations

import numpy as np
import pytest

from kinediff3d_core.tracking.association import explained, moved, sampled

rng = np.random.default_rng(0)


def patch(x: float, width: float = 0.2, count: int = 1500) -> np.ndarray:
    """Points on a square in front of the camera, m."""
    points = rng.uniform(-width / 2, width / 2, (count, 3))
    points[:, 0] += x
    points[:, 2] = 1.0 + rng.normal(0, 0.003, count)
    return points


def test_a_segment_shows_the_object_that_explains_most_of_it() -> None:
    known = {3: patch(0.0), 7: patch(0.5)}
    assert explained([patch(0.52), patch(0.01), patch(1.5)], known) == [7, 3, None]
    both = np.concatenate([patch(0.0), patch(0.5), patch(0.5)])
    assert explained([both], known) == [7]


@pytest.mark.parametrize(('aside', 'number'), [(0.05, 1), (0.19, None)])
def test_more_than_half_of_a_segment_has_to_be_explained(aside: float, number: int | None) -> None:
    assert explained([patch(aside)], {1: patch(0.0)}) == [number]


def test_a_part_of_an_object_shows_it_and_a_much_larger_thing_does_not() -> None:
    assert explained([patch(0.05, 0.05)], {4: patch(0.0)}) == [4]
    assert explained([patch(0.0, 1.0)], {4: patch(0.0)}) == [None]


def test_without_known_objects_or_points_everything_is_new() -> None:
    assert explained([patch(0.0)], {}) == [None]
    assert explained([patch(0.0)], {1: np.zeros((0, 3))}) == [None]
    assert explained([], {1: patch(0.0)}) == []


def test_lost_objects_go_to_the_nearest_new_segments_of_their_size() -> None:
    lost = {1: patch(0.0), 2: patch(0.3), 5: patch(0.1, 0.05)}
    segments = {0: patch(0.32), 4: patch(-0.1), 6: patch(2.0), 8: patch(0.1, 0.6)}
    assert moved(segments, lost) == {0: 2, 4: 1}
    assert moved({}, lost) == moved(segments, {}) == {}


def test_samples_are_spread_over_all_points() -> None:
    points = np.arange(30).reshape(10, 3)
    np.testing.assert_array_equal(sampled(points, 20), points)
    assert len(sampled(points, 4)) == 4 and sampled(points, 4)[-1, 0] == 27
