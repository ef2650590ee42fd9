"""Third-party URDF folders: which file is read, what is refused, link frames."""

import os

import numpy as np
import pytest
import trimesh

from kinediff3d_core.objects import urdf_reader as R
from kinediff3d_core.objects.urdf_reader import find_urdf, link_meshes, read_urdf

URDF = """<robot name="r"><link name="a">{visual}</link></robot>"""


def write(folder, visual='', name='object.urdf', text=URDF):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text.format(visual=visual))
    return folder


def meshes(folder):
    return link_meshes(folder, read_urdf(find_urdf(folder)).robot.links[0])


def visual(geometry, origin='', kind='visual'):
    return f'<{kind}>{origin}<geometry>{geometry}</geometry></{kind}>'


def test_a_folder_has_one_urdf(tmp_path):
    with pytest.raises(ValueError, match='exactly one .*it has 0'):
        find_urdf(tmp_path)
    write(tmp_path, name='b.urdf')
    assert find_urdf(tmp_path).name == 'b.urdf'
    write(tmp_path, name='c.urdf')
    with pytest.raises(ValueError, match='it has 2'):
        find_urdf(tmp_path)
    write(tmp_path, name='mobility.urdf')
    assert find_urdf(tmp_path).name == 'mobility.urdf'


@pytest.mark.parametrize(('text', 'match'), [
    ('<!DOCTYPE x [<!ENTITY a "b">]><robot name="r"/>', 'entities'),
    ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><robot name="r"/>', 'document type'),
    ('<!ENTITY a "b"><robot name="r"/>', 'not a readable URDF'),
    ('<robot name="r">', 'not a readable URDF'), ('<robot', 'not a readable URDF')])
def test_unsafe_and_damaged_urdfs_are_refused(tmp_path, text, match):
    (tmp_path / 'x.urdf').write_text(text)
    with pytest.raises(ValueError, match=match) as error:
        read_urdf(tmp_path / 'x.urdf')
    assert '\n' not in str(error.value) and 'x.urdf' in str(error.value)


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16', 'utf-16-le', 'utf-16-be'])
def test_entities_are_refused_in_every_encoding(tmp_path, encoding):
    """The parser decodes UTF-16, so a search for '<!ENTITY' in the bytes does not find it."""
    name = {'utf-16-le': 'utf-16', 'utf-16-be': 'utf-16'}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{name}"?>' \
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><robot name="&b;"/>'
    mark = {'utf-16-le': b'\xff\xfe', 'utf-16-be': b'\xfe\xff'}.get(encoding, b'')
    (tmp_path / 'x.urdf').write_bytes(mark + text.encode(encoding))
    for read in (read_urdf, R.read_joints):
        with pytest.raises(ValueError, match='XML entities'):
            read(tmp_path / 'x.urdf')


def test_large_files_are_refused(tmp_path, monkeypatch):
    write(tmp_path, visual('<mesh filename="m.stl"/>'))
    trimesh.creation.box().export(tmp_path / 'm.stl')
    size = (tmp_path / 'object.urdf').stat().st_size
    monkeypatch.setattr(R, 'MAX_URDF_BYTES', size)
    monkeypatch.setattr(R, 'MAX_MESH_BYTES', (tmp_path / 'm.stl').stat().st_size)
    assert len(meshes(tmp_path)) == 1
    monkeypatch.setattr(R, 'MAX_MESH_BYTES', R.MAX_MESH_BYTES - 1)
    with pytest.raises(ValueError, match='m.stl.* more than'):
        meshes(tmp_path)
    monkeypatch.setattr(R, 'MAX_URDF_BYTES', size - 1)
    with pytest.raises(ValueError, match=f'{size} bytes, more than {size - 1}'):
        meshes(tmp_path)


@pytest.mark.parametrize(('geometry', 'low', 'high'), [
    ('<box size="0.2 0.4 0.6"/>', (-0.1, -0.2, -0.3), (0.1, 0.2, 0.3)),
    ('<cylinder radius="0.1" length="0.5"/>', (-0.1, -0.1, -0.25), (0.1, 0.1, 0.25)),
    ('<sphere radius="0.3"/>', (-0.3, -0.3, -0.3), (0.3, 0.3, 0.3)),
    ('<mesh filename="m.obj"/>', (0, 0, 0), (1, 2, 3)),
    ('<mesh filename="package://any/m.obj" scale="0.1 0.2 -0.1"/>', (0, 0, -0.3), (0.1, 0.4, 0)),
    ('<mesh filename="file://m.obj"/>', (0, 0, 0), (1, 2, 3))])
def test_geometry_is_in_the_links_frame(tmp_path, geometry, low, high):
    box = trimesh.creation.box(bounds=[(0, 0, 0), (1, 2, 3)])
    box.export(tmp_path / 'm.obj')
    write(tmp_path, visual(geometry))
    (mesh,) = meshes(tmp_path)
    np.testing.assert_allclose([mesh.vertices.min(0), mesh.vertices.max(0)], [low, high],
                               atol=2e-3)
    # A quarter turn about z, then a shift: (x, y) becomes (1 - y, x).
    write(tmp_path, visual(geometry, '<origin xyz="1 0 0" rpy="0 0 1.5707963267948966"/>'))
    (turned,) = meshes(tmp_path)
    want = np.stack([1 - mesh.vertices[:, 1], mesh.vertices[:, 0], mesh.vertices[:, 2]], axis=1)
    np.testing.assert_allclose(turned.vertices, want, atol=1e-9)


def test_collisions_count_where_there_is_no_visual(tmp_path):
    box, ball = '<box size="1 1 1"/>', '<sphere radius="2"/>'
    write(tmp_path, visual(box) + visual(ball, kind='collision'))
    assert [len(m.vertices) for m in meshes(tmp_path)] == [8]
    write(tmp_path, visual(ball, kind='collision'))
    assert len(meshes(tmp_path)[0].vertices) > 8


@pytest.mark.parametrize(('name', 'match'), [
    ('../m.obj', 'outside'), ('none.obj', 'does not exist'), ('m.txt', 'none of .obj'),
    ('bad.glb', 'not readable'), ('empty.obj', 'no faces|not readable')])
def test_meshes_that_are_refused(tmp_path, name, match):
    folder = write(tmp_path / 'object', visual(f'<mesh filename="{name}"/>'))
    trimesh.creation.box().export(tmp_path / 'm.obj')
    (folder / 'm.txt').write_text('v 0 0 0')
    (folder / 'bad.glb').write_bytes(os.urandom(90))
    (folder / 'empty.obj').write_text('v 0 0 0\n')
    with pytest.raises(ValueError, match=match):
        meshes(folder)


def test_joints_without_links_and_meshes(tmp_path):
    path = tmp_path / 'a.urdf'
    path.write_text('<robot><transmission><joint name="t"/></transmission>'
                    '<joint name="joint_0" type="0"><parent link="base"/></joint>'
                    '<joint name="joint_1" type="revolute"><parent link="0"/><child link="1"/>'
                    '<origin xyz="1 2 3" rpy="0 0 1"/><axis xyz="0 2 0"/>'
                    '<limit lower="-1" upper="2"/></joint></robot>')
    first, second = R.read_joints(path)
    assert (first.joint_type, first.parent, first.child) == ('0', 'base', '')
    assert np.isnan(first.lower) and not first.xyz.any() and first.axis.tolist() == [1, 0, 0]
    assert (second.name, second.lower, second.upper) == ('joint_1', -1, 2)
    np.testing.assert_array_equal(second.axis, (0, 2, 0))
    T = R.origin_transform(second.xyz, second.rpy)
    np.testing.assert_allclose(T @ (1, 0, 0, 1), (1 + np.cos(1), 2 + np.sin(1), 3, 1))


@pytest.mark.parametrize('text, message', [
    ('<robot>', 'not a readable URDF'),
    ('<!DOCTYPE a><robot/>', 'XML entities'),
    ('<robot><joint name="a" type="fixed"><origin xyz="1 2"/></joint></robot>', 'three numbers'),
    ('<robot><joint name="a" type="fixed"><limit lower="x"/></joint></robot>', 'cannot be read'),
    ('<robot><joint type="fixed"/></robot>', 'cannot be read'),
])
def test_broken_joints_are_one_line(tmp_path, text, message):
    (tmp_path / 'a.urdf').write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        R.read_joints(tmp_path / 'a.urdf')
    assert 'a.urdf' in str(caught.value) and '\n' not in str(caught.value)
    with pytest.raises(ValueError, match='none.urdf'):
        R.read_joints(tmp_path / 'none.urdf')
