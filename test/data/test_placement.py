"""Which joint of an object is which of its category's, and how its frame is turned."""

import dataclasses

import numpy as np
import pytest
import trimesh
from own_objects import CRATE, crate_file

from kinediff3d_core.data.placement import Placement, by_place, match_joints, sense
from kinediff3d_core.geometry.kinematics import Joint
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.category_file import read_category

LAPTOP = get_category('laptop')


def test_roll_pitch_and_yaw_are_those_of_urdf():
    rpy = (0.3, -0.7, 1.9)
    np.testing.assert_allclose(Placement(rpy).transform,
                               trimesh.transformations.euler_matrix(*rpy, 'sxyz'), atol=1e-12)


def joint(name, kind='revolute', axis=(0.0, -1.0, 0.0), parent=0, child=1, lower=0.0, upper=1.0):
    return Joint(name, kind, parent, child, axis, lower, upper)


def test_joints_match_by_name_axis_and_place():
    glasses, drawer = get_category('eyeglasses'), get_category('drawer')
    z, far = (0.0, 0.0, 1.0), np.zeros((2, 3))
    right = joint('a', axis=(0.0, 0.0, -1.0))
    left = joint('b', axis=z, child=2)
    assert match_joints([right, left], ['f', 'p', 'q'], far, glasses) == [1, 0]
    slides = [joint(n, 'prismatic', (1.0, 0.0, 0.0), child=i + 1, upper=0.3)
              for i, n in enumerate('abc')]
    place = np.array([[0, -0.2, 0.3], [0, 0, 0.0], [0, 0.2, 0.301]])
    assert match_joints(slides, ['c', 'x', 'y', 'z'], place, drawer) == [2, 0, 1]
    named = [dataclasses.replace(j, name=f'drawer_{i}_joint')
             for j, i in zip(slides, (1, 2, 0), strict=True)]
    assert match_joints(named, ['c', 'x', 'y', 'z'], place, drawer) == [2, 0, 1]
    assert by_place(place, 0.0001) == [2, 0, 1] and by_place(place[[1, 0]], 0.01) == [1, 0]


def test_joints_that_match_in_no_or_several_ways_are_refused(tmp_path):
    two = read_category(crate_file(tmp_path, parts=['base', 'lid', 'flap'], joints=[
        {**CRATE['joints'][0], 'part': p} for p in ('lid', 'flap')]))
    links, place = ['x', 'y', 'z'], np.zeros((2, 3))
    same = [joint('a'), joint('b', child=2)]
    with pytest.raises(ValueError, match=r"'flaps' \(did you mean flap\?\)$"):
        match_joints(same, ['x', 'flaps', 'z'], place, two)
    with pytest.raises(ValueError, match="'a'.*'b'.*more than one way.*category does$"):
        match_joints(same, links, place, two)
    assert match_joints(same, ['x', 'flap', 'z'], place, two) == [1, 0]
    with pytest.raises(ValueError, match='2 movable joints'):
        match_joints(same, links, place, LAPTOP)
    with pytest.raises(ValueError, match='wrong way round'):
        match_joints([joint('a', lower=-2.0, upper=0.0)], links[:2], place, LAPTOP)
    with pytest.raises(ValueError, match='do not fit'):
        match_joints([joint('a'), joint('b', 'prismatic', child=2)], links, place, two)
    with pytest.raises(ValueError, match='another parent part'):
        match_joints([joint('lid_joint'), joint('flap_joint', parent=1, child=2)], links, place,
                     two)


@pytest.mark.parametrize(('degrees', 'lower', 'upper', 'expected'), [
    (0, 0.0, 2.0, 1), (24, 0.0, 2.0, 1), (26, 0.0, 2.0, 0), (90, 0.0, 2.0, 0),
    (154, -2.0, 0.0, 0), (156, -2.0, 0.0, -1), (180, -2.0, 0.0, -1)])
def test_the_sense_of_a_joint_follows_its_axis(degrees, lower, upper, expected):
    angle = np.radians(degrees)
    axis = np.array([np.sin(angle), -np.cos(angle), 0.0])  # the lid's is (0, -1, 0)
    assert sense('revolute', axis, lower, upper, LAPTOP) == expected
    assert sense('prismatic', axis, lower, upper, LAPTOP) == 0


def test_of_two_senses_the_one_whose_limits_overlap_more_counts():
    glasses = get_category('eyeglasses')  # axes (0, 0, 1) and (0, 0, -1)
    axis = np.array([0.0, 0.0, 1.0])
    assert sense('revolute', axis, -0.2, 1.5, glasses) == 1
    assert sense('revolute', axis, -1.5, 0.2, glasses) == -1


def test_rows_are_ordered_from_their_highest_place():
    place = np.array([[0, 0.0, 0.00], [0, 0.3, 0.02], [0, -0.1, 0.05], [0, 0.2, 0.1]])
    assert by_place(place, 0.035) == [3, 1, 2, 0]
    assert by_place(place, 0.06) == [3, 2, 1, 0]
    assert by_place(place, 1.0) == [1, 3, 0, 2]
