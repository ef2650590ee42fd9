"""Motions along opening paths."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from guidance import Hold, TrueGuide, between, grips, motion_along, path_length
from true_objects import coarse_object

from kinediff3d_core.objects.contact import contacts
from kinediff3d_core.objects.opening import opening_path


@pytest.fixture(scope='module', params=['laptop', 'cutter'])
def opening(request):
    """A true object with its joint half open, its contact, and the path to its upper limit."""
    estimate = coarse_object(request.param)
    contact = contacts(estimate)[0]
    return estimate, contact, opening_path(estimate, contact)


def test_motion_of_the_whole_path_takes_the_part_to_its_upper_limit(opening):
    estimate, contact, path = opening
    positions = np.array([j.upper for j in estimate.joints])
    pose = next(p.T_camera_part for p in estimate.parts if p.name == contact.part)
    expected = estimate.T_camera_base @ estimate.part_poses_at(positions)[contact.part]
    np.testing.assert_allclose(motion_along(path, path_length(path)) @ pose, expected, atol=1e-9)


def test_motion_ends_with_the_path(opening):
    path = opening[2]
    length = path_length(path)
    np.testing.assert_array_equal(motion_along(path, 2 * length), motion_along(path, length))


def test_a_part_of_the_path_is_a_part_of_the_joints_motion(opening):
    estimate, contact, path = opening
    joint = estimate.joints[0]
    for share in (0.0, 0.3, 0.77):
        positions = np.array([joint.position + share * (joint.upper - joint.position)])
        expected = (estimate.T_camera_base @ estimate.part_poses_at(positions)[contact.part]
                    @ contact.T_part_contact)
        found = motion_along(path, share * path_length(path)) @ path[0]
        np.testing.assert_allclose(found[:3, 3], expected[:3, 3], atol=2e-4)
        np.testing.assert_allclose(found[:3, :3], expected[:3, :3], atol=1e-3)


def test_motion_does_not_depend_on_where_on_the_part_the_path_is(opening):
    estimate, contact, path = opening
    offset = np.eye(4)
    offset[:3, 3] = 0.01, -0.02, 0.03
    np.testing.assert_allclose(motion_along(path @ offset, path_length(path @ offset)),
                               motion_along(path, path_length(path)), atol=1e-9)


def test_a_path_without_length_is_no_motion():
    path = np.tile(np.eye(4), (20, 1, 1))
    np.testing.assert_array_equal(motion_along(path, 0.1), np.eye(4))


def test_half_way_between_two_poses():
    T = np.eye(4)
    T[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    T[:3, 3] = 2.0, 0.0, 0.0
    half = between(np.eye(4), T, 0.5)
    np.testing.assert_allclose(half[:3, 3], [1, 0, 0])
    np.testing.assert_allclose(half[:2, 0], np.sqrt([0.5, 0.5]))


def test_true_guide_follows_the_object():
    from simulated_object import SimulatedObject

    thing = SimulatedObject.sample('eyeglasses', 0, 1)
    guide, first = TrueGuide(thing), thing.start
    near_end = first.copy()
    near_end[thing.joint] = thing.limits[1] - 0.01
    closed, opened = (guide.look(SimpleNamespace(positions=q)) for q in (first, near_end))
    assert path_length(opened.path) < 0.05 * path_length(closed.path)
    assert len(closed.holds) >= 1


def test_what_no_finger_goes_behind_is_held_across_its_motion():
    lid = Hold(np.eye(4), np.array([0.01, 0.3, 0.2]), True)
    shut = replace(lid, reachable=False)
    assert grips([shut, lid], 0.07) == (lid,) and grips([shut], 0.07) == (shut,)
    edge, bar = (Hold(np.eye(4), np.array(extents), False) for extents in (
        (0.015, 0.01, 0.06), (0.015, 0.06, 0.01)))
    aside, first, ahead, second = grips([edge, bar], 0.07)
    assert first is edge and second is bar
    for grip, closing, approach in ((aside, 1, (0, 0, 1)), (ahead, 2, (-1, 0, 0))):
        T = grip.T_camera_contact
        assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0) and grip.extents[0] == 0.01
        assert abs(T[closing, 0]) == 1.0
        np.testing.assert_array_equal(T[:3, 2], approach)
    np.testing.assert_allclose(ahead.T_camera_contact[:3, 3], [0.0075, 0.0, 0.005])
