"""The structure of config/perception.rviz: what RViz would ignore without a word.

Classes and properties are those of RViz 14.1 (Jazzy), whose source was compared by hand. RViz
skips an unknown property, and shows an unknown class as an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kinediff3d_core.objects.category import CATEGORIES

ROOT = Path(__file__).parents[2]

TOPIC = {'Value', 'Depth', 'History Policy', 'Reliability Policy', 'Durability Policy'}
"""Of every display with a topic; displays that wait for TF also have 'Filter size'."""

CLOUD = {'Topic', 'Alpha', 'Autocompute Intensity Bounds', 'Color', 'Color Transformer',
         'Decay Time', 'Position Transformer', 'Selectable', 'Size (Pixels)', 'Size (m)', 'Style',
         'Use Fixed Frame'}
PROPERTIES = {
    'rviz_common/Group': {'Displays'},
    'rviz_default_plugins/Grid': {
        'Alpha', 'Cell Size', 'Color', 'Line Style', 'Normal Cell Count', 'Offset', 'Plane',
        'Plane Cell Count', 'Reference Frame'},
    'rviz_default_plugins/Image': {'Topic', 'Median window', 'Normalize Range'},
    'rviz_default_plugins/MarkerArray': {'Topic', 'Namespaces'},
    'rviz_default_plugins/Path': {
        'Topic', 'Line Style', 'Line Width', 'Color', 'Alpha', 'Buffer Length', 'Offset',
        'Pose Style', 'Length', 'Radius', 'Pose Color', 'Shaft Length', 'Shaft Diameter',
        'Head Length', 'Head Diameter'},
    'rviz_default_plugins/PointCloud2': CLOUD,
    'rviz_default_plugins/Pose': {
        'Topic', 'Shape', 'Axes Length', 'Axes Radius', 'Color', 'Alpha'},
    'rviz_default_plugins/RobotModel': {
        'Alpha', 'Collision Enabled', 'Description Source', 'Description Topic',
        'Update Interval', 'Visual Enabled'},
    'rviz_default_plugins/TF': {
        'Frame Timeout', 'Frames', 'Marker Scale', 'Show Arrows', 'Show Axes', 'Show Names',
        'Update Interval'},
}
"""Of each class of display, beside those that all displays have."""

FILTERED = {'rviz_default_plugins/Path', 'rviz_default_plugins/PointCloud2',
            'rviz_default_plugins/Pose'}
"""Displays that wait for TF."""

RELIABLE = {'markers', 'robot_description'}
"""Outputs are published reliably; images and clouds may be requested with best effort."""

OF_PARTS = ('contact/', 'opening/')
"""Reliable outputs of each moving part."""


@pytest.fixture(scope='module')
def config() -> dict:
    return yaml.safe_load((ROOT / 'config/perception.rviz').read_text())


def displays(group: dict) -> Iterator[dict]:
    for display in group['Displays']:
        yield display
        if 'Displays' in display:
            yield from displays(display)


def topics(config: dict) -> dict[str, dict]:
    """Topic settings of each display that has them, by topic."""
    found = [d.get('Topic') or d.get('Description Topic')
             for d in displays(config['Visualization Manager'])]
    settings = [t for t in found if t]
    assert len({t['Value'] for t in settings}) == len(settings)
    return {t['Value']: t for t in settings}


def test_every_display_has_a_known_class_and_properties(config: dict) -> None:
    for display in displays(config['Visualization Manager']):
        common = {'Class', 'Name', 'Enabled', 'Value'}
        assert set(display) - common <= PROPERTIES[display['Class']], display['Name']
        assert display.get('Value', display['Enabled']) == display['Enabled']
        topic = display.get('Topic') or display.get('Description Topic') or {}
        extra = {'Filter size'} if display['Class'] in FILTERED else set()
        assert set(topic) <= TOPIC | extra, display['Name']


def test_topics_are_relative_so_that_rviz_can_run_in_any_namespace(config: dict) -> None:
    names = topics(config)
    assert not [t for t in names if t.startswith(('/', '~'))]
    assert set(names) - {t for t in names if t.startswith(OF_PARTS)} == {
        'points_used', 'points', 'markers', 'robot_description', 'depth/image_rect'}
    for name in names:
        reliable = name in RELIABLE or name.startswith(OF_PARTS)
        assert names[name]['Reliability Policy'] == ('Reliable' if reliable else 'Best Effort')
    assert names['robot_description']['Durability Policy'] == 'Transient Local'


@pytest.mark.parametrize('prefix', OF_PARTS)
def test_every_moving_part_has_a_display(config: dict, prefix: str) -> None:
    parts = {category.parts[joint.child]
             for category in CATEGORIES.values() for joint in category.joints}
    shown = {t.removeprefix(prefix) for t in topics(config) if t.startswith(prefix)}
    assert shown == parts


def test_no_frame_of_an_object_or_camera_is_needed(config: dict) -> None:
    manager = config['Visualization Manager']
    # The option -f replaces it.
    assert manager['Global Options']['Fixed Frame'] == 'camera_depth_optical_frame'
    frames = [d['Reference Frame'] for d in displays(manager) if 'Reference Frame' in d]
    assert [*frames, manager['Views']['Current']['Target Frame']] == ['<Fixed Frame>'] * 2
    assert not any('TF Prefix' in d for d in displays(manager))
