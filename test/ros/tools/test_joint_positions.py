"""Joint positions as text."""

from __future__ import annotations

import math

import pytest

from kinediff3d_ros.tools.joint_positions import DISPLAY_UNITS, format_position


@pytest.mark.parametrize(('joint_type', 'position', 'text'), [
    ('revolute', math.pi / 4, '45.0°'), ('prismatic', 0.1234, '123 mm'),
    ('', 1.0, '1.000 rad or m'), ('continuous', -0.5, '-0.500 rad or m')])
def test_positions_have_the_unit_of_their_joint_type(joint_type, position, text) -> None:
    assert format_position(joint_type, position) == text


def test_units_are_those_of_the_text() -> None:
    assert DISPLAY_UNITS['revolute'] == ('°', math.degrees(1))
    assert DISPLAY_UNITS['prismatic'] == ('mm', 1000)
