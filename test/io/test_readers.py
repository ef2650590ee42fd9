"""Files as cameras and people write them, and as they break."""

import json

import numpy as np
import pytest
import trimesh
from estimates import laptop_estimate
from PIL import Image

from kinediff3d_core.io.camera_info import read_camera_info
from kinediff3d_core.io.cloud import read_cloud
from kinediff3d_core.io.depth import read_depth
from kinediff3d_core.io.estimate import read_estimate, write_estimate
from kinediff3d_core.io.mask import read_mask

MM = np.array([[0, 500, 1500], [65535, 1, 999]], dtype=np.uint16)


@pytest.mark.parametrize('name', ['d.png', 'd.tiff', 'd.npy'])
def test_millimetres_become_metres(tmp_path, name):
    path = tmp_path / name
    np.save(path, MM) if name.endswith('npy') else Image.fromarray(MM).save(path)
    np.testing.assert_allclose(read_depth(path), MM / 1000.0, rtol=1e-6)
    assert read_depth(path).dtype == np.float32


@pytest.mark.parametrize('name', ['d.tiff', 'd.npy'])
def test_floating_images_are_metres(tmp_path, name):
    metres = np.array([[0.5, np.nan], [-1.0, np.inf]], dtype=np.float32)
    path = tmp_path / name
    np.save(path, metres) if name.endswith('npy') else Image.fromarray(metres).save(path)
    np.testing.assert_array_equal(read_depth(path), [[0.5, 0], [0, 0]])


def test_depth_that_is_none(tmp_path):
    def fails(name, match, write):
        path = tmp_path / name
        write(path)
        with pytest.raises(ValueError, match=match) as error:
            read_depth(path)
        assert '\n' not in str(error.value) and name in str(error.value)

    fails('a.png', '8-bit.*16-bit PNG', lambda p: Image.fromarray(MM.astype(np.uint8)).save(p))
    fails('rgb.png', 'one channel',
          lambda p: Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(p))
    fails('b.png', 'not readable', lambda p: p.write_bytes(b'no picture'))
    fails('c.png', 'empty', lambda p: p.write_bytes(b''))
    fails('dir', 'not a file', lambda p: p.mkdir())
    fails('e.npy', 'not readable', lambda p: p.write_bytes(b'\x93NUMPY nonsense'))
    fails('f.npy', 'one channel', lambda p: np.save(p, np.zeros((2, 2, 2), np.float32)))
    fails('pickle.npy', 'not readable',
          lambda p: np.save(p, np.array([{}], dtype=object), allow_pickle=True))

    def cut(path):
        Image.fromarray(np.random.default_rng(0).integers(0, 9999, (50, 50)).astype(np.uint16)
                        ).save(path)
        path.write_bytes(path.read_bytes()[:500])
    fails('cut.png', 'not readable', cut)
    with pytest.raises(ValueError, match='does not exist'):
        read_depth(tmp_path / 'none.png')


def test_masks(tmp_path):
    m = np.array([[0, 255], [3, 0]], dtype=np.uint8)
    Image.fromarray(m).save(tmp_path / 'm.png')
    np.testing.assert_array_equal(read_mask(tmp_path / 'm.png'), m > 0)
    Image.fromarray(m.astype(np.uint16) * 7).save(tmp_path / 'ids.png')
    np.testing.assert_array_equal(read_mask(tmp_path / 'ids.png'), m > 0)
    Image.fromarray(m * 0).save(tmp_path / 'zero.png')
    with pytest.raises(ValueError, match='zero everywhere'):
        read_mask(tmp_path / 'zero.png')


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
    ('!!python/object/apply:os.system ["true"]', 'not readable'),
])
def test_camera_info_that_is_none(tmp_path, text, match):
    path = tmp_path / 'camera.yaml'
    path.write_text(text)
    with pytest.raises(ValueError, match=match) as error:
        read_camera_info(path)
    assert '\n' not in str(error.value)


POINTS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def pcd(points, data, fields='x y z rgb'):
    head = (f'# .PCD v0.7\nVERSION 0.7\nFIELDS {fields}\nSIZE 4 4 4 4\nTYPE F F F U\n'
            f'COUNT 1 1 1 1\nWIDTH {len(points)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\n'
            f'POINTS {len(points)}\nDATA {data}\n').encode()
    if data == 'ascii':
        return head + b''.join(b'%f %f %f 7\n' % tuple(p) for p in points)
    rows = np.zeros(len(points), dtype=[('p', '<f4', 3), ('c', '<u4')])
    rows['p'] = points
    return head + rows.tobytes()


def test_clouds(tmp_path):
    np.save(tmp_path / 'a.npy', POINTS)
    np.savez(tmp_path / 'b.npz', points=POINTS)
    trimesh.PointCloud(POINTS).export(tmp_path / 'c.ply')
    trimesh.PointCloud(POINTS).export(tmp_path / 'd.ply', encoding='ascii')
    (tmp_path / 'e.pcd').write_bytes(pcd(POINTS, 'binary'))
    (tmp_path / 'f.pcd').write_bytes(pcd(POINTS, 'ascii'))
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_allclose(read_cloud(path), POINTS, atol=1e-6, err_msg=str(path))


def test_points_that_are_not_finite_are_left_out(tmp_path):
    holes = POINTS.reshape(10, 5, 3).copy()
    holes[3, 2] = np.nan
    np.save(tmp_path / 'organised.npy', holes)
    assert read_cloud(tmp_path / 'organised.npy').shape == (49, 3)


@pytest.mark.parametrize(('name', 'content', 'match'), [
    ('a.xyz', b'1 2 3', 'unknown kind'), ('b.ply', b'ply\nnonsense', 'not readable'),
    ('c.pcd', b'VERSION 0.7\n', 'DATA'), ('d.pcd', pcd(POINTS, 'binary')[:-9], 'cut off'),
    ('e.pcd', pcd(POINTS, 'ascii')[:-200], 'cut off|damaged'),
    ('f.pcd', pcd(POINTS, 'binary').replace(b'POINTS 50', b'POINTS 99999999999'), '99999999999'),
    ('g.pcd', pcd(POINTS, 'binary', 'a b c d'), 'no x, y, z'),
    ('h.pcd', pcd(POINTS, 'binary').replace(b'DATA binary', b'DATA binary_compressed'), 'ascii'),
    ('i.pcd', pcd(POINTS, 'binary').replace(b'POINTS 50', b'POINTS -3'), '-3'),
    ('j.npz', b'PK not a zip', 'not readable'), ('k.npy', b'', 'empty'),
])
def test_clouds_that_are_none(tmp_path, name, content, match):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as error:
        read_cloud(path)
    assert '\n' not in str(error.value) and name in str(error.value)


def test_clouds_of_wrong_shape(tmp_path):
    np.save(tmp_path / 'flat.npy', np.zeros((5, 2)))
    np.savez(tmp_path / 'other.npz', cloud=POINTS)
    np.save(tmp_path / 'nan.npy', np.full((5, 3), np.nan))
    for name, match in (('flat.npy', r'\(N, 3\)'), ('other.npz', 'points'), ('nan.npy', 'finite')):
        with pytest.raises(ValueError, match=match):
            read_cloud(tmp_path / name)


def test_estimates_come_back(tmp_path):
    e = laptop_estimate()
    path = write_estimate(e, tmp_path / 'out')
    for source in (path, path.parent):
        got = read_estimate(source)
        assert got.to_dict() == e.to_dict()
        for a, b in zip(got.parts, e.parts, strict=True):
            np.testing.assert_allclose(a.mesh.vertices, b.mesh.vertices, atol=1e-6)
            np.testing.assert_array_equal(a.mesh.faces, b.mesh.faces)


@pytest.mark.parametrize(('old', 'new', 'match'), [
    ('"latent"', '"later"', 'latent'), ('meshes/lid.obj', '../../x.obj', 'outside'),
    ('meshes/lid.obj', 'meshes/none.obj', 'does not exist'), ('"child": "lid"', '"child": "x"',
                                                             'not an estimate'),
    ('{', '[', 'not an estimate'),
])
def test_estimates_that_are_none(tmp_path, old, new, match):
    path = write_estimate(laptop_estimate(), tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=match) as error:
        read_estimate(path)
    assert '\n' not in str(error.value)
