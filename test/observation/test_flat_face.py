"""The largest flat face of clouds: a cuboid's, a sphere's, and of few points."""

from __future__ import annotations

import numpy as np
import pytest

from kinediff3d_core.observation.flat_face import largest_face

SIZE = np.array([0.3, 0.2, 0.1])


@pytest.mark.parametrize('noise', [0.0, 0.002])
def test_largest_face_of_a_cuboid(noise: float) -> None:
    """Its three faces that meet in a corner, 1 m away; the second one has most points."""
    rng = np.random.default_rng(0)
    face = np.repeat(np.arange(3), (60, 220, 100))
    points = rng.uniform(0, 1, (len(face), 3)) * SIZE
    points[np.arange(len(face)), face] = 0
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    points = points @ turn + [0, 0, 1] + rng.normal(0, noise, points.shape)
    found = largest_face(points)
    assert found.on[face == 1].all() and found.on[face != 1].mean() < 0.2
    assert abs(found.normal @ turn[1]) > 0.99 and found.normal @ points.mean(0) < 0


def test_a_ball_and_few_points_have_none() -> None:
    rng = np.random.default_rng(1)
    ball = rng.normal(size=(400, 3))
    ball = 0.2 * ball / np.linalg.norm(ball, axis=1, keepdims=True) + [0, 0, 1]
    assert not largest_face(ball).on.any()
    assert largest_face(np.zeros((5, 3)) + [0, 0, 1]).on.tolist() == [False] * 5
