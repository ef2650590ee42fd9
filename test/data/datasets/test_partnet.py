"""PartNet-Mobility folders: mapping to our categories, canonical frames, views, samples."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from open3d_or_skip import import_open3d
from partnet_folders import (
    boxes,
    cabinet,
    drawers,
    eyeglasses,
    laptop,
    scissors,
    write_partnet,
)

from kinediff3d_core.data.datasets.mesh_models import HALF_DIAGONAL
from kinediff3d_core.data.datasets.partnet import CABINETS, PartNet, read_semantics
from kinediff3d_core.data.datasets.readers import open_dataset
from kinediff3d_core.data.truth import part_poses
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.simulation.families.builder import Builder
from kinediff3d_core.simulation.families.cabinet_kind import draw_kind

import_open3d()


def dishwasher():
    return boxes('dishwasher', ((-.28, -.3, -.42), (.28, .3, .42)),
                 [((0, -.29, .01), (.03, .29, .7))], [(.28, 0, -.4)], [1.5])


OBJECTS = {'Laptop': (laptop, [1.6]), 'Eyeglasses': (eyeglasses, [0.3, 0.0]),
           'Table': (drawers, [0.0, 0.1]), 'Scissors': (scissors, [0.4]),
           'Dishwasher': (dishwasher, [0.0]),
           'Refrigerator': (lambda: cabinet(['right']), [0.2]),
           'Microwave': (lambda: cabinet(['left'], (.3, .5, .3)), [0.0]),
           'StorageFurniture': (lambda: cabinet(['left', 'right'], (.4, .9, .8)), [0.0, 0.5])}
DOORS = ('Refrigerator', 'Microwave', 'StorageFurniture')


def written(root, name, model_cat, **options):
    make, rest = OBJECTS[model_cat]
    obj = make()
    if model_cat in DOORS:
        options.setdefault('names', ('hinge', 'rotation_door'))
    unit = CABINETS.get(model_cat, HALF_DIAGONAL[obj.category])
    write_partnet(root / name, obj, model_cat, unit, rest, **options)
    return obj


def same(got, want):
    assert (got.category, got.parts) == (want.category, want.parts)
    assert [j.name for j in got.joints] == [j.name for j in want.joints]
    for name in ('origin', 'axis', 'lower', 'upper'):
        np.testing.assert_allclose(getattr(got, name), getattr(want, name), atol=1e-4)
    np.testing.assert_allclose(got.bounds, want.bounds, atol=1e-4)


@pytest.mark.parametrize('reverse', [False, True])
@pytest.mark.parametrize('model_cat', OBJECTS)
def test_objects_are_read_back_in_the_canonical_frame(tmp_path, model_cat, reverse):
    """y-up meshes, zero at an open state, axes in either sense, a knob: none of it is left."""
    want = written(tmp_path, '42', model_cat, reverse=reverse)
    dataset = PartNet(tmp_path, 'train')
    assert dataset.categories == (want.category,)
    got, notes = dataset.read_object('42', want.category)
    same(got, want)
    assert len(notes) == 2 and 'no unit' in notes[0] and 'fixed at zero' in notes[1]


def test_a_joint_without_limits_is_closed_by_the_shapes_of_its_parts(tmp_path):
    want = written(tmp_path, '42', 'Laptop', reverse=True)
    path = tmp_path / '42' / 'mobility.urdf'
    path.write_text(path.read_text().replace('type="revolute"', 'type="continuous"'))
    got, _ = PartNet(tmp_path, 'train').read_object('42', 'laptop')
    np.testing.assert_allclose(got.bounds, want.bounds, atol=1e-4)
    np.testing.assert_allclose([got.lower, got.upper], [[0], [np.pi]], atol=1e-6)


def test_a_view_shows_the_true_surface_at_the_true_poses(tmp_path):
    want = written(tmp_path, '10040', 'Laptop')
    written(tmp_path, '42', 'Laptop')
    dataset = open_dataset('partnet', tmp_path)
    names = dataset.views('laptop')
    assert names[:2] == ['10040/0', '10040/1'] and dataset.views('box') == []
    view = dataset.read_view(names[1])
    np.testing.assert_array_equal(view.depth, dataset.read_view(names[1]).depth)
    truth = view.truth
    assert 0.17 < truth.positions[0] < 2.27  # test views: 10 to 130 degrees
    np.testing.assert_allclose(truth.T_camera_part[1], truth.T_camera_part[0] @ part_poses(
        truth, truth.positions)[1], atol=1e-6)
    v, u = np.nonzero(view.mask & (view.depth > 0))
    z, k = view.depth[v, u], view.intrinsics
    cloud = np.stack([(u - k.cx) / k.fx * z, (v - k.cy) / k.fy * z, z], axis=-1)
    near = []
    for T, surface in zip(truth.T_camera_part, truth.surfaces, strict=True):
        p = (cloud - T[:3, 3]) @ T[:3, :3]
        near.append(surface.distance(p))
    assert np.median(np.min(near, axis=0)) < 0.003
    np.testing.assert_allclose(truth.centres, want.bounds.mean(1), atol=1e-4)


def test_splits_and_what_is_left_out(tmp_path):
    for name, kind in (('10040', 'Laptop'), ('42', 'Laptop'), ('43', 'Table')):
        written(tmp_path, name, kind)
    for name, semantics in (('50', 'link_0 slider drawer\nlink_1 hinge rotation_door\n'),
                            ('51', 'link_0 heavy body\n'),
                            ('52', ''.join(f'link_{i} slider drawer\n' for i in range(5)))):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'meta.json').write_text(json.dumps({'model_cat': 'StorageFurniture'}))
        (tmp_path / name / 'semantics.txt').write_text(semantics)
    for name, text in (('60', '{"model_cat": "Chair"}'), ('61', '{')):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'meta.json').write_text(text)
    test, train = PartNet(tmp_path), PartNet(tmp_path, 'train')
    assert (test.objects('laptop'), train.objects('laptop')) == (['10040'], ['42'])
    assert train.objects('drawer') == ['43', '50'] and train.objects('cabinet') == ['50']
    assert test.categories == ('laptop',)
    lines = train.left_out
    assert lines == test.left_out and len(lines) == 3
    assert '1 objects: Chair is no category of ours' in lines
    assert '2 objects: StorageFurniture with neither 1 to 4 drawers nor 1 to 2 doors' in lines
    assert any('meta.json is not JSON' in line for line in lines)
    with pytest.raises(ValueError, match='unknown split'):
        PartNet(tmp_path, 'val')
    with pytest.raises(ValueError, match='no folder <id>'):
        PartNet(tmp_path / 'none')


@pytest.mark.parametrize(('file', 'old', 'new', 'match'), [
    ('mobility.urdf', 'textured_objs/base.obj', '../43/base.obj', 'outside'),
    ('mobility.urdf', '</robot>', '', 'not a readable URDF'),
    ('mobility.urdf', 'type="revolute"', 'type="prismatic"', '0 revolute joints of large parts'),
    ('semantics.txt', 'link_0 slider drawer', 'link_0', 'not "<link> <joint> <name>"'),
    ('mobility.urdf', 'rpy="1.570796326794897 0 -1.570796326794897"', '', 'upright'),
])
def test_a_broken_object_is_one_line_and_others_are_read(tmp_path, file, old, new, match):
    want = written(tmp_path, '42', 'Laptop')
    written(tmp_path, '43', 'Laptop')
    dataset = PartNet(tmp_path, 'train')
    path = tmp_path / '42' / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=match) as caught:
        dataset.read_view('42/0')
    assert '42' in str(caught.value) and '\n' not in str(caught.value)
    same(dataset.read_object('43', 'laptop')[0], want)


def test_a_bounding_box_of_another_size_is_noted(tmp_path):
    written(tmp_path, '42', 'Laptop')
    (tmp_path / '42' / 'bounding_box.json').write_text('{"min": [0, 0, 0], "max": [1, 1, 9]}')
    _, notes = PartNet(tmp_path, 'train').read_object('42', 'laptop')
    assert 'bounding_box.json says [9.0, 1.0, 1.0]' in notes[-1]


def test_samples_to_train_on_are_of_the_canonical_object(tmp_path):
    want = written(tmp_path, '43', 'Table')
    samples = PartNet(tmp_path, 'train').training_samples('43', 2, torch.Generator())
    assert samples['exists'].tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(samples['bounds'][:3], want.bounds, atol=1e-4)
    np.testing.assert_allclose(samples['origin'][:2], want.origin, atol=1e-4)


def test_doors_on_other_hinges_or_more_than_two_are_no_cabinet(tmp_path):
    obj = cabinet(['left', 'right'])
    tilted = replace(obj, joints=tuple(replace(j, axis=(0.0, 1.0, 0.0)) for j in obj.joints))
    stacked = replace(obj, joints=(obj.joints[0], replace(obj.joints[0], name='x', child=2)),
                      meshes=(obj.meshes[0], obj.meshes[1], obj.meshes[1]),
                      origin=np.array([[.3, -.35, .4], [.3, -.35, -.4]]))
    for name, made in (('42', tilted), ('43', stacked)):
        write_partnet(tmp_path / name, made, 'Refrigerator', 0.83, names=('hinge', 'door'))
    dataset = PartNet(tmp_path, 'train')
    with pytest.raises(ValueError, match='0 revolute joints of large parts'):
        dataset.read_object('42', 'cabinet')
    with pytest.raises(ValueError, match='do not fit those of a cabinet|do not fit a cabinet'):
        dataset.read_object('43', 'cabinet')


@pytest.mark.parametrize(('model_cat', 'kind'), [
    ('Refrigerator', 'refrigerator'), ('Microwave', 'microwave'), ('WashingMachine', 'washer'),
    ('Safe', 'safe')])
def test_cabinets_get_the_median_size_of_procedural_ones(model_cat, kind):
    drawn = draw_kind(Builder(get_category('cabinet'), 4000,
                              torch.Generator().manual_seed(0), 'cpu'))
    size = torch.stack([drawn.width, drawn.depth, drawn.height], dim=-1)[drawn.is_a(kind)]
    # The diagonal has doors and handles, too.
    assert CABINETS[model_cat] == pytest.approx(float(size.norm(dim=-1).median()) / 2, rel=0.12)


def test_semantics(tmp_path):
    (tmp_path / 'semantics.txt').write_text('link_0 hinge rotation_door\n\nlink_1 heavy body\n')
    assert read_semantics(tmp_path) == {'link_0': ('hinge', 'rotation_door'),
                                        'link_1': ('heavy', 'body')}
