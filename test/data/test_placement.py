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
    assert match_joints([right, left], ['f', 'p', 'q'], far, glasses).pick == [1, 0]
    slides = [joint(n, 'prismatic', (1.0, 0.0, 0.0), child=i + 1, upper=0.3)
              for i, n in enumerate('abc')]
    place = np.array([[0, -0.2, 0.3], [0, 0, 0.0], [0, 0.2, 0.301]])
    assert match_joints(slides, ['c', 'x', 'y', 'z'], place, drawer).pick == [2, 0, 1]
    named = [dataclasses.replace(j, name=f'drawer_{i}_joint')
             for j, i in zip(slides, (1, 2, 0), strict=True)]
    assert match_joints(named, ['c', 'x', 'y', 'z'], place, drawer).pick == [2, 0, 1]
    assert by_place(place, 0.0001) == [2, 0, 1] and by_place(place[[1, 0]], 0.01) == [1, 0]


def test_any_of_a_category_s_sets_of_parts_may_be_there():
    """Their indices are then those of the parts that the object has."""
    cabinet, up, far = get_category('cabinet'), (0.0, 0.0, 1.0), np.zeros((2, 3))
    left, right = joint('a', axis=(0.0, 0.0, -1.0)), joint('b', axis=up, child=2)
    both = match_joints([right, left], ['f', 'p', 'q'], far, cabinet)
    assert both.parts == cabinet.parts and both.pick == [1, 0]
    assert [(j.name, j.axis) for j in both.joints] == [
        ('door_left_joint', left.axis), ('door_right_joint', up)]
    alone = match_joints([dataclasses.replace(right, child=1)], ['f', 'q'], far[:1], cabinet)
    assert alone.parts == ('base', 'door_right') and alone.pick == [0]
    assert [(j.name, j.parent, j.child) for j in alone.joints] == [('door_right_joint', 0, 1)]
    with pytest.raises(ValueError, match='3 movable joints .* but a cabinet has 1 or 2'):
        match_joints([left, right, right], ['f', 'p', 'q', 'r'], np.zeros((3, 3)), cabinet)
    with pytest.raises(ValueError, match='do not fit those of a cabinet: joint .a. goes along'):
        match_joints([joint('a')], ['f', 'p'], far[:1], cabinet)
    with pytest.raises(ValueError, match="'door_left_joint' goes along"):
        match_joints([dataclasses.replace(right, name='door_left_joint', child=1)], ['f', 'p'],
                     far[:1], cabinet)


def test_one_part_that_fits_several_places_is_refused(tmp_path):
    """Unless its name says which one it is."""
    two = read_category(crate_file(
        tmp_path, parts=['base', 'lid', 'flap'], optional_parts=['lid', 'flap'],
        joints=[{**CRATE['joints'][0], 'part': p} for p in ('lid', 'flap')]))
    with pytest.raises(ValueError, match='fit more than one set of parts of a crate; call the'):
        match_joints([joint('a')], ['x', 'y'], np.zeros((1, 3)), two)
    assert match_joints([joint('a')], ['x', 'flap'], np.zeros((1, 3)), two).parts == (
        'base', 'flap')


def test_joints_that_match_in_no_or_several_ways_are_refused(tmp_path):
    two = read_category(crate_file(tmp_path, parts=['base', 'lid', 'flap'], joints=[
        {**CRATE['joints'][0], 'part': p} for p in ('lid', 'flap')]))
    links, place = ['x', 'y', 'z'], np.zeros((2, 3))
    same = [joint('a'), joint('b', child=2)]
    with pytest.raises(ValueError, match=r"'flaps' \(did you mean flap\?\)$"):
        match_joints(same, ['x', 'flaps', 'z'], place, two)
    with pytest.raises(ValueError, match="'a'.*'b'.*more than one way.*category does$"):
        match_joints(same, links, place, two)
    assert match_joints(same, ['x', 'flap', 'z'], place, two).pick == [1, 0]
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
