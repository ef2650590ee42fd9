"""A-SDF's release: joints found from states, and its distance samples as ours."""

import numpy as np
import pytest
import torch
from open3d_or_skip import import_open3d
from partnet_folders import boxes
from shape2motion_folders import scaled_to, turned_to, write_asdf, write_split

from kinediff3d_core.data.datasets.asdf_release import AsdfRelease
from kinediff3d_core.data.datasets.readers import open_dataset
from kinediff3d_core.data.datasets.shape2motion_objects import CLOSED_DIAGONAL

import_open3d()

OPEN = np.radians(95.0)


def laptop():
    return scaled_to(boxes('laptop', ((-.11, -.16, -.01), (.11, .16, .01)),
                           [((.03, -.16, 0), (.24, .16, .012))], [(-.11, 0, .012)], [2.4]),
                     CLOSED_DIAGONAL['laptop'])


def eyeglasses():
    leg = ((-.09, -.003, -.005), (-.02, .003, .005))
    return scaled_to(boxes('eyeglasses', ((-.004, -.07, -.02), (.004, .07, .02)), [leg, leg],
                           [(-.004, .066, .008), (-.004, -.066, .008)], [1.5, 1.5]),
                     CLOSED_DIAGONAL['eyeglasses'])


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Laptops whose zero is 95 degrees open, with the base labelled 1; and eyeglasses."""
    root = tmp_path_factory.mktemp('asdf')
    names = write_asdf(root, 'laptop', 66, turned_to(laptop(), [OPEN]),
                       [(-72,), (0,), (18,)], base_label=1)
    write_split(root, 'laptop', 'test', names)
    write_split(root, 'laptop', 'train', names)
    write_split(root, 'eyeglasses', 'test', write_asdf(
        root, 'eyeglasses', 34, eyeglasses(), [(0, 0), (30, 0), (30, 30)], base_label=2))
    write_split(root, 'door', 'test', ['0010art0000'])
    return root


def test_states_categories_and_objects(root):
    dataset = open_dataset('shape2motion', root)
    assert dataset.categories == ('laptop', 'eyeglasses')
    assert dataset.views('laptop') == ['laptop/0066art-072', 'laptop/0066art0000',
                                       'laptop/0066art0018']
    assert dataset.objects('eyeglasses') == ['eyeglasses/0034']
    assert len(dataset.left_out) == 1 and 'door' in dataset.left_out[0]
    assert open_dataset('shape2motion', root, 'train').categories == ('laptop',)


@pytest.mark.parametrize(('state', 'want'), [('0066art-072', 23.0), ('0066art0018', 113.0)])
def test_the_joint_of_a_laptop_is_found_from_its_states(root, state, want):
    view = AsdfRelease(root).read_view(f'laptop/{state}')
    obj = laptop()
    np.testing.assert_allclose(np.degrees(view.truth.positions), [want], atol=1e-3)
    np.testing.assert_allclose(view.truth.origin, obj.origin, atol=1e-4)
    np.testing.assert_allclose(view.truth.axis, obj.axis, atol=1e-4)
    np.testing.assert_allclose(view.truth.centres, obj.bounds.mean(1), atol=1e-4)
    assert view.mask.sum() > 1000


def test_each_angle_of_eyeglasses_finds_its_leg(root):
    """Which angle is of which leg, and in which sense it folds, follow from the shapes."""
    truth = AsdfRelease(root).read_view('eyeglasses/0034art00300000').truth
    obj = eyeglasses()
    np.testing.assert_allclose(np.degrees(truth.positions), [30.0, 0.0], atol=1e-3)
    np.testing.assert_allclose(truth.origin, obj.origin, atol=1e-4)
    np.testing.assert_allclose(truth.axis, obj.axis, atol=1e-4)


def test_its_distances_become_training_samples(root):
    """Distances of a part are those of its box, in its frame and in metres."""
    samples = AsdfRelease(root, 'train').training_samples(
        'laptop/0066', 2, torch.Generator().manual_seed(0))
    obj = laptop()
    for k in range(2):
        low, high = (torch.from_numpy(b).float() for b in obj.bounds[k])
        p = (samples['query'][k] - (low + high) / 2).abs() - (high - low) / 2
        exact = p.clamp_min(0).norm(dim=-1) + p.amax(-1).clamp_max(0)
        torch.testing.assert_close(samples['distance'][k], exact, atol=1e-4, rtol=0)
        assert (samples['distance'][k] < 0).float().mean() > 0.2
    assert samples['points'].shape == (2, 1024, 3)


def spoil(root, folder, ending, text):
    path = root / 'data' / folder / 'shape2motion' / 'laptop' / f'0066art-072.{ending}'
    path.write_bytes(text)


@pytest.mark.parametrize(('folder', 'ending', 'text', 'match'), [
    ('SdfSamples', 'npz', b'PK', 'not readable as a file of arrays'),
    ('SurfaceSamples', 'obj', b'v 0 0 0\nv 1 0 0\nv 0 1 0\n', 'no faces'),
    ('NormalizationParameters', 'npz', b'', 'empty'),
])
def test_a_broken_state_is_one_line_and_others_are_read(tmp_path, folder, ending, text, match):
    names = write_asdf(tmp_path, 'laptop', 66, turned_to(laptop(), [OPEN]),
                       [(-72,), (0,), (18,), (-36,)])
    write_split(tmp_path, 'laptop', 'test', [*names[1:], names[0]])
    spoil(tmp_path, folder, ending, text)
    dataset = AsdfRelease(tmp_path)
    with pytest.raises(ValueError, match=match) as caught:
        dataset.read_view('laptop/0066art-072')
    assert '\n' not in str(caught.value) and '0066art-072' in str(caught.value)


def test_states_that_contradict_their_angles_are_refused(tmp_path):
    """A file name that says another angle than the surfaces do; a single state."""
    names = write_asdf(tmp_path, 'laptop', 66, turned_to(laptop(), [OPEN]), [(0,), (18,)])
    for folder, ending in (('SdfSamples', 'npz'), ('NormalizationParameters', 'npz'),
                           ('SurfaceSamples', 'obj')):
        path = tmp_path / 'data' / folder / 'shape2motion' / 'laptop' / f'{names[1]}.{ending}'
        path.rename(path.with_name(f'0066art0036.{ending}'))
    write_split(tmp_path, 'laptop', 'test', [names[0], '0066art0036'])
    with pytest.raises(ValueError, match='said to rotate by 36°, its surfaces say 18'):
        AsdfRelease(tmp_path).read_view(f'laptop/{names[0]}')
    write_split(tmp_path, 'laptop', 'test', [names[0]])
    with pytest.raises(ValueError, match='no other state'):
        AsdfRelease(tmp_path).read_view(f'laptop/{names[0]}')
    write_split(tmp_path, 'laptop', 'test', ['../0001art0000'])
    with pytest.raises(ValueError, match='no name of a state'):
        AsdfRelease(tmp_path)
