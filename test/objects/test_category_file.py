"""A user's own category: valid files, and files that are refused."""

import math

import pytest
import yaml

from kinediff3d_core.objects import category_file
from kinediff3d_core.objects.category import CATEGORIES, DEFAULT_DENSITY, get_category
from kinediff3d_core.objects.category_file import (
    add_category,
    add_own_categories,
    category_yaml,
    read_category,
)

TOOLBOX = {
    'name': 'tool-box2', 'parts': ['base', 'lid', 'tray'], 'scale': 0.3,
    'joints': [
        {'part': 'lid', 'parent': 'base', 'type': 'revolute', 'axis': [0, -2, 0],
         'limits': [-0.1, 1.8]},
        {'part': 'tray', 'parent': 'lid', 'type': 'prismatic', 'axis': [3, 0, 4],
         'limits': [0, 2]}]}


def written(tmp_path, fields):
    path = tmp_path / 'category.yaml'
    path.write_text(yaml.safe_dump(fields))
    return path


def with_field(path, value):
    """The toolbox with one field, given as ``a.0.b``, changed; None removes it."""
    fields = yaml.safe_load(yaml.safe_dump(TOOLBOX))
    *parents, last = (int(k) if k.isdigit() else k for k in path.split('.'))
    at = fields
    for key in parents:
        at = at[key]
    at[last] = value
    if value is None:
        del at[last]
    return fields


@pytest.fixture
def own(monkeypatch):
    """CATEGORIES that the test may add to."""
    monkeypatch.setattr(category_file, 'CATEGORIES', dict(CATEGORIES))
    return category_file.CATEGORIES


def test_defaults_and_unit_axes(tmp_path):
    c = read_category(written(tmp_path, TOOLBOX))
    lid, tray = c.joints
    assert (c.name, c.parts, c.scale) == ('tool-box2', ('base', 'lid', 'tray'), 0.3)
    assert (lid.name, lid.joint_type, lid.parent, lid.child) == ('lid_joint', 'revolute', 0, 1)
    assert (tray.joint_type, tray.parent, tray.child) == ('prismatic', 1, 2)
    assert lid.axis == (0, -1, 0) and tray.axis == pytest.approx((0.6, 0, 0.8))
    assert (lid.lower, lid.upper) == (-0.1, 1.8)
    assert c.test_range == c.train_range == (-0.1, 2.0), 'the limits of all joints'
    assert c.azimuth == math.pi and c.part_sets == c.optional_parts == ()
    assert c.density == DEFAULT_DENSITY and c.wall is None


@pytest.mark.parametrize(('given', 'sets', 'optional'), [
    ([], (), ()), (False, (), ()), ([['lid', 'tray']], (), ()), (['tray'], ((1,), (1, 2)), (2,)),
    (['lid'], (), ()), ([['tray', 'lid'], ['lid'], ['lid']], ((1,), (1, 2)), (2,))])
def test_sets_of_parts(tmp_path, given, sets, optional):
    """The tray hangs on the lid: the lid cannot be missing alone, and one part always is there."""
    c = read_category(written(tmp_path, with_field('optional_parts', given)))
    assert c.part_sets == sets and c.optional_parts == optional


def test_any_of_the_parts_may_be_missing(tmp_path):
    fields = with_field('joints.1.parent', 'base')
    fields['optional_parts'] = ['lid', 'tray']
    c = read_category(written(tmp_path, fields))
    assert c.part_sets == ((1,), (1, 2), (2,)) and c.optional_parts == (1, 2)


def test_too_many_parts_that_may_be_missing_in_any_combination_are_refused(tmp_path):
    parts = [f'p{i}' for i in range(8)]
    fields = TOOLBOX | {'parts': parts, 'optional_parts': parts[1:], 'joints': [
        {'part': p, 'parent': 'p0', 'type': 'revolute', 'axis': [0, 0, 1], 'limits': [0, 1]}
        for p in parts[1:]]}
    with pytest.raises(ValueError, match='names 7 parts, at most 6'):
        read_category(written(tmp_path, fields))


def test_unit_axes_keep_their_digits(tmp_path):
    """Also where rounding makes their length differ from one by some 1e-10."""
    axis = [0.267261242, 0.534522484, 0.801783726]
    c = read_category(written(tmp_path, with_field('joints.0.axis', axis)))
    assert list(c.joints[0].axis) == axis


def test_short_axes_have_a_direction(tmp_path):
    """From a millionth on."""
    c = read_category(written(tmp_path, with_field('joints.0.axis', [0, 1e-6, 0])))
    assert c.joints[0].axis == (0, 1, 0)


@pytest.mark.parametrize('name', sorted(CATEGORIES))
def test_every_category_comes_back(tmp_path, name):
    category = get_category(name)
    (tmp_path / 'category.yaml').write_text(category_yaml(category))
    assert read_category(tmp_path / 'category.yaml') == category


@pytest.mark.parametrize(('field', 'value', 'match'), [
    ('name', None, 'lacks name'), ('nam', 'x', 'unknown nam'),
    ('name', 'Tool', 'lower-case'), ('name', 'a' * 65, 'lower-case'), ('name', 7, 'lower-case'),
    ('name', 'all', 'none of all, auto'), ('parts', ['base'], '2 to 16'),
    ('parts', ['base', 'a b', 'c'], '2 to 16'), ('parts', ['base'] + list('abcdefghijklmnop'),
                                                 '2 to 16'),
    ('parts', ['base', 'lid', 'lid'], 'twice'), ('joints', {}, 'list of 2'),
    ('joints', TOOLBOX['joints'][:1], 'list of 2'), ('joints.0', 'x', 'must have the fields'),
    ('joints.0.part', 'tray', 'order of the parts'), ('joints.0.parent', 'lid', 'one of base'),
    ('joints.1.parent', 'tray', 'one of base, lid'), ('joints.0.type', 'screw', 'known: revolute'),
    ('joints.0.axis', [0, 1], 'three numbers'), ('joints.0.axis', [0, 0, 0], 'no direction'),
    ('joints.0.axis', [0, 1e-7, 0], 'no direction'), ('joints.0.axis.0', 'x', 'axis must be'),
    ('joints.0.axis.0', 1001, '-1000 to 1000'), ('joints.0.limits', [1, 1], 'must increase'),
    ('joints.0.limits', [2, 1], 'must increase'), ('joints.0.limits', [1], 'two numbers'),
    ('joints.0.limits', [0, 101], '-100 to 100'), ('scale', 0.0009, '0.001 to 100'),
    ('scale', 100.1, '0.001 to 100'), ('scale', float('nan'), '0.001 to 100'),
    ('scale', True, '0.001 to 100'), ('azimuth', 0.04, '0.05 to 3.2'),
    ('azimuth', 3.3, '0.05 to 3.2'), ('test_range', [1, 0], 'must increase'),
    ('optional_parts', 'no', 'must be a list of moving parts'),
    ('optional_parts', True, r'as \[\[lid\], \[lid, tray\]\]'),
    ('optional_parts', ['base'], 'moving parts: lid, tray'),
    ('optional_parts', [['lid'], ['try']], 'did you mean tray'),
    ('optional_parts', [['tray']], 'the one that it hangs on'),
    ('optional_parts', [['lid'], []], 'at least one part'), ('density', 0, '1 to 30000'),
    ('wall', -0.1, '1e-05 to 10')])
def test_what_is_wrong_is_named_in_one_line(tmp_path, field, value, match):
    path = written(tmp_path, with_field(field, value))
    with pytest.raises(ValueError, match=match) as error:
        read_category(path)
    assert '\n' not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize(('field', 'value'), [
    ('scale', 0.001), ('scale', 100), ('azimuth', 0.05), ('azimuth', 3.2), ('name', 'a' * 64),
    ('joints.0.axis', [0, 1e-3, 0]), ('joints.0.limits', [-100, 100]),
    ('parts', ['base', 'p' * 64, 'tray'])])
def test_limits_themselves_are_allowed(tmp_path, field, value):
    fields = with_field(field, value)
    fields['joints'][0]['part'] = fields['parts'][1]
    fields['joints'][1]['parent'] = 'base'
    read_category(written(tmp_path, fields))


def test_files_that_are_no_yaml_or_too_large_are_refused(tmp_path):
    path = tmp_path / 'category.yaml'
    with pytest.raises(ValueError, match='does not exist'):
        read_category(path)
    path.write_text('a: [')
    with pytest.raises(ValueError, match='is not YAML'):
        read_category(path)
    for text in ('!!python/object/apply:os.system ["true"]', 'crate', ''):
        path.write_text(text)
        with pytest.raises(ValueError, match='category.yaml'):
            read_category(path)
    path.write_text('#' * (64 * 1024 + 1))
    with pytest.raises(ValueError, match='more than 65536 bytes'):
        read_category(path)
    path.write_text(yaml.safe_dump(TOOLBOX).ljust(64 * 1024))
    assert read_category(path).name == 'tool-box2'


def test_a_name_is_taken_once(tmp_path, own):
    toolbox = read_category(written(tmp_path, TOOLBOX))
    assert add_category(toolbox) is toolbox and own['tool-box2'] is toolbox
    add_category(toolbox)
    other = read_category(written(tmp_path, with_field('scale', 0.4)))
    with pytest.raises(ValueError, match='another category'):
        add_category(other)
    laptop = read_category(written(tmp_path, with_field('name', 'laptop')))
    with pytest.raises(ValueError, match='choose another name'):
        add_category(laptop)


def test_categories_of_a_folder_of_weights(tmp_path, own):
    written(tmp_path, TOOLBOX)
    (tmp_path / 'crate').mkdir()
    written(tmp_path / 'crate', with_field('name', 'crate'))
    (tmp_path / 'laptop').mkdir()
    add_own_categories(tmp_path)
    with pytest.raises(ValueError, match='none is not a folder'):
        add_own_categories(tmp_path / 'none')
    assert {*own} - {*CATEGORIES} == {'tool-box2', 'crate'}


def test_unknown_categories_are_named_with_the_known_ones():
    with pytest.raises(ValueError, match="'car'.*box, .*stapler"):
        get_category('car')
