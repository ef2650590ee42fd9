"""What a page says about objects: states, confidence, joint positions, labels."""

from __future__ import annotations

import math

import pytest
from estimates import laptop_estimate

from kinediff3d_core.objects.urdf import urdf_string
from kinediff3d_ros.tools.shown_objects import (
    FORGOTTEN,
    ShownObject,
    caption,
    objects_html,
    title,
)


@pytest.fixture
def laptop() -> ShownObject:
    shown = ShownObject('laptop')
    shown.positions.append((1, {'laptop_lid_joint': math.pi / 4}))
    shown.positions.append((2, {'laptop_lid_joint': math.pi / 2}))
    shown.deviations.append((1, {'laptop_lid_joint': math.radians(0.8)}))
    shown.report('estimate', 'tracked', 0.934, now=10.0)
    return shown


def test_positions_have_standard_deviations_and_units(laptop: ShownObject) -> None:
    assert laptop.joint_text('laptop_lid_joint', 1) == '0.785 rad or m ± 0.014 rad or m'
    laptop.describe(urdf_string(laptop_estimate(0.5)))
    assert laptop.joint_text('laptop_lid_joint', 1) == '45.0° ± 0.8°'
    assert laptop.joint_text('laptop_lid_joint', None) == '90.0° ± 0.8°', 'the newest'
    assert laptop.joint_text('other', 1) == ''
    laptop.deviations.clear()
    assert laptop.joint_text('laptop_lid_joint', 1) == '45.0°'
    assert caption({'laptop': laptop}, 1) == 'laptop_lid_joint 45.0°'


def test_joints_that_are_not_described_yet_have_the_unit_of_their_category() -> None:
    """A drawer that is found later moves before the new description comes."""
    drawer = ShownObject('drawer_7')
    drawer.positions.append((1, {'drawer_7_drawer_1_joint': 0.123}))
    drawer.report('estimate', 'tracked', 0.9, now=10.0, category='drawer')
    assert drawer.joint_text('drawer_7_drawer_1_joint', 1) == '123 mm'
    assert drawer.label('drawer_7_drawer_1', 1) == 'drawer_1 123 mm'
    drawer.describe('<robot><joint name="drawer_7_drawer_0_joint" type="prismatic"/></robot>')
    assert '123 mm' in objects_html({'drawer_7': drawer}, 1, now=11.0)
    drawer.report('estimate', 'tracked', 0.9, now=10.0, category='my_own')
    assert drawer.joint_text('drawer_7_drawer_1_joint', 1) == '0.123 rad or m'


def test_labels_name_parts_with_the_joints_that_move_them(laptop: ShownObject) -> None:
    assert laptop.label('laptop_lid', 1) == 'laptop lid'
    laptop.describe(urdf_string(laptop_estimate(0.5)))
    assert laptop.label('laptop_lid', 1) == 'lid 45.0° ± 0.8°'
    assert laptop.label('laptop_base', 1) == 'laptop base'


@pytest.mark.parametrize('text', (
    '', '<robot', '<!DOCTYPE r [<!ENTITY a "b">]><robot>&a;</robot>',
    '<robot><joint name="laptop_lid_joint" type="revolute"><limit lower="x"/></joint></robot>'))
def test_a_description_that_cannot_be_read_changes_nothing(laptop: ShownObject, text: str) -> None:
    laptop.describe(urdf_string(laptop_estimate(0.5)))
    before = laptop.joints
    laptop.describe(text)
    assert laptop.joints == before


def test_the_state_is_always_said(laptop: ShownObject) -> None:
    html = objects_html({'laptop': laptop}, 1, now=11.0)
    assert 'estimate</b>, confidence 0.93' in html and '0.785 rad or m ± 0.014' in html
    assert title({'laptop': laptop}, 11.0) == 'laptop: estimate'
    html = objects_html({'laptop': laptop}, 1, now=18.0)
    assert 'stale' in html and 'no report for 8 s' in html
    assert 'confidence' not in html and '0.785' not in html, 'an old pose'
    laptop.report('lost', 'out of the <mask>', math.nan, now=20.0)
    html = objects_html({'laptop': laptop}, 1, now=20.0 + FORGOTTEN - 1)
    assert 'lost' in html and 'out of the &lt;mask&gt;' in html
    assert ShownObject('new').state_at(1.0) == ('unknown', 'no report yet')


def test_a_node_of_several_objects_is_listed_if_something_is_wrong(laptop: ShownObject) -> None:
    node = ShownObject('objects')
    for state in ('estimate', 'waiting'):
        node.report(state, 'no mask', math.nan, 10.0)
        listed = 'objects' in objects_html({'laptop': laptop, 'objects': node}, 1, now=11.0)
        assert listed == (state == 'waiting')


def test_little_is_kept(laptop: ShownObject) -> None:
    for i in range(1000):
        laptop.positions.append((i, {}))
    assert len(laptop.positions) < 100
