"""Flat faces perpendicular to an axis, found in points without an order."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from kinediff3d_core.observation.fronts import find_faces

TURN = Rotation.from_euler('xyz', (20, -35, 10), degrees=True).as_matrix()


def plane(x, y, z, step=0.008):
    """Points of a face at x between y[0] and y[1], z[0] and z[1], in the faces' frame."""
    grid = np.stack(np.meshgrid(np.arange(*y, step), np.arange(*z, step)), -1).reshape(-1, 2)
    return np.column_stack([np.full(len(grid), x), grid])


def side(x, y, z, step=0.008):
    """Points of a face at y between x[0] and x[1], z[0] and z[1]."""
    return plane(y, x, z, step)[:, [1, 0, 2]]


def found(*surfaces, noise=0.0005, R=TURN):
    rng = np.random.default_rng(0)
    points = np.concatenate(surfaces)
    points = (points + noise * rng.standard_normal(points.shape)) @ TURN.T
    return find_faces(rng.permutation(points).astype(np.float32), R)


CHEST = (side((-0.4, 0.0), 0.3, (0.0, 0.6)), plane(0.0, (-0.3, 0.3), (0.4, 0.6)),
         plane(0.1, (-0.3, 0.3), (0.2, 0.4)), plane(0.112, (-0.3, 0.3), (0.0, 0.2)))
"""A closed drawer over two open ones that are 12 mm apart."""


@pytest.mark.parametrize('off', [0.0, 12.0])
def test_fronts_are_found_with_their_places_and_their_normal(off):
    """Also where the pose that tells about where the front is turned by 12 degrees."""
    R = TURN @ Rotation.from_euler('zy', (off, off / 2), degrees=True).as_matrix()
    faces, levels, turned = found(*CHEST, R=R)
    assert turned[:, 0] @ TURN[:, 0] > np.cos(np.radians(1.0))
    faces = sorted(faces, key=lambda f: f.x)
    assert [f.x - faces[0].x for f in faces] == pytest.approx([0, 0.1, 0.112], abs=0.006)
    assert [f.high[1] - f.low[1] for f in faces] == pytest.approx([0.2] * 3, abs=0.02)
    assert [f.high[0] - f.low[0] for f in faces] == pytest.approx([0.6] * 3, abs=0.03)
    assert len(levels) >= 3


def test_a_frame_around_an_opening_is_a_level_but_no_face():
    frame = (plane(0.0, (-0.3, 0.3), (0.0, 0.03)), plane(0.0, (-0.3, 0.3), (0.57, 0.6)),
             plane(0.0, (-0.3, -0.27), (0.0, 0.6)), plane(0.0, (0.27, 0.3), (0.0, 0.6)))
    faces, levels, _ = found(*frame)
    assert not faces and levels[0] == pytest.approx(0.0, abs=0.002)


@pytest.mark.parametrize(('y', 'z'), [((0.0, 0.06), (0.0, 0.4)), ((0.0, 0.6), (0.0, 0.035))])
def test_handles_and_edges_are_too_small(y, z):
    assert not found(plane(0.0, y, z), side((-0.4, 0.0), 0.7, (0.0, 0.6)))[0]


def test_nothing_that_faces_along_the_axis_leaves_the_rotation():
    faces, levels, R = found(side((-0.4, 0.0), 0.3, (0.0, 0.6)))
    assert not faces and not levels and R is TURN


def test_overlap_is_the_intersection_over_the_union():
    face = found(plane(0.0, (0.0, 0.6), (0.0, 0.3)), noise=0.0, R=TURN)[0][0]
    assert face.overlap(face.low, face.high) == pytest.approx(1.0)
    half = np.array([face.middle[0], face.high[1]])
    assert face.overlap(face.low, half) == pytest.approx(0.5)
    assert face.overlap(face.high + 0.1, face.high + 0.2) == 0.0
