"""Meshes of links: frames, units, and files that are left out or refused."""

import os

import numpy as np
import pytest
import trimesh

from kinediff3d_core.objects import urdf_meshes as M
from kinediff3d_core.objects.urdf_files import find_urdf
from kinediff3d_core.objects.urdf_meshes import link_meshes
from kinediff3d_core.objects.urdf_reader import read_urdf

URDF = """<robot name="r"><link name="a">{visual}</link></robot>"""


def write(folder, visual='', name='object.urdf', text=URDF):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text.format(visual=visual))
    return folder


def meshes(folder):
    return read(folder)[0]


def read(folder):
    source = find_urdf(folder)
    return link_meshes(source, read_urdf(source).robot.links[0])


def visual(geometry, origin='', kind='visual'):
    return f'<{kind}>{origin}<geometry>{geometry}</geometry></{kind}>'


def test_large_meshes_are_refused(tmp_path, monkeypatch):
    write(tmp_path, visual('<mesh filename="m.stl"/>'))
    trimesh.creation.box().export(tmp_path / 'm.stl')
    monkeypatch.setattr(M, 'MAX_MESH_BYTES', (tmp_path / 'm.stl').stat().st_size)
    assert len(meshes(tmp_path)) == 1
    monkeypatch.setattr(M, 'MAX_MESH_BYTES', M.MAX_MESH_BYTES - 1)
    with pytest.raises(ValueError, match='m.stl.* more than'):
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


@pytest.mark.parametrize('scale', ['2 2 2', '1 -1 1', '-1 -1 1', '-1 -1 -1'])
def test_a_mesh_that_is_mirrored_faces_outward(tmp_path, scale):
    trimesh.creation.box().export(tmp_path / 'm.obj')
    write(tmp_path, visual(f'<mesh filename="m.obj" scale="{scale}"/>'))
    (mesh,) = meshes(tmp_path)
    assert trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).volume > 0


def test_collisions_count_where_there_is_no_visual(tmp_path):
    box, ball = '<box size="1 1 1"/>', '<sphere radius="2"/>'
    write(tmp_path, visual(box) + visual(ball, kind='collision'))
    assert [len(m.vertices) for m in meshes(tmp_path)] == [8]
    write(tmp_path, visual(ball, kind='collision'))
    assert len(meshes(tmp_path)[0].vertices) > 8


@pytest.mark.parametrize(('name', 'reason'), [
    ('none.obj', 'does not exist'), ('m.txt', 'none of .obj'), ('bad.glb', 'not readable'),
    ('empty.obj', 'is empty'), ('points.obj', 'no faces'), ('names.obj', 'not readable'),
    ('unit.dae', "the unit b'mile'")])
def test_meshes_that_are_left_out(tmp_path, name, reason):
    """The other meshes of the link are enough."""
    folder = write(tmp_path / 'object', visual(f'<mesh filename="{name}"/>')
                   + visual('<box size="1 1 1"/>'))
    (folder / 'm.txt').write_text('v 0 0 0')
    (folder / 'bad.glb').write_bytes(os.urandom(90))
    (folder / 'empty.obj').write_text('')
    (folder / 'points.obj').write_text('v 0 0 0\nv 0 1 0\nv 1 0 0\n')
    (folder / 'names.obj').write_text('mtllib a.mtl\n')
    (folder / 'unit.dae').write_text(collada('mile'))
    found, left_out = read(folder)
    assert len(found) == 1 and len(left_out) == 1
    assert reason in left_out[0] or 'no faces' in left_out[0]
    assert len(left_out[0]) < 200 and '\n' not in left_out[0]


@pytest.mark.parametrize('geometry', [
    '<box size="0.2 0.4 -0.6"/>', '<box size="0.2 0 0.6"/>', '<sphere radius="-1"/>',
    '<cylinder radius="0.1" length="nan"/>'])
def test_shapes_without_a_positive_size_are_left_out(tmp_path, geometry):
    folder = write(tmp_path, visual(geometry) + visual('<box size="1 1 1"/>'))
    found, (reason,) = read(folder)
    assert len(found) == 1 and 'lengths have to be above zero' in reason


def test_a_name_with_other_capitals_is_named(tmp_path):
    folder = write(tmp_path, visual('<mesh filename="meshes/Base.obj"/>'))
    (folder / 'meshes').mkdir()
    trimesh.creation.box().export(folder / 'meshes' / 'base.OBJ', file_type='obj')
    _, (left_out,) = read(folder)
    assert "mesh 'meshes/Base.obj' does not exist (did you mean base.OBJ?)" in left_out


def test_a_mesh_outside_the_folder_is_refused(tmp_path):
    folder = write(tmp_path / 'object', visual('<mesh filename="../m.obj"/>'))
    trimesh.creation.box().export(tmp_path / 'm.obj')
    with pytest.raises(ValueError, match='outside'):
        meshes(folder)


def collada(metres, up='Z'):
    """A box of 1 x 2 x 3 units."""
    box = trimesh.creation.box(bounds=[(0, 0, 0), (1, 2, 3)])
    text = trimesh.exchange.dae.export_collada(box).decode()
    start = text.index('<asset>')
    end = text.index('</asset>')
    return (f'{text[:start]}<asset><created>2020-01-01T00:00:00</created>'
            '<modified>2020-01-01T00:00:00</modified>'
            '<!-- <unit meter="7"/> <up_axis>X_UP</up_axis> -->'
            f'<unit name="u" meter="{metres}"/><up_axis>{up}_UP</up_axis>{text[end:]}')


@pytest.mark.parametrize('metres', [0.001, 0.0254, 1])
def test_colladas_unit_is_applied(tmp_path, metres):
    write(tmp_path, visual('<mesh filename="m.dae" scale="2 1 1"/>'))
    (tmp_path / 'm.dae').write_text(collada(metres))
    (mesh,) = meshes(tmp_path)
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), metres * np.array([2, 2, 3]))


@pytest.mark.parametrize('shape', [visual, lambda text: visual(text).replace(
    'visual', 'collision')])
@pytest.mark.parametrize(('up', 'low', 'high'), [
    ('X', (-2, -3, 0), (0, 0, 1)), ('Y', (0, -3, 0), (1, 0, 2)), ('Z', (0, 0, 0), (1, 2, 3))])
def test_colladas_up_axis_is_applied(tmp_path, caplog, shape, up, low, high):
    """Up is z afterwards, and right-handed; the scale of the URDF is along its own axes."""
    write(tmp_path, shape('<mesh filename="m.dae" scale="1 1 2"/>'))
    (tmp_path / 'm.dae').write_text(collada(0.1, up))
    (mesh,) = meshes(tmp_path)
    scale = 0.1 * np.array([1, 1, 2])
    np.testing.assert_allclose(mesh.vertices.min(axis=0), scale * low, atol=1e-12)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), scale * high, atol=1e-12)
    solid = trimesh.Trimesh(mesh.vertices, mesh.faces)
    assert solid.volume == pytest.approx(6 * 2 * 0.001)  # not turned inside out
    assert ('declares' in caplog.text) == (up != 'Z')
