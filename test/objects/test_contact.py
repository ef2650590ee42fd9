"""Contact frames: laws that they keep, on boxes with and without handles and on the families."""

import math
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from estimates import box_mesh, laptop_estimate, random_pose

from kinediff3d_core.objects.contact import contact_candidates, contacts
from kinediff3d_core.objects.contact_choice import ContactConfig
from kinediff3d_core.objects.estimate import (
    ArticulatedEstimate,
    JointEstimate,
    Mesh,
    PartEstimate,
)
from kinediff3d_core.objects.gripper import GRIPPER, GripperConfig
from kinediff3d_core.objects.part_surface import SPACING, across


def joined(*meshes):
    start = np.cumsum([0] + [len(m.vertices) for m in meshes])
    return Mesh(np.concatenate([m.vertices for m in meshes]),
                np.concatenate([m.faces + s for m, s in zip(meshes, start[:-1], strict=True)]))


def estimate_of(part, kind, axis, category='dishwasher', base=None, position=0.0, upper=1.5,
                T=None):
    """A part that moves about or along an axis through its origin, in front of a base."""
    T = np.eye(4) if T is None else T
    axis = np.asarray(axis, float)
    child = np.eye(4)
    if kind == 'prismatic':
        child[:3, 3] = position * axis
    else:
        child = trimesh.transformations.rotation_matrix(position, axis)
    base = base or box_mesh((0.05, 0.05, 0.05), (-3.0, 0.0, 0.0))
    joint = JointEstimate('j', kind, 'base', 'part', np.zeros(3), axis, position, 0.0, upper, 0.0)
    return ArticulatedEstimate(
        category, (PartEstimate('base', T, base), PartEstimate('part', T @ child, part)), (joint,),
        np.zeros((6, 6)), 0.0, 1.0, (), np.zeros(0), np.zeros((0, 3)))


def keeps_the_laws(estimate, found):
    """Of every contact of the part: on the surface, right-handed, x along the motion."""
    joint = estimate.joints[0]
    part = next(p for p in estimate.parts if p.name == joint.child)
    mesh = trimesh.Trimesh(part.mesh.vertices, part.mesh.faces, process=False)
    for c in found:
        T = c.T_part_contact
        x, p = T[:3, 0], T[:3, 3]
        np.testing.assert_allclose(T[:3, :3].T @ T[:3, :3], np.eye(3), atol=1e-9)
        assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
        assert trimesh.proximity.closest_point_naive(mesh, p[None])[1][0] < 1e-6
        step = (joint.axis if joint.joint_type == 'prismatic' else
                trimesh.transformations.rotation_matrix(1e-6, joint.axis)[:3, :3] @ p - p)
        assert step @ x == pytest.approx(np.linalg.norm(step), rel=1e-4)
        np.testing.assert_allclose(c.T_camera_contact, part.T_camera_part @ T, atol=1e-12)
        assert (c.extents > 0).all() and 0 <= c.score <= 1
        assert not c.reachable or c.extents[0] <= GRIPPER.thickest


def test_far_edge_of_a_lid():
    """Held at the middle of the far edge, from outside, with a finger on each of its sides."""
    lid = box_mesh((0.22, 0.33, 0.006), (0.11, 0.0, 0.003))
    estimate = estimate_of(lid, 'revolute', (0, -1, 0), 'laptop', position=0.5)
    found = contact_candidates(estimate)['part']
    keeps_the_laws(estimate, found)
    best = found[0]
    assert (best.kind, best.reachable, best.joint, best.part) == ('edge', True, 'j', 'part')
    T = best.T_part_contact
    assert T[0, 3] == pytest.approx(0.22, abs=1e-3) and abs(T[1, 3]) < 0.03
    assert T[2, 0] > 0.99, 'the lid opens upward'
    assert T[0, 2] < -0.99, 'the gripper comes towards the hinge'
    assert best.extents[0] == pytest.approx(0.006, abs=1e-3)
    assert len(found) <= ContactConfig().candidates


def bar_on(panel, gap):
    """A door (about its lower edge) or front, with a horizontal bar before it on two posts."""
    x = 0.03 + gap
    return joined(panel, box_mesh((0.012, 0.3, 0.012), (x + 0.006, 0.0, 0.6)),
                  *(box_mesh((gap + 0.01, 0.01, 0.012), (0.03 + gap / 2, y, 0.6))
                    for y in (-0.14, 0.14)))


def test_handle_of_a_door():
    """Falling open about its lower edge; the bar stands 3 cm out of its face."""
    panel = box_mesh((0.03, 0.6, 0.7), (0.015, 0.0, 0.35))
    estimate = estimate_of(bar_on(panel, 0.03), 'revolute', (0, 1, 0))
    found = contact_candidates(estimate)['part']
    keeps_the_laws(estimate, found)
    best = found[0]
    T = best.T_part_contact
    assert (best.kind, best.reachable) == ('bar', True)
    assert 0.055 < T[0, 3] < 0.08 and abs(T[2, 3] - 0.606) < 0.003 and abs(T[1, 3]) < 0.06
    assert T[0, 0] > 0.95, 'it opens forward'
    assert T[2, 2] < -0.95, 'the gripper comes from above'
    np.testing.assert_allclose(best.extents, (0.013, 0.24, 0.012), atol=0.04)
    plain = contacts(estimate_of(panel, 'revolute', (0, 1, 0)))[0]
    assert plain.kind == 'edge' and plain.T_part_contact[2, 3] > 0.69


@pytest.mark.parametrize(('gap', 'reachable'), [(0.025, True), (0.008, False)])
def test_a_bar_is_reachable_if_a_finger_goes_behind_it(gap, reachable):
    """The front fills the case, so that its rim is not free; a finger needs 16 mm."""
    front = bar_on(box_mesh((0.03, 0.6, 0.7), (0.015, 0.0, 0.35)), gap)
    case = joined(box_mesh((0.5, 0.8, 0.05), (-0.22, 0.0, 0.73)),
                  box_mesh((0.5, 0.8, 0.05), (-0.22, 0.0, -0.03)),
                  *(box_mesh((0.5, 0.05, 0.8), (-0.22, y, 0.35)) for y in (-0.33, 0.33)))
    estimate = estimate_of(front, 'prismatic', (1, 0, 0), 'drawer', case, upper=0.3)
    found = contact_candidates(estimate)['part']
    keeps_the_laws(estimate, found)
    assert found[0].reachable == reachable
    assert any(c.kind == 'bar' for c in found) == reachable
    assert not reachable or found[0].kind == 'bar'


def test_the_rim_of_a_drawer_is_reachable_once_it_is_open():
    """An open box in a case whose top covers it; held at the front's rim, from above."""
    walls = joined(box_mesh((0.02, 0.5, 0.2), (0.2, 0.0, 0.0)),
                   box_mesh((0.02, 0.5, 0.2), (-0.2, 0.0, 0.0)),
                   *(box_mesh((0.4, 0.02, 0.2), (0.0, y, 0.0)) for y in (-0.24, 0.24)),
                   box_mesh((0.4, 0.5, 0.02), (0.0, 0.0, -0.1)))
    top = box_mesh((0.5, 0.6, 0.02), (0.0, 0.0, 0.12))
    for position, reachable in ((0.0, False), (0.3, True)):
        estimate = estimate_of(walls, 'prismatic', (1, 0, 0), 'drawer', top, position, 0.35)
        found = contact_candidates(estimate)['part']
        keeps_the_laws(estimate, found)
        rim = next(c for c in found if c.kind == 'rim' and c.T_part_contact[2, 2] < -0.9)
        assert rim.reachable == reachable
        np.testing.assert_allclose(rim.T_part_contact[:3, 3], (0.2, 0.0, 0.1), atol=0.06)
    assert found[0].reachable


def test_what_is_too_thick_is_pushed_at_the_middle_of_its_front():
    """A solid block: nothing of it goes between the fingers."""
    block = box_mesh((0.4, 0.5, 0.15), (0.0, 0.8, -0.3))
    estimate = estimate_of(block, 'prismatic', (1, 0, 0), 'drawer')
    found = contact_candidates(estimate)['part']
    keeps_the_laws(estimate, found)
    assert [(c.kind, c.reachable) for c in found] == [('face', False)]
    np.testing.assert_allclose(found[0].T_part_contact[:3, 3], (0.2, 0.8, -0.3), atol=0.02)
    assert found[0].T_part_contact[2, 2] < -0.9


def test_a_step_behind_an_edge_does_not_take_its_place():
    """The thin step is better to hold, but the edge before it is on the gripper's way."""
    door = joined(box_mesh((0.035, 0.46, 0.6), (0.0, 0.0, 0.3)),
                  box_mesh((0.014, 0.46, 0.57), (-0.025, 0.0, 0.285)))
    estimate = estimate_of(door, 'revolute', (0, 1, 0))
    best = contacts(estimate)[0]
    assert best.reachable and best.T_part_contact[2, 2] < -0.9
    assert best.T_part_contact[2, 3] == pytest.approx(0.6, abs=1e-3)


def test_a_closed_lid_is_not_reachable():
    """There is no room for the lower finger between lid and base."""
    base = box_mesh((0.22, 0.33, 0.02), (0.11, 0.0, -0.011))
    lid = box_mesh((0.22, 0.33, 0.006), (0.11, 0.0, 0.003))
    for position, reachable in ((0.0, False), (0.4, True)):
        estimate = estimate_of(lid, 'revolute', (0, -1, 0), 'laptop', base, position)
        assert contacts(estimate)[0].reachable == reachable


def test_frames_do_not_depend_on_the_joint_position_or_the_camera():
    lid, base = (box_mesh((0.22, 0.33, d), (0.11, 0.0, z)) for d, z in ((0.006, 0.003),
                                                                        (0.02, -0.02)))
    here, there = (contact_candidates(estimate_of(
        lid, 'revolute', (0, -1, 0), 'laptop', base, q, T=T))['part']
        for q, T in ((0.6, np.eye(4)), (1.1, random_pose(5))))
    for a, b in zip(here, there, strict=True):
        assert (a.kind, a.score) == (b.kind, pytest.approx(b.score))
        np.testing.assert_allclose(a.T_part_contact, b.T_part_contact, atol=1e-9)


def test_a_smaller_gripper_needs_less_room():
    front = bar_on(box_mesh((0.03, 0.6, 0.7), (0.015, 0.0, 0.35)), 0.012)
    estimate = estimate_of(front, 'prismatic', (1, 0, 0), 'drawer', upper=0.3)
    slim = ContactConfig(gripper=GripperConfig(finger_thickness=0.005, clearance=0.001))
    kinds = [{c.kind for c in contact_candidates(estimate, config)['part'] if c.reachable}
             for config in (ContactConfig(), slim)]
    assert 'bar' not in kinds[0] and 'bar' in kinds[1]


def test_scissors_are_held_at_the_end_for_the_fingers():
    half = joined(box_mesh((0.12, 0.01, 0.003), (0.06, 0.0, 0.0)),
                  box_mesh((0.06, 0.012, 0.004), (-0.03, 0.0, 0.0)))
    best = contacts(estimate_of(half, 'revolute', (0, 0, 1), 'scissors'))[0]
    assert best.T_part_contact[0, 3] < -0.04
    tip = box_mesh((0.08, 0.01, 0.003), (0.04, 0.0, 0.0))
    assert contacts(estimate_of(tip, 'revolute', (0, 0, 1), 'scissors'))[0].T_part_contact[
        0, 3] > 0.06, 'without an end for fingers, at the tip'


def test_the_blade_of_a_cutter_is_held_at_its_slider():
    blade = joined(box_mesh((0.1, 0.018, 0.0006)),
                   box_mesh((0.008, 0.004, 0.01), (-0.03, 0.0, 0.005)),
                   box_mesh((0.02, 0.012, 0.004), (-0.03, 0.0, 0.012)))
    estimate = estimate_of(blade, 'prismatic', (1, 0, 0), 'cutter', upper=0.05)
    found = contact_candidates(estimate)['part']
    keeps_the_laws(estimate, found)
    assert found[0].reachable
    np.testing.assert_allclose(found[0].T_part_contact[:3, 3], (-0.03, 0.0, 0.012), atol=0.01)


def test_parts_without_meshes_have_no_contact_and_empty_ones_are_refused():
    e = laptop_estimate()
    assert not contacts(replace(e, parts=(e.parts[0], replace(e.parts[1], mesh=None))))
    flat = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    with pytest.raises(ValueError, match='no area'):
        contacts(estimate_of(flat, 'revolute', (0, 1, 0)))
    with pytest.raises(ValueError, match='axis'):
        contacts(replace(e, joints=(replace(e.joints[0], axis=np.zeros(3)),)))


@pytest.mark.parametrize('name', ['laptop', 'cutter'])
def test_on_a_held_out_object(name):
    pytest.importorskip('torch')
    from kinediff3d_core.evaluation.contact_sheet import true_estimate
    from kinediff3d_core.simulation.families import held_out_generator, sample_instances

    estimate = true_estimate(sample_instances(name, 1, held_out_generator(4)), 0, 0.5)
    found = contacts(estimate)
    assert [c.joint for c in found] == [j.name for j in estimate.joints]
    for contact, j in zip(found, estimate.joints, strict=True):
        assert contact.reachable and contact.kind != 'face'
        if j.joint_type == 'revolute':
            mesh = next(p.mesh for p in estimate.parts if p.name == contact.part)
            reach = np.linalg.norm(across(mesh.vertices, j.axis), axis=-1)
            own = np.linalg.norm(across(contact.T_part_contact[:3, 3], j.axis))
            assert own > 0.6 * reach.max()
    assert SPACING < GRIPPER.finger_thickness / 2 and math.isfinite(found[0].score)
