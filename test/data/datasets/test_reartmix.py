import json
from pathlib import Path

import numpy as np
import pytest
from reart_layout import CAMERA, IDS, instance, meta, write_frame, write_root

from kinediff3d_core.data.datasets.polygons import polygon_mask
from kinediff3d_core.data.datasets.readers import open_dataset
from kinediff3d_core.data.datasets.reartmix import NO_LIST, ReArtMix

BOXES = [instance('box', 1, 0.8), instance('box', 2, 1.15, 0.9)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three frames of two boxes."""
    write_root(tmp_path, [meta(w, i) for i, w in enumerate(BOXES)])
    for number in ('000001', '000002', '000003'):
        write_frame(tmp_path, f'scene1/{number}', BOXES, (0, 1))
    return tmp_path


def edit(root: Path, change, number='000002') -> None:
    """Change an annotation."""
    file = root / 'annotations/scene1' / f'{number}.json'
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize('category', IDS)
def test_objects_are_read_back(category, tmp_path):
    written = instance(category, 5)
    write_root(tmp_path, [meta(written, 7)])
    write_frame(tmp_path, 's/000001', [written], [7])
    view = ReArtMix(tmp_path).read_view('s/000001_0')
    truth, want = view.truth, written.stated.truth
    assert (truth.category, truth.part_names) == (category, want.part_names)
    np.testing.assert_allclose(truth.T_camera_part[0], want.T_camera_part[0], atol=1e-4)
    np.testing.assert_allclose(truth.axis, want.axis, atol=1e-4)
    # The closed state of these two is inferred from boxes, and not to 1e-4.
    loose = {'stapler': np.radians(15), 'cutter': 0.01}.get(category)
    np.testing.assert_allclose(truth.positions, want.positions, atol=loose or 1e-4)
    if loose is None:
        np.testing.assert_allclose(truth.T_camera_part, want.T_camera_part, atol=1e-4)
        np.testing.assert_allclose(truth.origin, want.origin, atol=1e-4)
        np.testing.assert_allclose(truth.centres, want.centres, atol=1e-4)
    assert view.intrinsics == CAMERA
    seen = written.mask >= 0
    assert view.mask is not None and view.mask[seen].mean() > 0.99
    np.testing.assert_allclose(view.depth[seen], written.depth[seen], atol=6e-4)
    assert len(view.notes) == 2 and NO_LIST in view.notes


def test_instances_of_a_frame_are_views(root):
    dataset = open_dataset('reartmix', root)
    assert dataset.categories == ('box',) and not dataset.left_out
    assert dataset.views('box')[:3] == ['scene1/000001_0', 'scene1/000001_1', 'scene1/000002_0']
    assert dataset.views('drawer') == []
    for i, written in enumerate(BOXES):
        truth = dataset.read_view(f'scene1/000003_{i}').truth
        np.testing.assert_allclose(truth.T_camera_part, written.stated.truth.T_camera_part,
                                   atol=1e-4)
        np.testing.assert_allclose(truth.positions, written.stated.truth.positions, atol=1e-4)
    assert not dataset.objects('box')
    with pytest.raises(ValueError, match='no shapes'):
        dataset.training_samples('0', 1, None)


def test_lists_choose_the_views(root):
    (root / 'test.txt').write_text('scene1/000003_1\nscene1/000001_0\nscene1/000009_0\n')
    dataset = ReArtMix(root)
    assert dataset.views('box') == ['scene1/000003_1', 'scene1/000001_0']
    assert dataset.left_out == ('test.txt names scene1/000009_0, which has no annotation',)
    assert NO_LIST not in dataset.read_view('scene1/000001_0').notes
    with pytest.raises(ValueError, match=r'has no train\.txt; its splits: test'):
        ReArtMix(root, 'train')


def test_sets_of_the_full_release(tmp_path):
    scissors = instance('scissors', 3)
    write_root(tmp_path, [meta(BOXES[0], 0), meta(scissors, 40)])
    write_frame(tmp_path / 'box_train_v2', 'a/004999', BOXES[:1], [0])
    write_frame(tmp_path / 'box_train_v2', 'a/005000', BOXES[:1], [0])
    write_frame(tmp_path / 'train_scissor', 'b/000001', [scissors], [40])
    write_frame(tmp_path / 'scissor_val', 'c/video/000001', [scissors], [40])
    test, train = ReArtMix(tmp_path, 'test'), ReArtMix(tmp_path, 'train')
    assert test.categories == train.categories == ('scissors', 'box')
    assert test.views('box') == ['box_train_v2/a/005000_0']
    assert train.views('box') == ['box_train_v2/a/004999_0']
    assert test.views('scissors') == ['scissor_val/c/video/000001_0']
    assert train.views('scissors') == ['train_scissor/b/000001_0']
    for dataset, name in ((test, 'scissor_val/c/video/000001_0'), (train, train.views('box')[0])):
        assert dataset.read_view(name).truth.category in name.replace('scissor_', 'scissors_')


def break_json(root):
    (root / 'annotations/scene1/000002.json').write_text('{"instances": [')


def no_instances(root):
    edit(root, lambda a: a.pop('instances'))


def unknown_category(root):
    edit(root, lambda a: a['instances'][0].update(category_id=9))


@pytest.mark.parametrize(('damage', 'reason'), [
    (break_json, 'is not JSON'), (no_instances, "'instances' is missing"),
    (unknown_category, '9 is missing or unknown')])
def test_broken_annotations_are_left_out(root, damage, reason):
    damage(root)
    dataset = ReArtMix(root)
    (line,) = dataset.left_out
    assert '000002.json' in line and reason in line and '\n' not in line
    assert 'scene1/000003_0' in dataset.views('box')


def link(content, k=0):
    return content['instances'][0]['links'][k]


def stretch(content):
    link(content)['transformation'][0] = [3 * x for x in link(content)['transformation'][0]]


def shrink_one(content):
    T = np.array(link(content)['transformation'])
    T[:3, :3] *= 0.7
    link(content)['transformation'] = T.tolist()


def move_one(content):
    link(content)['transformation'][2][3] += 0.1


@pytest.mark.parametrize(('change', 'reason'), [
    (stretch, 'no uniform scale'), (shrink_one, 'different scales'),
    (move_one, 'lid_joint does not explain the pose of its part'),
    (lambda a: link(a).update(link_category_id=3), r'links \[1, 3\], expected 1 to 2'),
    (lambda a: link(a).pop('transformation'), "'transformation' is missing"),
    (lambda a: link(a).update(transformation=[[1, 0], [0, 1]]), r'shapes \[.*\(2, 2\)'),
    (lambda a: link(a).update(segmentation=[[1, 2, 3]]), 'a polygon is not a list'),
    (lambda a: a['instances'][0].update(urdf_id=99), 'model 99 is not in urdf_metas.json'),
    (lambda a: a['instances'][0].update(category_id=2), 'category 2, but model 0 is a box'),
    (lambda a: a.update(depth_path='../../../secret.png'), 'outside of the data set'),
    (lambda a: a.update(depth_path='scene1/000009.png'), 'does not exist'),
])
def test_broken_views_are_refused_in_one_line(root, change, reason):
    edit(root, change)
    dataset = ReArtMix(root)
    with pytest.raises(ValueError, match=reason) as error:
        dataset.read_view('scene1/000002_0')
    assert '000002' in str(error.value) and '\n' not in str(error.value)
    dataset.read_view('scene1/000003_0')


def test_views_without_polygons_have_no_mask(root):
    edit(root, lambda a: [part.update(segmentation=[]) for part in a['instances'][0]['links']])
    assert ReArtMix(root).read_view('scene1/000002_0').mask is None


def test_models_that_contradict_their_category_are_refused(root):
    content = json.loads((root / 'urdf_metas.json').read_text())
    first = content['urdf_metas'][0]
    first['joint_rpy'] = [[-x for x in first['joint_rpy'][0]]]
    first['joint_xyz'][0][1] += 0.3
    (root / 'urdf_metas.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'model 0 of urdf_metas\.json: '):
        ReArtMix(root).read_view('scene1/000001_0')
    ReArtMix(root).read_view('scene1/000001_1')


def test_roots_without_the_layout_are_refused(root, tmp_path_factory):
    empty = tmp_path_factory.mktemp('empty')
    with pytest.raises(ValueError, match=r'camera_intrinsic\.json does not exist'):
        ReArtMix(empty)
    write_root(empty, [])
    with pytest.raises(ValueError, match='no folder "annotations"'):
        ReArtMix(empty)
    with pytest.raises(ValueError, match="unknown split 'val'; known: test, train"):
        ReArtMix(root, 'val')
    with pytest.raises(ValueError, match='mean reartmix.*known: .*reartmix'):
        open_dataset('reart', root)


def test_polygons_fill_their_outline_and_inside():
    mask = polygon_mask([[1, 1, 4, 1, 4, 3, 1, 3], [7, 5, 7, 5]], (6, 8))
    want = np.zeros((6, 8), dtype=bool)
    want[1:4, 1:5] = True
    np.testing.assert_array_equal(mask, want)
    with pytest.raises(ValueError, match='none of the polygons'):
        polygon_mask([[10, 10, 14, 10, 12, 13]], (6, 8))
