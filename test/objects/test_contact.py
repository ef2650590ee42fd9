"""Contact frames: laws that they keep, on boxes with and without handles and on the families."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from estimates import box_mesh, laptop_estimate

from kinediff3d_core.objects.contact import ContactConfig, contact_on, contacts
from kinediff3d_core.objects.estimate import JointEstimate, Mesh

UP = np.array([0.0, 0.0, 1.0])


def joined(*meshes):
    start = np.cumsum([0] + [len(m.vertices) for m in meshes])
    return Mesh(np.concatenate([m.vertices for m in meshes]),
                np.concatenate([m.faces + s for m, s in zip(meshes, start[:-1], strict=True)]))


def joint(kind, axis):
    return JointEstimate('j', kind, 'base', 'part', np.zeros(3), np.array(axis, float), 0.1, 0.0,
                         1.5, 0.0)


def off_the_mesh(mesh, point):
    tm = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    return float(tm.nearest.on_surface(point[None])[1][0]) if trimesh.util.has_module('rtree') \
        else float(trimesh.proximity.closest_point_naive(tm, point[None])[1][0])


def keeps_the_laws(mesh, kind, axis, T, normal):
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    x, y, z, p = (T[:3, i] for i in range(4))
    np.testing.assert_allclose(T[:3, :3].T @ T[:3, :3], np.eye(3), atol=1e-9)
    assert np.linalg.det(T[:3, :3]) == pytest.approx(1.0)
    assert np.linalg.norm(normal) == pytest.approx(1.0)
    assert off_the_mesh(mesh, p) < 1e-6
    if kind == 'prismatic':
        np.testing.assert_allclose(x, axis, atol=1e-9)
        return
    lever = p - (p @ axis) * axis
    assert abs(x @ axis) < 1e-9 and abs(x @ lever) < 1e-9
    # A small turn moves the point along x.
    turned = trimesh.transformations.rotation_matrix(1e-5, axis)[:3, :3] @ p - p
    assert turned @ x == pytest.approx(np.linalg.norm(turned))
    np.testing.assert_allclose(y, axis, atol=1e-9)
    assert z @ lever == pytest.approx(np.linalg.norm(lever))


def test_far_edge_of_a_lid():
    mesh = box_mesh((0.22, 0.33, 0.006), (0.11, 0.0, 0.003))
    T, normal = contact_on(mesh, joint('revolute', (0, -1, 0)), 'laptop', UP)
    keeps_the_laws(mesh, 'revolute', (0, -1, 0), T, normal)
    assert T[0, 3] > 0.215 and abs(T[1, 3]) < 0.02
    assert T[2, 0] > 0.99, 'the closed lid opens upward'


def test_handle_of_a_door():
    """Falling open about its lower edge; the bar stands 4 cm out of its face."""
    panel = box_mesh((0.03, 0.6, 0.7), (0.015, 0.0, 0.35))
    bar = box_mesh((0.02, 0.4, 0.02), (0.06, 0.0, 0.6))
    mesh = joined(panel, bar)
    T, normal = contact_on(mesh, joint('revolute', (0, 1, 0)), 'dishwasher', UP)
    keeps_the_laws(mesh, 'revolute', (0, 1, 0), T, normal)
    assert T[0, 3] > 0.068 and abs(T[2, 3] - 0.6) < 0.011 and abs(T[1, 3]) < 0.05
    assert T[0, 0] > 0.95, 'it opens forward'
    plain, _ = contact_on(panel, joint('revolute', (0, 1, 0)), 'dishwasher', UP)
    assert plain[2, 3] > 0.69


@pytest.mark.parametrize('tall', (False, True))
def test_handle_of_a_drawer(tall):
    size = (0.01, 0.012, 0.15) if tall else (0.01, 0.15, 0.012)
    mesh = joined(box_mesh((0.4, 0.5, 0.15)), box_mesh(size, (0.23, 0.0, 0.0)))
    T, normal = contact_on(mesh, joint('prismatic', (1, 0, 0)), 'drawer', UP)
    keeps_the_laws(mesh, 'prismatic', (1, 0, 0), T, normal)
    np.testing.assert_allclose(T[:3, 3], (0.235, 0.0, 0.0), atol=0.01)
    assert normal[0] > 0.95
    assert abs(T[1 if tall else 2, 2]) > 0.99, 'a gripper closes across the bar'


def test_a_drawer_beside_its_axis_is_held_at_the_middle_of_its_front():
    mesh = box_mesh((0.4, 0.5, 0.15), (0.0, 0.8, -0.3))
    T, normal = contact_on(mesh, joint('prismatic', (1, 0, 0)), 'drawer', UP)
    np.testing.assert_allclose(T[:3, 3], (0.2, 0.8, -0.3), atol=0.01)
    np.testing.assert_allclose(normal, (1, 0, 0), atol=1e-9)


@pytest.mark.parametrize('x', [0.0, 5.0, -5.0])
def test_a_sheet_without_a_front_is_held_at_its_foremost_edge(x):
    """The front is 6 mm deep, 3 % of the foremost half, wherever the sheet is."""
    corners = np.array([[x - 0.2, -0.1, 0], [x + 0.2, -0.1, 0], [x + 0.2, 0.1, 0],
                        [x - 0.2, 0.1, 0]])
    T, normal = contact_on(Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]])),
                           joint('prismatic', (1, 0, 0)), 'drawer', UP)
    assert 0.194 <= T[0, 3] - x <= 0.2 and abs(T[1, 3]) < 0.01
    np.testing.assert_allclose([normal, T[:3, 2]], [UP, UP], atol=1e-9)


@pytest.mark.parametrize(('kind', 'axis'), [('revolute', (0, -1, 0)), ('prismatic', (1, 0, 0))])
def test_the_contact_on_a_larger_part_is_the_scaled_one(kind, axis):
    ball = trimesh.creation.icosphere(3, 0.2)
    vertices = np.asarray(ball.vertices) * (1.0, 0.6, 0.3) + (0.2, 0.0, 0.0)
    T, normal = contact_on(Mesh(vertices, ball.faces), joint(kind, axis), 'drawer', UP)
    keeps_the_laws(Mesh(vertices, ball.faces), kind, axis, T, normal)
    larger, same = contact_on(Mesh(10 * vertices, ball.faces), joint(kind, axis), 'drawer', UP)
    np.testing.assert_allclose(same, normal, atol=1e-9)
    np.testing.assert_allclose(larger[:3, :3], T[:3, :3], atol=1e-9)
    np.testing.assert_allclose(larger[:3, 3], 10 * T[:3, 3], atol=1e-9)


@pytest.mark.parametrize(('broad', 'sideways'), [(0.04, True), (0.05, False)])
def test_a_gripper_closes_sideways_only_where_the_handle_is_clearly_thinner(broad, sideways):
    """A handle 60 mm tall: 0.7 of that is 42 mm."""
    mesh = joined(box_mesh((0.4, 0.5, 0.15)), box_mesh((0.01, broad, 0.06), (0.235, 0.0, 0.0)))
    T, _ = contact_on(mesh, joint('prismatic', (1, 0, 0)), 'drawer', UP)
    np.testing.assert_allclose(T[:3, 3], (0.24, 0.0, 0.0), atol=0.01)
    np.testing.assert_allclose(np.abs(T[:3, 2]), (0, 1, 0) if sideways else (0, 0, 1), atol=1e-9)
    assert sideways or T[2, 2] == pytest.approx(1.0), 'upward, not downward'


@pytest.mark.parametrize('scale', [0.1, 1.0, 10.0])
def test_the_thin_side_is_that_of_the_handle_near_the_contact(scale):
    """A second, wide bar far away and the front behind the handle do not count."""
    front = box_mesh((0.02, 1.0, 1.0))
    handle = box_mesh((0.06, 0.03, 0.14), (0.04, 0.0, 0.0))
    rails = [box_mesh((0.06, 0.03, 0.14), (0.04, y, 0.0)) for y in (-0.45, 0.45)]
    mesh = joined(front, handle, *rails)
    T, _ = contact_on(Mesh(scale * mesh.vertices, mesh.faces), joint('prismatic', (1, 0, 0)),
                      'drawer', UP)
    assert abs(T[1, 3]) < 0.02 * scale and T[0, 3] == pytest.approx(0.07 * scale, abs=1e-6)
    np.testing.assert_allclose(np.abs(T[:3, 2]), (0, 1, 0), atol=1e-9)


@pytest.mark.parametrize('along', [0, 1])
def test_a_part_that_slides_upwards_has_a_thin_side_too(along):
    size = [0.03, 0.03, 0.02]
    size[along] = 0.2
    mesh = joined(box_mesh((0.4, 0.4, 0.3)), box_mesh(size, (0.0, 0.0, 0.16)))
    T, normal = contact_on(mesh, joint('prismatic', (0, 0, 1)), 'drawer', UP)
    keeps_the_laws(mesh, 'prismatic', (0, 0, 1), T, normal)
    assert abs(T[1 - along, 2]) == pytest.approx(1.0)
    np.testing.assert_allclose(normal, UP, atol=1e-9)


def test_normals_are_those_of_the_triangles():
    """A wedge whose front rises at 30 degrees: its normal has no part of another face."""
    tilt = trimesh.transformations.rotation_matrix(np.radians(30), (0, 1, 0))[:3, :3]
    box = box_mesh((0.4, 0.5, 0.15))
    mesh = Mesh(box.vertices @ tilt.T, box.faces)
    T, normal = contact_on(mesh, joint('prismatic', tuple(tilt[:, 0])), 'drawer', UP)
    np.testing.assert_allclose(normal, tilt[:, 0], atol=1e-9)
    np.testing.assert_allclose(T[:3, 0], tilt[:, 0], atol=1e-9)


def test_normals_are_averaged_near_the_contact_alone():
    """The bevel above the front faces forward too, at 45 degrees."""
    profile = [(-0.2, -0.1), (0.2, -0.1), (0.2, 0.0), (0.1, 0.1), (-0.2, 0.1)]
    hull = trimesh.convex.convex_hull([(x, y, z) for x, z in profile for y in (-0.25, 0.25)])
    T, normal = contact_on(Mesh(hull.vertices, hull.faces), joint('prismatic', (1, 0, 0)),
                           'drawer', UP)
    np.testing.assert_allclose(T[:3, 3], (0.2, 0.0, -0.05), atol=0.01)
    np.testing.assert_allclose(normal, (1, 0, 0), atol=1e-9)


def test_a_bump_that_covers_a_third_of_the_face_is_no_handle():
    """Handles cover less than 0.35 of the face, stand out and are far from the axis."""
    panel = box_mesh((0.03, 0.6, 0.7), (0.015, 0.0, 0.35))

    def height(bar):
        T, _ = contact_on(joined(panel, bar), joint('revolute', (0, 1, 0)), 'dishwasher', UP)
        return T[2, 3]

    assert height(box_mesh((0.05, 0.5, 0.1), (0.04, 0.0, 0.45))) == pytest.approx(0.45, abs=0.06)
    assert height(box_mesh((0.05, 0.6, 0.4), (0.04, 0.0, 0.4))) > 0.69, 'too large'
    assert height(box_mesh((0.02, 0.5, 0.1), (0.04, 0.0, 0.45))) > 0.69, 'too flat: 20 mm of 24'
    assert height(box_mesh((0.05, 0.5, 0.1), (0.04, 0.0, 0.15))) > 0.69, 'too near to the axis'


def test_a_surface_at_the_limit_faces_sideways():
    """Downwards; a front's frame would be upright."""
    corners = np.array([[-0.2, -0.1, 0], [0.2, -0.1, 0], [0.2, 0.1, 0], [-0.2, 0.1, 0]])
    mesh = Mesh(corners, np.array([[0, 2, 1], [0, 3, 2]]))
    for limit, sign in ((1.0, -1), (1.01, 1)):
        T, normal = contact_on(mesh, joint('prismatic', (1, 0, 0)), 'drawer', UP,
                               ContactConfig(sideways=limit))
        np.testing.assert_allclose([normal, T[:3, 2]], [-UP, sign * UP], atol=1e-12)


def test_the_contact_is_on_the_top_of_a_handle_not_below_it():
    """The top is 1 % of the door's 0.7 m deep: a step 10 mm lower in the middle is not on it."""
    panel = box_mesh((0.03, 0.6, 0.7), (0.015, 0.0, 0.35))
    low, high = (box_mesh((top, width, 0.05), (0.03 + top / 2, y, 0.6))
                 for top, width, y in ((0.05, 0.4, 0.0), (0.06, 0.1, 0.15)))
    T, _ = contact_on(joined(panel, low, high), joint('revolute', (0, 1, 0)), 'dishwasher', UP)
    assert 0.09 - 0.007 <= T[0, 3] <= 0.09 + 1e-6
    assert T[1, 3] == pytest.approx(0.1, abs=0.02), 'its point nearest to the door\'s middle'


def test_a_cutters_blade_without_a_slider_is_held_at_its_front():
    T, normal = contact_on(box_mesh((0.1, 0.012, 0.001)), joint('prismatic', (1, 0, 0)), 'cutter',
                           UP)
    assert T[0, 3] > 0.048 and abs(T[1, 3]) < 0.003


@pytest.mark.parametrize('middle', [(0.0, 0.0, 0.0), (0.2, 0.05, -0.03)])
def test_slider_of_a_cutter(middle):
    """Wherever the blade is: its axis need not go through its middle."""
    blade = box_mesh((0.1, 0.012, 0.001), middle)
    knob = box_mesh((0.015, 0.006, 0.008), np.add(middle, (-0.03, 0.0, 0.004)))
    T, normal = contact_on(joined(blade, knob), joint('prismatic', (1, 0, 0)), 'cutter', UP)
    np.testing.assert_allclose(T[:3, 3] - middle, (-0.03, 0.0, 0.008), atol=0.006)
    assert T[2, 2] > 0.9 and T[0, 0] == pytest.approx(1.0)


def test_slider_on_a_blade_without_thickness():
    sheet = Mesh(np.array([[-0.05, -0.006, 0], [0.05, -0.006, 0], [0.05, 0.006, 0],
                           [-0.05, 0.006, 0]]), np.array([[0, 1, 2], [0, 2, 3]]))
    knob = box_mesh((0.01, 0.004, 0.006), (-0.03, 0.0, 0.003))
    T, _ = contact_on(joined(sheet, knob), joint('prismatic', (1, 0, 0)), 'cutter', UP)
    np.testing.assert_allclose(T[:3, 3], (-0.03, 0.0, 0.006), atol=0.003)


def test_scissors_are_held_at_the_finger_end():
    half = box_mesh((0.16, 0.01, 0.003), (0.02, 0.0, 0.0))
    T, _ = contact_on(half, joint('revolute', (0, 0, 1)), 'scissors', UP)
    assert T[0, 3] < -0.055


def test_scissors_without_a_finger_end_are_held_at_the_tip():
    half = box_mesh((0.08, 0.01, 0.003), (0.04, 0.0, 0.0))
    T, _ = contact_on(half, joint('revolute', (0, 0, 1)), 'scissors', UP)
    assert T[0, 3] > 0.075


def test_contacts_move_with_the_part():
    closed, half_open = (contacts(laptop_estimate(q))[0] for q in (0.0, 1.0))
    np.testing.assert_allclose(closed.T_part_contact, half_open.T_part_contact)
    estimate = laptop_estimate(1.0)
    np.testing.assert_allclose(half_open.T_camera_contact,
                               estimate.parts[1].T_camera_part @ half_open.T_part_contact)
    assert (half_open.joint, half_open.part) == ('lid_joint', 'lid')
    along = half_open.tangent @ estimate.T_camera_base[:3, :3]
    assert along[2] > 0.4 and along[0] < -0.7, 'an open lid goes up and back'


def test_parts_without_meshes_have_no_contact_and_empty_ones_are_refused():
    e = laptop_estimate()
    assert not contacts(replace(e, parts=(e.parts[0], replace(e.parts[1], mesh=None))))
    flat = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    with pytest.raises(ValueError, match='no area'):
        contact_on(flat, joint('revolute', (0, 1, 0)), 'laptop', UP)
    with pytest.raises(ValueError, match='axis'):
        contact_on(box_mesh((1, 1, 1)), joint('revolute', (0, 0, 0)), 'laptop', UP)


@pytest.mark.parametrize('name', ['laptop', 'stapler', 'dishwasher', 'drawer'])
def test_on_a_held_out_object(name):
    pytest.importorskip('torch')
    from kinediff3d_core.evaluation.contact_sheet import true_estimate
    from kinediff3d_core.simulation.families import held_out_generator, sample_instances

    objects = sample_instances(name, 1, held_out_generator(4))
    estimate = true_estimate(objects, 0, 0.4)
    found = contacts(estimate)
    assert [c.joint for c in found] == [j.name for j in estimate.joints]
    meshes = {p.name: p.mesh for p in estimate.parts}
    for contact, j in zip(found, estimate.joints, strict=True):
        mesh = meshes[contact.part]
        T = contact.T_part_contact
        assert abs(np.linalg.det(T[:3, :3]) - 1) < 1e-9
        axis = j.axis / np.linalg.norm(j.axis)
        if j.joint_type == 'prismatic':
            assert T[:3, 0] @ axis == pytest.approx(1.0)
            reach, own = mesh.vertices @ axis, T[:3, 3] @ axis
        else:
            across = mesh.vertices - (mesh.vertices @ axis)[:, None] * axis
            reach = np.linalg.norm(across, axis=-1)
            own = np.linalg.norm(T[:3, 3] - (T[:3, 3] @ axis) * axis)
        assert own > np.percentile(reach, 60), 'nearer to the axis than most of the part'
