import numpy as np
import pytest
from frame_folders import write_depth, write_frame_folder, write_sequence
from PIL import Image

from kinediff3d_core.data.datasets.frames import Frames
from kinediff3d_core.data.datasets.readers import open_dataset

LAPTOP = {'category': 'laptop', 'joints': [90.0], 'unit': 'deg'}


def test_a_frame_has_its_joint_values_and_nothing_else(tmp_path):
    write_frame_folder(tmp_path / 'a', LAPTOP)
    dataset = open_dataset('frames', tmp_path)
    assert dataset.categories == ('laptop',) and dataset.views('laptop') == ['a']
    view = dataset.read_view('a')
    np.testing.assert_allclose(view.depth, 0.7, atol=1e-7)
    assert view.mask.sum() == 100 and view.mask[5, 10] and not view.mask[4, 10]
    assert (view.intrinsics.fx, view.intrinsics.cy, view.intrinsics.width) == (30, 12, 32)
    truth = view.truth
    assert truth.part_names == ('base', 'lid') and truth.joint_names == ('lid_joint',)
    np.testing.assert_allclose(truth.positions, [np.pi / 2])
    for unknown in (truth.T_camera_part, truth.origin, truth.axis, truth.centres):
        assert np.isnan(unknown).all()
    assert truth.T_camera_part.shape == (2, 4, 4) and truth.surfaces is None
    assert len(view.notes) == 1
    with pytest.raises(ValueError, match='no shapes'):
        dataset.training_samples('a', 1, None)


def test_categories_and_units(tmp_path):
    write_frame_folder(tmp_path / 'b', {'category': 'drawer', 'joints': [0, 250], 'unit': 'mm'})
    write_frame_folder(tmp_path / 'c', {'category': 'cutter', 'joints': 0.02, 'unit': 'm'})
    write_frame_folder(tmp_path / 'd', {'category': 'eyeglasses', 'joints': [0.1, 0.2],
                                        'unit': 'rad'})
    dataset = Frames(tmp_path)
    assert dataset.categories == ('eyeglasses', 'drawer', 'cutter')
    drawer = dataset.read_view('b').truth
    assert drawer.part_names == ('base', 'drawer_0', 'drawer_1')
    np.testing.assert_allclose(drawer.positions, [0, 0.25])
    np.testing.assert_allclose(dataset.read_view('c').truth.positions, [0.02])
    np.testing.assert_allclose(dataset.read_view('d').truth.positions, [0.1, 0.2])


def test_joints_that_an_object_lacks_are_null(tmp_path):
    """A list without them is enough only where it says which joints it has."""
    doors = {'category': 'cabinet', 'unit': 'deg'}
    write_frame_folder(tmp_path / 'right', doors | {'joints': [None, 30]})
    write_frame_folder(tmp_path / 'both', doors | {'joints': [0, 30]})
    write_frame_folder(tmp_path / 'one', doors | {'joints': [30]})
    write_frame_folder(tmp_path / 'none', doors | {'joints': [None, None]})
    found = Frames(tmp_path)
    right = found.read_view('right').truth
    assert right.part_names == ('base', 'door_right') and right.joint_names == (
        'door_right_joint',) and (right.parents, right.children) == ((0,), (1,))
    np.testing.assert_allclose(np.degrees(right.positions), [30.0])
    assert found.read_view('both').truth.part_names == ('base', 'door_left', 'door_right')
    for name in ('one', 'none'):
        with pytest.raises(ValueError, match='for the 1 or 2 joints of a cabinet'):
            found.read_view(name)


def test_frames_of_a_sequence_have_their_own_values(tmp_path):
    write_sequence(tmp_path / 's', {'category': 'laptop', 'unit': 'deg', 'joints_by_frame': {
        '0001': 100.0, '0002': 90.0}}, ['0001', '0002'])
    dataset = Frames(tmp_path)
    assert dataset.views('laptop') == ['s/0001', 's/0002']
    first, second = (dataset.read_view(name) for name in dataset.views('laptop'))
    assert first.mask is not None and second.mask is None
    np.testing.assert_allclose(second.truth.positions, [np.pi / 2])


def test_frames_do_not_leave_their_folder(tmp_path):
    write_sequence(tmp_path / 's', {'category': 'laptop', 'unit': 'deg', 'joints_by_frame': {
        '../../secret': 100.0}}, ['0001'])
    write_depth(tmp_path / 'secret.png')
    dataset = Frames(tmp_path)
    with pytest.raises(ValueError, match=r's/depth/secret\.png does not exist'):
        dataset.read_view(dataset.views('laptop')[0])


@pytest.mark.parametrize(('truth', 'reason'), [
    ({'category': 'globe', 'joints': [0]}, "unknown category 'globe'"),
    ({'category': 'box', 'how': 'not measured'}, 'has no joint values'),
    ([1], 'holds a list')])
def test_folders_without_a_usable_truth_are_left_out(tmp_path, truth, reason):
    write_frame_folder(tmp_path / 'a', LAPTOP)
    write_frame_folder(tmp_path / 'b', truth)
    (line,) = Frames(tmp_path).left_out
    assert reason in line and 'b/truth.json' in line and '\n' not in line


@pytest.mark.parametrize(('change', 'reason'), [
    ({'joints': [1, 2]}, 'for the 1 joints of a laptop'),
    ({'joints': 'open'}, "joint values 'open' are no numbers"),
    ({'unit': 'mm'}, "unit 'mm' of revolute joints; known: deg, rad"),
    ({'unit': None}, 'unit None of revolute joints')])
def test_contradictions_are_refused_in_one_line(tmp_path, change, reason):
    write_frame_folder(tmp_path / 'a', LAPTOP)
    write_frame_folder(tmp_path / 'b', LAPTOP | change)
    dataset = Frames(tmp_path)
    with pytest.raises(ValueError, match=reason) as error:
        dataset.read_view('b')
    assert str(tmp_path / 'b') in str(error.value) and '\n' not in str(error.value)


def test_damaged_images_are_refused(tmp_path):
    folder = write_frame_folder(tmp_path / 'a', LAPTOP)
    dataset = Frames(tmp_path)
    Image.new('L', (5, 5), 1).save(folder / 'mask.png')
    with pytest.raises(ValueError, match='mask.png has 5 x 5 pixels, the depth image 32 x 24'):
        dataset.read_view('a')
    (folder / 'depth.png').write_bytes(b'\x89PNG')
    with pytest.raises(ValueError, match='not readable as a depth image'):
        dataset.read_view('a')


def test_roots_without_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match='no folder with a truth.json'):
        Frames(tmp_path)
    write_frame_folder(tmp_path / 'a', {'category': 'box'})
    with pytest.raises(ValueError, match=r'no frame that can be scored; .*no joint values'):
        Frames(tmp_path)
    with pytest.raises(ValueError, match="unknown split 'test'; known: all"):
        Frames(tmp_path, 'test')
