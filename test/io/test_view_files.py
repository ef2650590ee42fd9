"""A depth image, its calibration and its mask are read together."""

import json

import numpy as np
import pytest
from PIL import Image

from kinediff3d_core.io.view_files import ViewFiles, read_view

K = [80.0, 0, 49.5, 0, 80.0, 39.5, 0, 0, 1]


@pytest.fixture
def files(tmp_path):
    def write(depth, camera, name='depth.png'):
        if name.endswith('.npy'):
            np.save(tmp_path / name, depth)
        else:
            Image.fromarray(depth).save(tmp_path / name)
        (tmp_path / 'camera.json').write_text(json.dumps({'k': K} | camera))
        mask = np.zeros((80, 100), np.uint8)
        mask[20:60, 30:70] = 255
        Image.fromarray(mask).save(tmp_path / 'mask.png')
        return ViewFiles(tmp_path / name, tmp_path / 'camera.json', tmp_path / 'mask.png')
    return write


def with_scale(files, scale):
    return ViewFiles(files.depth, files.camera_info, files.mask, depth_scale=scale)


STEPS = np.full((80, 100), 9000, np.uint16)


def test_the_declared_scale_counts_and_the_given_one_before_it(files):
    found = files(STEPS, {'depth_scale': 0.1})
    np.testing.assert_allclose(read_view(found).depth, 0.9)
    np.testing.assert_allclose(read_view(with_scale(found, 2e-4)).depth, 1.8, rtol=1e-6)


@pytest.mark.parametrize(('depth', 'name', 'match'), [
    (STEPS.astype(np.float32), 'depth.npy', 'likely a step is 0.0001 m'),
    (np.full((80, 100), 2, np.uint16), 'depth.png', 'a step is 1 m: give --depth-scale 1')])
def test_a_scene_at_no_distance_of_a_camera_names_the_likely_unit(files, depth, name, match):
    found = files(depth, {}, name)
    with pytest.raises(ValueError, match=match):
        read_view(found)
    scaled = with_scale(found, 1.0 if name.endswith('png') else 1e-4)
    assert 0.8 < np.median(read_view(scaled).depth) < 2.1


def test_steps_a_metre_by_mistake_are_named(files):
    with pytest.raises(ValueError, match='give --depth-scale 0.0002'):
        read_view(with_scale(files(STEPS, {}), 5000))


def test_floats_take_no_declared_scale(files):
    found = files(STEPS.astype(np.float32) / 10000, {'depth_scale': 0.1}, 'depth.npy')
    np.testing.assert_allclose(read_view(found).depth, 0.9)


def test_depth_and_mask_are_undistorted_alike(files):
    depth = np.full((80, 100), 900, np.uint16)
    depth[20:60, 30:70] = 500
    view = read_view(files(depth, {'d': [-0.3, 0.1, 0, 0, 0], 'distortion_model': 'plumb_bob'}))
    assert view.mask is not None and view.mask.sum() > 40 * 40
    np.testing.assert_array_equal(view.depth == np.float32(0.5), view.mask)
    assert not view.notes
    rectified = files(depth, {'d': [-0.3, 0.1, 0, 0, 0],
                              'p': [80, 0, 49.5, 0, 0, 80, 39.5, 0, 0, 0, 1, 0]})
    view = read_view(rectified)
    assert view.mask is not None and view.mask.sum() == 40 * 40
    assert '--raw-image' in view.notes[0]


def test_sizes_that_differ_are_named(files):
    with pytest.raises(ValueError, match='100 x 80 pixels, but the camera info is for 9 x 8'):
        read_view(files(STEPS // 10, {'k': [8.0, 0, 4, 0, 8.0, 4, 0, 0, 1], 'width': 9,
                                      'height': 8}))
