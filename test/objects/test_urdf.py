"""What is written is what yourdfpy reads."""

import math
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import trimesh
import yourdfpy
from estimates import box_mesh, laptop_estimate

from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.joint_dynamics import joint_dynamics
from kinediff3d_core.objects.mass import mass_properties, material_of
from kinediff3d_core.objects.urdf import default_object_name, urdf_string


def test_round_trip(tmp_path):
    e = laptop_estimate()
    path = write_urdf(e, tmp_path / 'out')
    robot = yourdfpy.URDF.load(str(path), build_collision_scene_graph=True, load_meshes=True,
                               load_collision_meshes=True)
    assert robot.validate()
    assert robot.base_link == 'laptop'
    assert robot.actuated_joint_names == ['laptop_lid_joint']
    joint, truth = robot.joint_map['laptop_lid_joint'], e.joints[0]
    assert joint.type == 'revolute' and (joint.parent, joint.child) == (
        'laptop_base', 'laptop_lid')
    np.testing.assert_allclose(joint.axis, truth.axis, atol=1e-6)
    np.testing.assert_allclose(joint.origin[:3, 3], truth.origin, atol=1e-6)
    assert (joint.limit.lower, joint.limit.upper) == pytest.approx((0.0, math.pi))
    robot.update_cfg({'laptop_lid_joint': 0.7})
    want = e.part_poses_at(np.array([0.7]))['lid']
    got = robot.get_transform('laptop_lid', 'laptop_base')
    np.testing.assert_allclose(got, want, atol=1e-6)
    for part in e.parts:
        low, high = part.mesh.vertices.min(0), part.mesh.vertices.max(0)
        mesh = robot.scene.geometry[f'{part.name}.obj']
        np.testing.assert_allclose(mesh.bounds, [low, high], atol=1e-6)
        assert mesh.is_watertight
        pieces = [trimesh.load(path.parent / c.geometry.mesh.filename)
                  for c in robot.link_map[f'laptop_{part.name}'].collisions]
        assert pieces and all(p.is_watertight and p.is_convex for p in pieces)
        assert all((p.bounds[0] > low - 1e-6).all() and (p.bounds[1] < high + 1e-6).all()
                   for p in pieces)
    link = robot.link_map['laptop_base']
    assert link.inertial.mass > 0 and np.linalg.eigvalsh(link.inertial.inertia).min() > 0
    files = {p.name for p in path.parent.rglob('*') if '_collision_' not in p.name}
    assert files == {'meshes', 'base.obj', 'lid.obj', 'object.urdf'}


def test_mesh_uri_and_parts_without_mesh():
    e = laptop_estimate()
    assert 'package://demo/lid.obj' in urdf_string(e, 'package://demo/{mesh}.obj')
    assert 'file:///x/base.dae' in urdf_string(e, lambda mesh: f'file:///x/{mesh}.dae')
    bare = replace(e, parts=tuple(replace(p, mesh=None) for p in e.parts))
    text = urdf_string(bare)
    assert '<mesh' not in text and '<link name="laptop_lid"' in text


def test_prismatic_and_hostile_names(tmp_path):
    e = laptop_estimate()
    joint = replace(e.joints[0], joint_type='prismatic', name='a<b&"c"', upper=0.4)
    text = urdf_string(replace(e, joints=(joint,)))
    assert 'a&lt;b&amp;' in text and 'type="prismatic"' in text


def test_numbers_that_are_not_finite_are_refused():
    e = laptop_estimate()
    with pytest.raises(ValueError, match='nan'):
        urdf_string(replace(e, joints=(replace(e.joints[0], lower=math.nan),)))


def test_links_have_the_mass_of_their_meshes_and_the_root_has_none(tmp_path):
    e, centre = laptop_estimate(), (0.1, -0.02, 0.05)
    lid = replace(e.parts[1], mesh=box_mesh((0.2, 0.3, 0.04), centre))
    path = tmp_path / 'object.urdf'
    path.write_text(urdf_string(replace(e, parts=(e.parts[0], lid))))
    links = yourdfpy.URDF.load(str(path), load_meshes=False).link_map
    found, wanted = links['laptop_lid'].inertial, mass_properties(lid.mesh, material_of('laptop'))
    assert found.mass == pytest.approx(wanted.mass) and found.mass > 1.0
    np.testing.assert_allclose(found.inertia, wanted.inertia, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(found.origin[:3, 3], centre, atol=1e-9)
    np.testing.assert_array_equal(found.origin[:3, :3], np.eye(3))
    assert links['laptop'].inertial is None and not links['laptop'].visuals


def test_collision_pieces_take_the_place_of_a_mesh():
    text = urdf_string(laptop_estimate(), collision={'lid': 2})
    robot = ElementTree.fromstring(text)
    files = {link.get('name'): [m.get('filename') for m in link.findall('collision//mesh')]
             for link in robot.findall('link')}
    assert files == {'laptop': [], 'laptop_base': ['meshes/base.obj'], 'laptop_lid': [
        'meshes/lid_collision_0.obj', 'meshes/lid_collision_1.obj']}


def test_axes_are_written_with_unit_length_and_joints_with_limits():
    e = laptop_estimate()
    joint = replace(e.joints[0], axis=np.array([0.0, 3.0, 4.0]), lower=-0.25, upper=1.5)
    text = urdf_string(replace(e, joints=(joint,)), object_name='another')
    assert '<axis xyz="0 0.6 0.8" />' in text and '<robot name="another">' in text
    assert '<link name="another_lid">' in text and '<joint name="another_lid_joint"' in text
    assert '<parent link="another_base" />' in text and '<child link="another_lid" />' in text
    wanted = joint_dynamics(joint, mass_properties(e.parts[1].mesh, material_of('laptop')))
    assert f'<limit lower="-0.25" upper="1.5" effort="{wanted.effort:.7g}" velocity="3" />' in text
    assert (f'<dynamics damping="{wanted.damping:.7g}" friction="{wanted.friction:.7g}" />'
            in text)
    slide = urdf_string(replace(e, joints=(replace(joint, joint_type='prismatic'),)))
    assert 'velocity="1"' in slide and '<robot name="laptop">' in slide


def test_the_object_is_named_after_its_category():
    """A user's own category may have a hyphen, which topics may not."""
    e = replace(laptop_estimate(), category='tool-box')
    assert default_object_name('tool-box') == 'tool_box'
    assert '<link name="tool_box_lid">' in urdf_string(e)
