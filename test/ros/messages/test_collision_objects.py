"""Collision objects of estimates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from estimates import box, boxes_estimate, laptop_estimate, random_pose

pytest.importorskip('rclpy', reason='needs ROS 2')
pytest.importorskip('moveit_msgs', reason='needs moveit_msgs')

from moveit_msgs.msg import CollisionObject  # noqa: E402
from std_msgs.msg import Header  # noqa: E402

from kinediff3d_core.objects.contact import contacts  # noqa: E402
from kinediff3d_ros.messages import collision_objects, planning  # noqa: E402
from kinediff3d_ros.messages.poses import matrix_from_pose  # noqa: E402

pytestmark = pytest.mark.ros


def test_a_part_is_added_with_its_mesh_type_and_subframes() -> None:
    estimate = laptop_estimate(1.2)
    lid = estimate.parts[1]
    shape = collision_objects.part_shapes(estimate, 500)['lid']
    header = Header(frame_id='camera')
    message = collision_objects.added('laptop_lid', header, lid.T_camera_part, shape, 'laptop')
    assert (message.id, message.type.key, message.operation) == (
        'laptop_lid', 'laptop', CollisionObject.ADD)
    assert message.header == header and not message.primitives
    np.testing.assert_allclose(matrix_from_pose(message.pose), lid.T_camera_part, atol=1e-9)
    [mesh], [pose] = message.meshes, message.mesh_poses
    np.testing.assert_allclose(matrix_from_pose(pose), np.eye(4))
    np.testing.assert_allclose([(v.x, v.y, v.z) for v in mesh.vertices], lid.mesh.vertices)
    np.testing.assert_array_equal([t.vertex_indices for t in mesh.triangles], lid.mesh.faces)
    frames = {name: lid.T_camera_part @ matrix_from_pose(pose) for name, pose in zip(
        message.subframe_names, message.subframe_poses, strict=True)}
    assert list(frames) == ['contact', 'hinge']
    np.testing.assert_allclose(frames['contact'], contacts(estimate)[0].T_camera_contact,
                               atol=1e-6)


def test_the_best_contact_at_a_bar_or_a_knob_is_the_handle(
        monkeypatch: pytest.MonkeyPatch) -> None:
    estimate = laptop_estimate(1.2)
    edge = contacts(estimate)[0]
    bar, knob = (replace(edge, kind=kind, T_part_contact=random_pose(i))
                 for i, kind in enumerate(('bar', 'knob')))
    monkeypatch.setattr(collision_objects, 'contact_candidates',
                        lambda estimate: {'lid': (edge, bar, knob)})
    subframes = collision_objects.part_shapes(estimate, 500)['lid'].subframes
    assert list(subframes) == ['contact', 'handle', 'hinge']
    np.testing.assert_array_equal(subframes['contact'], edge.T_part_contact)
    np.testing.assert_array_equal(subframes['handle'], bar.T_part_contact)


@pytest.mark.parametrize('position', [0.0, 2.0])
def test_the_hinge_is_the_axis_of_the_joint_at_every_position(position: float) -> None:
    estimate = laptop_estimate(position)
    shape = collision_objects.part_shapes(estimate, 500)['lid']
    hinge = estimate.parts[1].T_camera_part @ shape.subframes['hinge']
    axis = matrix_from_pose(planning.joint_axes(estimate, Header())['lid_joint'].pose)
    np.testing.assert_allclose(hinge[:3, 0], axis[:3, 0], atol=1e-6)
    offset = hinge[:3, 3] - axis[:3, 3]
    np.testing.assert_allclose(np.cross(offset, axis[:3, 0]), 0, atol=1e-6)


def test_the_base_has_no_subframes_and_parts_that_are_not_there_no_shape() -> None:
    shapes = collision_objects.part_shapes(boxes_estimate(), 500)
    assert set(shapes) == {'base', 'lid'} and shapes['base'].subframes == {}
    absent = collision_objects.part_shapes(boxes_estimate(probability=0.1), 500)
    assert set(absent) == {'base'}
    estimate = boxes_estimate()
    bare = replace(estimate, parts=(estimate.parts[0], replace(estimate.parts[1], mesh=None)))
    assert set(collision_objects.part_shapes(bare, 500)) == {'base'}


def test_meshes_are_simplified_and_boxes_are_those_of_the_part() -> None:
    estimate = boxes_estimate()
    fine = replace(estimate.parts[0], mesh=box((-0.1, -0.15, -0.01), (0.1, 0.15, 0.01), cuts=4))
    shape = collision_objects.part_shapes(
        replace(estimate, parts=(fine, estimate.parts[1])), 100)['base']
    assert len(fine.mesh.faces) == 3072 and 12 <= len(shape.mesh.triangles) <= 110
    vertices = np.array([(v.x, v.y, v.z) for v in shape.mesh.vertices])
    np.testing.assert_allclose(np.ptp(vertices, axis=0), [0.2, 0.3, 0.02], atol=1e-4)
    assert len(np.unique(shape.corners, axis=0)) == 8
    np.testing.assert_allclose([shape.corners.min(0), shape.corners.max(0)],
                               [[-0.1, -0.15, -0.01], [0.1, 0.15, 0.01]])


def test_moving_and_removing_carry_no_geometry() -> None:
    T = random_pose(3)
    message = collision_objects.moved('laptop_lid', Header(frame_id='camera'), T)
    assert message.operation == CollisionObject.MOVE
    np.testing.assert_allclose(matrix_from_pose(message.pose), T, atol=1e-9)
    gone = collision_objects.removed('laptop_lid', Header(frame_id='camera'))
    assert (gone.id, gone.operation) == ('laptop_lid', CollisionObject.REMOVE)
    for m in (message, gone):
        assert not (m.meshes or m.mesh_poses or m.primitives or m.primitive_poses
                    or m.planes or m.plane_poses or m.subframe_names or m.subframe_poses)
