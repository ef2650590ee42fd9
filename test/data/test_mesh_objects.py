"""Objects from URDF folders: frames, parts and joints."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh
from estimates import box_mesh, laptop_estimate
from open3d_or_skip import import_open3d
from own_objects import edit_urdf

from kinediff3d_core.data.mesh_objects import list_objects, load_object
from kinediff3d_core.data.placement import Placement
from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.category import get_category
from kinediff3d_core.objects.estimate import JointEstimate, PartEstimate
from kinediff3d_core.objects.urdf import urdf_string

LAPTOP = get_category('laptop')


def test_a_written_estimate_is_read_back(folder):
    e, got = laptop_estimate(), load_object(folder)
    assert (got.name, got.category, got.parts) == ('laptop_mine', 'laptop', ('base', 'lid'))
    np.testing.assert_allclose(got.origin[0], e.joints[0].origin, atol=1e-6)
    np.testing.assert_allclose(got.axis[0], e.joints[0].axis, atol=1e-6)
    assert got.lower[0] == 0.0 and got.upper[0] == pytest.approx(math.pi)
    for part, mesh in zip(e.parts, got.meshes, strict=True):
        np.testing.assert_allclose(mesh.vertices.min(0), part.mesh.vertices.min(0), atol=1e-6)
    T = torch.from_numpy(e.T_camera_base)
    poses = got.part_poses(torch.tensor([e.joints[0].position], dtype=torch.float64), T)
    np.testing.assert_allclose(poses[1], e.parts[1].T_camera_part, atol=1e-6)


@pytest.mark.parametrize('name', [None, 'kitchen_4', ''])
def test_drawers_keep_their_names_when_they_are_read_back(tmp_path, name):
    """By their places alone, the upper one would be the first."""
    base = PartEstimate('base', np.eye(4), box_mesh((0.4, 0.4, 0.6)))
    parts, joints = [base], []
    for i, height in enumerate((-0.1, 0.1)):
        parts.append(PartEstimate(f'drawer_{i}', np.eye(4), box_mesh((0.3, 0.3, 0.1))))
        joints.append(JointEstimate(
            f'drawer_{i}_joint', 'prismatic', 'base', f'drawer_{i}', np.array([0, 0, height]),
            np.array([1.0, 0, 0]), 0.1, 0.0, 0.4, 0.01))
    estimate = replace(laptop_estimate(), category='drawer', parts=tuple(parts),
                       joints=tuple(joints))
    folder = tmp_path / 'drawer_1'
    path = write_urdf(estimate, folder)
    text = urdf_string(estimate, object_name=name)
    # A robot's name that begins a part's own name, too, is no prefix.
    path.write_text(text if name != '' else text.replace('"drawer_', '"'))
    got = load_object(folder)
    assert got.parts == ('base', 'drawer_0', 'drawer_1')
    np.testing.assert_allclose(got.origin[:, 2], [-0.1, 0.1])


def test_offsets_rotations_and_fixed_links_change_nothing(folder):
    """Offsets in visuals, rotated joints, fixed links and an off-centre root change nothing."""
    want = load_object(folder)
    turn = trimesh.transformations.euler_matrix(0.3, -0.2, 0.5, 'sxyz')[:3, :3]
    for name, rotation, shift in (('base', np.eye(3), (0.5, 0, 0)), ('lid', turn.T, (0, 0, 0))):
        path = folder / 'meshes' / f'{name}.obj'
        mesh = trimesh.load(path)
        mesh.vertices = mesh.vertices @ rotation.T + shift
        mesh.export(path)
    edit_urdf(folder, '<origin xyz="-0.11 0 0.01" rpy="0 0 0" />',
         '<origin xyz="0.39 0 0.01" rpy="0.3 -0.2 0.5" />')
    axis = ' '.join(f'{x:.9f}' for x in turn.T @ (0, -1, 0))
    edit_urdf(folder, '<axis xyz="0 -1 0" />', f'<axis xyz="{axis}" />')
    edit_urdf(folder, '</robot>', '<link name="foot"><visual><geometry><box size=".01 .01 .01"/>'
         '</geometry></visual></link><joint name="f" type="fixed"><parent link="laptop_base"/>'
         '<child link="foot"/><origin xyz=".5 0 0"/></joint></robot>')
    got = load_object(folder)
    np.testing.assert_allclose(got.origin, want.origin, atol=1e-5)
    np.testing.assert_allclose(got.axis, want.axis, atol=1e-5)
    np.testing.assert_allclose(got.bounds, want.bounds, atol=1e-5)
    assert len(got.meshes[0].faces) == 24


@pytest.mark.parametrize(('old', 'new', 'match'), [
    ('meshes/lid.obj', 'meshes/none.obj', 'does not exist'),
    ('meshes/lid.obj', '../../../../etc/passwd', 'outside'),
    ('type="revolute"', 'type="fixed"', 'no revolute or prismatic'),
    ('type="revolute"', 'type="prismatic"', 'is prismatic'),
    ('xyz="0 -1 0"', 'xyz="0 0 1"', 'canonical frame'),
    ('xyz="0 -1 0"', 'xyz="0 0 0"', 'axis'),
    ('upper="3.141593"', 'upper="-1"', 'limits'),
    ('<robot', '<!DOCTYPE x [<!ENTITY a "b">]><robot', 'entities'),
    ('</robot>', '', 'not a readable URDF'),
    ('upper="3.141593"', 'upper="150"', 'lid_joint.* goes from 0 to 150.*radians'),
    ('</robot>', '<link name="other"/></robot>', "no joint connects '.*' with 'other'"),
    ('</robot>', '<link name="other"/><link name="other"/></robot>', "two links.*'other'"),
    ('<parent link="', '<parent link="x', 'object.urdf: .*not there'),
    ('</robot>', '<link name="a"/><link name="b"/>' + ''.join(
        f'<joint name="{p}{c}" type="fixed"><parent link="{p}"/><child link="{c}"/></joint>'
        for p, c in ('ab', 'ba')) + '</robot>', "with 'a', 'b'"),
])
def test_what_is_no_laptop_is_refused_with_a_reason(folder, old, new, match):
    edit_urdf(folder, old, new)
    with pytest.raises(ValueError, match=match):
        load_object(folder)


def test_where_the_urdf_is_is_said(folder, tmp_path):
    """The hints also name xacro files and URDFs in other places."""
    deep = folder / 'src' / 'description'
    deep.mkdir(parents=True)
    urdf = (folder / 'object.urdf').rename(deep / 'laptop.urdf.xacro')
    for find in (load_object, list_objects):
        for place in (tmp_path, folder):
            with pytest.raises(ValueError, match='laptop.urdf.xacro is xacro.*> laptop.urdf"'):
                find(place)
    urdf.rename(deep / 'laptop.urdf')
    with pytest.raises(ValueError, match=f'name the file itself: {deep / "laptop.urdf"}'):
        list_objects(tmp_path)


def test_names_of_files_may_be_encoded_or_in_capitals(folder):
    (folder / 'object.urdf').rename(folder / 'Laptop.URDF')
    (folder / 'meshes' / 'lid.obj').rename(folder / 'meshes' / 'the lid.obj')
    text = (folder / 'Laptop.URDF').read_text().replace('meshes/lid.obj', 'meshes/the%20lid.obj')
    (folder / 'Laptop.URDF').write_text(text)
    assert load_object(folder).joints[0].name == 'lid_joint'


def test_damaged_meshes_and_folders_are_refused(folder, tmp_path):
    (folder / 'meshes' / 'lid.obj').write_bytes(b'v nonsense\nf 1 2\n')
    with pytest.raises(ValueError, match='lid'):
        load_object(folder)
    with pytest.raises(ValueError, match='exactly one'):
        load_object(tmp_path)
    with pytest.raises(ValueError, match='does not exist'):
        list_objects(tmp_path / 'none')
    with pytest.raises(ValueError, match='categories there: laptop'):
        list_objects(tmp_path, 'drawer')
    assert list_objects(tmp_path, 'laptop') == [folder] == list_objects(folder)


def test_a_turned_scaled_and_reversed_object_becomes_canonical(folder):
    """One object as others may write it: inches, seen from behind, joint reversed and open."""
    import_open3d()
    want = load_object(folder)
    turn = np.diag([-1.0, -1.0, 1.0]) / 0.0254
    opened = 0.4
    lid = np.array([[math.cos(opened), 0, -math.sin(opened)], [0, 1, 0],
                    [math.sin(opened), 0, math.cos(opened)]])  # about (0, -1, 0)
    for name, motion in (('base', np.eye(3)), ('lid', lid)):
        path = folder / 'meshes' / f'{name}.obj'
        lines = []
        for line in path.read_text().splitlines():
            if line.startswith('v '):
                x = turn @ motion @ np.array([float(n) for n in line.split()[1:4]])
                line = f'v {x[0]:.9f} {x[1]:.9f} {x[2]:.9f}'
            lines.append(line)
        path.write_text('\n'.join(lines))
    path = folder / 'object.urdf'
    text = path.read_text()
    origin = turn @ want.origin[0]
    for old, new in (('<origin xyz="-0.11 0 0.01"', '<origin xyz="{} {} {}"'.format(*origin)),
                     ('<axis xyz="0 -1 0" />', '<axis xyz="0 -1 0" />'),
                     ('lower="0"', f'lower="{opened - math.pi}"'),
                     ('upper="3.141593"', f'upper="{opened}"')):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    got = load_object(folder, LAPTOP, Placement((0, 0, math.pi), 0.0254, zero_at_lower=True))
    np.testing.assert_allclose(got.origin, want.origin, atol=1e-6)
    np.testing.assert_allclose(got.axis, want.axis, atol=1e-6)
    np.testing.assert_allclose(got.bounds, want.bounds, atol=1e-6)
    assert (got.lower[0], got.upper[0]) == pytest.approx((0, math.pi), abs=1e-6)
