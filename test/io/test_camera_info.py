"""Calibration files of several sources, and the rules of CameraInfo."""

import json
from dataclasses import astuple

import numpy as np
import pytest

from kinediff3d_core.io.calibration import CameraMatrices, calibration_from_matrices
from kinediff3d_core.io.camera_info import read_calibration, read_camera_info


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


SPELLINGS = {
    'echo.yaml': f'header:\n  stamp:\n    sec: 1\nwidth: 640\nheight: 480\nk: {list(K)}\n---\n'
                 f'header:\n  stamp:\n    sec: 2\nwidth: 640\nheight: 480\nk: {list(K)}\n---\n',
    'p_only.yaml': 'width: 640\nheight: 480\nk: [0, 0, 0, 0, 0, 0, 0, 0, 0]\n'
                   'p: [610, 0, 320.5, 0, 0, 611, 240.5, 0, 0, 0, 1, 0]\n',
    'ros1.yaml': f'K: {list(K)}\nD: [0, 0, 0, 0, 0]\nwidth: 640\nheight: 480\n',
    'columns.json': json.dumps({'k': [610, 0, 0, 0, 611, 0, 320.5, 240.5, 1]}),
    'opencv.yml': '%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n'
                  f'   dt: d\n   data: {list(K)}\nimage_width: 640\nimage_height: 480\n',
    'opencv.xml': '<?xml version="1.0"?><opencv_storage><M1 type_id="opencv-matrix"><rows>3</rows>'
                  '<cols>3</cols><dt>d</dt><data>610 0 320.5 0 611 240.5 0 0 1</data></M1>'
                  '</opencv_storage>',
    'camchain.yaml': 'cam0:\n  camera_model: pinhole\n  intrinsics: [610, 611, 320.5, 240.5]\n'
                     '  resolution: [640, 480]\n',
    'camera.json': json.dumps({'cam_K': K, 'depth_scale': 1.0}),
    'open3d.json': json.dumps({'class_name': 'PinholeCameraParameters', 'intrinsic': {
        'intrinsic_matrix': [610, 0, 0, 0, 611, 0, 320.5, 240.5, 1], 'width': 640,
        'height': 480}}),
    'rs.json': json.dumps({'fx': 610, 'fy': 611, 'ppx': 320.5, 'ppy': 240.5, 'width': 640,
                           'height': 480, 'model': 'distortion.brown_conrady',
                           'coeffs': [0.0] * 5}),
    'echo.txt': f'width: 640\nheight: 480\nk: {list(K)}\n---\n',
    'k.txt': '610 0 320.5\n0 611 240.5\n0 0 1\n',
    'ost.txt': '# oST version 5.0 parameters\n[image]\nwidth\n640\nheight\n480\n[front]\n'
               'camera matrix\n610 0 320.5\n0 611 240.5\n0 0 1\ndistortion\n0 0 0 0 0\n',
    'k.csv': '610,0,320.5\n0,611,240.5\n0,0,1\n', 'K': '610 0 320.5 0 611 240.5 0 0 1',
    'rows.json': '[[610, 0, 320.5], [0, 611, 240.5], [0, 0, 1]]',
    'cut.yaml': f'width: 640\nheight: 480\nk: {list(K)}\n---\nwidth: 640\nheight: 480\nk: [610,',
    'orb_slam.yaml': '%YAML:1.0\nCamera.type: "PinHole"\nCamera1.fx: 610\nCamera1.fy: 611\n'
                     'Camera1.cx: 320.5\nCamera1.cy: 240.5\nCamera1.k1: 0.0\nCamera1.p1: 0.0\n',
    'printed.txt': '[ 640x480  p[320.5 240.5]  f[610 611]  Brown Conrady [0 0 0 0 0] ]\n',
    'lost.yaml': 'A message was lost!!!\n\ttotal count change:1\n\ttotal count: 1---\n'
                 f'width: 640\nheight: 480\nk: {list(K)}\n---\n',
    'waiting.yaml': 'WARNING: no messages received and simulated time is active.\n'
                    f'Is /clock being published?\nwidth: 640\nheight: 480\nK: {list(K)}\n---\n',
    'field.txt': f"array('d', {list(K)})\n---\n",
    'numpy.txt': 'K = np.array([[610., 0., 320.5],\n [0., 611., 240.5], [0., 0., 1.]])\n',
    'matlab.txt': 'K = [610 0 320.5; 0 611 240.5; 0 0 1];\n',
    'basalt.json': json.dumps({'value0': {'intrinsics': [{'camera_type': 'pinhole', 'intrinsics': {
        'fx': 610.0, 'fy': 611.0, 'cx': 320.5, 'cy': 240.5}}], 'resolution': [[640, 480]]}}),
    'listed.txt': ''.join(
        f' Intrinsic of "Depth" / {w}x{h} / {{Z16}}\n  Width:      \t{w}\n  Height:     \t{h}\n'
        f'  PPX:        \t{cx}\n  PPY:        \t240.5\n  Fx:         \t610\n'
        '  Fy:         \t611\n  Distortion: \tBrown Conrady\n  Coeffs:     \t0  \t0  \t0  \t0'
        '  \t0  \n  FOV (deg):  \t55 x 43\n\n' for w, h, cx in ((640, 480, 320.5),
                                                              (1280, 720, 640.0))),
}


@pytest.mark.parametrize('name', SPELLINGS)
def test_the_spellings_of_the_field(tmp_path, name):
    (tmp_path / name).write_text(SPELLINGS[name])
    assert astuple(read_camera_info(tmp_path / name, (640, 480))) == CAMERA


def test_utf_16_and_numpy_files(tmp_path):
    """Windows PowerShell redirects output in UTF-16."""
    (tmp_path / 'echo.yaml').write_bytes(SPELLINGS['echo.yaml'].encode('utf-16'))
    np.save(tmp_path / 'K.npy', np.reshape(K, (3, 3)))
    np.savez(tmp_path / 'B.npz', mtx=np.reshape(K, (3, 3)), dist=np.zeros((1, 5)),
             rvecs=np.zeros((300, 3, 1)))
    for name in ('echo.yaml', 'K.npy', 'B.npz'):
        assert astuple(read_camera_info(tmp_path / name, (640, 480))) == CAMERA


LENS = dict(zip(('fx', 'fy', 'cx', 'cy', 'width', 'height'), CAMERA, strict=True))
BENT = [0.1, -0.2, 0.001, 0.002]


@pytest.mark.parametrize('values', [
    *({'camera_matrix': K, name: [BENT]} for name in (
        'dist_coeff', 'dist_coefs', 'distortion', 'distortionCoeff', 'distortion_parameters')),
    {'cameraData': [[0, {'intrinsicMatrix': K, 'distortionCoeff': [*BENT, *[0] * 10]}]]},
    {'model_type': 'PINHOLE', 'distortion_parameters': dict(zip(
        ('k1', 'k2', 'p1', 'p2'), BENT, strict=True)), 'projection_parameters': LENS},
    {'camera_model': 'OPENCV', 'fl_x': 610.0, 'fl_y': 611.0, 'cx': 320.5, 'cy': 240.5, 'w': 640,
     'h': 480, 'k1': 0.1, 'k2': -0.2, 'p1': 0.001, 'p2': 0.002, 'frames': []},
], ids=lambda values: '-'.join(values)[:40])
def test_a_distortion_counts_however_it_is_called(tmp_path, values):
    """Also beside the camera, as camodocal writes it; depthai and nerfstudio."""
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(values))
    found = read_calibration(path, (640, 480))
    assert astuple(found.intrinsics) == CAMERA
    assert found.distortion is not None and list(found.distortion.coefficients[:4]) == BENT


def test_fisheye_coefficients_with_a_name_each(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(LENS | {'camera_model': 'OPENCV_FISHEYE', 'k1': 0.1, 'k3': 0.2}))
    found = read_calibration(path).distortion
    assert found is not None and found.coefficients == (0.1, 0.0, 0.2, 0.0)


@pytest.mark.parametrize('values', [
    LENS | {'camera_model': 'omni'}, LENS | {'xi': -0.2, 'alpha': 0.5},
    {'value0': {'intrinsics': [{'camera_type': 'ds', 'intrinsics': LENS | {'xi': 0.1}}],
                'resolution': [[640, 480]]}},
    {'model_type': 'MEI', 'mirror_parameters': {'xi': 1.9}, 'projection_parameters': LENS}])
def test_cameras_that_are_no_pinholes_are_refused(tmp_path, values):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(values))
    with pytest.raises(ValueError, match='a.json: camera model .* is not a pinhole camera'):
        read_calibration(path, (640, 480))


def test_coefficients_with_a_name_each_are_a_distortion(tmp_path):
    path = tmp_path / 'a.json'
    lens = dict(zip(('fx', 'fy', 'cx', 'cy', 'width', 'height'), CAMERA, strict=True))
    path.write_text(json.dumps(lens | {'k1': -0.3, 'k2': 0.1, 'p1': 0.001, 'p2': 0.002}))
    found = read_calibration(path).distortion
    assert found is not None and found.coefficients[:5] == (-0.3, 0.1, 0.001, 0.002, 0.0)
    settings = {f'Camera.{key}': value for key, value in lens.items()}
    path.write_text(json.dumps(settings | {'Camera.type': 'KannalaBrandt8', 'Camera.k1': 0.1}))
    with pytest.raises(ValueError, match='kannalabrandt8.*image_proc'):
        read_calibration(path)


@pytest.mark.parametrize(('scale', 'metres'), [
    (0.1, 1e-4), (1.0, 1e-3), (1000, 1e-3), (4000, 0.25e-3), (5000, 2e-4), (0.001, 1e-3),
    (0.0001, 1e-4)])
def test_depth_scales_in_the_units_of_their_formats(tmp_path, scale, metres):
    (tmp_path / 'a.json').write_text(message(depth_scale=scale))
    assert read_calibration(tmp_path / 'a.json').depth_scale == pytest.approx(metres)


def test_one_of_several_cameras(tmp_path):
    path = tmp_path / 'scene_camera.json'
    cameras = {str(i): {'cam_K': [600 + i, *K[1:]]} for i in range(2000)}
    path.write_text(json.dumps(cameras))
    size = (640, 480)
    assert read_calibration(path, size, frame='000007').intrinsics.fx == 607
    assert read_calibration(path, size, '7', 'depth').intrinsics.fx == 607
    for name, frame in ((None, 'depth'), ('cam', None)):
        with pytest.raises(ValueError, match='cameras that differ.*--camera-name|no camera') as e:
            read_calibration(path, size, name, frame)
        assert len(str(e.value)) < 300
    path.write_text(json.dumps({i: cameras['5'] for i in cameras}))
    assert read_calibration(path, size).intrinsics.fx == 605


@pytest.mark.parametrize(('k', 'match'), [
    ([610, 0, 320, 0, 611, 240, 0, 0, 2], 'ends in 0, 0, 2; a camera matrix ends in 0, 0, 1'),
    ([0.9, 0, 0.5, 0, 0.9, 0.5, 0, 0, 1], 'in pixels')])
def test_matrices_of_no_camera(tmp_path, k, match):
    (tmp_path / 'a.json').write_text(message(k=k))
    with pytest.raises(ValueError, match=match):
        read_camera_info(tmp_path / 'a.json')


def test_distortion_counts_for_raw_images_alone(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(message(d=[0.1, 0, 0, 0, 0], distortion_model='plumb_bob'))
    assert read_calibration(path).distortion is not None
    with pytest.raises(ValueError, match='image_proc'):
        read_camera_info(path)
    path.write_text(message(d=[0.1, 0, 0, 0, 0], p=P))
    found = read_calibration(path)
    assert found.distortion is None and found.projected and found.intrinsics.fx == 600
    raw = read_calibration(path, raw=True)
    assert raw.distortion is not None and raw.intrinsics.fx == 610 and not raw.projected
    path.write_text(message(d=[0.1, 0, 0, 0, 0], distortion_model='inverse_brown_conrady'))
    with pytest.raises(ValueError, match="'inverse_brown_conrady' is not applied.*image_proc"):
        read_calibration(path)
