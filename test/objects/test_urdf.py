"""What is written is what yourdfpy reads."""

import math
from dataclasses import replace

import numpy as np
import pytest
import yourdfpy
from estimates import box_mesh, laptop_estimate

from kinediff3d_core.io.urdf_folder import write_urdf
from kinediff3d_core.objects.urdf import default_object_name, urdf_string


def test_round_trip(tmp_path):
    e = laptop_estimate()
    path = write_urdf(e, tmp_path / 'out')
    robot = yourdfpy.URDF.load(str(path), build_collision_scene_graph=True, load_meshes=True,
                               load_collision_meshes=True)
    assert robot.validate()
    assert robot.base_link == 'laptop_base'
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
        for scene in (robot.scene, robot.collision_scene):
            mesh = scene.geometry[f'{part.name}.obj']
            np.testing.assert_allclose(mesh.bounds, [part.mesh.vertices.min(0),
                                                     part.mesh.vertices.max(0)], atol=1e-6)
            assert mesh.is_watertight
    link = robot.link_map['laptop_base']
    assert link.inertial.mass > 0 and np.linalg.eigvalsh(link.inertial.inertia).min() > 0
    assert sorted(p.name for p in path.parent.rglob('*') if p.is_file()) == [
        'base.obj', 'lid.obj', 'object.urdf']


def test_mesh_uri_and_parts_without_mesh():
    e = laptop_estimate()
    assert 'package://demo/lid.obj' in urdf_string(e, 'package://demo/{part}.obj')
    assert 'file:///x/base.dae' in urdf_string(e, lambda part: f'file:///x/{part}.dae')
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


@pytest.mark.parametrize(('extents', 'mass', 'inertia'), [
    # m = 700 * 0.2 * 0.3 * 0.04; ixx = m / 12 * (0.3^2 + 0.04^2), and so on.
    ((0.2, 0.3, 0.04), 1.68, (0.012824, 0.005824, 0.0182)),
    # A flat part is taken as a tenth of a millimetre thick.
    ((0.2, 0.3, 0.0), 0.0042, (3.15e-5, 1.4e-5, 4.55e-5)),
    # 0.7 g are raised to a gram.
    ((0.01, 0.01, 0.01), 0.001, (1e-3 / 6 * 1e-4,) * 3)])
def test_mass_and_inertia_are_those_of_the_bounding_box(tmp_path, extents, mass, inertia):
    e, centre = laptop_estimate(), (0.1, -0.02, 0.05)
    lid = replace(e.parts[1], mesh=box_mesh(extents, centre))
    path = tmp_path / 'object.urdf'
    path.write_text(urdf_string(replace(e, parts=(e.parts[0], lid))))
    found = yourdfpy.URDF.load(str(path), load_meshes=False).link_map['laptop_lid'].inertial
    assert found.mass == pytest.approx(mass)
    np.testing.assert_allclose(found.inertia, np.diag(inertia), rtol=1e-5)
    np.testing.assert_allclose(found.origin[:3, 3], centre, atol=1e-9)
    np.testing.assert_array_equal(found.origin[:3, :3], np.eye(3))


def test_axes_are_written_with_unit_length_and_joints_with_limits():
    e = laptop_estimate()
    joint = replace(e.joints[0], axis=np.array([0.0, 3.0, 4.0]), lower=-0.25, upper=1.5)
    text = urdf_string(replace(e, joints=(joint,)), object_name='another')
    assert '<axis xyz="0 0.6 0.8" />' in text and '<robot name="another">' in text
    assert '<link name="another_lid">' in text and '<joint name="another_lid_joint"' in text
    assert '<parent link="another_base" />' in text and '<child link="another_lid" />' in text
    assert '<limit lower="-0.25" upper="1.5" effort="10" velocity="3" />' in text
    slide = urdf_string(replace(e, joints=(replace(joint, joint_type='prismatic'),)))
    assert 'effort="50" velocity="1"' in slide and '<robot name="laptop">' in slide


def test_the_object_is_named_after_its_category():
    """A user's own category may have a hyphen, which topics may not."""
    e = replace(laptop_estimate(), category='tool-box')
    assert default_object_name('tool-box') == 'tool_box'
    assert '<link name="tool_box_lid">' in urdf_string(e)
