"""RBO: objects in its published layout are read back to their truth."""

import shutil

import numpy as np
import pytest
import rbo_folders as R
import torch
from open3d_or_skip import import_open3d

from kinediff3d_core.data.datasets.rbo import Rbo
from kinediff3d_core.data.datasets.readers import open_dataset
from kinediff3d_core.data.sample_files import read_object, write_object
from kinediff3d_core.objects.category import get_category

import_open3d()
MASK = 'the mask is where the posed meshes are'
SEQUENCE = 'interactions/laptop/laptop01_o'
IMAGE = f'{SEQUENCE}/camera_depth_registered/000001-1500000000.104000.txt'
YAML = 'objects/laptop/configuration_2017-05-01/laptop_in.yaml'


@pytest.fixture(scope='module')
def laptop(tmp_path_factory):
    root = tmp_path_factory.mktemp('rbo')
    return root, R.write_sequence(root, 'laptop', 1, R.two_boxes('laptop'))


@pytest.fixture
def copy(laptop, tmp_path):
    """A copy of the laptop's root that a test may break."""
    shutil.copytree(laptop[0], tmp_path / 'rbo')
    return tmp_path / 'rbo'


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize('name, make, urdf', [
    ('laptop', lambda: R.two_boxes('laptop'), True),
    ('treasurebox', lambda: R.two_boxes('box'), False),
    ('ikeasmall', lambda: R.cabinet(2), True),
    ('cabinet', R.chest, False),
    ('cabinet', R.microwave, True),
    ('microwave', R.microwave, False),
])
def test_views_are_read_back_to_the_truth(tmp_path, name, make, urdf):
    """With the axes of the URDF, and with those of the recorded motion."""
    obj = make()
    T_camera_part = R.write_sequence(tmp_path, name, 3, obj, urdf)
    dataset = open_dataset('rbo', tmp_path)
    assert dataset.categories == (obj.category,) and dataset.objects(obj.category) == [name]
    views = dataset.views(obj.category)
    assert views == [f'{name}03_o/{i:06d}' for i in R.IMAGES]
    for i, view in zip(R.IMAGES, map(dataset.read_view, views), strict=True):
        truth = view.truth
        np.testing.assert_allclose(truth.positions, R.positions(obj)[i], atol=1e-4)
        np.testing.assert_allclose(truth.T_camera_part, T_camera_part[i], atol=1e-4)
        np.testing.assert_allclose(truth.origin, obj.origin, atol=1e-4)
        np.testing.assert_allclose(truth.axis, obj.axis, atol=1e-4)
        bounds = [np.array(s.box) for s in truth.surfaces]
        np.testing.assert_allclose(bounds, obj.bounds, atol=1e-4)
        np.testing.assert_array_equal(view.mask, view.depth > 0)
        assert [note for note in view.notes if note != MASK and 'of its motion' not in note] == []
        assert ('of its motion' in ' '.join(view.notes)) != urdf


def test_depth_is_that_of_the_file(laptop):
    root, _ = laptop
    written = np.nan_to_num(np.loadtxt(root / IMAGE))
    view = Rbo(root).read_view('laptop01_o/000001')
    np.testing.assert_allclose(view.depth, written, atol=1e-6)
    assert view.intrinsics == R.CAMERA and view.metres == 1.0


def test_a_wrong_axis_of_the_urdf_is_replaced_by_that_of_the_motion(copy):
    path = copy / 'objects/laptop/configuration_2017-05-01/laptop.urdf'
    edit(path, 'rpy="', 'rpy="0.5 0 0" was="')
    view = Rbo(copy).read_view('laptop01_o/000006')
    assert 'the URDF\'s axis of link 1 leaves' in view.notes[1]
    np.testing.assert_allclose(view.truth.positions, R.positions(R.two_boxes('laptop'))[6],
                               atol=1e-4)


def test_a_hand_before_the_object_and_an_offset_of_the_depth(copy):
    path = copy / IMAGE
    depth = np.loadtxt(path)
    rows = np.nonzero(depth > 0)[0]
    hand = (rows.min() + rows.max()) // 2
    changed = depth + 0.025
    changed[:hand] -= 0.2
    np.savetxt(path, changed, fmt='%.5f')
    view = Rbo(copy).read_view('laptop01_o/000001')
    assert np.nonzero(view.mask)[0].min() >= hand
    np.savetxt(path, depth + 0.025, fmt='%.5f')
    assert view.notes != Rbo(copy).read_view('laptop01_o/000001').notes
    assert Rbo(copy).read_view('laptop01_o/000001').notes[-1] == (
        'the depth image lies 25 mm behind the posed meshes')


def test_depth_in_millimetres_is_noted(copy):
    np.savetxt(copy / IMAGE, 1000 * np.loadtxt(copy / IMAGE), fmt='%.1f')
    view = Rbo(copy).read_view('laptop01_o/000001')
    assert 'in millimetres' in view.notes[-1] and 0.3 < view.depth.max() < 3


def test_joint_states_that_do_not_follow_the_poses_are_noted(copy):
    path = copy / SEQUENCE / 'laptop_joint_states.csv'
    head, *rows = path.read_text().splitlines()
    path.write_text('\n'.join([head, *(','.join([*r.split(',')[:-1], '0.3']) for r in rows)]))
    assert 'no recorded joint state follows link 1' in Rbo(copy).read_view(
        'laptop01_o/000001').notes[-1]


def test_a_late_pose(copy):
    path = copy / IMAGE
    path.rename(path.with_name('000001-1500000001.200000.txt'))
    notes = Rbo(copy).read_view('laptop01_o/000001').notes
    assert 'the nearest pose is 100 ms away' in notes
    path.with_name('000001-1500000001.200000.txt').rename(
        path.with_name('000001-1500000009.000000.txt'))
    with pytest.raises(ValueError, match='7.9 s away'):
        Rbo(copy).read_view('laptop01_o/000001')


def test_the_configuration_of_the_recordings_day(copy):
    objects = copy / 'objects' / 'laptop'
    for date in ('2017-08-01', '2016-01-01'):
        shutil.copytree(objects / 'configuration_2017-05-01', objects / f'configuration_{date}')
        (objects / f'configuration_{date}' / 'laptop_in.yaml').write_text('other: 1')
    view = Rbo(copy).read_view('laptop01_o/000001')
    assert 'configuration 2017-05-01 is taken by the day 2017-07-14' in view.notes
    index = copy / 'interactions' / 'interactions_index.csv'
    index.write_text('Name,Object,recording date(marker set id)\nlaptop01,laptop,2017-05-01\n')
    assert Rbo(copy).read_view('laptop01_o/000001').notes == (MASK,)
    edit(index, '2017-05-01', '2017-05-02')
    with pytest.raises(ValueError, match='the index has the configuration 2017-05-02'):
        Rbo(copy)


def test_objects_that_are_not_ours_are_left_out(copy):
    for other in ('book01_o', 'Something'):
        (copy / 'interactions' / 'book' / other / 'camera_depth_registered').mkdir(parents=True)
    R.write_sequence(copy, 'microwave', 1, R.chest())
    dataset = Rbo(copy)
    assert dataset.categories == ('laptop',)
    assert sorted(line.split('/')[-1] for line in dataset.left_out) == [
        'Something is not called <object><number>_o', 'book is no object of our categories',
        'microwave has the joints prismatic, not those of a cabinet']


def test_the_sequences_of_a_sdf(copy):
    shutil.copytree(copy / SEQUENCE, copy / 'interactions/laptop/laptop15_o')
    assert len(Rbo(copy).views('laptop')) == 6
    assert len(Rbo(copy, 'asdf').views('laptop')) == 3
    with pytest.raises(ValueError, match='all, asdf'):
        Rbo(copy, 'test')


@pytest.mark.parametrize('file, old, new, message', [
    (YAML, 'link_ids', 'link_id', 'no link_ids'),
    (YAML, '{', '[', 'is no YAML'),
    (YAML, 'rb2_id: 2', 'rb2_id: 9', 'one base and its parts'),
    (YAML, 'laptop/meshes/part1.obj', '../../../part1.obj', 'outside'),
    (YAML, 'rb1: "laptop', 'rb9: "laptop', 'no mesh or mesh pose of rb1'),
    (YAML, '7: "0"', '8: "0"', 'one base and its parts'),
    (f'{SEQUENCE}/tf.csv', 'camera_rgb_optical_frame', 'other', 'to camera_rgb_optical_frame'),
    (f'{SEQUENCE}/rb_poses_array.csv', 'pose.position.x', 'pose.position', 'without a pose'),
    (f'{SEQUENCE}/rb_poses_array.csv', ',2,', ',5,', 'no poses of marker 2'),
    (f'{SEQUENCE}/camera_depth_registered_camera_info.csv', 'K0', 'k0', 'no camera info'),
    (f'{SEQUENCE}/laptop_joint_states.csv', 'header.stamp', 'stamp', 'without a joint state'),
    (IMAGE, 'nan', '1.0 1.0', '19200|numbers, expected 120 rows of 160'),
    (IMAGE, 'nan', 'none', 'not a text of numbers'),
])
def test_a_broken_file_is_one_line(copy, file, old, new, message):
    edit(copy / file, old, new)
    with pytest.raises(ValueError, match=message) as caught:
        Rbo(copy).read_view('laptop01_o/000001')
    assert '\n' not in str(caught.value)


def test_a_folder_with_another_layout(tmp_path, laptop):
    with pytest.raises(ValueError, match='no sequence of ours in "interactions"'):
        Rbo(tmp_path)
    dataset = Rbo(laptop[0])
    for name in ('laptop02_o/000001', 'laptop01_o/000002'):
        with pytest.raises(ValueError, match='laptop0'):
            dataset.read_view(name)


def test_training_samples(laptop, tmp_path):
    root, T_camera_part = laptop
    tensors = Rbo(root).training_samples('laptop', 4, torch.Generator().manual_seed(0))
    spec = get_category('laptop')
    write_object(tensors, spec, tmp_path / 'laptop.safetensors')
    found = read_object(tmp_path / 'laptop.safetensors', spec)
    half = torch.tensor([0.12, 0.17, 0.01])
    out = found['query'][0].abs() - half
    exact = out.clamp_min(0).norm(dim=-1) + out.amax(-1).clamp_max(0)
    np.testing.assert_allclose(found['distance'][0], exact, atol=1e-4)
    poses = T_camera_part[list(R.IMAGES), 0]
    apart = np.abs(found['T_camera_base'].numpy()[:, None] - poses).max((-1, -2)).min(1)
    assert apart.max() < 1e-4
    with pytest.raises(ValueError, match='no object'):
        Rbo(root).training_samples('kettle', 4, torch.Generator())


def test_a_part_that_does_not_move_has_no_axis(tmp_path):
    R.write_sequence(tmp_path, 'laptop', 1, R.two_boxes('laptop'), urdf=False, moves=False)
    with pytest.raises(ValueError, match='link 1 moves too little'):
        Rbo(tmp_path).read_view('laptop01_o/000001')


def test_meshes_of_a_ros_package(copy, laptop):
    package = 'package://articulated_objects_db/data/objects/'
    edit(copy / YAML, '"laptop/meshes', f'"{package}laptop/meshes')
    found, before = (Rbo(r).read_view('laptop01_o/000001').truth for r in (copy, laptop[0]))
    np.testing.assert_array_equal(found.surfaces[0].mesh.vertices,
                                  before.surfaces[0].mesh.vertices)
