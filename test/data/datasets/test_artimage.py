"""ArtImage: procedural objects in its published layout are read back to their truth."""

import json

import artimage_folders as A
import numpy as np
import pytest
import torch
from open3d_or_skip import import_open3d
from PIL import Image

from kinediff3d_core.data.datasets.artimage import ArtImage
from kinediff3d_core.data.datasets.artimage_model import METRES, read_model
from kinediff3d_core.data.datasets.readers import open_dataset
from kinediff3d_core.data.sample_files import read_object, write_object
from kinediff3d_core.evaluation.samples import dataset_samples
from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.geometry.rigid import transform_points
from kinediff3d_core.objects.category import get_category

TEST_ID = {'laptop': 10040, 'eyeglasses': 101300, 'dishwasher': 11700, 'drawer': 46123,
           'scissors': 10449}


def written(root, category='laptop', flip=1, **lists):
    """A root with one object and one view; the object and its truth."""
    made = A.make_object(category, TEST_ID[category], flip=flip)
    A.write_files(root, made)
    A.write_root(root, category, **(lists or {'test': ['7']}))
    return made, A.write_view(root, made, '7')


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture(scope='module')
def laptop(tmp_path_factory):
    root = tmp_path_factory.mktemp('laptop')
    return root, *written(root)


@pytest.mark.parametrize('category, flip', [
    ('laptop', 1), ('laptop', -1), ('eyeglasses', -1), ('dishwasher', -1), ('drawer', 1),
    ('drawer', -1), ('scissors', 1), ('scissors', -1)])
def test_views_are_read_back_to_the_truth(tmp_path, category, flip):
    made, (q, T_camera_part, depth) = written(tmp_path, category, flip)
    dataset = open_dataset('artimage', tmp_path)
    assert dataset.categories == (category,)
    view = dataset.read_view(*dataset.views(category))
    truth, joints = view.truth, len(q)
    np.testing.assert_allclose(truth.positions, q, atol=1e-4)
    np.testing.assert_allclose(truth.T_camera_part, T_camera_part, atol=1e-4)
    np.testing.assert_allclose(truth.origin, made.one.origin[0, :joints], atol=1e-4)
    np.testing.assert_allclose(truth.axis, made.one.axis[0, :joints], atol=1e-4)
    assert truth.part_names == get_category(category).parts[:joints + 1]
    np.testing.assert_allclose(view.depth, depth, atol=1e-3)
    np.testing.assert_array_equal(view.mask, depth > 0)
    assert view.metres == METRES[category]
    assert view.notes == (f'1 unit is taken as {METRES[category]:g} m',)


def test_tips_of_procedural_scissors_are_found(tmp_path, monkeypatch):
    """Sharp and blunt ones, with points as they come."""
    monkeypatch.setattr(A, 'part_points', lambda made, k: made.one.surface_points(
        k, 2000, torch.Generator().manual_seed(k))[0][0].double().numpy())
    off = []
    for seed in range(12):
        made = A.make_object('scissors', seed, seed)
        A.write_files(tmp_path, made)
        model = read_model(tmp_path / 'scissors' / 'urdf' / str(seed), 'scissors')
        off.append(np.degrees(abs(float(model.rest[0] - made.rest[0]))))
    assert max(off) < 5 and np.median(off) < 1.5


def test_evaluations_know_the_unit(laptop):
    samples = dataset_samples(ArtImage(laptop[0]), 'laptop')
    assert (samples(0).metres, samples(0).name) == (METRES['laptop'], 'laptop/7')


def test_surfaces_lie_on_the_depth_image(laptop):
    root, made, (_, _, depth) = laptop
    view = ArtImage(root).read_view('laptop/7')
    cloud = backproject(depth, view.intrinsics, view.mask)[::20]
    truth = view.truth
    points = np.concatenate([transform_points(T, s.pool) for T, s in zip(
        truth.T_camera_part, truth.surfaces, strict=True)])
    near = np.linalg.norm(cloud[:, None] - points[None], axis=-1).min(1)
    assert near.max() < 0.02 and np.median(near) < 0.006
    area = sum(s.weight for s in truth.surfaces)
    (w, d, h), (lw, ld, lh) = np.ptp(truth.surfaces[0].box, 0), np.ptp(truth.surfaces[1].box, 0)
    boxes = 2 * (w * d + w * h + d * h + lw * ld + lw * lh + ld * lh)
    assert area == pytest.approx(boxes, rel=0.2)


@pytest.mark.parametrize('category', ['laptop', 'drawer', 'scissors'])
def test_the_frames_of_the_data_sets_own_metrics(tmp_path, category):
    """By the formulas of its loader: T' = T inv(T_rest), t' = t + R' c."""
    made, (_, T_camera_part, _) = written(tmp_path, category)
    truth = ArtImage(tmp_path).read_view(f'{category}/7').truth
    found = truth.T_camera_part @ truth.T_part_stated
    rest = rest_motion(made)
    points = [transform_points(made.T_model_part()[k], A.part_points(made, k))
              for k in range(len(rest))]
    everything = np.concatenate([transform_points(R, p) for R, p in zip(rest, points,
                                                                        strict=True)])
    centre = (everything.min(0) + everything.max(0)) / 2
    for k, R in enumerate(rest):
        T = T_camera_part[k] @ np.linalg.inv(made.T_model_part()[k]) @ np.linalg.inv(R)
        T[:3, 3] += T[:3, :3] @ centre
        np.testing.assert_allclose(found[k], T, atol=1e-4)


def rest_motion(made):
    """(P, 4, 4) from the URDF's zero pose to the rest pose, in the model's frame, m."""
    rest = A.UPRIGHT @ made.T_base_part(made.rest) @ np.linalg.inv(made.T_model_part())
    if made.category == 'scissors':
        # rpy 0.1 0.2 -0.3 and xyz 0.2 -0.1 0.3, remapped (-x, z, -y), about z, x, y in turn.
        cz, sz, cx, sx, cy, sy = (f(a) for a in (-0.1, -0.3, -0.2) for f in (np.cos, np.sin))
        align = np.eye(4)
        align[:3, :3] = (np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
                         @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
                         @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]))
        align[:3, 3] = METRES['scissors'] * np.array([-0.2, 0.3, 0.1])
        rest = align @ rest
    return rest


def test_a_view_is_in_a_split_by_the_list_and_by_its_object(tmp_path):
    made, _ = written(tmp_path, 'laptop', test=['7', '8', '9'], train=['10', '8'])
    other = A.make_object('laptop', 123, seed=1)
    A.write_files(tmp_path, other)
    for number in ('8', '10', '11'):
        A.write_view(tmp_path, other, number)
    test, train = (ArtImage(tmp_path, split) for split in ('test', 'train'))
    assert test.views('laptop') == ['laptop/7', 'laptop/9']  # 9 has no annotation
    assert train.views('laptop') == ['laptop/10', 'laptop/8']
    assert (test.objects('laptop'), train.objects('laptop')) == (
        ['laptop/10040'], ['laptop/123'])
    assert test.left_out == ('laptop: 1 views of laptop/test.txt show an object of the other '
                             'split',)
    with pytest.raises(ValueError, match='9.json'):
        test.read_view('laptop/9')
    with pytest.raises(ValueError, match='test, train'):
        ArtImage(tmp_path, 'val')


def test_depth_in_colour_channels(tmp_path):
    written(tmp_path)
    path = tmp_path / 'laptop' / 'train' / 'depth' / '7.png'
    before = ArtImage(tmp_path).read_view('laptop/7').depth
    high, low = np.divmod(np.asarray(Image.open(path)).astype(int), 256)
    Image.fromarray(np.stack([low, high, 0 * low], -1).astype(np.uint8)).save(path)
    np.testing.assert_array_equal(ArtImage(tmp_path).read_view('laptop/7').depth, before)


def test_polygons_count_where_the_depth_goes_beyond_them(laptop, tmp_path):
    root, *_ = laptop
    annotation = root / 'laptop' / 'train' / 'annotations' / '7.json'
    text = annotation.read_text()
    x1, y1, x2, y2 = json.loads(text)['instances'][0]['bbox']
    half = [[x1, y1, x2, y1, x2, (y1 + y2) / 2, x1, (y1 + y2) / 2]]
    edit(annotation, lambda a: a['instances'][0]['links'][0].update(segmentation=half))
    view = ArtImage(root).read_view('laptop/7')
    annotation.write_text(text)
    rows = np.nonzero(view.mask)[0]
    assert rows.max() <= (y1 + y2) / 2 + 1
    assert 'outside the polygons' in view.notes[-1]


def test_what_is_inferred_is_checked(tmp_path):
    made, _ = written(tmp_path)
    folder = tmp_path / 'laptop'
    annotation = folder / 'train' / 'annotations' / '7.json'
    edit(annotation, lambda a: a['instances'][0]['links'][0].update(state=1.0))
    assert 'the state of lid_joint is' in ArtImage(tmp_path).read_view('laptop/7').notes[-1]
    edit(folder / 'urdf' / 'rest_state.json', lambda r: r['10040']['1'].update(
        state=r['10040']['1']['state'] + 25))
    assert 'part 1 lies ' in ' '.join(ArtImage(tmp_path).read_view('laptop/7').notes)
    edit(folder / 'urdf' / 'rest_state.json', lambda r: r.pop('10040'))
    assert 'has no entry 10040' in ' '.join(ArtImage(tmp_path).read_view('laptop/7').notes)


def test_a_state_of_the_base_alone_is_noted(tmp_path):
    written(tmp_path)

    def exchange(a):
        first, second = a['instances'][0]['links']
        second['state'] = first.pop('state')

    edit(tmp_path / 'laptop' / 'train' / 'annotations' / '7.json', exchange)
    assert 'may be exchanged' in ArtImage(tmp_path).read_view('laptop/7').notes[-1]


def test_a_scale_and_a_camera_that_is_upside_down_are_noted(tmp_path):
    made, (_, _, depth) = written(tmp_path)
    annotation = tmp_path / 'laptop' / 'train' / 'annotations' / '7.json'

    def change(a):
        turn = np.diag([-1.0, -1, 1, 1])  # about the optical axis
        for link in a['instances'][0]['links']:
            T = turn @ np.array(link['transformation'])
            T[:3, :3] *= 1.1
            link['transformation'] = T.tolist()

    edit(annotation, change)
    view = ArtImage(tmp_path).read_view('laptop/7')
    assert view.notes[1:] == ('the poses scale the model by 1.100',
                              'the upward direction of the model points down in the image')
    lid = np.ptp(np.asarray(view.truth.surfaces[1].box), 0)
    np.testing.assert_allclose(lid, 1.1 * np.ptp(A.part_points(made, 1), axis=0), rtol=1e-3)


def break_axis(a):
    T = np.array(a['instances'][0]['links'][0]['transformation'])
    c, s = np.cos(0.3), np.sin(0.3)
    T[:3, :3] = T[:3, :3] @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    a['instances'][0]['links'][0]['transformation'] = T.tolist()


@pytest.mark.parametrize('change, message', [
    (lambda a: a.pop('instances'), "'instances'"),
    (lambda a: a['instances'].append(a['instances'][0]), '2 instances'),
    (lambda a: a['instances'][0]['links'][0].update(link_category_id=0), r'\[0, 0\]'),
    (lambda a: a['instances'][0]['links'][0].update(transformation=[[1, 2]]), '4 x 4'),
    (lambda a: a['instances'][0]['links'][0].update(transformation=np.diag(
        [1, 1.2, 1, 1]).tolist()), 'no uniform scale'),
    (break_axis, 'does not explain the pose'),
    (lambda a: a['instances'][0].update(bbox=[0, 0, 1, 1]), 'empty in the box'),
    (lambda a: a['instances'][0].update(urdf_id=10885), 'rest_state.json|cannot be read'),
    (lambda a: a.update(depth_path='../../../depth.png'), 'outside'),
    (lambda a: a.update(depth_path='depth/none.png'), 'does not exist'),
])
def test_a_broken_annotation_is_one_line(laptop, change, message):
    root, *_ = laptop
    annotation = root / 'laptop' / 'train' / 'annotations' / '7.json'
    text = annotation.read_text()
    edit(annotation, change)
    try:
        with pytest.raises(ValueError, match=message) as caught:
            ArtImage(root).read_view('laptop/7')
    finally:
        annotation.write_text(text)
    assert '\n' not in str(caught.value) and '7.json' in str(caught.value)


@pytest.mark.parametrize('file, content, message', [
    ('part_point_sample/1.xyz', 'a b c', 'no list of points'),
    ('part_point_sample/1.xyz', '0 0 0\n' * 5, 'at least 100'),
    ('mobility_for_unity_align.urdf', '<robot>', 'not a readable URDF'),
    ('mobility_for_unity_align.urdf', '<robot/>', r'moves the parts \[\]'),
    ('../rest_state.json', '[]', 'holds a list'),
])
def test_a_broken_object_is_one_line(tmp_path, file, content, message):
    written(tmp_path)
    (tmp_path / 'laptop' / 'urdf' / '10040' / file).write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        ArtImage(tmp_path).read_view('laptop/7')
    assert '\n' not in str(caught.value)


def test_a_folder_with_another_layout(tmp_path):
    with pytest.raises(ValueError, match='camera_intrinsic.json'):
        ArtImage(tmp_path)
    A.write_root(tmp_path, 'laptop')
    (tmp_path / 'laptop' / 'test.txt').unlink()
    with pytest.raises(ValueError, match='test.txt'):
        ArtImage(tmp_path)
    with pytest.raises(ValueError, match='no view or object'):
        ArtImage(tmp_path, 'train').read_view('kettle/../7')


def test_training_samples(laptop, tmp_path):
    import_open3d()
    root, made, (q, T_camera_part, _) = laptop
    tensors = ArtImage(root).training_samples('laptop/10040', 3, torch.Generator().manual_seed(0))
    spec = get_category('laptop')
    write_object(tensors, spec, tmp_path / 'laptop.safetensors')
    found = read_object(tmp_path / 'laptop.safetensors', spec)
    for k in range(2):
        exact = made.one.part_sdf(k, found['query'][k][None])[0]
        error = (found['distance'][k] - exact).abs()[:4096].mean() / spec.scale
        assert error < 0.002
        np.testing.assert_allclose(found['bounds'][k], made.one.bounds[0, k], atol=2e-3)
    np.testing.assert_allclose(found['T_camera_base'][2], T_camera_part[0], atol=1e-4)
    np.testing.assert_allclose(found['q'][0], q, atol=1e-4)
    base = transform_points(np.linalg.inv(T_camera_part), np.asarray(found['points'][1]))
    distance = np.minimum(*(made.one.part_sdf(k, torch.from_numpy(base[k])[None].float())[0]
                            .numpy() for k in range(2)))
    assert np.abs(distance).max() < 1e-3


def test_training_needs_a_view(laptop):
    import_open3d()
    root, *_ = laptop
    (root / 'laptop' / 'train.txt').write_text('8.json\n')
    with pytest.raises(ValueError, match='no view of it can be used'):
        ArtImage(root, 'train').training_samples('laptop/10040', 3, torch.Generator())
