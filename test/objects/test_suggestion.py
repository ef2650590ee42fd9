"""Suggestions for unknown names."""

import pytest

from kinediff3d_core.data.datasets.readers import open_dataset
from kinediff3d_core.inference.pipeline import Pipeline
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.category_file import read_category
from kinediff3d_core.objects.suggestion import did_you_mean, unknown

CATEGORY = '''name: crate
parts: [base, lid, tray]
scale: 0.3
joints:
  - {part: lid, parent: base, type: revolute, axis: [0, 1, 0], limits: [0, 1]}
  - {part: tray, parent: lid, type: prismatic, axis: [0, 0, 1], limits: [0, 1]}
'''


@pytest.mark.parametrize(('given', 'expected'), [
    ('labtop', ' (did you mean laptop?)'), ('LAPTOP', ' (did you mean laptop?)'),
    ('Boxx', ' (did you mean box?)'), ('teapot', ''), ('', ''), (3, '')])
def test_names_that_are_alike(given, expected):
    assert did_you_mean(given, ['laptop', 'box']) == expected


def test_the_message_has_the_known_names():
    assert unknown('preset', 'fsat', ('fast', 'paper')) == \
        "unknown preset 'fsat' (did you mean fast?); known: fast, paper"


def test_every_kind_of_name_gets_a_suggestion(tmp_path):
    with pytest.raises(ValueError, match='did you mean laptop'):
        get_category('laptp')
    with pytest.raises(ValueError, match='did you mean fast'):
        Pipeline.load('laptop', preset='fsat')
    with pytest.raises(ValueError, match='did you mean reartmix'):
        open_dataset('reartmx', tmp_path)


@pytest.mark.parametrize(('right', 'wrong', 'meant'), [
    ('parent: lid', 'parent: lidd', 'lid'), ('part: tray', 'part: try', 'tray'),
    ('type: revolute', 'type: revolut', 'revolute'), ('scale:', 'scal:', 'scale'),
    ('limits: [0, 1]}\n  -', 'limit: [0, 1]}\n  -', 'limits')])
def test_names_in_category_files_get_a_suggestion(tmp_path, right, wrong, meant):
    assert right in CATEGORY
    (tmp_path / 'category.yaml').write_text(CATEGORY.replace(right, wrong, 1))
    with pytest.raises(ValueError, match=rf'did you mean {meant}\?'):
        read_category(tmp_path / 'category.yaml')
