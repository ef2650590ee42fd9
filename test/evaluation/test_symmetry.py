"""Equally true readings of an object."""

from dataclasses import replace

import numpy as np
import pytest

from kinediff3d_core.data.surfaces import draw_points
from kinediff3d_core.data.truth import part_poses
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.evaluation.symmetry import equivalents, nearest, swapped


@pytest.fixture(scope='module')
def truth():
    return procedural_samples('scissors', seed=3, shapes=True)(0).truth


def test_swapped_scissors_are_the_same_thing_in_the_same_place(truth):
    other = swapped(truth)
    rng = np.random.default_rng(0)
    for part, was in ((0, 1), (1, 0)):
        a = draw_points([truth.surfaces[was]], [truth.T_camera_part[was]], 2000, rng)
        b = draw_points([other.surfaces[part]], [other.T_camera_part[part]], 2000, rng)
        np.testing.assert_allclose(b.min(0), a.min(0), atol=2e-3)
        np.testing.assert_allclose(b.max(0), a.max(0), atol=2e-3)
    # Its own kinematics, at the same position, put the new child where it is.
    np.testing.assert_allclose(part_poses(other, other.positions)[1],
                               np.linalg.inv(other.T_camera_part[0]) @ other.T_camera_part[1],
                               atol=1e-6)
    assert np.linalg.det(other.T_camera_part[0][:3, :3]) == pytest.approx(1)


def test_swapped_scissors_keep_the_convention(truth):
    """Base frame at the centre of its box, x to its tip, its tip on -y when the other opens."""
    other = swapped(truth)
    box = other.surfaces[0].mesh.vertices
    # Boxes are those of the solids before anything is cut off.
    np.testing.assert_allclose((box.min(0) + box.max(0)) / 2, 0, atol=4e-3)
    np.testing.assert_allclose(other.centres[0], 0, atol=1e-3)
    tips = [s.mesh.vertices[s.mesh.vertices[:, 0].argmax()] for s in other.surfaces]
    at = part_poses(other, np.array([0.8]))
    tip = at[1][:3, :3] @ tips[1] + at[1][:3, 3]
    assert tip[1] > tips[0][1]


def test_the_frames_of_a_data_set_stay_on_the_halves_that_they_belong_to(truth):
    turn = np.array([[0.0, -1, 0, 0.02], [1, 0, 0, 0.01], [0, 0, 1, 0.03], [0, 0, 0, 1]])
    stated = replace(truth, T_part_stated=np.stack([turn, turn @ turn]))
    other = swapped(stated)
    np.testing.assert_allclose((other.T_camera_part @ other.T_part_stated)[::-1],
                               stated.T_camera_part @ stated.T_part_stated, atol=1e-12)


def test_swapping_twice_changes_nothing(truth):
    again = swapped(swapped(truth))
    np.testing.assert_allclose(again.T_camera_part, truth.T_camera_part, atol=2e-3)
    np.testing.assert_allclose(again.origin, truth.origin, atol=2e-3)


def test_the_nearest_truth_counts_and_other_categories_have_one(truth):
    class FixedEstimate:
        pass

    for made in (truth, swapped(truth)):
        estimate = FixedEstimate()
        estimate.parts = [type('Part', (), {'name': n, 'T_camera_part': T}) for n, T in
                          zip(made.part_names, made.T_camera_part, strict=True)]
        estimate.joints = ()
        np.testing.assert_allclose(nearest(estimate, truth).T_camera_part, made.T_camera_part)
    assert len(equivalents(replace(truth, category='laptop'))) == 1
    with pytest.raises(ValueError, match='two parts'):
        swapped(replace(truth, centres=None))
