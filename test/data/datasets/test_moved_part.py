"""The axis of a part from two states, without corresponding points."""

import numpy as np
import pytest
from open3d_or_skip import import_open3d
from partnet_folders import box
from scipy.spatial.transform import Rotation

from kinediff3d_core.data.datasets.moved_part import mean_distance, rotation_axis
from kinediff3d_core.data.mesh_objects import merge_meshes
from kinediff3d_core.objects.estimate import Mesh

import_open3d()

BASE = box((-1.0, -1.0, -0.1), (1.0, 1.0, 0.1))
PART = merge_meshes([box((-1.0, -0.9, 0.2), (0.8, 0.9, 0.3)),
                     box((-1.0, 0.2, 0.3), (0.0, 0.5, 0.6))])
ORIGIN, AXIS = np.array([-1.1, 0.0, 0.15]), np.array([0.02, -1.0, 0.01])
AXIS /= np.linalg.norm(AXIS)


def turned(degrees, shift=0.0):
    """The part after a rotation about the axis, and a shift along it."""
    turn = Rotation.from_rotvec(np.radians(degrees) * AXIS)
    return Mesh(turn.apply(PART.vertices - ORIGIN) + ORIGIN + shift * AXIS, PART.faces)


@pytest.mark.parametrize('degrees', [18.0, -40.0, 90.0])
def test_the_axis_of_a_rotation_is_found(degrees):
    found = rotation_axis(BASE, PART, turned(degrees), np.radians(degrees), 3.0)
    np.testing.assert_allclose(found.direction, AXIS, atol=1e-4)
    np.testing.assert_allclose(np.cross(found.origin - ORIGIN, AXIS), 0, atol=1e-4)
    assert found.slip < 1e-4 and found.residual < 1e-4


@pytest.mark.parametrize(('state', 'match'), [
    (turned(30.0), 'said to rotate by 40°, its surfaces say 30'),
    (turned(40.0, 0.3), 'a slip of 0.3'),
    (box((0, 0, 0), (5, 5, 5)), 'said to rotate by 40°'),
])
def test_another_motion_is_refused(state, match):
    with pytest.raises(ValueError, match=match):
        rotation_axis(BASE, PART, state, np.radians(40.0), 3.0)


def test_mean_distance_between_parallel_faces():
    low, high = box((0, 0, 0), (1, 1, 1e-6)), box((-1, -1, 0.2), (2, 2, 0.3))
    assert mean_distance(low, high) == pytest.approx(0.2, abs=1e-5)
