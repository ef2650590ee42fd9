"""Shape2Motion in ANCSH's layout: joints closed and opened by the shapes of their parts."""

import json

import numpy as np
import pytest
from open3d_or_skip import import_open3d
from partnet_folders import boxes, eyeglasses, laptop
from shape2motion_folders import scaled_to, write_ancsh

from kinediff3d_core.data.datasets.readers import open_dataset
from kinediff3d_core.data.datasets.shape2motion_objects import CLOSED_DIAGONAL

import_open3d()


def stapler():
    return boxes('stapler', ((-.07, -.015, -.004), (.07, .015, .004)),
                 [((0, -.012, 0), (.14, .012, .02))], [(-.07, 0, .004)], [1.9])


OBJECTS = {'laptop': (laptop, [1.6]), 'stapler': (stapler, [0.2]),
           'eyeglasses': (eyeglasses, [0.0, 0.0])}


def written(root, kind, name='0001', **options):
    make, rest = OBJECTS[kind]
    obj = scaled_to(make(), CLOSED_DIAGONAL[kind])
    write_ancsh(root / 'objects' / kind / name, obj, rest, **options)
    return obj


@pytest.mark.parametrize('kind', OBJECTS)
def test_objects_are_read_back_in_the_canonical_frame(tmp_path, kind):
    want = written(tmp_path, kind, unit=0.3)
    dataset = open_dataset('shape2motion', tmp_path, 'train')
    got, notes = dataset.read_object(f'{kind}/0001', kind)
    assert got.parts == want.parts
    for name in ('origin', 'axis', 'bounds'):
        np.testing.assert_allclose(getattr(got, name), getattr(want, name), atol=1e-4)
    np.testing.assert_allclose(got.lower, 0, atol=1e-6)
    assert len(notes) == 1 and 'inferred' in notes[0]


def test_splits_and_classes(tmp_path):
    for kind, name in (('laptop', '0001'), ('laptop', '0004'), ('eyeglasses', '0007')):
        written(tmp_path, kind, name)
    (tmp_path / 'objects' / 'oven' / '0003').mkdir(parents=True)
    test = open_dataset('shape2motion', tmp_path)
    assert test.categories == ('laptop', 'eyeglasses')
    assert test.objects('laptop') == ['laptop/0004']
    assert open_dataset('shape2motion', tmp_path, 'train').objects('laptop') == ['laptop/0001']
    assert test.left_out == ('1 objects: oven is no category of ours',)
    view = test.read_view('laptop/0004/3')
    assert view.mask.any() and view.truth.category == 'laptop'
    with pytest.raises(ValueError, match='neither objects'):
        open_dataset('shape2motion', tmp_path / 'none')


@pytest.mark.parametrize(('change', 'match'), [
    ({'direction': [0, 0, 0]}, 'no direction'),
    ({'center': [0, None, 0]}, 'three numbers'),
    ({'motion_type': 'translation'}, 'rotate'),
    ({'dof_name': '../secret'}, 'no name of a mesh'),
    ({'dof_name': 'dof_9'}, 'does not exist'),
    ({'children': [{'dof_name': 'dof_2'}]}, 'hangs on another'),
    ({'direction': [0, 1, 0]}, 'its axis is wrong'),
])
def test_a_broken_object_is_one_line(tmp_path, change, match):
    written(tmp_path, 'laptop')
    path = tmp_path / 'objects' / 'laptop' / '0001' / 'motion.json'
    tree = json.loads(path.read_text())
    tree['children'][0].update(change)
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=match) as caught:
        open_dataset('shape2motion', tmp_path, 'train').read_view('laptop/0001/0')
    assert '0001' in str(caught.value) and '\n' not in str(caught.value)
