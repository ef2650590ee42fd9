"""Options of ``infer`` that say what is observed."""

import numpy as np
import pytest
from PIL import Image

from kinediff3d_core.cli import main
from kinediff3d_core.cli.infer_input import read_candidates
from kinediff3d_core.evaluation.samples import procedural_samples
from kinediff3d_core.geometry.camera import backproject
from kinediff3d_core.objects.estimate import NoEstimate


def parsed(*arguments):
    return main.parser().parse_args(['infer', '--category', 'laptop', '--out', 'o',
                                     *map(str, arguments)])


def cloud(*arguments):
    ((_, (candidate, *_)),) = read_candidates(parsed(*arguments))
    return candidate.cloud.points


@pytest.fixture(scope='module')
def view(tmp_path_factory):
    """A laptop as depth image, mask and cloud, in their usual units."""
    folder = tmp_path_factory.mktemp('view')
    sample = procedural_samples('laptop', 3, shapes=False)(0)
    steps = np.rint(1000 * sample.depth).astype(np.uint16)
    Image.fromarray(steps).save(folder / 'depth.png')
    Image.fromarray(steps // 10).save(folder / 'cm.png')
    np.save(folder / 'float_mm.npy', steps.astype(np.float32))
    Image.fromarray(np.where(steps < 6553, 10 * steps, 0).astype(np.uint16)
                    ).save(folder / 'tenths.png')
    Image.fromarray(sample.mask.astype(np.uint8) * 255).save(folder / 'mask.png')
    np.save(folder / 'cloud.npy', backproject(sample.depth, sample.intrinsics, sample.mask))
    return folder


LENS = ('--fx', 600, '--fy', 600, '--cx', 319.5, '--cy', 239.5)


def test_units_of_depth(view):
    mask = ('--mask', view / 'mask.png', *LENS)
    want = cloud('--depth', view / 'depth.png', *mask)
    for name, scale in (('float_mm.npy', 0.001), ('tenths.png', 0.0001), ('cm.png', 0.01)):
        with pytest.raises(ValueError, match=f'--depth-scale {scale:g}'):
            cloud('--depth', view / name, *mask)
        got = cloud('--depth', view / name, '--depth-scale', scale, *mask)
        np.testing.assert_allclose(got.mean(0), want.mean(0), atol=1e-6 + scale)


def test_a_box_finds_the_object(view):
    mask = np.asarray(Image.open(view / 'mask.png')) > 0
    v, u = np.nonzero(mask)
    box = (u.min() - 8, v.min() - 8, np.ptp(u) + 17, np.ptp(v) + 17)
    want = cloud('--depth', view / 'depth.png', '--mask', view / 'mask.png', *LENS)
    got = cloud('--depth', view / 'depth.png', '--box', *box, *LENS)
    assert abs(len(got) - len(want)) < 0.1 * len(want)
    with pytest.raises(ValueError, match='no pixel of an image of 640 x 480'):
        cloud('--depth', view / 'depth.png', '--box', 700, 0, 5, 5, *LENS)
    with pytest.raises(ValueError, match='either --mask or --box'):
        cloud('--depth', view / 'depth.png', '--box', *box, '--mask', view / 'mask.png', *LENS)


@pytest.mark.parametrize(('factor', 'turn', 'option'), [
    (1000, (1, 1, 1), '--points-unit mm'), (100, (1, 1, 1), '--points-unit cm'),
    (1, (1, -1, -1), '--points-axes opengl')])
def test_units_and_axes_of_clouds(view, tmp_path, factor, turn, option):
    points = np.load(view / 'cloud.npy')
    np.save(tmp_path / 'c.npy', factor * points * np.array(turn))
    with pytest.raises(ValueError, match=option):
        cloud('--points', tmp_path / 'c.npy')
    got = cloud('--points', tmp_path / 'c.npy', *option.split())
    np.testing.assert_allclose(got, cloud('--points', view / 'cloud.npy'), atol=1e-5)


def test_ros_axes(view, tmp_path):
    x, y, z = np.load(view / 'cloud.npy').T
    np.save(tmp_path / 'c.npy', np.stack([z, -x, -y], -1))
    with pytest.raises(ValueError, match='c.npy: .*x forward and z up: give --points-axes ros'):
        cloud('--points', tmp_path / 'c.npy')
    np.testing.assert_allclose(cloud('--points', tmp_path / 'c.npy', '--points-axes', 'ros'),
                               cloud('--points', view / 'cloud.npy'), atol=1e-6)


def test_a_segmented_object_of_another_size_is_no_estimate(view):
    with pytest.raises(NoEstimate, match='m deep: if that is wrong, give --depth-scale'):
        cloud('--depth', view / 'tenths.png', *LENS)


@pytest.mark.parametrize(('arguments', 'match'), [
    (('--points', 'a.ply', '--box', 1, 2, 3, 4), '--box goes with --depth, not --points'),
    (('--points', 'a.ply', '--depth-scale', 1), '--depth-scale goes with --depth'),
    (('--depth', 'a.png', '--points-unit', 'mm'), '--points-unit goes with --points'),
    (('--depth', 'a.png', '--mask-id', 2, *LENS), '--mask-id goes with --mask'),
    (('--depth', 'a.png', '--raw-image', *LENS), '--raw-image needs')])
def test_options_that_do_not_go_together(arguments, match):
    with pytest.raises(ValueError, match=match):
        cloud(*arguments)


def test_errors_have_three_hundred_letters_at_most(tmp_path, capsys):
    path = tmp_path / ('a' * 250)
    assert main.main(['infer', '--category', 'laptop', '--out', 'o', '--points', str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= 300 and line.endswith('does not exist')
