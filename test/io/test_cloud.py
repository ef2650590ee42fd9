"""Point clouds of all kinds, and damaged ones."""

import struct

import numpy as np
import pytest
import trimesh

from kinediff3d_core.io.cloud import finite_points, read_cloud

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


@pytest.mark.parametrize('word', ['nan', '-nan', '-nan(ind)', 'nan(snan)', '1.#QNAN', '-1.#IND',
                                  '1.#INF00', '-inf'])
def test_points_without_a_measurement_in_text_files(tmp_path, word):
    """The C libraries of Linux and Windows print them differently."""
    path = tmp_path / 'c.ply'
    path.write_text('ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\n'
                    f'property float z\nend_header\n1 2 3\n{word} {word} {word}\n')
    np.testing.assert_array_equal(read_cloud(path), [[1, 2, 3]])


@pytest.mark.parametrize(('name', 'content', 'match'), [
    ('a.xyz', b'1 2 3', 'unknown kind'), ('b.ply', b'ply\nnonsense', 'not a .ply file'),
    ('c.pcd', b'VERSION 0.7\n', 'DATA'), ('d.pcd', pcd(POINTS, 'binary')[:-9], 'cut off'),
    ('e.pcd', pcd(POINTS, 'ascii')[:-200], 'cut off|damaged'),
    ('f.pcd', pcd(POINTS, 'binary').replace(b'POINTS 50', b'POINTS 99999999999'), '99999999999'),
    ('g.pcd', pcd(POINTS, 'binary', 'a b c d'), 'no x, y, z'),
    ('h.pcd', pcd(POINTS, 'binary').replace(b'binary', b'binary_compressed'), 'announced'),
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
    np.savez(tmp_path / 'other.npz', one=POINTS, two=POINTS)
    np.save(tmp_path / 'nan.npy', np.full((5, 3), np.nan))
    for name, match in (('flat.npy', r'\(N, 3\)'), ('other.npz', 'points'), ('nan.npy', 'finite')):
        with pytest.raises(ValueError, match=match):
            read_cloud(tmp_path / name)


def test_pcd_fields_in_any_order_type_and_count(tmp_path):
    """The normal of three numbers before z moves z by three columns."""
    head = ('FIELDS rgb y normal x z\nSIZE 4 8 4 4 2\nTYPE U F F F I\nCOUNT 1 1 3 1 1\n'
            'WIDTH 5\nHEIGHT 2\nDATA {}\n')
    points = np.arange(30.0).reshape(10, 3)
    text = ''.join(f'7 {y} 1 2 3 {x} {z:.0f}\n' for x, y, z in points)
    (tmp_path / 'a.pcd').write_text(head.format('ascii') + text)
    rows = np.zeros(10, [('rgb', '<u4'), ('y', '<f8'), ('n', '<f4', 3), ('x', '<f4'),
                         ('z', '<i2')])
    rows['x'], rows['y'], rows['z'] = points.T
    (tmp_path / 'b.pcd').write_bytes(head.format('binary').encode() + rows.tobytes())
    for name in 'ab':
        np.testing.assert_array_equal(read_cloud(tmp_path / f'{name}.pcd'), points)


def test_finite_points():
    raw = np.array([[0, 0, -1], [np.nan, 0, 1], [0, np.inf, 1], [0, 0, -np.inf], [1, 2, 3]])
    np.testing.assert_array_equal(finite_points(raw), [[0, 0, -1], [1, 2, 3]])
    assert finite_points(raw).dtype == np.float32 and len(finite_points(np.zeros((0, 3)))) == 0


def lzf(data):
    """Compressed by an encoder that repeats whatever stood 12 bytes before."""
    out, at = bytearray(), 0
    while at < len(data):
        same = 0
        while at >= 12 and same < 264 and at + same < len(data) \
                and data[at + same] == data[at + same - 12]:
            same += 1
        if same > 8:
            out += bytes([7 << 5, same - 9, 11])
        elif same > 2:
            out += bytes([(same - 2) << 5, 11])
        else:
            out += bytes([0, data[at]])
        at += same if same > 2 else 1
    return bytes(out)


@pytest.mark.parametrize('organised', [False, True])
def test_compressed_pcd(tmp_path, organised):
    """Fields stand one after the other; a normal of three numbers is before z."""
    size = (5, 10) if organised else (50, 1)
    head = ('VERSION 0.7\nFIELDS x y normal z\nSIZE 4 8 4 4\nTYPE F F F F\nCOUNT 1 1 3 1\n'
            f'WIDTH {size[0]}\nHEIGHT {size[1]}\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 50\n'
            'DATA binary_compressed\n').encode()
    x, y, z = POINTS.T
    columns = (x.tobytes() + y.astype('<f8').tobytes() + np.zeros((50, 3), '<f4').tobytes()
               + z.tobytes())
    packed = lzf(columns)
    assert len(packed) < len(columns) + 400
    sizes = np.array([len(packed), len(columns)], '<u4').tobytes()
    (tmp_path / 'a.pcd').write_bytes(head + sizes + packed)
    np.testing.assert_array_equal(read_cloud(tmp_path / 'a.pcd'), POINTS)
    (tmp_path / 'b.pcd').write_bytes(head + sizes + b'\xff' + packed[1:])
    with pytest.raises(ValueError, match='b.pcd: damaged compressed data'):
        read_cloud(tmp_path / 'b.pcd')


@pytest.mark.parametrize('order', ['binary_little_endian', 'binary_big_endian', 'ascii'])
def test_ply_with_other_elements_and_comments(tmp_path, order, capfd):
    """A texture that is not there matters to no cloud."""
    head = (f'ply\nformat {order} 1.0\ncomment TextureFile scan.png\nelement camera 2\n'
            'property double f\nelement vertex 50\nproperty uchar red\n'
            + ''.join(f'property float32 {c}\n' for c in 'zyx')
            + 'element face 0\nproperty list uchar int vertex_indices\nend_header\n').encode()
    mark = '>' if 'big' in order else '<'
    rows = np.zeros(50, [('c', 'u1'), *((c, f'{mark}f4') for c in 'zyx')])
    rows['x'], rows['y'], rows['z'] = POINTS.T
    body = np.zeros(2, f'{mark}f8').tobytes() + rows.tobytes()
    if order == 'ascii':
        head = head.replace(b'property double f', b'property list uchar int f')
        body = b'2 5 5\n0\n' + b''.join(b'7 %r %r %r\n' % (float(z), float(y), float(x))
                                    for x, y, z in POINTS)
    (tmp_path / 'a.ply').write_bytes(head + body)
    np.testing.assert_array_equal(read_cloud(tmp_path / 'a.ply'), POINTS)
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('mark', '<>')
def test_ply_with_lists_before_binary_vertices(tmp_path, mark):
    order = 'little' if mark == '<' else 'big'
    head = (f'ply\nformat binary_{order}_endian 1.0\nelement face 3\n'
            'property list ushort int vertex_indices\nproperty uchar flags\n'
            'element vertex 50\n' + ''.join(f'property float {c}\n' for c in 'xyz')
            + 'end_header\n').encode()
    faces = b''.join(struct.pack(f'{mark}H{count}iB', count, *range(count), 9)
                     for count in (3, 0, 5))
    (tmp_path / 'a.ply').write_bytes(head + faces + POINTS.astype(f'{mark}f4').tobytes())
    np.testing.assert_array_equal(read_cloud(tmp_path / 'a.ply'), POINTS)
    (tmp_path / 'b.ply').write_bytes(head + faces[:7])
    with pytest.raises(ValueError, match='b.ply: cut off before its vertices'):
        read_cloud(tmp_path / 'b.ply')
    (tmp_path / 'c.ply').write_bytes(head.replace(b'list ushort', b'list float'))
    with pytest.raises(ValueError, match="c.ply: damaged .ply header at 'property list float"):
        read_cloud(tmp_path / 'c.ply')


def test_text_whose_lines_end_with_a_carriage_return(tmp_path):
    lines = ['ply', 'format ascii 1.0', 'element vertex 50',
             *(f'property float {c}' for c in 'xyz'), 'end_header',
             *(' '.join(map(repr, point)) for point in POINTS.tolist())]
    for name, end in (('a.ply', '\r'), ('b.ply', '\r\n')):
        (tmp_path / name).write_bytes(end.join(lines).encode())
        np.testing.assert_array_equal(read_cloud(tmp_path / name), POINTS)
    (tmp_path / 'c.pcd').write_bytes(pcd(POINTS, 'ascii').replace(b'\n', b'\r'))
    np.testing.assert_allclose(read_cloud(tmp_path / 'c.pcd'), POINTS, atol=1e-6)


def test_arrays_of_records_and_transposed_ones(tmp_path):
    rows = np.zeros(50, [('x', '<f4'), ('i', '<u2'), ('y', '<f4'), ('z', '<f8')])
    rows['x'], rows['y'], rows['z'] = POINTS.T
    np.save(tmp_path / 'a.npy', rows)
    np.testing.assert_array_equal(read_cloud(tmp_path / 'a.npy'), POINTS)
    np.save(tmp_path / 'b.npy', POINTS.T)
    with pytest.raises(ValueError, match='transpose'):
        read_cloud(tmp_path / 'b.npy')


@pytest.mark.parametrize('organised', [False, True])
@pytest.mark.parametrize('data', ['ascii', 'binary', 'binary_compressed'])
@pytest.mark.parametrize(('version', 'fields', 'types'), [
    ('.5', 'x y z', 'F4 F4 F4'), ('.7', 'x y z', 'F8 F8 F8'),
    ('.7', 'x y z _', 'F4 F4 F4 U1'), ('0.7', 'x y z rgb', 'F4 F4 F4 F4'),
    ('0.7', 'x y z rgba', 'F4 F4 F4 U4'), ('0.7', 'x y z scale', 'F4 F4 F4 F4'),
    ('0.7', 'x y z normal_x normal_y normal_z curvature', 'F4 F4 F4 F4 F4 F4 F4'),
    ('0.7', 'x y z rgb normal_x normal_y normal_z curvature', 'F4 F4 F4 U4 F4 F4 F4 F4')])
def test_layouts_of_pcd_files(tmp_path, organised, data, version, fields, types):
    """Those of PCL's own test files, doubles, padding; NaN where organised clouds are blind."""
    points = POINTS.astype(np.float64)
    kept = points
    if organised:
        points = points.copy()
        points[3, 2] = np.nan
        kept = np.delete(points, 3, axis=0)
    record = np.dtype([(f'f{i}', {'F4': '<f4', 'F8': '<f8', 'U4': '<u4', 'U1': '<u1'}[t])
                       for i, t in enumerate(types.split())])
    rows = np.zeros(len(points), record)
    for i in range(3):
        rows[f'f{i}'] = points[:, i]
    shape = (10, len(points) // 10) if organised else (len(points), 1)
    head = '# .PCD\n' + '\n'.join((
        f'VERSION {version}', f'FIELDS {fields}',
        'SIZE ' + ' '.join(t[1] for t in types.split()),
        'TYPE ' + ' '.join(t[0] for t in types.split()),
        'COUNT ' + ' '.join('1' for _ in types.split()), f'WIDTH {shape[0]}',
        f'HEIGHT {shape[1]}', 'VIEWPOINT 0 0 0 1 0 0 0', f'POINTS {len(points)}',
        f'DATA {data}')) + '\n'
    if data == 'ascii':
        content = '\n'.join(' '.join(f'{v:.9g}' for v in row) for row in rows.tolist()).encode()
    elif data == 'binary':
        content = rows.tobytes()
    else:
        columns = b''.join(rows[name].tobytes() for name in record.names)
        packed = b''.join(bytes([len(c) - 1]) + c for c in (
            columns[i:i + 32] for i in range(0, len(columns), 32)))
        content = np.array([len(packed), len(columns)], '<u4').tobytes() + packed
    (tmp_path / 'a.pcd').write_bytes(head.encode() + content)
    np.testing.assert_allclose(read_cloud(tmp_path / 'a.pcd'), kept, rtol=1e-6)
