"""Calibration files of several sources, and the rules of CameraInfo."""

import json
from dataclasses import astuple

import pytest

from kinediff3d_core.io.calibration import CameraMatrices, calibration_from_matrices
from kinediff3d_core.io.camera_info import read_camera_info


def intrinsics_from_matrices(*given, **named):
    return calibration_from_matrices(CameraMatrices(*given, **named)).intrinsics


CAMERA = (610.0, 611.0, 320.5, 240.5, 640, 480)


@pytest.mark.parametrize(('name', 'text'), [
    ('ros_msg.yaml', 'height: 480\nwidth: 640\nk: [610.0, 0, 320.5, 0, 611.0, 240.5, 0, 0, 1]\n'),
    ('ros1.yml', 'image_width: 640\nimage_height: 480\ncamera_matrix:\n  rows: 3\n  cols: 3\n'
                 '  data: [610.0, 0, 320.5, 0, 611.0, 240.5, 0, 0, 1]\n'),
    ('k.json', json.dumps({'K': [[610, 0, 320.5], [0, 611, 240.5], [0, 0, 1]], 'width': 640,
                           'height': 480})),
    ('o3d.json', json.dumps({'intrinsic_matrix': [610, 0, 0, 0, 611, 0, 320.5, 240.5, 1],
                             'width': 640, 'height': 480})),
    ('f.json', json.dumps(dict(zip(('fx', 'fy', 'cx', 'cy', 'width', 'height'), CAMERA,
                                   strict=True)))),
    ('nosize.yaml', 'fx: 610\nfy: 611\ncx: 320.5\ncy: 240.5\n'),
])
def test_camera_info(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    got = read_camera_info(path, size=(640, 480))
    assert (got.fx, got.fy, got.cx, got.cy, got.width, got.height) == CAMERA


@pytest.mark.parametrize(('text', 'match'), [
    ('- 1\n- 2\n', 'mapping'), ('a: [', 'not readable'), ('k: [1, 2]\nwidth: 1\nheight: 1', '9'),
    ('fx: 0\nfy: 1\ncx: 1\ncy: 1\nwidth: 5\nheight: 5', 'positive'),
    ('fx: .nan\nfy: 1\ncx: 1\ncy: 1\nwidth: 5\nheight: 5', 'finite'),
    ('width: 5\nheight: 5', 'no k'), ('fx: 1\nfy: 1\ncx: 1\ncy: 1', 'width and height'),
    ('k: hello\nwidth: 5\nheight: 5', 'camera.yaml'),
    ('!!python/object/apply:os.system ["true"]', 'camera.yaml'),
])
def test_camera_info_that_is_none(tmp_path, text, match):
    path = tmp_path / 'camera.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=match) as error:
        read_camera_info(path)
    assert '\n' not in str(error.value)


K = (610.0, 0, 320.5, 0, 611.0, 240.5, 0, 0, 1)
P = (600.0, 0, 310.5, 0, 0, 601.0, 230.5, 0, 0, 0, 1, 0)
UNSET = (0.0,) * 12


@pytest.mark.parametrize(('p', 'want'), [
    (None, CAMERA), (UNSET, CAMERA), ((600.0, *P[1:5], 0.0, *P[6:]), CAMERA),
    (P, (600.0, 601.0, 310.5, 230.5, 640, 480))])
def test_the_projection_of_the_rectified_image_counts_where_it_is_set(p, want):
    assert astuple(intrinsics_from_matrices(K, p, (640, 480))) == want


def test_binning_and_region_of_interest():
    """The region is in pixels of the full image: it is cut out first, then binned."""
    region = intrinsics_from_matrices(K, None, (640, 480), roi=(100, 40, 200, 101))
    assert astuple(region) == (610.0, 611.0, 220.5, 200.5, 200, 101)
    binned = intrinsics_from_matrices(K, None, (640, 480), (2, 4), (100, 40, 200, 101))
    assert astuple(binned) == (305.0, 152.75, 110.25, 50.125, 100, 25)
    for nothing in ((0, 0), (1, 1)):
        assert astuple(intrinsics_from_matrices(K, None, (640, 480), nothing)) == CAMERA
    for empty in ((10, 10, 0, 0), (10, 10, 5, 0), (10, 10, 0, 5)):
        assert astuple(intrinsics_from_matrices(K, None, (640, 480), roi=empty)) == CAMERA


@pytest.mark.parametrize('k', [UNSET[:9], (610.0, *UNSET[:8]), (0.0, 0, 0, 0, 611.0, 0, 0, 0, 1)])
def test_cameras_without_calibration_are_refused(k):
    for p in (None, UNSET):
        with pytest.raises(ValueError, match='no calibration'):
            intrinsics_from_matrices(k, p, (640, 480))


def message(**fields):
    return json.dumps({'width': 640, 'height': 480, 'k': K, **fields})


@pytest.mark.parametrize(('fields', 'want'), [
    ({'p': UNSET}, CAMERA), ({'p': None}, CAMERA),
    ({'P': P}, (600.0, 601.0, 310.5, 230.5, 640, 480)),
    ({'projection_matrix': {'rows': 3, 'cols': 4, 'data': P}},
     (600.0, 601.0, 310.5, 230.5, 640, 480)),
    ({'binning_x': 2, 'binning_y': 2}, (305.0, 305.5, 160.25, 120.25, 320, 240)),
    ({'roi': {'x_offset': 20, 'y_offset': 40, 'width': 100, 'height': 50, 'do_rectify': False}},
     (610.0, 611.0, 300.5, 200.5, 100, 50)),
    ({'roi': {'x_offset': 0, 'y_offset': 0, 'width': 0, 'height': 0}}, CAMERA),
])
def test_messages_in_files_are_read_as_messages(tmp_path, fields, want):
    path = tmp_path / 'info.json'
    path.write_text(message(**fields))
    assert astuple(read_camera_info(path)) == want


@pytest.mark.parametrize('fields', [{'p': [1, 2]}, {'roi': 'all'}, {'binning_x': 'two'}])
def test_damaged_messages_name_the_file(tmp_path, fields):
    path = tmp_path / 'info.json'
    path.write_text(message(**fields))
    with pytest.raises(ValueError, match='info.json'):
        read_camera_info(path)
