"""Third-party URDFs: what is refused, joints."""

import time

import numpy as np
import pytest

from kinediff3d_core.objects import urdf_reader as R
from kinediff3d_core.objects.urdf_reader import read_urdf


@pytest.mark.parametrize(('text', 'match'), [
    ('<!DOCTYPE x [<!ENTITY a "b">]><robot name="r"/>', 'entities'),
    ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><robot name="r"/>', 'document type'),
    ('<!ENTITY a "b"><robot name="r"/>', 'not a readable URDF'),
    ('<robot name="r"><link name="a"/><link name="b"/><joint name="lid" type="revolute">'
     '<parent link="a"/><child link="b"/><mimic joint="ldi"/></joint></robot>',
     "joint 'lid' mimics 'ldi', which is not there .did you mean lid"),
    ('<robot name="r">', 'not a readable URDF'), ('<robot', 'not a readable URDF')])
def test_unsafe_and_damaged_urdfs_are_refused(tmp_path, text, match):
    (tmp_path / 'x.urdf').write_text(text)
    with pytest.raises(ValueError, match=match) as error:
        read_urdf(tmp_path / 'x.urdf')
    assert '\n' not in str(error.value) and 'x.urdf' in str(error.value)


def test_a_urdf_of_many_links_takes_no_time_that_grows_with_their_square(tmp_path):
    count = 10_000
    (tmp_path / 'x.urdf').write_text('<robot name="r">' + ''.join(
        f'<link name="{i}"/>' for i in range(count)) + ''.join(
        f'<joint name="j{i}"><parent link="{i}"/><child link="{i + 1}"/></joint>'
        for i in range(count - 2)) + '</robot>')
    begin = time.process_time()
    with pytest.raises(ValueError, match="no joint connects '0' with '9999'"):
        read_urdf(tmp_path / 'x.urdf')
    assert time.process_time() - begin < 5


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
    ('<sdf version="1.6"><model name="m"/></sdf>', 'begins with <sdf>, not with <robot>'),
])
def test_broken_joints_are_one_line(tmp_path, text, message):
    (tmp_path / 'a.urdf').write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        R.read_joints(tmp_path / 'a.urdf')
    assert 'a.urdf' in str(caught.value) and '\n' not in str(caught.value)
    with pytest.raises(ValueError, match='none.urdf'):
        R.read_joints(tmp_path / 'none.urdf')


def test_a_robot_without_a_name_is_said(tmp_path):
    (tmp_path / 'a.urdf').write_text('<robot><link name="base"/></robot>')
    with pytest.raises(ValueError, match="a.urdf is not a readable URDF: the robot.*no 'name'"):
        read_urdf(tmp_path / 'a.urdf')


def test_large_and_unexpanded_urdfs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / 'x.urdf'
    path.write_text('<robot name="r"><link name="a"/></robot>')
    size = path.stat().st_size
    monkeypatch.setattr(R, 'MAX_URDF_BYTES', size)
    assert read_urdf(path).base_link == 'a'
    monkeypatch.setattr(R, 'MAX_URDF_BYTES', size - 1)
    with pytest.raises(ValueError, match=f'{size} bytes, more than {size - 1}'):
        read_urdf(path)
    monkeypatch.undo()
    path.write_text('<robot name="r"><xacro:include filename="a"/></robot>')
    with pytest.raises(ValueError, match='is xacro, not URDF.*x.urdf > object.urdf'):
        read_urdf(path)
